"""What happens when a policy is followed through futures: its orders as far as they can be placed, then the best service of each quarter.

The walk keeps to the rules of the sourcing program: allocations, leads, terms, power, budget, what a programme has brought by then. It
goes forward through all futures at once, and what it decides at a node knows nothing but what lies before it.
"""

from __future__ import annotations

import numpy as np

from tapeout.appraisal.service import Fleet, Service, alone, is_spot, serve
from tapeout.appraisal.walk import Policy, Walk, Wanted, Whole, empty
from tapeout.outlook.tree import Nodes
from tapeout.sourcing.accounts import along_path, programme_spend, spend_by_category
from tapeout.sourcing.decisions import installed_chips, objective
from tapeout.sourcing.finance import HOURS, lifetime
from tapeout.sourcing.futures import Futures
from tapeout.sourcing.money import end_payments, past
from tapeout.sourcing.plan import Plan, discounts
from tapeout.sourcing.problem import Array, ContractKind, Problem, UsdByNode
from tapeout.sourcing.variables import ages, scales

FOLLOWED = "followed"
"""The status of a plan that was followed, not searched for; its bound says nothing."""


def follow(futures: Futures, whole: Whole, policy: Policy) -> Plan:
    """The plan that a policy comes to in these futures, its programmes and prepayments given.

    Where the budget does not suffice for all that is wanted, the same part of every order is placed, and whole modules of power. Power
    that a site does not have yet comes when it has. More is borrowed than was wanted where there is no other way. What still breaks a
    rule is a fault of the policy: the budget where commitments alone are above it, supplier shares where demand would be unmet.
    """
    problem, walk = futures.problem, empty(futures, whole)
    scale, programmes = scales(futures.world), programme_spend(futures, whole.starts, whole.stops)
    gates, opened = _gates(futures, whole), _opened(problem, whole)
    for quarter in range(problem.tree.quarters):
        nodes = np.flatnonzero(problem.tree.quarter == quarter)
        wanted = policy(walk, nodes)
        caps = np.where(gates[:, nodes], _allocations(problem, opened, nodes), 0.0)
        fixed = programmes[nodes] + _obligations(walk, nodes, wanted)
        room = problem.budget[nodes] + np.minimum(wanted.credit, _limit(problem, nodes)) - _due(walk, nodes)
        fixed += _place(walk, nodes, wanted, caps, opened, room - fixed)
        walk.site_power[:, nodes] = _held(walk, nodes)
        there = Fleet(chips=walk.installed(nodes), most=caps, power=walk.site_power[:, nodes], room=room - fixed)
        _take(walk, nodes, serve(alone(problem, nodes), there, scale), opened, fixed)
    return _plan(walk)


def _gates(futures: Futures, whole: Whole) -> Array:
    """Where each offer can be ordered as far as its programme goes, (O, N): it runs, has come to its chips, and serves within the plan."""
    problem = futures.problem
    tree = problem.tree
    open_at = np.array([tree.quarter + offer.lead < tree.quarters for offer in problem.offers])
    for row, programme in enumerate(problem.programmes):
        started = along_path(problem, whole.starts[row])
        age = along_path(problem, started) - 1
        leads = np.array([np.inf if case.lead is None else case.lead for case in programme.cases])[futures.case[row]]
        runs = (started > 0.5) & (age >= leads - 0.5) & (along_path(problem, whole.stops[row]) < 0.5)
        open_at[[offer.programme == programme.id for offer in problem.offers]] &= runs
    return open_at


def _opened(problem: Problem, whole: Whole) -> Array:
    """1 where a prepayment brings chips, (B, N)."""
    found = [past(problem, along_path(problem, made), one.lead) for one, made in zip(problem.prepayments, whole.prepaid, strict=True)]
    return np.array(found).reshape(len(found), problem.tree.size)


def _allocations(problem: Problem, opened: Array, nodes: Nodes) -> Array:
    """Chips of each offer that may be ordered, (O, n), prepaid ones among them."""
    found = np.array([offer.allocation[nodes] for offer in problem.offers])
    for row, one in enumerate(problem.prepayments):
        found[[offer.id in one.offers for offer in problem.offers]] += one.chips * opened[row, nodes]
    return found


