"""Number formats against an exact scalar oracle, bit for bit, with corner values and the stated error."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.silicon.quantisation import (
    BLOCK,
    INT4,
    INT8,
    BlockScaled,
    ElementFormat,
    bf16_bits,
    dequantised,
    flushed,
    from_bf16,
    packed_int4,
    quantise,
    quantised,
    unpacked_int4,
)

Nearest = Callable[[Fraction, int], Fraction]
LEAST = Fraction(2) ** -126
LARGEST = (2 - Fraction(2) ** -23) * 2**127
FORMATS = pytest.mark.parametrize("element", [INT8, INT4], ids=["int8", "int4"])


def singles(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def as_bits(values: NDArray[np.float32]) -> list[int]:
    return values.view(np.uint32).tolist()


# ---------------------------------------------------------------- the oracle: one block, exactly


def oracle_scale(values: list[Fraction], limit: int, nearest: Nearest) -> Fraction:
    largest = max((abs(value) for value in values if abs(value) >= LEAST), default=Fraction(0))
    if largest < limit * LEAST:
        return Fraction(0)
    return nearest(max(nearest(largest * nearest(Fraction(1, limit), 24), 24), LEAST), 8)


def oracle_element(value: Fraction, scale: Fraction, limit: int, nearest: Nearest) -> int:
    if scale == 0 or abs(value) < LEAST:
        return 0
    # A quotient below 2**-126 loses digits on the machine that do not count: it is 0 after all.
    return max(-limit, min(limit, round(nearest(value * nearest(1 / scale, 24), 24))))


def finite_bits(least: int = 0, most: int = 0x7F7FFFFF) -> st.SearchStrategy[int]:
    return st.tuples(st.integers(least, most), st.sampled_from([0, 0x80000000])).map(sum)


@st.composite
def blocks(draw: st.DrawFn) -> NDArray[np.float32]:
    """A block whose values lie within some octaves of each other, anywhere from subnormal to the largest."""
    top = draw(st.sampled_from([1, 2, 0x80, 0x87, 0x88, 0x3F8, 0x7F7]) | st.integers(0, 0x7F7)) << 20 | 0xFFFFF
    bits = draw(st.lists(finite_bits(max(0, top - (draw(st.integers(1, 12)) << 23)), min(top, 0x7F7FFFFF)), min_size=BLOCK, max_size=BLOCK))
    return np.array(bits, dtype=np.uint32).view(np.float32)


@FORMATS
@settings(max_examples=150, deadline=None)
@given(values=blocks())
def test_a_block_equals_the_exact_oracle_bit_for_bit(values: NDArray[np.float32], element: ElementFormat, nearest: Nearest) -> None:
    exact = [Fraction(value) for value in values.tolist()]
    scale = oracle_scale(exact, element.limit, nearest)
    found = quantise(values[np.newaxis], element)
    assert Fraction(float(from_bf16(found.scales)[0, 0])) == scale
    assert found.elements[0, 0].tolist() == [oracle_element(value, scale, element.limit, nearest) for value in exact]


@FORMATS
@settings(max_examples=100, deadline=None)
@given(values=blocks(), bits=st.integers(0x0080, 0x7E80))
def test_a_given_scale_saturates_as_the_oracle_does(
    values: NDArray[np.float32], bits: int, element: ElementFormat, nearest: Nearest
) -> None:
    scales = np.array([bits], dtype=np.uint16)
    scale = Fraction(float(from_bf16(scales)[0]))
    found = quantised(values[np.newaxis], scales, element)[0]
    assert found.tolist() == [oracle_element(Fraction(value), scale, element.limit, nearest) for value in values.tolist()]


@FORMATS
@settings(max_examples=150, deadline=None)
@given(values=blocks())
def test_the_error_stays_within_the_stated_half_step(values: NDArray[np.float32], element: ElementFormat) -> None:
    found = quantise(values[np.newaxis], element)
    scale = Fraction(float(from_bf16(found.scales)[0, 0]))
    for value, back in zip(values.tolist(), dequantised(found)[0].tolist(), strict=True):
        exact = Fraction(value)
        step = (Fraction(1, 2) + element.limit * Fraction(2) ** -22) * scale
        assert abs(exact - Fraction(back)) <= (step if scale and abs(exact) >= LEAST else abs(exact))


# ---------------------------------------------------------------- corner values by hand


def test_elements_round_to_the_nearest_and_ties_to_even() -> None:
    values = singles(0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, 2.5001, 127.0)
    assert quantise(values[np.newaxis], INT8).elements[0, 0, :8].tolist() == [0, 2, 2, 0, -2, 2, 3, 127]


def test_saturation_keeps_the_sign_and_spares_the_most_negative_integer() -> None:
    one = np.array([0x3F80], dtype=np.uint16)
    values = np.zeros((1, BLOCK), dtype=np.float32)
    values[0, :6] = [127.4, 127.6, -127.6, 1e30, -3.4e38, -128.0]
    assert quantised(values, one, INT8)[0, :6].tolist() == [127, 127, -127, 127, -127, -127]
    assert quantised(values, one, INT4)[0, :6].tolist() == [7, 7, -7, 7, -7, -7]
    # The least scale and the largest value: their quotient exceeds fp32.
    assert quantised(values, np.array([0x0080], dtype=np.uint16), INT8)[0, 3:5].tolist() == [127, -127]


@FORMATS
def test_a_block_of_zeros_has_the_scale_zero(element: ElementFormat) -> None:
    for values in (singles(0.0, -0.0), singles(1e-40, -1e-45), singles(float(np.nextafter(singles(element.limit * 2.0**-126), 0)[0]))):
        found = quantise(values[np.newaxis], element)
        assert found.scales.tolist() == [[0]]
        assert not found.elements.any()
    least = quantise(singles(element.limit * 2.0**-126)[np.newaxis], element)
    assert least.scales.tolist() == [[0x0080]]
    assert least.elements[0, 0, 0] == element.limit


def test_a_subnormal_value_counts_as_zero_beside_normal_ones() -> None:
    values = singles(127 * 2.0**-126, 0.9 * 2.0**-126, 2.0**-126)
    assert quantise(values[np.newaxis], INT8).elements[0, 0, :3].tolist() == [127, 0, 1]


def test_the_largest_values_neither_overflow_nor_saturate() -> None:
    found = quantise(singles(float(LARGEST), -float(LARGEST))[np.newaxis], INT8)
    assert found.elements[0, 0, :2].tolist() == [127, -127]
    assert np.isfinite(dequantised(found)).all()


@pytest.mark.parametrize("inner", [0, 1, 31, 32, 33, 64, 100])
def test_odd_and_empty_sizes_are_filled_with_zeros(inner: int) -> None:
    matrix = np.linspace(-3, 5, 2 * inner, dtype=np.float32).reshape(2, inner)
    found = quantise(matrix, INT8)
    assert found.elements.shape == (2, math.ceil(inner / BLOCK), BLOCK)
    assert dequantised(found).shape == (2, inner)
    assert np.abs(dequantised(found) - matrix).max(initial=0) <= 5 / 127 / 2 * 1.01
    assert quantise(np.zeros((0, inner), dtype=np.float32), INT8).elements.shape[0] == 0


# ---------------------------------------------------------------- bf16 and the flush


@settings(max_examples=300, deadline=None)
@given(bits=finite_bits() | finite_bits(0, 0x00FFFFFF) | finite_bits(0x7F7E0000))
def test_bf16_equals_the_exact_rounding(bits: int, nearest: Nearest) -> None:
    value = np.array([bits], dtype=np.uint32).view(np.float32)
    exact = Fraction(float(value[0]))
    expected = Fraction(0) if abs(exact) < LEAST else nearest(exact, 8)
    bound = (2 - Fraction(2) ** -7) * 2**127
    assert Fraction(float(from_bf16(bf16_bits(value))[0])) == max(-bound, min(bound, expected))


def test_every_normal_bf16_number_comes_back_from_fp32() -> None:
    bits = np.array([number for number in range(0x10000) if 0x0080 <= number & 0x7FFF < 0x7F80], dtype=np.uint16)
    assert (bf16_bits(from_bf16(bits)) == bits).all()


def test_the_flush_leaves_normal_numbers_and_one_zero() -> None:
    least = 2.0**-126
    below = float(np.nextafter(singles(least), singles(0))[0])
    values = singles(0.0, -0.0, below, -below, least, -least, np.inf, -np.inf, 1.5)
    expected = singles(0.0, 0.0, 0.0, 0.0, least, -least, float(LARGEST), -float(LARGEST), 1.5)
    assert as_bits(flushed(values)) == as_bits(expected)


# ---------------------------------------------------------------- int4 in bytes


def test_int4_packing_is_the_stated_one_and_comes_back() -> None:
    assert packed_int4(np.array([[1, 2], [-8, 7], [-1, -7]], dtype=np.int8)).tolist() == [[0x21], [0x78], [0x9F]]
    every = np.array([[low, high] for low in range(-8, 8) for high in range(-8, 8)], dtype=np.int8)
    assert len(set(packed_int4(every).ravel().tolist())) == 256
    assert (unpacked_int4(packed_int4(every)) == every).all()
    assert unpacked_int4(packed_int4(np.zeros((3, 4, 32), dtype=np.int8))).shape == (3, 4, 32)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(bad: float) -> None:
    matrix = np.ones((2, 40), dtype=np.float32)
    matrix[1, 35] = bad
    with pytest.raises(InputError, match="a value to quantise is not finite"):
        quantise(matrix, INT8)
    if np.isnan(bad):
        with pytest.raises(InputError, match="no number for NaN"):
            bf16_bits(matrix)


@pytest.mark.parametrize("bits", [0x0001, 0x007F, 0x7E81, 0x7F80, 0x8000, 0xBF80])
def test_a_scale_outside_its_range_is_refused(bits: int) -> None:
    scales = np.array([[bits]], dtype=np.uint16)
    with pytest.raises(InputError, match="bad scale"):
        quantised(np.zeros((1, 1, BLOCK), dtype=np.float32), scales, INT8)
    with pytest.raises(InputError, match="bad scale"):
        BlockScaled(elements=np.zeros((1, 1, BLOCK), dtype=np.int8), scales=scales, inner=BLOCK)


def test_other_bad_operands_are_refused() -> None:
    elements, scales = np.zeros((2, 1, BLOCK), dtype=np.int8), np.zeros((2, 1), dtype=np.uint16)
    with pytest.raises(InputError, match="wrong types"):
        BlockScaled(elements=elements.astype(np.int16), scales=scales, inner=BLOCK)  # type: ignore[arg-type]
    for inner in (0, 33):
        with pytest.raises(InputError, match="do not fit together"):
            BlockScaled(elements=elements, scales=scales, inner=inner)
    with pytest.raises(InputError, match="do not fit together"):
        BlockScaled(elements=elements, scales=scales[:1], inner=BLOCK)
    with pytest.raises(InputError, match="beyond the inner dimension must be 0"):
        BlockScaled(elements=elements + np.int8(1), scales=scales, inner=31)
    with pytest.raises(InputError, match="expected a matrix of fp32"):
        quantise(np.zeros((2, 32)), INT8)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="packed in pairs"):
        packed_int4(np.zeros(3, dtype=np.int8))
    for value in (8, -9):
        with pytest.raises(InputError, match="not an int4 element"):
            packed_int4(np.array([0, value], dtype=np.int8))
