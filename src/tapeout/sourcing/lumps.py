"""Decisions that come whole: tiers of a price that falls with volume, least orders, prepayments for capacity. One function each.

Each is taken in quarters of decision, with a binary variable; n is a node, d(n) the node of the last quarter of decision up to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.sourcing.constraints import most_ordered
from tapeout.sourcing.linear_program import Index, LinearProgram, Term
from tapeout.sourcing.money import Payments
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.variables import Scales, Variables
from tapeout.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebates:
    """`cheaper` (O, T, N) are the chips ordered that get the rebate of each tier of their offer."""

    cheaper: Index
    payments: Payments


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepaid:
    """`made` (B, N) is 1 where a prepayment is made, `short` (B, N) in units of `size` (B,) the chips missing to its offtake.

    `terms` are, by offer, what that adds to its allocation (negative), for its rows.
    """

    made: Index
    short: Index
    size: Annotated[Array, Unit("1")]
    terms: Annotated[tuple[tuple[Term, ...], ...], Unit("1")]
    payments: Payments


def least_orders(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """Minimum x placed[o, n] <= orders[o, n] <= useful x placed[o, n], placed 0 or 1, where an offer has a minimum."""
    for index, offer in enumerate(problem.offers):
        if offer.minimum <= 0:
            continue
        orders = variables.orders[index]
        where, most = orders >= 0, most_ordered(problem, index) / scale.chips[index]
        placed = program.variables((problem.tree.size,), where=where, upper=1.0, integer=True)
        program.rows(placed.shape, [(orders, 1), (placed, -most)], upper=0, where=where)
        program.rows(placed.shape, [(orders, 1), (placed, -offer.minimum / scale.chips[index])], lower=0, where=where)


def tiers(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> Rebates:
    """A rebate of (factor of the tier before - factor) x price for each chip ordered where a tier is reached.

    volume x reached[j, n] <= chips ordered before n, in quarters of decision; cheaper[j, n] <= orders[n], <= useful x reached[j, d(n)].
    """
    terms: list[Term] = []
    tree = problem.tree
    since = tree.quarter % problem.every
    most = max((len(offer.tiers) for offer in problem.offers), default=0)
    rebated = np.full((len(problem.offers), most, tree.size), -1)
    for index, offer in enumerate(problem.offers):
        if not offer.tiers:
            continue
        orders = variables.orders[index]
        where, useful = orders >= 0, most_ordered(problem, index) / scale.chips[index]
        ordered = program.variables((tree.size,))
        program.rows(ordered.shape, [(ordered, 1), (tree.earlier(ordered, 1), -1), (orders, -1)], lower=0, upper=0)
        before = 1.0
        for place, tier in enumerate(offer.tiers):
            reached = program.variables((tree.size,), where=problem.decided, upper=1.0, integer=True)
            volume = tier.volume / scale.chips[index]
            program.rows(reached.shape, [(reached, volume), (tree.earlier(ordered, 1), -1)], upper=0, where=reached >= 0)
            cheaper = rebated[index, place] = program.variables((tree.size,), where=where)
            program.rows(cheaper.shape, [(cheaper, 1), (orders, -1)], upper=0, where=where)
            program.rows(cheaper.shape, [(cheaper, 1), (tree.earlier(reached, since), -useful)], upper=0, where=where)
            terms.append((cheaper, -(before - tier.factor) * offer.unit_price * scale.chips[index] / scale.money))
            before = tier.factor
    return Rebates(cheaper=rebated, payments=Payments(terms=tuple(terms)))


def prepayments(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> Prepaid:
    """made[b, n] 0 or 1, once; open[b, n] = sum of made up to n - lead; offtake x open <= orders of its offers + short, at a fee each."""
    tree = problem.tree
    window = np.array([(one.first <= tree.quarter) & (tree.quarter <= one.last) & problem.decided for one in problem.prepayments])
    window = window.reshape(len(problem.prepayments), tree.size)
    made = program.variables(window.shape, where=window, upper=1.0, integer=True)
    ever = program.variables(window.shape, upper=1.0)
    program.rows(made.shape, [(ever, 1), (tree.earlier(ever, 1), -1), (made, -1)], lower=0, upper=0)
    terms: list[Term] = []
    missing = np.full(window.shape, -1)
    size = np.array([max(one.offtake, 1.0) for one in problem.prepayments])
    added: list[list[Term]] = [[] for _ in problem.offers]
    for index, one in enumerate(problem.prepayments):
        terms.append((made[index], one.price / scale.money))
        open_now = tree.earlier(ever[index], one.lead)
        taken: list[Term] = []
        for place, offer in enumerate(problem.offers):
            if offer.id in one.offers:
                added[place].append((open_now, -one.chips / scale.chips[place]))
                taken.append((variables.orders[place], -scale.chips[place]))
        if one.offtake > 0:
            short = missing[index] = program.variables((tree.size,), where=open_now >= 0)
            due: list[Term] = [(open_now, one.offtake / size[index]), (short, -1)]
            due += [(orders, chips / size[index]) for orders, chips in taken]
            program.rows(short.shape, due, upper=0, where=open_now >= 0)
            terms.append((short, np.full(tree.size, one.shortfall * size[index] / scale.money)))
    return Prepaid(made=made, short=missing, size=size, terms=tuple(tuple(one) for one in added), payments=Payments(terms=tuple(terms)))
