"""The plan for the mean world, and the best start of a programme in any world that is sure."""

from __future__ import annotations

import heapq
import math
from itertools import count

import numpy as np

from tapeout.appraisal.mean import mean_problem
from tapeout.errors import CancelledError, InfeasibleError, LimitNotMetError
from tapeout.sourcing.branches import Ask, Branch, answer, mixed, model_of
from tapeout.sourcing.decisions import plan_of
from tapeout.sourcing.futures import windows
from tapeout.sourcing.model import Model
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Problem
from tapeout.sourcing.search import alternatives, solve
from tapeout.sourcing.solver import Outcome
from tapeout.units import Dimensionless, Seconds, Usd


def mean_plan(problem: Problem, *, gap: Dimensionless = 0.01, time_limit: Seconds = 30.0) -> Plan:
    """The plan for the mean world, whose programmes go as planned; one of them at most is started where their outcomes are uncertain."""
    options = tuple(mean_problem(option) for option in alternatives(problem))
    if len(options) == 1:
        return solve(options[0], gap=gap, time_limit=time_limit)
    _, branch = best_start(options)
    return planned(model_of(options[branch.which], branch), gap, time_limit)


def planned(model: Model, gap: Dimensionless, time_limit: Seconds) -> Plan:
    """The plan of a program whose starts are decided; raises InfeasibleError where there is none, LimitNotMetError where time runs out."""
    found = mixed(model, gap, time_limit)
    if found.outcome is Outcome.CANCELLED:
        raise CancelledError("stopped while the worth of information was computed")
    if found.outcome is Outcome.INFEASIBLE:
        raise InfeasibleError("no orders keep to what has been decided")
    if found.values is None:
        raise LimitNotMetError(f"no orders found within {time_limit:g} s")
    return plan_of(model, found.values, found.bound, found.outcome)


def best_start(options: tuple[Problem, ...]) -> tuple[Usd, Branch]:
    """The least cost of options on one path, each with one programme or none, and the start that has it; power comes in any parts.

    The options and then their starts are taken in order of their bounds, which come from the program with parts of starts.
    """
    ask = Ask(alternatives=options, gap=0.0, time_limit=math.inf)
    queue: list[tuple[Usd, int, Branch]] = []
    order = count()

    def add(branch: Branch) -> None:
        found = answer(ask, branch)
        if found.outcome is Outcome.CANCELLED:
            raise CancelledError("stopped while the worth of information was computed")
        if found.outcome is not Outcome.INFEASIBLE:
            heapq.heappush(queue, (found.bound, next(order), branch))

    for which, option in enumerate(options):
        window = windows(option)
        if window.any() or not option.programmes:
            add(Branch(which=which, allowed=window, forced=np.zeros_like(window)))
    while queue:
        bound, _, branch = heapq.heappop(queue)
        if branch.decided:
            return bound, branch
        for start in np.argwhere(branch.allowed):
            only = np.zeros_like(branch.allowed)
            only[tuple(start)] = True
            add(Branch(which=branch.which, allowed=only, forced=only))
    raise InfeasibleError("there is no plan for one of the futures, were it sure")
