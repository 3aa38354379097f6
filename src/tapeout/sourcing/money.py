"""The money of the sourcing program, one function a constraint, with its equation: commitments, cash, budget, debt, cost and its tail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.sourcing.constraints import node_labels
from tapeout.sourcing.finance import HOURS, discount_factors, lifetime, penalty_rates, residual_value, site_residual
from tapeout.sourcing.futures import Futures
from tapeout.sourcing.linear_program import Index, LinearProgram, Term
from tapeout.sourcing.problem import Array, ContractKind, Problem
from tapeout.sourcing.variables import Scales, Variables, ages, module_steps
from tapeout.units import QUARTER, Unit, Usd

USD = Unit("USD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Payments:
    """Cash by node beside that of chips and sites: terms whose index has the nodes first, in units of `scale.money`."""

    terms: Annotated[tuple[Term, ...], Unit("1")] = ()


def past(problem: Problem, values: Array, lag: int) -> Array:
    """Values by node at the ancestor `lag` quarters before, 0 where there is none."""
    nodes = problem.tree.earlier(np.arange(problem.tree.size), lag)
    return np.where(nodes >= 0, values[np.maximum(nodes, 0)], 0.0)


def commitment(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """commitment[o, n] = commitment[o, n - 1] + rent of the orders that arrive - rent of those that end, each at its own price.

    The initial chips join at the root and leave after their term. On-demand rent follows the fleet instead.
    """
    tree = problem.tree
    for index, offer in enumerate(problem.offers):
        owed = variables.commitment[index]
        if not np.any(owed >= 0):
            continue
        rent = offer.rent * HOURS * scale.chips[index] / scale.money
        begin = offer.rent[0] * HOURS * offer.initial / scale.money
        change = np.where(tree.quarter == 0, begin, 0.0) - np.where(tree.quarter == lifetime(offer), begin, 0.0)
        terms: list[Term] = [(owed, 1), (tree.earlier(owed, 1), -1)]
        for lag, sign in ((offer.lead, -1), (offer.lead + offer.term, 1)):
            terms.append((tree.earlier(variables.orders[index], lag), sign * past(problem, rent, lag)))
        for place, age in enumerate(ages(problem)):
            ended, after = variables.ended[index, place], offer.term - age
            terms.append((ended, past(problem, rent, offer.lead + age)))
            terms.append((tree.earlier(ended, max(after, 0)), -past(problem, rent, offer.lead + offer.term)))
        program.rows(owed.shape, terms, lower=change, upper=change, where=owed >= 0)


def _by_node(index: Index, coefficient: Array) -> Term:
    """A term over (..., nodes) with a coefficient a node, nodes first."""
    turned = np.moveaxis(index, -1, 0)
    return turned, np.broadcast_to(coefficient.reshape(-1, *(1,) * (turned.ndim - 1)), turned.shape)


def end_payments(problem: Problem, index: int, age: int) -> Array:
    """What one chip that ends after `age` quarters of service pays (rent still owed x its fee) or brings (negative), by node of its end."""
    offer = problem.offers[index]
    left = max(0, offer.term - age)
    if offer.owned:
        return -past(problem, offer.residual * offer.unit_price, offer.lead + age) * left / offer.term
    fee = offer.cancellation or 0.0
    return past(problem, offer.rent * HOURS, offer.lead + age) * left * fee


def programme_payments(variables: Variables, futures: Futures, scale: Scales) -> Payments:
    """Spend of each programme by its outcome and age; one that has been stopped spends no more."""
    terms: list[Term] = []
    problem = futures.problem
    for index, programme in enumerate(problem.programmes):
        longest = max(len(case.spend) for case in programme.cases)
        table = np.array([np.pad(case.spend, (0, longest - len(case.spend))) for case in programme.cases]) / scale.money
        begun = variables.starts[index][futures.origin]
        for age in range(longest):
            spend = table[futures.case[index], age]
            terms.append((problem.tree.earlier(begun, age), spend))
            for gate, at in enumerate(programme.gates):
                if at <= age:
                    terms.append((problem.tree.earlier(variables.stops[index, gate], age - at), -spend))
    return Payments(terms=tuple(terms))


def cash(program: LinearProgram, variables: Variables, futures: Futures, scale: Scales, further: tuple[Payments, ...]) -> None:
    """cash[n] = rent + price of the chips and the power ordered + upkeep + energy + site rent + programmes + fees - what is sold."""
    problem = futures.problem
    terms: list[Term] = [(variables.cash, -1), (variables.commitment.T, 1)]
    for index, offer in enumerate(problem.offers):
        unit = scale.chips[index] / scale.money
        terms.append((variables.orders[index], offer.unit_price * unit))
        hourly = offer.upkeep * HOURS + (offer.rent * HOURS if offer.kind is ContractKind.ON_DEMAND else 0.0)
        terms.append((variables.running[index], hourly * unit))
        for place, age in enumerate(ages(problem)):
            terms.append((variables.ended[index, place], end_payments(problem, index, age) * unit))
    for index, (site, step) in enumerate(zip(problem.sites, module_steps(problem, scale), strict=True)):
        terms += [
            (variables.modules[index], site.capex * step / scale.money),
            (variables.site_power[index], site.rent * HOURS * scale.power / scale.money),
            _by_node(variables.draw[:, index], site.energy * QUARTER * site.load * site.pue * scale.power / scale.money),
        ]
    for payments in further:
        terms += payments.terms
    program.rows(variables.cash.shape, terms, lower=0, upper=0)


def budget(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """cash[n] + (1 + interest) x debt[n - 1] <= budget[n] + debt[n], debt[n] <= its limit, 0 in the last quarter."""
    terms: list[Term] = [(variables.cash, 1)]
    if problem.debt is not None:
        growth = (1 + problem.debt.interest) ** 0.25
        terms += [(variables.debt, -1), (problem.tree.earlier(variables.debt, 1), growth)]
        program.rows(variables.debt.shape, [(variables.debt, 1)], upper=problem.debt.limit / scale.money, where=variables.debt >= 0)
    where = np.isfinite(problem.budget)
    rows = program.rows(variables.cash.shape, terms, upper=np.where(where, problem.budget, 0.0) / scale.money, where=where)
    program.name("budget", rows, (node_labels(problem),), USD, scale.money)


def node_costs(variables: Variables, problem: Problem, scale: Scales) -> list[Term]:
    """Discounted cost of each node, in units of money, as terms with the nodes last.

    Cash, interest and penalties, less what chips and sites ordered in it are worth after the last quarter unless they are sold before.
    """
    factors = discount_factors(problem)[problem.tree.quarter]
    last = discount_factors(problem)[-1]
    rates = np.where(np.isfinite(penalty_rates(problem)), penalty_rates(problem), 0.0)
    terms: list[Term] = [(variables.cash, factors), (variables.unmet, factors * rates * scale.demand[:, None] / scale.money)]
    if problem.debt is not None:
        interest = (1 + problem.debt.interest) ** 0.25 - 1
        terms.append((problem.tree.earlier(variables.debt, 1), factors * interest))
    for index, offer in enumerate(problem.offers):
        worth = residual_value(problem, offer) * scale.chips[index] / scale.money
        if np.any(worth > 0):
            terms.append((variables.orders[index], -last * worth))
            for place, age in enumerate(ages(problem)):
                terms.append((variables.ended[index, place], last * past(problem, worth, offer.lead + age)))
    for index, step in enumerate(module_steps(problem, scale)):
        terms.append((variables.modules[index], -last * site_residual(problem, index) * step / scale.money))
    return terms


def objective(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Min (1 - w) x sum over n of probability[n] x cost[n] + w x (eta + sum over leaves of probability x excess / tail).

    spent[n] = spent[n - 1] + cost[n], excess[leaf] >= spent[leaf] - eta, excess >= 0: the mean of the worst `tail` share of the futures
    (conditional value at risk), for a risk of weight w.
    """
    terms, tree, risk = node_costs(variables, problem, scale), problem.tree, problem.risk
    weight = risk.weight if risk else 0.0
    program.constant = -initial_residual(problem) / scale.money
    for index, coefficient in terms:
        program.add_cost(index, np.asarray(coefficient) * tree.probability * (1 - weight))
    if risk is None or weight == 0:
        return
    spent = program.variables((tree.size,), lower=-np.inf)
    flat = [(np.moveaxis(index, -1, 0), np.moveaxis(np.broadcast_to(coefficient, index.shape), -1, 0)) for index, coefficient in terms]
    program.rows((tree.size,), [(spent, -1), (tree.earlier(spent, 1), 1), *flat], lower=0, upper=0)
    eta, excess = program.variables((1,), lower=-np.inf), program.variables(tree.leaves.shape)
    program.rows(excess.shape, [(spent[tree.leaves], 1), (np.broadcast_to(eta, excess.shape), -1), (excess, -1)], upper=0)
    program.add_cost(eta, weight)
    program.add_cost(excess, weight * tree.probability[tree.leaves] / risk.tail)


def initial_residual(problem: Problem) -> Usd:
    """Present value of what the initial owned chips are worth after the last quarter."""
    quarters = len(problem.quarters)
    worth = [
        offer.residual * offer.unit_price[0] * offer.initial * max(0, lifetime(offer) - quarters) / offer.term for offer in problem.offers
    ]
    return float(discount_factors(problem)[-1] * sum(worth))
