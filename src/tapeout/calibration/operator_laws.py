"""What the laws of `performance` say of measured operators: each row as the operators that it runs, timed with given coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.calibration.operator_table import Measured, OperatorTable
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.performance.efficiency import Table
from tapeout.performance.rates import Rates, compute_format, rates
from tapeout.performance.roofline import operator_time
from tapeout.units import Unit
from tapeout.workload.attention import attended
from tapeout.workload.numerics import FORMAT_BYTES, Format, Numerics
from tapeout.workload.operation import Batch, Operator, Role, operator, product
from tapeout.workload.operators import experts_touched

Array = NDArray[np.float64]
Times = Annotated[Array, Unit("s")]

_FORMATS = {"": Format.BF16, "bf16": Format.BF16, "fp8": Format.FP8, "int8": Format.INT8, "fp4": Format.FP4}
_ONE = np.ones(())
_UNBOUNDED = 1e18
MESSAGE_BYTES = FORMAT_BYTES[Format.BF16]
"""Bytes of an element of a message in `performance`."""


def law_seconds(rows: OperatorTable, chips: Mapping[str, Chip], table: Table) -> Times:
    """What the laws say that each of `rows` takes, in seconds, with the coefficients of `table`; `chips` by the ids of the rows."""
    found = np.zeros(len(rows))
    for kind in np.unique(rows.operator):
        mask = rows.operator == kind
        part = rows.take(mask)
        found[mask] = kind_seconds(operators_of(part), rates_of(part, chips, table))
    return found


def kind_seconds(operators: Sequence[Operator], found: Rates) -> Times:
    """Seconds of rows of one kind, the sum over the operators that each runs."""
    total: Array = np.sum([operator_time(one, found).seconds for one in operators], axis=0)
    return total


def rates_of(rows: OperatorTable, chips: Mapping[str, Chip], table: Table) -> Rates:
    """Rates by row."""
    names, pair = row_pairs(rows)
    return rates(chip_pairs(names, chips), table).take(pair)


def bound_seconds(rows: OperatorTable, chips: Mapping[str, Chip]) -> Times:
    """What `rows` take at the least: their FLOPs at the peak, their weights and cache at the bandwidth of the memory; 0 for collectives."""
    names, pair = row_pairs(rows)
    pairs = chip_pairs(names, chips)
    peak = np.array([chip.peak[compute_format(chip, found.linear)].value for chip, found in pairs])[pair]
    bandwidth = np.array([chip.memory.bandwidth.value for chip, _ in pairs])[pair]
    sizes = np.array([[FORMAT_BYTES[found.linear], FORMAT_BYTES[found.kv_cache]] for _, found in pairs])[pair].T
    least = np.zeros(len(rows))
    for kind in np.unique(rows.operator):
        mask = rows.operator == kind
        parts = operators_of(rows.take(mask))
        compute = np.sum([part.flops for part in parts], axis=0) / peak[mask]
        moved = sum((part.weights * sizes[0][mask] + part.cache * sizes[1][mask] for part in parts), np.zeros(()))
        least[mask] = np.maximum(compute, moved / bandwidth[mask])
    return least


def row_pairs(rows: OperatorTable) -> tuple[list[tuple[str, str, str]], NDArray[np.int64]]:
    """The distinct (chip, format, cache format) of `rows`, and which of them each row has."""
    keys = np.rec.fromarrays([rows.chip, rows.format, rows.cache_format])
    distinct, pair = np.unique(keys, return_inverse=True)
    return [(str(chip), str(form), str(cache)) for chip, form, cache in distinct.tolist()], pair.astype(np.int64)


def chip_pairs(names: Sequence[tuple[str, str, str]], chips: Mapping[str, Chip]) -> list[tuple[Chip, Numerics]]:
    """The chips and numerics of (chip, format, cache format); raises InputError for a chip that is not in `chips`."""
    unknown = sorted({name for name, _, _ in names} - chips.keys())
    if unknown:
        raise InputError("unknown chip", given=unknown[0], allowed=sorted(chips))
    return [(chips[name], _numerics(_FORMATS[form], _FORMATS[cache])) for name, form, cache in names]


def _numerics(weights: Format, cache: Format) -> Numerics:
    return Numerics(linear=weights, expert=weights, head=weights, attention=weights, kv_cache=cache)


def operators_of(rows: OperatorTable) -> list[Operator]:
    """The operators that rows of one kind run, arrays over the rows."""
    kind = Measured(str(rows.operator[0]))
    if kind is Measured.PRODUCT:
        return [product("product", Role.LINEAR, _ONE, rows.rows, rows.inner, rows.outer)]
    if kind is Measured.GROUPED_PRODUCT:
        return _grouped(rows)
    if kind in (Measured.PREFILL_ATTENTION, Measured.DECODE_ATTENTION):
        return [_attention(rows, kind)]
    # What one chip keeps of an all-to-all is part of a measured message, and not sent.
    sent = rows.message_bytes * ((rows.peers - 1) / rows.peers if kind is Measured.ALL_TO_ALL else 1.0)
    return [operator(kind.value, Role(kind.value), _ONE, message=sent / MESSAGE_BYTES, peers=rows.peers)]


def _grouped(rows: OperatorTable) -> list[Operator]:
    split = np.nan_to_num(rows.expert_peers, nan=1.0)
    draws = rows.rows * rows.experts_per_token
    local, touched = draws / split, experts_touched(rows.experts, draws) / split
    # The rows measure one chip with its even share, so no chip is busier than another.
    return [
        operator("experts", Role.EXPERT, _ONE, flops=2 * local * first * second, weights=touched * first * second,
                 elements=local * (first + second), rows=local, inner=first, units=passed)
        for first, second, passed in (
            (rows.inner, 2 * rows.outer, rows.rows),
            (rows.outer, rows.inner, np.zeros(())),
        )
    ]  # fmt: skip


def _attention(rows: OperatorTable, kind: Measured) -> Operator:
    decode, latent = kind is Measured.DECODE_ATTENTION, ~np.isnan(rows.kv_rank)
    batch = Batch(sequences=rows.sequences, new_tokens=rows.new_tokens, context=rows.context)
    window = np.nan_to_num(rows.window, nan=_UNBOUNDED)
    value_size = np.where(np.isnan(rows.value_size), rows.head_size, rows.value_size)
    rank, rope = np.nan_to_num(rows.kv_rank), np.nan_to_num(rows.rope_size)
    cached = np.where(latent, rank + rope, rows.kv_heads * (rows.head_size + value_size))
    inner = np.where(latent & decode, 2 * rank + rope, rows.head_size + value_size)
    span = np.minimum(rows.context + rows.new_tokens, window + rows.new_tokens)
    queries = rows.sequences * rows.new_tokens * rows.heads
    heads = np.where(latent, 1.0, rows.kv_heads) if decode else rows.heads
    return operator(
        kind.value, Role.DECODE_ATTENTION if decode else Role.PREFILL_ATTENTION, _ONE,
        flops=2 * rows.sequences * rows.heads * attended(batch, window) * inner,
        cache=rows.sequences * span * cached, elements=queries * (rows.head_size + value_size),
        units=rows.sequences * heads, rows=queries, inner=inner, span=span, latent=latent.astype(float),
    )  # fmt: skip
