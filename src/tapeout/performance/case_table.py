"""Files of cases: CSV in, text rows out, each with the line on which it ends."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from tapeout.errors import InputError, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTable:
    """The header and the rows of a file; `lines` says where in `file` each row stands, counted from 1."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]

    def place(self, row: int, column: str = "") -> Place:
        """Where the row with this index, or its cell in `column`, stands."""
        return Place(file=self.file, line=self.lines[row], path=column)

    def place_of_header(self) -> Place:
        """Where the names of the columns stand."""
        return Place(file=self.file, line=1)


def read_case_table(path: Path) -> CaseTable:
    """The table in a CSV file (UTF-8); short rows are filled with empty cells, empty lines are passed over.

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
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        for cells in reader:
            if len(cells) > len(columns):
                place = Place(file=str(path), line=reader.line_num)
                raise InputError("more cells than columns", place=place, given=len(cells), allowed=str(len(columns)))
            if cells:
                rows.append(dict(zip(columns, cells + [""] * (len(columns) - len(cells)), strict=True)))
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", place=Place(file=str(path), line=reader.line_num)) from error
    return CaseTable(file=str(path), columns=tuple(columns), rows=tuple(rows), lines=tuple(lines))
