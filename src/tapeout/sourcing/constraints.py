"""The constraints of the sourcing program, one function each, with its inequality.

t is a quarter, o an offer, k a place, m a model; lead and term are those of the offer or site at hand. `arrived` and `left`
count since the first quarter, so every row joins a quarter to few others: on a scenario tree `earlier` becomes the ancestor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapeout.sourcing.finance import HOURS, lifetime, share_weights
from tapeout.sourcing.linear_program import Index, LinearProgram, Term, earlier
from tapeout.sourcing.problem import Array, ContractKind, Offer, Problem, Site
from tapeout.sourcing.variables import Scales, Variables, chips_for_all, initial_chips, module_steps
from tapeout.units import QUARTER, Unit

CHIPS, WATTS, USD, SHARE, DEMAND = Unit("1"), Unit("W"), Unit("USD"), Unit("1"), Unit("query/s")


def arrivals(program: LinearProgram, variables: Variables, problem: Problem) -> None:
    """arrived[o, k, t] = arrived[o, k, t - 1] + orders[o, k, t - lead]."""
    due = np.array([earlier(variables.orders[index], offer.lead) for index, offer in enumerate(problem.offers)])
    program.rows(due.shape, [(variables.arrived, 1), (earlier(variables.arrived, 1), -1), (due, -1)], lower=0, upper=0)


def expired(variables: Variables, problem: Problem) -> tuple[Index, Array]:
    """Chips whose term has ended by quarter t: arrived[o, k, t - term] + initial chips from quarter `initial_term` on, in chips."""
    index = np.array([earlier(variables.arrived[row], offer.term) for row, offer in enumerate(problem.offers)])
    over = np.array([np.arange(len(problem.quarters)) >= lifetime(offer) for offer in problem.offers])
    return index, initial_chips(problem) * over[:, None, :]


def departures(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """left[o, k, t] = expired[o, k, t] for a contract; left[t] >= expired[t] and left[t] >= left[t - 1] for owned chips, oldest first."""
    index, initial = expired(variables, problem)
    initial = initial / scale.chips[:, None, None]
    owned = np.array([offer.owned for offer in problem.offers])
    upper = np.where(owned[:, None, None], np.inf, initial)
    program.rows(index.shape, [(variables.left, 1), (index, -1)], lower=initial, upper=upper)
    retirable = variables.left[owned]
    program.rows(retirable.shape, [(retirable, 1), (earlier(retirable, 1), -1)], lower=0)


def fleet_balance(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """fleet[o, k, t] = initial[o, k] + arrived[o, k, t] - left[o, k, t]."""
    initial = initial_chips(problem) / scale.chips[:, None, None]
    program.rows(initial.shape, [(variables.fleet, 1), (variables.arrived, -1), (variables.left, 1)], lower=initial, upper=initial)


def demand(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over o of served[o, m, t] + unmet[m, t] = demand[m, t]; unmet is 0 where its penalty is infinite."""
    wanted = problem.demand / scale.demand[:, None]
    terms: list[Term] = [(np.moveaxis(variables.served, 0, -1), 1), (variables.unmet, 1)]
    rows = program.rows(wanted.shape, terms, lower=wanted, upper=wanted)
    program.name("demand", rows, (problem.models, problem.quarters), DEMAND, scale.demand[:, None], relief=1)


