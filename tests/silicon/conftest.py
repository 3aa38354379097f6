"""Exact scalar arithmetic for the oracles: fractions, no floating point of the machine."""

from collections.abc import Callable
from fractions import Fraction

import pytest


def nearest(value: Fraction, digits: int) -> Fraction:
    """The number of `digits` binary digits nearest to `value`, ties to even, exponents without bounds."""
    if value == 0:
        return Fraction(0)
    magnitude, exponent = abs(value), 0
    while magnitude >= 2**digits:
        magnitude, exponent = magnitude / 2, exponent + 1
    while magnitude < 2 ** (digits - 1):
        magnitude, exponent = magnitude * 2, exponent - 1
    whole, rest = divmod(magnitude.numerator, magnitude.denominator)
    twice = 2 * rest
    whole += twice > magnitude.denominator or (twice == magnitude.denominator and whole % 2 == 1)
    rounded = whole * Fraction(2) ** exponent
    return rounded if value > 0 else -rounded


@pytest.fixture(scope="session", name="nearest")
def nearest_fixture() -> Callable[[Fraction, int], Fraction]:
    return nearest
