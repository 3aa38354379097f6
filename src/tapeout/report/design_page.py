"""The page of a design and the files beside it."""

from __future__ import annotations

from tapeout.design.search import Aim
from tapeout.hardware.chip_file import chip_text
from tapeout.report.design_figures import floorplan_figure, front_figure, moved_figure, roofline_figure, volume_figure
from tapeout.report.design_run import Designed
from tapeout.report.design_view import (
    DOLLARS,
    JOULES,
    MILLION_TOKENS,
    area_table,
    best_rival,
    design_row,
    front_table,
    limit_table,
    moved_table,
    parameter_table,
    power_table,
    rival_table,
    served_table,
)
from tapeout.report.design_words import verdict
from tapeout.report.numbers import COMPACT
from tapeout.report.page import KeyFigure, Page, Section, render
from tapeout.report.tables import dump_json, to_csv


def design_files(found: Designed, *, version: str, date: str) -> dict[str, bytes]:
    """`chip.toml`, `design.json`, `front.csv` and a CSV for each further table, and `design.html`."""
    tables = (front_table(found), parameter_table(found), rival_table(found), served_table(found), limit_table(found))
    more = (area_table(found), power_table(found), moved_table(found))
    return {
        "chip.toml": chip_text(found.chip).encode(),
        "design.json": dump_json(design_row(found)).encode(),
        **{f"{table.id}.csv": to_csv(table).encode() for table in (*tables, *more)},
        "design.html": design_page(found, colophon=f"Tapeout {version}, {date}.").encode(),
    }


def design_page(found: Designed, *, colophon: str) -> str:
    """The page as HTML."""
    moves, most = moved_figure(found), "most cheaply" if found.found.aim is Aim.COST else "with the least energy"
    sections = (
        Section(id="chip", heading="The chip", figures=(floorplan_figure(found),), tables=(parameter_table(found), power_table(found))),
        Section(id="search", heading="The search", figures=(front_figure(found),), tables=(limit_table(found),)),
        Section(id="work", heading="What it serves", figures=(roofline_figure(found),), tables=(served_table(found),)),
        Section(id="worth", heading="Against the chips on offer", figures=(volume_figure(found),), tables=(rival_table(found),)),
        Section(id="sensitivity", heading="What moves it", figures=(moves,)),
    )
    page = Page(
        title=f"{found.scenario.title}: the chip found", question=f"Which chip would serve {found.scenario.title.lower()} {most}?",
        lead=verdict(found), key_figures=_key_figures(found), sections=sections, colophon=(colophon,),
    )  # fmt: skip
    return render(page)


def _key_figures(found: Designed) -> tuple[KeyFigure, ...]:
    rival, even = best_rival(found), found.even
    against = f"{MILLION_TOKENS.show(rival.usd_per_token)} on {rival.rival.chip.id}" if rival else ""
    return (
        KeyFigure(label="A million output tokens", value=MILLION_TOKENS.show(found.usd_per_token), note=against),
        KeyFigure(label="Unit cost", value=DOLLARS.show(found.best.unit_cost), note="before the partner's margin"),
        KeyFigure(label="Break-even", value=COMPACT.show(even.middle if even else None), note="chips"),
        KeyFigure(label="Energy of an output token", value=JOULES.show(found.joules_per_token), note="at the meter"),
    )
