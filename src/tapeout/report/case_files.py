"""Cases from and to CSV files, for `tapeout predict`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tapeout.errors import InputError, Place
from tapeout.performance.cases import ANSWERS, GIVEN, answered, check_header
from tapeout.report.writing import write_text


def predict_file(cases: Path, out: Path) -> tuple[int, int]:
    """Answer the cases in one file and write them to another; returns how many have no answer, and how many there are.

    Raises InputError where the input cannot be read as a table of cases or the output cannot be written; then nothing is written.
    """
    columns, rows = read_table(cases)
    check_header(columns)
    if out.is_dir() or not out.resolve().parent.is_dir():
        raise InputError("cannot write the output", place=Place(file=str(out)), hint="give a file in an existing folder")
    found = answered(rows)
    kept = [name + GIVEN if name in ANSWERS else name for name in columns]
    write_text(out, _csv([*kept, *ANSWERS], found))
    return sum(row["status"] != "ok" for row in found), len(found)


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The header and the rows of a CSV file (UTF-8); short rows are filled with empty cells.

    Raises InputError for a file that is missing, empty, not text, or has a row longer than its header, with the line.
    """
    place = Place(file=str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError("cannot read the cases", place=place, hint=error.strerror) from error
    except UnicodeDecodeError as error:
        raise InputError("the cases are not UTF-8 text", place=place, given=f"byte {error.start}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
        rows = []
        for cells in reader:
            if len(cells) > len(columns):
                raise InputError(
                    "more cells than columns",
                    place=Place(file=str(path), line=reader.line_num),
                    given=len(cells),
                    allowed=str(len(columns)),
                )
            if cells:
                rows.append(dict(zip(columns, cells + [""] * (len(columns) - len(cells)), strict=True)))
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", place=Place(file=str(path), line=reader.line_num)) from error
    return columns, rows


def _csv(columns: list[str], rows: list[dict[str, str]]) -> str:
    """Rows whose cells stand in the order of `columns`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(row.values() for row in rows)
    return text.getvalue()
