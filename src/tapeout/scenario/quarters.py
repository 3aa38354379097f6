"""Calendar quarters, and values that change by quarter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.provenance import Grade
from tapeout.units import Dimensionless, Unit

T = TypeVar("T")

_QUARTER = re.compile(r"(\d{4})Q([1-4])")


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """A calendar quarter; `number` is 1 to 4. Quarters are ordered in time.

    >>> str(Quarter(2023, 4) + 2), Quarter(2024, 2) - Quarter(2023, 4)
    ('2024Q2', 2)
    """

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"

    def __add__(self, quarters: int) -> Quarter:
        year, number = divmod(4 * self.year + self.number - 1 + quarters, 4)
        return Quarter(year, number + 1)

    def __sub__(self, other: Quarter) -> int:
        return 4 * (self.year - other.year) + self.number - other.number


def quarter(text: object) -> Quarter:
    """The quarter written as `2023Q4`; raises InputError for anything else.

    >>> quarter("2023Q4")
    Quarter(year=2023, number=4)
    """
    match = _QUARTER.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InputError("not a quarter", given=text, allowed="a year and a quarter of it, such as 2023Q4")
    return Quarter(int(match[1]), int(match[2]))


def quarter_of(date: str) -> Quarter:
    """The quarter of an ISO date.

    >>> str(quarter_of("2024-03-18"))
    '2024Q1'
    """
    year, month = date.split("-")[:2]
    return Quarter(int(year), (int(month) + 2) // 3)


class Between(StrEnum):
    """What a series does between two of its points: keep the first, go straight, or grow at one rate."""

    HELD = "held"
    LINEAR = "linear"
    GEOMETRIC = "geometric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series(Generic[T]):
    """A value by quarter: `points` in order of time, `between` them as said, growing by `growth` a quarter after the last.

    A first point at None holds from the first quarter asked for; before a first point at a quarter the value is 0. The value may be
    `low_factor` to `high_factor` times as large. `source` is the id of a source, `guess`, or `policy` for what the planner decides.
    """

    points: tuple[tuple[Quarter | None, T], ...]
    between: Between = Between.HELD
    growth: Dimensionless = 0.0
    low_factor: Dimensionless = 1.0
    high_factor: Dimensionless = 1.0
    source: str
    place: str = ""
    grade: Grade
    unit: Unit
    currency_year: int | None = None
    why: str = ""
    written: tuple[str, str, str] = ("", "", "")

    @property
    def first(self) -> Quarter | None:
        """The quarter of the first point, None where the value holds from the start."""
        return self.points[0][0]

    def over(self, start: Quarter, quarters: int) -> NDArray[np.float64]:
        """The value in each of `quarters` quarters from `start` on, in `unit`, shape (quarters,).

        >>> points = (Quarter(2024, 1), 4.0), (Quarter(2024, 3), 16.0)
        >>> series = Series(points=points, between=Between.GEOMETRIC, source="guess", grade=Grade.GUESS, unit=Unit("1"))
        >>> series.over(Quarter(2023, 4), 5).round(9).tolist()
        [0.0, 4.0, 8.0, 16.0, 16.0]
        """
        steps = np.array([0 if at is None else at - start for at, _ in self.points], dtype=np.float64)
        heights = np.array([height for _, height in self.points], dtype=np.float64)
        time = np.arange(quarters, dtype=np.float64)
        match self.between:
            case Between.HELD:
                values = heights[np.clip(np.searchsorted(steps, time, side="right") - 1, 0, None)]
            case Between.LINEAR:
                values = np.interp(time, steps, heights)
            case Between.GEOMETRIC:
                values = np.exp(np.interp(time, steps, np.log(heights)))
        grown = values * (1 + self.growth) ** np.clip(time - steps[-1], 0, None)
        return np.where(time < steps[0], 0.0, grown)
