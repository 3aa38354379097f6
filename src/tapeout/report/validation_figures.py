"""Charts of predictions beside measurements: every row as a point, errors and band coverage by chip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapeout.calibration.measurements import Quantity
from tapeout.calibration.scores import Score, scores
from tapeout.calibration.validation import Comparison, Group, measured, predicted
from tapeout.report.curves import decades
from tapeout.report.figures import MOST_SERIES, Figure, Key, Mark, Option, frame, lines_figure
from tapeout.report.numbers import MISSING, PERCENT, NumberStyle
from tapeout.report.palette import OTHER, SERIES
from tapeout.report.tables import Column, Table
from tapeout.report.validation_view import LABELS, row, score_table

OFF = 1.3
"""The factor at which the scatter draws a dotted line to both sides: submitters of the same chips differ by as much."""
LIMITS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Errors at which the share of rows within them is drawn."""
_STYLES = {
    Quantity.TTFT: NumberStyle(suffix=" s"),
    Quantity.TPOT: NumberStyle(scale=1e3, suffix=" ms"),
    Quantity.RATE: NumberStyle(compact=True),
}
_COLOURS = {Quantity.TTFT: SERIES[0], Quantity.TPOT: SERIES[1], Quantity.RATE: SERIES[2]}
_TITLES = {Quantity.TTFT: "Time to the first token", Quantity.TPOT: "Time per output token", Quantity.RATE: "Output tokens/s per chip"}


def scatter_figures(comparisons: Sequence[Comparison]) -> tuple[Figure, ...]:
    """One chart for each quantity that has answers: predicted over measured, both logarithmic, coloured by chip."""
    answered = [one for one in comparisons if one.ratio is not None]
    colours = _chip_colours(answered)
    return tuple(
        _scatter(quantity, [one for one in answered if one.quantity is quantity], colours)
        for quantity in Quantity
        if any(one.quantity is quantity for one in answered)
    )


def within_figure(comparisons: Sequence[Comparison]) -> Figure:
    """The share of the rows whose error is at most so much, a line for each quantity."""
    answered = [one for one in comparisons if one.error is not None]
    errors = {quantity: np.array([one.error for one in answered if one.quantity is quantity]) for quantity in Quantity}
    present = [quantity for quantity in Quantity if errors[quantity].size]
    rows = [{"limit": PERCENT.show(limit)} | {str(one): float(np.mean(errors[one] <= limit)) for one in present} for limit in LIMITS]
    columns = (Column(key="limit", heading="Error at most"), *(Column(key=str(one), heading=LABELS[one], style=PERCENT) for one in present))
    table = Table(id="within", title="Rows within an error", columns=columns, rows=rows)
    caption = "Share of the rows whose prediction is off by no more than the percentage below."
    return lines_figure(table, id="within", title="Rows within an error", caption=caption, style=PERCENT)


def error_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Signed errors by chip and quantity: a box holds half of the rows, its whiskers 80 %, the line is the median."""
    found, chips, present = _by_chip(comparisons)
    series: list[Option] = [
        {
            "type": "boxplot",
            "name": LABELS[quantity],
            "itemStyle": {"color": "@card", "borderColor": f"@{_COLOURS[quantity]}", "borderWidth": 1.5},
            "boxWidth": [6, 14],
            "emphasis": {"disabled": True},
            "data": [_box(chip, found.get((chip, quantity))) for chip in chips],
        }
        for quantity in present
    ]
    series[0]["markLine"] = _level(0.0)
    option = _across(chips, series)
    caption = (
        "Predicted over measured, less one: a box holds the middle half of the rows, its whiskers the middle 80 %, the line is the median."
    )
    keys = tuple(Key(name=LABELS[quantity], colour=f"@{_COLOURS[quantity]}", mark=Mark.BAR) for quantity in present)
    height = _height(len(chips), len(present))
    table = score_table(comparisons, Group.CHIP)
    return Figure(id="errors", title="Error by chip", caption=caption, option=option, keys=keys, table=table, style=PERCENT, height=height)


def coverage_figure(comparisons: Sequence[Comparison]) -> Figure:
    """The share of rows whose measured value lies in the predicted 80 % band, by chip and quantity."""
    found, chips, present = _by_chip(comparisons)
    series: list[Option] = []
    for quantity in present:
        of_quantity = [found.get((chip, quantity)) for chip in chips]
        data = [_bar(chip, one) for chip, one in zip(chips, of_quantity, strict=True)]
        style = {"color": f"@{_COLOURS[quantity]}"}
        series.append({"type": "bar", "name": LABELS[quantity], "itemStyle": style, "emphasis": {"disabled": True}, "data": data})
    series[0]["markLine"] = _level(0.8)
    option = _across(chips, series)
    option["xAxis"] |= {"min": 0, "max": 1}
    keys = (
        *(Key(name=LABELS[quantity], colour=f"@{_COLOURS[quantity]}", mark=Mark.BAR) for quantity in present),
        Key(name="80 %", colour="@ink", mark=Mark.DASHED),
    )
    caption = "Share of the rows whose measured value lies in the band that was predicted to hold 80 % of them."
    height = _height(len(chips), len(present))
    table = score_table(comparisons, Group.CHIP)
    return Figure(
        id="coverage", title="Band coverage", caption=caption, option=option, keys=keys, table=table, style=PERCENT, height=height
    )


def _chip_colours(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Colours of the chips with the most rows; chips beyond them share one."""
    chips = [chip for chip, _ in Counter(one.measurement.chip for one in comparisons).most_common()]
    most = len(chips) if len(chips) <= MOST_SERIES + 1 else MOST_SERIES
    return {chip: SERIES[index] if index < most else OTHER for index, chip in enumerate(chips)}


