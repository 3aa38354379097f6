"""The best plan and its proof: which programme starts where, by branch and bound over the starts, each branch a linear program.

At most one uncertain programme is started in a plan, so each stands for itself, and none. For one of them a branch says at which nodes of
the world it may start, and at which it must. Its bound is the relaxed program in the futures that this leaves open; where the starts are
all decided, those futures are exact, and the program with its integers gives a plan. Branches are taken in rounds of the same size
whatever the number of processes, so the answer does not depend on it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

import numpy as np

from tapeout.design.store import Store
from tapeout.errors import CancelledError, LimitNotMetError
from tapeout.fleet.parallel import Cluster, Crew, crew
from tapeout.outlook.tree import Tree
from tapeout.sourcing.branches import USD, Answer, Ask, Branch, Say, answer, held, keep, mixed, model_of, watch_of
from tapeout.sourcing.decisions import plan_of
from tapeout.sourcing.futures import futures, windows
from tapeout.sourcing.infeasibility import explain
from tapeout.sourcing.model import build
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.solver import Outcome
from tapeout.sourcing.validation import validate
from tapeout.units import Dimensionless, Seconds, Usd, show

ROUND = 4
"""Branches solved at a time."""


@dataclass(slots=True)
class _State:
    """The best plan so far, the open branches with their bounds and starts, and the least bound of what has been closed."""

    worlds: tuple[Tree, ...]
    best: Plan | None = None
    closed: Usd = math.inf
    open: list[tuple[Usd, Branch, Array]] = field(default_factory=list)
    tried: set[tuple[int, bytes]] = field(default_factory=set)
    solved: int = 0
    outcome: Outcome = Outcome.OPTIMAL

    @property
    def bound(self) -> Usd:
        """No plan costs less."""
        return min([self.closed, *(bound for bound, _, _ in self.open)])

    @property
    def cost(self) -> Usd:
        """What the best plan costs, infinite where there is none."""
        return self.best.goal if self.best else math.inf

    def enough(self, gap: Dimensionless) -> Usd:
        """What a branch must be able to undercut to be of interest: the best plan by more than the gap."""
        return self.cost - gap * abs(self.cost) if self.best else math.inf

    def cut(self, gap: Dimensionless) -> None:
        """Close the branches that cannot beat the best plan by more than the gap."""
        enough = self.enough(gap)
        self.closed = min([self.closed, *(bound for bound, _, _ in self.open if bound >= enough)])
        self.open = [entry for entry in self.open if entry[0] < enough]

    def next_round(self, gap: Dimensionless) -> list[Branch]:
        """The next branches: children of those with the least bounds, and the decided ones that these come nearest to."""
        self.open.sort(key=lambda entry: entry[0])
        taken, self.open = self.open[:ROUND], self.open[ROUND:]
        found = list[Branch]()
        for place, (bound, branch, starts) in enumerate(taken):
            if branch.decided and (branch.which, branch.forced.tobytes()) in self.tried:
                found.append(replace(branch, exact=True, cutoff=self.enough(gap)))
                continue
            trial = branch.rounded(starts)
            key = (trial.which, trial.forced.tobytes())
            if place == 0 and trial.forced.any() and key not in self.tried:
                self.tried.add(key)
                found.append(trial)
            if branch.decided:
                self.open.append((bound, branch, starts))
            else:
                found += branch.children(starts, self.worlds[branch.which])
        return found


def alternatives(problem: Problem) -> tuple[Problem, ...]:
    """The problem with no programme and with each alone, or all at once where none of them is uncertain."""
    if not any(len(programme.outcomes) > 1 for programme in problem.programmes):
        return (problem,)
    names = [programme.id for programme in problem.programmes]
    alone = tuple(problem.without(frozenset(names) - {name}) for name in names)
    return (problem.without(frozenset(names)), *alone)


def solve(
    problem: Problem,
    gap: Dimensionless = 1e-3,
    time_limit: Seconds = 60.0,
    say: Say = lambda text: None,
    workers: int | None = 1,
    cluster: Cluster | None = None,
    store: Store | None = None,
) -> Plan:
    """The plan of least cost (or least cost and risk), to a relative `gap` of its dual bound.

    In `workers` processes, as many as there are processors where None, or on a cluster; what `store` holds of an earlier search is not
    done again. The plan depends on neither.

    Out of time with a plan in hand, its status is limit; stopped from the keyboard with one, cancelled. Raises InputError for a
    problem that makes no sense, InfeasibleError naming the constraints in conflict, LimitNotMetError where time runs out before
    any plan is found, and CancelledError where the user stops it before that.
    """
    validate(problem)
    ask = Ask(alternatives=alternatives(problem), gap=gap / 2 if len(alternatives(problem)) > 1 else gap, time_limit=time_limit)
    if len(ask.alternatives) == 1:
        return _direct(ask.alternatives[0], gap, time_limit, say)
    with crew(ask, workers, cluster) as run_jobs:
        return _search(ask, gap, run_jobs, say, store)


def _direct(problem: Problem, gap: Dimensionless, time_limit: Seconds, say: Say) -> Plan:
    """The plan where nothing is learnt from a start: all integers at once."""
    model = build(futures(problem))
    answer = mixed(model, gap, time_limit, watch=watch_of(model, say))
    if answer.outcome is Outcome.INFEASIBLE:
        raise explain((problem,), time_limit)
    if answer.values is None and answer.outcome is Outcome.CANCELLED:
        raise CancelledError("stopped before any plan was found")
    if answer.values is None:
        raise LimitNotMetError(f"no plan found within {time_limit:g} s; raise the time limit, or decide over fewer quarters")
    return plan_of(model, answer.values, answer.bound, answer.outcome)


def _search(ask: Ask, gap: Dimensionless, run_jobs: Crew, say: Say, store: Store | None) -> Plan:
    begun, state = time.monotonic(), _State(worlds=tuple(one.tree for one in ask.alternatives))
    todo = [
        Branch(which=which, allowed=windows(one), forced=np.zeros_like(windows(one)), exact=not one.programmes)
        for which, one in enumerate(ask.alternatives)
    ]
    todo = [branch for branch in todo if branch.exact or branch.allowed.any()]
    try:
        while todo:
            _round(ask, todo, run_jobs, state, store)
            state.cut(gap)
            if state.best is not None:
                say(f"{state.solved} branches: cost {show(state.cost, USD, 4)}, bound {show(min(state.bound, state.cost), USD, 4)}")
            if time.monotonic() - begun > ask.time_limit:
                state.outcome = Outcome.LIMIT
                break
            todo = state.next_round(gap)
    except KeyboardInterrupt:
        state.outcome = Outcome.CANCELLED
    if state.best is None and state.outcome is Outcome.CANCELLED:
        raise CancelledError("stopped before any plan was found")
    if state.best is None and (state.outcome is Outcome.LIMIT or state.open):
        raise LimitNotMetError(f"no plan found within {ask.time_limit:g} s; raise the time limit, or reduce the tree")
    if state.best is None:
        raise explain(ask.alternatives, ask.time_limit)
    return replace(state.best, bound=min(state.best.goal, state.bound), status=state.outcome.value)


def _round(ask: Ask, branches: list[Branch], run_jobs: Crew, state: _State, store: Store | None) -> None:
    """Solve these branches and take what they gave into the state, in their order; raises KeyboardInterrupt where the user stops it."""
    answers = {place: known for place, branch in enumerate(branches) if store and (known := held(store, branch)) is not None}
    left = [place for place in range(len(branches)) if place not in answers]
    for place, found in run_jobs(answer, [branches[place] for place in left]):
        answers[left[place]] = found
        if store is not None:
            keep(store, branches[left[place]], found)
    for place, branch in enumerate(branches):
        _take(ask, branch, answers[place], state)
    if any(found.outcome is Outcome.CANCELLED for found in answers.values()):
        raise KeyboardInterrupt


def _take(ask: Ask, branch: Branch, found: Answer, state: _State) -> None:
    state.solved += 1
    if found.outcome is Outcome.INFEASIBLE:
        if not branch.trial:
            state.closed = min(state.closed, branch.cutoff)
        return
    if not branch.exact:
        state.open.append((found.bound, branch, found.starts))
        return
    if not branch.trial:
        state.outcome = found.outcome if found.outcome is not Outcome.OPTIMAL else state.outcome
        state.closed = min(state.closed, found.bound)
    if found.values is not None:
        plan = plan_of(model_of(ask.alternatives[branch.which], branch), found.values, found.bound, found.outcome)
        if plan.goal < state.cost:
            state.best = plan