def service(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over m of served[o, m, t] / throughput[o, m] <= sum over k of fleet[o, k, t]."""
    throughput = np.array([offer.throughput for offer in problem.offers])
    chips = np.divide(scale.demand, throughput, out=np.zeros_like(throughput), where=throughput > 0) / scale.chips[:, None]
    served = np.moveaxis(variables.served, 1, -1)
    program.rows(served.shape[:2], [(served, chips[:, None, :]), (np.moveaxis(variables.fleet, 1, -1), -1)], upper=0)


def allocation(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over k of orders[o, k, t] <= allocation[o, t]."""
    caps = np.array([offer.allocation for offer in problem.offers]) / scale.chips[:, None]
    rows = program.rows(caps.shape, [(np.moveaxis(variables.orders, 1, -1), 1)], upper=caps)
    program.name("allocation", rows, (_names(problem.offers), problem.quarters), CHIPS, scale.chips[:, None])


def programme_starts(program: LinearProgram, variables: Variables) -> None:
    """started[p, t] = started[p, t - 1] + starts[p, t] <= 1: a programme starts at most once."""
    started = variables.started
    program.rows(started.shape, [(started, 1), (earlier(started, 1), -1), (variables.starts, -1)], lower=0, upper=0)


def programme_gate(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over k of orders[o, k, t] <= useful[o, t] x started[p, t - lead of p], for each offer that needs a programme p.

    useful is the allocation, or the chips that would serve all demand where that is less.
    """
    names = [programme.id for programme in problem.programmes]
    gated = [index for index, offer in enumerate(problem.offers) if offer.programme is not None]
    if not gated:
        return
    needed = chips_for_all(problem)
    parents = [names.index(str(problem.offers[index].programme)) for index in gated]
    started = np.array([earlier(variables.started[parent], problem.programmes[parent].lead) for parent in parents])
    useful = np.array([np.minimum(problem.offers[index].allocation, needed[index]) / scale.chips[index] for index in gated])
    rows = program.rows(started.shape, [(np.moveaxis(variables.orders[gated], 1, -1), 1), (started, -useful)], upper=0)
    program.name(
        "programme", rows, (tuple(_names(problem.offers)[index] for index in gated), problem.quarters), CHIPS, scale.chips[gated, None]
    )


def site_power(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over o of power[o] x fleet[o, k, t] <= site_power[k, t]."""
    power = np.array([offer.power for offer in problem.offers]) * scale.chips / scale.power
    terms: list[Term] = [(np.moveaxis(variables.fleet[:, 1:], 0, -1), power), (variables.site_power, -1)]
    rows = program.rows(variables.site_power.shape, terms, upper=0)
    program.name("site power", rows, (_names(problem.sites), problem.quarters), WATTS, scale.power)


def power_balance(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """site_power[k, t] = site_power[k, t - 1] + step[k] x modules[k, t - lead]; the initial power stands before quarter 0."""
    held, steps = variables.site_power, module_steps(problem, scale)[:, None] / scale.power
    due = np.array([earlier(variables.modules[index], site.lead) for index, site in enumerate(problem.sites)], dtype=np.int64).reshape(
        held.shape
    )
    before = np.zeros(held.shape)
    before[:, 0] = [site.initial / scale.power for site in problem.sites]
    program.rows(held.shape, [(held, 1), (earlier(held, 1), -1), (due, -steps)], lower=before, upper=before)


def available_power(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """site_power[k, t] <= available[k, t]."""
    caps = np.array([site.available for site in problem.sites]).reshape(variables.site_power.shape) / scale.power
    rows = program.rows(caps.shape, [(variables.site_power, 1)], upper=caps)
    program.name("available power", rows, (_names(problem.sites), problem.quarters), WATTS, scale.power)


def largest_share(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over o of s, m of weight[m, t] x served[o, m, t] <= largest_share x the same sum over all o, for each supplier s.

    weight[m, t] is the queries of the quarter per query/s of demand, times the weight of a query.
    """
    late = slice(problem.share_from, None)
    suppliers = tuple(dict.fromkeys(offer.supplier for offer in problem.offers))
    if problem.largest_share >= 1 or not problem.quarters[late]:
        return
    weights = share_weights(problem) * scale.demand[:, None]
    weights = weights / (weights.sum(axis=0).max() or 1.0)
    own = (
        np.array([[offer.supplier == supplier for offer in problem.offers] for supplier in suppliers], dtype=float) - problem.largest_share
    )
    served = np.moveaxis(variables.served, -1, 0)[late]
    shape = (len(suppliers), served.shape[0])
    coefficient = own[:, None, :, None] * np.moveaxis(weights, -1, 0)[late][None, :, None, :]
    rows = program.rows(shape, [(np.broadcast_to(served, (shape[0], *served.shape)), coefficient)], upper=0)
    total = (weights * problem.demand / scale.demand[:, None]).sum(axis=0)[late]
    program.name(
        "largest share", rows, (suppliers, problem.quarters[late]), SHARE, np.where(total > 0, 1 / np.where(total > 0, total, 1.0), 1.0)
    )


def commitment(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """commitment[o, t] = commitment[o, t - 1] + rent of the orders that arrive - rent of those whose term ends, at their own prices.

    The initial chips join in quarter 0 and leave after their term. On-demand rent follows the fleet instead.
    """
    for index, offer in enumerate(problem.offers):
        if offer.kind is ContractKind.ON_DEMAND:
            continue
        owed, orders = variables.commitment[index], np.moveaxis(variables.orders[index], 0, -1)
        rent = offer.rent * HOURS * scale.chips[index] / scale.money
        change = np.zeros(len(problem.quarters))
        change[0] = offer.rent[0] * HOURS * offer.initial / scale.money
        change[lifetime(offer) : lifetime(offer) + 1] -= change[0]
        terms: list[Term] = [(owed, 1), (earlier(owed, 1), -1)]
        for lag, sign in ((offer.lead, -1), (offer.lead + offer.term, 1)):
            paid = np.zeros_like(rent)
            paid[lag:] = rent[: max(0, rent.size - lag)]
            terms.append((np.moveaxis(earlier(variables.orders[index], lag), 0, -1), sign * np.broadcast_to(paid[:, None], orders.shape)))
        program.rows(owed.shape, terms, lower=change, upper=change)


def cash(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """cash[t] = rent + price of the chips and the power ordered + upkeep + energy + site rent + programme spend of quarter t."""
    terms: list[Term] = [(variables.cash, -1), (variables.commitment.T, 1)]
    for index, offer in enumerate(problem.offers):
        orders, fleet = variables.orders[index].T, variables.fleet[index].T
        running = offer.upkeep * HOURS + (offer.rent * HOURS if offer.kind is ContractKind.ON_DEMAND else 0.0)
        energy = np.zeros(fleet.shape)
        for place, site in enumerate(problem.sites, start=1):
            energy[:, place] = site.energy * QUARTER * site.load * site.pue * offer.power
        unit = scale.chips[index] / scale.money
        terms += [(orders, offer.unit_price[:, None] * unit), (fleet, (running[:, None] + energy) * unit)]
    for index, (site, step) in enumerate(zip(problem.sites, module_steps(problem, scale), strict=True)):
        terms += [
            (variables.modules[index], site.capex * step / scale.money),
            (variables.site_power[index], site.rent * HOURS * scale.power / scale.money),
        ]
    for index, programme in enumerate(problem.programmes):
        terms += [(earlier(variables.starts[index], age), amount / scale.money) for age, amount in enumerate(programme.spend)]
    program.rows(variables.cash.shape, terms, lower=0, upper=0)


def budget(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """cash[t] <= budget[t]."""
    rows = program.rows(variables.cash.shape, [(variables.cash, 1)], upper=problem.budget / scale.money)
    program.name("budget", rows, (problem.quarters,), USD, scale.money)


def _names(items: Sequence[Offer] | Sequence[Site]) -> tuple[str, ...]:
    return tuple(item.id for item in items)
