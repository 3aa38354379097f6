"""One job of the search for a plan: a branch of the starts, its bound by the relaxed program, or its plan where the starts are decided."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.design.store import Store
from tapeout.outlook.tree import Tree
from tapeout.sourcing.futures import futures
from tapeout.sourcing.model import Model, build
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.solver import Outcome, Sighting, run
from tapeout.units import Dimensionless, Seconds, Unit, Usd, show

USD = Unit("USD")
SAID_EVERY: Seconds = 2.0
Mask = NDArray[np.bool_]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The plans of alternative `which` whose starts lie at nodes `allowed` and fall at all those of `forced`, both (P, E).

    An `exact` one has its starts decided; it is of no interest unless its plan costs less than `cutoff`. A `trial` is part of a branch that
    stays open, so it closes nothing.
    """

    which: int
    allowed: Mask
    forced: Mask
    exact: bool = False
    trial: bool = False
    cutoff: Usd = math.inf

    @property
    def name(self) -> str:
        """A name that no other branch has."""
        asked = (self.allowed.tobytes(), self.forced.tobytes(), self.exact, self.trial, self.cutoff)
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:24]

    def children(self, starts: Array, world: Tree) -> tuple[Branch, ...]:
        """The branches without and with a start at the node about which the relaxation is least sure."""
        free = self.allowed & ~self.forced
        unsure = np.where(free, 0.5 - np.abs(starts - 0.5) + 1e-3 * starts, -1.0)
        row, node = np.unravel_index(int(np.argmax(unsure)), unsure.shape)
        without, forced = self.allowed.copy(), self.forced.copy()
        without[row, node], forced[row, node] = False, True
        kin = (world.above[:, : world.quarters] == node).any(axis=1)
        kin[world.above[node][world.above[node] >= 0]] = True
        inside = self.allowed.copy()
        inside[:, kin] = False
        inside[row, node] = True
        found = [Branch(which=self.which, allowed=inside | forced, forced=forced)]
        if without.any():
            found.append(Branch(which=self.which, allowed=without, forced=self.forced))
        return tuple(found)

    @property
    def decided(self) -> bool:
        """Whether the starts are known."""
        return bool(np.array_equal(self.allowed, self.forced))

    def rounded(self, starts: Array) -> Branch:
        """The decided branch that the relaxation comes nearest to."""
        chosen = (starts > 0.5) & self.allowed | self.forced
        return Branch(which=self.which, allowed=chosen, forced=chosen, exact=True, trial=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a branch gave: a `bound` of its plans, the part of a start at each node, and for a decided one the values of its plan."""

    bound: Usd
    starts: Annotated[Array, Unit("1")]
    outcome: Outcome
    values: Annotated[Array, Unit("1")] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What every job of a search needs: the alternatives and how exactly a plan is to be solved."""

    alternatives: tuple[Problem, ...]
    gap: Dimensionless
    time_limit: Seconds


def mixed(
    model: Model, gap: Dimensionless, time_limit: Seconds, *, quick: bool = False, watch: Callable[[Sighting], None] | None = None
) -> Answer:
    """The program with its integers, then once more with them fixed, for a plan that keeps its rows to the last digit."""
    found = run(model.program, gap=gap, time_limit=time_limit, quick=quick, watch=watch)
    values = found.values
    outcome = found.outcome
    if values is not None and model.program.integers.size:
        polished = run(model.program, gap=gap, time_limit=time_limit, fixed=values)
        values = polished.values if polished.outcome is Outcome.OPTIMAL and polished.values is not None else values
        outcome = Outcome.CANCELLED if polished.outcome is Outcome.CANCELLED else outcome
    starts = np.zeros(model.variables.starts.shape) if values is None else _starts(model, values)
    return Answer(bound=found.bound * model.scale.money, starts=starts, outcome=outcome, values=values)


def watch_of(model: Model, say: Say) -> Callable[[Sighting], None]:
    """What the solver has reached, said every few seconds."""
    said = 0.0

    def watch(seen: Sighting) -> None:
        nonlocal said
        if seen.elapsed - said >= SAID_EVERY:
            said = seen.elapsed
            cost, bound = (show(value * model.scale.money, USD, 4) for value in (seen.best, seen.bound))
            say(f"  {seen.elapsed:.0f} s: cost {cost}, bound {bound}")

    return watch


def _starts(model: Model, values: Array) -> Array:
    index = model.variables.starts
    return np.where(index >= 0, values[np.maximum(index, 0)], 0.0)


def model_of(problem: Problem, branch: Branch) -> Model:
    """The program of a branch, its forced starts fixed."""
    model = build(futures(problem, branch.allowed))
    forced = model.variables.starts[branch.forced]
    if forced.size:
        model.program.rows(forced.shape, [(forced, 1.0)], lower=1.0)
    elif problem.programmes:
        begun = model.variables.starts[branch.allowed]
        model.program.rows((1,), [(begun[None], 1.0)], lower=1.0)
    return model


def answer(ask: Ask, branch: Branch) -> Answer:
    """One job of the search: the bound of a branch, or its plan where it is decided."""
    model = model_of(ask.alternatives[branch.which], branch)
    if branch.exact:
        if math.isfinite(branch.cutoff):
            model.program.limit_cost(branch.cutoff / model.scale.money)
        return mixed(model, 2 * ask.gap if branch.trial else ask.gap, ask.time_limit, quick=branch.trial)
    found = run(model.program, gap=ask.gap, time_limit=ask.time_limit, relaxed=True)
    starts = np.zeros(branch.allowed.shape) if found.values is None else _starts(model, found.values)
    return Answer(bound=found.bound * model.scale.money, starts=starts, outcome=found.outcome)


def held(store: Store, branch: Branch) -> Answer | None:
    """What the store holds of an earlier job for this branch."""
    kept = store.held(branch.name, branch.which)
    if kept is None:
        return None
    outcome = Outcome.OPTIMAL if kept["solved"] else Outcome.INFEASIBLE
    return Answer(bound=float(kept["bound"]), starts=kept["starts"], outcome=outcome, values=kept.get("values"))


def keep(store: Store, branch: Branch, found: Answer) -> None:
    """Keep what does not depend on how long the solver was let run; a trial ends at its first node, whatever is left to do."""
    if found.outcome in (Outcome.OPTIMAL, Outcome.INFEASIBLE) or (branch.trial and found.outcome is Outcome.LIMIT):
        kept = {"bound": np.array(found.bound), "starts": found.starts, "solved": np.array(found.outcome is not Outcome.INFEASIBLE)}
        store.keep(branch.name, branch.which, kept | ({} if found.values is None else {"values": found.values}))
