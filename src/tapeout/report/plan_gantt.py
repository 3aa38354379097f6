"""Programmes and sites over time: how each programme may go, and from when power is ordered, there and held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapeout.report.figures import Figure, Key, Mark, Option, frame
from tapeout.report.numbers import COUNT, MEGAWATTS, PERCENT, USD
from tapeout.report.plan_courses import Course, courses
from tapeout.report.plan_tables import PROBABILITY, labelled
from tapeout.report.tables import Column, Table
from tapeout.sourcing.plan import Plan

UNDER_WAY, ON_OFFER, ORDERED, HELD = "programme under way", "its chips serve", "power ordered, not there yet", "power held"
COLOURS = {UNDER_WAY: "@series-1", ON_OFFER: "@series-2", ORDERED: "@other", HELD: "@series-0"}
ROW_HEIGHT = 30
MOST_COURSES = 12
LEAST_POWER = 1e3
FAINTEST = 0.25


def programmes_table(plan: Plan, offered: Sequence[tuple[str, float]]) -> Table:
    """How the programmes go; `offered` has the name and the planned spend in USD of each one, and those not started have no times."""
    columns = (
        Column(key="programme", heading="Programme"),
        Column(key="started", heading="Started", tag=True),
        Column(key="outcome", heading="Goes"),
        PROBABILITY,
        Column(key="quarter", heading="Start"),
        Column(key="stopped", heading="Stopped"),
        Column(key="first_orders", heading="First orders"),
        Column(key="serves_from", heading="First chips serve"),
        Column(key="spend_usd", heading="Spend", style=USD),
    )
    found = courses(plan)
    rows: list[dict[str, Any]] = [
        {
            "programme": one.programme, "started": True, "outcome": one.outcome, "probability": min(1.0, one.probability),
            "quarter": labelled(plan, one.start), "stopped": _label(plan, one.stop), "first_orders": _label(plan, one.first_orders),
            "serves_from": _label(plan, one.serves), "spend_usd": one.spend,
        }
        for one in found
    ]  # fmt: skip
    never = {name: 1 - sum(one.probability for one in found if one.programme == name) for name, _ in offered}
    rows += [
        {
            "programme": name, "started": False, "outcome": None, "probability": min(1.0, never[name]), "quarter": None, "stopped": None,
            "first_orders": None, "serves_from": None, "spend_usd": spend,
        }
        for name, spend in offered
        if never[name] > 1e-9
    ]  # fmt: skip
    note = "Spend within the quarters of the plan, not discounted; of one that is not started, what it is planned to cost."
    return Table(id="programmes", title="Own-chip programmes", columns=columns, rows=rows, note=note)


def gantt_figure(plan: Plan) -> Figure | None:
    """Rows of bars by quarter, one for each course of a programme and each site; None where there are neither."""
    names: list[str] = []
    bars: dict[str, list[Option]] = {kind: [] for kind in COLOURS}
    rows: list[dict[str, Any]] = []
    found = sorted(courses(plan), key=lambda one: -one.probability)[:MOST_COURSES]
    for one in sorted(found, key=lambda one: (one.start, one.programme, one.serves is None, one.serves or 0)):
        names.append(f"{one.programme}: {one.outcome}")
        _course_bars(plan, one, len(names) - 1, bars, rows)
    for index, site in enumerate(plan.problem.sites):
        if plan.site_power[index].max() < LEAST_POWER:
            continue
        names.append(site.id)
        _site_bars(plan, index, len(names) - 1, bars, rows)
    if not names:
        return None
    columns = (
        Column(key="row", heading="What"),
        Column(key="kind", heading="Is"),
        Column(key="first", heading="From"),
        Column(key="last", heading="To"),
        PROBABILITY,
        Column(key="power_w", heading="Mean power", style=MEGAWATTS),
    )
    table = Table(id="gantt", title="Programmes and sites", columns=columns, rows=rows)
    shown = {kind: each for kind, each in bars.items() if each}
    caption = "A bar is the fainter the less likely it is. Programmes by how they turn out; at sites, the power held in the mean."
    return Figure(
        id=table.id, title=table.title, caption=caption, option=_option(plan, names, shown),
        keys=tuple(Key(name=kind, colour=COLOURS[kind], mark=Mark.BAR) for kind in shown), table=table, style=COUNT, wide=True,
        height=60 + ROW_HEIGHT * len(names),
    )  # fmt: skip


def _label(plan: Plan, quarter: int | None) -> str | None:
    return None if quarter is None else labelled(plan, quarter)


def _course_bars(plan: Plan, one: Course, row: int, bars: dict[str, list[Option]], rows: list[dict[str, Any]]) -> None:
    last = len(plan.problem.quarters) - 1
    end = min(one.stop, last) if one.stop is not None else (one.serves - 1 if one.serves is not None else _paid_until(plan, one))
    spans = [(UNDER_WAY, one.start, max(one.start, end))]
    if one.serves is not None and one.stop is None:
        spans.append((ON_OFFER, one.serves, last))
    for kind, first, until in spans:
        _bar(plan, bars[kind], rows, row, f"{one.programme}: {one.outcome}", kind, (first, until), one.probability, None)


def _paid_until(plan: Plan, one: Course) -> int:
    """The last quarter in which a programme that gives no chips within the plan spends."""
    programme = next(each for each in plan.problem.programmes if each.id == one.programme)
    case = next((each for each in programme.cases if each.name == one.outcome), programme.cases[0])
    return min(len(plan.problem.quarters), one.start + len(case.spend)) - 1


def _site_bars(plan: Plan, index: int, row: int, bars: dict[str, list[Option]], rows: list[dict[str, Any]]) -> None:
    """Power held, in stretches of one size, and what is on its way while none is there."""
    problem, site = plan.problem, plan.problem.sites[index]
    tree = problem.tree
    held = plan.expected(plan.site_power[index])
    some = plan.expected(np.where(plan.site_power[index] >= LEAST_POWER, 1.0, 0.0))
    on_way = np.flatnonzero(plan.expected(plan.site_orders[index]) >= LEAST_POWER)
    there = np.flatnonzero(held >= LEAST_POWER)
    if on_way.size and there.size and on_way[0] < there[0]:
        first = plan.site_orders[index][tree.quarter == on_way[0]] >= LEAST_POWER
        chance = float(tree.probability[tree.quarter == on_way[0]][first].sum())
        _bar(plan, bars[ORDERED], rows, row, site.id, ORDERED, (int(on_way[0]), int(there[0]) - 1), chance, None)
    start = 0
    while start < len(there):
        end = start
        while end + 1 < len(there) and _same(held[there[end + 1]], held[there[start]]) and _same(some[there[end + 1]], some[there[start]]):
            end += 1
        span, power = (int(there[start]), int(there[end])), float(held[there[start]])
        _bar(plan, bars[HELD], rows, row, site.id, HELD, span, float(some[there[start]]), power)
        start = end + 1


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-3 * max(abs(one), abs(other))


def _bar(
    plan: Plan, bars: list[Option], rows: list[dict[str, Any]], row: int, name: str, kind: str, span: tuple[int, int], chance: float,
    power: float | None,
) -> None:  # fmt: skip
    first, last = (plan.problem.quarters[quarter] for quarter in span)
    chance = min(1.0, chance)
    lines = [(kind, f"{first} to {last}" if first != last else first), ("probability", PERCENT.show(chance))]
    if power is not None:
        lines.append(("mean power", MEGAWATTS.show(power)))
    bars.append({"value": [row, *span, FAINTEST + (1 - FAINTEST) * chance], "name": name, "lines": lines})
    rows.append({"row": name, "kind": kind, "first": first, "last": last, "probability": chance, "power_w": power})


def _option(plan: Plan, names: list[str], bars: dict[str, list[Option]]) -> Option:
    option, label = frame(), {"color": "@soft", "fontSize": 12}
    line: Option = {"lineStyle": {"color": "@line"}}
    option["tooltip"] = {"trigger": "item", "confine": True, "axisPointer": {"type": "none"}, "formatter": "@point"}
    option["xAxis"] = {
        "type": "category", "data": list(plan.problem.quarters), "axisLabel": label | {"hideOverlap": True}, "axisLine": line,
        "axisTick": {"show": False}, "splitLine": line | {"show": True},
    }  # fmt: skip
    option["yAxis"] = {
        "type": "category", "data": _apart(names), "inverse": True, "axisLine": {"show": False},
        "axisTick": {"show": False}, "axisLabel": label | {"interval": 0},
    }  # fmt: skip
    option["grid"] |= {"left": 32}
    option["series"] = [
        {
            "type": "custom", "renderItem": "@gantt", "encode": {"x": [1, 2], "y": 0}, "name": kind, "data": each,
            "itemStyle": {"color": COLOURS[kind]}, "emphasis": {"disabled": True},
        }
        for kind, each in bars.items()
    ]  # fmt: skip
    return option


def _apart(names: list[str]) -> list[str]:
    """The names, numbered where two are the same, since categories of one name are one."""
    return names if len(set(names)) == len(names) else [f"{index + 1}. {name}" for index, name in enumerate(names)]
