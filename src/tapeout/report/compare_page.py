"""The page of a comparison and the files beside it; two-sided charts have the first plan to the left and the second to the right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tapeout.report.compare_view import Comparison, long_table, tables
from tapeout.report.figures import Figure, Key, Mark, Option, cost_per_query_figure, frame, lines_figure
from tapeout.report.numbers import COUNT, PERCENT, USD, NumberStyle
from tapeout.report.page import KeyFigure, Page, Section, render
from tapeout.report.tables import Column, Table, dump_json, plain, to_csv

COLOURS = ("@series-0", "@series-1")
ROW_HEIGHT = 30


def compare_files(found: Comparison, *, version: str, date: str) -> dict[str, bytes]:
    """`comparison.json`, a CSV for each table, and `comparison.html`."""
    known = tables(found)
    named = {"first": found.first.label, "second": found.second.label}
    return {
        "comparison.json": dump_json(named | {table.id: [plain(row) for row in table.rows] for table in known}).encode(),
        "comparison.csv": to_csv(long_table(known, found)).encode(),
        **{f"tables/{table.id}.csv": to_csv(table).encode() for table in known},
        "comparison.html": compare_page(found, colophon=f"Tapeout {version}, {date}.").encode(),
    }


def compare_page(found: Comparison, *, colophon: str) -> str:
    """The page as HTML."""
    known = {table.id: table for table in tables(found)}
    charts = [
        two_sided(known["spend"], "category", id="spend-sides", title="What it is spent on", style=USD, found=found),
        two_sided(_totals(known["orders"]), "contract", id="orders-sides", title="Chips ordered in all", style=COUNT, found=found),
        replace(
            cost_per_query_figure(_lines(known["cost-per-query"], found), ""), id="query-cost-lines",
            caption="US cents per query served in each quarter.",
        ),
        lines_figure(
            _lines(known["cash"], found), id="cash-lines", title="Cash", caption="Cash of each quarter, not discounted.", style=USD
        ),
    ]  # fmt: skip
    differences = ("assumptions", "settings")
    decided = ("orders", "programmes", "power")
    paid = ("spend", "cost-per-query", "cash")
    sections = (
        Section(id="charts", heading="Side by side", figures=tuple(figure for figure in charts if figure.table.rows)),
        Section(id="assumed", heading="What differs in what they assume", tables=_filled(known, differences)),
        Section(id="decided", heading="What they decide", tables=_filled(known, decided)),
        Section(id="paid", heading="What they cost", tables=_filled(known, ("results", *paid))),
    )
    page = Page(
        title=f"{found.first.label} and {found.second.label}",
        question=f"How does {found.second.label} differ from {found.first.label}?",
        lead=words(found),
        key_figures=_key_figures(known["results"]),
        sections=tuple(section for section in sections if section.tables or section.figures),
        colophon=(colophon,),
    )
    return render(page)


def words(found: Comparison) -> tuple[str, ...]:
    """The comparison in a few sentences."""
    known = {table.id: table for table in tables(found)}
    cost = known["results"].rows[0]
    change = cost["change"]
    more = "costs the same as" if not change else f"costs {PERCENT.show(abs(change))} {'more' if change > 0 else 'less'} than"
    first = f"{found.second.label} {more} {found.first.label}: {USD.show(cost['b'])} and {USD.show(cost['a'])}, discounted."
    counts = (len(known["assumptions"].rows), len(known["settings"].rows))
    said = [first, f"Assumptions that differ: {counts[0]}; other entries of the scenario: {counts[1]}."]
    moved = sorted(known["spend"].rows, key=lambda row: -abs((row["b"] or 0.0) - (row["a"] or 0.0)))
    if moved and moved[0]["a"] != moved[0]["b"]:
        top = moved[0]
        spent = f"{USD.show(top['a'])} in {found.first.label}, {USD.show(top['b'])} in {found.second.label}"
        said.append(f"Most of the difference is {top['category']}: {spent}, not discounted.")
    return tuple(said)


def two_sided(table: Table, name: str, *, id: str, title: str, style: NumberStyle, found: Comparison) -> Figure:  # noqa: A002
    """Bars from the middle, the first plan's to the left and the second's to the right, on equal axes."""
    rows = list(reversed(table.rows))
    names = [str(row[name]) for row in rows]
    values = [[plain(row[side]) or 0.0 for row in rows] for side in ("a", "b")]
    most = max((abs(value) for side in values for value in side), default=1.0) or 1.0
    least = min(0.0, *(value for side in values for value in side)) if rows else 0.0
    labels = (found.first.label, found.second.label)
    hidden: Option = {"axisLabel": {"show": False}}
    option = frame()
    # The names stand in the fifth of the width that is left between the two halves.
    option["grid"] = [{"left": 40, "right": "60%", "top": 8, "bottom": 28}, {"left": "60%", "right": 40, "top": 8, "bottom": 28}]
    option["xAxis"] = [_axis(place, most, least) | ({"inverse": True} if place == 0 else {}) for place in (0, 1)]
    option["yAxis"] = [_names(names, 0) | {"position": "right"}, _names(names, 1) | hidden]
    option["series"] = [
        {
            "type": "bar", "name": label, "data": side, "xAxisIndex": place, "yAxisIndex": place, "itemStyle": {"color": colour},
            "barCategoryGap": "35%", "emphasis": {"disabled": True},
        }
        for place, (label, side, colour) in enumerate(zip(labels, values, COLOURS, strict=True))
    ]  # fmt: skip
    keys = tuple(Key(name=label, colour=colour, mark=Mark.BAR) for label, colour in zip(labels, COLOURS, strict=True))
    caption = f"{table.title}: {labels[0]} to the left, {labels[1]} to the right."
    return Figure(
        id=id, title=title, caption=caption, option=option, keys=keys, table=table, style=style, wide=True,
        height=70 + ROW_HEIGHT * max(1, len(rows)),
    )  # fmt: skip


def _axis(place: int, most: float, least: float) -> Option:
    label: dict[str, Any] = {"color": "@soft", "fontSize": 12, "formatter": "@axis", "hideOverlap": True, "showMaxLabel": False}
    line: Option = {"lineStyle": {"color": "@line"}}
    return {"type": "value", "gridIndex": place, "min": least, "max": 1.05 * most, "axisLabel": label, "splitLine": line}


def _names(names: list[str], place: int) -> Option:
    label = {"color": "@ink", "fontSize": 12}
    line: Option = {"lineStyle": {"color": "@line"}}
    return {"type": "category", "gridIndex": place, "data": names, "axisLabel": label, "axisLine": line, "axisTick": {"show": False}}


def _totals(orders: Table) -> Table:
    """Chips ordered over all years, by contract."""
    sums: dict[str, dict[str, Any]] = {}
    for row in orders.rows:
        held = sums.setdefault(str(row["contract"]), {"contract": row["contract"], "a": 0.0, "b": 0.0})
        held |= {side: held[side] + (row[side] or 0.0) for side in ("a", "b")}
    return Table(
        id="orders-in-all",
        title="Chips ordered",
        columns=tuple(c for c in orders.columns if c.key in ("contract", "a", "b")),
        rows=list(sums.values()),
    )


def _lines(table: Table, found: Comparison) -> Table:
    columns = (table.columns[0], Column(key="a", heading=found.first.label), Column(key="b", heading=found.second.label))
    styled = tuple(Column(key=c.key, heading=c.heading, style=old.style) for c, old in zip(columns, table.columns, strict=False))
    return Table(
        id=f"{table.id}-lines", title=table.title, columns=styled, rows=[{c.key: row[c.key] for c in columns} for row in table.rows]
    )


def _filled(known: dict[str, Table], names: tuple[str, ...]) -> tuple[Table, ...]:
    return tuple(known[name] for name in names if known[name].rows)


def _key_figures(results: Table) -> tuple[KeyFigure, ...]:
    chosen = [row for row in results.rows if row["what"] != "Bound on any plan"]
    return tuple(KeyFigure(label=row["what"], value=row["b_text"], note=f"against {row['a_text']}") for row in chosen)
