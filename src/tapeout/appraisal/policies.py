"""Three policies followed through futures: a plan that was made for others, rent everything, buy a year ahead.

A plan is followed by what has been seen: at each node its orders are those of the node of its own tree that stands for it. Where there is
more demand than it counted with, or chips that it counted with are not to be had, what is cheapest is rented for the rest.
"""

from __future__ import annotations

import numpy as np

from tapeout.appraisal.following import follow
from tapeout.appraisal.rules import rule
from tapeout.appraisal.service import is_spot
from tapeout.appraisal.walk import Policy, Walk, Wanted, Whole
from tapeout.outlook.tree import Nodes, tree_of
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.futures import Futures, futures
from tapeout.sourcing.money import past
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, ContractKind, Problem
from tapeout.sourcing.variables import ages

NOTICED = 1e-6
"""Part of an offer's chips from which it is noticed that some are not there."""


def follow_plan(problem: Problem, plan: Plan, matched: Nodes, seed: int | None = None) -> Plan:
    """What a plan comes to in `problem`, whose world's nodes are stood for by the nodes `matched` (E,) of the plan's own world.

    Both have the same offers, sites and prepayments, but for what needs programmes that the plan does not have. What a programme was to
    bring and does not bring in time is rented, not ordered later. With a `seed` one outcome of a programme is drawn for each future of the
    world, else it goes in all its ways in each.
    """
    known = plan.problem
    absent = {programme.id for programme in problem.programmes} - {programme.id for programme in known.programmes}
    starts = np.zeros((len(known.programmes), plan.futures.world.tree.size))
    starts[:, plan.futures.origin] = plan.starts
    begun = starts[:, matched]
    met = futures(problem.without(frozenset(absent)), begun > 0.5)
    met = met if seed is None else drawn(met, seed)
    nodes = _nodes(plan, met, matched)
    whole = Whole(starts=begun[:, met.origin], stops=plan.stops[:, nodes], prepaid=plan.prepaid[:, nodes])
    return follow(met, whole, _as_planned(plan, met, nodes))


def rent_everything(problem: Problem) -> Plan:
    """No programme, no power, no chip of one's own: what others host is rented, each contract its lead before it is needed."""
    return _follow_rule(problem, buys=False)


def buy_ahead(problem: Problem) -> Plan:
    """Chips are bought for the demand expected in a year, or after their lead where that is longer, with power at the cheapest sites.

    The rest is rented as in `rent_everything`. There is no programme.
    """
    return _follow_rule(problem, buys=True)


def drawn(met: Futures, seed: int) -> Futures:
    """One future for each of the world, with an outcome drawn for it so that each outcome has its share of them as nearly as can be."""
    tree, world = met.problem.tree, met.world.tree
    leaves = tree.leaves[np.argsort(met.origin[tree.leaves], kind="stable")]
    ends, first, place, count = np.unique(met.origin[leaves], return_index=True, return_inverse=True, return_counts=True)
    chance = tree.probability[leaves] / world.probability[ends][place]
    after = np.cumsum(chance)
    after = after - (after - chance)[first][place]
    share = (np.random.default_rng(seed).permutation(len(ends)) + 0.5) / len(ends)
    passed = np.bincount(place[after <= share[place]], minlength=len(ends))
    picked = leaves[first + np.minimum(passed, count - 1)]
    paths = tree.above[picked, ::-1]
    kept, node = np.unique(paths, return_inverse=True)
    weights = np.repeat(world.probability[ends], tree.quarters)
    probability = np.bincount(node.ravel(), weights=weights, minlength=len(kept))
    parent = np.searchsorted(kept, tree.parent[kept])
    parent[0] = -1
    smaller = tree_of(tree.quarter[kept], parent, probability, tuple(tree.names[node] for node in kept))
    return Futures(
        world=met.world, problem=met.problem.on(smaller, kept), origin=met.origin[kept], case=met.case[:, kept], allowed=met.allowed
    )


def _nodes(plan: Plan, met: Futures, matched: Nodes) -> Nodes:
    """The plan's node for each node met: the same node of its world and the same outcome, or what it knows of the outcome."""
    origins, nodes = matched[met.origin], np.arange(plan.problem.tree.size)
    any_case = np.zeros(plan.futures.world.tree.size, dtype=np.int64)
    any_case[plan.futures.origin[::-1]] = nodes[::-1]
    if not len(met.case):
        return any_case[origins]
    most = max(len(programme.cases) for programme in met.problem.programmes)
    mine, theirs = plan.futures.case.max(axis=0), met.case.max(axis=0)  # one programme at most is uncertain; the others have case 0
    table = np.repeat(any_case[:, None], most, axis=1)
    table[plan.futures.origin, mine] = nodes
    return np.asarray(table[origins, theirs], dtype=np.int64)


def _as_planned(plan: Plan, met: Futures, nodes: Nodes) -> Policy:
    """The orders of the plan's `nodes`, and contracts for what its chips do not serve of the demand."""
    problem, steps = plan.problem, ages(plan.problem)
    parts = np.zeros(plan.ended.shape)
    for index, offer in enumerate(problem.offers):
        for place, age in enumerate(steps):
            ordered = past(problem, plan.orders[index], offer.lead + age)
            parts[index, place] = np.divide(plan.ended[index, place], ordered, out=np.zeros_like(ordered), where=ordered > 0)
    reserve = plan.spend["upkeep"] + plan.spend["energy"]
    for index, offer in enumerate(problem.offers):
        if is_spot(offer) or offer.kind is ContractKind.ON_DEMAND:
            reserve = reserve + offer.rent * HOURS * plan.fleet[index].sum(axis=0)
    renting = rule(met.problem, buys=False)
    more = np.maximum(met.problem.demand - problem.demand[:, nodes], 0.0)
    beyond = np.zeros((len(problem.offers), met.problem.tree.size))

    def wants(walk: Walk, here: Nodes) -> Wanted:
        there = nodes[here]
        short = more[:, here] + _not_there(plan, there, walk.installed(here) - walk.delivered(beyond, here))
        if short.any():
            beyond[:, here] = renting.contracts(
                here, lambda lag: renting.left(walk.delivered(beyond, here, lag), short * renting.growth(here, lag))
            )
        orders = plan.orders[:, there] + beyond[:, here]
        known = {"site_orders": plan.site_orders[:, there], "ended": parts[..., there], "reserve": reserve[there]}
        return Wanted(orders=orders, credit=plan.debt[there], **known)

    return wants


def _not_there(plan: Plan, nodes: Nodes, installed: Array) -> Array:
    """Demand (M, n) that the plan serves at its nodes with chips that are not among those `installed` (O, n) on the way there."""
    at_once = np.array([offer.lead == 0 for offer in plan.problem.offers])[:, None]  # is ordered only after this has been asked
    planned = np.maximum(plan.installed[:, nodes] - np.where(at_once, plan.orders[:, nodes], 0.0), 0.0)
    lost = np.where(planned - installed > NOTICED * planned, planned - installed, 0.0)
    part = np.divide(lost, planned, out=np.zeros_like(planned), where=planned > 0)
    return np.asarray(np.einsum("omn,on->mn", plan.served[:, :, nodes], np.minimum(part, 1.0)), dtype=float)


def _follow_rule(problem: Problem, *, buys: bool) -> Plan:
    world = problem.without(frozenset(programme.id for programme in problem.programmes))
    none, size = np.zeros((0, problem.tree.size)), problem.tree.size
    whole = Whole(starts=none, stops=none, prepaid=np.zeros((len(world.prepayments), size)))
    return follow(futures(world), whole, rule(world, buys=buys))
