"""Cases from and to CSV files, for `tapeout predict`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tapeout.errors import InputError, Place
from tapeout.performance.case_table import read_case_table
from tapeout.performance.cases import ANSWERS, GIVEN, answered, check_header
from tapeout.performance.efficiency import Table
from tapeout.report.writing import write_text


def predict_file(cases: Path, out: Path, efficiencies: Table | None = None) -> tuple[int, int]:
    """Answer the cases in one file and write them to another; returns how many have no answer, and how many there are.

    `efficiencies` are the coefficients, those that ship where None.
    Raises InputError where the input cannot be read as a table of cases or the output cannot be written; then nothing is written.
    """
    table = read_case_table(cases)
    check_header(table.columns, table.place_of_header())
    if out.is_dir() or not out.resolve().parent.is_dir():
        raise InputError("cannot write the output", place=Place(file=str(out)), hint="give a file in an existing folder")
    found = answered(table.rows, efficiencies)
    kept = [name + GIVEN if name in ANSWERS else name for name in table.columns]
    write_text(out, _csv([*kept, *ANSWERS], found))
    return sum(row["status"] != "ok" for row in found), len(found)


def _csv(columns: list[str], rows: list[dict[str, str]]) -> str:
    """Rows whose cells stand in the order of `columns`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(row.values() for row in rows)
    return text.getvalue()
