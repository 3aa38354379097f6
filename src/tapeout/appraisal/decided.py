"""A plan whose whole decisions stand: its linear program, solved once, from which the program of any other numbers is a step away.

Starts, stops, modules of power, prepayments, least orders and tiers stay as the plan has them; all else is decided anew. What is learnt
so about other numbers is what they cost at most, since the whole decisions might change too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.errors import CancelledError, LimitNotMetError
from tapeout.sourcing.model import Model
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.reordering import kept
from tapeout.sourcing.solver import Basis, Outcome, Solution, run
from tapeout.units import Seconds, Unit, Usd

TIME_LIMIT: Seconds = 60.0
"""Of one linear program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """`model` is the plan's program, `values` an optimum of it with the whole decisions fixed, `duals` those of its rows.

    `goal` is what is minimised, in USD.
    """

    plan: Plan
    model: Model
    values: Annotated[Array, Unit("1")]
    duals: Annotated[Array, Unit("1")]
    basis: Basis | None
    goal: Usd

    @property
    def problem(self) -> Problem:
        """The problem on the tree of the world, with the programmes of the plan and no others."""
        return self.plan.futures.world


def decided(plan: Plan) -> Decided:
    """The program of `plan` with its whole decisions fixed, solved; raises LimitNotMetError where that takes too long."""
    model, whole = kept(plan, plan.futures.world)
    found = _solved(model, whole)
    check(found)
    if found.values is None or found.duals is None:
        raise LimitNotMetError("the orders of the plan were not found again")
    return Decided(
        plan=plan, model=model, values=found.values, duals=found.duals, basis=found.basis, goal=found.objective * model.scale.money
    )


def least_goal(known: Decided, problem: Problem) -> Usd:
    """What the best orders for `problem` cost (or cost and risk) with the whole decisions of the plan; infinite where none keep to them.

    `problem` is on the tree of the plan's world and differs from `known.problem` in numbers only. It is quick where these leave the same
    orders possible, so that the solver can begin at the plan's own.
    """
    model, whole = kept(known.plan, problem)
    alike = (model.program.columns, model.program.row_count) == (known.model.program.columns, known.model.program.row_count)
    found = run(model.program, gap=0.0, time_limit=TIME_LIMIT, fixed=known.values, basis=known.basis) if alike else _solved(model, whole)
    check(found)
    return found.objective * model.scale.money


def check(found: Solution) -> None:
    """Raise CancelledError where the user stopped the solver, and LimitNotMetError where its time did."""
    if found.outcome is Outcome.CANCELLED:
        raise CancelledError("stopped while it was computed what the plan's numbers mean; nothing was written")
    if found.outcome is Outcome.LIMIT:
        raise LimitNotMetError(f"a linear program about the plan was not solved within {TIME_LIMIT:g} s")


def _solved(model: Model, whole: Array) -> Solution:
    """The program with these integers fixed, the others decided once and then fixed as well."""
    found = run(model.program, gap=1e-6, time_limit=TIME_LIMIT, fixed=whole)
    if found.values is None or np.isfinite(whole[model.program.integers]).all():
        return found
    return run(model.program, gap=0.0, time_limit=TIME_LIMIT, fixed=found.values)
