"""Traffic made by rule: open (Poisson) and closed loops with fixed or uniform lengths; a seed decides everything.

Lengths and times come from streams of their own, and times scale with the rate, so runs that differ in the rate alone compare
like with like.
"""

from __future__ import annotations

import math

import numpy as np

from tapeout.errors import InputError
from tapeout.serving.requests import Requests
from tapeout.units import QueriesPerSecond
from tapeout.workload.traffic import Lengths, RequestMix


def _streams(count: int, seed: int) -> list[np.random.Generator]:
    if count < 1:
        raise InputError("a trace needs at least one request", given=count)
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)]


def poisson(count: int, rate: QueriesPerSecond, lengths: Lengths | RequestMix, *, seed: int) -> Requests:
    """`count` requests at `rate` whose gaps are exponential and independent.

    >>> poisson(3, 2.0, Lengths(prompt=100, output=10), seed=1).prompt
    array([100, 100, 100])
    """
    if not (math.isfinite(rate) and rate > 0):
        raise InputError("the rate must be finite and above 0 requests/s", given=rate)
    times, sizes = _streams(count, seed)
    prompt, output = lengths.sample(count, sizes)
    return Requests(arrival=np.cumsum(times.exponential(size=count)) / rate, prompt=prompt, output=output)


def closed_loop(count: int, users: int, lengths: Lengths | RequestMix, *, seed: int) -> Requests:
    """`count` requests of `users` who all start at once, each sending the next request when one is answered.

    >>> closed_loop(8, 2, Lengths(prompt=100, output=10, shortest=0.8), seed=1).arrival
    array([0., 0.])
    """
    if users < 1:
        raise InputError("a closed loop needs at least one user", given=users)
    _, sizes = _streams(count, seed)
    prompt, output = lengths.sample(count, sizes)
    started = min(users, count)
    return Requests(arrival=np.zeros(started), prompt=prompt, output=output, users=started)
