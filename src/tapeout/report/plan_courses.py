"""How programmes may go in a plan: when each starts, how it turns out, when its chips can be ordered or it is stopped, how likely."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tapeout.sourcing.plan import Plan
from tapeout.units import Dimensionless, Usd

UNKNOWN = "not known by the end"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One way that a programme goes. Quarters count from 0; `first_orders` and `serves` are None where there are no chips in the plan.

    `serves` is the first quarter in which its chips can serve, `spend` what is paid within the quarters of the plan, not discounted.
    """

    programme: str
    outcome: str
    start: int
    stop: int | None
    first_orders: int | None
    serves: int | None
    probability: Dimensionless
    spend: Usd


def courses(plan: Plan) -> tuple[Course, ...]:
    """The courses of all programmes that are started somewhere, the earliest start first; equal ones are one."""
    found: dict[tuple[str, int, str, int | None, int | None], Course] = {}
    for one in (each for leaf in courses_by_leaf(plan) for each in leaf):
        key = (one.programme, one.start, one.outcome, one.stop, one.first_orders)
        known = found.get(key)
        found[key] = replace(one, probability=one.probability + known.probability) if known else one
    return tuple(sorted(found.values(), key=lambda one: (one.start, one.programme, one.serves is None, one.serves or 0, one.outcome)))


def courses_by_leaf(plan: Plan) -> tuple[tuple[Course, ...], ...]:
    """The courses of the programmes that are started on the path to each leaf, with its probability."""
    tree = plan.problem.tree
    return tuple(
        tuple(_course(plan, row, leaf) for row in np.flatnonzero(plan.starts[:, tree.above[leaf]].sum(axis=1) > 0.5).tolist())
        for leaf in tree.leaves.tolist()
    )


def _course(plan: Plan, row: int, leaf: int) -> Course:
    tree, quarters = plan.problem.tree, plan.problem.tree.quarters
    path = tree.above[leaf, ::-1]
    programme = plan.problem.programmes[row]
    turned = plan.along(leaf).problem.programmes[row]
    start = int(np.argmax(plan.starts[row, path] > 0.5))
    stops = np.flatnonzero(plan.stops[row, path] > 0.5)
    stop = int(stops[0]) if stops.size else None
    case = programme.cases[plan.futures.case[row, leaf]]
    outcome = case.name
    if stop is not None and stop < start + case.revealed:
        outcome = STOPPED
    elif start + case.revealed >= quarters:
        outcome = UNKNOWN
    first = start + turned.lead
    leads = [offer.lead for offer in plan.problem.offers if offer.programme == programme.id]
    serves = first + min(leads, default=0)
    return Course(
        programme=programme.id, outcome=outcome, start=start, stop=stop, first_orders=first if first < quarters else None,
        serves=serves if first < quarters and serves < quarters else None, probability=float(tree.probability[leaf]),
        spend=float(turned.spend[: quarters - start].sum()),
    )  # fmt: skip
