"""Charts over numbers: points are the table's, limits are where they are said to be, axes hold what is drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.report.curves import Level, Span, curves_figure, decades, spans_figure
from tapeout.report.figures import Figure
from tapeout.report.numbers import PERCENT, NumberStyle
from tapeout.report.tables import Column, Table

SECONDS = NumberStyle(suffix=" s")


def figure(values: list[float], **changes: object) -> Figure:
    columns = (Column(key="t", heading="Time", style=SECONDS), Column(key="a", heading="A", style=PERCENT))
    rows = [{"t": float(place), "a": value} for place, value in enumerate(values, 1)]
    table = Table(id="f", title="F", columns=columns, rows=rows)
    return curves_figure(table, id="f", title="F", caption="c", style=PERCENT, across=SECONDS, **changes)  # type: ignore[arg-type]


def test_points_are_the_rows_and_gaps_stay_gaps() -> None:
    found = figure([0.1, float("nan"), 0.3], levels=(Level(name="limit", at=2.5), Level(name="high", at=0.2, upwards=True)))
    curve, limit, high = found.option["series"]
    assert curve["data"] == [[1.0, 0.1], [2.0, None], [3.0, 0.3]]
    assert limit["markLine"]["data"] == [{"xAxis": 2.5}]
    assert high["markLine"]["data"] == [{"yAxis": 0.2}]
    assert [key.name for key in found.keys] == ["A", "limit", "high"] == [series["name"] for series in found.option["series"]]
    assert (found.option["xAxis"]["min"], found.option["xAxis"]["max"]) == (1.0, 3.0)


@pytest.mark.parametrize(("values", "kind"), [([1.0, 2.0, 3.0], "value"), ([0.01, 1.0, 3.0], "log"), ([0.0, 1.0, 3.0], "value")])
def test_only_what_spans_far_gets_a_logarithmic_axis(values: list[float], kind: str) -> None:
    axis = figure(values, far=True).option["yAxis"]
    assert axis["type"] == kind
    assert figure(values).option["yAxis"]["type"] == "value"
    if kind == "log":
        assert axis["min"] <= min(values) < max(values) <= axis["max"]


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=5))
def test_decades_are_the_closest_round_numbers_around(values: list[float]) -> None:
    low, high = decades(values)
    assert low <= min(values) * (1 + 1e-9)
    assert high >= max(values) * (1 - 1e-9)
    assert low > min(values) / 2.5001
    assert high < max(values) * 2.5001
    for end in (low, high):
        assert float(f"{end:.0e}") == pytest.approx(end)
        assert f"{end:.0e}"[0] in "125"


def test_rows_of_spans_make_room_for_each() -> None:
    bars = {
        "a": [Span(row=0, start=0.0, end=1.0, name="n", lines=(("x", "1"),))],
        "b": [Span(row=4, start=1.0, end=2.0, name="m", lines=())],
    }
    columns = (Column(key="t", heading="Time", style=SECONDS),)
    found = spans_figure(
        Table(id="s", title="S", columns=columns, rows=[]), bars, id="s", title="S", caption="c", across=SECONDS, ends=(0.0, 2.0)
    )
    assert len(found.option["yAxis"]["data"]) == 5
    assert [series["data"][0]["value"] for series in found.option["series"]] == [[0, 0.0, 1.0], [4, 1.0, 2.0]]
    assert found.option["series"][0]["data"][0]["lines"] == [("x", "1")]
    assert found.height > 60 + 5 * 10
