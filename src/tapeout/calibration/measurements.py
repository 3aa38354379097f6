"""Published end-to-end results: a case as it was run, what was measured, and where it stands.

A table of measurements is a table of cases, as `tapeout predict` reads it, with what was measured beside it. The package's own
tables lie in `data/measurements`; there every row also says who measured what with which software, and where it was read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from tapeout.errors import FactError, InputError, did_you_mean
from tapeout.performance.case_table import CaseTable, read_case_table
from tapeout.performance.cases import COLUMNS, MEASURES, BadRowError, check_header, read_case
from tapeout.performance.predict import Case, Kind
from tapeout.provenance import DATA, sources
from tapeout.units import Seconds, TokensPerSecond

FOLDER = DATA / "measurements"
PROVENANCE = ("software", "submitter", "source", "place", "note", "excluded")
"""Columns that say where a row comes from, and why it is not scored where `excluded` is not empty."""


class Quantity(StrEnum):
    """What is measured: the column of a table, times in milliseconds."""

    TTFT = "ttft_ms"
    TPOT = "tpot_ms"
    RATE = "output_tokens_per_s_per_chip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One result. `cells` are the cells of its case as the table writes them; a quantity that was not measured is None.

    `case` is None where the row asks for what is not known, and `problem` says what. A row with a reason in `excluded` is not scored.
    """

    name: str
    kind: Kind
    chip: str
    model: str
    precision: str
    cells: dict[str, str]
    case: Case | None
    problem: str = ""
    ttft: Seconds | None = None
    tpot: Seconds | None = None
    output_rate_per_chip: TokensPerSecond | None = None
    software: str = ""
    submitter: str = ""
    source: str = ""
    place: str = ""
    note: str = ""
    excluded: str = ""


def read_measurements(path: Path) -> list[Measurement]:
    """The measurements in a CSV file with the columns of `tapeout predict` and at least one of `MEASURES`.

    The columns `PROVENANCE` may be missing; without `source` the file is the source. Raises InputError with file, line and column
    for a cell that cannot be read, a name that stands twice, and a row without the quantity of its kind: tokens/s offline, any online.
    """
    table = read_case_table(path)
    _check_columns(table)
    names: dict[str, int] = {}
    found = []
    for index in range(len(table.rows)):
        found.append(_measurement(table, index, default_source=path.name))
        first = names.setdefault(found[-1].name, index)
        if first != index:
            raise InputError(
                "two rows of one name", place=table.place(index, "case"), given=found[-1].name, hint=f"see {table.place(first)}"
            )
    if not found:
        raise InputError("the table has no rows", place=table.place_of_header())
    return found


@cache
def published() -> tuple[Measurement, ...]:
    """The package's own measurements, by file and row; raises FactError for a row without provenance or with an unknown name."""
    paths = sorted(FOLDER.glob("*.csv"))
    return tuple(_checked(one, path) for path in paths for one in read_measurements(path))


def scored(measurements: Iterable[Measurement]) -> list[Measurement]:
    """The rows that are not excluded."""
    return [one for one in measurements if not one.excluded]


def _check_columns(table: CaseTable) -> None:
    place = table.place_of_header()
    check_header(table.columns, place)
    if not set(table.columns) & set(MEASURES):
        hint = did_you_mean("ttft_ms", [name for name in table.columns if name not in COLUMNS])
        raise InputError("no column of measured values", place=place, given=",".join(table.columns), allowed=MEASURES, hint=hint)


def _measurement(table: CaseTable, index: int, default_source: str) -> Measurement:
    row = {name: cell.strip() for name, cell in table.rows[index].items()}
    if not row["case"]:
        raise InputError("a row without a name", place=table.place(index, "case"))
    case, problem = None, ""
    try:
        case = read_case(row)
    except BadRowError as error:
        if error.column:
            raise InputError(error.status, place=table.place(index, error.column)) from error
        problem = ": ".join(part for part in (error.status, error.detail) if part)
    measured = {quantity: _value(table, index, quantity) for quantity in Quantity}
    kind = Kind(row["kind"])
    needed = (Quantity.RATE,) if kind is Kind.OFFLINE else tuple(Quantity)
    if all(measured[quantity] is None for quantity in needed):
        raise InputError(f"an {kind} row without a measured value", place=table.place(index, needed[-1]), allowed=needed)
    ttft, tpot = measured[Quantity.TTFT], measured[Quantity.TPOT]
    texts = {name: row.get(name, "") for name in PROVENANCE}
    texts["source"] = texts["source"] or default_source
    return Measurement(
        name=row["case"], kind=kind, chip=row["chip"], model=row["model"], precision=row["precision"].lower(),
        cells={name: row[name] for name in COLUMNS}, case=case, problem=problem,
        ttft=None if ttft is None else ttft / 1e3, tpot=None if tpot is None else tpot / 1e3, output_rate_per_chip=measured[Quantity.RATE],
        **texts,
    )  # fmt: skip


def _value(table: CaseTable, index: int, quantity: Quantity) -> float | None:
    cell = table.rows[index].get(quantity, "").strip()
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError("not a measured value", place=table.place(index, quantity), given=cell, allowed="a number above 0, or empty")
    return value


def _checked(one: Measurement, path: Path) -> Measurement:
    """`one`, if it is fit to stand in the package."""
    faults = [
        (one.case is None, one.problem),
        (one.source not in sources(), f"unknown source {one.source}"),
        (not one.place, "no place within the source"),
        (not one.software, "no software"),
    ]
    for holds, what in faults:
        if holds:
            raise FactError(f"row {one.name}: {what}", hint=f"see {path.name}")
    return one
