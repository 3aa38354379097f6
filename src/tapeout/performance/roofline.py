"""How long one operator takes on one chip: a smooth roofline plus launch time; every time is split by what binds it.

Products and attention follow t = launch + sqrt(compute^2 + memory^2): equal to the roofline far from the ridge, and
sqrt(2) above it on the ridge, which fits measured products better than the sharp maximum does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.performance import collectives
from tapeout.performance.rates import Rates
from tapeout.units import Unit
from tapeout.workload.numerics import FORMAT_BYTES, Format
from tapeout.workload.operators import Operator, Role

Array = NDArray[np.float64]
Times = Annotated[Array, Unit("s")]

ACTIVATION_BYTES = FORMAT_BYTES[Format.BF16]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """Seconds of one call: `seconds` in all; `compute` and `memory` are the bounds it stands on, `network` and `launch` add."""

    seconds: Times
    compute: Times
    memory: Times
    network: Times
    launch: Times


_ZERO: Array = np.zeros(())


def operator_time(operator: Operator, rates: Rates) -> OperatorTime:
    """The time of one call of `operator`, arrays over its rows."""
    return _LAWS[operator.role](operator, rates)


def _bounded(compute: Array, memory: Array, launch: Array) -> OperatorTime:
    return OperatorTime(seconds=launch + np.hypot(compute, memory), compute=compute, memory=memory, network=_ZERO, launch=launch)


def _linear(operator: Operator, rates: Rates) -> OperatorTime:
    moved = operator.weights * rates.linear_size + operator.elements * ACTIVATION_BYTES
    return _bounded(operator.flops / rates.linear_flops, moved / rates.linear_bytes, rates.linear_launch)


def _expert(operator: Operator, rates: Rates) -> OperatorTime:
    moved = operator.weights * rates.expert_size + operator.elements * ACTIVATION_BYTES
    # Experts on several chips are as slow as the busiest of them.
    busiest = np.where(operator.peers > 1, rates.imbalance, 1.0)
    return _bounded(busiest * operator.flops / rates.expert_flops, busiest * moved / rates.expert_bytes, rates.expert_launch)


def _head(operator: Operator, rates: Rates) -> OperatorTime:
    moved = operator.weights * rates.head_size + operator.elements * ACTIVATION_BYTES
    return _bounded(operator.flops / rates.head_flops, moved / rates.head_bytes, rates.head_launch)


def _prefill(operator: Operator, rates: Rates) -> OperatorTime:
    moved = operator.cache * rates.cache_size + operator.elements * ACTIVATION_BYTES
    return _bounded(operator.flops / rates.prefill_flops, moved / rates.memory_bytes, rates.prefill_launch * (operator.units > 0))


def _decode(operator: Operator, rates: Rates) -> OperatorTime:
    launch = (rates.decode_launch + operator.units * rates.decode_unit) * (operator.units > 0)
    return _bounded(operator.flops / rates.decode_flops, operator.cache * rates.cache_size / rates.decode_bytes, launch)


def _elementwise(operator: Operator, rates: Rates) -> OperatorTime:
    return _bounded(_ZERO, operator.elements * ACTIVATION_BYTES / rates.memory_bytes, rates.host_layer)


def _network(operator: Operator, rates: Rates) -> OperatorTime:
    seconds = collectives.LAWS[operator.role](operator.message * ACTIVATION_BYTES, operator.peers, rates)
    return OperatorTime(seconds=seconds, compute=_ZERO, memory=_ZERO, network=seconds, launch=_ZERO)


_LAWS = {
    Role.LINEAR: _linear,
    Role.EXPERT: _expert,
    Role.HEAD: _head,
    Role.PREFILL_ATTENTION: _prefill,
    Role.DECODE_ATTENTION: _decode,
    Role.ELEMENTWISE: _elementwise,
    Role.ALL_REDUCE: _network,
    Role.ALL_TO_ALL: _network,
    Role.SEND: _network,
}
