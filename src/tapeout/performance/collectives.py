"""Collectives: latency that grows with the peers as the topology makes it, and bytes over the achieved link in pipelined chunks.

A message that keeps the link busy for T is cut into n chunks, of which the first passes alone and each starts `chunk` late: T + T / n +
n chunk, which is T + 2 sqrt(T chunk) at best. Inside the scale-up domain the link counts; beyond it a collective is done twice, first
among the chips of a domain and then, over the slower scale-out links, among chips of the same place in each. Messages are in bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tapeout.performance.rates import Rates
from tapeout.workload.operators import Role

Array = NDArray[np.float64]


def _latency(peers: Array, rates: Rates, launch: Array, peer: Array) -> Array:
    # Across domains it starts once more.
    starts = 1.0 + (peers > rates.domain)
    latency: Array = starts * np.maximum(peers, 1.0) ** rates.hops * launch + peers * peer
    return latency


def _pipelined(busy: Array, chunk: Array) -> Array:
    seconds: Array = busy + 2 * np.sqrt(busy * chunk)
    return seconds


def _gathered(message: Array, peers: Array, rates: Rates, inside: Array, outside: Array) -> Array:
    """Seconds the links are busy so that each chip gets what the others hold of `message` bytes: (p - 1) / p of it in all."""
    joined = np.minimum(peers, rates.domain)
    busy: Array = message * ((joined - 1) / joined / inside + (peers - joined) / (peers * joined) / outside)
    return busy


def all_reduce(message: Array, peers: Array, rates: Rates) -> Array:
    """Seconds to sum `message` bytes over `peers`: scattered sums, then gathered, so 2 (p - 1) / p of the message."""
    busy = 2 * _gathered(message, peers, rates, rates.all_reduce_bytes, rates.all_reduce_out_bytes)
    return _latency(peers, rates, rates.all_reduce_launch, rates.all_reduce_peer) + _pipelined(busy, rates.all_reduce_chunk)


def all_gather(message: Array, peers: Array, rates: Rates) -> Array:
    """Seconds until each of `peers` holds all of `message` bytes, of which each had its part; a reduce-scatter takes the same."""
    busy = _gathered(message, peers, rates, rates.gather_bytes, rates.gather_out_bytes)
    return _latency(peers, rates, rates.gather_launch, rates.gather_peer) + _pipelined(busy, rates.gather_chunk)


def all_to_all(message: Array, peers: Array, rates: Rates) -> Array:
    """Seconds for each of `peers` to send `message` bytes in all to the others, the same to each."""
    outside = (peers - np.minimum(peers, rates.domain)) / np.maximum(peers - 1, 1.0)
    busy = message * ((1 - outside) / rates.all_to_all_bytes + outside / rates.all_to_all_out_bytes)
    return _latency(peers, rates, rates.all_to_all_launch, rates.all_to_all_peer) + _pipelined(busy, rates.all_to_all_chunk)


def send(message: Array, peers: Array, rates: Rates) -> Array:
    """Seconds to hand `message` bytes to the next pipeline stage."""
    return _latency(peers, rates, rates.gather_launch, rates.gather_peer) + _pipelined(message / rates.gather_bytes, rates.gather_chunk)


LAWS: dict[Role, Callable[[Array, Array, Rates], Array]] = {
    Role.ALL_REDUCE: all_reduce,
    Role.ALL_GATHER: all_gather,
    Role.REDUCE_SCATTER: all_gather,
    Role.ALL_TO_ALL: all_to_all,
    Role.SEND: send,
}
