"""What one more chip costs to make, with every fact at its cheap end, in the middle, or at its dear end.

The ends are an envelope, wider than percentiles: those are in `unit_draws`. Facts keep the currency year of their sources, from 2020
to 2026; they are not inflated, and the years are stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.cost.breakdown import CostBreakdown, breakdown
from tapeout.cost.die import reticle_area
from tapeout.cost.inputs import SHARES, facts_of, mapped
from tapeout.cost.yields import YieldModel, negative_binomial
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.process import Packaging
from tapeout.provenance import Sourced
from tapeout.units import Unit, Usd

T = TypeVar("T")


class Level(Enum):
    """Where in its range each fact is taken: all at the cheap end, at the value, or at the dear end."""

    LOW = -1
    MID = 0
    HIGH = 1


def dear(fact: Sourced[T], level: Level) -> T:
    """A fact that raises cost, at `level`."""
    return {Level.LOW: fact.low, Level.MID: fact.value, Level.HIGH: fact.high}[level]


def cheap(fact: Sourced[T], level: Level) -> T:
    """A fact that lowers cost, at `level`: its high end where costs are low."""
    return {Level.LOW: fact.high, Level.MID: fact.value, Level.HIGH: fact.low}[level]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """Recurring cost of one chip at the low, middle and high of all facts, and the currency years of those facts."""

    chip: str
    packaging: str
    stacks: int
    low: CostBreakdown[Usd]
    mid: CostBreakdown[Usd]
    high: CostBreakdown[Usd]
    currency_years: tuple[int, ...]


def unit_cost(
    chip: Chip, *, package: Packaging | None = None, yield_model: YieldModel = negative_binomial, year: int | None = None
) -> UnitCost:
    """Recurring cost of one `chip` in USD, before development and margin; `package` defaults to the usual one.

    With a `year`, defects and prices are those of that year (`years`); without, facts stand as they are. Raises InputError for a chip
    without silicon facts, and UnknownNameError for an unknown node or memory generation.
    """
    build, facts = facts_of(chip, package, year)

    def at(level: Level) -> CostBreakdown[Usd]:
        def taken(name: str, fact: Sourced[float]) -> ArrayLike:
            value = (cheap if name in SHARES else dear)(fact, level)
            return printable(value, fact) if name.endswith(".area") else value

        parts = breakdown(build, mapped(facts, taken), yield_model).by_name()
        return CostBreakdown(**{name: float(part) for name, part in parts.items()})

    low, mid, high = (at(level) for level in Level)
    return UnitCost(
        chip=chip.id, packaging=build.package, stacks=build.units, low=low, mid=mid, high=high, currency_years=build.currency_years
    )


def printable(area: ArrayLike, fact: Sourced[float]) -> NDArray[np.float64]:
    """Areas of a die cut off at the reticle limit, since no larger one was printed; those of a die above it are left as they are."""
    limit = reticle_area()
    return np.asarray(area if fact.value > limit else np.minimum(area, limit), dtype=np.float64)


def price_with_margin(cost: ArrayLike, margin: ArrayLike) -> Annotated[NDArray[np.float64], Unit("USD")]:
    """Price at which a seller with gross margin `margin` sells what costs `cost`: P = C / (1 - m) [epoch-ai-chip-counts].

    >>> round(float(price_with_margin(1153.0, 0.575)))
    2713
    """
    share = np.asarray(margin, dtype=np.float64)
    if not np.all((share >= 0) & (share < 1)):
        raise InputError("a gross margin must be at least 0 and below 1", given=float(share.max()))
    return np.asarray(np.asarray(cost, dtype=np.float64) / (1 - share))
