"""The same whole decisions for other numbers: what the orders would be if a plan's starts, stops, modules and prepayments stood."""

from __future__ import annotations

import numpy as np

from tapeout.errors import InfeasibleError, LimitNotMetError
from tapeout.sourcing.decisions import plan_of
from tapeout.sourcing.futures import Futures, futures
from tapeout.sourcing.linear_program import Index
from tapeout.sourcing.model import Model, build
from tapeout.sourcing.money import past
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.solver import Outcome, run
from tapeout.sourcing.variables import module_steps
from tapeout.units import Seconds


def reordered(plan: Plan, problem: Problem, time_limit: Seconds = 60.0) -> Plan:
    """The plan of least cost for `problem` that keeps all that comes whole in `plan`: starts, stops, modules of power, prepayments.

    `problem` is on the tree of the plan's world and differs from its problem in numbers only. Raises InfeasibleError where no orders keep
    to that.
    """
    model, values = kept(plan, problem)
    found = run(model.program, gap=1e-6, time_limit=time_limit, fixed=values)
    if found.outcome is Outcome.INFEASIBLE:
        raise InfeasibleError("no orders keep to these programme starts and this power")
    if found.values is None:
        raise LimitNotMetError(f"no orders found within {time_limit:g} s")
    return plan_of(model, found.values, found.bound * model.scale.money, found.outcome)


def kept(plan: Plan, problem: Problem) -> tuple[Model, Array]:
    """The program of `problem` as in `reordered`, and a value for each of its variables that comes whole in `plan`, NaN for all others."""
    model = build(futures(problem, _at_origin(plan.futures, plan.starts) > 0.5))
    values = np.full(model.program.columns, np.nan)
    for index, decided in _whole(model, plan):
        values[index[index >= 0]] = decided[index >= 0]
    return model, values


def _whole(model: Model, plan: Plan) -> tuple[tuple[Index, Array], ...]:
    """The variables of what comes whole, with their values in a plan in the same futures."""
    problem, variables = plan.problem, model.variables
    lumpy = np.array([site.module > 0 for site in problem.sites], dtype=bool)
    modules = plan.site_orders / module_steps(problem, model.scale)[:, None]
    stops = np.zeros(variables.stops.shape)
    for row, programme in enumerate(problem.programmes):
        for gate, age in enumerate(programme.gates):
            begun = past(problem, plan.starts[row], age) > 0.5
            stops[row, gate] = np.where(begun, plan.stops[row], 0.0)
    return (
        (variables.starts, _at_origin(plan.futures, plan.starts)),
        (variables.stops, stops),
        (variables.modules[lumpy], modules[lumpy]),
        (model.prepaid.made, plan.prepaid),
    )


def _at_origin(known: Futures, values: Array) -> Array:
    """Values by node of the futures (P, N) that are alike in all copies of a node of the world, by node of the world (P, E)."""
    found = np.zeros((values.shape[0], known.world.tree.size))
    found[:, known.origin] = values
    return found
