"""How many queries come: a forecast by day, summed by calendar quarter, with the rate that must be provisioned.

Between two points of a forecast demand grows at one rate; after the last it grows by a given rate a quarter.
"""

from __future__ import annotations

import datetime
import itertools
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.units import DAY, QUARTER, Dimensionless, Unit

Array = NDArray[np.float64]
QueriesPerDay = Annotated[float, Unit("query/day")]
QueryNumbers = Annotated[Array, Unit("query")]
QueriesPerDayByQuarter = Annotated[Array, Unit("query/day")]
QueriesPerSecondByQuarter = Annotated[Array, Unit("query/s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPoint:
    """Queries of one day."""

    date: datetime.date
    queries: QueriesPerDay

    def __post_init__(self) -> None:
        if not 0 < self.queries < np.inf:
            raise InputError("queries per day must be positive", given=self.queries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`points` in order of time; after the last, demand grows by `growth` a quarter (0.1 is 10 %); before the first there is none.

    `peak_to_mean` is the busiest rate of a day over the day's mean.
    """

    points: tuple[DemandPoint, ...]
    growth: Dimensionless = 0.0
    peak_to_mean: Dimensionless = 1.0

    def __post_init__(self) -> None:
        if not self.points:
            raise InputError("a forecast needs at least one point")
        for earlier, later in itertools.pairwise(self.points):
            if later.date <= earlier.date:
                raise InputError("the dates of a forecast must rise", given=f"{later.date} after {earlier.date}")
        if not -1 < self.growth < np.inf:
            raise InputError("growth a quarter must be above -100 %", given=self.growth)
        if not 1 <= self.peak_to_mean < np.inf:
            raise InputError("the peak is at least the mean", given=self.peak_to_mean, allowed="a factor from 1 on")

    def by_day(self, start: datetime.date, days: int) -> QueriesPerDayByQuarter:
        """Queries per day on each of `days` days from `start` on, shape (days,).

        >>> first = DemandPoint(date=datetime.date(2023, 10, 1), queries=1e7)
        >>> last = DemandPoint(date=datetime.date(2023, 10, 3), queries=4e7)
        >>> Forecast(points=(first, last)).by_day(datetime.date(2023, 9, 30), 5).round().tolist()
        [0.0, 10000000.0, 20000000.0, 40000000.0, 40000000.0]
        """
        day = np.arange(days, dtype=np.float64)
        known = np.array([(point.date - start).days for point in self.points], dtype=np.float64)
        logarithms = np.interp(day, known, np.log([point.queries for point in self.points]))
        beyond = np.maximum(0.0, day - known[-1]) * DAY / QUARTER
        return np.where(day < known[0], 0.0, np.exp(logarithms + beyond * np.log1p(self.growth)))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterlyDemand:
    """Demand by calendar quarter: all queries of it, their mean by day, and the rate at the peak of its busiest day."""

    first_days: tuple[datetime.date, ...]
    queries: QueryNumbers
    mean: QueriesPerDayByQuarter
    peak: QueriesPerSecondByQuarter


def demand_by_quarter(forecast: Forecast, start: datetime.date, quarters: int) -> QuarterlyDemand:
    """The demand of `quarters` calendar quarters; `start` is the first day of the first.

    Raises InputError where `start` does not begin a quarter.

    >>> flat = Forecast(points=(DemandPoint(date=datetime.date(2023, 10, 1), queries=8.64e6),), peak_to_mean=2.0)
    >>> demand = demand_by_quarter(flat, datetime.date(2023, 10, 1), 2)
    >>> demand.queries.round().tolist(), demand.peak.round().tolist()
    ([794880000.0, 786240000.0], [200.0, 200.0])
    """
    if start.day != 1 or start.month % 3 != 1:
        raise InputError("not the first day of a quarter", given=str(start), allowed="1 January, April, July or October")
    if quarters < 1:
        raise InputError("at least one quarter is needed", given=quarters)
    edges = [_quarter_after(start, count) for count in range(quarters + 1)]
    starts = np.array([(edge - start).days for edge in edges])
    daily = forecast.by_day(start, int(starts[-1]))
    queries = np.add.reduceat(daily, starts[:-1])
    return QuarterlyDemand(
        first_days=tuple(edges[:-1]),
        queries=queries,
        mean=queries / np.diff(starts),
        peak=forecast.peak_to_mean * np.maximum.reduceat(daily, starts[:-1]) / DAY,
    )


def _quarter_after(start: datetime.date, quarters: int) -> datetime.date:
    years, month = divmod(start.month - 1 + 3 * quarters, 12)
    return datetime.date(start.year + years, month + 1, 1)
