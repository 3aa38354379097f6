"""Operators of layers that keep a state: projections, and the states read, decayed, written and queried.

Decode reads and writes each sequence's state once a token; prefill works on chunks, quadratic inside and by the state between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tapeout.workload.operation import Batch, Operator, Role, Sharding, operator, product, shared_heads
from tapeout.workload.shapes import Shapes

Array = NDArray[np.float64]


def channels(shapes: Shapes, sharding: Sharding) -> Array:
    """Queries, keys and values of a token on one chip; key heads are repeated where there are fewer than chips."""
    keys = shared_heads(shapes.state_key_heads, sharding) * shapes.state_key_size
    return 2 * keys + shapes.state_heads / sharding.tensor * shapes.state_value_size


def recurrence_projections(shapes: Shapes, tokens: Array, sharding: Sharding) -> list[Operator]:
    """Products into and out of a recurrence; ranks of gates and decays stand on every chip."""
    layers, heads = shapes.count * shapes.recurs, shapes.state_heads / sharding.tensor
    values = heads * shapes.state_value_size
    ranked, decayed = shapes.state_gate_rank > 0, shapes.state_decay_rank > 0
    gates = np.where(ranked, shapes.state_gate_rank, values)
    into = channels(shapes, sharding) + gates + heads * shapes.state_controls + shapes.state_decay_rank
    found = [product("state inputs", Role.LINEAR, layers, tokens, shapes.hidden, into)]
    if ranked.any():
        found.append(product("state gate up", Role.LINEAR, shapes.count * ranked, tokens, shapes.state_gate_rank, values))
    if decayed.any():
        decays = heads * shapes.state_key_size
        found.append(product("state decay up", Role.LINEAR, shapes.count * decayed, tokens, shapes.state_decay_rank, decays))
    return [*found, product("state out", Role.LINEAR, layers, tokens, values, shapes.hidden)]


def recurrences(shapes: Shapes, batches: Sequence[Batch], sharding: Sharding) -> list[Operator]:
    """The short convolution and the states of each batch, as one operator."""
    return [_recurrence(shapes, batch, sharding, index) for index, batch in enumerate(batches)]


def _recurrence(shapes: Shapes, batch: Batch, sharding: Sharding, index: int) -> Operator:
    heads, tokens = shapes.state_heads / sharding.tensor, batch.sequences * batch.new_tokens
    passed = channels(shapes, sharding)
    convolved = 2 * shapes.state_convolution * passed
    # State read and written once a sequence, with the last tokens that the convolution looks back on, in 16 bits.
    state = 2 * batch.sequences * state_bytes(shapes, sharding)
    return operator(
        f"states {index}", Role.RECURRENT, shapes.count * shapes.recurs,
        flops=tokens * (heads * _head_flops(shapes, batch) + convolved),
        # In and out of the convolution and of the state, with the gate and the output.
        elements=tokens * (3 * passed + 3 * heads * shapes.state_value_size),
        state=state,
        units=np.broadcast_to(batch.new_tokens, np.shape(tokens)).astype(float),
    )  # fmt: skip


def _head_flops(shapes: Shapes, batch: Batch) -> Array:
    """FLOPs of one head for one token.

    With state S, key k, query q and value v, decode does S += k v, then q S; a delta rule first reads k S. In a chunk of C tokens each
    meets half of the others as in attention, and the products with the state remain; a delta rule solves for the new values in the
    chunk, which takes k k, and keys and values by the inverse.
    """
    keys, values, delta = shapes.state_key_size, shapes.state_value_size, shapes.state_delta
    alone = 4 * keys * values + delta * 2 * keys * values
    chunk = np.minimum(shapes.state_chunk, batch.new_tokens)
    together = alone + chunk * (keys + values) + delta * chunk * (2 * keys + values)
    return np.where(np.asarray(batch.new_tokens) <= 1, alone, together)


def state_bytes(shapes: Shapes, sharding: Sharding) -> Array:
    """Bytes of state that one sequence keeps on one chip in one layer: the matrices, and what the convolution looks back on."""
    matrices = shapes.state_heads / sharding.tensor * shapes.state_key_size * shapes.state_value_size * shapes.state_bytes
    return matrices + 2 * np.maximum(shapes.state_convolution - 1, 0.0) * channels(shapes, sharding)
