"""Comparisons of predictions with measurements as tables: scores by group, single rows, and rows that are not scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tapeout.calibration.measurements import Measurement, Quantity
from tapeout.calibration.scores import Score, scores
from tapeout.calibration.validation import Comparison, Group, measured, predicted
from tapeout.provenance import sources
from tapeout.report.numbers import COUNT, PERCENT, NumberStyle
from tapeout.report.tables import Column, Table

LABELS: Mapping[Quantity, str] = {Quantity.TTFT: "TTFT", Quantity.TPOT: "TPOT", Quantity.RATE: "tokens/s per chip"}
SCALES: Mapping[Quantity, float] = {Quantity.TTFT: 1e3, Quantity.TPOT: 1e3, Quantity.RATE: 1.0}
"""From seconds or tokens/s to the unit that the name of the quantity carries."""
WORST = 20
_SIGNED = NumberStyle(scale=100, digits=3, suffix=" %")
_SCORE_COLUMNS = (
    Column(key="quantity_label", heading="Quantity"),
    Column(key="rows", heading="Rows", style=COUNT),
    Column(key="answered_share", heading="Answered", style=PERCENT),
    Column(key="median_error", heading="Median error", style=PERCENT),
    Column(key="mean_error", heading="Mean", style=PERCENT),
    Column(key="p90_error", heading="90th percentile", style=PERCENT),
    Column(key="bias", heading="Bias", style=_SIGNED),
    Column(key="band_coverage", heading="In the 80 % band", style=PERCENT),
)
_CLOSED_FORM = Column(key="closed_form_error", heading="Closed form", style=PERCENT)
_ROW_COLUMNS = (
    Column(key="case", heading="Row"),
    Column(key="chip", heading="Chip"),
    Column(key="model", heading="Model"),
    Column(key="precision", heading="Precision"),
    Column(key="isl", heading="In", style=COUNT),
    Column(key="osl", heading="Out", style=COUNT),
    Column(key="concurrency", heading="Users", style=COUNT),
    Column(key="deployment", heading="Deployment"),
    Column(key="quantity", heading="Quantity"),
    Column(key="measured", heading="Measured", style=NumberStyle()),
    Column(key="predicted", heading="Predicted", style=NumberStyle()),
    Column(key="error", heading="Error", style=_SIGNED),
    Column(key="in_band", heading="In band", tag=True),
    Column(key="software", heading="Software"),
    Column(key="source", heading="Source"),
    Column(key="place", heading="Place"),
)
_NUMBERS = ("chips", "isl", "osl", "tp", "pp", "ep", "dp", "concurrency")
NOTE = "Errors are |predicted / measured - 1|; bias is the median of predicted / measured - 1."


def score_rows(found: Sequence[Score]) -> list[dict[str, Any]]:
    """One row a score, with every number unrounded."""
    return [
        {
            "group": one.group, "quantity": str(one.quantity), "quantity_label": LABELS[one.quantity], "rows": one.rows,
            "answered": one.answered, "answered_share": one.answered_share, "median_error": one.median, "mean_error": one.mean,
            "p90_error": one.p90, "bias": one.bias, "band_coverage": one.coverage,
        }
        for one in found
    ]  # fmt: skip


def score_table(comparisons: Sequence[Comparison], by: Group | None, closed_form: Sequence[Comparison] = ()) -> Table:
    """Scores by group, and of all rows without one; beside the median errors those of the `closed_form` where that is given."""
    heading = "Rows" if by is None else str(by).capitalize()
    columns = [Column(key="group", heading=heading), *_SCORE_COLUMNS]
    title = "All rows" if by is None else f"By {by}"
    rows = score_rows(scores(comparisons, by))
    if closed_form:
        columns.insert(1 + [column.key for column in columns].index("median_error"), _CLOSED_FORM)
        medians = {(one.group, str(one.quantity)): one.median for one in scores(closed_form, by)}
        rows = [one | {_CLOSED_FORM.key: medians.get((one["group"], one["quantity"]))} for one in rows]
    return Table(id=f"scores-by-{by or 'nothing'}", title=title, columns=tuple(columns), rows=rows, note=NOTE)


def summary_table(comparisons: Sequence[Comparison], by: Group, title: str, closed_form: Sequence[Comparison] = ()) -> Table:
    """What the command prints: scores by group, those of all rows first."""
    table, every = score_table(comparisons, by, closed_form), score_table(comparisons, None, closed_form)
    return Table(id="scores", title=title, columns=table.columns, rows=[*every.rows, *table.rows], note=NOTE)


def row(one: Comparison) -> dict[str, Any]:
    """A comparison as a flat row, in milliseconds or tokens/s as `quantity` says; `error` is signed."""
    measurement, quantity, scale = one.measurement, one.quantity, SCALES[one.quantity]
    value = measured(measurement, quantity)
    band = predicted(one.prediction, quantity) if one.prediction else None
    return _cells(measurement) | {
        "quantity": str(quantity),
        "measured": None if value is None else value * scale,
        "predicted": band.value * scale if band else None,
        "predicted_low": band.low * scale if band else None,
        "predicted_high": band.high * scale if band else None,
        "error": None if one.ratio is None else one.ratio - 1,
        "in_band": one.in_band,
        "status": one.status,
        "deployment": one.prediction.deployment.label if one.prediction else "",
        "binding": one.prediction.binding if one.prediction else "",
        "software": measurement.software,
        "submitter": measurement.submitter,
        "source": measurement.source,
        "place": measurement.place,
        "note": measurement.note,
    }


def _cells(measurement: Measurement) -> dict[str, Any]:
    """The cells of the case, counts as numbers."""
    cells = measurement.cells
    return {name: (float(cell) if cell else None) if name in _NUMBERS else cell for name, cell in cells.items()}


def rows_table(comparisons: Sequence[Comparison]) -> Table:
    """Every comparison."""
    return Table(id="rows", title="Every row", columns=_ROW_COLUMNS, rows=[row(one) for one in comparisons])


def worst_table(comparisons: Sequence[Comparison]) -> Table:
    """The comparisons furthest from the measurement, as a factor in either direction."""

    def factor(one: Comparison) -> float:
        return max(one.ratio, 1 / one.ratio) if one.ratio else 0.0

    chosen = sorted((one for one in comparisons if one.ratio), key=lambda one: -factor(one))[:WORST]
    title = f"The {len(chosen)} rows furthest off"
    return Table(id="worst", title=title, columns=_ROW_COLUMNS, rows=[row(one) for one in chosen])


def unanswered_table(comparisons: Sequence[Comparison]) -> Table:
    """The rows without an answer, and why."""
    columns = (*_ROW_COLUMNS[:7], Column(key="status", heading="Why not"))
    rows = {one.measurement.name: row(one) for one in comparisons if one.prediction is None}
    return Table(id="unanswered", title="Rows without an answer", columns=columns, rows=list(rows.values()))


def excluded_table(measurements: Sequence[Measurement]) -> Table:
    """The rows that are not scored, and why."""
    shown = [column for column in _ROW_COLUMNS if column.key in ("case", "chip", "model", "precision", "isl", "osl", "concurrency")]
    columns = (
        *shown,
        Column(key="excluded", heading="Why not scored"),
        Column(key="source", heading="Source"),
        Column(key="place", heading="Place"),
    )
    rows = [
        _cells(one) | {"software": one.software, "source": one.source, "place": one.place, "note": one.note, "excluded": one.excluded}
        for one in measurements
        if one.excluded
    ]
    return Table(id="excluded", title="Rows that are not scored", columns=columns, rows=rows)


def sources_table(measurements: Sequence[Measurement]) -> Table:
    """Where the rows stand, with title, publisher, date, address and licence of each known source."""
    headings = {"source": "Source", "title": "Title", "publisher": "Publisher", "date": "Date", "address": "Address", "licence": "Licence"}
    columns = (*(Column(key=key, heading=heading) for key, heading in headings.items()), Column(key="rows", heading="Rows", style=COUNT))
    rows: list[dict[str, Any]] = []
    for name, count in Counter(one.source for one in measurements).most_common():
        known = sources().get(name)
        facts = {key: getattr(known, key) if known else "" for key in ("title", "publisher", "date", "address", "licence")}
        rows.append({"source": name} | facts | {"rows": count})
    return Table(id="sources", title="Where the rows stand", columns=columns, rows=rows)
