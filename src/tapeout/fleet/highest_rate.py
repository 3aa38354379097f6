"""The highest rate at which a fleet keeps a service level on one trace."""

from __future__ import annotations

import math

from tapeout.errors import InputError
from tapeout.fleet.engines import Fleet, simulated
from tapeout.fleet.service_level import ServiceLevel
from tapeout.serving.metrics import attained
from tapeout.serving.outcome import Outcome
from tapeout.serving.saturation import saturation
from tapeout.traffic.arrivals import faster, mean_rate
from tapeout.traffic.requests import Requests, some_of
from tapeout.units import Dimensionless, QueriesPerSecond

PRECISION = 0.01
"""Relative width at which the search for a rate stops."""
PILOT = 1000
"""Requests at the start of a longer trace on which a search begins."""
FIRST_STEP, WIDEST_STEP = 1.05, 4.0
"""Factor on a rate by which a search leaves it, squared with each further step up to the second."""
SLOWEST = 1e-4
"""Share of the first rate below which none is tried."""
TRIES = 60


def at_rate(fleet: Fleet, trace: Requests, rate: QueriesPerSecond) -> Outcome:
    """What `fleet` does with `trace` run at the mean rate `rate`; raises InputError where the trace has none, as a closed loop."""
    outcome = simulated(fleet, faster(trace, rate / _own_rate(trace)))
    if outcome.interrupted:
        # Half a run says nothing of a rate; who searches wants to hear of the interrupt.
        raise KeyboardInterrupt
    return outcome


def attainment(outcome: Outcome, level: ServiceLevel, warm_up: Dimensionless = 0.0) -> Dimensionless:
    """The share of requests that kept the limits, 0 where the queue grows for as long as such traffic lasts.

    The share `warm_up` of the requests, from the first on, is not counted.
    """
    kept = float(attained(outcome, level.slo)[int(warm_up * len(outcome.requests)) :].mean())
    # To look for growth takes longer than to count.
    return 0.0 if kept >= level.attainment and saturation(outcome).saturated else kept


def keeps(fleet: Fleet, trace: Requests, level: ServiceLevel, rate: QueriesPerSecond, warm_up: Dimensionless = 0.0) -> bool:
    """Whether enough requests of `trace` at `rate` keep the limits, and the queue does not grow."""
    return attainment(at_rate(fleet, trace, rate), level, warm_up) >= level.attainment


def highest_rate(
    fleet: Fleet, trace: Requests, level: ServiceLevel, start: QueriesPerSecond | None = None, warm_up: Dimensionless = 0.0
) -> QueriesPerSecond:
    """The highest rate of `trace` at which `fleet` keeps `level`: kept there, and not at some rate within 1 % above; 0 where there is none.

    Interpolation and bisection of the logarithm, from `start`, from the rate that the first part of a long trace has, or from the
    capacity. Raises InputError where the trace is too short to ask too much of the fleet, and as `at_rate`.
    """
    _own_rate(trace)
    tried = start or (capacity(fleet, trace) if len(trace) <= PILOT else _pilot(fleet, trace, level, warm_up))
    low, high, slowest, step = 0.0, math.inf, SLOWEST * tried, FIRST_STEP
    spare = lack = 0.0
    for _ in range(TRIES):
        width = high / low if low > 0 else math.inf
        excess = attainment(at_rate(fleet, trace, tried), level, warm_up) - level.attainment
        if excess >= 0:
            low, spare = tried, excess
        else:
            high, lack = tried, -excess
        if high <= low * (1 + PRECISION):
            return low
        if low > 0 and math.isfinite(high):
            tried = _between(low, high, spare / (spare + lack), closing=(high / low) ** 2 <= width)
        else:
            tried = tried * step if low > 0 else tried / step
            step = min(step * step, WIDEST_STEP)
        if tried < slowest:
            return 0.0
    raise InputError("the trace is too short to fill the fleet", given=f"{len(trace)} requests", hint="give more requests")


def _between(low: QueriesPerSecond, high: QueriesPerSecond, share: Dimensionless, *, closing: bool) -> QueriesPerSecond:
    """Where to look next: at the `share` of the way, no nearer to an end than ends the search; half way if the last gained little."""
    if not closing or high <= low * (1 + PRECISION) ** 2:
        return math.sqrt(low * high)
    guess = math.exp((1 - share) * math.log(low) + share * math.log(high))
    return min(max(guess, low * (1 + PRECISION)), high / (1 + PRECISION))


def _own_rate(trace: Requests) -> QueriesPerSecond:
    rate = mean_rate(trace)
    if not math.isfinite(rate):
        raise InputError("all requests arrive at once, so their rate cannot be scaled")
    return rate


def capacity(fleet: Fleet, trace: Requests) -> QueriesPerSecond:
    """Requests a second that `fleet` answers when the first `PILOT` of `trace` come nearly at once; roughly, since it fills and empties."""
    first = some_of(trace, slice(PILOT))
    outcome = simulated(fleet, faster(first, 1e9))
    return len(first) / float(outcome.completion.max())


def _pilot(fleet: Fleet, trace: Requests, level: ServiceLevel, warm_up: Dimensionless) -> QueriesPerSecond:
    first = some_of(trace, slice(PILOT))
    return highest_rate(fleet, first, level, warm_up=warm_up) or capacity(fleet, trace)
