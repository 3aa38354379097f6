"""The golden product against an exact scalar implementation, bit for bit, and against fp64 within the bound of its docstring."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.silicon.golden import matrix_product
from tapeout.silicon.quantisation import BLOCK, INT4, INT8, BlockScaled, dequantised, from_bf16, packed_int4, quantise, unpacked_int4

Nearest = Callable[[Fraction, int], Fraction]
LEAST = Fraction(2) ** -126
LARGEST = (2 - Fraction(2) ** -23) * 2**127
UNIT = Fraction(2) ** -24


def scale_bits(mantissa: int, exponent: int) -> int:
    """bf16 bits of mantissa x 2**exponent, the mantissa from 128 to 255."""
    return (exponent + 134) << 7 | (mantissa - 128)


def row(*blocks: tuple[dict[int, int], int]) -> BlockScaled:
    """One row; each block is given by its elements that are not zero and the bits of its scale."""
    elements, scales = np.zeros((1, len(blocks), BLOCK), dtype=np.int8), np.zeros((1, len(blocks)), dtype=np.uint16)
    for index, (held, bits) in enumerate(blocks):
        scales[0, index] = bits
        for place, value in held.items():
            elements[0, index, place] = value
    return BlockScaled(elements=elements, scales=scales, inner=len(blocks) * BLOCK)


ONE = scale_bits(128, -7)


def terms(left: BlockScaled, right: BlockScaled, m: int, n: int) -> list[Fraction]:
    """The exact terms of one output, from Python integers."""
    found = []
    for block in range(left.elements.shape[1]):
        pairs = zip(left.elements[m, block].tolist(), right.elements[n, block].tolist(), strict=True)
        scales = (Fraction(float(from_bf16(operand.scales)[index, block])) for operand, index in ((left, m), (right, n)))
        found.append(sum(a * b for a, b in pairs) * math.prod(scales))
    return found


def oracle(exact: list[Fraction], nearest: Nearest) -> float:
    def held(value: Fraction) -> Fraction:
        return Fraction(0) if abs(value) < LEAST else max(-LARGEST, min(LARGEST, nearest(value, 24)))

    accumulator = Fraction(0)
    for term in exact:
        accumulator = held(accumulator + held(term))
    return float(accumulator)


def same_bits(found: np.ndarray, expected: list[list[float]]) -> bool:
    return found.dtype == np.float32 and (found.view(np.uint32) == np.array(expected, dtype=np.float32).view(np.uint32)).all()


@st.composite
def operands(draw: st.DrawFn) -> tuple[BlockScaled, BlockScaled]:
    """Two small matrices; scales cluster, so that terms cancel, vanish and overflow in turn."""
    inner = draw(st.integers(0, 130))
    blocks = -(-inner // BLOCK)
    centre = draw(st.sampled_from([(0, 0), (-60, -60), (-68, -72), (55, 62), (-126, -7), (110, -100)]))
    spread = draw(st.sampled_from([0, 1, 8, 20]))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    found = []
    for exponent in centre:
        rows = draw(st.integers(0, 3))
        least, most = draw(st.sampled_from([(-128, 127), (-7, 7), (-1, 1), (-128, -128), (127, 127)]))
        elements = random.integers(least, most, size=(rows, blocks * BLOCK), endpoint=True, dtype=np.int8)
        elements[:, inner:] = 0
        exponents = np.clip(exponent - random.integers(0, spread, size=(rows, blocks), endpoint=True), -126, 125)
        scales = ((exponents + 127) << 7 | random.integers(0, 128, size=(rows, blocks))).astype(np.uint16)
        scales[random.random((rows, blocks)) < 0.1] = 0
        found.append(BlockScaled(elements=elements.reshape(rows, blocks, BLOCK), scales=scales, inner=inner))
    return found[0], found[1]


@settings(max_examples=250, deadline=None)
@given(pair=operands())
def test_the_product_equals_the_exact_scalar_one_bit_for_bit(pair: tuple[BlockScaled, BlockScaled], nearest: Nearest) -> None:
    left, right = pair
    shape = (len(left.elements), len(right.elements))
    expected = np.array([[oracle(terms(left, right, m, n), nearest) for n in range(shape[1])] for m in range(shape[0])]).reshape(shape)
    found = matrix_product(left, right)
    assert found.shape == shape
    assert same_bits(found, expected)


@settings(max_examples=250, deadline=None)
@given(pair=operands())
def test_the_error_stays_within_the_bound_of_the_docstring(pair: tuple[BlockScaled, BlockScaled]) -> None:
    left, right = pair
    blocks = left.elements.shape[1]
    growth = (1 + UNIT) ** blocks
    found = matrix_product(left, right)
    for m, n in np.ndindex(found.shape):
        exact = terms(left, right, m, n)
        magnitude = sum(abs(term) for term in exact)
        if magnitude * growth < LARGEST:
            error = abs(Fraction(float(found[m, n])) - sum(exact))
            assert error <= (growth - 1) * magnitude + 2 * blocks * growth * LEAST


def test_a_long_product_agrees_with_fp64_within_the_bound_and_is_not_fp64() -> None:
    random = np.random.default_rng(5)
    left, right = (quantise(random.standard_normal((rows, 2048)).astype(np.float32), INT8) for rows in (5, 7))
    found, reference = matrix_product(left, right), dequantised(left) @ dequantised(right).T
    exact = [[terms(left, right, m, n) for n in range(7)] for m in range(5)]
    magnitude = np.array([[float(sum(abs(term) for term in cell)) for cell in line] for line in exact])
    bound = float((1 + UNIT) ** 64 - 1) * magnitude
    # fp64 itself is off by a millionth of the bound.
    assert (np.abs(found - reference) <= bound * (1 + 1e-6)).all()
    assert np.abs(found - reference).max() > 0


def test_int4_weights_multiply_int8_activations() -> None:
    random = np.random.default_rng(6)
    activations = quantise(random.standard_normal((4, 320)).astype(np.float32), INT8)
    weights = quantise(random.standard_normal((6, 320)).astype(np.float32), INT4)
    stored = BlockScaled(elements=unpacked_int4(packed_int4(weights.elements)), scales=weights.scales, inner=320)
    product = matrix_product(activations, stored)
    assert (product == matrix_product(activations, weights)).all()
    assert product == pytest.approx(dequantised(activations) @ dequantised(weights).T, rel=1e-4, abs=1e-4)


def test_quantised_operands_keep_a_product_close_to_the_real_one() -> None:
    random = np.random.default_rng(7)
    left, right = (random.standard_normal((rows, 576)).astype(np.float32) for rows in (8, 16))
    real = left.astype(np.float64) @ right.astype(np.float64).T
    found = matrix_product(quantise(left, INT8), quantise(right, INT8))
    # Independent errors uniform in a step of about 2.2 / 127 on both sides: a standard deviation of 0.7 % of that of the product.
    assert 0.003 < np.std(found - real) / np.std(real) < 0.012


# ---------------------------------------------------------------- corner values by hand


def test_blocks_are_added_in_order() -> None:
    # 2**24 + 1 is a tie that rounds to even, twice; backwards the ones make 2, which 2**24 can take.
    tie = row(({0: 64, 1: 64}, scale_bits(128, -2)), ({0: 1}, ONE), ({0: 1}, ONE))
    other = row(({0: 64, 1: 64}, scale_bits(128, -1)), ({0: 1}, ONE), ({0: 1}, ONE))
    assert matrix_product(tie, other).tolist() == [[2.0**24]]
    backwards = [BlockScaled(elements=part.elements[:, ::-1], scales=part.scales[:, ::-1], inner=part.inner) for part in (tie, other)]
    assert matrix_product(*backwards).tolist() == [[2.0**24 + 2]]


def test_the_largest_block_sum_is_exact() -> None:
    most, odd = dict.fromkeys(range(BLOCK), -128), dict.fromkeys(range(1, BLOCK), -128) | {0: -127}
    assert matrix_product(row((most, ONE)), row((most, ONE))).tolist() == [[2.0**19]]
    assert matrix_product(row((odd, ONE)), row((odd, ONE))).tolist() == [[31 * 16384.0 + 16129]]


def test_a_term_is_rounded_once_and_its_scales_are_not() -> None:
    # 145 x 129 x 14351 = 2**28 - 1 needs 28 digits, so it rounds to 2**28.
    left, right = row(({0: 113}, scale_bits(145, 0))), row(({0: 127}, scale_bits(129, 0)))
    assert matrix_product(left, right).tolist() == [[2.0**28]]
    # The product of these scales alone would be subnormal, and of those infinite; the term is neither.
    left, right = row(({0: 113}, scale_bits(145, -72))), row(({0: 127}, scale_bits(129, -72)))
    assert matrix_product(left, right).tolist() == [[2.0**-116]]
    assert matrix_product(row(({}, scale_bits(255, 110))), row(({0: 1}, scale_bits(255, 110)))).tolist() == [[0.0]]


def test_a_term_below_the_least_normal_vanishes_even_if_it_would_round_up() -> None:
    left = row(({0: 113}, scale_bits(145, -77)))
    assert same_bits(matrix_product(left, row(({0: 127}, scale_bits(129, -77)))), [[0.0]])
    assert same_bits(matrix_product(left, row(({0: -127}, scale_bits(129, -77)))), [[0.0]])
    assert matrix_product(left, row(({0: 127}, scale_bits(129, -76)))).tolist() == [[2.0**-125]]
    assert matrix_product(row(({0: 1}, scale_bits(128, -70))), row(({0: 1}, scale_bits(128, -70)))).tolist() == [[2.0**-126]]


def test_an_accumulator_below_the_least_normal_vanishes() -> None:
    ones = ({0: 1}, scale_bits(128, -70))
    left, right = row(({0: 3}, scale_bits(128, -71)), ones), row(ones, ({0: -1}, scale_bits(128, -70)))
    # 1.5 x 2**-126 - 2**-126 would be subnormal.
    assert same_bits(matrix_product(left, right), [[0.0]])


def test_an_exact_cancellation_is_positive_zero() -> None:
    assert same_bits(matrix_product(row(({0: -5}, ONE), ({0: 5}, ONE)), row(({0: 7}, ONE), ({0: 7}, ONE))), [[0.0]])


def test_overflow_saturates_and_can_come_back() -> None:
    largest = scale_bits(128, 119)
    huge, back = row(({0: 127}, largest), ({0: 0}, ONE)), row(({0: 127}, largest), ({0: -127}, largest))
    assert matrix_product(huge, row(({0: 127}, largest), ({}, ONE))).tolist() == [[float(LARGEST)]]
    assert matrix_product(huge, row(({0: -127}, largest), ({}, ONE))).tolist() == [[-float(LARGEST)]]
    assert same_bits(matrix_product(back, row(({0: 127}, largest), ({0: 127}, largest))), [[0.0]])
    near = row(({0: 127}, scale_bits(255, 100)), ({0: 127}, scale_bits(255, 100)))
    assert matrix_product(near, row(({0: 127}, scale_bits(255, -2)), ({0: 127}, scale_bits(255, -2)))).tolist() == [[float(LARGEST)]]


@pytest.mark.parametrize(("m", "n", "inner"), [(0, 3, 40), (3, 0, 40), (2, 3, 0), (1, 1, 1), (3, 2, 33)])
def test_empty_and_odd_sizes(m: int, n: int, inner: int) -> None:
    left, right = (quantise(np.ones((rows, inner), dtype=np.float32), INT8) for rows in (m, n))
    found = matrix_product(left, right)
    assert found.shape == (m, n)
    assert found == pytest.approx(np.full((m, n), float(inner)), rel=0.01)


def test_different_inner_dimensions_are_refused() -> None:
    left, right = (quantise(np.ones((1, inner), dtype=np.float32), INT8) for inner in (33, 34))
    with pytest.raises(InputError, match="the inner dimensions differ, given '33 and 34'"):
        matrix_product(left, right)
