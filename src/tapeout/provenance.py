"""Numbers with sources: a `Sourced` value carries its range, source, place and grade; `read_facts` reads them from TOML.

A fact file is read into a frozen dataclass by that dataclass's own annotations, so a new kind of fact is a dataclass and a
new fact is a file. Every number is an inline table `{ value = "3.35 TB/s", source = "id", place = "p. 2", grade = "vendor" }`.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from tapeout.errors import FactError, InputError, Place, UnknownNameError, did_you_mean
from tapeout.units import Unit, parse

DATA = Path(__file__).parent / "data"
_UNITLESS = Unit("1")

T = TypeVar("T")
Facts = TypeVar("Facts")


class Grade(StrEnum):
    """How far a number can be trusted, best first."""

    MEASURED = "measured"
    VENDOR = "vendor"
    DERIVED = "derived"
    ESTIMATE = "estimate"
    GUESS = "guess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document that facts were read from; `read` is the ISO date of reading, or `recalled` for figures quoted from memory."""

    id: str
    title: str
    publisher: str
    date: str
    address: str
    read: str
    licence: str = "facts only"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced(Generic[T]):
    """A value with its range and provenance; `currency_year` is set for money, `unit` is what the file wrote."""

    value: T
    low: T
    high: T
    source: str
    place: str
    grade: Grade
    unit: Unit = _UNITLESS
    currency_year: int | None = None
    note: str = ""


@cache
def sources() -> dict[str, Source]:
    """All sources by id, from `data/sources.toml`."""
    table = load_toml(DATA / "sources.toml")
    return {key: read_facts(Source, entry, "sources.toml", key, {"id": key}) for key, entry in table.items()}


def source(identifier: str) -> Source:
    """The source with this id; raises UnknownNameError with the closest one."""
    if identifier not in sources():
        raise UnknownNameError("unknown source", given=identifier, hint=did_you_mean(identifier, sources()))
    return sources()[identifier]


def load_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file; raises FactError where the file is unreadable or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FactError("cannot read the file", place=Place(file=str(path)), hint=error.strerror) from error
    except (ValueError, RecursionError) as error:  # ValueError holds the errors of TOML, of UTF-8 and of integers too long to read
        raise FactError(f"not valid TOML: {error}", place=Place(file=str(path))) from error


def read_facts(cls: type[Facts], table: Mapping[str, Any], file: str, path: str = "", defaults: Mapping[str, Any] | None = None) -> Facts:
    """`table` as an instance of the dataclass `cls`, read by its annotations.

    Understands str, int, bool, enums, nested dataclasses, tuples, dicts by name, optional fields and `Sourced[alias]`.
    Raises FactError naming file, field, what was given and what is allowed.
    """
    hints = _hints(cls)  # type: ignore[arg-type]
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = dict(defaults or {})
    for key in table:
        if key not in fields:
            raise FactError(
                "unknown field", place=_place(file, path, key), given=key, allowed=sorted(fields), hint=did_you_mean(key, fields)
            )
    for name, field in fields.items():
        if name in table:
            values[name] = _convert(hints[name], table[name], file, f"{path}.{name}" if path else name)
        elif name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise FactError("missing field", place=_place(file, path, name))
    try:
        return cls(**values)
    except InputError as error:
        raise error.at(_place(file, path, "")) from error


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _place(file: str, path: str, name: str) -> Place:
    return Place(file=file, path=".".join(part for part in (path, name) if part))


