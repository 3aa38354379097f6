"""Numbers with units: floats in SI plus byte, FLOP, token and USD inside; text with a unit at the edge.

A field is declared by alias (`bandwidth: BytesPerSecond`), a constant is written as `3.35 * TB`, and a fact or a scenario
gives `"3.35 TB/s"`, which `parse` turns into the float after checking its dimension. GB is 1e9 bytes, GiB is 2**30.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from tapeout.errors import UnitError

KILO, MEGA, GIGA, TERA, PETA = 1e3, 1e6, 1e9, 1e12, 1e15
MB, GB, TB = MEGA, GIGA, TERA
MIB, GIB = 2.0**20, 2.0**30
MINUTE, HOUR, DAY, WEEK = 60.0, 3600.0, 86_400.0, 604_800.0
YEAR = 365.25 * DAY
MONTH, QUARTER = YEAR / 12, YEAR / 4
KWH = 3.6e6

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit that a field's float is in; `symbol` is written in the grammar of `parse`."""

    symbol: str


Dimensionless = Annotated[float, Unit("1")]
Seconds = Annotated[float, Unit("s")]
Bytes = Annotated[float, Unit("B")]
BytesPerSecond = Annotated[float, Unit("B/s")]
FlopsPerSecond = Annotated[float, Unit("FLOP/s")]
Tokens = Annotated[float, Unit("token")]
TokensPerSecond = Annotated[float, Unit("token/s")]
SecondsPerToken = Annotated[float, Unit("s/token")]
QueriesPerSecond = Annotated[float, Unit("query/s")]
JoulesPerByte = Annotated[float, Unit("J/B")]
JoulesPerFlop = Annotated[float, Unit("J/FLOP")]
Watts = Annotated[float, Unit("W")]
WattsPerSquareMetre = Annotated[float, Unit("W/m2")]
Metres = Annotated[float, Unit("m")]
SquareMetres = Annotated[float, Unit("m2")]
PerSquareMetre = Annotated[float, Unit("1/m2")]
Hertz = Annotated[float, Unit("1/s")]
Volts = Annotated[float, Unit("V")]
PerYear = Annotated[float, Unit("1/year")]
Usd = Annotated[float, Unit("USD")]
UsdPerHour = Annotated[float, Unit("USD/h")]
UsdPerJoule = Annotated[float, Unit("USD/J")]
UsdPerByte = Annotated[float, Unit("USD/B")]
UsdPerWatt = Annotated[float, Unit("USD/W")]
UsdPerWattSecond = Annotated[float, Unit("USD/W/s")]
UsdPerSquareMetre = Annotated[float, Unit("USD/m2")]
UsdPerToken = Annotated[float, Unit("USD/token")]
UsdPerQuery = Annotated[float, Unit("USD/query")]
Kilograms = Annotated[float, Unit("kg")]
KilogramsPerJoule = Annotated[float, Unit("kg/J")]
KilogramsPerByte = Annotated[float, Unit("kg/B")]
KilogramsPerSquareMetre = Annotated[float, Unit("kg/m2")]
JoulesPerSquareMetre = Annotated[float, Unit("J/m2")]

_PREFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY_PREFIXES = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_BASES: dict[str, tuple[float, Dimension]] = {
    "s": (1.0, (("s", 1),)),
    "B": (1.0, (("B", 1),)),
    "bit": (0.125, (("B", 1),)),
    "FLOP": (1.0, (("FLOP", 1),)),
    "token": (1.0, (("token", 1),)),
    "query": (1.0, (("query", 1),)),
    "USD": (1.0, (("USD", 1),)),
    "J": (1.0, (("J", 1),)),
    "W": (1.0, (("J", 1), ("s", -1))),
    "Wh": (3600.0, (("J", 1),)),
    "m": (1.0, (("m", 1),)),
    "g": (1e-3, (("kg", 1),)),
    "Hz": (1.0, (("s", -1),)),
    "V": (1.0, (("V", 1),)),
}
_FIXED: dict[str, tuple[float, Dimension]] = {
    "1": (1.0, ()),
    "%": (0.01, ()),
    "min": (MINUTE, (("s", 1),)),
    "h": (HOUR, (("s", 1),)),
    "day": (DAY, (("s", 1),)),
    "week": (WEEK, (("s", 1),)),
    "month": (MONTH, (("s", 1),)),
    "quarter": (QUARTER, (("s", 1),)),
    "year": (YEAR, (("s", 1),)),
    "cent": (0.01, (("USD", 1),)),
    "cm": (0.01, (("m", 1),)),
    "chip": (1.0, ()),
}
_PREFIXED = ("B", "bit", "FLOP", "token", "query", "USD", "J", "W", "Wh", "Hz", "g")
_NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")