def _scatter(quantity: Quantity, comparisons: Sequence[Comparison], colours: dict[str, str]) -> Figure:
    style, points = _STYLES[quantity], [_point(quantity, one) for one in comparisons]
    low, high = decades([value for point in points for value in point["value"]])
    groups: dict[str, list[Option]] = {}
    others = sum(colour == OTHER for colour in colours.values())
    for one, point in zip(comparisons, points, strict=True):
        chip = one.measurement.chip
        groups.setdefault(chip if colours[chip] != OTHER else f"{others} others", []).append(point)
    order = [
        *(chip for chip, colour in colours.items() if chip in groups and colour != OTHER),
        *(name for name in groups if name not in colours),
    ]
    series = [
        _diagonal("predicted = measured", low, high, 1.0),
        _diagonal("30 % off", low, high, OFF),
        _diagonal("30 % off", low, high, 1 / OFF),
    ]
    keys = []
    for name in order:
        colour = f"@{colours.get(name, OTHER)}"
        mark: Option = {"color": colour, "opacity": 0.75, "borderColor": "@card", "borderWidth": 0.5}
        series.append({"type": "scatter", "name": name, "symbolSize": 8, "itemStyle": mark, "data": groups[name], "z": 4})
        keys.append(Key(name=name, colour=colour, mark=Mark.BAR))
    option = _pointed(frame())
    option["xAxis"] = _logarithmic("measured", low, high) | {"nameLocation": "middle", "nameGap": 30}
    option["yAxis"] = _logarithmic("predicted", low, high) | {"nameLocation": "end", "nameGap": 10}
    option["grid"] |= {"top": 30, "bottom": 30, "right": 26}
    option["series"] = series
    keys += [Key(name="predicted = measured", colour="@ink", mark=Mark.DASHED), Key(name="30 % off", colour="@soft", mark=Mark.DOT)]
    shown = NumberStyle() if quantity is Quantity.RATE else NumberStyle(suffix=" ms")
    columns = (
        Column(key="case", heading="Row"),
        Column(key="chip", heading="Chip"),
        Column(key="measured", heading="Measured", style=shown),
        Column(key="predicted", heading="Predicted", style=shown),
        Column(key="error", heading="Error", style=PERCENT),
    )
    rows = [row(one) for one in comparisons]
    table = Table(id=f"points-{quantity.replace('_', '-')}", title=_TITLES[quantity], columns=columns, rows=rows)
    caption = "Each point is a row: measured to the right, predicted upwards."
    return Figure(
        id=f"scatter-{quantity.replace('_', '-')}", title=_TITLES[quantity], caption=caption, option=option, keys=tuple(keys),
        table=table, style=style, height=420,
    )  # fmt: skip


