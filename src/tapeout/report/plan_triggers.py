"""On what a decision depends: the conditions that hold at the nodes where it is taken, and at no other node of its quarter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tapeout.outlook.tree import Nodes
from tapeout.report.numbers import MEGAWATTS, USD_EXACT, NumberStyle
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem

MARGIN = 0.02
"""A value tells nodes apart where it differs by more than this share: thresholds are written with three digits."""
MOST_AT_ONCE = 3
QUERIES = NumberStyle(suffix=" query/s")
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    """Words that are true wherever the decision is taken; `excludes` (I,) are the nodes without it where they are not."""

    words: str
    excludes: Mask
    named: bool = False


def condition(plan: Plan, taken: Nodes, other: Nodes) -> str:
    """What is true at the nodes `taken` and at none of `other`, all of one quarter: thresholds or branches; empty where `other` is.

    The fewest conditions are chosen, and where one does, demand comes before the names of branches, and these before prices. Where no
    conditions hold at all of them alone, the branches that lead there are listed.
    """
    if not len(other):
        return ""
    found = list(_conditions(plan, taken, other))
    for count in range(1, MOST_AT_ONCE + 1):
        for chosen in combinations(found, count):
            if np.logical_or.reduce([one.excludes for one in chosen]).all():
                return " and ".join(one.words for one in chosen) + _also(chosen, found)
    words = list(dict.fromkeys(plan.problem.tree.words(int(node)) for node in taken))
    return " or ".join(f"({word})" for word in words[:3]) + (f" or {len(words) - 3} other branches" if len(words) > 3 else "")


def _also(chosen: tuple[_Condition, ...], found: list[_Condition]) -> str:
    """The branch that says the same as a single threshold."""
    if len(chosen) > 1 or chosen[0].named:
        return ""
    return next((f" ({one.words})" for one in found if one.named and one.excludes.all()), "")


def _conditions(plan: Plan, taken: Nodes, other: Nodes) -> Iterator[_Condition]:
    values = list(_observed(plan.problem))
    demands = 1 + len(plan.problem.models)
    yield from _thresholds(values[:demands], taken, other)
    yield from _branches(plan, taken, other)
    yield from _thresholds(values[demands:], taken, other)


def _thresholds(values: list[tuple[str, NumberStyle, Array]], taken: Nodes, other: Nodes) -> Iterator[_Condition]:
    for name, style, known in values:
        here, there = known[taken], known[other]
        below, above = there < here.min() * (1 - MARGIN), there > here.max() * (1 + MARGIN)
        if below.any():
            yield _Condition(words=f"{name} is above {style.show((here.min() + there[below].max()) / 2)}", excludes=below)
        if above.any():
            yield _Condition(words=f"{name} is below {style.show((here.max() + there[above].min()) / 2)}", excludes=above)


def _branches(plan: Plan, taken: Nodes, other: Nodes) -> Iterator[_Condition]:
    tree = plan.problem.tree
    since = tree.quarter[taken[0]]
    for lag in range(int(since) + 1):
        ways = tree.above[taken, lag]
        names = {tree.names[way] for way in ways}
        name = names.pop()
        if names or not name:
            continue
        missing = np.array([tree.names[way] != name for way in tree.above[other, lag]])
        if missing.any():
            yield _Condition(words=f"{name} in {plan.problem.quarters[since - lag]}", excludes=missing, named=True)


def _observed(problem: Problem) -> Iterator[tuple[str, NumberStyle, Array]]:
    """What can be seen at a node: demand, then prices and allocations of offers, and the power on offer at sites."""
    yield "peak demand", QUERIES, problem.demand.sum(axis=0)
    for name, demand in zip(problem.models, problem.demand, strict=True):
        yield f"peak demand of {name}", QUERIES, demand
    for offer in problem.offers:
        yield f"the price of {offer.id}", USD_EXACT, offer.unit_price
        yield f"the rent of {offer.id}", NumberStyle(prefix="$", suffix=" an hour"), offer.rent
    for offer in problem.offers:
        if np.isfinite(offer.allocation).all():
            yield f"the allocation of {offer.id}", NumberStyle(suffix=" chips"), offer.allocation
    for site in problem.sites:
        if np.isfinite(site.available).all():
            yield f"power on offer at {site.id}", MEGAWATTS, site.available
