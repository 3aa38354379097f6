"""Measured operators as a struct of arrays: one row per measured operator, read strictly from CSV or Parquet and written as CSV.

A cell that does not apply is empty in a file, NaN in an array of numbers and "" in an array of words.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from tapeout.errors import InputError, Place, SeveralInputError, did_you_mean
from tapeout.units import Unit

Words = NDArray[np.str_]
Array = NDArray[np.float64]
Numbers = Annotated[Array, Unit("1")]
TokenNumbers = Annotated[Array, Unit("token")]
ByteNumbers = Annotated[Array, Unit("B")]
Times = Annotated[Array, Unit("s")]


class Measured(StrEnum):
    """Which operator a row measures."""

    PRODUCT = "product"
    GROUPED_PRODUCT = "grouped-product"
    PREFILL_ATTENTION = "prefill-attention"
    DECODE_ATTENTION = "decode-attention"
    ALL_REDUCE = "all-reduce"
    ALL_GATHER = "all-gather"
    REDUCE_SCATTER = "reduce-scatter"
    ALL_TO_ALL = "all-to-all"
    SEND = "send"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTable:
    """Measured operators, arrays by row.

    A product is (`rows` x `inner`) by (`inner` x `outer`). A grouped product is both products of gated experts and the gating:
    `rows` tokens in all, each to `experts_per_token` of `experts`, `inner` the hidden size, `outer` the inner size of one expert
    as it lies on the chip; with `expert_peers` the experts are split over that many chips and the time is that of the busiest.
    Attention has `sequences` that each bring `new_tokens` to `context` cached ones; `value_size` is `head_size` where empty. Latent
    attention gives `kv_rank` and `rope_size`; its `head_size` is that of a query with its rotary part. A collective joins `peers`;
    `message_bytes` is the whole message of an all-reduce, the gathered or the scattered whole of the other two, and what one chip
    sends to all others together, its own share included, of an all-to-all. `format` is that of the weights.
    """

    operator: Words
    chip: Words
    format: Words
    cache_format: Words
    rows: TokenNumbers
    inner: Numbers
    outer: Numbers
    experts: Numbers
    experts_per_token: Numbers
    expert_peers: Numbers
    sequences: Numbers
    new_tokens: TokenNumbers
    context: TokenNumbers
    heads: Numbers
    kv_heads: Numbers
    head_size: Numbers
    value_size: Numbers
    window: TokenNumbers
    kv_rank: Numbers
    rope_size: Numbers
    peers: Numbers
    message_bytes: ByteNumbers
    seconds: Times
    software: Words

    def __len__(self) -> int:
        return len(self.seconds)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> OperatorTable:
        """The rows `rows`: their numbers, or a mask."""
        return OperatorTable(**{name: getattr(self, name)[rows] for name in COLUMNS})

    def of(self, *operators: Measured) -> OperatorTable:
        """The rows that measure one of `operators`."""
        return self.take(np.isin(self.operator, list(operators)))


COLUMNS = tuple(field.name for field in dataclasses.fields(OperatorTable))
WORDS = tuple(name for name, hint in get_type_hints(OperatorTable).items() if hint == Words)
FORMATS = ("bf16", "fp8", "int8", "fp4")
CACHE_FORMATS = ("bf16", "fp8")

_ATTENTION = ("cache_format", "sequences", "new_tokens", "context", "heads", "kv_heads", "head_size")
_NEEDED: dict[Measured, tuple[str, ...]] = {
    Measured.PRODUCT: ("format", "rows", "inner", "outer"),
    Measured.GROUPED_PRODUCT: ("format", "rows", "inner", "outer", "experts", "experts_per_token"),
    Measured.PREFILL_ATTENTION: _ATTENTION,
    Measured.DECODE_ATTENTION: _ATTENTION,
    Measured.ALL_REDUCE: ("peers", "message_bytes"),
    Measured.ALL_GATHER: ("peers", "message_bytes"),
    Measured.REDUCE_SCATTER: ("peers", "message_bytes"),
    Measured.ALL_TO_ALL: ("peers", "message_bytes"),
    Measured.SEND: ("peers", "message_bytes"),
}
_REQUIRED = ("operator", "chip", "seconds")
_OPTIONAL_COLUMNS = ("value_size", "rope_size", "software")
_LEAST = {"context": 0.0, "peers": 2.0}


def table(columns: Mapping[str, Any], count: int) -> OperatorTable:
    """A table of `count` rows from arrays or single values by column; columns that are not given are empty."""
    arrays: dict[str, Any] = {}
    for name in COLUMNS:
        words = name in WORDS
        given = np.asarray(columns.get(name, "" if words else math.nan), dtype=np.str_ if words else np.float64)
        arrays[name] = np.broadcast_to(given, (count,))
    return OperatorTable(**arrays)


def concatenated(tables: Sequence[OperatorTable]) -> OperatorTable:
    """The rows of `tables`, one after the other."""
    if not tables:
        return table({}, 0)
    return OperatorTable(**{name: np.concatenate([getattr(one, name) for one in tables]) for name in COLUMNS})


def read(path: Path) -> OperatorTable:
    """The table in the CSV or Parquet file `path`; raises InputError naming file, row (as a line of the CSV, from 1) and column."""
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError("cannot read the file", place=Place(file=str(path)), hint=error.strerror) from error
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", place=Place(file=str(path)), hint="save the table as CSV in UTF-8") from error
    return parse(text, str(path))


def parse(text: str, file: str) -> OperatorTable:
    """The table in the CSV `text`, `file` naming it in errors; raises InputError naming the line and the column."""
    reader = csv.reader(io.StringIO(text))
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"not a CSV table: {error}", place=Place(file=file, line=reader.line_num)) from error
    if not lines:
        raise InputError("the table is empty", place=Place(file=file), allowed=COLUMNS)
    header = [cell.strip() for cell in lines[0][1]]
    _check_header(header, file)
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise InputError("a row of another length than the header", place=Place(file=file, line=number),
                             given=f"{len(cells)} cells", allowed=f"{len(header)} cells")  # fmt: skip
    numbers = np.array([number for number, _ in lines[1:]], dtype=np.int64)
    by_column = {name: [cells[index].strip() for _, cells in lines[1:]] for index, name in enumerate(header)}
    arrays = {name: cells if name in WORDS else _numbers(name, cells, numbers, file) for name, cells in by_column.items()}
    return _checked(table(arrays, len(numbers)), numbers, file)


def _read_parquet(path: Path) -> OperatorTable:
    try:
        found = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError("cannot read the Parquet file", place=Place(file=str(path)), hint=str(error).splitlines()[0]) from error
    _check_header(found.column_names, str(path))
    numbers = np.arange(1, found.num_rows + 1)
    arrays: dict[str, Any] = {}
    for name in found.column_names:
        column = found.column(name)
        if name in WORDS:
            arrays[name] = [value or "" for value in column.cast(pa.string()).to_pylist()]
            continue
        try:
            arrays[name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowException as error:
            raise InputError(
                "a column of numbers holds other things", place=Place(file=str(path), path=name), given=str(column.type)
            ) from error
    return _checked(table(arrays, found.num_rows), numbers, str(path))


def _check_header(header: Sequence[str], file: str) -> None:
    place = Place(file=file, line=1)
    for name in header:
        if name not in COLUMNS:
            raise InputError("unknown column", place=place, given=name, allowed=COLUMNS, hint=did_you_mean(name, COLUMNS))
        if list(header).count(name) > 1:
            raise InputError("a column stands twice", place=place, given=name)
    for name in COLUMNS:
        if name not in header and name not in _OPTIONAL_COLUMNS:
            raise InputError(f"missing column {name}", place=place, given=",".join(header), allowed=COLUMNS)


def _numbers(name: str, cells: Sequence[str], lines: NDArray[np.int64], file: str) -> Array:
    found = np.full(len(cells), math.nan)
    for index, cell in enumerate(cells):
        if not cell:
            continue
        try:
            found[index] = float(cell)
        except ValueError:
            raise InputError("not a number", place=Place(file=file, line=int(lines[index]), path=name), given=cell) from None
        if not math.isfinite(found[index]):
            raise InputError("not a finite number", place=Place(file=file, line=int(lines[index]), path=name), given=cell)
    return found


def _checked(found: OperatorTable, lines: NDArray[np.int64], file: str) -> OperatorTable:
    faults = [*_word_faults(found, lines, file), *_number_faults(found, lines, file)]
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise SeveralInputError(sorted(faults, key=lambda fault: fault.place.line or 0 if fault.place else 0))
    return found


def _word_faults(found: OperatorTable, lines: NDArray[np.int64], file: str) -> Iterable[InputError]:
    allowed = {"operator": tuple(Measured), "format": (*FORMATS, ""), "cache_format": (*CACHE_FORMATS, "")}
    for name, words in allowed.items():
        column: Words = getattr(found, name)
        for index in np.flatnonzero(~np.isin(column, list(words))):
            word = str(column[index])
            place = Place(file=file, line=int(lines[index]), path=name)
            yield InputError(f"unknown {name}", place=place, given=word, allowed=[w for w in words if w], hint=did_you_mean(word, words))


def _number_faults(found: OperatorTable, lines: NDArray[np.int64], file: str) -> Iterable[InputError]:
    for operator, names in _NEEDED.items():
        rows = np.flatnonzero(found.operator == operator)
        for name in (*_REQUIRED, *names):
            column = getattr(found, name)[rows]
            empty = column == "" if name in WORDS else np.isnan(column)
            for index in rows[empty]:
                place = Place(file=file, line=int(lines[index]), path=name)
                yield InputError(f"an empty cell, which {operator} needs", place=place)
    for name in COLUMNS:
        if name in WORDS:
            continue
        column, least = getattr(found, name), _LEAST.get(name)
        low = column < least if least is not None else column <= 0
        for index in np.flatnonzero(low | np.isinf(column)):
            allowed = f"a number from {least:g} on" if least is not None else "a number above 0"
            yield InputError(
                "out of range", place=Place(file=file, line=int(lines[index]), path=name), given=float(column[index]), allowed=allowed
            )


def to_csv(rows: OperatorTable) -> str:
    """The table as CSV with every column, numbers in the shortest form that reads back the same."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    columns = [getattr(rows, name).tolist() for name in COLUMNS]
    for cells in zip(*columns, strict=True):
        writer.writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
