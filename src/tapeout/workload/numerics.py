"""Which number format each part of a model is stored and computed in, for a precision as serving stacks name it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError, did_you_mean
from tapeout.units import Unit
from tapeout.workload.architecture import Architecture

Codes = NDArray[np.int64]


class Format(IntEnum):
    """Number formats as array codes; the order is that of `FORMAT_BYTES`."""

    FP32 = 0
    BF16 = 1
    FP8 = 2
    INT8 = 3
    FP4 = 4


FORMAT_BYTES: Annotated[NDArray[np.float64], Unit("B")] = np.array([4.0, 2.0, 1.0, 1.0, 0.5625])
"""Bytes per stored element by format; 4-bit formats carry an 8-bit scale per 16 elements."""

PRECISIONS = ("bf16", "fp8", "int8", "fp4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """Formats by part: linear layers, experts, head and router, attention products, and the KV cache."""

    linear: Format
    expert: Format
    head: Format
    attention: Format
    kv_cache: Format


_BY_PRECISION = {
    "bf16": Numerics(linear=Format.BF16, expert=Format.BF16, head=Format.BF16, attention=Format.BF16, kv_cache=Format.BF16),
    "fp8": Numerics(linear=Format.FP8, expert=Format.FP8, head=Format.BF16, attention=Format.BF16, kv_cache=Format.FP8),
    "int8": Numerics(linear=Format.INT8, expert=Format.INT8, head=Format.BF16, attention=Format.BF16, kv_cache=Format.INT8),
    "fp4": Numerics(linear=Format.FP4, expert=Format.FP4, head=Format.BF16, attention=Format.BF16, kv_cache=Format.FP8),
}


def numerics(architecture: Architecture, precision: str) -> Numerics:
    """The formats of `architecture` served at `precision`.

    Checkpoints of mixtures in fp8 come from the models' makers and carry no scales for the cache, so stacks keep it in bf16; a
    checkpoint that stores its experts in a format of its own (gpt-oss: MXFP4) keeps it whatever the label says: its other layers stay in
    theirs, and its cache in bf16 unless the model names another. Raises InputError for an unknown precision.
    """
    if precision not in _BY_PRECISION:
        raise InputError("unknown precision", given=precision, allowed=PRECISIONS, hint=did_you_mean(precision, PRECISIONS))
    found = _BY_PRECISION[precision]
    if architecture.expert_format is not None:
        own, rest = (Format[name.upper()] for name in (architecture.expert_format, architecture.dense_format))
        found = replace(_BY_PRECISION["bf16"], expert=own, linear=rest)
    elif architecture.has_experts and precision == "fp8":
        found = replace(found, kv_cache=Format.BF16)
    return found if architecture.cache_format is None else replace(found, kv_cache=Format[architecture.cache_format.upper()])
