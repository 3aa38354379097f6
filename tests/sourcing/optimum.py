"""The best plan of a small problem, solved as far as it goes."""

import dataclasses

from tapeout.sourcing.certificate import certify
from tapeout.sourcing.search import solve

TIGHT = 1e-9


def optimum(problem, gap=TIGHT, **options):
    """The plan of least cost; it is proven, and passes its certificate."""
    plan = solve(problem, gap=gap, **options)
    assert plan.status == "optimal"
    assert plan.gap <= max(gap, 1e-6) * (1 + 1e-6)
    certify(plan).check()
    return plan


def with_offer(problem, identifier, **fields):
    """The problem with one offer changed."""
    offers = tuple(dataclasses.replace(each, **fields) if each.id == identifier else each for each in problem.offers)
    return dataclasses.replace(problem, offers=offers)
