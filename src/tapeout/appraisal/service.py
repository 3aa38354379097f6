"""How demand is served in a quarter once the orders are known: the rows of the sourcing program, for each node by itself.

Nothing here looks ahead. What no fleet can keep to is softened at a price, so that there always is an answer: demand stays unmet at its
penalty, and supplier shares and the budget are broken where they must be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import CancelledError, TapeoutError
from tapeout.outlook.tree import Nodes, Tree
from tapeout.sourcing import constraints
from tapeout.sourcing.decisions import by_place, read
from tapeout.sourcing.finance import HOURS, penalty_rates
from tapeout.sourcing.linear_program import LinearProgram, Term
from tapeout.sourcing.problem import Array, ContractKind, Offer, Problem, QueriesPerSecondArray, UsdByNode
from tapeout.sourcing.solver import Outcome, run
from tapeout.sourcing.variables import Scales, Variables, site_groups
from tapeout.units import QUARTER, Seconds, Unit

TIME_LIMIT: Seconds = 120.0
DEAR = 1e3
"""Price of what is broken only where it must be, beside what serving everything costs."""
NONE = np.zeros((0,), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is there in a quarter: `chips` (O, n), `most` (O, n) that the spot offers can add at once, `power` (S, n) held in W.

    `room` (n,) is the cash that is left for serving, in USD; it may be negative or infinite.
    """

    chips: Annotated[Array, Unit("1")]
    most: Annotated[Array, Unit("1")]
    power: Annotated[Array, Unit("W")]
    room: UsdByNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """`rented` (O, n) chips added at once, `fleet` (O, K, n) that run by place, `served` (O, M, n), `unmet` (M, n), `cash` (n,)."""

    rented: Annotated[Array, Unit("1")]
    fleet: Annotated[Array, Unit("1")]
    served: QueriesPerSecondArray
    unmet: QueriesPerSecondArray
    cash: UsdByNode


def is_spot(offer: Offer) -> bool:
    """Whether chips can be had at once and for no longer than the quarter, so that nothing has to be known ahead."""
    return not offer.owned and offer.lead == 0 and offer.term == 1 and offer.programme is None and offer.minimum == 0 and not offer.tiers


def alone(problem: Problem, nodes: Nodes) -> Problem:
    """The problem at these nodes (n,), none of which comes before another."""
    count = len(nodes)
    tree = Tree(
        quarter=problem.tree.quarter[nodes],
        parent=np.full(count, -1, dtype=np.int64),
        probability=problem.tree.probability[nodes],
        above=np.arange(count, dtype=np.int64)[:, None],
        names=("",) * count,
    )
    return problem.on(tree, nodes)


def serve(problem: Problem, there: Fleet, scale: Scales) -> Service:
    """The cheapest service of a problem whose nodes are each alone: which chips run where, what is rented at once, what stays unmet.

    What is rented for longer runs as long as the power of its sites lasts, as it is paid anyway.
    """
    program, count = LinearProgram(), problem.tree.size
    spot = np.array([is_spot(offer) for offer in problem.offers])
    variables = _variables(program, problem, there, scale, spot)
    constraints.demand(program, variables, problem, scale)
    constraints.service(program, variables, problem, scale)
    constraints.site_power(program, variables, problem, scale)
    constraints.largest_share(program, variables, problem, scale)
    constraints.concentration(program, variables, problem, scale)
    rates = _rates(problem, scale)
    terms = _running_costs(problem, variables, scale, spot)
    _soft_shares(program, problem, rates, scale)
    where = np.isfinite(there.room)
    over = program.variables((count,), where=where)
    program.rows((count,), [*terms, (over, -1)], upper=np.where(where, there.room, 0.0) / scale.money, where=where)
    program.add_cost(over, DEAR)
    for index, coefficient in terms:
        program.add_cost(index, coefficient)
    program.add_cost(variables.unmet, rates * scale.demand[:, None] / scale.money)
    found = run(program, gap=0.0, time_limit=TIME_LIMIT)
    if found.outcome is Outcome.CANCELLED:
        raise CancelledError("stopped while policies were followed")
    if found.outcome is not Outcome.OPTIMAL or found.values is None:
        raise TapeoutError(f"no service was found for the orders of a policy: {found.outcome.value}")
    return _service(problem, variables, found.values, there, scale, spot)


