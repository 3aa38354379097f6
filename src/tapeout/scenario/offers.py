"""Contracts as offers: what a chip costs in each quarter, how much power it draws, and what it serves."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.nre import programme_facts
from tapeout.cost.prices import Scope, Term, purchase, rent_by_quarter
from tapeout.cost.tco import finance
from tapeout.cost.unit import price_with_margin
from tapeout.hardware.system import server_of
from tapeout.scenario.contracts import AnyContract, Lease, OnDemand, Own, Partner, Purchase, Reserved
from tapeout.scenario.hardware import Chips
from tapeout.scenario.quarters import Quarter
from tapeout.scenario.schema import Scenario
from tapeout.scenario.supply import DesignPartner, Licence
from tapeout.sourcing.problem import ContractKind, Offer, Tier
from tapeout.units import HOUR, QUARTER, YEAR, Dimensionless, Seconds

Array = NDArray[np.float64]

LONG_TERM = 8
"""Quarters from which a commitment is priced as one of three years, below it as one of a year."""
OWN_SUPPLIER = "own"


def offers(scenario: Scenario, chips: Chips, throughput: Mapping[str, Array]) -> tuple[Offer, ...]:
    """One offer a contract, in the scenario's order; `throughput` is queries/s per chip on each model, by chip name.

    Raises InputError for a price that the catalogue does not know.
    """
    return tuple(
        _owned(scenario, name, contract, chips, throughput[contract.chip])
        if isinstance(contract, (Purchase, Partner, Own))
        else _rented(scenario, name, contract, chips, throughput[contract.chip])
        for name, contract in scenario.contracts.items()
    )


def quarters_of(time: Seconds) -> int:
    """Whole quarters that cover `time`.

    >>> from tapeout.units import WEEK
    >>> quarters_of(39 * WEEK), quarters_of(0.0)
    (3, 0)
    """
    return math.ceil(time / QUARTER - 1e-6)


def commitment(term: int) -> Term:
    """The commitment whose quotes price a contract of `term` quarters."""
    return Term.RESERVED_3Y if term >= LONG_TERM else Term.RESERVED_1Y


def window(scenario: Scenario, first: Quarter | None, last: Quarter | None) -> tuple[int, int]:
    """First and last quarter of a window as indexes of the plan, cut to it; an empty window has last below first."""
    begin = 0 if first is None else max(0, first - scenario.start)
    end = scenario.quarters - 1 if last is None else min(scenario.quarters - 1, last - scenario.start)
    return begin, end


def _allocation(scenario: Scenario, contract: AnyContract) -> Array:
    allowed = contract.allocation.over(scenario.start, scenario.quarters).copy()
    first, last = window(scenario, contract.orders_from, contract.orders_until)
    allowed[:first], allowed[last + 1 :] = 0.0, 0.0
    return allowed


def _rented(scenario: Scenario, name: str, contract: OnDemand | Reserved | Lease, chips: Chips, throughput: Array) -> Offer:
    chip, nothing = chips.by_name[contract.chip], np.zeros(scenario.quarters)
    term = 1 if isinstance(contract, OnDemand) else contract.term
    if contract.price is not None:
        rent, source = contract.price.over(scenario.start, scenario.quarters), contract.price.source
    else:
        word = Term.ON_DEMAND if isinstance(contract, OnDemand) else commitment(term)
        path = rent_by_quarter(chip.id, scenario.quarter_labels, term=word, seller=contract.seller)
        rent, source = path.value, f"{word} quotes of the catalogue"
    return Offer(
        id=name,
        supplier=contract.supplier or chip.vendor,
        kind=ContractKind(contract.kind),
        chip=contract.chip,
        lead=quarters_of(contract.lead.value) if contract.lead else 0,
        term=term,
        rent=rent,
        unit_price=nothing,
        upkeep=nothing,
        allocation=_allocation(scenario, contract),
        hosted=True,
        power=0.0,
        throughput=throughput,
        initial=float(contract.initial),
        source=source,
        cancellation=contract.cancellation.value if isinstance(contract, (Reserved, Lease)) and contract.cancellation else None,
        minimum=float(contract.minimum),
    )


def _owned(scenario: Scenario, name: str, contract: Purchase | Partner | Own, chips: Chips, throughput: Array) -> Offer:
    chip, operation = chips.by_name[contract.chip], finance().operation
    host = server_of(chip.id)
    price, source = _price(scenario, contract, chips)
    upkeep = price * operation.operations.value * HOUR / YEAR
    if contract.upkeep is not None:
        upkeep = np.full(scenario.quarters, contract.upkeep.value)
    programme = contract.programme if isinstance(contract, Own) else None
    return Offer(
        id=name,
        supplier=contract.supplier or (OWN_SUPPLIER if programme else chip.vendor),
        kind=ContractKind(contract.kind),
        chip=contract.chip,
        lead=quarters_of(contract.lead.value),
        term=contract.term,
        rent=np.zeros(scenario.quarters),
        unit_price=price,
        upkeep=upkeep,
        allocation=_allocation(scenario, contract),
        hosted=False,
        power=chip.power.value + host.host_power.value / host.chips,
        throughput=throughput * operation.availability.value,
        sites=contract.sites,
        programme=programme,
        initial=float(contract.initial),
        residual=contract.residual.value if contract.residual else 0.0,
        source=source,
        minimum=float(contract.minimum),
        tiers=tuple(Tier(volume=float(tier.volume), factor=tier.factor.value) for tier in contract.learning),
    )


def _price(scenario: Scenario, contract: Purchase | Partner | Own, chips: Chips) -> tuple[Array, str]:
    """Price of a chip with its share of server and network, by quarter, and where it comes from."""
    host = server_of(chips.by_name[contract.chip].id)
    around = host.host_price.value / host.chips + host.network_price.value
    if isinstance(contract, Own):
        cost, source = chips.own_costs[contract.chip].mid.total, "cost model"
        costs = np.full(scenario.quarters, cost)
        if contract.price is not None:
            costs, source = contract.price.over(scenario.start, scenario.quarters), contract.price.source
        return price_with_margin(costs, margin_of(scenario, contract)) + around, source
    if contract.price is not None:
        return contract.price.over(scenario.start, scenario.quarters) + around, contract.price.source
    bought = [purchase(contract.chip, label) for label in scenario.quarter_labels]
    prices = np.array([band.value + (around if band.scope is Scope.CHIP else 0.0) for band in bought])
    return prices, "purchase quotes of the catalogue"


def margin_of(scenario: Scenario, contract: Own) -> Dimensionless:
    """Gross margin that a partner or licensor takes on each chip; none in an own team or an acquired one."""
    programme = scenario.programmes[contract.programme]
    if isinstance(programme, DesignPartner):
        return programme.margin.value if programme.margin else programme_facts().partner_margin.value
    return programme.margin.value if isinstance(programme, Licence) else 0.0
