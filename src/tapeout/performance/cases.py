"""Tables of cases: text rows in, text rows out, for `tapeout predict`. One bad row never stops the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache

from tapeout.errors import InputError, Place, UnknownNameError, did_you_mean
from tapeout.hardware.catalog import chip
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.performance.efficiency import Table
from tapeout.performance.predict import Band, Case, Kind, Prediction, Refusal, predict
from tapeout.performance.rates import rates
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model
from tapeout.workload.numerics import PRECISIONS, numerics

COLUMNS = ("case", "kind", "chip", "chips", "model", "precision", "isl", "osl", "tp", "pp", "ep", "dp", "concurrency")
MEASURES = ("ttft_ms", "tpot_ms", "output_tokens_per_s_per_chip")
ANSWERS = ("status", *(name + suffix for name in MEASURES for suffix in ("", "_low", "_high")), "binding", "detail")
GIVEN = "_given"
"""Suffix under which an input column is kept whose name an answer takes, such as a measured TTFT."""
MOST_CHIPS = 1_000_000
MOST_TOKENS = 100_000_000
MOST_USERS = 1_000_000_000
CHIP_COUNTS = tuple(2**exponent for exponent in range(11))
"""Chips tried for a case that does not fit, to say what would."""

Row = Mapping[str, str]


class BadRowError(Exception):
    """A row that cannot be answered: its status, what would help, and the column of a cell that could not be read."""

    def __init__(self, status: str, detail: str = "", column: str = "") -> None:
        super().__init__(status)
        self.status, self.detail, self.column = status, detail, column


def check_header(columns: Sequence[str], place: Place | None = None) -> None:
    """Raise InputError where a required column is missing or stands twice; `place` is where the names stand."""
    if not columns:
        raise InputError("the table of cases is empty", place=place, allowed=COLUMNS)
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        near = did_you_mean(missing[0], [name for name in columns if name not in COLUMNS])
        raise InputError(f"missing column {missing[0]}", place=place, given=",".join(columns), allowed=COLUMNS, hint=near)
    twice = sorted({name for name in columns if list(columns).count(name) > 1})
    if twice:
        raise InputError(f"column {twice[0]} stands twice", place=place, given=",".join(columns))


def answered(rows: Sequence[Row], efficiencies: Table | None = None) -> list[dict[str, str]]:
    """`rows` with the answer columns added; an input column of an answer's name is kept under that name and `_given`."""
    cases: list[Case] = []
    failures: list[BadRowError | None] = []
    known: dict[tuple[int, int, str], InputError | None] = {}
    for row in rows:
        try:
            case = read_case(row)
            _check_rates(case, efficiencies, known)
            cases.append(case)
            failures.append(None)
        except BadRowError as error:
            failures.append(error)
    found = iter(_with_what_fits(cases, predict(cases, efficiencies), efficiencies))
    answers = [_refused(failure.status, failure.detail) if failure else _answer(next(found)) for failure in failures]
    return [_kept(row) | answer for row, answer in zip(rows, answers, strict=True)]


def _check_rates(case: Case, efficiencies: Table | None, known: dict[tuple[int, int, str], InputError | None]) -> None:
    """Raise BadRowError where a chip file of the user's lacks a format or names a generation without efficiencies."""
    key = (id(case.chip), id(case.model), case.precision)
    if key not in known:
        try:
            rates([(case.chip, numerics(case.model, case.precision))], efficiencies)
            known[key] = None
        except InputError as error:
            known[key] = error
    fault = known[key]
    if fault is not None:
        raise BadRowError(f"bad value: chip: {fault.what}", str(fault))


def _with_what_fits(cases: Sequence[Case], found: list[Prediction | Refusal], efficiencies: Table | None) -> list[Prediction | Refusal]:
    """`found`, where each case that does not fit also says the smallest number of `CHIP_COUNTS` on which it would."""
    asked = {_memory_key(case): case for case, one in zip(cases, found, strict=True) if _lacks_memory(one)}
    saturated = [replace(case, kind=Kind.OFFLINE, concurrency=None, deployments=()) for case in asked.values()]
    answers = predict([replace(case, chips=count) for case in saturated for count in CHIP_COUNTS], efficiencies)
    hints = {key: _what_fits(answers[place * len(CHIP_COUNTS) : (place + 1) * len(CHIP_COUNTS)]) for place, key in enumerate(asked)}
    return [
        replace(one, detail=f"{one.detail}; {hints[_memory_key(case)]}") if isinstance(one, Refusal) and _lacks_memory(one) else one
        for case, one in zip(cases, found, strict=True)
    ]


