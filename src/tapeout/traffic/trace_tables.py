"""Rows of files in parts, as columns of text, so that a trace of any length takes little memory: CSV, JSON lines and Parquet."""

from __future__ import annotations

import csv
import gzip
import json
import operator
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Protocol, TextIO

import pyarrow as arrow
from pyarrow import parquet

from tapeout.errors import InputError, Place

ROWS = 2048
"""Rows that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some rows: their `cells` as text and their `values` as they are, by column; `numbers` tells `Table.place` where each row stands."""

    cells: Mapping[str, Sequence[str]]
    values: Mapping[str, Sequence[Any]]
    numbers: Sequence[int]


class Table(Protocol):
    """A file with named columns."""

    @property
    def header(self) -> Sequence[str]:
        """The names of the columns; empty for an empty file."""
        ...

    def parts(self, text: Sequence[str], values: Sequence[str]) -> Iterator[Part]:
        """All rows, once: of the columns `text` the cells as text, of those in `values` what stands there, None where nothing does.

        Raises InputError with its place for a row that cannot be told into columns.
        """
        ...

    def place(self, number: int, column: str = "") -> Place:
        """Where a row stands."""
        ...


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """The table in the file at `path`: `.parquet`, `.jsonl`, else CSV; text also compressed, with `.gz` at the end.

    Raises InputError, also while it is read, for files that cannot be read or are not what their name says.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if packed else suffixes[-1:])
    try:
        if kind == ".parquet" and not packed:
            with parquet.ParquetFile(path) as file:
                yield _Parquet(path, file)
            return
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") if packed else path.open(encoding="utf-8-sig", newline="") as text:
            yield _JsonLines(path, text) if kind in (".jsonl", ".ndjson") else _Csv(path, text)
    except UnicodeDecodeError:
        raise InputError("cannot read the trace", place=Place(file=str(path)), hint="it is not text in UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        hint = getattr(error, "strerror", None) or str(error)
        raise InputError("cannot read the trace", place=Place(file=str(path)), hint=hint) from None
    except arrow.ArrowException as error:
        raise InputError("cannot read the trace", place=Place(file=str(path)), hint=f"it is not a Parquet file: {error}") from None


class _Lines:
    """Files of text, where rows stand in lines."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self.path, self.text = path, text

    def place(self, number: int, column: str = "") -> Place:
        return Place(file=str(self.path), line=number, path=column)


class _Csv(_Lines):
    """Cells between commas under a header."""

    def __init__(self, path: Path, text: TextIO) -> None:
        super().__init__(path, text)
        self.reader = csv.reader(text)
        with self._valid():
            self.header = [name.strip() for name in next((cells for cells in self.reader if not _blank(cells)), [])]

    @contextmanager
    def _valid(self) -> Iterator[None]:
        try:
            yield
        except csv.Error as error:
            raise InputError(f"not a valid CSV: {error}", place=self.place(self.reader.line_num)) from None

    def parts(self, text: Sequence[str], values: Sequence[str]) -> Iterator[Part]:
        wanted = operator.itemgetter(*(self.header.index(name) for name in text))
        while True:
            before = self.reader.line_num
            with self._valid():
                rows = list(islice(self.reader, ROWS))
            if not rows:
                return
            numbers = _line_numbers(rows, before, self.reader.line_num)
            try:
                columns = list(zip(*map(wanted, rows), strict=True))
            except IndexError:
                rows, numbers = self._whole(rows, numbers, wanted)
                columns = list(zip(*map(wanted, rows), strict=True))
            if rows:
                yield Part(
                    cells=dict(zip(text, columns, strict=True)), values={name: [None] * len(rows) for name in values}, numbers=numbers
                )

    def _whole(
        self, rows: Sequence[list[str]], numbers: Sequence[int], wanted: Callable[[list[str]], object]
    ) -> tuple[list[list[str]], Sequence[int]]:
        """The rows that are not blank; raises InputError for the first that is short."""
        kept = [row for row, cells in enumerate(rows) if not _blank(cells)]
        for row in kept:
            try:
                wanted(rows[row])
            except IndexError:
                raise InputError(
                    "the row is too short", place=self.place(numbers[row]), given=f"{len(rows[row])} cells",
                    allowed=f"{len(self.header)} cells",
                ) from None  # fmt: skip
        return [rows[row] for row in kept], [numbers[row] for row in kept]


def _line_numbers(rows: Sequence[Sequence[str]], before: int, after: int) -> Sequence[int]:
    """The line in which each row ends; quoted cells may reach over several."""
    if after - before == len(rows):
        return range(before + 1, after + 1)
    return [before + lines for lines in accumulate(1 + sum(cell.count("\n") for cell in cells) for cells in rows)]


def _blank(cells: Sequence[str]) -> bool:
    return not cells or (len(cells) == 1 and not cells[0].strip())


class _JsonLines(_Lines):
    """One object a line; its keys are the columns, those of the first line all that there are."""

    def __init__(self, path: Path, text: TextIO) -> None:
        super().__init__(path, text)
        self.rows = ((number, self._entry(number, line)) for number, line in enumerate(text, start=1) if line.strip())
        self.first = next(self.rows, None)
        self.header = list(self.first[1]) if self.first else []

    def _entry(self, number: int, line: str) -> Mapping[str, Any]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not valid JSON: {error}", place=self.place(number)) from None
        if not isinstance(entry, dict):
            raise InputError("each line is one request as a JSON object", place=self.place(number), given=line[:40].strip())
        return entry

    def parts(self, text: Sequence[str], values: Sequence[str]) -> Iterator[Part]:
        rows = [self.first] if self.first else []
        while rows := rows + list(islice(self.rows, ROWS)):
            for number, entry in rows:
                if missing := [name for name in text if name not in entry]:
                    raise InputError("missing field", place=self.place(number, missing[0]), given=", ".join(entry))
            yield Part(
                cells={name: [_text(entry[name]) for _, entry in rows] for name in text},
                values={name: [entry.get(name) for _, entry in rows] for name in values},
                numbers=[number for number, _ in rows],
            )
            rows = []


def _text(value: object) -> str:
    return "" if value is None else str(value)


class _Parquet:
    """Columns of a Parquet file; its rows have numbers, from 1, and no lines."""

    def __init__(self, path: Path, file: parquet.ParquetFile) -> None:
        self.path, self.file = path, file
        self.header = list(file.schema_arrow.names)

    def parts(self, text: Sequence[str], values: Sequence[str]) -> Iterator[Part]:
        listed = [name for name in values if name in self.header]
        done = 0
        for batch in self.file.iter_batches(batch_size=ROWS, columns=[*text, *listed]):
            columns = {name: batch.column(name) for name in text}
            for name, column in columns.items():
                if arrow.types.is_boolean(column.type) or arrow.types.is_nested(column.type):
                    raise InputError("bad type of a column", place=self.place(done + 1, name), given=str(column.type))
            yield Part(
                cells={name: column.cast(arrow.string()).fill_null("").to_pylist() for name, column in columns.items()},
                values={name: batch.column(name).to_pylist() if name in listed else [None] * len(batch) for name in values},
                numbers=range(done + 1, done + len(batch) + 1),
            )
            done += len(batch)

    def place(self, number: int, column: str = "") -> Place:
        return Place(file=str(self.path), path=f"row {number}" + (f", {column}" if column else ""))
