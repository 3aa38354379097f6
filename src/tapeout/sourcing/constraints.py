"""The physical constraints of the sourcing program, one function each, with its inequality.

n is a node, o an offer, k a place, m a model; n - lag is its ancestor that many quarters before; lead and term are those of the offer or
site at hand, and a runs over the whole years after which chips can be sold or given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from tapeout.outlook.tree import Tree
from tapeout.sourcing.finance import lifetime, share_weights
from tapeout.sourcing.futures import Futures
from tapeout.sourcing.linear_program import Index, LinearProgram, Term
from tapeout.sourcing.problem import Array, Offer, Problem, Site
from tapeout.sourcing.variables import Scales, Variables, ages, chips_for_all, module_steps, site_groups
from tapeout.units import Unit

CHIPS, WATTS, SHARE, DEMAND = Unit("1"), Unit("W"), Unit("1"), Unit("query/s")
CHORDS = np.linspace(0.0, 1.0, 21)


def node_labels(problem: Problem) -> tuple[str, ...]:
    """The quarter of each node with the branches that lead to it."""
    return _labels(problem.tree, problem.quarters)


@lru_cache(maxsize=4)
def _labels(tree: Tree, quarters: tuple[str, ...]) -> tuple[str, ...]:
    words = [tree.words(node) for node in range(tree.size)]
    return tuple(
        f"{quarters[quarter]} ({branch})" if branch else quarters[quarter]
        for quarter, branch in zip(tree.quarter.tolist(), words, strict=True)
    )


def fleet_balance(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """installed[n] = installed[n - 1] + orders[n - lead] - those of them whose term ends - sum over a of ended[a, n].

    Those whose term ends are orders[n - lead - term] less what was ended before; the initial chips join at the root and leave after
    their term.
    """
    tree, steps = problem.tree, ages(problem)
    for index, offer in enumerate(problem.offers):
        installed, orders, ended = variables.installed[index], variables.orders[index], variables.ended[index]
        initial = offer.initial / scale.chips[index]
        change = np.where(tree.quarter == 0, initial, 0.0) - np.where(tree.quarter == lifetime(offer), initial, 0.0)
        terms: list[Term] = [
            (installed, 1),
            (tree.earlier(installed, 1), -1),
            (tree.earlier(orders, offer.lead), -1),
            (tree.earlier(orders, offer.lead + offer.term), 1),
        ]
        for place, age in enumerate(steps):
            if age < offer.term:
                terms += [(ended[place], 1), (tree.earlier(ended[place], offer.term - age), -1)]
        program.rows(installed.shape, terms, lower=change, upper=change)


def early_ends(program: LinearProgram, variables: Variables, problem: Problem) -> None:
    """Sum over b <= a of ended[b, n - a + b] <= orders[n - lead - a]: no chip of an order ends twice."""
    steps = ages(problem)
    for index, offer in enumerate(problem.offers):
        for place, age in enumerate(steps):
            ended = variables.ended[index]
            terms: list[Term] = [(problem.tree.earlier(variables.orders[index], offer.lead + age), -1)]
            terms += [(problem.tree.earlier(ended[other], age - steps[other]), 1) for other in range(place + 1)]
            program.rows(ended[place].shape, terms, upper=0, where=ended[place] >= 0)


def running(program: LinearProgram, variables: Variables, problem: Problem) -> None:
    """running[o, n] <= installed[o, n]: chips that the company owns may stand idle; what it rents is paid anyway."""
    owned = np.array([offer.owned for offer in problem.offers])
    held = variables.installed[owned]
    program.rows(held.shape, [(variables.running[owned], 1), (held, -1)], upper=0, where=held >= 0)


def demand(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over o of served[o, m, n] + unmet[m, n] = demand[m, n]; unmet is 0 where its penalty is infinite."""
    wanted = problem.demand / scale.demand[:, None]
    terms: list[Term] = [(np.moveaxis(variables.served, 0, -1), 1), (variables.unmet, 1)]
    rows = program.rows(wanted.shape, terms, lower=wanted, upper=wanted)
    program.name("demand", rows, (problem.models, node_labels(problem)), DEMAND, scale.demand[:, None], relief=1)