def _held(walk: Walk, nodes: Nodes) -> Array:
    """Power (S, n) that is held: what was ordered, as far as the sites have it."""
    ordered = walk.power(nodes)
    for index, site in enumerate(walk.problem.sites):
        ordered[index] = np.minimum(ordered[index], site.available[nodes])
    return ordered


def _limit(problem: Problem, nodes: Nodes) -> Array:
    """What can be owed at the end of the quarter."""
    if problem.debt is None:
        return np.zeros(len(nodes))
    return np.where(problem.tree.quarter[nodes] < problem.tree.quarters - 1, problem.debt.limit[nodes], 0.0)


def _due(walk: Walk, nodes: Nodes) -> Array:
    growth = (1 + walk.problem.debt.interest) ** 0.25 if walk.problem.debt else 0.0
    return growth * walk.before(walk.debt, nodes, 1)


def _obligations(walk: Walk, nodes: Nodes, wanted: Wanted) -> UsdByNode:
    """Take what ends into the walk; the cash of what was ordered before, of power held, and of prepayments."""
    problem = walk.problem
    quarter = int(problem.tree.quarter[nodes[0]])
    cash = np.zeros(len(nodes))
    for index, offer in enumerate(problem.offers):
        for place, age in enumerate(ages(problem)):
            walk.ended[index, place, nodes] = wanted.ended[index, place] * walk.before(walk.orders[index], nodes, offer.lead + age)
            if np.any(walk.ended[index, place, nodes]):
                cash += end_payments(problem, index, age)[nodes] * walk.ended[index, place, nodes]
        if offer.kind is ContractKind.ON_DEMAND or not np.any(offer.rent):
            continue
        rent = offer.rent * HOURS
        cash += rent[0] * offer.initial if quarter < lifetime(offer) else 0.0
        for lag in range(offer.lead, min(offer.lead + offer.term, quarter + 1)):
            cash += walk.before(rent * walk.orders[index], nodes, lag)
        for place, age in enumerate(ages(problem)):
            owed = past(problem, rent, offer.lead + age) * walk.ended[index, place]
            for lag in range(min(offer.term - age, quarter + 1)):
                cash -= walk.before(owed, nodes, lag)
    for site, held in zip(problem.sites, _held(walk, nodes), strict=True):
        cash += site.rent[nodes] * HOURS * held
    for row, one in enumerate(problem.prepayments):
        cash += one.price[nodes] * walk.whole.prepaid[row, nodes]
    return cash


def _place(walk: Walk, nodes: Nodes, wanted: Wanted, caps: Array, opened: Array, room: UsdByNode) -> UsdByNode:
    """Place the orders as far as allocation and money go; their cash, with the fees for missing offtake."""
    problem = walk.problem
    spot = np.array([is_spot(offer) for offer in problem.offers])
    orders = np.where(spot[:, None], 0.0, np.minimum(wanted.orders, caps))
    price, reached = _prices(walk, nodes)
    watt = [site.capex[nodes] + (site.rent[nodes] * HOURS if site.lead == 0 else 0.0) for site in problem.sites]
    capex = np.array(watt).reshape(len(problem.sites), len(nodes))
    money = (price * orders).sum(axis=0) + (capex * wanted.site_orders).sum(axis=0)
    left = np.maximum(room - wanted.reserve - _fees(problem, _short(problem, nodes, orders, opened)), 0.0)
    part = np.where(money > left * (1 + 1e-7), np.divide(left, money, out=np.ones_like(money), where=money > 0), 1.0)
    orders = orders * part
    least = np.array([offer.minimum for offer in problem.offers])[:, None]
    decided = problem.decided[nodes]
    orders = np.where((least > 0) & ((orders < least * (1 - 1e-9)) | ~decided), 0.0, orders)
    modules = np.array([site.module for site in problem.sites]).reshape(-1, 1)
    steps = np.where(modules > 0, modules, 1.0)
    whole = np.where(modules > 0, np.floor(wanted.site_orders * part / steps + 1e-6) * steps, wanted.site_orders * part)
    walk.orders[:, nodes], walk.site_orders[:, nodes] = orders, whole
    walk.cheaper[:, :, nodes] = orders[:, None] * reached
    fees = _fees(problem, _short(problem, nodes, orders, opened))
    return np.asarray((price * orders).sum(axis=0) + (capex * whole).sum(axis=0) + fees, dtype=float)


