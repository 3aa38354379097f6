"""Traffic made by rule: open (Poisson) and closed loops with fixed or uniform lengths; a seed decides everything.

Lengths and times come from streams of their own, and times scale with the rate, so runs that differ in the rate alone compare
like with like.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.scheduler import Requests
from tapeout.units import Dimensionless, QueriesPerSecond

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of a request: `prompt` and `output` at most, drawn uniformly from `shortest` times that upwards; 1 is fixed lengths."""

    prompt: int
    output: int
    shortest: Dimensionless = 1.0

    def __post_init__(self) -> None:
        for name in ("prompt", "output"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1 token", given=getattr(self, name))
        if not 0 < self.shortest <= 1:
            raise InputError("shortest is a share of the longest", given=self.shortest, allowed="above 0, at most 1")

    def draw(self, count: int, random: np.random.Generator) -> tuple[Integers, Integers]:
        """Prompt and output lengths of `count` requests."""
        shortest = [max(1, math.ceil(self.shortest * most)) for most in (self.prompt, self.output)]
        prompt, output = (
            random.integers(least, most, size=count, endpoint=True, dtype=np.int64)
            for least, most in zip(shortest, (self.prompt, self.output), strict=True)
        )
        return prompt, output


def _streams(count: int, seed: int) -> list[np.random.Generator]:
    if count < 1:
        raise InputError("a trace needs at least one request", given=count)
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)]


def poisson(count: int, rate: QueriesPerSecond, lengths: Lengths, *, seed: int) -> Requests:
    """`count` requests at `rate` whose gaps are exponential and independent.

    >>> poisson(3, 2.0, Lengths(prompt=100, output=10), seed=1).prompt
    array([100, 100, 100])
    """
    if not (math.isfinite(rate) and rate > 0):
        raise InputError("the rate must be finite and above 0 requests/s", given=rate)
    times, sizes = _streams(count, seed)
    prompt, output = lengths.draw(count, sizes)
    return Requests(arrival=np.cumsum(times.exponential(size=count)) / rate, prompt=prompt, output=output)


def closed_loop(count: int, users: int, lengths: Lengths, *, seed: int) -> Requests:
    """`count` requests of `users` who all start at once, each sending the next request when one is answered.

    >>> closed_loop(8, 2, Lengths(prompt=100, output=10, shortest=0.8), seed=1).arrival
    array([0., 0.])
    """
    if users < 1:
        raise InputError("a closed loop needs at least one user", given=users)
    _, sizes = _streams(count, seed)
    prompt, output = lengths.draw(count, sizes)
    started = min(users, count)
    return Requests(arrival=np.zeros(started), prompt=prompt, output=output, users=started)
