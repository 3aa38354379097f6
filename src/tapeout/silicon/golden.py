"""The golden matrix product of the own chip: what its datapath computes, bit for bit, whatever computes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.silicon.quantisation import LEAST_NORMAL, BlockScaled, Singles, flushed, from_bf16


def matrix_product(left: BlockScaled, right: BlockScaled) -> Singles:
    """`left` (m, inner) by the transpose of `right` (n, inner), as fp32 (m, n).

    With a and b the elements, s and t the scales, each output is computed from its blocks k = 0, 1, ... in that order:

        sum_k  = a_k . b_k                  exact: at most 32 x 128 x 128 = 2**19
        term_k = RN(sum_k s_k t_k)          the exact product, rounded once
        acc_k  = RN(acc_(k-1) + term_k)     from acc = +0

    RN rounds to fp32, to the nearest, ties to even. A term whose exact value and an accumulator whose value is below 2**-126 in
    magnitude is +0; one above the largest fp32 number saturates. Raises InputError where the inner dimensions differ.

    Error bound, against the exact product of the operands. Let K be the number of blocks, u = 2**-24, and S the sum of the magnitudes
    |sum_k s_k t_k| of one output. A term is rounded once and passes at most K - 1 roundings on its way (adding the first to +0 is
    exact), so it carries at most K factors within 1 +- u. Each flush moves the accumulator or a term by less than 2**-126, and what
    moves it passes at most K - 1 roundings too. Where nothing saturates, the output is off by at most

        ((1 + u)**K - 1) S + 2 K (1 + u)**K 2**-126.
    """
    if left.inner != right.inner:
        raise InputError("the inner dimensions differ", given=f"{left.inner} and {right.inner}")
    outputs = np.zeros((len(left.elements), len(right.elements)), dtype=np.float32)
    left_scales, right_scales = (from_bf16(operand.scales).astype(np.float64) for operand in (left, right))
    for block in range(left.elements.shape[1]):
        sums = _block_sums(left.elements[:, block], right.elements[:, block])
        # 20 bits by 8 by 8 bits: fp64 holds the product exactly, in any order.
        exact = sums * np.outer(left_scales[:, block], right_scales[:, block])
        outputs = _added(outputs, _term(exact))
    return outputs


def _block_sums(left: NDArray[np.int8], right: NDArray[np.int8]) -> NDArray[np.float64]:
    # Every partial sum is an integer below 2**24, so fp32 is exact in whatever order the library adds.
    return (left.astype(np.float32) @ right.astype(np.float32).T).astype(np.float64)


def _term(exact: NDArray[np.float64]) -> Singles:
    with np.errstate(over="ignore", under="ignore"):  # both are settled by the flush
        rounded = exact.astype(np.float32)
    # Whether a term vanishes is decided before rounding: what rounds up to 2**-126 is zero all the same.
    return np.where(np.abs(exact) < np.float64(LEAST_NORMAL), np.float32(0), flushed(rounded))


def _added(sums: Singles, terms: Singles) -> Singles:
    with np.errstate(over="ignore", under="ignore"):
        return flushed(sums + terms)
