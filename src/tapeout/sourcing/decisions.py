"""From the values of a solved program to a plan: decisions made consistent to the last digit, then priced."""

from __future__ import annotations

import numpy as np

from tapeout.sourcing.accounts import along_path, spend_by_category
from tapeout.sourcing.finance import lifetime
from tapeout.sourcing.linear_program import Index
from tapeout.sourcing.model import Model
from tapeout.sourcing.money import past
from tapeout.sourcing.plan import Plan, discounts
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.solver import Outcome
from tapeout.sourcing.variables import ages, module_steps, site_groups
from tapeout.units import Usd

NEGLIGIBLE = 1e-9


def read(values: Array, index: Index) -> Array:
    """The values of variables, 0 where there is none, without the solver's dust, which an infinite penalty would make an infinite cost."""
    found = np.where(index >= 0, values[np.maximum(index, 0)], 0.0)
    return np.where(found > NEGLIGIBLE, found, 0.0)


def plan_of(model: Model, values: Array, bound: Usd, outcome: Outcome) -> Plan:
    """The plan that `values` say; `bound` is a dual bound of what is minimised, in USD."""
    problem, variables, scale = model.futures.problem, model.variables, model.scale
    chips = scale.chips[:, None]
    orders = read(values, variables.orders) * chips
    ended = np.array(read(values, variables.ended) * chips[..., None])
    no_more_than_ordered(problem, orders, ended)
    installed = installed_chips(problem, orders, ended)
    running = np.minimum(read(values, variables.running) * chips, installed)
    rented = np.array([not offer.owned for offer in problem.offers])
    running[rented] = installed[rented]
    fleet = by_place(problem, running, read(values, variables.draw))
    served = read(values, variables.served) * scale.demand[:, None]
    unmet = problem.demand - served.sum(axis=0)
    decisions = {
        "orders": orders,
        "installed": installed,
        "fleet": fleet,
        "ended": ended,
        "served": served,
        "unmet": np.where(unmet > NEGLIGIBLE * scale.demand[:, None], unmet, 0.0),
        "starts": np.round(read(values, variables.starts))[:, model.futures.origin],
        "stops": np.round(read(values, variables.stops)).sum(axis=1),
        "prepaid": np.round(read(values, model.prepaid.made)),
        "cheaper": read(values, model.rebates.cheaper) * chips[..., None],
        "short": read(values, model.prepaid.short) * model.prepaid.size[:, None],
        "debt": read(values, variables.debt) * scale.money,
    } | _power(model, values)
    spend = spend_by_category(model.futures, decisions)
    total = np.sum(list(spend.values()), axis=0) * discounts(problem)
    cost = float(total @ problem.tree.probability)
    goal = objective(problem, total)
    return Plan(futures=model.futures, spend=spend, cost=cost, goal=goal, bound=min(bound, goal), status=outcome.value, **decisions)


def objective(problem: Problem, discounted: Array) -> Usd:
    """What is minimised: the expected sum of the discounted cost of each node, weighed with the mean of the worst futures."""
    tree, risk = problem.tree, problem.risk
    mean = float(discounted @ tree.probability)
    if risk is None or risk.weight == 0:
        return mean
    costs = along_path(problem, discounted)[tree.leaves]
    return (1 - risk.weight) * mean + risk.weight * tail_mean(costs, tree.probability[tree.leaves], risk.tail)


def tail_mean(costs: Array, probability: Array, tail: float) -> Usd:
    """The mean cost of the worst `tail` share of the futures: conditional value at risk.

    >>> round(tail_mean(np.array([1.0, 2.0, 10.0]), np.array([0.5, 0.4, 0.1]), 0.2), 9)
    6.0
    """
    worst = np.argsort(-costs, kind="stable")
    share = np.minimum(probability[worst], np.maximum(0.0, tail - np.concatenate(([0.0], np.cumsum(probability[worst])[:-1]))))
    return float(share @ costs[worst]) / tail


def installed_chips(problem: Problem, orders: Array, ended: Array) -> Array:
    """Chips that are there, (O, N), walked exactly from what was ordered and what ended."""
    time, quarters = problem.tree.quarter, problem.tree.quarters
    installed = np.zeros_like(orders)
    for index, offer in enumerate(problem.offers):
        installed[index] = offer.initial * (time < lifetime(offer))
        for lag in range(offer.lead, min(offer.lead + offer.term, quarters)):
            installed[index] += past(problem, orders[index], lag)
        for step, age in enumerate(ages(problem)):
            for after in range(max(0, min(offer.term - age, quarters))):
                installed[index] -= past(problem, ended[index, step], after)
    return np.where(installed > NEGLIGIBLE * np.maximum(1.0, orders.max(axis=-1, keepdims=True)), installed, 0.0)


def by_place(problem: Problem, running: Array, draw: Array) -> Array:
    """The chips that run, by place (O, K, N): the offers of a group are spread over its sites alike, as their power is."""
    fleet = np.zeros((running.shape[0], len(problem.sites) + 1, running.shape[1]))
    groups = site_groups(problem)
    for index, offer in enumerate(problem.offers):
        if offer.hosted:
            fleet[index, 0] = running[index]
            continue
        part = draw[groups.index(offer.sites)]
        total = part.sum(axis=0)
        first = np.zeros(part.shape)
        first[[site.id for site in problem.sites].index(offer.sites[0])] = 1.0
        fleet[index, 1:] = running[index] * np.where(total > 0, part / np.where(total > 0, total, 1.0), first)
    return fleet


def no_more_than_ordered(problem: Problem, orders: Array, ended: Array) -> None:
    """Cut what ends, in place, to what is left of its order: the solver keeps to that only within its tolerance."""
    steps = ages(problem)
    for index, offer in enumerate(problem.offers):
        for step, age in enumerate(steps):
            left = past(problem, orders[index], offer.lead + age)
            for other in range(step):
                left = left - past(problem, ended[index, other], age - steps[other])
            ended[index, step] = np.minimum(ended[index, step], np.maximum(left, 0.0))


def _power(model: Model, values: Array) -> dict[str, Array]:
    """Power ordered and held at the sites, (S, N) in W, in whole modules where a site has them."""
    problem, steps = model.futures.problem, module_steps(model.futures.problem, model.scale)
    orders = read(values, model.variables.modules)
    held = np.zeros_like(orders)
    for index, site in enumerate(problem.sites):
        orders[index] = (np.round(orders[index]) if site.module > 0 else orders[index]) * steps[index]
        held[index] = site.initial + past(problem, along_path(problem, orders[index]), site.lead)
    return {"site_orders": orders, "site_power": held}
