"""What a model occupies on one chip: weights by format and KV cache per token; arrays over `Shapes` rows and cases."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.units import Unit
from tapeout.workload.numerics import FORMAT_BYTES
from tapeout.workload.operators import Batch, Role, Sharding, operators
from tapeout.workload.shapes import Shapes

Array = NDArray[np.float64]
BytesPerChip = Annotated[Array, Unit("B")]
BytesPerToken = Annotated[Array, Unit("B/token")]


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
    """Bytes of KV cache that a sequence of `tokens` holds on one chip, by row; layers with a window hold at most the window."""
    grouped = np.maximum(1.0, shapes.kv_heads / sharding.tensor) * (shapes.head_size + shapes.value_size)
    elements = np.where(shapes.latent, shapes.kv_rank + shapes.rope_size, grouped)
    return shapes.count * elements * np.minimum(tokens, shapes.window) * FORMAT_BYTES[cache_formats] / sharding.pipeline
