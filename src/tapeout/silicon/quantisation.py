"""Number formats of the own chip: bf16 scales and block-scaled int8 and int4, specified to the bit.

The machine knows normal numbers and one zero: what is smaller than the least normal number of fp32 is +0, what is larger than the
largest saturates, and there are no infinities. Rounding is to the nearest, ties to even. A block is 32 neighbours along the inner
dimension with one scale; a value is its element times the scale of its block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError

Singles = NDArray[np.float32]
Elements = NDArray[np.int8]
ScaleBits = NDArray[np.uint16]
Bytes = NDArray[np.uint8]

BLOCK = 32
"""Elements that share a scale."""
LEAST_NORMAL = np.float32(2.0**-126)
"""Least positive normal number of fp32 and of bf16; anything nearer to zero is zero."""
LARGEST = np.finfo(np.float32).max
_LARGEST_BF16 = np.uint16(0x7F7F)
_LARGEST_SCALE_BITS = np.uint16(0x7E80)  # 2**126, whose reciprocal is the least normal number
_LEAST_SCALE_BITS = np.uint16(0x0080)  # 2**-126


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementFormat:
    """Integers of `bits` bits; quantisation uses -`limit` to `limit`, so that negation never overflows."""

    bits: int
    limit: int


INT8 = ElementFormat(bits=8, limit=127)
INT4 = ElementFormat(bits=4, limit=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockScaled:
    """A matrix of `rows` by `inner` values: `elements` (rows, blocks, 32), `scales` (rows, blocks) as bf16 bits.

    Elements beyond `inner` in the last block are 0. Raises InputError where the parts do not fit together.
    """

    elements: Elements
    scales: ScaleBits
    inner: int

    def __post_init__(self) -> None:
        if self.elements.dtype != np.int8 or self.scales.dtype != np.uint16:
            raise InputError("wrong types", given=f"{self.elements.dtype}, {self.scales.dtype}", allowed="int8 elements, uint16 scales")
        blocks = -(-self.inner // BLOCK)
        if self.elements.ndim != 3 or self.elements.shape[1:] != (blocks, BLOCK) or self.scales.shape != self.elements.shape[:2]:
            raise InputError(
                "elements and scales do not fit together",
                given=f"{self.elements.shape} and {self.scales.shape}",
                allowed=f"(rows, {blocks}, {BLOCK}) and (rows, {blocks})",
            )
        if self.elements.reshape(len(self.elements), blocks * BLOCK)[:, self.inner :].any():
            raise InputError("elements beyond the inner dimension must be 0", given=f"inner {self.inner}")
        _check_scales(self.scales)


def flushed(values: Singles) -> Singles:
    """`values` as the machine holds them: subnormal numbers and -0 become +0, infinities the largest number.

    >>> flushed(np.array([-0.0, 1e-40, np.inf, -2.0], dtype=np.float32)).tolist()
    [0.0, 0.0, 3.4028234663852886e+38, -2.0]
    """
    held = np.clip(values, -LARGEST, LARGEST)
    return np.where(np.abs(held) < LEAST_NORMAL, np.float32(0), held)


def bf16_bits(values: Singles) -> ScaleBits:
    """The bits of `values` in bf16, rounded to the nearest, ties to even; overflow saturates.

    Raises InputError for a NaN.

    >>> [hex(bits) for bits in bf16_bits(np.array([1.0, 1.00390625, -3.4e38], dtype=np.float32))]
    ['0x3f80', '0x3f80', '0xff7f']
    """
    _reject_nan(values)
    bits: NDArray[np.uint32] = np.ascontiguousarray(flushed(values)).view(np.uint32)
    # Adding half of the last place, less one where that is even already, carries into it exactly when rounding goes up.
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    sign, magnitude = rounded & np.uint32(0x8000), rounded & np.uint32(0x7FFF)
    held: ScaleBits = (sign | np.minimum(magnitude, np.uint32(_LARGEST_BF16))).astype(np.uint16)
    return held


def from_bf16(bits: ScaleBits) -> Singles:
    """The values of bf16 `bits`, exactly.

    >>> from_bf16(np.array([0x3F80, 0xC000], dtype=np.uint16)).tolist()
    [1.0, -2.0]
    """
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def block_scales(values: Singles, element: ElementFormat) -> ScaleBits:
    """The scale of each block of `values` (..., 32): its largest magnitude over `limit`, in bf16.

    The division is a multiplication by the fp32 number nearest to 1 / limit, rounded to fp32 and then to bf16. A block whose largest
    magnitude is below limit x 2**-126 has the scale 0. Raises InputError for a value that is not finite.
    """
    _reject_infinite(values)
    largest = np.abs(flushed(values)).max(axis=-1, initial=np.float32(0))
    inverse = np.float32(1) / np.float32(element.limit)
    vanishing = largest < np.float32(element.limit) * LEAST_NORMAL
    # 1 / limit may round down, so a block just above the line is held at the least scale.
    scale = np.where(vanishing, np.float32(0), np.maximum(largest * inverse, LEAST_NORMAL))
    return bf16_bits(scale)


def quantised(values: Singles, scales: ScaleBits, element: ElementFormat) -> Elements:
    """The elements of blocks `values` (..., 32) under given `scales` (...).

    An element is value x r rounded to fp32, then to an integer, then saturated, where r is the fp32 number nearest to 1 / scale. Of a
    block with the scale 0 all elements are 0. What rounds beyond `limit` saturates, which the scales of `block_scales` rule out. Then
    a normal value of a block that is not zero is off by at most (1/2 + `limit` 2**-22) scale: the two roundings before the last move
    value / scale by less than 2 x 2**-23 of itself. Any other value is off by itself, at most.

    Raises InputError for a value that is not finite, and for a scale that is neither 0 nor from 2**-126 to 2**126.
    """
    _reject_infinite(values)
    _check_scales(scales)
    scale = from_bf16(scales)
    zero = scale == 0
    inverse = np.where(zero, np.float32(0), np.float32(1) / np.where(zero, np.float32(1), scale))
    with np.errstate(over="ignore"):  # overflow saturates with all else that is too large
        scaled = flushed(values) * inverse[..., np.newaxis]
    return np.clip(np.rint(scaled), -element.limit, element.limit).astype(np.int8)


def quantise(matrix: Singles, element: ElementFormat) -> BlockScaled:
    """A matrix (rows, inner) in blocks along its rows; a last block that is not full is filled with zeros.

    >>> quantise(np.array([[127.0, -1.0, 0.5, 1.5]], dtype=np.float32), INT8).elements[0, 0, :4].tolist()
    [127, -1, 0, 2]
    """
    if matrix.ndim != 2 or matrix.dtype != np.float32:
        raise InputError("expected a matrix of fp32", given=f"{matrix.dtype} {matrix.shape}", allowed="float32 (rows, inner)")
    rows, inner = matrix.shape
    blocks = -(-inner // BLOCK)
    padded = np.pad(matrix, ((0, 0), (0, blocks * BLOCK - inner))).reshape(rows, blocks, BLOCK)
    scales = block_scales(padded, element)
    return BlockScaled(elements=quantised(padded, scales, element), scales=scales, inner=inner)


def dequantised(operand: BlockScaled) -> NDArray[np.float64]:
    """The values (rows, inner) that `operand` stands for, exactly: an element has 8 bits and a scale 8, so fp64 holds them."""
    values = operand.elements * from_bf16(operand.scales).astype(np.float64)[..., np.newaxis]
    return values.reshape(len(operand.elements), operand.elements.shape[1] * BLOCK)[:, : operand.inner]


def packed_int4(elements: Elements) -> Bytes:
    """Two int4 `elements` (..., n) to a byte (..., n / 2), in two's complement, the first in the low four bits.

    Raises InputError for an odd n and for an element outside -8 to 7.

    >>> packed_int4(np.array([1, -1], dtype=np.int8)).tolist()
    [241]
    """
    if elements.ndim == 0 or elements.shape[-1] % 2:
        raise InputError("int4 elements are packed in pairs", given=elements.shape, allowed="an even last dimension")
    if ((elements < -8) | (elements > 7)).any():
        raise InputError("not an int4 element", given=f"{elements.min()} to {elements.max()}", allowed="-8 to 7")
    nibbles = elements.view(np.uint8) & np.uint8(0xF)
    return nibbles[..., 0::2] | (nibbles[..., 1::2] << np.uint8(4))


def unpacked_int4(packed: Bytes) -> Elements:
    """The elements of `packed_int4`, sign-extended to int8.

    >>> unpacked_int4(np.array([241], dtype=np.uint8)).tolist()
    [1, -1]
    """
    nibbles = np.stack((packed & np.uint8(0xF), packed >> np.uint8(4)), axis=-1)
    # Shifting the sign bit of the nibble to that of the byte and back copies it into the upper half.
    extended = (nibbles << np.uint8(4)).view(np.int8) >> np.int8(4)
    return extended.reshape(*packed.shape[:-1], packed.shape[-1] * 2)


def _reject_nan(values: Singles) -> None:
    if np.isnan(values).any():
        raise InputError("the own chip has no number for NaN", allowed="numbers")


def _reject_infinite(values: Singles) -> None:
    if not np.isfinite(values).all():
        raise InputError("a value to quantise is not finite", given=values[~np.isfinite(values)].flat[0], allowed="finite numbers")


def _check_scales(scales: ScaleBits) -> None:
    bad = (scales != 0) & ((scales < _LEAST_SCALE_BITS) | (scales > _LARGEST_SCALE_BITS))
    if bad.any():
        raise InputError("bad scale", given=hex(int(scales[bad].flat[0])), allowed="0, or bf16 from 2**-126 to 2**126")
