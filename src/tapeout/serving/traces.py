"""Traces from files: the published formats of Azure, Mooncake and BurstGPT, and a plain CSV; the header says which one it is."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tapeout.errors import InputError, Place
from tapeout.serving.requests import Names, Requests
from tapeout.units import Seconds

MOONCAKE_BLOCK = 512
"""Tokens that one hash of the Mooncake format stands for, as the blocks of its published conversation trace show."""
LONGEST = 2**31 - 1
"""Tokens that the simulator can count in one request."""
MOST_NAME = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFile:
    """The requests of a file; `omitted` rows have no answer: 0 output tokens, which is taken for a failed request."""

    requests: Requests
    format: str
    omitted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """Columns of a CSV format, how its times read, and whether a request without an answer is taken for a failed one."""

    name: str
    time: str
    prompt: str
    output: str
    seconds: Callable[[str], Seconds]
    allowed: str
    failures: bool


def _plain_seconds(text: str) -> Seconds:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(text)
    return value


def _date_seconds(text: str) -> Seconds:
    """Seconds since 1970 of a date with a time, to the nanosecond; a zone of UTC may follow."""
    stamp = np.datetime64(text.strip().removesuffix("+00:00").removesuffix("Z"), "ns")
    if np.isnat(stamp):
        raise ValueError(text)
    whole, part = divmod(int(stamp.astype(np.int64)), 10**9)
    return whole + part / 1e9


FORMATS = (
    _Format(
        name="Azure LLM trace", time="TIMESTAMP", prompt="ContextTokens", output="GeneratedTokens", seconds=_date_seconds,
        allowed="a date and time such as 2023-11-16 18:15:46.6805900", failures=True,
    ),
    _Format(
        name="BurstGPT", time="Timestamp", prompt="Request tokens", output="Response tokens", seconds=_plain_seconds,
        allowed="seconds of 0 or more", failures=True,
    ),
    _Format(
        name="plain CSV", time="arrival_s", prompt="prompt", output="output", seconds=_plain_seconds,
        allowed="seconds of 0 or more", failures=False,
    ),
)  # fmt: skip
MOONCAKE = ("timestamp", "input_length", "output_length")


def read_trace(path: Path) -> TraceFile:
    """The requests in the file at `path`: `.jsonl` in the Mooncake format, else a CSV with the columns of one of `FORMATS`.

    Raises InputError with file, line and column for what is missing, unreadable, negative, not a number or out of order.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        hint = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise InputError("cannot read the trace", place=Place(file=str(path)), hint=hint) from None
    return _mooncake(path, text) if path.suffix.lower() in (".jsonl", ".ndjson") else _csv(path, text)


def _csv(path: Path, text: str) -> TraceFile:
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    form = _format(path, header)
    columns = [header.index(name) for name in (form.time, form.prompt, form.output)]
    rows: list[tuple[float, int, int]] = []
    lines: list[int] = []
    omitted = 0
    try:
        for cells in reader:
            if not cells:
                continue
            place = partial(_place, path, reader.line_num)
            if len(cells) <= max(columns):
                raise InputError("the row is too short", place=place(""), given=f"{len(cells)} cells", allowed=f"{len(header)} cells")
            time, prompt, output = (cells[column] for column in columns)
            if form.failures and output.strip() == "0":
                omitted += 1
                continue
            when = _read(form.seconds, time, place(form.time), form.allowed)
            rows.append((when, _tokens(prompt, place(form.prompt)), _tokens(output, place(form.output))))
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"not a valid CSV: {error}", place=Place(file=str(path), line=reader.line_num)) from None
    _check(path, form.time, [row[0] for row in rows], lines)
    arrival, prompts, outputs = zip(*rows, strict=True)
    # Differences of dates are taken as they are; seconds of a plain trace keep their zero.
    start = arrival[0] if form.seconds is _date_seconds else 0.0
    requests = Requests(
        arrival=np.array(arrival) - start, prompt=np.array(prompts, dtype=np.int64), output=np.array(outputs, dtype=np.int64)
    )
    return TraceFile(requests=requests, format=form.name, omitted=omitted)


