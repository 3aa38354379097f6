"""Charts of a chip's cost: a waterfall of its components, a tornado of what moves it, and the distribution of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.draws import percentiles
from tapeout.report.cost_run import Costed
from tapeout.report.cost_view import (
    COMPONENTS,
    DOLLARS,
    FACTS,
    HOUR_COMPONENTS,
    HOURLY,
    MOST_INFLUENCES,
    PER_CENT,
    component_draws,
    component_table,
    hour_draws,
    hour_table,
    influence_table,
)
from tapeout.report.curves import curves_figure
from tapeout.report.figures import Figure, Key, Mark, Option, frame
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table

Array = NDArray[np.float64]

ROW_HEIGHT = 28
GRID = 80
"""Costs at which the distribution is drawn."""


def waterfall_figure(found: Costed) -> Figure:
    """From the wafer to the unit cost: means of the components, each beginning where the one before it ends."""
    parts = {name: part for name, part in component_draws(found.unit).items() if name != "margin" and np.any(part)}
    caption = (
        "Mean of each component over all draws, US dollars; the last bar is the unit cost. What harvesting saves goes back to the left."
    )
    table = component_table(found)
    return _waterfall(table, parts, COMPONENTS, "Unit cost", DOLLARS, id="waterfall", title="From the wafer to the chip", caption=caption)


def hour_figure(found: Costed) -> Figure | None:
    """The owner's hour: means of its components; none where the chip has no price, and for a rent, which has no parts."""
    table = hour_table(found)
    if found.hour is None or table is None:
        return None
    caption = "Mean of each component over all draws, US dollars an hour; the last bar is the hour of ownership."
    parts = hour_draws(found.hour)
    return _waterfall(table, parts, HOUR_COMPONENTS, "An hour", HOURLY, id="hour", title="An owner's hour", caption=caption)


def tornado_figure(found: Costed) -> Figure:
    """What the unit cost would be with one fact at either end of its range and all others at their values, widest first."""
    most = found.unit.influences[:MOST_INFLUENCES]
    middle = found.unit.middle
    data: dict[str, list[Option]] = {"low end": [], "high end": []}
    for row, each in enumerate(most):
        heading, style = FACTS[each.name]
        for name, cost, value in (("low end", each.at_low, each.fact.low), ("high end", each.at_high, each.fact.high)):
            lines = [[style.show(value), DOLLARS.show(cost)], ["share of variance", PER_CENT.show(each.variance_share)]]
            data[name].append({"value": [row, min(cost, middle), max(cost, middle)], "name": heading, "lines": lines})
    colours = {"low end": "@series-4", "high end": "@series-1"}
    costs = [end for each in most for end in (each.at_low, each.at_high)]
    option = _rows([FACTS[each.name][0] for each in most], [_spans(name, points, colours[name]) for name, points in data.items()])
    margin = 0.04 * (max(costs) - min(costs))
    option["xAxis"] |= {"min": min(costs) - margin, "max": max(costs) + margin, "scale": True}
    option["xAxis"]["axisLabel"] |= {"showMinLabel": False, "showMaxLabel": False}
    caption = "Recurring cost with one fact at its 5th or 95th percentile and the others at their values, US dollars."
    keys = tuple(Key(name=name, colour=colour, mark=Mark.BAR) for name, colour in colours.items())
    return Figure(
        id="tornado", title="What moves the cost", caption=caption, option=option, keys=keys, table=influence_table(found), style=DOLLARS,
        across=DOLLARS, wide=True, height=70 + ROW_HEIGHT * len(most),
    )  # fmt: skip


def distribution_figure(found: Costed) -> Figure:
    """The share of the draws at or below each cost."""
    ordered = np.sort(found.unit.unit)
    costs = np.linspace(float(np.percentile(ordered, 0.5)), float(np.percentile(ordered, 99.5)), GRID)
    shares = np.searchsorted(ordered, costs, side="right") / ordered.size
    band = percentiles(ordered)
    rows = [{"cost": float(cost), "share": float(share)} for cost, share in zip(costs, shares, strict=True)]
    columns = (Column(key="cost", heading="Unit cost", style=DOLLARS), Column(key="share", heading="Draws at or below", style=PER_CENT))
    table = Table(id="distribution", title="Unit cost", columns=columns, rows=rows)
    caption = f"Share of the draws at or below a unit cost; nine in ten lie between {DOLLARS.show(band.p5)} and {DOLLARS.show(band.p95)}."
    return curves_figure(table, id="distribution", title="Unit cost", caption=caption, style=PER_CENT, across=DOLLARS, wide=True)


def _waterfall(
    table: Table,
    parts: Mapping[str, Array],
    headings: Mapping[str, str],
    whole: str,
    style: NumberStyle,
    *,
    id: str,  # noqa: A002
    title: str,
    caption: str,
) -> Figure:
    means = np.array([float(np.mean(part)) for part in parts.values()])
    ends: Array = np.cumsum(means)
    starts = ends - means
    data: dict[str, list[Option]] = {"adds": [], "saves": [], "total": []}
    for row, (name, start, end, mean) in enumerate(zip(parts, starts, ends, means, strict=True)):
        kind = "adds" if mean >= 0 else "saves"
        data[kind].append(_point(row, start, end, headings[name], parts[name], style))
    total = np.sum([np.asarray(part, dtype=np.float64) + np.zeros(1) for part in parts.values()], axis=0)
    data["total"].append(_point(len(parts), 0.0, float(ends[-1]), whole, total, style))
    colours = {"adds": "@series-0", "saves": "@series-2", "total": "@ink"}
    shown = {kind: points for kind, points in data.items() if points}
    option = _rows([*(headings[name] for name in parts), whole], [_spans(kind, points, colours[kind]) for kind, points in shown.items()])
    option["xAxis"]["min"] = 0
    keys = tuple(Key(name=kind, colour=colours[kind], mark=Mark.BAR) for kind in shown)
    return Figure(
        id=id, title=title, caption=caption, option=option, keys=keys, table=table, style=style, across=style, wide=True,
        height=70 + ROW_HEIGHT * (len(parts) + 1),
    )  # fmt: skip


def _point(row: int, start: float, end: float, heading: str, part: Array, style: NumberStyle) -> Option:
    band = percentiles(part)
    lines = [["mean", style.show(float(np.mean(part)))], ["5 to 95 %", f"{style.show(band.p5)} to {style.show(band.p95)}"]]
    return {"value": [row, min(start, end), max(start, end)], "name": heading, "lines": lines}


def _spans(name: str, data: Sequence[Option], colour: str) -> Option:
    drawn: Option = {"type": "custom", "renderItem": "@span", "encode": {"x": [1, 2], "y": 0}, "clip": True}
    return drawn | {"name": name, "data": list(data), "itemStyle": {"color": colour}, "emphasis": {"disabled": True}}


def _rows(names: list[str], series: list[Option]) -> Option:
    option = frame()
    line: Option = {"lineStyle": {"color": "@line"}}
    label: dict[str, Any] = {"color": "@soft", "fontSize": 12}
    option["tooltip"] = {"trigger": "item", "confine": True, "axisPointer": {"type": "none"}, "formatter": "@point"}
    option["xAxis"] = {"type": "value", "axisLabel": label | {"formatter": "@across", "hideOverlap": True}, "splitLine": line}
    option["yAxis"] = {
        "type": "category", "data": names, "inverse": True, "axisLabel": label, "axisLine": line | {"onZero": False},
        "axisTick": {"show": False},
    }  # fmt: skip
    option["grid"] |= {"left": 32, "right": 40}
    option["series"] = series
    return option
