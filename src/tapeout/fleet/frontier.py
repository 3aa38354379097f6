"""What fleets give to each user and from each chip, at each load."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tapeout.fleet.engines import Fleet, simulated
from tapeout.fleet.parallel import crew
from tapeout.fleet.service_level import ServiceLevel
from tapeout.serving.compiled import waiting_for_translation
from tapeout.serving.metrics import attained, duration, tpot, ttft
from tapeout.traffic.arrivals import Sampler, closed_loop
from tapeout.units import Dimensionless, Seconds, TokensPerSecond


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    """One fleet in a closed loop of `users`; rates of output tokens by chip and by user, who sees one over the median TPOT."""

    fleet: Fleet
    users: int
    ttft: Seconds
    tpot: Seconds
    chip_rate: TokensPerSecond
    user_rate: TokensPerSecond
    attainment: Dimensionless
    meets: bool
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    lengths: Sampler
    level: ServiceLevel
    count: int
    seed: int


def frontier(
    fleets: Sequence[Fleet], lengths: Sampler, level: ServiceLevel, *, count: int, seed: int, workers: int | None = None
) -> list[LoadPoint]:
    """All fleets at 1, 2, 4, ... users an engine, in parallel processes; `best` are those that no other beats in both rates.

    A point takes `count` requests, or four for each user where that is more.
    """
    question = _Question(lengths=lengths, level=level, count=count, seed=seed)
    jobs = [(one, users) for one in fleets for users in _loads(one)]
    if waiting_for_translation():
        # One process translates, for all.
        _point(question, jobs[0])
    with crew(question, workers if len(jobs) > 1 else 1) as run:
        found = [point for _, point in sorted(run(_point, jobs), key=lambda entry: entry[0])]
    order = sorted(found, key=lambda point: (-point.user_rate, -point.chip_rate))
    highest = np.maximum.accumulate([0.0, *(point.chip_rate for point in order)])
    return [dataclasses.replace(point, best=bool(point.chip_rate > before)) for point, before in zip(order, highest, strict=False)]


def _loads(fleet: Fleet) -> list[int]:
    most = fleet.engine.policy.most_sequences
    return [fleet.engines * 2**power for power in range(most.bit_length()) if 2**power <= most]


def _point(question: _Question, job: tuple[Fleet, int]) -> LoadPoint:
    fleet, users = job
    requests = closed_loop(max(question.count, 4 * users), users, question.lengths, seed=question.seed)
    outcome = simulated(fleet, requests)
    several = requests.output > 1
    per_token = float(np.median(tpot(outcome)[several])) if several.any() else math.nan
    kept = float(attained(outcome, question.level.slo).mean())
    return LoadPoint(
        fleet=fleet, users=users, ttft=float(np.median(ttft(outcome))), tpot=per_token,
        chip_rate=float(requests.output.sum()) / duration(outcome) / fleet.chips, user_rate=1 / per_token,
        attainment=kept, meets=kept >= question.level.attainment, best=False,
    )  # fmt: skip
