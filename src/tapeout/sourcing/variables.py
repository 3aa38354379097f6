"""The decisions as blocks of variables, and the units that bring them all near 1 to 100.

Only what can be other than 0 gets a variable: chips where they can stand, orders that arrive in time, models that a chip can serve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.sourcing.finance import HOURS, lifetime, penalty_rates
from tapeout.sourcing.futures import Futures
from tapeout.sourcing.linear_program import Index, LinearProgram
from tapeout.sourcing.problem import Array, ContractKind, Problem
from tapeout.units import Unit, Usd, Watts

YEAR = 4
"""Quarters after whose multiples a chip can be sold or a commitment ended."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """What one unit of a variable is: `chips` of each offer (O,), `demand` in queries/s of each model (M,), `power`, `money`."""

    chips: Annotated[Array, Unit("1")]
    demand: Annotated[Array, Unit("query/s")]
    power: Watts
    money: Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Indices of the variables; O offers, M models, S sites, P programmes, N nodes, E nodes of the world.

    Chips of each offer (O, N): `orders`, `installed`; `ended` (O, A, N) are those sold or given back after A = 1, 2, ... years of service;
    `running` (O, N). `draw` (G, S, N) is the rated power of the chips of each group of offers with the same sites that run at a site.
    `served` (O, M, N), `unmet` (M, N). `modules` (S, N) are steps of power ordered, `site_power` (S, N) the
    power held. `starts` and `started` (P, E), `stops` (P, G, N) at each gate. `commitment` (O, N) is the rent owed in a quarter at the
    prices of its orders, `cash` and `debt` (N,).
    """

    orders: Index
    installed: Index
    running: Index
    draw: Index
    ended: Index
    served: Index
    unmet: Index
    modules: Index
    site_power: Index
    starts: Index
    started: Index
    stops: Index
    commitment: Index
    cash: Index
    debt: Index


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
    if not np.any(power > 0):
        power = np.array([site.initial for site in problem.sites])
    return Scales(chips=chips, demand=np.where(demand > 0, demand, 1.0), power=_median(power), money=_median(quarterly))


def _median(values: Array) -> float:
    positive = values[values > 0]
    return float(np.median(positive)) if positive.size else 1.0


def module_steps(problem: Problem, scale: Scales) -> Array:
    """Watts of one step of power at each site (S,): its module, or the unit of power where any amount can be ordered."""
    return np.array([site.module if site.module > 0 else scale.power for site in problem.sites])


def ages(problem: Problem) -> tuple[int, ...]:
    """Quarters of service after which chips of some offer can be sold or given back: whole years."""
    longest = max((offer.term for offer in problem.offers if _can_end(problem, offer.id)), default=0)
    return tuple(range(YEAR, min(longest, len(problem.quarters)), YEAR))


def _can_end(problem: Problem, name: str) -> bool:
    offer = next(offer for offer in problem.offers if offer.id == name)
    return offer.residual > 0 if offer.owned else offer.cancellation is not None


def add_variables(program: LinearProgram, futures: Futures, scale: Scales) -> Variables:
    """All variables with their own bounds; what could make a plan infeasible is a row instead, so that it can be named."""
    problem = futures.problem
    tree, time = problem.tree, problem.tree.quarter
    offers, models, sites = len(problem.offers), len(problem.models), len(problem.sites)
    allowed = _allowed(problem)
    present = _present(problem, allowed)
    owned = np.array([offer.owned for offer in problem.offers])
    can_serve = np.array([offer.throughput for offer in problem.offers]) > 0
    lumpy = np.array([site.module > 0 for site in problem.sites], dtype=bool).reshape(sites, 1)
    groups = site_groups(problem)
    used = [any(site.id in group for group in groups) for site in problem.sites]
    in_time = [time + site.lead < tree.quarters for site in problem.sites]
    buildable = np.array(in_time, dtype=bool).reshape(sites, tree.size) & np.array(used, dtype=bool).reshape(sites, 1)
    may_miss = np.isfinite(penalty_rates(problem))
    orders = program.variables(allowed.shape, where=allowed)
    installed = program.variables(allowed.shape, where=present)
    running = program.variables(allowed.shape, where=present & owned[:, None])
    stands = np.array([[site.id in group for site in problem.sites] for group in groups]).reshape(len(groups), sites, 1)
    world = futures.world.tree.size
    programmes = len(problem.programmes)
    return Variables(
        orders=orders,
        installed=installed,
        running=np.where(owned[:, None], running, installed),
        draw=program.variables((len(groups), sites, tree.size), where=stands),
        ended=program.variables((offers, len(ages(problem)), tree.size), where=_endable(problem, allowed)),
        served=program.variables((offers, models, tree.size), where=can_serve[:, :, None] & present[:, None, :]),
        unmet=program.variables((models, tree.size), where=may_miss & (problem.demand > 0)),
        modules=program.variables((sites, tree.size), where=buildable & (problem.decided | ~lumpy), integer=lumpy),
        site_power=program.variables((sites, tree.size)),
        starts=program.variables((programmes, world), where=futures.allowed, upper=1.0, integer=True),
        started=program.variables((programmes, world), where=_reached(futures), upper=1.0),
        stops=program.variables((programmes, _most_gates(problem), tree.size), where=_stoppable(futures), upper=1.0, integer=True),
        commitment=program.variables((offers, tree.size), where=present & _committed(problem)[:, None]),
        cash=program.variables((tree.size,), lower=-np.inf),
        debt=program.variables((tree.size,), where=problem.debt is not None and time < tree.quarters - 1),
    )


