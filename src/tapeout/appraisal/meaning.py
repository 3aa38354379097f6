"""All that the numbers of a plan mean, its parts computed side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tapeout.appraisal.acceleration import EarlierSilicon, earlier_silicon
from tapeout.appraisal.alternatives import SLACKS, NearOptimal, near_optimal
from tapeout.appraisal.decided import Decided, decided
from tapeout.appraisal.knobs import Knob
from tapeout.appraisal.prices import ShadowPrices, shadow_prices
from tapeout.appraisal.tornado import Tornado, ordered, tornado
from tapeout.appraisal.worth import (
    AccelerationWorth,
    ContractWorth,
    DiscountWorth,
    ProgrammeWorth,
    acceleration_worths,
    alone,
    contract_worths,
    discount_worths,
    programme_worths,
)
from tapeout.fleet.parallel import crew
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Problem
from tapeout.units import Dimensionless, Seconds

KNOBS_AT_ONCE = 6
RANGES = (0.02,)
"""The slacks of which the ranges of aggregates are found, unless thoroughly all."""
Part = Callable[[Decided], Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What is scarce, what options are worth, what moves the cost, and what the optimum does not care about.

    `accelerations` are of all programmes, everything decided anew; `earlier` of those in the plan, whose whole decisions stay.
    """

    prices: ShadowPrices
    earlier: tuple[EarlierSilicon, ...]
    worths: tuple[ProgrammeWorth, ...]
    accelerations: tuple[AccelerationWorth, ...]
    contracts: tuple[ContractWorth, ...]
    discounts: tuple[DiscountWorth, ...]
    tornado: Tornado
    alternatives: tuple[NearOptimal, ...]


def meaning(
    problem: Problem,
    plan: Plan,
    knobs: Sequence[Knob] = (),
    *,
    gap: Dimensionless,
    time_limit: Seconds,
    workers: int = 1,
    thorough: bool = False,
) -> Meaning:
    """The meaning of `plan`, the best for `problem`; `knobs` are those of its own problem, `plan.futures.world`.

    Least costs with other programmes are bracketed by their relaxation and the plan nearest to it; `thorough` searches for each. It does so
    for accelerations as well, which are left out otherwise, and finds the ranges of near-optimal plans for every slack. Without uncertain
    programmes a search is quick and made in any case. Raises CancelledError where the user stops it and LimitNotMetError where a part takes
    longer than its time.
    """
    known = decided(plan)
    quick = not thorough and any(len(one.outcomes) > 1 for one in problem.programmes)
    limits: dict[str, Any] = {"gap": gap, "time_limit": time_limit, "quick": quick}
    parts: dict[str, list[Part]] = {
        "worths": [partial(_worths, problem=alone(problem, one), limits=limits) for one in problem.programmes],
        "accelerations": [partial(_accelerations, problem=alone(problem, one), limits=limits) for one in problem.programmes if thorough],
        "alternatives": [partial(near_optimal, slacks=(slack,), ranges=None if thorough else RANGES) for slack in SLACKS],
        "bars": [partial(_bars, knobs=tuple(knobs[at : at + KNOBS_AT_ONCE])) for at in range(0, len(knobs), KNOBS_AT_ONCE)],
        "discounts": [discount_worths],
        "contracts": [contract_worths],
        "earlier": [_earlier],
    }
    jobs = [(name, part) for name, several in parts.items() for part in several]
    with crew(known, workers) as run_jobs:
        done = dict(run_jobs(_done, [part for _, part in jobs]))
    found: dict[str, tuple[Any, ...]] = dict.fromkeys(parts, ())
    for place, (name, _) in enumerate(jobs):
        found[name] += tuple(done[place])
    bars = ordered(known.goal, 0.0, found.pop("bars"))
    return Meaning(prices=shadow_prices(known), tornado=bars, **found)


def _done(known: Decided, part: Part) -> Sequence[Any]:
    return part(known)


def _worths(known: Decided, problem: Problem, limits: dict[str, Any]) -> Sequence[Any]:
    return programme_worths(problem, **limits)


def _accelerations(known: Decided, problem: Problem, limits: dict[str, Any]) -> Sequence[Any]:
    return acceleration_worths(problem, known.plan, **limits)


def _bars(known: Decided, knobs: Sequence[Knob]) -> Sequence[Any]:
    return tornado(known, knobs).bars


def _earlier(known: Decided) -> Sequence[Any]:
    return earlier_silicon(known.plan)
