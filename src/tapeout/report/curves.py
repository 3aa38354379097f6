"""Charts over numbers: curves above an axis of values, and spans of time in rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from tapeout.report.figures import LOG_SPAN, Figure, Key, Mark, Option, frame
from tapeout.report.numbers import NumberStyle
from tapeout.report.palette import SERIES
from tapeout.report.tables import Table, plain
from tapeout.units import Unit

ROW_HEIGHT = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A dashed line across a chart at a value of the axis to the right, or with `upwards` of the other."""

    name: str
    at: Annotated[float, Unit("1")]
    upwards: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A bar from `start` to `end` in the row `row`, counted from 0 at the top; `lines` are its words by name."""

    row: int
    start: Annotated[float, Unit("1")]
    end: Annotated[float, Unit("1")]
    name: str
    lines: tuple[tuple[str, str], ...]


def curves_figure(
    table: Table,
    *,
    id: str,  # noqa: A002
    title: str,
    caption: str,
    style: NumberStyle,
    across: NumberStyle,
    levels: Sequence[Level] = (),
    logarithmic: bool = False,
    highest: float | None = None,
    far: bool = False,
    wide: bool = False,
) -> Figure:
    """A curve for each further column of `table` over the numbers in its first; `logarithmic` is the axis of these.

    `highest` is where the axis upwards ends, by default above the largest value; with `far` it is logarithmic where values span far.
    """
    first, *others = table.columns
    places = [plain(row[first.key]) for row in table.rows]
    series, keys = [], []
    for index, column in enumerate(others):
        colour = f"@{SERIES[index % len(SERIES)]}"
        points = [[place, plain(row[column.key])] for place, row in zip(places, table.rows, strict=True)]
        series.append(_curve(column.heading, points, colour))
        keys.append(Key(name=column.heading, colour=colour, mark=Mark.LINE))
    for level in levels:
        series.append(_level(level))
        keys.append(Key(name=level.name, colour="@ink", mark=Mark.DASHED))
    option = frame()
    option["tooltip"] |= {"axisPointer": {"type": "line"}, "formatter": "@curves"}
    option["xAxis"] = _axis("@across") | {"min": places[0], "max": places[-1], "type": "log" if logarithmic else "value"}
    if not logarithmic:
        _hide_ends(option["xAxis"])
    values = [value for each in series for _, value in each["data"] if value is not None and value > 0]
    if far and values and max(values) > LOG_SPAN * min(values):
        low, high = decades(values)
        option["yAxis"] = _axis("@axis") | {"type": "log", "min": low, "max": high}
    else:
        option["yAxis"] = _axis("@axis") | {"min": 0} | ({} if highest is None else {"max": highest})
    option["grid"] |= {"right": 40}
    option["series"] = series
    return Figure(
        id=id, title=title, caption=caption, option=option, keys=tuple(keys), table=table, style=style, across=across, wide=wide
    )  # fmt: skip


def spans_figure(
    table: Table,
    spans: Mapping[str, Sequence[Span]],
    *,
    id: str,  # noqa: A002
    title: str,
    caption: str,
    across: NumberStyle,
    ends: tuple[float, float],
) -> Figure:
    """Rows of bars between two `ends`, a colour for each kind in `spans`; what reaches beyond the ends is cut off."""
    rows = 1 + max(span.row for each in spans.values() for span in each)
    series, keys = [], []
    for index, (name, each) in enumerate(spans.items()):
        colour = f"@{SERIES[index % len(SERIES)]}"
        data = [{"value": [span.row, span.start, span.end], "name": span.name, "lines": list(span.lines)} for span in each]
        drawn: Option = {"type": "custom", "renderItem": "@span", "encode": {"x": [1, 2], "y": 0}, "clip": True}
        series.append(drawn | {"name": name, "data": data, "itemStyle": {"color": colour}, "emphasis": {"disabled": True}})
        keys.append(Key(name=name, colour=colour, mark=Mark.BAR))
    option = frame()
    option["tooltip"] = {"trigger": "item", "confine": True, "axisPointer": {"type": "none"}, "formatter": "@point"}
    option["xAxis"] = _axis("@across") | {"min": ends[0], "max": ends[1]}
    _hide_ends(option["xAxis"])
    hidden: Option = {"axisLabel": {"show": False}, "axisLine": {"show": False}, "axisTick": {"show": False}}
    option["yAxis"] = {"type": "category", "data": [str(row) for row in range(rows)], "inverse": True} | hidden
    option["grid"] |= {"right": 40}
    option["series"] = series
    return Figure(
        id=id, title=title, caption=caption, option=option, keys=tuple(keys), table=table, style=across, across=across, wide=True,
        height=60 + rows * ROW_HEIGHT,
    )  # fmt: skip


def decades(values: Sequence[float]) -> tuple[float, float]:
    """A range of 1, 2 or 5 times powers of ten around positive `values`.

    >>> decades([0.03, 4.0])
    (0.02, 5.0)
    """
    return _step_below(min(values)), 1 / _step_below(1 / max(values))


def _step_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value * (1 + 1e-9))


def _axis(formatter: str) -> Option:
    label: dict[str, Any] = {"color": "@soft", "fontSize": 12, "formatter": formatter, "hideOverlap": True}
    line: Option = {"lineStyle": {"color": "@line"}}
    return {"type": "value", "axisLabel": label, "splitLine": line, "axisLine": line | {"onZero": False}, "axisTick": {"show": False}}


def _hide_ends(axis: Option) -> None:
    """No labels at the ends, which are no round numbers."""
    axis["axisLabel"] |= {"showMinLabel": False, "showMaxLabel": False}


def _curve(name: str, points: list[list[Any]], colour: str) -> Option:
    style = {"color": colour, "width": 1.75}
    point: Option = {"symbol": "circle", "symbolSize": 5, "showSymbol": len(points) == 1, "itemStyle": {"color": colour}}
    return point | {"type": "line", "name": name, "data": points, "lineStyle": style, "emphasis": {"disabled": True}}


def _level(level: Level) -> Option:
    line = {"color": "@ink", "width": 1.5, "type": "dashed"}
    mark = {"silent": True, "symbol": "none", "label": {"show": False}, "lineStyle": line}
    return {
        "type": "line",
        "name": level.name,
        "data": [],
        "markLine": mark | {"data": [{"yAxis" if level.upwards else "xAxis": level.at}]},
    }
