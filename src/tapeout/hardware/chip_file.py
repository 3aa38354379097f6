"""A chip as a fact file: the text that `hardware.catalog.read_chip` reads back as the same chip."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.provenance import Sourced
from tapeout.units import Unit, parse

_PREFIXES = ("P", "T", "G", "M", "k", "")


def chip_text(chip: Chip) -> str:
    """`chip` in the form of the files below `data/chips`: numbers of the chip first, then a table for each of its parts."""
    return "\n".join(_table(chip, "")).lstrip("\n") + "\n"


def write_chip(chip: Chip, path: Path) -> None:
    """Write `chip` to the fact file `path`; raises InputError where that cannot be written."""
    try:
        path.write_text(chip_text(chip), encoding="utf-8")
    except OSError as error:
        raise InputError("cannot write the chip file", given=str(path), hint=error.strerror) from error


def _table(part: Any, path: str) -> Iterator[str]:
    # A field at its default is left out.
    if isinstance(part, Mapping):
        items = list(part.items())
    else:
        items = [(one.name, getattr(part, one.name)) for one in dataclasses.fields(part) if getattr(part, one.name) != one.default]
    parts: list[tuple[str, Any]] = []
    if path:
        yield f"\n[{path}]"
    for name, value in items:
        if isinstance(value, Mapping) or (dataclasses.is_dataclass(value) and not isinstance(value, Sourced)):
            parts.append((f"{path}.{name}" if path else name, value))
        else:
            yield f"{name} = {_fact(value) if isinstance(value, Sourced) else _plain(value)}"
    for inner, value in parts:
        yield from _table(value, inner)


def _fact(fact: Sourced[Any]) -> str:
    written = {"value": fact.value} | {name: end for name, end in (("low", fact.low), ("high", fact.high)) if end != fact.value}
    pairs = [f"{name} = {_quoted(_quantity(value, fact.unit))}" for name, value in written.items()]
    pairs += [f"{name} = {_quoted(getattr(fact, name))}" for name in ("source", "place", "grade")]
    if fact.currency_year is not None:
        pairs.append(f"currency_year = {fact.currency_year}")
    if fact.note:
        pairs.append(f"note = {_quoted(fact.note)}")
    return f"{{ {', '.join(pairs)} }}"


def _quantity(value: float, unit: Unit) -> str:
    """The shortest text that reads back as exactly `value`."""
    symbols = [unit.symbol] if unit.symbol == "1" else [f"{prefix}{unit.symbol}" for prefix in _PREFIXES]
    if unit.symbol == "m2":
        symbols = ["mm2", "m2"]
    if unit.symbol == "B":
        symbols += ["GiB", "MiB"]
    if unit.symbol == "W":
        symbols = ["W"]
    texts = [f"{number:.{digits}g} {symbol}" for symbol in symbols for number in (_in(value, symbol, unit),) for digits in range(3, 18)]
    exact = [text for text in texts if parse(text, unit) == value]
    return min(exact or [f"{value!r} {unit.symbol}"], key=lambda text: (text.startswith("0."), len(text)))


def _in(value: float, symbol: str, unit: Unit) -> float:
    return value / parse(f"1 {symbol}", unit)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else _quoted(str(value))


def _quoted(text: str) -> str:
    # The escapes of JSON are those of TOML, but for one control character.
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")
