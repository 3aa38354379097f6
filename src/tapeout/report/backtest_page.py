"""The page of a backtest and the files beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tapeout.report.backtest_run import Backtest
from tapeout.report.backtest_view import policies_table, quarters_table, tables, words
from tapeout.report.figures import cost_per_query_figure, lines_figure
from tapeout.report.numbers import PERCENT, USD
from tapeout.report.page import KeyFigure, Page, Section, render
from tapeout.report.tables import Table, dump_json, plain, to_csv

NOTES = (
    "At each date prices of the catalogue are those quoted by then and stay there; a chip without a quote by then has its first one. "
    "Contracts with chips that are not out yet are known a year before they begin. What the scenario states by quarter is its forecast.",
    "Until the next date the decisions stand; chips rented by the quarter, and who is served, follow what happens.",
)


def backtest_record(found: Backtest) -> dict[str, Any]:
    """What `backtest.json` holds: how it was run, and the rows of every table."""
    wanted, path = found.wanted, found.path
    return {
        "scenario": found.asked.scenario.name,
        "every_quarters": wanted.every,
        "seed": wanted.seed,
        "scenarios": wanted.scenarios,
        "world": []
        if path is None
        else [
            {"process": point.process, "quarter": found.actual.quarters[point.quarter], "branch": point.names[choice]}
            for point, choice in zip(path.points, path.choice[0].tolist(), strict=True)
        ],
        "programmes": {
            programme.id: "as planned" if case is None else programme.cases[case].name
            for programme, case in zip(found.asked.base.programmes, found.cases, strict=True)
        },
        "gap": found.gap,
        **{table.id: [plain(row) for row in table.rows] for table in tables(found)},
        "summary": list(words(found)),
    }


def backtest_files(found: Backtest, *, version: str, date: str) -> dict[str, bytes]:
    """`backtest.json`, a CSV for each table, and `backtest.html`."""
    return {
        "backtest.json": dump_json(backtest_record(found)).encode(),
        **{f"tables/{table.id}.csv": to_csv(table).encode() for table in tables(found)},
        "backtest.html": backtest_page(found, colophon=f"Tapeout {version}, {date}.").encode(),
    }


def backtest_page(found: Backtest, *, colophon: str) -> str:
    """The page as HTML."""
    quarters = quarters_table(found)
    charts = (
        lines_figure(
            _of(quarters, "cash_usd", "cash_with_foresight_usd"), id="cash-lines", title="Cash",
            caption="Cash of each quarter, not discounted, as decided then and with foresight.", style=USD,
        ),
        replace(
            cost_per_query_figure(_of(quarters, "cost_per_query_usd", "cost_per_query_with_foresight_usd"), ""),
            id="query-lines", caption="US cents per query served, as decided then and with foresight.",
        ),
    )  # fmt: skip
    known = {table.id: table for table in tables(found)}
    page = Page(
        title=f"{found.asked.scenario.title}: backtest",
        question="What would plans have cost that knew only what was known?",
        lead=words(found),
        key_figures=_key_figures(policies_table(found)),
        sections=(
            Section(id="ways", heading="What it cost to decide", tables=(known["policies"],)),
            Section(id="when", heading="What was decided when, and why it differed", tables=(known["dates"],)),
            Section(id="course", heading="By quarter", figures=charts, tables=(known["quarters"], known["orders"])),
            Section(id="notes", heading="Notes", paragraphs=NOTES),
        ),
        colophon=(colophon,),
    )
    return render(page)


def _of(table: Table, *keys: str) -> Table:
    chosen = (table.columns[0], *(column for column in table.columns if column.key in keys))
    rows = [{column.key: row[column.key] for column in chosen} for row in table.rows]
    return Table(id=f"{table.id}-{keys[0]}", title=table.title, columns=chosen, rows=rows)


def _key_figures(policies: Table) -> tuple[KeyFigure, ...]:
    return tuple(
        KeyFigure(
            label=str(row["policy"]).capitalize(),
            value=USD.show(row["cost_usd"]),
            note=f"{PERCENT.show(row['more_than_foresight'])} above foresight",
        )
        for row in policies.rows
    )
