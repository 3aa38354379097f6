"""How long one operator takes on one chip: a smooth roofline plus launch time; every time is split by what binds it.

Products and attention follow t = launch + sqrt(compute^2 + memory^2): equal to the roofline far from the ridge, and
sqrt(2) above it on the ridge, which fits measured products better than the sharp maximum does. Compute counts what a compute unit
passes one after the other too, launch the passes over activations beside the product, and what attention does beside its pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.performance import collectives
from tapeout.performance.rates import Rates
from tapeout.units import Unit
from tapeout.workload.footprint import INDEX_KEY_BYTES
from tapeout.workload.numerics import FORMAT_BYTES, Format
from tapeout.workload.operators import Operator, Role

Array = NDArray[np.float64]
Times = Annotated[Array, Unit("s")]

ACTIVATION_BYTES = FORMAT_BYTES[Format.BF16]
SCORE_BYTES = FORMAT_BYTES[Format.FP32]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """Seconds of one call: `seconds` in all; `compute` and `memory` are the bounds it stands on, `network` and `launch` add.

    `launch` is what passes beside the bounds, `start` the part of it that an empty call takes.
    """

    seconds: Times
    compute: Times
    memory: Times
    network: Times
    launch: Times
    start: Times


_ZERO: Array = np.zeros(())


def operator_time(operator: Operator, rates: Rates) -> OperatorTime:
    """The time of one call of `operator`, arrays over its rows."""
    return _LAWS[operator.role](operator, rates)


def _bounded(compute: Array, memory: Array, start: Array, beside: Array = _ZERO) -> OperatorTime:
    launch, bound = start + beside, np.hypot(compute, memory)
    return OperatorTime(seconds=launch + bound, compute=compute, memory=memory, network=_ZERO, launch=launch, start=start)


def _linear(operator: Operator, rates: Rates) -> OperatorTime:
    moved = operator.weights * rates.linear_size + operator.elements * ACTIVATION_BYTES
    compute = operator.flops / rates.linear_flops + operator.inner * rates.linear_inner
    beside = _conversion(operator, rates.linear_input, rates.linear_output)
    return _bounded(compute, moved / rates.linear_bytes, rates.linear_launch, beside)


def _head(operator: Operator, rates: Rates) -> OperatorTime:
    moved = operator.weights * rates.head_size + operator.elements * ACTIVATION_BYTES
    compute = operator.flops / rates.head_flops + operator.inner * rates.head_inner
    beside = _conversion(operator, rates.head_input, rates.head_output)
    return _bounded(compute, moved / rates.head_bytes, rates.head_launch, beside)


def _conversion(operator: Operator, per_input: Array, per_output: Array) -> Array:
    # Activations are converted into the format of the product in a pass before it, results in one after it.
    inputs = operator.rows * operator.inner
    return inputs * per_input + (operator.elements - inputs) * per_output


def _expert(operator: Operator, rates: Rates) -> OperatorTime:
    moved = operator.weights * rates.expert_size + operator.elements * ACTIVATION_BYTES
    # Experts on several chips are as slow as the busiest of them; the weights that each reads differ little.
    busiest = np.where(operator.peers > 1, rates.imbalance, 1.0)
    beside = operator.units * rates.expert_token + operator.elements * rates.expert_activation
    return _bounded(busiest * operator.flops / rates.expert_flops, moved / rates.expert_bytes, rates.expert_launch, beside)


def _prefill(operator: Operator, rates: Rates) -> OperatorTime:
    flops, softmax, tile, unit, token, first, bandwidth = _of_kind(operator, rates, _PREFILL)
    # A pair costs its products and its exponential; tiles reach beyond the causal diagonal by `tile` keys for each query.
    pair = (2 * operator.inner + 4 * softmax) / flops
    pairs = operator.flops / np.maximum(2 * operator.inner, 1.0)
    memory = operator.cache * rates.cache_size / bandwidth + operator.elements * ACTIVATION_BYTES / rates.memory_bytes
    beside = pair * tile * operator.rows + unit * operator.units + token * operator.span
    return _bounded(pair * pairs, memory, first * (operator.units > 0), beside)


def _decode(operator: Operator, rates: Rates) -> OperatorTime:
    flops, bandwidth, output, unit, token, first = _of_kind(operator, rates, _DECODE)
    beside = output * operator.elements + unit * operator.units + token * operator.span
    return _bounded(operator.flops / flops, operator.cache * rates.cache_size / bandwidth, first * (operator.units > 0), beside)


_PREFILL = ("prefill_flops", "prefill_softmax", "prefill_tile", "prefill_unit", "prefill_token", "prefill_launch", "decode_bytes")
_DECODE = ("decode_flops", "decode_bytes", "decode_output", "decode_unit", "decode_token", "decode_launch")


def _of_kind(operator: Operator, rates: Rates, names: Sequence[str]) -> list[Array]:
    """The rates `names` of grouped attention, or of latent attention where a row is latent."""
    grouped: list[Array] = [getattr(rates, name) for name in names]
    latent = operator.latent > 0
    if not latent.any():
        return grouped
    others: list[Array] = [getattr(rates, f"latent_{name}") for name in names]
    return others if latent.all() else [np.where(latent, other, own) for other, own in zip(others, grouped, strict=True)]


def _sparse(operator: Operator, rates: Rates) -> OperatorTime:
    # Each query gathers its own choice, and starts anew; what is gathered comes from the caches on the chip.
    launch = rates.prefill_launch * (operator.units > 0) + rates.sparse_query * operator.units
    moved = operator.cache * rates.cache_size + operator.elements * ACTIVATION_BYTES
    return _bounded(operator.flops / rates.sparse_flops, moved / rates.memory_bytes, launch)


def _indexer(operator: Operator, rates: Rates) -> OperatorTime:
    # Keys are 8-bit whatever the cache is; scores are written and read in 32 bits, and a search passes them one after the other.
    moved = operator.cache * INDEX_KEY_BYTES + 2 * SCORE_BYTES * operator.elements
    launch = rates.index_launch + rates.index_entry * operator.units
    return _bounded(operator.flops / rates.index_flops, moved / rates.index_bytes, launch)


def _recurrent(operator: Operator, rates: Rates) -> OperatorTime:
    moved = operator.state + operator.elements * ACTIVATION_BYTES
    # A prompt passes through its state token after token; however few the heads, that takes its time.
    prompt = operator.units > 1
    compute = np.hypot(operator.flops / rates.recurrent_flops, prompt * operator.units * rates.recurrent_token)
    launch = np.where(prompt, rates.recurrent_prefill_launch, rates.recurrent_launch)
    return _bounded(compute, moved / rates.recurrent_bytes, launch)


def _elementwise(operator: Operator, rates: Rates) -> OperatorTime:
    return _bounded(_ZERO, operator.elements * ACTIVATION_BYTES / rates.memory_bytes, rates.host_layer)


def _network(operator: Operator, rates: Rates) -> OperatorTime:
    seconds = collectives.LAWS[operator.role](operator.message * ACTIVATION_BYTES, operator.peers, rates)
    return OperatorTime(seconds=seconds, compute=_ZERO, memory=_ZERO, network=seconds, launch=_ZERO, start=_ZERO)


_LAWS = {
    Role.LINEAR: _linear,
    Role.EXPERT: _expert,
    Role.HEAD: _head,
    Role.PREFILL_ATTENTION: _prefill,
    Role.DECODE_ATTENTION: _decode,
    Role.SPARSE_ATTENTION: _sparse,
    Role.INDEXER: _indexer,
    Role.RECURRENT: _recurrent,
    Role.ELEMENTWISE: _elementwise,
    Role.ALL_REDUCE: _network,
    Role.ALL_GATHER: _network,
    Role.REDUCE_SCATTER: _network,
    Role.ALL_TO_ALL: _network,
    Role.SEND: _network,
}
