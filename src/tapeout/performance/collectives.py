"""Collectives by the alpha-beta law: latency that grows with the peers as the topology makes it, plus bytes over the achieved link.

Inside the scale-up domain the link counts, beyond it the slower scale-out link. Messages are bytes on one chip.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tapeout.performance.rates import Rates
from tapeout.workload.operators import Role

Array = NDArray[np.float64]


def _latency(peers: Array, rates: Rates, launch: Array) -> Array:
    return np.maximum(peers, 1.0) ** rates.hops * launch + peers * rates.link_peer


def _link(peers: Array, rates: Rates, inside: Array) -> Array:
    return np.where(peers > rates.domain, np.minimum(rates.scale_out_bytes, inside), inside)


def all_reduce(message: Array, peers: Array, rates: Rates) -> Array:
    """Seconds to sum `message` bytes over `peers`: t = a(p) + 2 (p - 1) / p * message / link."""
    return _latency(peers, rates, rates.link_launch) + 2 * (peers - 1) / peers * message / _link(peers, rates, rates.link_bytes)


def all_to_all(message: Array, peers: Array, rates: Rates) -> Array:
    """Seconds for each of `peers` to send `message` bytes in all to the others: t = a(p) + message / link."""
    return _latency(peers, rates, rates.all_to_all_launch) + message / _link(peers, rates, rates.all_to_all_bytes)


def send(message: Array, peers: Array, rates: Rates) -> Array:
    """Seconds to hand `message` bytes to the next pipeline stage: t = a(2) + message / link."""
    return _latency(peers, rates, rates.link_launch) + message / rates.link_bytes


LAWS: dict[Role, Callable[[Array, Array, Rates], Array]] = {Role.ALL_REDUCE: all_reduce, Role.ALL_TO_ALL: all_to_all, Role.SEND: send}
