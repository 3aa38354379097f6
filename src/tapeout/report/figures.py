"""Charts of the plan as ECharts options, each made from the rows of one table.

An option is plain JSON. Under the keys of colours and formatters it may hold a token, `@series-3` or `@value`, which the
page's script turns into the colour of the current theme or into a function; text of a scenario never stands under those keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tapeout.report.numbers import CENTS, COUNT, MEGAWATTS, PER_SECOND, PERCENT, USD, NumberStyle
from tapeout.report.palette import OTHER, SERIES
from tapeout.report.tables import Table, plain

Option = dict[str, Any]
Values = list[float | None]
MOST_SERIES = 7


LOG_SPAN = 20.0
"""Ratio of the largest to the smallest value from which an axis of costs is logarithmic."""


class Mark(StrEnum):
    """How the key of a series is drawn."""

    BAR = "bar"
    LINE = "line"
    DASHED = "dashed"
    DOT = "dot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One entry of a chart's key: the series, its colour token and its mark."""

    name: str
    colour: str
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with the table behind it; `caption` says in a sentence what is drawn, and in which unit.

    `total` adds the sum of the series to the tooltip; `wide` gives the chart the full width of the page. `across` writes the numbers
    of an axis to the right, where that is not one of names.
    """

    id: str
    title: str
    caption: str
    option: Option
    keys: tuple[Key, ...]
    table: Table
    style: NumberStyle
    total: bool = False
    wide: bool = False
    height: int = 320
    across: NumberStyle | None = None


def fleet_figure(table: Table) -> Figure:
    """Chips in service by quarter, stacked by chip; `table` is wide, a column for each chip."""
    return stacked_figure(
        table, id="fleet", title="The fleet", caption="Chips in service at the end of each quarter, by chip.", style=COUNT, wide=True
    )


def spend_figure(table: Table) -> Figure:
    """Cash by quarter, stacked by category; `table` is wide, a column for each category."""
    return stacked_figure(
        table,
        id="spend",
        title="Spend",
        caption="Cash of each quarter by category, US dollars, not discounted. Income is below zero.",
        style=USD,
    )


def supplier_figure(table: Table, largest_share: float | None = None) -> Figure:
    """Suppliers' shares of the fleet's throughput by quarter; `table` is wide; `largest_share` draws the agreed ceiling."""
    figure = stacked_figure(
        table,
        id="suppliers",
        title="Dependence on suppliers",
        caption="Share of what is served, by supplier of the chip.",
        style=PERCENT,
    )
    figure.option["yAxis"]["max"] = 1
    if largest_share is None or largest_share >= 1:
        return figure
    line, key = reference_line(largest_share, f"largest share allowed, {PERCENT.show(largest_share)}", len(table.rows))
    figure.option["series"].append(line)
    return replace(figure, keys=(*figure.keys, key))


def demand_figure(table: Table, demand_key: str = "demand") -> Figure:
    """Queries served by model as bars under a line of demand; `table` is wide with the demand in `demand_key`."""
    served = [column.key for column in table.columns[1:] if column.key != demand_key]
    series, legend = _stack(table, served)
    demand = next(column for column in table.columns if column.key == demand_key)
    series.append(_line(demand.heading, _values(table, demand_key), "@ink", dashed=True))
    keys = (*legend, Key(name=demand.heading, colour="@ink", mark=Mark.DASHED))
    caption = "Peak queries per second: bars are served, by model; where the dashed line stands above them, demand is not met."
    option = _by_quarter(_quarters(table), series)
    return Figure(id="demand", title="Demand and service", caption=caption, option=option, keys=keys, table=table, style=PER_SECOND)


def cost_per_query_figure(table: Table, blended_key: str = "blended", reference: float | None = None, reference_text: str = "") -> Figure:
    """Cost of a query by quarter, a line for each model and one for their blend; `reference` draws a level to compare with."""
    series: list[Option] = []
    keys: list[Key] = []
    for index, column in enumerate(column for column in table.columns[1:] if column.key != blended_key):
        colour = f"@{SERIES[index % len(SERIES)]}"
        series.append(_line(column.heading, _values(table, column.key), colour))
        keys.append(Key(name=column.heading, colour=colour, mark=Mark.LINE))
    blended = next((column for column in table.columns if column.key == blended_key), None)
    if blended is not None:
        series.append(_line(blended.heading, _values(table, blended_key), "@ink", width=3.5))
        keys.append(Key(name=blended.heading, colour="@ink", mark=Mark.LINE))
    option = _by_quarter(_quarters(table), series)
    if reference is not None:
        line, key = reference_line(reference, reference_text or CENTS.show(reference), len(table.rows))
        series.append(line)
        keys.append(key)
    spanned = [value for key in (column.key for column in table.columns[1:]) for value in _values(table, key) if value and value > 0]
    if spanned and max(spanned) > LOG_SPAN * min(spanned):
        option["yAxis"] |= {"type": "log"}
    caption = "US cents per query served: rent, energy and upkeep as paid, capital spread over the quarters that it serves."
    return Figure(id="cost-per-query", title="Cost of a query", caption=caption, option=option, keys=tuple(keys), table=table, style=CENTS)


def lines_figure(table: Table, *, id: str, title: str, caption: str, style: NumberStyle) -> Figure:  # noqa: A002
    """A line for each further column of a wide table over the categories in its first."""
    columns = table.columns[1:]
    colours = [f"@{SERIES[index % len(SERIES)]}" for index in range(len(columns))]
    series = [_line(column.heading, _values(table, column.key), colour) for column, colour in zip(columns, colours, strict=True)]
    keys = tuple(Key(name=column.heading, colour=colour, mark=Mark.LINE) for column, colour in zip(columns, colours, strict=True))
    return Figure(
        id=id, title=title, caption=caption, option=_by_quarter(_quarters(table), series), keys=keys, table=table, style=style, height=420
    )


def stacked_figure(table: Table, *, id: str, title: str, caption: str, style: NumberStyle, wide: bool = False) -> Figure:  # noqa: A002
    """Bars for each further column of a wide table, stacked over the categories in its first."""
    series, keys = _stack(table, [column.key for column in table.columns[1:]])
    option = _by_quarter(_quarters(table), series)
    return Figure(id=id, title=title, caption=caption, option=option, keys=keys, table=table, style=style, total=True, wide=wide)


def power_figure(table: Table, held_key: str = "held", used_key: str = "used") -> Figure:
    """Power held at the company's sites as a stepped line, and drawn by its chips as bars; `table` has one row for each quarter."""
    used = _bar("used by chips", _values(table, used_key), "@series-2")
    held = _line("held at sites", _values(table, held_key), "@ink") | {"step": "middle"}
    keys = (Key(name="used by chips", colour="@series-2", mark=Mark.BAR), Key(name="held at sites", colour="@ink", mark=Mark.LINE))
    option = _by_quarter(_quarters(table), [used, held])
    caption = "Power for computing held at all sites, and the rated power of the chips that stand there, in megawatts."
    return Figure(id="power", title="Power", caption=caption, option=option, keys=keys, table=table, style=MEGAWATTS)


