"""How a number is written for people: one rule with a few settings, the same in the terminal and on the page.

The rule: multiply by `scale`, round to `digits` significant figures without ever dropping digits left of the point, group
thousands with commas, put `prefix` before and `suffix` after. A compact number is first divided by 1e3, 1e6, 1e9 or 1e12
and carries k, M, B or T. What is missing or not finite is written as an en dash, never as NaN or infinity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from tapeout.units import Unit

MISSING = "–"
COMPACT_STEPS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberStyle:
    """How the numbers of one column or one axis are written; `scale` takes the held unit to the written one."""

    scale: Annotated[float, Unit("1")] = 1.0
    digits: int = 3
    prefix: str = ""
    suffix: str = ""
    compact: bool = False

    def show(self, value: float | None) -> str:
        """`value` as text.

        >>> NumberStyle(prefix="$", compact=True).show(1_234_567_890.0)
        '$1.23B'
        >>> NumberStyle(scale=1e-6, suffix=" MW").show(-204_080_000.0)
        '-204 MW'
        >>> NumberStyle().show(float("nan"))
        '–'
        """
        if value is None or not math.isfinite(value):
            return MISSING
        scaled, step = abs(value * self.scale), ""
        if self.compact:
            scaled, step = _compact(scaled, self.digits)
        text = _significant(scaled, self.digits)
        sign = "-" if value < 0 and text.strip("0.,") else ""
        return f"{sign}{self.prefix}{text}{step}{self.suffix}"


def _compact(magnitude: float, digits: int) -> tuple[float, str]:
    rounded = _rounded(magnitude, digits)
    for size, letter in COMPACT_STEPS:
        if rounded >= size:
            return magnitude / size, letter
    return magnitude, ""


def _rounded(magnitude: float, digits: int) -> float:
    if magnitude == 0:
        return 0.0
    places = digits - 1 - math.floor(math.log10(magnitude))
    return round(magnitude, places)


def _significant(magnitude: float, digits: int) -> str:
    rounded = _rounded(magnitude, digits) if magnitude < 10.0**digits else float(round(magnitude))
    if rounded == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(rounded)), 0)
    text = f"{rounded:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


PLAIN = NumberStyle()
COUNT = NumberStyle(digits=1)
PERCENT = NumberStyle(scale=100, digits=3, suffix=" %")
USD = NumberStyle(prefix="$", compact=True)
USD_EXACT = NumberStyle(prefix="$", digits=3)
CENTS = NumberStyle(scale=100, suffix=" ¢")
MEGAWATTS = NumberStyle(scale=1e-6, suffix=" MW")
COMPACT = NumberStyle(compact=True)
PER_SECOND = NumberStyle(suffix=" /s", compact=True)
