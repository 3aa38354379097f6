"""A table is a list of rows and a choice of columns; CSV, JSON, Parquet, the terminal and the page all read those rows.

The machine formats (`to_json`, `to_csv`, Parquet) carry every field of the rows, unrounded and in the unit that the key
names; terminal and page show the chosen columns by `NumberStyle`. A number that is not finite counts as missing everywhere.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tapeout.report.numbers import MISSING, NumberStyle

Row = Mapping[str, Any]
Scalar = str | float | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One shown column: `key` is the field, dotted where rows are nested (`usd.p50`); a `style` makes it a number, set right.

    `tag` marks a column of words such as grades, which the page sets as small labels.
    """

    key: str
    heading: str
    style: NumberStyle | None = None
    tag: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the column is set right as a number."""
        return self.style is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a title; `id` names files and anchors (lower case, digits and hyphens)."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    note: str = ""

    def cells(self) -> list[list[str]]:
        """The text of every shown cell, row by row.

        >>> share = Column(key="share", heading="Share", style=NumberStyle(scale=100, suffix=" %"))
        >>> Table(id="t", title="T", columns=(share,), rows=[{"share": 0.5}, {"share": float("inf")}]).cells()
        [['50 %'], ['–']]
        """
        return [[shown(column, cells.get(column.key)) for column in self.columns] for cells in map(flat, self.rows)]


def plain(value: Any) -> Any:
    """`value` in JSON's own types: NumPy scalars unwrapped, tuples as lists, numbers that are not finite as None.

    >>> plain({"a": (1.5, float("nan"))})
    {'a': [1.5, None]}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, str) else value


def flat(row: Row) -> dict[str, Scalar]:
    """A row without nesting: the keys of inner mappings are joined by dots, lists by semicolons.

    >>> flat({"chip": "a", "usd": {"p5": 1, "p50": 2}, "tags": ["x", "y"]})
    {'chip': 'a', 'usd.p5': 1, 'usd.p50': 2, 'tags': 'x; y'}
    """
    cells: dict[str, Scalar] = {}
    for key, value in plain(row).items():
        if isinstance(value, dict):
            cells |= {f"{key}.{inner}": item for inner, item in flat(value).items()}
        elif isinstance(value, list):
            cells[key] = "; ".join(MISSING if item is None else str(item) for item in value)
        else:
            cells[key] = value
    return cells


def keys(table: Table) -> list[str]:
    """The flat fields of a table: those of the rows in order of first appearance, or the columns' where there are no rows."""
    found = dict.fromkeys(key for row in table.rows for key in flat(row))
    return list(found) or [column.key for column in table.columns]


def shown(column: Column, value: Scalar) -> str:
    """The text of one cell for people; control characters in it are replaced, so that text cannot steer a terminal."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return (column.style or NumberStyle(digits=4)).show(value)
    return "".join(letter if letter.isprintable() else " " for letter in value)


def to_json(table: Table) -> str:
    """The rows as a JSON list of objects, with null for what is missing."""
    return dump_json([plain(row) for row in table.rows])


def dump_json(value: Any) -> str:
    """`value` as indented JSON with a final newline; never NaN or Infinity, which are not JSON."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(table: Table) -> str:
    """The rows as CSV (RFC 4180 with line feeds), a header of flat keys first; what is missing is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = keys(table)
    writer.writerow(header)
    for cells in map(flat, table.rows):
        writer.writerow([_csv_cell(cells.get(key)) for key in header])
    return text.getvalue()


def _csv_cell(value: Scalar) -> Scalar:
    return str(value).lower() if isinstance(value, bool) else value


def pivot(table: Table, *, index: str, across: str, value: str, style: NumberStyle, headings: Mapping[str, str] | None = None) -> Table:
    """A wide table of a long one: a row for each `index`, a column for each `across`, the sums of `value` in the cells.

    Columns stand in order of first appearance and are headed by their name, or by its entry in `headings`.
    """
    names = list(dict.fromkeys(str(row[across]) for row in table.rows))
    sums: dict[Any, dict[str, float]] = {}
    for row in table.rows:
        cells = sums.setdefault(row[index], dict.fromkeys(names, 0.0))
        cells[str(row[across])] += row[value]
    first = next((column for column in table.columns if column.key == index), Column(key=index, heading=index.capitalize()))
    columns = (first, *(Column(key=name, heading=(headings or {}).get(name, name), style=style) for name in names))
    return replace(table, columns=columns, rows=[{index: key} | cells for key, cells in sums.items()])
