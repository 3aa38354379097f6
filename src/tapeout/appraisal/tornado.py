"""How the cost of a plan moves when each assumption moves to the ends of its range, one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tapeout.appraisal.decided import Decided, least_goal
from tapeout.appraisal.knobs import Knob
from tapeout.errors import InfeasibleError
from tapeout.fleet.parallel import crew
from tapeout.sourcing.problem import Problem
from tapeout.sourcing.search import solve
from tapeout.units import Dimensionless, Seconds, Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What is minimised with one assumption at its `low` and at its `high` end; infinite where no plan keeps to it."""

    name: str
    low: Usd
    high: Usd

    @property
    def swing(self) -> Usd:
        """The distance between the two."""
        return math.inf if math.isinf(self.low) or math.isinf(self.high) else abs(self.high - self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tornado:
    """The bars, widest first, around what is planned; a swing below `noise`, the solver's gap, says nothing where all was decided anew."""

    planned: Usd
    noise: Usd
    bars: tuple[Bar, ...]


def tornado(known: Decided, knobs: Sequence[Knob], workers: int = 1) -> Tornado:
    """The bars of `knobs`, orders decided anew while starts, modules of power and all else that comes whole stay as planned.

    So a bar says what the company that has begun this plan would pay; each end is no less than if all were decided anew.
    """
    turned = [turn(known.problem) for knob in knobs for turn in (knob.low, knob.high)]
    with crew(known, workers) as run_jobs:
        costs = dict(run_jobs(least_goal, turned))
    return ordered(known.goal, 0.0, _paired(knobs, [costs[place] for place in range(len(turned))]))


def tornado_anew(
    problem: Problem, planned: Usd, knobs: Sequence[Knob], gap: Dimensionless, time_limit: Seconds, workers: int = 1
) -> Tornado:
    """The same with everything decided anew: a search for each end, so for small problems."""
    turned = [turn(problem) for knob in knobs for turn in (knob.low, knob.high)]
    with crew((gap, time_limit), workers) as run_jobs:
        costs = dict(run_jobs(_anew, turned))
    return ordered(planned, gap * abs(planned), _paired(knobs, [costs[place] for place in range(len(turned))]))


def _anew(limits: tuple[Dimensionless, Seconds], problem: Problem) -> Usd:
    try:
        return solve(problem, gap=limits[0], time_limit=limits[1]).goal
    except InfeasibleError:
        return math.inf


def ordered(planned: Usd, noise: Usd, bars: Iterable[Bar]) -> Tornado:
    """The bars as a tornado."""
    return Tornado(planned=planned, noise=noise, bars=tuple(sorted(bars, key=lambda bar: -bar.swing)))


def _paired(knobs: Sequence[Knob], costs: Sequence[Usd]) -> list[Bar]:
    """The bars of costs that alternate between the low and the high ends."""
    return [Bar(name=knob.name, low=costs[2 * place], high=costs[2 * place + 1]) for place, knob in enumerate(knobs)]