def _short(problem: Problem, nodes: Nodes, orders: Array, opened: Array) -> Array:
    """Chips (B, n) by which orders (O, n) miss the offtake of each prepayment."""
    found = np.zeros((len(problem.prepayments), len(nodes)))
    for row, one in enumerate(problem.prepayments):
        taken = orders[[offer.id in one.offers for offer in problem.offers]].sum(axis=0)
        found[row] = np.maximum(one.offtake * opened[row, nodes] - taken, 0.0)
    return found


def _fees(problem: Problem, short: Array) -> UsdByNode:
    return np.asarray(np.array([one.shortfall for one in problem.prepayments]) @ short, dtype=float)


def _prices(walk: Walk, nodes: Nodes) -> tuple[Array, Array]:
    """Cash at once of one chip ordered (O, n), and whether each tier of its price is reached (O, T, n)."""
    problem = walk.problem
    since = int(problem.tree.quarter[nodes[0]]) % problem.every
    price, reached = np.zeros((len(problem.offers), len(nodes))), np.zeros((*walk.cheaper.shape[:2], len(nodes)))
    for index, offer in enumerate(problem.offers):
        factor, before = np.ones(len(nodes)), 1.0
        if offer.tiers:
            ordered = sum(walk.before(walk.orders[index], nodes, lag) for lag in range(since + 1, problem.tree.quarters))
            for place, tier in enumerate(offer.tiers):
                reached[index, place] = ordered >= tier.volume * (1 - 1e-9)
                factor -= (before - tier.factor) * reached[index, place]
                before = tier.factor
        price[index] = offer.unit_price[nodes] * factor
        if offer.lead == 0 and offer.kind is not ContractKind.ON_DEMAND:
            price[index] += offer.rent[nodes] * HOURS
    return price, reached


def _take(walk: Walk, nodes: Nodes, service: Service, opened: Array, fixed: UsdByNode) -> None:
    """Take the service of a quarter into the walk, with the debt and the fees for offtake that is still missing."""
    problem = walk.problem
    walk.orders[:, nodes] += service.rented
    walk.fleet[:, :, nodes], walk.served[:, :, nodes], walk.unmet[:, nodes] = service.fleet, service.served, service.unmet
    expected = _fees(problem, _short(problem, nodes, walk.orders[:, nodes] - service.rented, opened))
    walk.short[:, nodes] = _short(problem, nodes, walk.orders[:, nodes], opened)
    cash = fixed + service.cash - expected + _fees(problem, walk.short[:, nodes])
    walk.cash[nodes] = cash
    needed = cash + _due(walk, nodes) - problem.budget[nodes]
    walk.debt[nodes] = np.clip(needed, 0.0, _limit(problem, nodes))


def _plan(walk: Walk) -> Plan:
    problem = walk.problem
    names = ("orders", "fleet", "ended", "served", "unmet", "site_orders", "site_power", "cheaper", "short", "debt")
    decisions = {name: getattr(walk, name) for name in names}
    decisions |= {"starts": walk.whole.starts, "stops": walk.whole.stops, "prepaid": walk.whole.prepaid}
    decisions["installed"] = installed_chips(problem, walk.orders, walk.ended)
    spend = spend_by_category(walk.futures, decisions)
    total = np.sum(list(spend.values()), axis=0) * discounts(problem)
    cost = float(total @ problem.tree.probability)
    goal = objective(problem, total)
    return Plan(futures=walk.futures, spend=spend, cost=cost, goal=goal, bound=-np.inf, status=FOLLOWED, **decisions)