@cache
def _symbols() -> dict[str, tuple[float, Dimension]]:
    table = _BASES | _FIXED
    for base in _PREFIXED:
        factor, dimension = _BASES[base]
        table |= {prefix + base: (scale * factor, dimension) for prefix, scale in _PREFIXES.items()}
    for prefix, scale in _BINARY_PREFIXES.items():
        table[prefix + "B"] = (scale, (("B", 1),))
    for prefix in ("n", "u", "m", "k"):
        table[prefix + "m"] = (_PREFIXES[prefix], (("m", 1),))
    for prefix in ("n", "u", "m"):
        table[prefix + "s"] = (_PREFIXES[prefix], (("s", 1),))
    return table


@cache
def scale_and_dimension(symbol: str) -> tuple[float, Dimension]:
    """The factor that takes a number in `symbol` to base units, and the dimension, as sorted (base, exponent) pairs.

    Raises UnitError for an unknown symbol.

    >>> scale_and_dimension("USD/kWh")[1]
    (('J', -1), ('USD', 1))
    """
    scale, powers = 1.0, dict[str, int]()
    for position, group in enumerate(symbol.split("/")):
        if not group.strip() and "/" in symbol:
            raise UnitError("a unit is missing beside the slash", given=symbol, hint="write it as in 3.35 TB/s")
        for factor in group.replace("*", " ").split():
            name, exponent = re.fullmatch(r"(.*?)([23]?)", factor).groups()  # type: ignore[union-attr]
            if factor in _symbols():
                name, exponent = factor, ""
            if name not in _symbols():
                raise UnitError(f"unknown unit {factor!r}", given=symbol, hint="write it as in 3.35 TB/s, 0.08 USD/kWh, 814 mm2")
            power = int(exponent or 1) * (1 if position == 0 else -1)
            unit_scale, dimension = _symbols()[name]
            scale *= unit_scale**power
            for base, count in dimension:
                powers[base] = powers.get(base, 0) + count * power
    return scale, tuple(sorted((base, power) for base, power in powers.items() if power))


def parse(text: str | float, unit: Unit) -> float:
    """The quantity written in `text`, in the unit of `unit`.

    A bare number is taken only where `unit` is dimensionless. Raises UnitError for a missing, unknown or wrong unit and for
    a number that is not finite.

    >>> parse("3.35 TB/s", Unit("B/s"))
    3350000000000.0
    >>> parse("12 %", Unit("1"))
    0.12
    """
    number, symbol = _number_and_symbol(text, unit)
    scale, dimension = scale_and_dimension(symbol)
    target_scale, target = scale_and_dimension(unit.symbol)
    if dimension != target:
        raise UnitError(
            "wrong unit" if symbol != "1" else "missing unit", given=text, allowed=f"a quantity in {unit.symbol} or a multiple of it"
        )
    quantity = number * (scale / target_scale)
    if not math.isfinite(quantity):
        raise UnitError("expected a finite number", given=text)
    return quantity


def _number_and_symbol(text: object, unit: Unit) -> tuple[float, str]:
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        try:
            return float(text), "1"
        except OverflowError:
            return math.inf, "1"
    match = _NUMBER.match(text) if isinstance(text, str) else None
    if match is None:
        raise UnitError("expected a quantity", given=text, allowed=f"a number with a unit such as {unit.symbol}")
    return float(match[1].replace("_", "")), match[2] or "1"


def in_unit(value: float, unit: Unit, symbol: str) -> float:
    """`value`, held in `unit`, expressed in `symbol`.

    >>> in_unit(3.35e12, Unit("B/s"), "TB/s")
    3.35
    """
    scale, dimension = scale_and_dimension(symbol)
    held_scale, held = scale_and_dimension(unit.symbol)
    if dimension != held:
        raise UnitError("wrong unit", given=symbol, allowed=f"a multiple of {unit.symbol}")
    return value * held_scale / scale


def show(value: float, unit: Unit, digits: int = 3) -> str:
    """`value`, held in `unit`, as text with a decimal prefix on the first symbol.

    >>> show(3.35e12, Unit("B/s"))
    '3.35 TB/s'
    >>> show(0.000814, Unit("m2"))
    '814 mm2'
    """
    if unit.symbol == "1":
        return f"{value:.{digits}g}"
    if unit.symbol == "m2":
        return f"{value * 1e6:.{digits}g} mm2"
    first, slash, rest = unit.symbol.partition("/")
    if first not in _PREFIXED or value == 0:
        return f"{_plain(value, digits)} {unit.symbol}"
    prefixes = {"": 1.0} | {prefix: scale for prefix, scale in _PREFIXES.items() if scale > 1}
    prefix, scale = max(((p, s) for p, s in prefixes.items() if abs(value) >= s), key=lambda pair: pair[1], default=("", 1.0))
    return f"{_plain(value / scale, digits)} {prefix}{first}{slash}{rest}"


def _plain(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e" in text and abs(value) >= 1 else text