def _stack(table: Table, fields: Sequence[str]) -> tuple[list[Option], tuple[Key, ...]]:
    """Stacked bars for the largest fields in their order, and one grey bar for the sum of the others."""
    headings = {column.key: column.heading for column in table.columns}
    values = {field: _values(table, field) for field in fields}
    size = {field: sum(abs(value or 0.0) for value in values[field]) for field in fields}
    used = [field for field in fields if size[field] > 0]
    chosen = set(used if len(used) <= MOST_SERIES + 1 else sorted(used, key=lambda field: -size[field])[:MOST_SERIES])
    named = [(headings[field], values[field], f"@{SERIES[index]}") for index, field in enumerate(f for f in used if f in chosen)]
    rest = [values[field] for field in used if field not in chosen]
    if rest:
        named.append((f"{len(rest)} others", [sum(value or 0.0 for value in column) for column in zip(*rest, strict=True)], f"@{OTHER}"))
    series = [_bar(name, data, colour) | {"stack": "all"} for name, data, colour in named]
    return series, tuple(Key(name=name, colour=colour, mark=Mark.BAR) for name, _, colour in named)


def _values(table: Table, key: str) -> Values:
    cells = [plain(row.get(key)) for row in table.rows]
    return [float(cell) if isinstance(cell, (int, float)) else None for cell in cells]


def _quarters(table: Table) -> list[str]:
    return [str(row[table.columns[0].key]) for row in table.rows]


def frame() -> Option:
    """What all charts share: no animation, no legend of the library's own, room for labels, a tooltip by axis."""
    return {
        "animation": False,
        "legend": {"show": False},
        "grid": {"left": 8, "right": 16, "top": 16, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True, "axisPointer": {"type": "shadow"}, "formatter": "@tooltip"},
    }


def _category(names: list[str]) -> Option:
    label = {"color": "@soft", "fontSize": 12, "hideOverlap": True}
    line: Option = {"lineStyle": {"color": "@line"}}
    return {"type": "category", "data": names, "axisLabel": label, "axisLine": line | {"onZero": False}, "axisTick": {"show": False}}


def _value() -> Option:
    label = {"color": "@soft", "fontSize": 12, "formatter": "@axis"}
    return {"type": "value", "axisLabel": label, "splitLine": {"lineStyle": {"color": "@line"}}, "axisLine": {"show": False}}


def _by_quarter(quarters: list[str], series: list[Option]) -> Option:
    return frame() | {"xAxis": _category(quarters), "yAxis": _value(), "series": series}


def _bar(name: str, data: Sequence[Any], colour: str) -> Option:
    style = {"color": colour, "borderColor": "@card", "borderWidth": 0.5}
    return {"type": "bar", "name": name, "data": list(data), "itemStyle": style, "barCategoryGap": "28%", "emphasis": {"disabled": True}}


def _line(name: str, data: Values, colour: str, width: float = 2.0, dashed: bool = False) -> Option:
    style = {"color": colour, "width": width, "type": "dashed" if dashed else "solid"}
    point: Option = {"symbol": "circle", "symbolSize": 5, "showSymbol": len(data) == 1, "itemStyle": {"color": colour}}
    return point | {"type": "line", "name": name, "data": data, "lineStyle": style, "emphasis": {"disabled": True}, "z": 4}


def reference_line(level: float, text: str, quarters: int) -> tuple[Option, Key]:
    """A dotted level across the chart, as a series, so that the axis reaches it and the key names it."""
    line = _line(text, [level] * quarters, "@soft", width=1.5)
    line["lineStyle"]["type"] = "dotted"
    return line | {"showSymbol": False}, Key(name=text, colour="@soft", mark=Mark.DOT)
