"""What a company knows of a scenario in one of its quarters, when the rest of the plan is still ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tapeout.outlook.processes import Process, Scenarios, Stage, combine
from tapeout.outlook.reduction import reduce
from tapeout.scenario.contracts import AnyContract, Own, Owned
from tapeout.scenario.hardware import Chips
from tapeout.scenario.outlook import on_scenarios, processes, weights
from tapeout.scenario.quarters import quarter_of
from tapeout.scenario.schema import Scenario
from tapeout.sourcing.problem import Array, Offer, Problem, Site

NOTICE = 4
"""Quarters before its first order in which a contract is known, where its chip is not out yet."""


def known_in(scenario: Scenario, chips: Chips, base: Problem, quarter: int) -> Problem:
    """`base`, the scenario's problem on one path, as it is known in `quarter` (counted from 0).

    Prices of the catalogue, of chips and of electricity, stay from then on at what is quoted in that quarter. Contracts that begin more
    than `NOTICE` quarters later, with chips that are not out yet, do not exist. What the scenario itself states by quarter is its forecast,
    and known from the start.
    """
    offers = tuple(
        _offer(scenario, chips, scenario.contracts[offer.id], offer, quarter) if offer.id in scenario.contracts else offer
        for offer in base.offers
    )
    return replace(base, offers=offers, sites=tuple(_site(scenario, site, quarter) for site in base.sites))


def _offer(scenario: Scenario, chips: Chips, contract: AnyContract, offer: Offer, quarter: int) -> Offer:
    if contract.price is None and not isinstance(contract, Own):
        upkeep = offer.upkeep if isinstance(contract, Owned) and contract.upkeep is not None else _held(offer.upkeep, quarter)
        offer = replace(offer, rent=_held(offer.rent, quarter), unit_price=_held(offer.unit_price, quarter), upkeep=upkeep)
    if _is_known(scenario, chips, offer, quarter):
        return offer
    return replace(offer, allocation=np.where(np.arange(offer.allocation.size) < quarter, offer.allocation, 0.0))


def _is_known(scenario: Scenario, chips: Chips, offer: Offer, quarter: int) -> bool:
    """Whether an offer is the company's own, has a chip that is out, or begins within `NOTICE` quarters."""
    if offer.programme is not None or quarter_of(chips.by_name[offer.chip].released) - scenario.start <= quarter:
        return True
    orders = np.flatnonzero(offer.allocation > 0)
    return bool(orders.size) and int(orders[0]) <= quarter + NOTICE


def _site(scenario: Scenario, site: Site, quarter: int) -> Site:
    entry = scenario.sites[site.id]
    from_catalogue = entry.electricity is None or isinstance(entry.electricity, str)
    return replace(site, energy=_held(site.energy, quarter)) if from_catalogue else site


def _held(values: Array, quarter: int) -> Array:
    return np.where(np.arange(values.size) > quarter, values[quarter], values)


def expected_in(scenario: Scenario, known: Problem, path: Scenarios, quarter: int, size: int) -> Problem:
    """`known` on the tree of what may still happen after `quarter`, with `size` scenarios, once the world has gone along `path` until then.

    With a size of 1 every forecast goes on at the mean of what may happen, given what has been seen.
    """
    told = tuple(_told(process, path, quarter) for process in processes(scenario))
    combined = combine(told, scenario.quarters)
    return on_scenarios(known, reduce(combined, size, weights(combined.targets)).scenarios)


def _told(process: Process, path: Scenarios, quarter: int) -> Process:
    """The process with the branches taken along a path of one scenario until `quarter`."""
    taken = {
        (point.process, point.quarter): point.names[choice] for point, choice in zip(path.points, path.choice[0].tolist(), strict=True)
    }

    def stage(one: Stage) -> Stage:
        if one.quarter > quarter:
            return one
        branch = next(branch for branch in one.branches if branch.name == taken[process.name, one.quarter])
        return replace(one, branches=(replace(branch, probability=1.0),))

    return replace(process, stages=tuple(stage(one) for one in process.stages))
