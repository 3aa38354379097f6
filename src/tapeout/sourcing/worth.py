"""What an own-chip programme is worth: how much cheaper the best plan gets when its chips can be had for no one-off cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tapeout.errors import CancelledError
from tapeout.sourcing.finance import discount_factors
from tapeout.sourcing.plan import solve
from tapeout.sourcing.problem import Problem, Programme
from tapeout.sourcing.solver import Outcome
from tapeout.units import Dimensionless, Seconds, Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeWorth:
    """`most_to_pay` is the present value of one-off spend at which starting and not starting cost the same; `spend` is what it costs.

    Both count from the first quarter of the plan, `spend` for a start as early as the window allows.
    """

    programme: str
    most_to_pay: Usd
    spend: Usd


def programme_worths(
    problem: Problem, *, gap: Dimensionless, time_limit: Seconds, say: Callable[[str], None] = lambda text: None
) -> tuple[ProgrammeWorth, ...]:
    """The worth of each programme alone, against the plan without any; differences below the solver's gap are noise.

    most to pay = cost(no programme) - cost(this programme, spend 0), at least 0. Raises CancelledError where the user stops it.
    """
    if not problem.programmes:
        return ()
    without = _least_cost(_only(problem, None), gap, time_limit)
    found = []
    for programme in problem.programmes:
        say(f"what is {programme.id} worth?")
        free = replace(programme, spend=np.zeros_like(programme.spend))
        cost = _least_cost(_only(problem, free), gap, time_limit)
        found.append(ProgrammeWorth(programme=programme.id, most_to_pay=max(0.0, without - cost), spend=_present_value(problem, programme)))
    return tuple(found)


def _least_cost(problem: Problem, gap: Dimensionless, time_limit: Seconds) -> Usd:
    """The cost of the best plan; raises CancelledError where the user stopped the search, since its cost would be no least one."""
    plan = solve(problem, gap=gap, time_limit=time_limit)
    if plan.status == Outcome.CANCELLED:
        raise CancelledError("stopped while the worth of the programmes was computed; nothing was written")
    return plan.cost


def _only(problem: Problem, programme: Programme | None) -> Problem:
    """The problem with this programme and no other."""
    kept = tuple(offer for offer in problem.offers if offer.programme is None or (programme and offer.programme == programme.id))
    return replace(problem, offers=kept, programmes=(programme,) if programme else ())


def _present_value(problem: Problem, programme: Programme) -> Usd:
    factors = discount_factors(problem)[programme.first_start :]
    return float(factors[: len(programme.spend)] @ programme.spend[: len(factors)])
