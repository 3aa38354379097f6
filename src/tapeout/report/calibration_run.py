"""A calibration: measured operators in, coefficients and how well they fit out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tapeout.calibration import aiconfigurator, operator_table
from tapeout.calibration.coefficient_file import coefficient_text
from tapeout.calibration.measurements import published
from tapeout.calibration.operator_fit import GroupFit, fit
from tapeout.calibration.operator_scores import ALL, Score, left_out_errors, scores
from tapeout.calibration.serving_fit import ServingFit
from tapeout.calibration.serving_table import QUANTITIES, refitted
from tapeout.errors import InputError
from tapeout.hardware.catalog import chip as find_chip
from tapeout.hardware.catalog import read_chip
from tapeout.performance.efficiency import Table as Coefficients
from tapeout.performance.efficiency import efficiencies, operator_efficiencies
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Row, Table, dump_json

OPERATORS, OWN = "aiconfigurator-operators", "user-supplied"
PERCENT = NumberStyle(scale=100, suffix=" %")
WHOLE = NumberStyle(digits=9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The coefficients of the first stage, how each group was fitted, the scores by operator, chip and format; the second stage.

    `coefficients` are those of the last stage.
    """

    operators: Coefficients
    coefficients: Coefficients
    groups: tuple[GroupFit, ...]
    scores: tuple[Score, ...]
    serving: ServingFit | None = None


def calibration(
    tables: Path | None,
    measurements: Sequence[Path],
    chip_files: Sequence[Path],
    start: Coefficients | None,
    left_out: bool,
    serving: bool,
    say: Callable[[str], None],
) -> Calibration:
    """Fit to the files of `measurements`, and to the operator tables in `tables`; with neither, to those of the installed package.

    Rows name chips of the catalogue or those in `chip_files`. The second stage, on published serving results, follows where `serving` is
    set; the scores are those of the first.
    """
    parts = [operator_table.read(path) for path in measurements]
    if tables or not parts:
        parts.append(aiconfigurator.read(tables, say))
    rows = operator_table.concatenated(parts)
    own = {chip.id: chip for chip in map(read_chip, chip_files)}
    chips = {name: own.get(name) or find_chip(name) for name in np.unique(rows.chip).tolist()}
    source = OWN if measurements else OPERATORS
    # The second stage begins from the operators' own coefficients; without it, what is not measured stays as it ships.
    begin = start or (operator_efficiencies() if serving else efficiencies())
    found = fit(rows, chips, begin, source, say)
    if not found.groups:
        raise InputError("too few rows to fit any coefficient", given=f"{len(rows)} rows", hint="measure more shapes of each operator")
    others = left_out_errors(rows, chips, found.table, begin, say) if left_out else None
    by_operator = tuple(scores(rows, chips, found.table, others))
    if not serving:
        return Calibration(operators=found.table, coefficients=found.table, groups=found.groups, scores=by_operator)
    table, second = refitted(published(), found.table, say)
    return Calibration(operators=found.table, coefficients=table, groups=found.groups, scores=by_operator, serving=second)


def score_table(found: Calibration) -> Table:
    """The scores by operator, chip and format."""
    columns = (
        Column(key="operator", heading="Operator"),
        Column(key="chip", heading="Chip"),
        Column(key="format", heading="Format"),
        Column(key="rows", heading="Rows", style=WHOLE),
        Column(key="dropped", heading="Dropped", style=WHOLE),
        Column(key="median", heading="Median error", style=PERCENT),
        Column(key="ninetieth", heading="90th percentile", style=PERCENT),
        Column(key="bias", heading="Bias", style=PERCENT),
        Column(key="left_out", heading="Chip left out", style=PERCENT),
    )
    note = (
        "Errors are |predicted / measured - 1|. Attention's format is that of its products and of the cache. Dropped rows are faster than "
        "the memory or the peak allows: what they read stayed in a cache. Left out: coefficients fitted without the chip's own rows."
    )
    rows: list[Row] = [dataclasses.asdict(score) for score in found.scores]
    return Table(id="operators", title="Operators: predicted and measured", columns=columns, rows=rows, note=note)


def printed(found: Calibration) -> Table:
    """The scores of all chips together, or of each chip and format where there is but one chip."""
    table = score_table(found)
    whole = [row for row in table.rows if row["chip"] == ALL]
    several = len({row["chip"] for row in table.rows}) > 2
    return dataclasses.replace(table, rows=whole if several else [row for row in table.rows if row["chip"] != ALL])


def files(found: Calibration) -> dict[str, bytes]:
    """What a calibration writes, by name: the coefficients and the record of the fit."""
    groups = [
        {
            "generation": one.group.generation, "coefficients": ".".join(one.group.path), "names": list(one.group.names), "rows": one.rows,
            "dropped": one.dropped, "median": one.median, "ninetieth": one.ninetieth,
        }
        for one in found.groups
    ]  # fmt: skip
    record: dict[str, Any] = {"groups": groups, "scores": [dict(row) for row in score_table(found).rows]}
    if found.serving is not None:
        record["serving"] = _serving(found.serving)
    tables = {"efficiencies.toml": found.coefficients}
    if found.serving is not None:
        tables["operator-efficiencies.toml"] = found.operators
    return {name: coefficient_text(table).encode() for name, table in tables.items()} | {"fit.json": dump_json(record).encode()}


def _serving(found: ServingFit) -> dict[str, Any]:
    """The second stage as a record: rows and median errors by quantity, and each coefficient with the spread of its logarithm."""
    columns, table = zip(QUANTITIES, found.errors.T, strict=True), found.table
    errors = {name: np.abs(np.expm1(column[np.isfinite(column)])) for name, column in columns}
    return {
        "quantities": {name: {"rows": error.size, "median": float(np.median(error))} for name, error in errors.items() if error.size},
        "coefficients": [
            {"generation": one.generation, "coefficient": ".".join(one.path), "value": one.value(table), "deviation": float(deviation)}
            for one, deviation in zip(found.parameters, found.deviations, strict=True)
        ],
    }
