"""Facts of manufacturing in another year: defects learned away, and published changes of supply prices."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tapeout.errors import InputError
from tapeout.hardware.process import MemoryGeneration, Packaging, PriceChange, Process, manufacturing, price_changes
from tapeout.provenance import Grade, Sourced
from tapeout.units import Dimensionless


def defect_learning(age: float) -> Dimensionless:
    """Defect density of a node `age` years after its first over that of its first year, linear between years and flat after the last.

    [google-chiplets-cost-model, 5 nm] Raises InputError for a negative age.

    >>> defect_learning(0), defect_learning(2.5), defect_learning(9)
    (1.0, 0.675, 0.5)
    """
    if age < 0:
        raise InputError("a node has no defect density before its first year", given=f"{age:g} years")
    curve = {int(year): fact.value for year, fact in manufacturing().defect_learning.items()}
    return float(np.interp(age, sorted(curve), [curve[year] for year in sorted(curve)]))


def process_in_year(node: Process, year: int) -> Process:
    """`node` with the wafer price and defect density of `year`; raises InputError for a year before its first production."""
    if year < node.year:
        raise InputError(f"{node.name} was not made in that year", given=year, allowed=f"{node.year} or later")
    learned = defect_learning(year - node.year) / defect_learning(max(0, node.defect_year - node.year))
    words = f"learned from {node.defect_year} to {year}"
    return dataclasses.replace(
        node,
        wafer_price=price_in_year(node.wafer_price, node.price_change, year),
        defect_density=_scaled(node.defect_density, learned, learned, learned, words),
    )


def memory_in_year(memory: MemoryGeneration, year: int) -> MemoryGeneration:
    """`memory` with its price of `year`."""
    return dataclasses.replace(memory, price=price_in_year(memory.price, memory.price_change, year))


def package_in_year(package: Packaging, year: int) -> Packaging:
    """`package` with its price of `year`."""
    return dataclasses.replace(package, price=price_in_year(package.price, package.price_change, year))


def price_in_year(price: Sourced[float], change: str, year: int) -> Sourced[float]:
    """A price moved from its currency year to `year` by the published changes named `change`, forwards or back.

    The range is widened by the range of the changes; a name of none, or years without a published change, leave the price as it is.
    """
    if not change or price.currency_year is None:
        return price
    published = price_changes()[change]
    if year >= price.currency_year:
        low, value, high = (_grown(published, end, price.currency_year, year) for end in ("low", "value", "high"))
    else:
        high, value, low = (1 / _grown(published, end, year, price.currency_year) for end in ("low", "value", "high"))
    if low == value == high == 1:
        return price
    return _scaled(price, low, value, high, f"moved from {price.currency_year} to {year} by {change}")


def _grown(published: PriceChange, end: str, before: int, last: int) -> float:
    return math.prod(float(1 + getattr(fact, end)) for key, fact in published.years.items() if before < int(key) <= last)


def _scaled(fact: Sourced[float], low: float, value: float, high: float, words: str) -> Sourced[float]:
    if low == value == high == 1:
        return fact
    grade = max(fact.grade, Grade.DERIVED, key=list(Grade).index)
    place = f"{fact.place}; {words}"
    return dataclasses.replace(fact, low=fact.low * low, value=fact.value * value, high=fact.high * high, grade=grade, place=place)