def _point(quantity: Quantity, one: Comparison) -> Option:
    measurement, style = one.measurement, _STYLES[quantity]
    value = measured(measurement, quantity)
    band = predicted(one.prediction, quantity) if one.prediction else None
    if value is None or band is None or one.prediction is None or one.ratio is None:
        raise ValueError("only answered comparisons are drawn")
    cells = measurement.cells
    users = [("users", cells["concurrency"])] if cells["concurrency"] else []
    lines = [
        ("measured", style.show(value)),
        ("predicted", f"{style.show(band.value)} ({style.show(band.low)} to {style.show(band.high)})"),
        ("error", PERCENT.show(one.ratio - 1)),
        ("model", f"{measurement.model}, {measurement.precision}"),
        ("tokens", f"{cells['isl']} in, {cells['osl']} out"),
        *users,
        ("chips", f"{cells['chips']}: {one.prediction.deployment.label}"),
        ("bound by", one.prediction.binding),
        ("software", measurement.software or MISSING),
        ("row", measurement.name),
    ]
    return {"value": [value, band.value], "name": measurement.chip, "lines": lines}


def _diagonal(name: str, low: float, high: float, factor: float) -> Option:
    line = {"color": "@ink", "width": 1.5, "type": "dashed"} if factor == 1 else {"color": "@soft", "width": 1, "type": "dotted"}
    ends = [[low, low * factor], [high, high * factor]]
    return {"type": "line", "name": name, "data": ends, "symbol": "none", "lineStyle": line, "silent": True, "clip": True, "z": 3}


def _logarithmic(name: str, low: float, high: float) -> Option:
    label = {"color": "@soft", "fontSize": 12, "formatter": "@axis", "hideOverlap": True}
    return {
        "type": "log", "name": name, "nameTextStyle": {"color": "@soft", "fontSize": 12},
        "min": low, "max": high, "axisLabel": label, "splitLine": {"lineStyle": {"color": "@line"}},
        "axisLine": {"lineStyle": {"color": "@line"}}, "axisTick": {"show": False}, "minorTick": {"show": False},
    }  # fmt: skip


def _pointed(option: Option) -> Option:
    option["tooltip"] = {"trigger": "item", "confine": True, "axisPointer": {"type": "none"}, "formatter": "@point"}
    return option


def _by_chip(comparisons: Sequence[Comparison]) -> tuple[dict[tuple[str, Quantity], Score], list[str], list[Quantity]]:
    found = {(one.group, one.quantity): one for one in scores(comparisons, Group.CHIP) if one.answered}
    chips = list(dict.fromkeys(chip for chip, _ in found))
    return found, chips, [quantity for quantity in Quantity if any(key[1] is quantity for key in found)]


def _box(chip: str, one: Score | None) -> Option:
    if one is None or one.bias is None:
        return {"value": ["-"] * 5, "name": chip, "lines": []}
    ends = [one.least, one.lower, one.bias, one.upper, one.most]
    lines = [
        ("quantity", LABELS[one.quantity]), ("rows", str(one.answered)), ("median of |error|", PERCENT.show(one.median)),
        ("bias", PERCENT.show(one.bias)), ("half of the rows", f"{PERCENT.show(one.lower)} to {PERCENT.show(one.upper)}"),
        ("80 % of the rows", f"{PERCENT.show(one.least)} to {PERCENT.show(one.most)}"),
    ]  # fmt: skip
    return {"value": ends, "name": chip, "lines": lines}


def _bar(chip: str, one: Score | None) -> Option:
    if one is None or one.coverage is None:
        return {"value": "-", "name": chip, "lines": []}
    lines = [("quantity", LABELS[one.quantity]), ("rows", str(one.answered)), ("in the band", PERCENT.show(one.coverage))]
    return {"value": one.coverage, "name": chip, "lines": lines}


def _across(chips: Sequence[str], series: list[Option]) -> Option:
    """A chart with the chips from top to bottom and a share to the right."""
    label: dict[str, Any] = {"color": "@soft", "fontSize": 12}
    option = _pointed(frame())
    option["yAxis"] = {
        "type": "category", "data": list(chips), "inverse": True, "axisLabel": label | {"interval": 0},
        "axisLine": {"show": False}, "axisTick": {"show": False}, "splitLine": {"show": True, "lineStyle": {"color": "@line"}},
    }  # fmt: skip
    option["xAxis"] = {
        "type": "value", "axisLabel": label | {"formatter": "@axis", "hideOverlap": True}, "splitLine": {"lineStyle": {"color": "@line"}},
    }  # fmt: skip
    option["grid"] |= {"left": 24, "right": 28}
    option["series"] = series
    return option


def _level(value: float) -> Option:
    line = {"color": "@ink", "width": 1.5, "type": "dashed"}
    return {"silent": True, "symbol": "none", "label": {"show": False}, "lineStyle": line, "data": [{"xAxis": value}]}


def _height(chips: int, quantities: int) -> int:
    return 60 + chips * (12 + 13 * quantities)
