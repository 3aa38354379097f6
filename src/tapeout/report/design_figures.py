"""Charts of a design: dollars against joules, the roofline, the floorplan, what moves the cost, and cost over volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tapeout.hardware.chip import NumberFormat
from tapeout.report.curves import Level, curves_figure, decades
from tapeout.report.design_break_even import own_hours
from tapeout.report.design_floorplan import BLOCKS, MEMORY, floorplan
from tapeout.report.design_roofline import OperatorPoint, operator_points
from tapeout.report.design_run import Designed
from tapeout.report.design_view import JOULES, MILLION_TOKENS, SQUARE_MM, area_table, best_rival, front_table, moved_table, parameters_row
from tapeout.report.figures import Figure, Key, Mark, Option, frame
from tapeout.report.numbers import NumberStyle
from tapeout.report.palette import SERIES
from tapeout.report.tables import Column, Table
from tapeout.units import HOUR

SPEED = NumberStyle(scale=1e-15, suffix=" PFLOP/s")
INTENSITY = NumberStyle(suffix=" FLOP/B", digits=3)
LABEL: Option = {"show": True, "color": "@soft", "fontSize": 11}
NAMED: Option = {"label": LABEL | {"color": "@ink", "formatter": "{b}", "position": "right"}, "labelLayout": {"hideOverlap": True}}
"""Points with their names beside them, as far as there is room."""
SHOWN = 1500
"""Designs drawn behind the front."""


def front_figure(found: Designed) -> Figure:
    """Dollars against joules of an output token: designs of the grid, the front, the design found, and the chips on offer."""
    cost, energy = found.found.usd_per_token, found.found.joules_per_token
    near = np.flatnonzero((cost < 4 * cost.min()) & (energy < 4 * energy.min()))
    some = near[:: max(1, len(near) // SHOWN)]
    series = [
        _dots(
            "designs of the grid", [_point(float(cost[row]), float(energy[row]), "A design of the grid", []) for row in some], "@other", 3
        )
    ]
    line = [_point(one.usd_per_token, one.joules_per_token, "On the front", _words(one.parameters)) for one in found.found.front]
    series.append({"type": "line", "name": "front", "data": line, "symbolSize": 6, "lineStyle": {"color": "@series-0", "width": 2}, "itemStyle": {"color": "@series-0"}, "emphasis": {"disabled": True}})  # fmt: skip  # noqa: E501
    best = found.best
    series.append(
        _dots("found", [_point(best.usd_per_token, best.joules_per_token, found.brief.name, _words(best.parameters))], "@series-1", 13)
    )
    economics = found.brief.question.economics
    rivals = []
    for each in found.rivals:
        if math.isfinite(each.steady_seconds):
            watts = each.rival.power if not each.rival.rented else each.rival.power + economics.host_power
            joules = watts * economics.load * economics.pue * each.steady_seconds
            rivals.append(_point(each.steady_usd_per_token, joules, each.rival.chip.id, []))
    series.append(_dots("chips on offer", rivals, "@series-3", 9) | NAMED)
    option = _scatter(series)
    for axis, place in (("xAxis", 0), ("yAxis", 1)):
        low, high = decades([point["value"][place] for each in series for point in each["data"]])
        option[axis] |= {"type": "log", "min": low, "max": high}
    caption = (
        "Each point is a chip: dollars and joules (at the meter) of an output token, by mean latencies as the search has them. The front "
        "is what no design of the grid beats in both; smaller steps lead from it to the design found."
    )
    colours = ("@other", "@series-0", "@series-1", "@series-3")
    marks = (Mark.BAR, Mark.LINE, Mark.BAR, Mark.BAR)
    keys = tuple(Key(name=str(one["name"]), colour=colour, mark=mark) for one, colour, mark in zip(series, colours, marks, strict=True))
    return Figure(
        id="front", title="Dollars against joules", caption=caption, option=option, keys=keys, table=front_table(found), style=JOULES,
        across=MILLION_TOKENS, wide=True, height=420,
    )  # fmt: skip


def roofline_figure(found: Designed) -> Figure:
    """The roof of each number format, and the operators of each workload under it."""
    points = operator_points(found)
    bandwidth = found.chip.memory.bandwidth.value
    low, high = decades([max(one.intensity, 0.1) for one in points] + [found.chip.peak[NumberFormat.BF16].value / bandwidth * 4])
    series, keys = [], []
    for name, peak in found.chip.peak.items():
        ridge = peak.value / bandwidth
        roof = [[low, low * bandwidth], [ridge, peak.value], [high, peak.value]]
        style = {"color": "@soft", "width": 1.5}
        series.append({"type": "line", "name": f"peak in {name}", "data": roof, "showSymbol": False, "lineStyle": style, "itemStyle": {"color": "@soft"}, "emphasis": {"disabled": True}, "silent": True, "endLabel": LABEL | {"formatter": str(name)}})  # fmt: skip  # noqa: E501
    keys.append(Key(name="peaks, and memory below their ridges", colour="@soft", mark=Mark.LINE))
    names = list(dict.fromkeys((one.workload, one.phase) for one in points))
    for place, (workload, phase) in enumerate(names):
        some = [one for one in points if (one.workload, one.phase) == (workload, phase)]
        data = [
            _point(one.intensity, one.speed, str(one.role), [["of", f"{workload}, {phase}"], *_speeds(one)])
            for one in some
        ]  # fmt: skip
        colour = f"@{SERIES[place % len(SERIES)]}"
        series.append(_dots(f"{workload}, {phase}", data, colour, 8) | NAMED)
        keys.append(Key(name=f"{workload}, {phase}", colour=colour, mark=Mark.BAR))
    option = _scatter(series)
    speeds = [one.speed for one in points] + [peak.value for peak in found.chip.peak.values()]
    bottom, top = decades(speeds)
    option["xAxis"] |= {"type": "log", "min": low, "max": high}
    option["yAxis"] |= {"type": "log", "min": bottom, "max": top}
    rows = [
        {
            "workload": one.workload, "phase": one.phase, "operator": str(one.role), "intensity": one.intensity, "speed": one.speed,
            "seconds": one.seconds,
        }
        for one in points
    ]  # fmt: skip
    columns = (
        Column(key="workload", heading="Workload"), Column(key="phase", heading="Phase"), Column(key="operator", heading="Operator"),
        Column(key="intensity", heading="Work per byte", style=INTENSITY), Column(key="speed", heading="Speed", style=SPEED),
        Column(key="seconds", heading="Time of all layers", style=NumberStyle(scale=1e3, suffix=" ms")),
    )  # fmt: skip
    caption = "FLOP per byte across, FLOP/s upwards: operators that multiply, of a decode step at the design's load and of one prompt."
    return Figure(
        id="roofline", title="Roofline", caption=caption, option=option, keys=tuple(keys),
        table=Table(id="operators", title="Operators", columns=columns, rows=rows), style=SPEED, across=INTENSITY, wide=True, height=460,
    )  # fmt: skip


def floorplan_figure(found: Designed) -> Figure:
    """Dies and memory to scale."""
    drawn = floorplan(found.built)
    left, top = min(one.left for one in drawn), min(one.top for one in drawn)
    width, height = max(one.left + one.width for one in drawn) - left, max(one.top + one.height for one in drawn) - top
    names = [*BLOCKS, MEMORY]
    colours = {name: f"@{SERIES[place]}" for place, name in enumerate(names) if place < len(SERIES) - 1} | {
        "unnamed": "@line",
        MEMORY: "@other",
    }
    series, keys = [], []
    for name in names:
        some = [one for one in drawn if one.name == name]
        if not some:
            continue
        heading = BLOCKS.get(name, name)
        data = [
            {
                "value": [one.left - left, one.top - top, one.width, one.height, width, height],
                "name": heading,
                "lines": [["size", f"{1e3 * one.width:.1f} x {1e3 * one.height:.1f} mm"], ["area", SQUARE_MM.show(one.area)]],
            }
            for one in some
        ]
        shape: Option = {"type": "custom", "renderItem": "@plan", "name": heading, "data": data}
        series.append(shape | {"itemStyle": {"color": colours[name], "borderColor": "@card"}, "emphasis": {"disabled": True}})
        keys.append(Key(name=heading, colour=colours[name], mark=Mark.BAR))
    option = frame()
    hidden: Option = {"type": "value", "show": False, "min": 0, "max": 1}
    option["tooltip"] = {"trigger": "item", "confine": True, "axisPointer": {"type": "none"}, "formatter": "@point"}
    option |= {"xAxis": hidden, "yAxis": dict(hidden), "series": series}
    option["grid"] = {"left": 8, "right": 8, "top": 8, "bottom": 8, "containLabel": False}
    caption = f"To scale, {1e3 * width:.0f} mm wide: areas are those of the model, where a block lies on its die is a drawing."
    return Figure(
        id="floorplan", title="Floorplan", caption=caption, option=option, keys=tuple(keys), table=area_table(found), style=SQUARE_MM,
        wide=True, height=420,
    )  # fmt: skip


def moved_figure(found: Designed) -> Figure:
    """What moves the cost of a token, the widest first."""
    middle = found.best.usd_per_token
    rows = sorted(found.moved, key=lambda one: -max(abs((end or middle) - middle) for end in (one.less, one.more)))
    data: dict[str, list[Option]] = {"with less": [], "with more": []}
    for place, one in enumerate(rows):
        for name, end in (("with less", one.less), ("with more", one.more)):
            if end is not None:
                lines = [["a million output tokens", MILLION_TOKENS.show(end)]]
                data[name].append({"value": [place, min(end, middle), max(end, middle)], "name": f"{one.name}, {name}", "lines": lines})
    colours = {"with less": "@series-4", "with more": "@series-1"}
    series = [
        {"type": "custom", "renderItem": "@span", "encode": {"x": [1, 2], "y": 0}, "clip": True, "name": name, "data": points, "itemStyle": {"color": colours[name]}, "emphasis": {"disabled": True}}  # noqa: E501
        for name, points in data.items()
    ]  # fmt: skip
    ends = [middle, *(end for one in rows for end in (one.less, one.more) if end is not None)]
    room = 0.05 * (max(ends) - min(ends))
    option = _scatter(series)
    option["xAxis"] |= {"min": min(ends) - room, "max": max(ends) + room}
    option["xAxis"]["axisLabel"] |= {"showMinLabel": False, "showMaxLabel": False}
    label: dict[str, Any] = {"color": "@soft", "fontSize": 12}
    option["yAxis"] = {
        "type": "category",
        "data": [one.name for one in rows],
        "inverse": True,
        "axisLabel": label,
        "axisTick": {"show": False},
    }
    option["grid"] |= {"left": 32, "right": 40}
    caption = (
        f"US dollars for a million output tokens with one thing changed, from {MILLION_TOKENS.show(middle)} by mean latencies; where a "
        "bar is missing, a limit stands against it."
    )
    keys = tuple(Key(name=name, colour=colour, mark=Mark.BAR) for name, colour in colours.items())
    return Figure(
        id="moves", title="What moves it", caption=caption, option=option, keys=keys, table=moved_table(found), style=MILLION_TOKENS,
        across=MILLION_TOKENS, wide=True, height=70 + 28 * len(rows),
    )  # fmt: skip


def volume_figure(found: Designed) -> Figure:
    """The token's cost over the volume with the band of the draws, and that on the best chip on offer as a level."""
    even, rival, volume = found.even, best_rival(found), found.brief.question.economics.volume
    marked = [volume, *([even.middle] if even and math.isfinite(even.middle) else [])]
    volumes = np.geomspace(*decades([min(marked) / 3, max(marked) * 3]), 61)
    recurring, one_off = own_hours(found.brief.question.economics, found.best)
    own = (recurring + one_off / volumes) / HOUR * found.goodput.seconds
    columns = [
        Column(key="volume", heading="Chips", style=NumberStyle(compact=True)), Column(key="own", heading="own chip", style=MILLION_TOKENS),
    ]  # fmt: skip
    rows = [{"volume": float(place), "own": float(cost)} for place, cost in zip(volumes, own, strict=True)]
    if even is not None and rival is not None:
        low, high = np.percentile([even.own_at(place) for place in volumes], (5, 95), axis=1)
        more = zip(rows, low, high, strict=True)
        rows = [row | {"rival": rival.usd_per_token, "low": float(a), "high": float(b)} for row, a, b in more]
        columns.append(Column(key="rival", heading=rival.rival.chip.id, style=MILLION_TOKENS))
        columns += [
            Column(key=end, heading=f"own chip, {name} of the draws", style=MILLION_TOKENS)
            for end, name in (("low", "5 %"), ("high", "95 %"))
        ]
    table = Table(id="volume", title="Cost over volume", columns=tuple(columns), rows=rows)
    caption = (
        "US dollars for a million output tokens under traffic over the chips that share the one-off cost, and on the best chip on offer."
    )
    figure = curves_figure(
        table, id="volume", title="Break-even", caption=caption, style=MILLION_TOKENS, across=NumberStyle(compact=True),
        levels=(Level(name="chips of the plan", at=volume),), logarithmic=True, wide=True,
    )  # fmt: skip
    # The ends of the draws are of the own chip's colour.
    ends = {column.heading for column in columns[3:]}
    for one in figure.option["series"]:
        if one["name"] in ends:
            one["lineStyle"] |= {"color": f"@{SERIES[0]}", "width": 1, "type": "dashed"}
    keys = (replace(one, colour=f"@{SERIES[0]}", mark=Mark.DASHED) if one.name in ends else one for one in figure.keys)
    return replace(figure, keys=tuple(keys))


