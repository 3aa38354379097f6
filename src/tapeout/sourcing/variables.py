"""The decisions as blocks of variables, and the units that bring them all near 1 to 100."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.sourcing.finance import HOURS, penalty_rates
from tapeout.sourcing.linear_program import Index, LinearProgram
from tapeout.sourcing.problem import Array, Problem
from tapeout.units import Unit, Usd, Watts


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """What one unit of a variable is: `chips` of each offer (O,), `demand` in queries/s of each model (M,), `power`, `money`."""

    chips: Annotated[Array, Unit("1")]
    demand: Annotated[Array, Unit("query/s")]
    power: Watts
    money: Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Indices of the variables; O offers, K places (0 is hosted), M models, Q quarters, S sites, P programmes.

    Chips of each offer and place (O, K, Q): `orders`, `arrived` and `left` (both since the first quarter), `fleet`. `served`
    (O, M, Q), `unmet` (M, Q). `modules` (S, Q) are steps of power ordered, `site_power` (S, Q) the power held. `starts`
    and `started` (P, Q). `commitment` (O, Q) is the rent owed in a quarter at the prices of its orders, `cash` (Q,).
    """

    orders: Index
    arrived: Index
    left: Index
    fleet: Index
    served: Index
    unmet: Index
    modules: Index
    site_power: Index
    starts: Index
    started: Index
    commitment: Index
    cash: Index


def chips_for_all(problem: Problem) -> Array:
    """Chips of each offer that would serve the peak of every model that it can serve, (O,); more are never of use."""
    peak = problem.demand.max(axis=1)
    throughput = np.array([offer.throughput for offer in problem.offers])
    return np.asarray(np.divide(peak, throughput, out=np.zeros_like(throughput), where=throughput > 0).sum(axis=1), dtype=float)


def scales(problem: Problem) -> Scales:
    """Units from the problem's own size, so that scaling its demand or its money leaves the program as it is."""
    needed = chips_for_all(problem)
    initial = np.array([offer.initial for offer in problem.offers])
    chips = np.maximum(needed, initial) / 10
    chips = np.where(chips > 0, chips, 1.0)
    power = chips * np.array([offer.power for offer in problem.offers])
    quarterly = chips * np.array(
        [float(np.mean(offer.rent + offer.upkeep)) * HOURS + float(np.mean(offer.unit_price)) / offer.term for offer in problem.offers]
    )
    demand = problem.demand.max(axis=1)
    return Scales(chips=chips, demand=np.where(demand > 0, demand, 1.0), power=_median(power), money=_median(quarterly))


def _median(values: Array) -> float:
    positive = values[values > 0]
    return float(np.median(positive)) if positive.size else 1.0


def module_steps(problem: Problem, scale: Scales) -> Array:
    """Watts of one step of power at each site (S,): its module, or the unit of power where any amount can be ordered."""
    return np.array([site.module if site.module > 0 else scale.power for site in problem.sites])


def add_variables(program: LinearProgram, problem: Problem, scale: Scales) -> Variables:
    """All variables with their own bounds; what could make a plan infeasible is a row instead, so that it can be named."""
    offers, models, quarters = len(problem.offers), len(problem.models), len(problem.quarters)
    sites, programmes = len(problem.sites), len(problem.programmes)
    chips, time = (offers, sites + 1, quarters), np.arange(quarters)
    allowed = np.zeros(chips, dtype=bool)
    for index, offer in enumerate(problem.offers):
        allowed[index, places(problem, index)] = (time + offer.lead < quarters) & (offer.allocation > 0)
    can_serve = np.array([offer.throughput for offer in problem.offers]) > 0
    buildable = np.array([time + site.lead < quarters for site in problem.sites]).reshape(sites, quarters)
    window = np.array([(programme.first_start <= time) & (time <= programme.last_start) for programme in problem.programmes])
    may_miss = np.isfinite(penalty_rates(problem))
    return Variables(
        orders=program.variables(chips, upper=np.where(allowed, np.inf, 0.0)),
        arrived=program.variables(chips),
        left=program.variables(chips),
        fleet=program.variables(chips),
        served=program.variables((offers, models, quarters), upper=np.where(can_serve, np.inf, 0.0)[:, :, None]),
        unmet=program.variables((models, quarters), upper=np.where(may_miss, np.inf, 0.0)),
        modules=program.variables(
            (sites, quarters),
            upper=np.where(buildable, np.inf, 0.0),
            integer=np.array([site.module > 0 for site in problem.sites])[:, None],
        ),
        site_power=program.variables((sites, quarters)),
        starts=program.variables((programmes, quarters), upper=window.reshape(programmes, quarters).astype(float), integer=True),
        started=program.variables((programmes, quarters), upper=1.0),
        commitment=program.variables((offers, quarters)),
        cash=program.variables((quarters,)),
    )


def places(problem: Problem, offer: int) -> list[int]:
    """Indices of the places where an offer's chips can be: 0 for a hosted one, else those of its sites."""
    if problem.offers[offer].hosted:
        return [0]
    names = [site.id for site in problem.sites]
    return [names.index(site) + 1 for site in problem.offers[offer].sites]


def initial_chips(problem: Problem) -> Array:
    """Chips in service before any order, (O, K, Q): each offer's `initial` at its first place until their term ends."""
    chips = np.zeros((len(problem.offers), len(problem.sites) + 1, len(problem.quarters)))
    for index, offer in enumerate(problem.offers):
        chips[index, places(problem, index)[0]] = offer.initial
    return chips
