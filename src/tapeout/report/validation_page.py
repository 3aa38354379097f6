"""The page of a validation: how far predictions are from measurements, first in a sentence, then in charts, tables and single rows."""

from __future__ import annotations

from collections.abc import Sequence

from tapeout.calibration.measurements import Measurement, Quantity
from tapeout.calibration.scores import Score, scores
from tapeout.calibration.validation import Comparison, Group
from tapeout.report.figures import Figure
from tapeout.report.numbers import PERCENT
from tapeout.report.page import KeyFigure, Page, Section, render
from tapeout.report.tables import Table
from tapeout.report.validation_figures import coverage_figure, error_figure, scatter_figures, within_figure
from tapeout.report.validation_view import excluded_table, rows_table, score_table, sources_table, unanswered_table, worst_table

NAMES = {
    Quantity.TTFT: "time to the first token",
    Quantity.TPOT: "time per output token",
    Quantity.RATE: "output tokens/s per chip",
}


def validation_page(
    *, title: str, measurements: Sequence[Measurement], comparisons: Sequence[Comparison], colophon: str,
    closed_form: Sequence[Comparison] = (),
) -> str:  # fmt: skip
    """The page as HTML; `measurements` are all rows, those that are not scored included; `closed_form` stands beside simulated rows."""
    found = scores(comparisons)
    answered = any(one.answered for one in found)
    charts = _charts(comparisons) if answered else ()
    tables = tuple(score_table(comparisons, by, closed_form) for by in (None, *Group))
    sections = [
        Section(id="charts", heading="Predicted and measured", figures=charts),
        Section(id="scores", heading="Errors by group", tables=tables),
        _single_rows(measurements, comparisons),
        Section(id="sources", heading="Where the measurements stand", tables=(sources_table(measurements),)),
    ]
    page = Page(
        title=title, question="How far are the predictions from what was measured?", lead=_lead(measurements, comparisons, found),
        key_figures=_key_figures(found), sections=tuple(sections), colophon=(colophon,),
    )  # fmt: skip
    return render(page)


def _charts(comparisons: Sequence[Comparison]) -> tuple[Figure, ...]:
    return (*scatter_figures(comparisons), within_figure(comparisons), error_figure(comparisons), coverage_figure(comparisons))


def _single_rows(measurements: Sequence[Measurement], comparisons: Sequence[Comparison]) -> Section:
    text = "The rows furthest off say most about what the model lacks, or what a label hides; what is not scored is listed with the reason."
    tables = (worst_table(comparisons), unanswered_table(comparisons), excluded_table(measurements), rows_table(comparisons))
    return Section(id="rows", heading="Single rows", paragraphs=(text,), tables=tuple(_filled(tables)))


def _filled(tables: Sequence[Table]) -> list[Table]:
    return [table for table in tables if table.rows]


def _lead(measurements: Sequence[Measurement], comparisons: Sequence[Comparison], found: Sequence[Score]) -> tuple[str, ...]:
    medians = [f"{PERCENT.show(one.median)} for the {NAMES[one.quantity]}" for one in found if one.median is not None]
    first = f"The median error is {_listed(medians)}." if medians else "No row has an answer."
    rows = len({one.measurement.name for one in comparisons})
    chips = len({one.measurement.chip for one in comparisons})
    models = len({one.measurement.model for one in comparisons})
    excluded = sum(bool(one.excluded) for one in measurements)
    second = f"{rows} measured rows of {chips} chips and {models} models are scored"
    second += f"; {excluded} are listed and not scored." if excluded else "."
    coverage = [f"{PERCENT.show(one.coverage)} ({NAMES[one.quantity]})" for one in found if one.coverage is not None]
    third = (f"The bands that should hold 80 % of the measured values hold {_listed(coverage)}.",) if coverage else ()
    return (first, second, *third)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _key_figures(found: Sequence[Score]) -> tuple[KeyFigure, ...]:
    figures = [
        KeyFigure(
            label=f"{NAMES[one.quantity].capitalize()}, median error",
            value=PERCENT.show(one.median),
            note=f"{one.answered} of {one.rows} rows answered, 90th percentile {PERCENT.show(one.p90)}, bias {PERCENT.show(one.bias)}",
        )
        for one in found
    ]
    return tuple(figures)