def _variables(program: LinearProgram, problem: Problem, there: Fleet, scale: Scales, spot: NDArray[np.bool_]) -> Variables:
    tree, chips = problem.tree, scale.chips[:, None]
    owned = np.array([offer.owned for offer in problem.offers])
    at_sites = np.array([not (offer.owned or offer.hosted) for offer in problem.offers])
    power = np.array([offer.power for offer in problem.offers])
    fits = (power[at_sites] @ there.chips[at_sites]) <= there.power.sum(axis=0) * (1 - 1e-9)
    must = np.where(owned[:, None], False, np.where(at_sites[:, None], fits, True))
    upper = there.chips + np.where(spot[:, None], there.most, 0.0)
    can_serve = np.array([offer.throughput for offer in problem.offers]) > 0
    groups = site_groups(problem)
    stands = np.array([[site.id in group for site in problem.sites] for group in groups]).reshape(len(groups), len(problem.sites), 1)
    held = there.power / scale.power
    shape = (len(problem.offers), len(problem.models), tree.size)
    running = program.variables(upper.shape, lower=np.where(must, there.chips, 0.0) / chips, upper=upper / chips, where=upper > 0)
    return Variables(
        orders=NONE, installed=NONE, ended=NONE, modules=NONE, starts=NONE, started=NONE, stops=NONE, commitment=NONE, cash=NONE, debt=NONE,
        running=running,
        draw=program.variables((len(groups), len(problem.sites), tree.size), where=stands),
        served=program.variables(shape, where=can_serve[:, :, None] & (running >= 0)[:, None, :]),
        unmet=program.variables(shape[1:], where=problem.demand > 0),
        site_power=program.variables(held.shape, lower=held, upper=held),
    )  # fmt: skip


def _rates(problem: Problem, scale: Scales) -> Array:
    """The penalty in USD per query/s and quarter, (M, n); where unmet demand is forbidden, dear."""
    rates = penalty_rates(problem)
    return np.where(np.isfinite(rates), rates, (DEAR * scale.money / scale.demand)[:, None])


def _running_costs(problem: Problem, variables: Variables, scale: Scales, spot: NDArray[np.bool_]) -> list[Term]:
    """Cash that depends on what runs, per node in units of money: terms whose index has the nodes first."""
    hourly = np.array([offer.upkeep for offer in problem.offers])
    for index, offer in enumerate(problem.offers):
        if spot[index] or offer.kind is ContractKind.ON_DEMAND:
            hourly[index] += offer.rent
        if spot[index]:
            hourly[index] += offer.unit_price / HOURS
    terms: list[Term] = [(variables.running.T, (hourly * HOURS * scale.chips[:, None] / scale.money).T)]
    for index, site in enumerate(problem.sites):
        energy = site.energy * QUARTER * site.load * site.pue * scale.power / scale.money
        drawn = variables.draw[:, index].T
        terms.append((drawn, np.broadcast_to(energy[:, None], drawn.shape)))
    return terms


def _soft_shares(program: LinearProgram, problem: Problem, rates: Array, scale: Scales) -> None:
    """Let shares be broken where the demand concerned would otherwise stay unmet: all of it for the penalty of leaving all unmet."""
    late = np.flatnonzero(problem.tree.quarter >= problem.share_from)
    everything = (rates * problem.demand)[:, late].sum(axis=0) / scale.money
    for name in ("largest share", "concentration"):
        if name in program.blocks:
            slacks = program.soften(program.blocks[name])
            program.add_cost(slacks, np.broadcast_to(everything, slacks.shape))


def _service(problem: Problem, variables: Variables, values: Array, there: Fleet, scale: Scales, spot: NDArray[np.bool_]) -> Service:
    running = np.clip(read(values, variables.running) * scale.chips[:, None], 0.0, there.chips + np.where(spot[:, None], there.most, 0.0))
    rented = np.where(spot[:, None], np.maximum(running - there.chips, 0.0), 0.0)
    served = read(values, variables.served) * scale.demand[:, None]
    unmet = problem.demand - served.sum(axis=0)
    fleet = by_place(problem, running, read(values, variables.draw))
    cash = np.zeros(problem.tree.size)
    for index, offer in enumerate(problem.offers):
        cash += offer.upkeep * HOURS * running[index] + offer.unit_price * rented[index]
        cash += offer.rent * HOURS * (running[index] if offer.kind is ContractKind.ON_DEMAND else rented[index])
        for place, site in enumerate(problem.sites, start=1):
            cash += site.energy * QUARTER * site.load * site.pue * offer.power * fleet[index, place]
    unmet = np.where(unmet > 1e-9 * scale.demand[:, None], unmet, 0.0)
    return Service(rented=rented, fleet=fleet, served=served, unmet=unmet, cash=cash)
