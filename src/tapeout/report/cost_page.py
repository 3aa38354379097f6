"""The page of a chip's cost and the files beside it."""

from __future__ import annotations

from typing import Any

from tapeout.report.cost_carbon_view import carbon_table
from tapeout.report.cost_figures import distribution_figure, hour_figure, tornado_figure, waterfall_figure
from tapeout.report.cost_run import Costed
from tapeout.report.cost_view import COMPONENTS, DOLLARS, FACTS, HOURLY, PER_CENT, component_table, cost_row, hour_table, influence_table
from tapeout.report.page import KeyFigure, Page, Section, render
from tapeout.report.tables import dump_json, to_csv


def cost_files(found: Costed, *, version: str, date: str) -> dict[str, bytes]:
    """`cost.html`, `cost.json` and a CSV for each table."""
    row = cost_row(found)
    drawn = (component_table(found), influence_table(found), hour_table(found), carbon_table(row["carbon"]))
    tables = [table for table in drawn if table is not None]
    return {
        "cost.html": cost_page(found, row, colophon=f"Tapeout {version}, {date}.").encode(),
        "cost.json": dump_json(row).encode(),
        **{f"{table.id}.csv": to_csv(table).encode() for table in tables},
    }


def cost_page(found: Costed, row: dict[str, Any], *, colophon: str) -> str:
    """The page as HTML; `row` is `cost_row`."""
    hours = tuple(figure for figure in (hour_figure(found),) if figure)
    sections = [
        Section(
            id="unit", heading="One more chip", figures=(waterfall_figure(found), distribution_figure(found)),
            tables=(component_table(found),),
        ),
        Section(id="moves", heading="What moves it", figures=(tornado_figure(found),), tables=(influence_table(found),)),
    ]  # fmt: skip
    table = hour_table(found)
    if table is not None:
        heading = "A rented hour" if found.rented else "An owner's hour"
        sections.append(Section(id="owner", heading=heading, figures=hours, tables=(table,)))
    sections.append(Section(id="carbon", heading="Carbon", tables=(carbon_table(row["carbon"]),)))
    page = Page(
        title=f"{found.chip.name}: cost", question=f"What does one more {found.chip.name} cost?", lead=_lead(found, row),
        key_figures=_key_figures(row), sections=tuple(sections), colophon=(colophon,),
    )  # fmt: skip
    return render(page)


def _lead(found: Costed, row: dict[str, Any]) -> tuple[str, ...]:
    unit, parts = row["unit_cost_usd"], row["components"]
    largest = max((name for name in parts if name != "margin"), key=lambda name: parts[name]["p50"])
    most = found.unit.influences[0]
    low, middle, high = (DOLLARS.show(unit[key]) for key in ("p5", "p50", "p95"))
    sentences = [
        f"The unit cost is {middle} in the middle of the draws, nine in ten between {low} and {high}.",
        f"The largest part is {COMPONENTS[largest].lower()}, {DOLLARS.show(parts[largest]['p50'])} in the middle.",
        f"{FACTS[most.name][0]} moves it most: from {DOLLARS.show(min(most.at_low, most.at_high))} to "
        f"{DOLLARS.show(max(most.at_low, most.at_high))}, {PER_CENT.show(most.variance_share)} of the variance.",
    ]
    if row["price_usd"] is not None:
        price = row["price_usd"]
        low, high = DOLLARS.show(price["p5"]), DOLLARS.show(price["p95"])
        sentences.append(f"With the margin of who sells it ({row['seller']}) it costs its buyer {low} to {high}.")
    return tuple(sentences)


def _key_figures(row: dict[str, Any]) -> tuple[KeyFigure, ...]:
    named = (
        ("Unit cost", "unit_cost_usd", DOLLARS),
        ("Price", "price_usd", DOLLARS),
        ("An owner's hour" if "chip" in row["hour_components"] else "A rented hour", "owner_usd_per_hour", HOURLY),
    )
    return tuple(
        KeyFigure(label=label, value=style.show(row[key]["p50"]), note=f"{style.show(row[key]['p5'])} to {style.show(row[key]['p95'])}")
        for label, key, style in named
        if row[key] is not None
    )