def _lacks_memory(one: Prediction | Refusal) -> bool:
    return isinstance(one, Refusal) and one.status == "does not fit"


def _memory_key(case: Case) -> tuple[int, int, str, float, float]:
    """What decides on which numbers of chips a case fits."""
    return id(case.chip), id(case.model), case.precision, case.prompt, case.output


def _what_fits(by_count: Sequence[Prediction | Refusal]) -> str:
    for count, one in zip(CHIP_COUNTS, by_count, strict=True):
        if isinstance(one, Prediction):
            return f"{one.deployment.label} on {count} chips would fit"
    return f"no deployment on up to {CHIP_COUNTS[-1]} chips would fit"


def _kept(row: Row) -> dict[str, str]:
    if row.keys().isdisjoint(ANSWERS):
        return dict(row)
    return {(name + GIVEN if name in ANSWERS else name): value for name, value in row.items()}


def read_case(row: Row) -> Case:
    """The case that a row states; raises BadRowError for one that cannot be answered."""
    architecture, hardware = _model(row["model"].strip()), _chip(row["chip"].strip())
    kind, precision = row["kind"].strip(), row["precision"].strip().lower()
    if kind not in ("online", "offline"):
        raise BadRowError(f"bad value: kind {kind!r}, allowed: online, offline", column="kind")
    if precision not in PRECISIONS:
        raise BadRowError(f"bad value: precision {precision!r}, allowed: {', '.join(PRECISIONS)}", column="precision")
    chips = _whole(row, "chips", MOST_CHIPS)
    concurrency = _number(row, "concurrency", MOST_USERS) if kind == "online" or row["concurrency"].strip() else None
    deployments = _deployments(row["tp"], row["pp"], row["ep"], row["dp"], architecture.has_experts)
    return Case(
        kind=Kind(kind), chip=hardware, chips=chips, model=architecture, precision=precision, prompt=_whole(row, "isl", MOST_TOKENS),
        output=_whole(row, "osl", MOST_TOKENS), concurrency=concurrency, deployments=deployments,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _deployments(tp: str, pp: str, ep: str, dp: str, has_experts: bool) -> tuple[Deployment, ...]:
    """The deployments that the cells of a row allow: what they do not state of the experts is open, and the best is taken."""
    row = {"tp": tp, "pp": pp, "ep": ep, "dp": dp}
    given = {name: _whole(row, name, MOST_CHIPS) for name in row if row[name].strip()}
    if "tp" not in given:
        if given.get("pp", 1) == given.get("ep", 1) == given.get("dp", 1) == 1:
            return ()
        raise BadRowError("bad value: pp, ep or dp given without tp, allowed: all of them empty, or tp with any of them")
    tensor, pipeline = given["tp"], given.get("pp", 1)
    if not has_experts:
        # Experts can be split only where there are some; tables give ep = tp for dense models too.
        return (Deployment(tensor=tensor, pipeline=pipeline, data=given.get("dp", 1)),)
    if "ep" in given or "dp" in given or tensor == 1:
        expert = given.get("ep", 1)
        return (Deployment(tensor=tensor, pipeline=pipeline, expert=expert, data=given.get("dp", max(1, expert // tensor))),)
    return (
        Deployment(tensor=tensor, pipeline=pipeline),
        Deployment(tensor=tensor, pipeline=pipeline, expert=tensor),
        Deployment(tensor=1, pipeline=pipeline, expert=tensor, data=tensor),
    )


def _whole(row: Row, name: str, most: int) -> int:
    return int(_number(row, name, most, whole=True))


def _number(row: Row, name: str, most: int, *, whole: bool = False) -> float:
    try:
        number = float(row[name])
    except (ValueError, TypeError):
        number = math.nan
    # A comparison with NaN is false, so that it is refused as text is.
    if not 1 <= number <= most or (whole and number != int(number)):
        raise BadRowError(f"bad value: {name} {row[name]!r}, allowed: a {'whole ' * whole}number from 1 to {most}", column=name)
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
        "; ".join(part for part in (found.deployment.label, found.emulation) if part),
    )
    return dict(zip(ANSWERS, cells, strict=True))


def _milliseconds(band: Band) -> tuple[str, str, str]:
    return f"{1e3 * band.value:.6g}", f"{1e3 * band.low:.6g}", f"{1e3 * band.high:.6g}"
