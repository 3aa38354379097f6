"""What a step is made of: batches of sequences, how a model lies on chips, and operators with their roles.

Everything broadcasts: `Shapes` rows against batch and sharding arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.units import Unit

Array = NDArray[np.float64]
Numbers = Annotated[Array, Unit("1")]
TokenNumbers = Annotated[Array, Unit("token")]
FlopNumbers = Annotated[Array, Unit("FLOP")]
ByteNumbers = Annotated[Array, Unit("B")]


class Role(StrEnum):
    """What an operator is, which decides its number format and its timing law."""

    LINEAR = "linear"
    EXPERT = "expert"
    HEAD = "head"
    PREFILL_ATTENTION = "prefill attention"
    DECODE_ATTENTION = "decode attention"
    SPARSE_ATTENTION = "sparse attention"
    INDEXER = "indexer"
    RECURRENT = "recurrent"
    ELEMENTWISE = "elementwise"
    ALL_REDUCE = "all-reduce"
    ALL_GATHER = "all-gather"
    REDUCE_SCATTER = "reduce-scatter"
    ALL_TO_ALL = "all-to-all"
    SEND = "send"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`sequences` that each bring `new_tokens` to a cache that holds `context` tokens of them; arrays broadcast."""

    sequences: Numbers
    new_tokens: TokenNumbers
    context: TokenNumbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharding:
    """How a model lies on chips: arrays broadcast.

    `tensor` splits heads and inner sizes, `pipeline` splits layers, `expert` splits the experts; where `expert` exceeds
    `tensor`, several data-parallel attention ranks share one set of experts.
    """

    tensor: Numbers
    pipeline: Numbers
    expert: Numbers

    @property
    def ranks_joined(self) -> Array:
        """Attention ranks whose tokens meet in one expert layer."""
        return np.maximum(1.0, self.expert / self.tensor)


def _zero() -> Array:
    return np.zeros(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator on one chip; arrays over the rows of `Shapes` and the cases. A step runs it `calls` times.

    `rows`, `weights` and `elements` are the activation rows, the weight elements read and the activation elements moved; `inner` is
    the length of the sums of a product. Of attention `rows` are queries by head, `inner` the elements of a key and a value, `span` the
    tokens of the longest sequence looked back on and `latent` whether it works on a rank. `cache` are the KV elements read (of an
    indexer its keys); `message` the elements that one chip sends to its `peers`. `units` counts (sequence, KV head) pairs of decode,
    (sequence, head) pairs of prefill, queries of sparse attention in prefill, tokens that pass a router, and what an indexer or a
    recurrence passes one after the other: entries, tokens. `state` is what a recurrence reads and writes of its states; `reach` the
    most tokens that a query of attention looks back on.
    """

    name: str
    role: Role
    calls: Numbers
    flops: FlopNumbers
    weights: Numbers
    elements: Numbers
    cache: Numbers
    message: Numbers
    peers: Numbers
    units: Numbers
    rows: Numbers = field(default_factory=_zero)
    inner: Numbers = field(default_factory=_zero)
    span: TokenNumbers = field(default_factory=_zero)
    latent: Numbers = field(default_factory=_zero)
    state: ByteNumbers = field(default_factory=_zero)
    reach: TokenNumbers = field(default_factory=_zero)


ZERO: Array = np.zeros(())
_FILLED = ("flops", "weights", "elements", "cache", "message", "peers", "units", "rows", "inner", "span", "latent", "state", "reach")


def operator(name: str, role: Role, calls: Array, **arrays: Array) -> Operator:
    """An operator with zeros for what is not given."""
    filled = {key: arrays.get(key, ZERO) for key in _FILLED}
    return Operator(name=name, role=role, calls=np.asarray(calls, dtype=float), **filled)


def product(name: str, role: Role, calls: Array, rows: Array, inner: Array, outer: Array) -> Operator:
    """A matrix product of (rows x inner) by (inner x outer), weights read once."""
    weights = inner * outer
    return operator(name, role, calls, flops=2 * rows * weights, weights=weights, elements=rows * (inner + outer), rows=rows, inner=inner)


def shared_heads(heads: Array, sharding: Sharding) -> Array:
    """Heads of keys on one chip: split while there are several, then repeated; none stays none."""
    return np.minimum(heads, np.maximum(1.0, heads / sharding.tensor))
