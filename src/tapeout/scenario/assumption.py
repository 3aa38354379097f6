"""Markers for what the world decides: `Annotated[Assumption[Usd], Assumed("USD")]` reads a value with its range, source and reason.

An assumption states `value` and `source`; where the source is `guess` also `low`, `high` and `why`. Any other source is an id of
`data/sources.toml`. A forecast may say `by_quarter` instead of `value`, with `low` and `high` as shares of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from tapeout.errors import InputError, did_you_mean
from tapeout.provenance import Grade, Sourced, sources
from tapeout.scenario.quantity import Quantity, fault
from tapeout.scenario.quarters import Between, Quarter, Series, quarter
from tapeout.units import Unit

T = TypeVar("T")

GUESS, POLICY = "guess", "policy"
CATALOGUE, COST_MODEL = "catalogue", "cost model"
ASSUMPTION_TITLE = ("assumption in ", "forecast in ")
_EVIDENCE = ("low", "high", "source", "place", "grade", "why")
_SHARE = Quantity("1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption(Sourced[T], Generic[T]):
    """A number that the scenario assumes; `note` says why, `written` holds value, low and high as the file writes them."""

    written: tuple[str, str, str] = ("", "", "")


class _PlacedError(Exception):
    """An error at the place that `below` leads to."""

    def __init__(self, error: InputError, *below: str) -> None:
        self.error, self.below = error, below


@dataclass(frozen=True, slots=True)
class Assumed:
    """Reads one assumed number; `positive`, `share` and `signed` as in `Quantity`, `word` is text that stands for None.

    With `names`, any text that is no mapping is taken as the name of a fact, such as a region, and left to the reader of the field.
    """

    symbol: str
    positive: bool = False
    share: bool = False
    signed: bool = False
    word: str | None = None
    names: bool = False

    @property
    def quantity(self) -> Quantity:
        """The reader of the numbers."""
        return Quantity(self.symbol, positive=self.positive, share=self.share, signed=self.signed)

    def read(self, given: object, currency_year: int | None) -> Any:
        """The assumption, or None for the `word`; raises _PlacedError."""
        if self.word is not None and given == self.word:
            return None
        if self.names and isinstance(given, str):
            return given
        entry = _entry(given, ("value", *_EVIDENCE), self.quantity, self.word)
        value = _number(entry, "value", self.quantity)
        evidence = _evidence(entry)
        low, high = (_number(entry, bound, self.quantity) if bound in entry else value for bound in ("low", "high"))
        _check_range(entry, low, value, high)
        return Assumption(
            value=value, low=low, high=high, source=evidence.source, place=evidence.place, grade=evidence.grade, note=evidence.why,
            unit=Unit(self.symbol), currency_year=currency_year if "USD" in self.symbol else None, written=_written(entry),
        )  # fmt: skip

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _core_schema(self)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = _with_word(_evidence_schema(f"assumption in {self.symbol}", {"value": self.quantity.json()}, ["value"]), self.word)
        return {"anyOf": [{"type": "string"}, schema]} if self.names else schema


@dataclass(frozen=True, slots=True)
class Forecast(Assumed):
    """Reads an assumed value by quarter as a `Series`; with `policy`, what the planner decides, which needs no source."""

    policy: bool = False

    def read(self, given: object, currency_year: int | None) -> Any:
        """The series, or None for the `word`; raises _PlacedError."""
        if self.word is not None and given == self.word:
            return None
        if self.names and isinstance(given, str):
            return given
        year = currency_year if "USD" in self.symbol else None
        if self.policy and not isinstance(given, Mapping):
            given = {"value": given}
        names = ("value", "by_quarter", "between", "grow", *(() if self.policy else _EVIDENCE))
        entry = _entry(given, names, self.quantity, self.word)
        if ("value" in entry) == ("by_quarter" in entry):
            raise _PlacedError(InputError("a forecast has a value or values by_quarter", given=", ".join(entry), allowed="one of the two"))
        points = _points(entry["by_quarter"], self.quantity) if "by_quarter" in entry else ((None, _number(entry, "value", self.quantity)),)
        between = _between(entry, points)
        growth = _number(entry, "grow", Quantity("1", signed=True)) if "grow" in entry else 0.0
        if growth <= -1:
            raise _PlacedError(
                InputError("nothing is left after such a loss", given=entry["grow"], allowed="above -100 % a quarter"), "grow"
            )
        evidence = _Evidence(source=POLICY, grade=Grade.GUESS) if self.policy else _evidence(entry)
        low, high = (1.0, 1.0) if self.policy else self._factors(entry, points)
        return Series(
            points=points, between=between, growth=growth, low_factor=low, high_factor=high, source=evidence.source, place=evidence.place,
            grade=evidence.grade, why=evidence.why, unit=Unit(self.symbol), currency_year=year, written=_written(entry),
        )  # fmt: skip

    def _factors(self, entry: Mapping[str, Any], points: tuple[tuple[Quarter | None, float], ...]) -> tuple[float, float]:
        """The range as factors: shares of a value by quarter, quantities beside a single value."""
        if "by_quarter" in entry:
            low, high = (_number(entry, bound, _SHARE) if bound in entry else 1.0 for bound in ("low", "high"))
            _check_range(entry, low, 1.0, high)
            return low, high
        value = points[0][1]
        low, high = (_number(entry, bound, self.quantity) if bound in entry else value for bound in ("low", "high"))
        _check_range(entry, low, value, high)
        if value == 0 and low != high:
            raise _PlacedError(InputError("a forecast of 0 cannot have a range", given=entry.get("high"), allowed="0"), "high")
        return (low / value, high / value) if value else (1.0, 1.0)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _core_schema(self)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        quarters = {"type": "object", "patternProperties": {r"^\d{4}Q[1-4]$": self.quantity.json()}, "additionalProperties": False}
        shape = {
            "value": self.quantity.json(),
            "by_quarter": quarters | {"minProperties": 1, "description": "Value from each quarter on; 0 before the first."},
            "between": {"enum": [str(way) for way in Between], "description": "What happens between two quarters; held unless said."},
            "grow": {"type": ["string", "number"], "description": "Growth a quarter after the last value, such as 12 % or -3 %."},
        }
        if not self.policy:
            schema_of_entry = _with_word(_evidence_schema(f"forecast in {self.symbol}", shape, []), self.word)
            return {"anyOf": [{"type": "string"}, schema_of_entry]} if self.names else schema_of_entry
        return {"anyOf": [self.quantity.json(), {"type": "object", "properties": shape, "additionalProperties": False}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    source: str
    grade: Grade
    place: str = ""
    why: str = field(default="")


def _core_schema(marker: Assumed) -> CoreSchema:
    def read(given: object, info: ValidationInfo) -> Any:
        context = info.context or {}
        try:
            return marker.read(given, context.get("currency_year"))
        except _PlacedError as found:
            raise fault(found.error, *found.below) from found.error

    return core_schema.with_info_plain_validator_function(read)


def _entry(given: object, names: tuple[str, ...], quantity: Quantity, word: str | None) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        form = f"a mapping with {names[0]} ({quantity.allowed}), source and, for a guess, low, high and why"
        allowed = f"the word {word}, or {form}" if word else form
        hint = did_you_mean(given, [word]) if word and isinstance(given, str) else None
        raise _PlacedError(InputError("an assumption states its range, source and reason", given=given, allowed=allowed, hint=hint))
    for name in given:
        if name not in names:
            comma = "a comma ends a value inside braces: put the text in quotes" if given[name] is None and " " in name else None
            raise _PlacedError(InputError("unknown key", given=name, allowed=names, hint=comma or did_you_mean(name, names)), name)
    return given


def _number(entry: Mapping[str, Any], name: str, quantity: Quantity) -> float:
    if name not in entry:
        raise _PlacedError(InputError("missing key"), name)
    try:
        return quantity.number(entry[name])
    except InputError as error:
        raise _PlacedError(error, name) from error


def _points(given: object, quantity: Quantity) -> tuple[tuple[Quarter | None, float], ...]:
    if not isinstance(given, Mapping) or not given:
        raise _PlacedError(
            InputError("wrong type", given=given, allowed="a value for each of some quarters, such as {2023Q4: 100, 2024Q2: 200}"),
            "by_quarter",
        )
    points: list[tuple[Quarter, float]] = []
    for name in given:
        try:
            at = quarter(name)
            if points and at <= points[-1][0]:
                raise InputError("a date out of order", given=name, allowed=f"a quarter after {points[-1][0]}")
            points.append((at, quantity.number(given[name])))
        except InputError as error:
            raise _PlacedError(error, "by_quarter", name) from error
    return tuple(points)


def _between(entry: Mapping[str, Any], points: tuple[tuple[Quarter | None, float], ...]) -> Between:
    given = entry.get("between", Between.HELD)
    if given not in list(Between):
        raise _PlacedError(
            InputError("unknown word", given=given, allowed=list(Between), hint=did_you_mean(str(given), Between)), "between"
        )
    if given == Between.GEOMETRIC and any(value <= 0 for _, value in points):
        raise _PlacedError(InputError("a geometric course through 0", given=given, allowed="values above 0, or linear"), "between")
    return Between(given)


def _evidence(entry: Mapping[str, Any]) -> _Evidence:
    source = entry.get("source")
    if source is None:
        raise _PlacedError(InputError("missing key", allowed=f"{GUESS}, or the id of a source"), "source")
    for name in ("source", "place", "why"):
        if name in entry and not (isinstance(entry[name], str) and entry[name].strip()):
            raise _PlacedError(InputError("wrong type", given=entry[name], allowed="text"), name)
    if source == GUESS:
        _check_guess(entry)
        if entry.get("grade", "guess") != "guess":
            raise _PlacedError(InputError("a guess has no other grade", given=entry["grade"], allowed="guess"), "grade")
        return _Evidence(source=GUESS, grade=Grade.GUESS, place=entry.get("place", ""), why=entry["why"])
    if source not in sources():
        hint = did_you_mean(source, [GUESS, *sources()]) or "tapeout catalog sources lists them"
        raise _PlacedError(InputError("unknown source", given=source, allowed=f"{GUESS}, or the id of a source", hint=hint), "source")
    grade = entry.get("grade", Grade.ESTIMATE)
    if grade not in list(Grade):
        raise _PlacedError(InputError("unknown word", given=grade, allowed=list(Grade), hint=did_you_mean(str(grade), Grade)), "grade")
    if grade == Grade.GUESS:
        _check_guess(entry)
    return _Evidence(source=source, grade=Grade(grade), place=entry.get("place", ""), why=entry.get("why", ""))


def _check_guess(entry: Mapping[str, Any]) -> None:
    for name in ("low", "high", "why"):
        if name not in entry:
            raise _PlacedError(InputError("missing key", hint="a guess states low, high and why"), name)


def _check_range(entry: Mapping[str, Any], low: float, value: float, high: float) -> None:
    for name, holds, allowed in (("low", low <= value, "at most the value"), ("high", high >= value, "at least the value")):
        if not holds:
            allowed = f"{allowed}, which is {entry['value']}" if "value" in entry else f"{allowed}, which is 100 %"
            raise _PlacedError(InputError("the range excludes the value", given=entry[name], allowed=allowed), name)


def _written(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    if "value" in entry:
        value = str(entry["value"])
        shown = value + (f", {entry['grow']} a quarter" if "grow" in entry else "")
        return shown, str(entry.get("low", value)), str(entry.get("high", value))
    points = list(entry["by_quarter"].items())
    ends = points if len(points) < 3 else (points[0], points[-1])
    shown = " to ".join(f"{value} ({at})" for at, value in ends) + (f", then {entry['grow']} a quarter" if "grow" in entry else "")
    return shown, f"{entry.get('low', '100 %')} of it", f"{entry.get('high', '100 %')} of it"


def _evidence_schema(title: str, shape: dict[str, Any], required: list[str]) -> dict[str, Any]:
    bound = {"type": ["string", "number"]}
    properties = shape | {
        "low": bound | {"description": "Low end of the range; beside by_quarter a share of the value, such as 50 %."},
        "high": bound | {"description": "High end of the range; beside by_quarter a share of the value, such as 200 %."},
        "source": {"type": "string", "description": "guess, or the id of a source (tapeout catalog sources lists them)."},
        "place": {"type": "string", "description": "Where in the source: page, table, section."},
        "grade": {"enum": [str(grade) for grade in Grade], "description": "How far it can be trusted; estimate unless said."},
        "why": {"type": "string", "description": "Why this value; a guess must say it."},
    }
    guess = {"if": {"properties": {"source": {"const": GUESS}}}, "then": {"required": ["low", "high", "why"]}}
    return {
        "type": "object",
        "title": title,
        "properties": properties,
        "required": [*required, "source"],
        "additionalProperties": False,
    } | guess


def _with_word(schema: dict[str, Any], word: str | None) -> dict[str, Any]:
    return {"anyOf": [{"const": word}, schema]} if word else schema
