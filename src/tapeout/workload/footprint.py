"""What a model occupies on one chip: weights by format, KV cache per token and state per sequence; arrays over `Shapes` rows and cases."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.units import Unit
from tapeout.workload.numerics import FORMAT_BYTES
from tapeout.workload.operation import Batch, Role, Sharding, shared_heads
from tapeout.workload.operators import operators
from tapeout.workload.recurrence import state_bytes
from tapeout.workload.shapes import Shapes

Array = NDArray[np.float64]
BytesPerChip = Annotated[Array, Unit("B")]
BytesPerToken = Annotated[Array, Unit("B/token")]

INDEX_KEY_BYTES: Annotated[float, Unit("B")] = 1.03125
"""Bytes per element of an indexer's key: 8 bits, and a 32-bit scale for each 128 of them, as the checkpoints' own kernels store it."""
_MERGING_BYTES = 4.0


def weight_bytes(shapes: Shapes, sharding: Sharding, weight_formats: dict[Role, NDArray[np.int64]]) -> BytesPerChip:
    """Bytes of weights on one chip, by row, the fullest pipeline stage taken as an equal share of the layers.

    Counts every matrix that `operators` reads, with all resident experts, and the embedding. `weight_formats` gives the
    format code of each role, arrays over the rows.
    """
    # With this many tokens every expert is touched, so the weights read are the weights held.
    one = Batch(sequences=np.asarray(1e9), new_tokens=np.asarray(1.0), context=np.asarray(0.0))
    matrices = [part for part in operators(shapes, [one], sharding) if part.role in weight_formats]
    held = sum((part.calls * part.weights * FORMAT_BYTES[weight_formats[part.role]] for part in matrices), np.zeros(()))
    embedding = shapes.head_share * shapes.untied * shapes.vocabulary * shapes.hidden / sharding.tensor
    return (held + embedding * FORMAT_BYTES[weight_formats[Role.HEAD]]) / sharding.pipeline


def kv_bytes_per_sequence(shapes: Shapes, sharding: Sharding, tokens: Array, cache_formats: NDArray[np.int64]) -> BytesPerChip:
    """Bytes that a sequence of `tokens` holds on one chip, by row: KV cache, index keys, and states that no context makes larger.

    Layers with a window hold at most the window; what is merged holds an entry for each `ratio` tokens beside it.
    """
    grouped = shared_heads(shapes.kv_heads, sharding) * shapes.kv_cached
    elements = np.where(shapes.latent, shapes.kv_rank + shapes.rope_size, grouped)
    cached = elements * np.minimum(tokens, shapes.window)
    constant: Array = np.zeros(())
    merged, ratio = shapes.ratio > 0, np.maximum(shapes.ratio, 1.0)
    if merged.any():
        cached = cached + merged * elements * tokens / ratio
        # Windows not yet full: keys and gates of as many tokens as they take, in 32 bits.
        constant = constant + 2 * _MERGING_BYTES * shapes.ratio * shapes.overlap**2 * (shapes.head_size + shapes.index_size)
    if shapes.index_heads.any():
        constant = constant + INDEX_KEY_BYTES * shapes.index_size * tokens / ratio
    if shapes.recurs.any():
        constant = constant + state_bytes(shapes, sharding)
    return shapes.count * (cached * FORMAT_BYTES[cache_formats] + constant) / sharding.pipeline