def _committed(problem: Problem) -> Mask:
    return np.array([offer.kind is not ContractKind.ON_DEMAND and bool(np.any(offer.rent > 0)) for offer in problem.offers], dtype=bool)


def _allowed(problem: Problem) -> Mask:
    """Where an order can be placed, (O, N): while it is on offer, and so early that it serves within the horizon."""
    tree = problem.tree
    allowed = np.zeros((len(problem.offers), tree.size), dtype=bool)
    for index, offer in enumerate(problem.offers):
        earliest = 0
        if offer.programme is not None:
            programme = next(one for one in problem.programmes if one.id == offer.programme)
            earliest = programme.first_start + min((case.lead for case in programme.cases if case.lead is not None), default=tree.quarters)
        on_offer = (offer.allocation > 0) | _prepaid(problem, offer.id)
        lumpy = problem.decided if offer.minimum > 0 else True
        allowed[index] = (tree.quarter + offer.lead < tree.quarters) & on_offer & (tree.quarter >= earliest) & lumpy
    return allowed


def _prepaid(problem: Problem, offer: str) -> bool:
    return any(offer in one.offers for one in problem.prepayments)


def _present(problem: Problem, allowed: Mask) -> Mask:
    """Where chips can be in service, (O, N): from orders that are allowed, or before the first."""
    initial = np.array([lifetime(offer) if offer.initial > 0 else 0 for offer in problem.offers])
    present = problem.tree.quarter < initial[:, None]
    for index, offer in enumerate(problem.offers):
        for lag in range(offer.lead, min(offer.lead + offer.term, problem.tree.quarters)):
            present[index] |= before(problem, allowed[index], lag)
    return present


def before(problem: Problem, mask: Mask, lag: int) -> Mask:
    """The mask (..., N) at each node's ancestor `lag` quarters before; False where there is none."""
    return np.asarray(problem.tree.earlier(mask.astype(np.int64), lag) > 0)


def _endable(problem: Problem, allowed: Mask) -> Mask:
    steps = ages(problem)
    mask = np.zeros((allowed.shape[0], len(steps), allowed.shape[1]), dtype=bool)
    for index, offer in enumerate(problem.offers):
        for place, age in enumerate(steps):
            if _can_end(problem, offer.id) and age < offer.term:
                mask[index, place] = before(problem, allowed[index], offer.lead + age)
    return mask


def _reached(futures: Futures) -> Mask:
    """Nodes of the world at which each programme can have been started, (P, E)."""
    tree, reached = futures.world.tree, futures.allowed.copy()
    for node in range(1, tree.size):
        reached[:, node] |= reached[:, tree.parent[node]]
    return reached


def _most_gates(problem: Problem) -> int:
    return max((len(programme.gates) for programme in problem.programmes), default=0)


def _stoppable(futures: Futures) -> Mask:
    """Where a programme can stand at each of its gates, (P, G, N)."""
    problem = futures.problem
    mask = np.zeros((len(problem.programmes), _most_gates(problem), problem.tree.size), dtype=bool)
    for index, programme in enumerate(problem.programmes):
        for gate, age in enumerate(programme.gates):
            mask[index, gate] = before(problem, futures.allowed[index][futures.origin], age)
    return mask


def site_groups(problem: Problem) -> tuple[tuple[str, ...], ...]:
    """The distinct sets of sites at which offers may stand; what can stand at the same sites shares their power."""
    return tuple(dict.fromkeys(offer.sites for offer in problem.offers if not offer.hosted))