def _format(path: Path, header: Sequence[str]) -> _Format:
    """The format whose columns are all there; else the error names what the nearest one lacks."""
    lacks = {form.name: [name for name in (form.time, form.prompt, form.output) if name not in header] for form in FORMATS}
    for form in FORMATS:
        if not lacks[form.name]:
            return form
    known = "; ".join(f"{form.name}: {form.time}, {form.prompt}, {form.output}" for form in FORMATS)
    if not any(header):
        raise InputError("the trace is empty", place=Place(file=str(path)), allowed=known)
    name, missing = min(lacks.items(), key=lambda entry: len(entry[1]))
    what = f"missing columns for {name}: {', '.join(missing)}" if len(missing) < len(MOONCAKE) else "no known trace format"
    raise InputError(what, place=Place(file=str(path), line=1), given=", ".join(header), allowed=known)


def _mooncake(path: Path, text: str) -> TraceFile:
    rows: list[tuple[float, int, int]] = []
    names: list[Sequence[int]] = []
    lines: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        entry = _entry(path, number, line)
        time, prompt, output = (_field(path, number, entry, name) for name in MOONCAKE)
        place = partial(_place, path, number)
        when = _read(_plain_seconds, time, place("timestamp"), "milliseconds of 0 or more") / 1e3
        rows.append((when, _tokens(prompt, place("input_length")), _tokens(output, place("output_length"))))
        names.append(_hashes(entry.get("hash_ids", []), rows[-1][1], place("hash_ids")))
        lines.append(number)
    _check(path, "timestamp", [row[0] for row in rows], lines)
    arrival, prompts, outputs = zip(*rows, strict=True)
    counts = np.array([len(found) for found in names])
    found = Names(
        name=np.array([name for one in names for name in one], dtype=np.int64),
        start=np.concatenate(([0], np.cumsum(counts))), block=MOONCAKE_BLOCK,
    )  # fmt: skip
    requests = Requests(
        arrival=np.array(arrival), prompt=np.array(prompts, dtype=np.int64), output=np.array(outputs, dtype=np.int64),
        names=found if counts.any() else None,
    )  # fmt: skip
    return TraceFile(requests=requests, format="Mooncake", omitted=0)


def _entry(path: Path, line: int, text: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", place=Place(file=str(path), line=line)) from None
    if not isinstance(entry, dict):
        raise InputError("each line is one request as a JSON object", place=Place(file=str(path), line=line), given=text[:40])
    return entry


def _field(path: Path, line: int, entry: Mapping[str, Any], name: str) -> str:
    if name not in entry:
        raise InputError(
            "missing field", place=_place(path, line, name), given=", ".join(entry), allowed=", ".join((*MOONCAKE, "hash_ids"))
        )
    value = entry[name]
    # A truth value is a number to Python, but not to whoever wrote it.
    return "" if isinstance(value, bool) else str(value)


def _hashes(given: Any, prompt: int, place: Place) -> Sequence[int]:
    """The names of the blocks that the prompt fills; the last, partly filled one is nobody's to share."""
    if not isinstance(given, list) or not all(type(name) is int and 0 <= name < MOST_NAME for name in given):
        raise InputError("bad hashes", place=place, given=str(given)[:40], allowed="a list of whole numbers of 0 or more")
    return given[: prompt // MOONCAKE_BLOCK]


def _place(path: Path, line: int, column: str) -> Place:
    return Place(file=str(path), line=line, path=column)


def _read(reader: Callable[[str], Seconds], text: str, place: Place, allowed: str) -> Seconds:
    try:
        return reader(text)
    except (ValueError, OverflowError):
        raise InputError("bad arrival time", place=place, given=text, allowed=allowed) from None


def _tokens(text: str, place: Place) -> int:
    try:
        value = float(text)
        if value != int(value) or not 1 <= value <= LONGEST:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise InputError("bad number of tokens", place=place, given=text, allowed=f"a whole number from 1 to {LONGEST}") from None
    return int(value)


def _check(path: Path, column: str, arrival: Sequence[Seconds], lines: Sequence[int]) -> None:
    if not arrival:
        raise InputError("the trace is empty: it has no request with an answer", place=Place(file=str(path)))
    back = np.diff(np.array(arrival)) < 0
    if back.any():
        row = int(np.argmax(back)) + 1
        raise InputError(
            "arrival times are not in order", place=_place(path, lines[row], column),
            given=f"{arrival[row]!r} s after {arrival[row - 1]!r} s", allowed="times that do not fall", hint="sort the trace by time",
        )  # fmt: skip
