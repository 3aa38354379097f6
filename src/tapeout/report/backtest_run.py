"""A scenario planned again and again with what was known, beside a plan that knew everything and beside simple policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tapeout import study
from tapeout.appraisal.policies import buy_ahead, follow_plan, rent_everything
from tapeout.appraisal.rolling import Rolling, as_seen, rolling, sure
from tapeout.errors import InputError
from tapeout.outlook.processes import Scenarios, draw
from tapeout.scenario.known import expected_in, known_in
from tapeout.scenario.outlook import on_scenarios, processes
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem, Programme
from tapeout.sourcing.search import solve
from tapeout.sourcing.settled import Decisions
from tapeout.study import Asked, Say
from tapeout.units import Dimensionless, Seconds, Unit, show

USD = Unit("USD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked: a plan `every` so many quarters.

    Without `seed` the world goes as the scenario says, else as drawn from what may happen. Plans are made for `scenarios` futures; with 1
    for the mean of what may happen, given what has been seen.
    """

    every: int
    seed: int | None = None
    scenarios: int = 1
    gap: Dimensionless
    time_limit: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """The world as it was in `actual`, along `path` where it was drawn, and the plans made in it.

    `foresight` is the best plan for `actual`, known from the start. `rivals` are others by name: the first plan kept to the end, and rules.
    `cases` has how each programme goes where that was drawn.
    """

    wanted: Wanted
    asked: Asked
    actual: Problem
    path: Scenarios | None
    cases: tuple[int | None, ...]
    rolling: Rolling
    foresight: Plan
    rivals: dict[str, Plan]

    @property
    def gap(self) -> Dimensionless:
        """The largest gap of a plan that was made."""
        return max(plan.gap for plan in (self.foresight, *(step.plan for step in self.rolling.steps)))


def backtest(scenario: Path, wanted: Wanted, say: Say) -> Backtest:
    """The backtest of the scenario in a file; raises InputError for a bad scenario, or where nothing can be drawn from it."""
    asked = study.asked_of(scenario, say)
    base, quarters = asked.base, len(asked.base.quarters)
    if wanted.every > quarters:
        raise InputError("--every is longer than the plan", given=f"{wanted.every} quarters", allowed=f"1 to {quarters} quarters")
    path, cases = _drawn(asked, wanted)
    certain = tuple(sure(programme, quarters, case) for programme, case in zip(base.programmes, cases, strict=True))
    actual = replace(base if path is None else on_scenarios(base, path), programmes=certain)

    def known(quarter: int, decided: Decisions) -> Problem:
        seen = known_in(asked.scenario, asked.chips, base, quarter)
        if path is not None:
            seen = expected_in(asked.scenario, seen, path, quarter, wanted.scenarios)
        shown = tuple(
            as_seen(programme, quarters, case, decided.starts[row], quarter)
            for row, (programme, case) in enumerate(zip(base.programmes, cases, strict=True))
        )
        return replace(seen, programmes=shown)

    found = rolling(actual, known, dates(asked, wanted), wanted.gap, wanted.time_limit, say)
    say(f"paid {show(found.cost, USD, 3)}; planning once more with all known")
    foresight = solve(actual, gap=wanted.gap, time_limit=wanted.time_limit)
    for plan in (found.paid, foresight):
        certify(plan).check()
    rivals = {"buy a year ahead": buy_ahead(actual), "rent everything": rent_everything(actual)}
    if int(found.steps[0].plan.problem.tree.size) == quarters:
        rivals = {"keep to the first plan": follow_plan(actual, found.steps[0].plan, np.arange(quarters))} | rivals
    return Backtest(wanted=wanted, asked=asked, actual=actual, path=path, cases=cases, rolling=found, foresight=foresight, rivals=rivals)


def dates(asked: Asked, wanted: Wanted) -> Sequence[int]:
    """The quarters in which a plan is made: every so often and, where it is made for several futures, whenever something is learnt."""
    quarters = len(asked.base.quarters)
    regular = set(range(0, quarters, wanted.every))
    learnt = {stage.quarter for process in processes(asked.scenario) for stage in process.stages} if wanted.scenarios > 1 else set()
    return sorted(regular | learnt)


def _drawn(asked: Asked, wanted: Wanted) -> tuple[Scenarios | None, tuple[int | None, ...]]:
    """The path that the world takes and the outcome of each programme, None where they are as the scenario says."""
    programmes = asked.base.programmes
    if wanted.seed is None:
        if wanted.scenarios > 1:
            raise InputError("--scenarios needs a world that is drawn", given=wanted.scenarios, hint="give --seed as well")
        return None, (None,) * len(programmes)
    told = processes(asked.scenario)
    if not told and not any(programme.outcomes for programme in programmes):
        place = asked.document.key_place(("uncertainty",))
        raise InputError("nothing is uncertain in this scenario, so nothing can be drawn", place=place, hint="leave --seed away")
    path = draw(told, len(asked.base.quarters), 1, wanted.seed) if told else None
    return path, drawn_outcomes(programmes, wanted.seed)


def drawn_outcomes(programmes: Sequence[Programme], seed: int) -> tuple[int | None, ...]:
    """Which outcome each programme takes, None where it is sure; each is drawn under its own name."""
    return tuple(
        int(np.random.default_rng([seed, *programme.id.encode()]).choice(len(programme.cases), p=_chances(programme)))
        if programme.outcomes
        else None
        for programme in programmes
    )


def _chances(programme: Programme) -> Array:
    chances = np.array([case.probability for case in programme.cases])
    return np.asarray(chances / chances.sum())
