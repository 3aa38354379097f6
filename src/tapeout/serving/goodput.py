"""The highest rate that keeps a service level, and what a fleet gives to each user at each load."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tapeout.errors import InputError
from tapeout.serving.arrivals import Sampler, closed_loop, faster, mean_rate
from tapeout.serving.engines import Fleet
from tapeout.serving.fleet import simulate_fleet
from tapeout.serving.metrics import attained, duration, tpot, ttft
from tapeout.serving.requests import Requests
from tapeout.serving.saturation import saturation
from tapeout.serving.service_level import ServiceLevel
from tapeout.units import Dimensionless, QueriesPerSecond, Seconds, TokensPerSecond

PRECISION = 0.01
"""Relative width at which the search for a rate stops."""
CONFIDENCE = 0.95
DOUBLINGS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """The highest rate with its confidence interval over `runs` traces; of a single trace the interval is unknown, and None."""

    rate: QueriesPerSecond
    low: QueriesPerSecond | None
    high: QueriesPerSecond | None
    runs: int


def goodput(fleet: Fleet, traces: Sequence[Requests], level: ServiceLevel) -> Goodput:
    """The highest rate at which `fleet` keeps `level`, as the mean over `traces`, each run faster or slower; 0 where none is slow enough.

    The interval is that of Student's t at 95 %. Raises InputError for closed loops, whose rate is not given.
    """
    if not traces:
        raise InputError("no trace to search with")
    rates = np.array([_highest(fleet, trace, level) for trace in traces])
    mean, count = float(rates.mean()), len(rates)
    if count == 1:
        return Goodput(rate=mean, low=None, high=None, runs=1)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * rates.std(ddof=1) / math.sqrt(count))
    return Goodput(rate=mean, low=max(mean - half, 0.0), high=mean + half, runs=count)


def keeps(fleet: Fleet, requests: Requests, level: ServiceLevel) -> bool:
    """Whether enough of `requests` keep the limits and the queue does not grow."""
    outcome = simulate_fleet(fleet.engine, requests, fleet.engines, records=False)
    return bool(attained(outcome, level.slo).mean() >= level.attainment) and not saturation(outcome).saturated


def _highest(fleet: Fleet, trace: Requests, level: ServiceLevel) -> QueriesPerSecond:
    rate = mean_rate(trace)
    if not math.isfinite(rate):
        raise InputError("all requests arrive at once, so their rate cannot be scaled")
    # At first each engine has a request every ten seconds.
    good, bad = 0.0, math.inf
    tried = 0.1 * fleet.engines
    for _ in range(DOUBLINGS):
        if keeps(fleet, faster(trace, tried / rate), level):
            good = tried
        else:
            bad = tried
        if math.isinf(bad):
            tried = 2 * good
        elif good == 0:
            tried = bad / 4
        elif bad / good - 1 <= PRECISION:
            return good
        else:
            tried = math.sqrt(good * bad)
    if math.isinf(bad):
        raise InputError("the trace is too short to fill the fleet", given=f"{len(trace)} requests", hint="give more requests")
    return good


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


def frontier(
    fleets: Sequence[Fleet], lengths: Sampler, level: ServiceLevel, *, count: int, seed: int, workers: int | None = None
) -> list[LoadPoint]:
    """All fleets at 1, 2, 4, ... users an engine, in parallel processes; `best` are those that no other beats in both rates.

    A point takes `count` requests, or four for each user where that is more.
    """
    jobs = [(one, users, lengths, level, count, seed) for one in fleets for users in _loads(one)]
    found = list(_mapped(_point, jobs, workers or os.cpu_count() or 1))
    order = sorted(found, key=lambda point: (-point.user_rate, -point.chip_rate))
    best, highest = set(), 0.0
    for point in order:
        if point.chip_rate > highest:
            highest = point.chip_rate
            best.add(id(point))
    return [_marked(point, id(point) in best) for point in order]


def _mapped(function: Callable[[_Job], LoadPoint], jobs: Sequence[_Job], workers: int) -> Iterator[LoadPoint]:
    if workers == 1 or len(jobs) == 1:
        yield from map(function, jobs)
        return
    with ProcessPoolExecutor(max_workers=workers) as pool:
        yield from pool.map(function, jobs)


def _loads(fleet: Fleet) -> list[int]:
    most = fleet.engine.policy.most_sequences
    return [fleet.engines * 2**power for power in range(most.bit_length()) if 2**power <= most]


_Job = tuple[Fleet, int, Sampler, ServiceLevel, int, int]


def _point(job: _Job) -> LoadPoint:
    fleet, users, lengths, level, count, seed = job
    requests = closed_loop(max(count, 4 * users), users, lengths, seed=seed)
    outcome = simulate_fleet(fleet.engine, requests, fleet.engines, records=False)
    several = requests.output > 1
    per_token = float(np.median(tpot(outcome)[several])) if several.any() else math.nan
    kept = float(attained(outcome, level.slo).mean())
    return LoadPoint(
        fleet=fleet, users=users, ttft=float(np.median(ttft(outcome))), tpot=per_token,
        chip_rate=float(requests.output.sum()) / duration(outcome) / fleet.chips, user_rate=1 / per_token,
        attainment=kept, meets=kept >= level.attainment, best=False,
    )  # fmt: skip


def _marked(point: LoadPoint, best: bool) -> LoadPoint:
    return dataclasses.replace(point, best=best)
