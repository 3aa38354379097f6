"""Tables of cases: text rows in, text rows out, for `tapeout predict`. One bad row never stops the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

from tapeout.errors import InputError, UnknownNameError, did_you_mean
from tapeout.hardware.catalog import chip
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.performance.predict import Band, Case, Kind, Prediction, Refusal, predict
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model
from tapeout.workload.numerics import PRECISIONS

COLUMNS = ("case", "kind", "chip", "chips", "model", "precision", "isl", "osl", "tp", "pp", "ep", "dp", "concurrency")
MEASURES = ("ttft_ms", "tpot_ms", "output_tokens_per_s_per_chip")
ANSWERS = ("status", *(name + suffix for name in MEASURES for suffix in ("", "_low", "_high")), "binding", "detail")
GIVEN = "_given"
"""Suffix under which an input column is kept whose name an answer takes, such as a measured TTFT."""
MOST_CHIPS = 1_000_000
MOST_TOKENS = 100_000_000

Row = Mapping[str, str]


class BadRowError(Exception):
    """A row that cannot be answered: its status, and what would help."""

    def __init__(self, status: str, detail: str = "") -> None:
        super().__init__(status)
        self.status, self.detail = status, detail


def check_header(columns: Sequence[str]) -> None:
    """Raise InputError where a required column is missing or stands twice."""
    if not columns:
        raise InputError("the table of cases is empty", allowed=COLUMNS)
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        near = did_you_mean(missing[0], [name for name in columns if name not in COLUMNS])
        raise InputError(f"missing column {missing[0]}", given=",".join(columns), allowed=COLUMNS, hint=near)
    twice = sorted({name for name in columns if list(columns).count(name) > 1})
    if twice:
        raise InputError(f"column {twice[0]} stands twice", given=",".join(columns))


def answered(rows: Sequence[Row]) -> list[dict[str, str]]:
    """`rows` with the answer columns added; an input column of an answer's name is kept under that name and `_given`."""
    cases: list[Case] = []
    failures: list[BadRowError | None] = []
    for row in rows:
        try:
            cases.append(_case(row))
            failures.append(None)
        except BadRowError as error:
            failures.append(error)
    found = iter(predict(cases))
    answers = [_refused(failure.status, failure.detail) if failure else _answer(next(found)) for failure in failures]
    return [_kept(row) | answer for row, answer in zip(rows, answers, strict=True)]


def _kept(row: Row) -> dict[str, str]:
    if row.keys().isdisjoint(ANSWERS):
        return dict(row)
    return {(name + GIVEN if name in ANSWERS else name): value for name, value in row.items()}


def _case(row: Row) -> Case:
    architecture, hardware = _model(row["model"].strip()), _chip(row["chip"].strip())
    kind, precision = row["kind"].strip(), row["precision"].strip().lower()
    if kind not in ("online", "offline"):
        raise BadRowError(f"bad value: kind {kind!r}, allowed: online, offline")
    if precision not in PRECISIONS:
        raise BadRowError(f"bad value: precision {precision!r}, allowed: {', '.join(PRECISIONS)}")
    chips = _whole(row, "chips", MOST_CHIPS)
    concurrency = _positive(row, "concurrency") if kind == "online" else None
    return Case(
        kind=Kind(kind), chip=hardware, chips=chips, model=architecture, precision=precision, prompt=_whole(row, "isl", MOST_TOKENS),
        output=_whole(row, "osl", MOST_TOKENS), concurrency=concurrency, deployment=_deployment(row, architecture),
    )  # fmt: skip


def _deployment(row: Row, architecture: Architecture) -> Deployment | None:
    given = {name: _whole(row, name, MOST_CHIPS) for name in ("tp", "pp", "ep", "dp") if row[name].strip()}
    if "tp" not in given:
        if given.get("pp", 1) == given.get("ep", 1) == given.get("dp", 1) == 1:
            return None
        raise BadRowError("bad value: pp, ep or dp given without tp")
    tensor, pipeline = given["tp"], given.get("pp", 1)
    # Experts can be split only where there are some; tables give ep = tp for dense models too.
    expert = given.get("ep", 1) if architecture.has_experts else 1
    data = given.get("dp", max(1, expert // tensor))
    return Deployment(tensor=tensor, pipeline=pipeline, expert=expert, data=data)


def _whole(row: Row, name: str, most: int) -> int:
    number = _positive(row, name)
    if number != int(number) or number > most:
        raise BadRowError(f"bad value: {name} {row[name]!r}, allowed: a whole number from 1 to {most}")
    return int(number)


def _positive(row: Row, name: str) -> float:
    try:
        number = float(row[name])
    except (ValueError, TypeError):
        raise BadRowError(f"bad value: {name} {row[name]!r}, allowed: a number above 0") from None
    if not (math.isfinite(number) and number > 0):
        raise BadRowError(f"bad value: {name} {row[name]!r}, allowed: a number above 0")
    return number


@cache
def _resolved_chip(name: str) -> Chip | BadRowError:
    try:
        return chip(name)
    except UnknownNameError as error:
        return BadRowError("unknown chip", error.hint or "")
    except InputError as error:
        return BadRowError(f"bad value: chip: {error.what}", str(error))


@cache
def _resolved_model(name: str) -> Architecture | BadRowError:
    try:
        return model(name)
    except UnknownNameError as error:
        return BadRowError("unknown model", error.hint or "")
    except InputError as error:
        return BadRowError(f"bad value: model: {error.what}", str(error))


def _chip(name: str) -> Chip:
    found = _resolved_chip(name)
    if isinstance(found, BadRowError):
        raise BadRowError(found.status, found.detail)
    return found


def _model(name: str) -> Architecture:
    found = _resolved_model(name)
    if isinstance(found, BadRowError):
        raise BadRowError(found.status, found.detail)
    return found


def _refused(status: str, detail: str) -> dict[str, str]:
    return dict.fromkeys(ANSWERS, "") | {"status": status, "detail": detail.replace("\n", " ")}


def _answer(found: Prediction | Refusal) -> dict[str, str]:
    if isinstance(found, Refusal):
        return _refused(found.status, found.detail)
    rate = found.output_rate_per_chip
    ttft, tpot = found.ttft, found.tpot
    cells = (
        "ok",
        *_milliseconds(ttft),
        *_milliseconds(tpot),
        f"{rate.value:.6g}",
        f"{rate.low:.6g}",
        f"{rate.high:.6g}",
        found.binding,
        found.deployment.label,
    )
    return dict(zip(ANSWERS, cells, strict=True))


def _milliseconds(band: Band) -> tuple[str, str, str]:
    return f"{1e3 * band.value:.6g}", f"{1e3 * band.low:.6g}", f"{1e3 * band.high:.6g}"
