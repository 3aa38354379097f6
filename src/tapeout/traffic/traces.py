"""Traces from files: the published formats of Azure, Mooncake and BurstGPT, and a plain one; the columns say which one it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError, Place
from tapeout.traffic.requests import Names, Requests
from tapeout.traffic.trace_tables import Part, Table, opened
from tapeout.units import Dimensionless

LONGEST = 2**31 - 1
"""Tokens that the simulator can count in one request."""
LATEST = 1e9
"""Seconds that a trace may last, some 30 years; dates in seconds since 1970 lie above."""
MOST_NAME = 2**62
HASHES = "hash_ids"

Values = NDArray[np.float64] | NDArray[np.int64]
Convert = Callable[[Sequence[str]], Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFile:
    """The requests of a file; `omitted` rows have no answer: 0 output tokens, which is taken for a failed request."""

    requests: Requests
    format: str
    omitted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """Columns of a format; how its times read, and how many of them make a second.

    With `relative` times count from the first request; with `failures` a request without an answer is taken for a failed one; with
    `block` prompts may have hashes of blocks of so many tokens.
    """

    name: str
    time: str
    prompt: str
    output: str
    times: Convert
    per_second: Dimensionless
    allowed: str
    relative: bool = True
    failures: bool = False
    block: int | None = None


def _dates(cells: Sequence[str]) -> Values:
    """Microseconds since 1970; dates without a zone are taken for UTC, which their differences do not show."""
    found = (date if date.tzinfo else date.replace(tzinfo=UTC) for date in map(datetime.fromisoformat, map(str.strip, cells)))
    return np.fromiter(((date - EPOCH) // MICROSECOND for date in found), dtype=np.int64, count=len(cells))


EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def _up_to(latest: float) -> Convert:
    def numbers(cells: Sequence[str]) -> Values:
        values = np.fromiter(map(float, cells), dtype=float, count=len(cells))
        if not ((values >= 0) & (values <= latest)).all():
            raise ValueError(cells)
        return values

    return numbers


def _tokens(least: int) -> Convert:
    def whole(cells: Sequence[str]) -> Values:
        values = np.fromiter(map(float, cells), dtype=float, count=len(cells))
        if not ((values == np.floor(values)) & (values >= least) & (values <= LONGEST)).all():
            raise ValueError(cells)
        return values.astype(np.int64)

    return whole


SECONDS = f"seconds from 0 to {LATEST:g}, counted from the start of the trace"
FORMATS = (
    _Format(
        name="Azure LLM trace", time="TIMESTAMP", prompt="ContextTokens", output="GeneratedTokens", times=_dates, per_second=1e6,
        allowed="a date and time such as 2023-11-16 18:15:46.6805900", failures=True,
    ),
    _Format(
        name="BurstGPT", time="Timestamp", prompt="Request tokens", output="Response tokens", times=_up_to(LATEST), per_second=1,
        allowed=SECONDS, failures=True,
    ),
    # The hashes of its published conversation trace are as many as blocks of 512 tokens in each prompt.
    _Format(
        name="Mooncake", time="timestamp", prompt="input_length", output="output_length", times=_up_to(1e3 * LATEST), per_second=1e3,
        allowed=f"milliseconds from 0 to {1e3 * LATEST:g}", block=512,
    ),
    _Format(
        name="plain", time="arrival_s", prompt="prompt", output="output", times=_up_to(LATEST), per_second=1, allowed=SECONDS,
        relative=False,
    ),
    _Format(
        name="plain, input_tokens", time="t_s", prompt="input_tokens", output="output_tokens", times=_up_to(LATEST), per_second=1,
        allowed=SECONDS, relative=False, block=512,
    ),
)  # fmt: skip


def read_trace(path: Path, *, most: int | None = None) -> TraceFile:
    """The requests in the file at `path`, or the first `most` of them: a CSV, JSON lines or Parquet with the columns of one of `FORMATS`.

    Raises InputError with file, line and column for what is missing, unreadable, negative, not a number or out of order.
    """
    with opened(path) as table:
        form = _format(path, table.header)
        reading = _Reading(table=table, form=form)
        for part in table.parts((form.time, form.prompt, form.output), (HASHES,)):
            reading.add(part, None if most is None else most - reading.count)
            if reading.count == most:
                break
    if reading.count == 0:
        raise InputError("the trace is empty: it has no request with an answer", place=Place(file=str(path)))
    return TraceFile(requests=reading.requests(), format=form.name, omitted=reading.omitted)


def _format(path: Path, header: Sequence[str]) -> _Format:
    """The format whose columns are all there; else the error names what the nearest one lacks."""
    lacks = {form: [name for name in (form.time, form.prompt, form.output) if name not in header] for form in FORMATS}
    for form in FORMATS:
        if not lacks[form]:
            if doubled := [name for name in (form.time, form.prompt, form.output) if header.count(name) > 1]:
                raise InputError("two columns with one name", place=Place(file=str(path), line=1), given=doubled[0])
            return form
    known = "; ".join(f"{form.name}: {form.time}, {form.prompt}, {form.output}" for form in FORMATS)
    if not any(header):
        raise InputError("the trace is empty", place=Place(file=str(path)), allowed=known)
    near, missing = min(lacks.items(), key=lambda entry: len(entry[1]))
    what = f"missing columns for {near.name}: {', '.join(missing)}" if len(missing) < 3 else "no known trace format"
    hint = "commas stand between columns" if len(header) == 1 and set(header[0]) & set(";\t|") else None
    raise InputError(what, place=Place(file=str(path), line=1), given=", ".join(header), allowed=known, hint=hint)


class _Reading:
    """What was read so far."""

    def __init__(self, *, table: Table, form: _Format) -> None:
        self.table, self.form = table, form
        self.columns: list[tuple[Values, Values, Values]] = []
        self.names: list[NDArray[np.int64]] = []
        self.named: list[NDArray[np.int64]] = []
        self.count = self.omitted = 0
        self.last: tuple[float, str] | None = None

    def add(self, part: Part, most: int | None) -> None:
        """The requests of `part`, of which `most` are wanted."""
        form = self.form
        outputs = self._converted(part, form.output, _tokens(0 if form.failures else 1), range(len(part.numbers)), *TOKENS)
        kept = np.flatnonzero(outputs)[:most]
        seen = len(outputs) if most is None or len(kept) < most else int(kept[-1]) + 1
        self.omitted += seen - len(kept)
        rows = kept.tolist()
        times = self._converted(part, form.time, form.times, rows, "arrival time", form.allowed)
        prompts = self._converted(part, form.prompt, _tokens(1), rows, *TOKENS)
        self._check_order(part, times, rows)
        self.columns.append((times, prompts, outputs[kept]))
        self.count += len(rows)
        if form.block is not None:
            self._add_names(part, prompts, rows, form.block)

    def _converted(self, part: Part, column: str, convert: Convert, rows: Sequence[int], what: str, allowed: str) -> Values:
        cells = part.cells[column]
        wanted = cells if len(rows) == len(cells) else [cells[row] for row in rows]
        try:
            return convert(wanted)
        except (ValueError, OverflowError):
            row = next(row for row in rows if _fails(convert, cells[row]))
            raise InputError(f"bad {what}", place=self.table.place(part.numbers[row], column), given=cells[row], allowed=allowed) from None

    def _check_order(self, part: Part, times: Values, rows: Sequence[int]) -> None:
        if len(rows) == 0:
            return
        cells = part.cells[self.form.time]
        before = times[0] if self.last is None else self.last[0]
        back = np.diff(times, prepend=before) < 0
        if back.any():
            place = int(np.argmax(back))
            earlier = cells[rows[place - 1]] if place else self.last[1] if self.last else ""
            raise InputError(
                "arrival times are not in order", place=self.table.place(part.numbers[rows[place]], self.form.time),
                given=f"{cells[rows[place]]} after {earlier}", allowed="times that do not fall", hint="sort the trace by time",
            )  # fmt: skip
        self.last = (times[-1], cells[rows[-1]])

    def _add_names(self, part: Part, prompts: Values, rows: Sequence[int], block: int) -> None:
        """The names of the blocks that the prompts fill; the last, partly filled one is nobody's to share."""
        given = [part.values[HASHES][row] or () for row in rows]
        most = -(-prompts // block)
        for row, hashes, limit in zip(rows, given, most.tolist(), strict=True):
            if not isinstance(hashes, (list, tuple)) or len(hashes) > limit or not all(_is_name(name) for name in hashes):
                raise InputError(
                    "bad hashes", place=self.table.place(part.numbers[row], HASHES), given=str(hashes)[:40],
                    allowed=f"a list of at most {limit} whole numbers of 0 or more, one for each {block} tokens",
                )  # fmt: skip
        filled = [hashes[:whole] for hashes, whole in zip(given, (prompts // block).tolist(), strict=True)]
        self.names.append(np.fromiter(chain.from_iterable(filled), dtype=np.int64))
        self.named.append(np.fromiter(map(len, filled), dtype=np.int64, count=len(filled)))

    def requests(self) -> Requests:
        """All of them, in seconds."""
        times, prompt, output = (np.concatenate(column) for column in zip(*self.columns, strict=True))
        names = None
        if self.form.block is not None and any(counts.any() for counts in self.named):
            start = np.concatenate(([0], np.cumsum(np.concatenate(self.named))))
            names = Names(name=np.concatenate(self.names), start=start, block=self.form.block)
        arrival = (times - (times[0] if self.form.relative else 0)) / self.form.per_second
        return Requests(arrival=arrival, prompt=prompt.astype(np.int64), output=output.astype(np.int64), names=names)


TOKENS = ("number of tokens", f"a whole number from 1 to {LONGEST}")


def _fails(convert: Convert, cell: str) -> bool:
    try:
        convert([cell])
    except (ValueError, OverflowError):
        return True
    return False


def _is_name(name: Any) -> bool:
    return type(name) is int and 0 <= name < MOST_NAME
