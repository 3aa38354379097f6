"""What follows from beginning with the plan for the mean: its decisions up to the first branching, and the best ones from there."""

from __future__ import annotations

import math

import numpy as np

from tapeout.appraisal.mean_plan import planned
from tapeout.errors import InfeasibleError, LimitNotMetError
from tapeout.outlook.tree import Tree
from tapeout.sourcing.branches import Branch, model_of
from tapeout.sourcing.futures import Allowed, futures
from tapeout.sourcing.linear_program import Index
from tapeout.sourcing.model import Model, build
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.search import alternatives
from tapeout.sourcing.solver import run
from tapeout.sourcing.variables import module_steps
from tapeout.units import Dimensionless, Seconds, Usd

SLACK = 1e-7
"""By how much a decision may miss what it is held at, in the units of the program."""
NO_PLAN = "what the plan for the mean begins with leaves no plan that keeps to all budgets, powers and demands"


def expected_value(
    problem: Problem, plan: Plan, mean: Plan, *, gap: Dimensionless = 0.01, time_limit: Seconds = 30.0
) -> tuple[Usd, Usd, str]:
    """EEV: what is to be paid, at most and at least, after what `mean` decides up to the first branching; and why it is infinite.

    All later starts are those of `plan`, those of `mean`, or none, whichever is cheapest, so the first number is what can be reached.
    """
    models = [_begun(model, mean) for model in _openings(problem, plan, mean)]
    bounds = [run(model.program, gap=0.0, time_limit=time_limit, relaxed=True).bound * model.scale.money for model in models]
    best, reason = math.inf, NO_PLAN
    for place in np.argsort(bounds, kind="stable").tolist():
        if not bounds[place] < best:
            break
        try:
            best = min(best, planned(models[place], gap, time_limit).goal)
        except InfeasibleError:
            continue
        except LimitNotMetError as error:
            reason = str(error)
    return best, min([*bounds, math.inf]), "" if math.isfinite(best) else reason


def first_branching(tree: Tree) -> int:
    """The first quarter in which more than one thing can be known; the number of quarters where there is none."""
    several = np.flatnonzero(np.bincount(tree.quarter) > 1)
    return int(several[0]) if several.size else tree.quarters


def _openings(problem: Problem, plan: Plan, mean: Plan) -> list[Model]:
    """The programs of the starts that may follow, all of which agree with `mean` up to the first branching of the world."""
    if len(alternatives(problem)) == 1:
        return [build(futures(problem))]
    world, stage = problem.tree, first_branching(problem.tree)
    begun = {
        programme.id: int(np.flatnonzero(starts > 0.5)[0])
        for programme, starts in zip(mean.problem.programmes, mean.starts, strict=True)
        if np.any(starts > 0.5)
    }
    names = frozenset(programme.id for programme in problem.programmes)
    as_mean = [_starting(problem, names - {name}, (world.quarter == quarter)[None]) for name, quarter in begun.items()]
    if any(quarter < stage for quarter in begun.values()):
        return as_mean
    found = [build(futures(problem.without(names))), *as_mean]
    starts = np.zeros((len(plan.starts), world.size))
    starts[:, plan.futures.origin] = plan.starts
    if starts.any() and not starts[:, world.quarter < stage].any():
        found.append(_starting(problem, names - {programme.id for programme in plan.problem.programmes}, starts > 0.5))
    return found


def _starting(problem: Problem, absent: frozenset[str], at: Allowed) -> Model:
    """The program without some programmes whose others start at these nodes of the world (P, E)."""
    return model_of(problem.without(absent), Branch(which=0, allowed=at, forced=at))


def _begun(model: Model, mean: Plan) -> Model:
    """The program with all that is decided before its first branching held at what `mean` decides."""
    problem, variables = model.futures.problem, model.variables
    nodes = np.flatnonzero(problem.tree.quarter < first_branching(problem.tree))
    when = problem.tree.quarter[nodes]
    rows = {offer.id: row for row, offer in enumerate(mean.problem.offers)}
    for index, offer in enumerate(problem.offers):
        if offer.id in rows:
            row, chips = rows[offer.id], model.scale.chips[index]
            _hold(model, variables.orders[index, nodes], mean.orders[row, when] / chips)
            years = min(variables.ended.shape[1], mean.ended.shape[1])
            _hold(model, variables.ended[index, :years][:, nodes], mean.ended[row, :years][:, when] / chips)
    _hold(model, variables.modules[:, nodes], mean.site_orders[:, when] / module_steps(problem, model.scale)[:, None])
    made = {one.id: row for row, one in enumerate(mean.problem.prepayments)}
    for index, one in enumerate(problem.prepayments):
        if one.id in made:
            _hold(model, model.prepaid.made[index, nodes], mean.prepaid[made[one.id], when])
    if len(problem.programmes) == len(mean.problem.programmes):
        early = np.flatnonzero(model.futures.world.tree.quarter < first_branching(problem.tree))
        _hold(model, variables.starts[:, early], mean.starts[:, model.futures.world.tree.quarter[early]])
    return model


def _hold(model: Model, index: Index, values: Array) -> None:
    """Hold variables at these values."""
    model.program.rows(index.shape, [(index, 1.0)], lower=values - SLACK, upper=values + SLACK, where=index >= 0)
