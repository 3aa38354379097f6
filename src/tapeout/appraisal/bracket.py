"""The least cost of a problem between a bound and a plan, by a search or, quicker, by its relaxation and the plan nearest to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tapeout.appraisal.acceleration import counterparts
from tapeout.errors import CancelledError, InfeasibleError, LimitNotMetError
from tapeout.sourcing.branches import Ask, Branch, answer, model_of
from tapeout.sourcing.decisions import plan_of
from tapeout.sourcing.futures import windows
from tapeout.sourcing.linear_program import Index
from tapeout.sourcing.model import Model
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.search import solve
from tapeout.sourcing.solver import Outcome, run
from tapeout.units import Dimensionless, Seconds, Usd

STOPPED = "stopped while the worth of an option was computed; nothing was written"
ROUNDINGS = (0.7, 0.5, 0.3)
"""What is added to a module of power before it is cut to a whole one; tried in this order, until there are orders that keep to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How exactly, and for how long, a least cost is looked for."""

    gap: Dimensionless
    time_limit: Seconds
    quick: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """No plan costs less than `bound`, and one costs `cost`, both as they are minimised; infinite where there is none."""

    bound: Usd
    cost: Usd


def bracket(limits: Limits, problem: Problem) -> Bracket:
    """The bracket of a problem with at most one programme, which it may leave alone.

    Raises CancelledError where the user stops it, and LimitNotMetError where no plan is found in time.
    """
    if limits.quick:
        return _quick(limits, problem)
    try:
        plan = solve(problem, gap=limits.gap, time_limit=limits.time_limit)
    except InfeasibleError:
        return Bracket(bound=math.inf, cost=math.inf)
    if plan.status == Outcome.CANCELLED:
        raise CancelledError(STOPPED)
    return Bracket(bound=plan.bound, cost=plan.goal)


def _quick(limits: Limits, problem: Problem) -> Bracket:
    """The relaxed program as bound; then its starts and modules rounded, and the rest decided anew."""
    relaxed = model_of(problem, _open(problem))
    found = run(relaxed.program, gap=limits.gap, time_limit=limits.time_limit, relaxed=True)
    if found.outcome is Outcome.CANCELLED:
        raise CancelledError(STOPPED)
    if found.outcome is Outcome.INFEASIBLE:
        return Bracket(bound=math.inf, cost=math.inf)
    if found.values is None:
        raise LimitNotMetError(f"no bound found within {limits.time_limit:g} s")
    cost = _rounded_cost(limits, problem, relaxed, found.values)
    return Bracket(bound=min(cost, found.bound * relaxed.scale.money), cost=cost)


def _open(problem: Problem) -> Branch:
    """The branch of all starts."""
    allowed = windows(problem)
    return Branch(which=0, allowed=allowed, forced=np.zeros_like(allowed))


def _rounded_cost(limits: Limits, problem: Problem, relaxed: Model, values: Array) -> Usd:
    """What a plan with the starts of a relaxed one costs, with its modules rounded or, where no orders keep to those, others."""
    branch = _open(problem).rounded(_nearly_whole(_read(values, relaxed.variables.starts)))
    model = model_of(problem, branch)
    nodes = counterparts(relaxed.futures, model.futures)
    modules, prepaid = (_read(values, index)[:, nodes] for index in (relaxed.variables.modules, relaxed.prepaid.made))
    for added in ROUNDINGS:
        fixed = np.full(model.program.columns, np.nan)
        for index, whole in (
            (model.variables.starts, branch.forced.astype(float)),
            (model.variables.stops, np.zeros(model.variables.stops.shape)),
            (model.variables.modules, np.floor(modules + added)),
            (model.prepaid.made, np.round(prepaid)),
        ):
            fixed[index[index >= 0]] = whole[index >= 0]
        integers = model.program.integers
        found = run(
            model.program, gap=limits.gap, time_limit=limits.time_limit, fixed=fixed, relaxed=bool(np.isfinite(fixed[integers]).all())
        )
        if found.values is not None:
            return found.objective * model.scale.money
    searched = answer(Ask(alternatives=(problem,), gap=limits.gap, time_limit=limits.time_limit), branch)
    if searched.values is None:
        return math.inf
    return plan_of(model_of(problem, branch), searched.values, searched.bound, searched.outcome).goal


def _nearly_whole(starts: Array) -> Array:
    """Starts of which at least one is more than a half, so that it is taken."""
    return starts if not starts.size or starts.max() > 0.5 else np.where(starts == starts.max(), 1.0, starts)


def _read(values: Array, index: Index) -> Array:
    return np.where(index >= 0, values[np.maximum(index, 0)], 0.0)