def _convert(hint: Any, given: Any, file: str, path: str) -> Any:
    origin = get_origin(hint)
    place = Place(file=file, path=path)
    if origin in (typing.Union, types.UnionType):
        return _convert(next(arm for arm in get_args(hint) if arm is not type(None)), given, file, path)
    if origin is Sourced:
        return _sourced(get_args(hint)[0], given, file, path)
    if origin is Annotated:
        return _quantity(hint, given, place)
    if origin is tuple:
        _expect(isinstance(given, list), "a list", given, place)
        return tuple(_convert(get_args(hint)[0], item, file, f"{path}[{index}]") for index, item in enumerate(given))
    if origin is dict:
        _expect(isinstance(given, dict), "a table", given, place)
        keys, items = get_args(hint)
        return {_convert(keys, key, file, f"{path}.{key}"): _convert(items, item, file, f"{path}.{key}") for key, item in given.items()}
    if dataclasses.is_dataclass(hint):
        _expect(isinstance(given, dict), "a table", given, place)
        return read_facts(hint, given, file, path)  # type: ignore[arg-type]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        _expect(given in list(hint), " | ".join(hint), given, place)
        return hint(given)
    _expect(type(given) is hint, getattr(hint, "__name__", str(hint)), given, place)
    return given


def _expect(holds: bool, allowed: str, given: Any, place: Place) -> None:
    if not holds:
        raise FactError("wrong type or value", place=place, given=given, allowed=allowed)


def _quantity(hint: Any, given: Any, place: Place) -> float:
    unit = next(extra for extra in get_args(hint)[1:] if isinstance(extra, Unit))
    try:
        return parse(given, unit)
    except InputError as error:
        raise error.at(place) from error


_SOURCED_KEYS = {"value", "low", "high", "source", "place", "grade", "currency_year", "note"}


def _sourced(hint: Any, given: Any, file: str, path: str) -> Sourced[Any]:
    place = Place(file=file, path=path)
    _expect(isinstance(given, dict), "{ value = ..., source = ..., place = ..., grade = ... }", given, place)
    for key in given:
        if key not in _SOURCED_KEYS:
            raise FactError("unknown field", place=place, given=key, allowed=sorted(_SOURCED_KEYS), hint=did_you_mean(key, _SOURCED_KEYS))
    for key in ("value", "source", "place", "grade"):
        if key not in given:
            raise FactError(f"missing {key}", place=place, hint="every number has a value, a source, a place and a grade")
    _expect(isinstance(given["source"], str), "the id of a source", given["source"], place)
    if given["source"] not in sources():
        hint_text = did_you_mean(given["source"], sources()) or "a file of your own cites user-supplied"
        raise FactError("unknown source", place=place, given=given["source"], hint=hint_text)
    value, low, high = (_convert(hint, given.get(key, given["value"]), file, f"{path}.{key}") for key in ("value", "low", "high"))
    if isinstance(value, (int, float)) and not low <= value <= high:
        raise FactError("the range excludes the value", place=place, given=f"{given.get('low')} <= {given['value']} <= {given.get('high')}")
    unit = next((extra for extra in get_args(hint)[1:] if isinstance(extra, Unit)), _UNITLESS)
    money = "USD" in unit.symbol
    if money != ("currency_year" in given):
        raise FactError("money states its currency_year, and nothing else does", place=place, given=given.get("currency_year"))
    _expect(not money or type(given["currency_year"]) is int, "a year", given.get("currency_year"), place)
    return Sourced(
        value=value,
        low=low,
        high=high,
        source=given["source"],
        place=str(given["place"]),
        grade=_convert(Grade, given["grade"], file, f"{path}.grade"),
        unit=unit,
        currency_year=given.get("currency_year"),
        note=str(given.get("note", "")),
    )


def facts_within(instance: Any, path: str = "") -> list[tuple[str, Sourced[Any]]]:
    """Every sourced number in a dataclass instance with its field path, in order of definition."""
    if isinstance(instance, Sourced):
        return [(path, instance)]
    if dataclasses.is_dataclass(instance) and not isinstance(instance, type):
        parts = [(field.name, getattr(instance, field.name)) for field in dataclasses.fields(instance)]
    elif isinstance(instance, Mapping):
        parts = list(instance.items())
    elif isinstance(instance, tuple):
        parts = [(str(index), item) for index, item in enumerate(instance)]
    else:
        return []
    return [found for name, part in parts for found in facts_within(part, f"{path}.{name}" if path else str(name))]
