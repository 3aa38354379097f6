"""`tapeout programme`: from words to the draws of chip programmes, and the files that they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tapeout.cost.draws import Draws
from tapeout.cost.outcomes import outcomes, planned
from tapeout.cost.programme import MODES, ProgrammeDraws, programme
from tapeout.errors import InputError
from tapeout.hardware.process import process
from tapeout.report.cost_programme_view import (
    cash_figure,
    cost_table,
    outcome_table,
    phase_table,
    programme_rows,
    programme_table,
    shown_quarters,
    volume_figure,
)
from tapeout.report.numbers import PERCENT, USD
from tapeout.report.page import KeyFigure, Page, Section, render
from tapeout.report.tables import Table, dump_json, to_csv
from tapeout.units import Unit, parse, show

AREA = Unit("m2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Programmes:
    """What was drawn under a `title`, with a row for each mode."""

    title: str
    found: tuple[ProgrammeDraws, ...]
    rows: tuple[dict[str, Any], ...]


def programmes(node: str, die_area: str, modes: str, draws: Draws) -> Programmes:
    """The programmes of `modes` (names by comma, all where empty) in `node` for a die area such as 800mm2.

    Raises UnknownNameError for an unknown node or mode, and InputError for an area that is none or that no reticle holds.
    """
    made, area = process(node), _area(die_area)
    names = [name.strip() for name in modes.split(",") if name.strip()] or list(MODES)
    found = tuple(programme(name)(made, area, draws) for name in dict.fromkeys(names))
    plans = [planned(each.mode.id, made, area) for each in found]
    ends = [outcomes(each, plan) for each, plan in zip(found, plans, strict=True)]
    title = f"A chip programme in {made.name} with dies of {show(area, AREA)}: {draws.count:,} draws, seed {draws.seed}"
    rows = programme_rows(found, node=made.id, area=area, plans=plans, outcomes=ends)
    return Programmes(title=title, found=found, rows=tuple(rows))


def _area(text: str) -> float:
    try:
        return parse(text, AREA)
    except InputError as error:
        raise InputError(f"--area: {error.what}", given=text, allowed="an area such as 800mm2") from None


def printed(asked: Programmes) -> Table:
    """The modes side by side."""
    return programme_table(asked.title, asked.rows)


def files(asked: Programmes, *, version: str, date: str) -> dict[str, bytes]:
    """What a run leaves in a folder: the rows as JSON, the tables as CSV, and the page."""
    tables = (printed(asked), outcome_table(asked.rows), phase_table(asked.rows), cost_table(asked.rows))
    written = {f"{table.id}.csv": to_csv(table).encode() for table in tables}
    page = render(_page(asked, f"Tapeout {version}, {date}."))
    return written | {"programmes.json": dump_json(list(asked.rows)).encode(), "programmes.html": page.encode()}


def _page(asked: Programmes, colophon: str) -> Page:
    quarters = shown_quarters(asked.found)
    first = asked.rows[0]
    figures = [
        KeyFigure(
            label=f"One-off cost, {each.mode.name.lower()}",
            value=USD.show(row["one_off_usd"]["p50"]),
            note=f"{USD.show(row['one_off_usd']['p5'])} to {USD.show(row['one_off_usd']['p95'])}",
        )
        for each, row in zip(asked.found, asked.rows, strict=True)
    ]
    lead = (
        f"{asked.found[0].mode.name}: {USD.show(first['one_off_usd']['p50'])} before the first sale, "
        f"{USD.show(first['one_off_usd']['p5'])} to {USD.show(first['one_off_usd']['p95'])}, "
        f"and volume in {PERCENT.show(first['in_volume_probability'])} of the draws.",
        f"A programme takes {first['spins_mean']:.2f} spins on the average; published one-off costs differ up to tenfold, as the draws do.",
    )
    sections = (
        Section(
            id="modes",
            heading="Modes",
            figures=(volume_figure(asked.found, quarters),),
            tables=(printed(asked), outcome_table(asked.rows)),
        ),
        Section(
            id="cash",
            heading="Cash by quarter",
            figures=tuple(cash_figure(each, quarters) for each in asked.found),
            tables=(cost_table(asked.rows),),
        ),
        Section(id="phases", heading="Calendar", tables=(phase_table(asked.rows),)),
    )
    return Page(
        title=asked.title,
        question="What does an own chip cost before its first sale, and when is it there?",
        lead=lead,
        key_figures=tuple(figures),
        sections=sections,
        colophon=(colophon,),
    )
