"""Arrivals made by rule: memoryless, in bursts, over a day, and in closed loops; a seed decides everything.

Lengths and times come from streams of their own, and times scale with the rate, so runs that differ in the rate alone compare
like with like.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from tapeout.errors import InputError
from tapeout.traffic.requests import Requests, Times
from tapeout.units import Dimensionless, QueriesPerSecond, Seconds
from tapeout.workload.traffic import TokenNumbers

CALMEST, WILDEST = 0.02, 20.0
"""Coefficients of variation that bursts may have; beyond, doubles no longer hold the shapes of their distributions."""
STEEPEST = 20.0
"""The highest peak over the mean of a daily curve: above, a day is one short burst."""


class Sampler(Protocol):
    """Whatever draws lengths: fixed, uniform, mixed or empirical."""

    def sample(self, requests: int, generator: np.random.Generator, /) -> tuple[TokenNumbers, TokenNumbers]:
        """Prompt and output tokens of so many independent requests."""
        ...


def _streams(count: int, seed: int) -> list[np.random.Generator]:
    if count < 1:
        raise InputError("a trace needs at least one request", given=count)
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)]


def _made(gaps: Times, rate: QueriesPerSecond, lengths: Sampler, sizes: np.random.Generator) -> Requests:
    """Requests at `rate` whose gaps have the form of `gaps`, whose mean is 1."""
    _check_rate(rate)
    prompt, output = lengths.sample(len(gaps), sizes)
    return Requests(arrival=np.cumsum(gaps) / rate, prompt=prompt, output=output)


def _check_rate(rate: QueriesPerSecond) -> None:
    if not (math.isfinite(rate) and rate > 0):
        raise InputError("the rate must be finite and above 0 requests/s", given=rate)


def _check_variation(variation: Dimensionless) -> None:
    if not CALMEST <= variation <= WILDEST:
        raise InputError("the coefficient of variation is out of range", given=variation, allowed=f"{CALMEST} to {WILDEST:g}")


def poisson(count: int, rate: QueriesPerSecond, lengths: Sampler, *, seed: int) -> Requests:
    """`count` requests at `rate` whose gaps are exponential and independent.

    >>> from tapeout.workload.traffic import Lengths
    >>> poisson(3, 2.0, Lengths(prompt=100, output=10), seed=1).prompt
    array([100, 100, 100])
    """
    times, sizes = _streams(count, seed)
    return _made(times.exponential(size=count), rate, lengths, sizes)


def gamma(count: int, rate: QueriesPerSecond, variation: Dimensionless, lengths: Sampler, *, seed: int) -> Requests:
    """`count` requests at `rate` whose gaps are Gamma-distributed with the coefficient of `variation`: above 1 bursts, 1 is Poisson.

    >>> from tapeout.workload.traffic import Lengths
    >>> len(gamma(100, 2.0, 3.0, Lengths(prompt=100, output=10), seed=1))
    100
    """
    times, sizes = _streams(count, seed)
    _check_variation(variation)
    shape = variation**-2
    return _made(times.gamma(shape, size=count) / shape, rate, lengths, sizes)


def weibull_shape(variation: Dimensionless) -> Dimensionless:
    """The shape k of a Weibull distribution with this coefficient of variation: G(1 + 2/k) / G(1 + 1/k)^2 - 1 is its square.

    >>> round(weibull_shape(1.0), 9)
    1.0
    """
    _check_variation(variation)

    def excess(log_shape: float) -> float:
        inverse = math.exp(-log_shape)
        return math.lgamma(1 + 2 * inverse) - 2 * math.lgamma(1 + inverse) - math.log1p(variation**2)

    return math.exp(_root(excess, math.log(0.1), math.log(100.0)))


def weibull(count: int, rate: QueriesPerSecond, variation: Dimensionless, lengths: Sampler, *, seed: int) -> Requests:
    """`count` requests at `rate` whose gaps are Weibull-distributed with the coefficient of `variation`.

    >>> from tapeout.workload.traffic import Lengths
    >>> len(weibull(100, 2.0, 3.0, Lengths(prompt=100, output=10), seed=1))
    100
    """
    times, sizes = _streams(count, seed)
    shape = weibull_shape(variation)
    return _made(times.weibull(shape, size=count) / math.gamma(1 + 1 / shape), rate, lengths, sizes)


def diurnal_sharpness(peak_to_mean: Dimensionless) -> Dimensionless:
    """The k of a daily curve exp(k cos) whose peak is this multiple of its mean, which is 1 for a flat day.

    >>> diurnal_sharpness(1.0)
    0.0
    """
    if not 1 <= peak_to_mean <= STEEPEST:
        raise InputError("the peak over the mean of a daily curve is out of range", given=peak_to_mean, allowed=f"1 to {STEEPEST:g}")
    if peak_to_mean == 1:
        return 0.0
    # Equal steps over a period take the mean of a smooth curve exactly, if they are narrower than its peak.
    fall = np.cos(np.linspace(0, 2 * np.pi, 4096, endpoint=False)) - 1

    def excess(sharpness: float) -> float:
        return peak_to_mean - 1 / float(np.exp(sharpness * fall).mean())

    return _root(excess, 0.0, 10 * STEEPEST**2)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where `function`, which falls from `low` to `high`, is zero, by halves."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return middle


def diurnal(count: int, rate: QueriesPerSecond, period: Seconds, peak_to_mean: Dimensionless, lengths: Sampler, *, seed: int) -> Requests:
    """`count` requests of a Poisson process whose rate swings over each `period` about its mean `rate`, lowest at time 0.

    Candidates at the peak rate are kept with the share that the curve has there of its peak (thinning).

    >>> from tapeout.workload.traffic import Lengths
    >>> len(diurnal(100, 2.0, 3600.0, 2.0, Lengths(prompt=100, output=10), seed=1))
    100
    """
    times, sizes = _streams(count, seed)
    _check_rate(rate)
    if not (math.isfinite(period) and period > 0):
        raise InputError("the period must be finite and above 0 s", given=period)
    sharpness = diurnal_sharpness(peak_to_mean)
    kept: list[Times] = []
    found, now = 0, 0.0
    while found < count:
        candidates = now + np.cumsum(times.exponential(size=count)) / (rate * peak_to_mean)
        share = np.exp(-sharpness * (1 + np.cos(2 * np.pi * candidates / period)))
        kept.append(candidates[times.random(count) < share])
        found, now = found + len(kept[-1]), float(candidates[-1])
    prompt, output = lengths.sample(count, sizes)
    return Requests(arrival=np.concatenate(kept)[:count], prompt=prompt, output=output)


def closed_loop(count: int, users: int, lengths: Sampler, *, seed: int) -> Requests:
    """`count` requests of `users` who all start at once, each sending the next request when one is answered.

    >>> from tapeout.workload.traffic import Lengths
    >>> closed_loop(8, 2, Lengths(prompt=100, output=10, shortest=0.8), seed=1).arrival
    array([0., 0.])
    """
    if users < 1:
        raise InputError("a closed loop needs at least one user", given=users)
    _, sizes = _streams(count, seed)
    prompt, output = lengths.sample(count, sizes)
    started = min(users, count)
    return Requests(arrival=np.zeros(started), prompt=prompt, output=output, users=started)


def faster(requests: Requests, factor: Dimensionless) -> Requests:
    """The same requests `factor` times as fast: all times of arrival divided by it."""
    if not (math.isfinite(factor) and factor > 0):
        raise InputError("the factor on the rate must be finite and above 0", given=factor)
    return dataclasses.replace(requests, arrival=requests.arrival / factor)


def mean_rate(requests: Requests) -> QueriesPerSecond:
    """Gaps over the time between the first and the last arrival of an open trace; infinite where all arrive at once."""
    if requests.users is not None:
        raise InputError("a closed loop has no rate of its own")
    span = float(requests.arrival[-1] - requests.arrival[0])
    return (len(requests) - 1) / span if span > 0 else math.inf
