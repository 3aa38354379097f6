"""The highest rate at which a fleet keeps a service level, over several traces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from tapeout.errors import InputError
from tapeout.fleet.engines import Fleet
from tapeout.fleet.highest_rate import PRECISION, highest_rate
from tapeout.fleet.service_level import ServiceLevel
from tapeout.traffic.requests import Requests
from tapeout.units import QueriesPerSecond

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """The highest rate with its confidence interval over `runs` traces; of a single trace the interval is unknown, and None.

    Of a `bound` only so much is known: at `rate` the level is not kept.
    """

    rate: QueriesPerSecond
    low: QueriesPerSecond | None
    high: QueriesPerSecond | None
    runs: int
    bound: bool = False


def goodput(fleet: Fleet, traces: Sequence[Requests], level: ServiceLevel, start: QueriesPerSecond | None = None) -> Goodput:
    """The highest rate at which `fleet` keeps `level`, as the mean over `traces`, each run faster or slower; 0 where none is slow enough.

    The search begins at the rate `start`. The interval is that of Student's t at 95 %, wider at its high end by what the search leaves
    open. Raises InputError for closed loops, whose rate is not given, and where a trace is too short to ask too much of the fleet.
    """
    if not traces:
        raise InputError("no trace to search with")
    rates: list[float] = []
    for trace in traces:
        rates.append(highest_rate(fleet, trace, level, rates[-1] if rates and rates[-1] > 0 else start))
    mean, count = float(np.mean(rates)), len(rates)
    if count == 1:
        return Goodput(rate=mean, low=None, high=None, runs=1)
    half = float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2) * np.std(rates, ddof=1) / math.sqrt(count))
    return Goodput(rate=mean, low=max(mean - half, 0.0), high=(mean + half) * (1 + PRECISION), runs=count)