def service(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> Index:
    """Sum over m of served[o, m, n] / throughput[o, m] <= running[o, n]; the rows (O, N)."""
    throughput = np.array([offer.throughput for offer in problem.offers])
    chips = np.divide(scale.demand, throughput, out=np.zeros_like(throughput), where=throughput > 0) / scale.chips[:, None]
    served = np.moveaxis(variables.served, 1, -1)
    terms: list[Term] = [(served, chips[:, None, :]), (variables.running, -1)]
    return program.rows(served.shape[:2], terms, upper=0, where=(served >= 0).any(axis=-1))


def allocation(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales, prepaid: Sequence[Sequence[Term]]) -> None:
    """orders[o, n] <= allocation[o, n] + chips of each prepayment for o that has been made `lead` quarters before."""
    rows = []
    for index, offer in enumerate(problem.offers):
        orders = variables.orders[index]
        where = (orders >= 0) & np.isfinite(offer.allocation)
        caps = np.where(where, offer.allocation, 0.0) / scale.chips[index]
        rows.append(program.rows((problem.tree.size,), [(orders, 1), *prepaid[index]], upper=caps, where=where))
    program.name("allocation", np.array(rows), (_names(problem.offers), node_labels(problem)), CHIPS, scale.chips[:, None])


def programme_gate(program: LinearProgram, variables: Variables, futures: Futures, scale: Scales) -> None:
    """orders[o, n] <= useful[o, n] x alive[p, n], and served[o, m, n] <= demand[m, n] x come[p, n - lead of o].

    For each offer that needs a programme p. The second is needless for whole starts; without it, a small part of a start would serve nearly
    all in the relaxation, and the bound be low.
    """
    problem = futures.problem
    gated, rows, service = [index for index, offer in enumerate(problem.offers) if offer.programme is not None], [], []
    wanted = problem.demand / scale.demand[:, None]
    for index in gated:
        offer = problem.offers[index]
        useful = most_ordered(problem, index) / scale.chips[index]
        orders, served = variables.orders[index], variables.served[index]
        limit: list[Term] = [(alive, -sign * useful) for alive, sign in _alive(variables, futures, offer)]
        rows.append(program.rows((problem.tree.size,), [(orders, 1), *limit], upper=0, where=orders >= 0))
        later = [(np.broadcast_to(come, served.shape), -sign * wanted) for come, sign in _come(variables, futures, offer)]
        service.append(program.rows(served.shape, [(served, 1), *later], upper=0, where=served >= 0))
    if gated:
        names = tuple(problem.offers[index].id for index in gated)
        program.name("programme", np.array(rows), (names, node_labels(problem)), CHIPS, scale.chips[gated, None])
        labels = (names, problem.models, node_labels(problem))
        program.name("programme service", np.array(service), labels, DEMAND, scale.demand[:, None])


def _alive(variables: Variables, futures: Futures, offer: Offer) -> list[tuple[Index, float]]:
    """alive[p, n] = started[p, n - lead] - all stops of such starts: 1 where chips of the programme of an offer can be ordered."""
    leads = _leads(futures, offer)
    return _begun(variables, futures, offer, leads, np.full(leads.shape, futures.problem.tree.quarters))


def _come(variables: Variables, futures: Futures, offer: Offer) -> list[tuple[Index, float]]:
    """come[p, n - lead of o] = started[p, that - lead] - stops up to the first order of such starts; chips ordered before a stop stay."""
    leads = _leads(futures, offer)
    return _begun(variables, futures, offer, leads + offer.lead, leads)


def _leads(futures: Futures, offer: Offer) -> Index:
    """Quarters from a start to the first order of an offer, by node (N,), by the outcome there; the whole horizon where it never comes."""
    problem, parent = futures.problem, _parent(futures.problem, offer)
    leads = np.array([problem.tree.quarters if one.lead is None else one.lead for one in problem.programmes[parent].cases])
    return np.asarray(leads[futures.case[parent]])


def _parent(problem: Problem, offer: Offer) -> int:
    return [programme.id for programme in problem.programmes].index(str(offer.programme))


def _begun(variables: Variables, futures: Futures, offer: Offer, before: Index, last: Index) -> list[tuple[Index, float]]:
    """Starts at least `before` quarters ago, less those that were stopped at a gate no later than `last` after their start; both by node.

    A stop at gate g, b quarters before n, ended a start b + g before n.
    """
    problem, parent = futures.problem, _parent(futures.problem, offer)
    terms = [(problem.tree.earlier(variables.started[parent][futures.origin], before), 1.0)]
    for gate, age in enumerate(problem.programmes[parent].gates):
        stops = variables.stops[parent, gate]
        for after in range(problem.tree.quarters):
            ended = np.where((after + age >= before) & (age <= last), problem.tree.earlier(stops, after), -1)
            if np.any(ended >= 0):
                terms.append((ended, -1.0))
    return terms


def most_ordered(problem: Problem, index: int) -> Array:
    """The most chips of an offer that an order can be good for, (N,): what is allocated or prepaid, and no more than is of use.

    Of use are the chips that would serve all demand, the least order, and the chips of an offtake.
    """
    offer = problem.offers[index]
    prepaid = [one for one in problem.prepayments if offer.id in one.offers]
    useful = max(float(chips_for_all(problem)[index]), offer.minimum, sum(one.offtake for one in prepaid))
    return np.asarray(np.minimum(offer.allocation + sum(one.chips for one in prepaid), useful), dtype=float)


def programme_starts(program: LinearProgram, variables: Variables, futures: Futures) -> None:
    """started[p, e] = started[p, e - 1] + starts[p, e] <= 1: a programme starts at most once; it stops only where it stands at a gate."""
    started, world, problem = variables.started, futures.world.tree, futures.problem
    where = started >= 0
    program.rows(started.shape, [(started, 1), (world.earlier(started, 1), -1), (variables.starts, -1)], lower=0, upper=0, where=where)
    for index, programme in enumerate(problem.programmes):
        for gate, age in enumerate(programme.gates):
            stop = variables.stops[index, gate]
            begun = problem.tree.earlier(variables.starts[index][futures.origin], age)
            before = [
                (problem.tree.earlier(variables.stops[index, other], age - programme.gates[other]), 1)
                for other in range(len(programme.gates))
                if programme.gates[other] < age
            ]
            program.rows(stop.shape, [(stop, 1), *before, (begun, -1)], upper=0, where=stop >= 0)


def site_power(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over o in g of power[o] x running[o, n] = sum over k of draw[g, k, n]; sum over groups g of draw[g, k, n] <= site_power[k, n]."""
    power = np.array([offer.power for offer in problem.offers]) * scale.chips / scale.power
    for index, group in enumerate(site_groups(problem)):
        inside = np.array([not offer.hosted and offer.sites == group for offer in problem.offers])
        terms: list[Term] = [(variables.running[inside].T, power[inside]), (variables.draw[index].T, -1)]
        program.rows((problem.tree.size,), terms, lower=0, upper=0)
    held: list[Term] = [(np.moveaxis(variables.draw, 0, -1), 1), (variables.site_power, -1)]
    rows = program.rows(variables.site_power.shape, held, upper=0)
    program.name("site power", rows, (_names(problem.sites), node_labels(problem)), WATTS, scale.power)


def power_balance(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """site_power[k, n] = site_power[k, n - 1] + step[k] x modules[k, n - lead]; the initial power stands before quarter 0."""
    steps = module_steps(problem, scale) / scale.power
    for index, site in enumerate(problem.sites):
        held = variables.site_power[index]
        due = problem.tree.earlier(variables.modules[index], site.lead)
        first = np.where(problem.tree.quarter == 0, site.initial / scale.power, 0.0)
        program.rows(held.shape, [(held, 1), (problem.tree.earlier(held, 1), -1), (due, -steps[index])], lower=first, upper=first)


def available_power(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """site_power[k, n] <= available[k, n]."""
    caps = np.array([site.available for site in problem.sites]).reshape(variables.site_power.shape) / scale.power
    rows = program.rows(caps.shape, [(variables.site_power, 1)], upper=caps)
    program.name("available power", rows, (_names(problem.sites), node_labels(problem)), WATTS, scale.power)


def supplier_shares(problem: Problem, variables: Variables, scale: Scales) -> tuple[tuple[str, ...], Index, Array, Array]:
    """Suppliers; the nodes in which shares count, (T,); the coefficients of `served` there, (T, O, M), so that they sum to `total` (T,)."""
    late = np.flatnonzero(problem.tree.quarter >= problem.share_from)
    suppliers = tuple(dict.fromkeys(offer.supplier for offer in problem.offers))
    weights = (share_weights(problem) * scale.demand[:, None])[:, late]
    weights = weights / (weights.sum(axis=0).max(initial=0.0) or 1.0)
    total = (weights * problem.demand[:, late] / scale.demand[:, None]).sum(axis=0)
    return suppliers, late, np.repeat(weights.T[:, None, :], len(problem.offers), axis=1), total


def largest_share(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over o of s, m of weight[m, n] x served[o, m, n] <= largest_share x the same sum over all o, for each supplier s.

    weight[m, n] is the queries of the quarter per query/s of demand, times the weight of a query.
    """
    suppliers, late, weights, total = supplier_shares(problem, variables, scale)
    if problem.largest_share >= 1 or not late.size:
        return
    own = (
        np.array([[offer.supplier == supplier for offer in problem.offers] for supplier in suppliers], dtype=float) - problem.largest_share
    )
    served = np.moveaxis(variables.served[..., late], -1, 0)
    coefficient = own[:, None, :, None] * weights[None]
    rows = program.rows((len(suppliers), late.size), [(np.broadcast_to(served, (len(suppliers), *served.shape)), coefficient)], upper=0)
    labels = node_labels(problem)
    size = np.where(total > 0, 1 / np.where(total > 0, total, 1.0), 1.0)
    program.name("largest share", rows, (suppliers, tuple(labels[node] for node in late)), SHARE, size)


def concentration(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Sum over suppliers of square[s, n] <= concentration, square >= every chord of share^2 between twentieths, share of all that is asked.

    A chord lies above the square, by at most (1/40)^2, so the index itself is never above its limit.
    """
    suppliers, late, weights, total = supplier_shares(problem, variables, scale)
    if problem.concentration >= 1 or not late.size:
        return
    square = program.variables((len(suppliers), late.size))
    share = np.where(total > 0, 1 / np.where(total > 0, total, 1.0), 0.0)
    served = np.moveaxis(variables.served[..., late], -1, 0)
    for index, supplier in enumerate(suppliers):
        own = np.array([offer.supplier == supplier for offer in problem.offers], dtype=float)
        part = weights * own[None, :, None] * share[:, None, None]
        for low, high in pairwise(CHORDS.tolist()):
            program.rows((late.size,), [(square[index], -1), (served, part * (low + high))], upper=low * high)
    rows = program.rows((late.size,), [(square.T, 1)], upper=problem.concentration)
    labels = node_labels(problem)
    program.name("concentration", rows, (tuple(labels[node] for node in late),), SHARE)


def _names(items: Sequence[Offer] | Sequence[Site]) -> tuple[str, ...]:
    return tuple(item.id for item in items)