def _words(parameters: Any) -> list[list[str]]:
    row = parameters_row(parameters)
    return [
        ["node", str(row["node"])],
        ["matrix units", f"{row['matrix_units']} of {row['rows']} x {row['columns']} at {row['clock_ghz']:.3g} GHz"],
        ["memory", f"{row['stacks']} x {row['memory']}"],
    ]


def _speeds(one: OperatorPoint) -> list[list[str]]:
    return [["FLOP per byte", INTENSITY.show(one.intensity)], ["speed", SPEED.show(one.speed)]]


def _point(across: float, up: float, name: str, lines: Sequence[Sequence[str]]) -> Option:
    return {"value": [across, up], "name": name, "lines": [list(line) for line in lines] or [["", ""]]}


def _dots(name: str, data: list[Option], colour: str, size: int) -> Option:
    return {
        "type": "scatter",
        "name": name,
        "data": data,
        "symbolSize": size,
        "itemStyle": {"color": colour},
        "emphasis": {"disabled": True},
    }


def _scatter(series: list[Option]) -> Option:
    option = frame()
    label: dict[str, Any] = {"color": "@soft", "fontSize": 12, "hideOverlap": True}
    line: Option = {"lineStyle": {"color": "@line"}}
    option["tooltip"] = {"trigger": "item", "confine": True, "axisPointer": {"type": "none"}, "formatter": "@point"}
    axis: Option = {"type": "value", "splitLine": line, "axisLine": line | {"onZero": False}, "axisTick": {"show": False}}
    option["xAxis"] = axis | {"scale": True, "axisLabel": label | {"formatter": "@across"}}
    option["yAxis"] = axis | {"scale": True, "axisLabel": label | {"formatter": "@axis"}}
    option["grid"] |= {"right": 40}
    option["series"] = series
    return option
