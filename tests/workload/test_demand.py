"""Demand: closed forms of growth, and the calendar."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.units import DAY, QUARTER
from tapeout.workload.demand import DemandPoint, Forecast, demand_by_quarter

START = datetime.date(2024, 1, 1)


def point(date: datetime.date, queries: float) -> DemandPoint:
    return DemandPoint(date=date, queries=queries)


@given(growth=st.one_of(st.floats(-0.5, -0.01), st.floats(0.01, 2.0)), queries=st.floats(1.0, 1e10))
def test_compound_growth_follows_the_geometric_series(growth: float, queries: float) -> None:
    found = demand_by_quarter(Forecast(points=(point(START, queries),), growth=growth), START, 1)
    ratio, days = (1 + growth) ** (DAY / QUARTER), 91
    expected = queries * (ratio**days - 1) / (ratio - 1)
    assert found.queries[0] == pytest.approx(expected, rel=1e-6)
    assert found.mean[0] == pytest.approx(expected / days, rel=1e-6)


def test_a_year_of_growth_compounds_four_times() -> None:
    forecast = Forecast(points=(point(START, 100.0),), growth=0.5)
    assert forecast.by_day(START, 1462)[1461] == pytest.approx(100 * 1.5**16)


def test_between_points_growth_is_geometric() -> None:
    forecast = Forecast(points=(point(START, 1e6), point(datetime.date(2024, 1, 11), 1e8)))
    assert forecast.by_day(START, 6)[5] == pytest.approx(1e7)


def test_the_peak_is_that_of_the_busiest_day() -> None:
    rising = demand_by_quarter(Forecast(points=(point(START, 8.64e6),), growth=0.2, peak_to_mean=3.0), START, 4)
    last_days = np.array([90, 181, 273, 365])
    assert rising.peak == pytest.approx(3 * 100 * 1.2 ** (last_days * DAY / QUARTER))
    falling = demand_by_quarter(Forecast(points=(point(START, 8.64e6),), growth=-0.2, peak_to_mean=3.0), START, 2)
    assert falling.peak[0] == pytest.approx(300)


def test_before_the_first_point_there_is_no_demand() -> None:
    found = demand_by_quarter(Forecast(points=(point(datetime.date(2024, 2, 15), 10.0),)), START, 2)
    assert found.queries[0] == pytest.approx(10 * (91 - 45))
    assert found.mean[1] == pytest.approx(10)


def test_quarters_follow_the_calendar() -> None:
    found = demand_by_quarter(Forecast(points=(point(datetime.date(2023, 1, 1), 1.0),)), datetime.date(2023, 10, 1), 6)
    assert [str(day) for day in found.first_days] == ["2023-10-01", "2024-01-01", "2024-04-01", "2024-07-01", "2024-10-01", "2025-01-01"]
    assert found.queries.round().tolist() == [92, 91, 91, 92, 92, 90]


@pytest.mark.parametrize("start", [datetime.date(2024, 1, 2), datetime.date(2024, 2, 1)])
def test_a_start_within_a_quarter_is_refused(start: datetime.date) -> None:
    with pytest.raises(InputError, match="not the first day of a quarter"):
        demand_by_quarter(Forecast(points=(point(START, 1.0),)), start, 4)


@pytest.mark.parametrize("queries", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_demand_is_refused(queries: float) -> None:
    with pytest.raises(InputError, match="must be positive"):
        point(START, queries)


def test_an_impossible_forecast_is_refused() -> None:
    one = point(START, 1.0)
    with pytest.raises(InputError, match="at least one point"):
        Forecast(points=())
    with pytest.raises(InputError, match="dates of a forecast must rise, given '2024-01-01 after 2024-01-01'"):
        Forecast(points=(one, one))
    with pytest.raises(InputError, match="growth"):
        Forecast(points=(one,), growth=-1.0)
    with pytest.raises(InputError, match="peak"):
        Forecast(points=(one,), peak_to_mean=0.9)
    with pytest.raises(InputError, match="at least one quarter"):
        demand_by_quarter(Forecast(points=(one,)), START, 0)
