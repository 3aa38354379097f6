"""Uncertain facts as arrays of seeded draws, and what such arrays say: percentiles, and what moves them.

The range of a fact is read as its 5th and 95th percentile and its value as its median. Positive facts are drawn on a logarithmic
scale and facts whose range touches zero on a linear one; shares are linear and stay between 0 and 1. Each side of the median has
its own spread, so a range that ends at the value has half its draws there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import InputError
from tapeout.provenance import Sourced
from tapeout.units import Dimensionless

Array = NDArray[np.float64]
Number = TypeVar("Number")

TAIL = 1.6448536269514722
"""Standard normal at the 95th percentile: where a fact stands at its high, and at its low with the sign reversed."""

BINS = 50
"""Bins of a cause in `variance_shares`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles(Generic[Number]):
    """5th, 50th and 95th percentile of a quantity, in its unit."""

    p5: Number
    p50: Number
    p95: Number

    @property
    def span(self) -> Dimensionless:
        """Width end to end, p95 over p5."""
        return self.p95 / self.p5  # type: ignore[operator, no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """A number of draws under a seed; the same cause gives the same draws, in whatever order causes are asked for."""

    count: int = 100_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError("at least one draw is needed", given=self.count)
        if self.seed < 0:
            raise InputError("a seed is a whole number from 0 on", given=self.seed)

    def normal(self, cause: str) -> Array:
        """Standard normal draws of a cause, of shape (count,); equal names are one cause and other names are independent."""
        words = np.random.SeedSequence([self.seed, *cause.encode()])
        return np.random.default_rng(words).standard_normal(self.count)

    def correlated(self, cause: str, shared: str, correlation: Dimensionless) -> Array:
        """Standard normal draws of a cause, of shape (count,): any two that name the same `shared` cause have this correlation.

        z = sqrt(c) z_shared + sqrt(1 - c) z_own, with c the correlation; raises InputError for one outside 0 to 1.
        """
        if not 0 <= correlation <= 1:
            raise InputError("a correlation through a shared cause lies between 0 and 1", given=correlation)
        return math.sqrt(correlation) * self.normal(shared) + math.sqrt(1 - correlation) * self.normal(cause)

    def of(self, fact: Sourced[float], cause: str) -> Array:
        """A positive fact (in its unit) under its own `cause`, of shape (count,)."""
        return quantity_at(fact, self.normal(cause))

    def share_of(self, fact: Sourced[float], cause: str) -> Array:
        """A share between 0 and 1 under its own `cause`, of shape (count,)."""
        return share_at(fact, self.normal(cause))


def quantity_at(fact: Sourced[float], standard: ArrayLike) -> Array:
    """A fact that is not negative, where a standard normal stands: its low at -`TAIL`, its value at 0, its high at `TAIL`.

    Takes and gives any shape. A range above 0 is split lognormal, one from 0 on is split normal and cut at 0. Raises InputError for
    a negative low.

    >>> from tapeout.hardware.process import process
    >>> price = process("tsmc-4").wafer_price
    >>> [round(float(quantity_at(price, where))) for where in (-TAIL, 0, TAIL)]
    [16000, 18000, 20000]
    """
    if fact.low < 0:
        raise InputError("a fact that is drawn as a quantity must not be negative", given=fact.low)
    if fact.low == 0:
        return np.maximum(_split(fact.low, fact.value, fact.high, standard), 0.0)
    return fact.value * np.exp(_split(math.log(fact.low / fact.value), 0.0, math.log(fact.high / fact.value), standard))


def share_at(fact: Sourced[float], standard: ArrayLike) -> Array:
    """A share where a standard normal stands, split normal and cut at 0 and 1; raises InputError for a range that leaves 0 to 1.

    >>> from tapeout.hardware.process import packaging
    >>> [round(float(share_at(packaging("cowos-l").bonding_yield, where)), 3) for where in (-TAIL, 0, TAIL)]
    [0.975, 0.98, 0.99]
    """
    if not 0 <= fact.low <= fact.high <= 1:
        raise InputError("a share lies between 0 and 1", given=f"{fact.low} to {fact.high}")
    return np.clip(_split(fact.low, fact.value, fact.high, standard), 0.0, 1.0)


def percentiles(numbers: ArrayLike) -> Percentiles[float]:
    """Percentiles of draws of any shape, linear between neighbours; raises InputError for none, or one that is not a number.

    >>> percentiles(range(101))
    Percentiles(p5=5.0, p50=50.0, p95=95.0)
    """
    drawn = np.asarray(numbers, dtype=np.float64)
    if drawn.size == 0 or not np.all(np.isfinite(drawn)):
        raise InputError("percentiles need at least one draw, all of them finite", given=f"{drawn.size} draws")
    low, middle, high = (float(each) for each in np.percentile(drawn, (5, 50, 95)))
    return Percentiles(p5=low, p50=middle, p95=high)


def variance_shares(causes: Mapping[str, ArrayLike], outcome: ArrayLike) -> dict[str, float]:
    """Share of the variance of `outcome` that each cause alone explains, 0 to 1: its first-order Sobol index Var(E[Y | X]) / Var(Y).

    Estimated from the draws themselves, each cause cut into `BINS` bins of equal count; what noise alone would give is taken off.
    Causes and outcome have the shape (draws,). The shares of independent causes sum to 1 less what their interactions move.
    """
    y = np.asarray(outcome, dtype=np.float64)
    variance = float(y.var())
    if variance == 0 or y.size < 2 * BINS:
        return dict.fromkeys(causes, 0.0)
    return {name: _first_order(np.asarray(each, dtype=np.float64), y, variance) for name, each in causes.items()}


def _first_order(cause: Array, outcome: Array, variance: float) -> float:
    edges = np.linspace(0, outcome.size, BINS + 1).astype(np.intp)
    ordered = outcome[np.argpartition(cause, edges[1:-1])]
    counts = np.diff(edges)
    means = np.add.reduceat(ordered, edges[:-1]) / counts
    between = float(np.average((means - outcome.mean()) ** 2, weights=counts))
    noise = (BINS - 1) / (outcome.size - 1)  # what bins of independent draws would differ by
    return min(1.0, max(0.0, (between / variance - noise) / (1 - noise)))


def _split(low: float, value: float, high: float, standard: ArrayLike) -> Array:
    where = np.asarray(standard, dtype=np.float64) / TAIL
    return np.asarray(value + np.where(where < 0, value - low, high - value) * where, dtype=np.float64)
