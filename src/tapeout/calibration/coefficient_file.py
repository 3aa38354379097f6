"""Coefficients as a file: the text of a table in the form of `data/efficiencies.toml`, which reads back the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from tapeout.performance.efficiency import Efficiency, Table
from tapeout.provenance import Sourced

HEADING = """\
# Achieved fractions and overheads by chip generation. Fitted values say on what and how well in `place` (median absolute error).
# A generation takes what it lacks from its kin; every inherited step widens the band.
"""


def coefficient_text(table: Table) -> str:
    """`table` as TOML, a section for each group of coefficients, in the order of the fields of `Efficiency`."""
    return HEADING + "".join(text for entry in table.values() for text in _generation(entry))


def _generation(entry: Efficiency) -> Iterator[str]:
    yield f"\n[{entry.generation}]\n"
    if entry.kin:
        yield f"kin = {_quoted(entry.kin)}\n"
    for field in dataclasses.fields(entry):
        part = getattr(entry, field.name)
        if isinstance(part, dict):
            for key, one in part.items():
                yield from _section(f"{entry.generation}.{field.name}.{key}", one)
        elif dataclasses.is_dataclass(part):
            yield from _section(f"{entry.generation}.{field.name}", part)


def _section(name: str, part: Any) -> Iterator[str]:
    yield f"\n[{name}]\n"
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if isinstance(value, Sourced):
            yield f"{field.name} = {_fact(value)}\n"
        elif value:
            yield f"{field.name} = [{', '.join(_quoted(one) for one in value)}]\n"


def _fact(fact: Sourced[float]) -> str:
    parts = [f"value = {_number(fact.value, fact.unit.symbol)}"]
    if not fact.low == fact.value == fact.high:
        parts += [f"low = {_number(fact.low, fact.unit.symbol)}", f"high = {_number(fact.high, fact.unit.symbol)}"]
    parts += [f"source = {_quoted(fact.source)}", f"place = {_quoted(fact.place)}", f'grade = "{fact.grade.value}"']
    if fact.note:
        parts.append(f"note = {_quoted(fact.note)}")
    return f"{{ {', '.join(parts)} }}"


_SMALLER = ((1e-3, "m"), (1e-6, "u"), (1e-9, "n"))


def _number(value: float, symbol: str) -> str:
    if symbol == "1":
        return repr(float(value))
    if symbol != "s" or value == 0 or value >= 1:
        return _quoted(f"{value!r} {symbol}")
    factor, prefix = next((pair for pair in _SMALLER if value >= pair[0]), _SMALLER[-1])
    return _quoted(f"{_short(value / factor)} {prefix}{symbol}")


def _short(value: float) -> str:
    rounded = float(f"{value:.12g}")
    return repr(int(rounded)) if rounded == math.floor(rounded) else repr(rounded)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
