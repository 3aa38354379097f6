"""The operators of one step: shapes, FLOPs and bytes on one chip, and no timing.

A step is a list of batches, each (sequences, new tokens a sequence, tokens already in the cache), so prefill, decode,
chunked and mixed steps are one thing. Everything broadcasts: `Shapes` rows against batch and sharding arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.units import Unit
from tapeout.workload.shapes import Shapes

Array = NDArray[np.float64]
Numbers = Annotated[Array, Unit("1")]
TokenNumbers = Annotated[Array, Unit("token")]
FlopNumbers = Annotated[Array, Unit("FLOP")]


class Role(StrEnum):
    """What an operator is, which decides its number format and its timing law."""

    LINEAR = "linear"
    EXPERT = "expert"
    HEAD = "head"
    PREFILL_ATTENTION = "prefill attention"
    DECODE_ATTENTION = "decode attention"
    ELEMENTWISE = "elementwise"
    ALL_REDUCE = "all-reduce"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator on one chip; arrays over the rows of `Shapes` and the cases. A step runs it `calls` times.

    `rows`, `weights` and `elements` are the activation rows, the weight elements read and the activation elements moved;
    `cache` the KV elements read; `message` the elements that one chip sends to its `peers`. Attention also counts `units` of
    independent work, a (sequence, KV head) pair each.
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


ZERO: Array = np.zeros(())


def _operator(name: str, role: Role, calls: Array, **arrays: Array) -> Operator:
    filled = {key: arrays.get(key, ZERO) for key in ("flops", "weights", "elements", "cache", "message", "peers", "units")}
    return Operator(name=name, role=role, calls=np.asarray(calls, dtype=float), **filled)


def _product(name: str, role: Role, calls: Array, rows: Array, inner: Array, outer: Array) -> Operator:
    """A matrix product of (rows x inner) by (inner x outer), weights read once."""
    return _operator(name, role, calls, flops=2 * rows * inner * outer, weights=inner * outer, elements=rows * (inner + outer))


def operators(shapes: Shapes, batches: Sequence[Batch], sharding: Sharding) -> list[Operator]:
    """All operators of one step over all layers on one chip, in order of execution.

    `shapes` rows broadcast against the arrays of `batches` and `sharding`. `calls` counts the layers of the row, over all
    pipeline stages.
    """
    tokens: Array = np.asarray(sum(batch.sequences * batch.new_tokens for batch in batches), dtype=float)
    return [
        *_attention_projections(shapes, tokens, batches, sharding),
        *(_attention(shapes, batch, sharding, index) for index, batch in enumerate(batches)),
        *_feed_forward(shapes, tokens, sharding),
        *_communication(shapes, tokens, sharding),
        *_ends(shapes, tokens, batches, sharding),
    ]


def _kv_heads_per_chip(shapes: Shapes, sharding: Sharding) -> Array:
    return np.maximum(1.0, shapes.kv_heads / sharding.tensor)


def _attention_projections(shapes: Shapes, tokens: Array, batches: Sequence[Batch], sharding: Sharding) -> list[Operator]:
    grouped, latent = shapes.count * ~shapes.latent, shapes.count * shapes.latent
    heads, kv_heads = shapes.heads / sharding.tensor, _kv_heads_per_chip(shapes, sharding)
    into = heads * shapes.head_size + kv_heads * (shapes.head_size + shapes.value_size)
    out = heads * shapes.value_size
    found = [_product("query, key, value", Role.LINEAR, grouped, tokens, shapes.hidden, into)]
    if shapes.latent.any():
        # Ranks are projected on every chip; only the per-head part is split. A model without a query rank projects queries directly.
        down = shapes.query_rank + shapes.kv_rank + shapes.rope_size
        query_inner = np.where(shapes.query_rank > 0, shapes.query_rank, shapes.hidden)
        no_rope = shapes.head_size - shapes.rope_size
        found += [
            _product("latent down", Role.LINEAR, latent, tokens, shapes.hidden, down),
            _product("latent query up", Role.LINEAR, latent, tokens, query_inner, heads * shapes.head_size),
            # Decode absorbs the key-value up-projection into queries and outputs, prefill expands it: the same products either way.
            _product("latent key-value up", Role.LINEAR, latent, tokens, shapes.kv_rank, heads * (no_rope + shapes.value_size)),
        ]
    found.append(_product("attention out", Role.LINEAR, shapes.count, tokens, out, shapes.hidden))
    return found


def attended(batch: Batch, window: Array) -> Array:
    """Query-key pairs of one sequence: causal, each query looking back on at most `window` tokens, itself included.

    >>> float(attended(Batch(sequences=np.array(1.0), new_tokens=np.array(4.0), context=np.array(0.0)), np.array(1e18)))
    10.0
    >>> float(attended(Batch(sequences=np.array(1.0), new_tokens=np.array(4.0), context=np.array(6.0)), np.array(3.0)))
    12.0
    """
    first = np.minimum(np.maximum(window - batch.context, 0.0), batch.new_tokens)
    growing: Array = first * batch.context + first * (first + 1) / 2
    return growing + (batch.new_tokens - first) * np.minimum(window, batch.context + batch.new_tokens)


def _attention(shapes: Shapes, batch: Batch, sharding: Sharding, index: int) -> Operator:
    decode = np.asarray(batch.new_tokens) <= 1
    role = Role.DECODE_ATTENTION if bool(np.all(decode)) else Role.PREFILL_ATTENTION
    heads = shapes.heads / sharding.tensor
    kv_heads = np.where(shapes.latent, 1.0, _kv_heads_per_chip(shapes, sharding))
    pairs = attended(batch, shapes.window)
    # Latent decode works in the rank: queries meet cached vectors of kv_rank + rope_size, values are the kv_rank part.
    absorbed = shapes.latent & decode
    key_size = np.where(absorbed, shapes.kv_rank + shapes.rope_size, shapes.head_size)
    value_size = np.where(absorbed, shapes.kv_rank, shapes.value_size)
    cached = np.where(shapes.latent, shapes.kv_rank + shapes.rope_size, kv_heads * (shapes.head_size + shapes.value_size))
    span = np.minimum(batch.context + batch.new_tokens, shapes.window + batch.new_tokens)
    return _operator(
        f"attention {index}", role, shapes.count,
        flops=2 * batch.sequences * heads * pairs * (key_size + value_size),
        cache=batch.sequences * span * cached,
        elements=batch.sequences * batch.new_tokens * heads * (shapes.head_size + shapes.value_size),
        units=batch.sequences * kv_heads,
    )  # fmt: skip


def experts_touched(experts: Array, draws: Array) -> Array:
    """Expected number of distinct experts among `draws` independent uniform picks: E (1 - (1 - 1/E)^draws).

    >>> float(experts_touched(np.array(8.0), np.array(2.0)))
    1.875
    """
    safe = np.maximum(experts, 2.0)
    return np.where(experts > 1, safe * -np.expm1(draws * np.log1p(-1 / safe)), np.minimum(experts, draws))


def _feed_forward(shapes: Shapes, tokens: Array, sharding: Sharding) -> list[Operator]:
    dense, routed = shapes.count * ~shapes.routed, shapes.count * shapes.routed
    into = shapes.ff_matrices - 1
    inner = shapes.ff_size / sharding.tensor
    found = [
        _product("feed-forward in", Role.LINEAR, dense, tokens, shapes.hidden, into * inner),
        _product("feed-forward out", Role.LINEAR, dense, tokens, inner, shapes.hidden),
    ]
    if not shapes.routed.any():
        return found
    joined = sharding.ranks_joined
    width = shapes.ff_size / (sharding.tensor * joined / sharding.expert)
    draws = tokens * joined * shapes.experts_per_token
    touched = experts_touched(shapes.experts, draws) / sharding.expert
    rows = draws / sharding.expert
    shared = shapes.shared_size / sharding.tensor
    has_shared = routed * (shapes.shared_size > 0)
    found.append(_product("router", Role.HEAD, routed, tokens, shapes.hidden, shapes.experts))
    for name, first, second in (("experts in", shapes.hidden, into * width), ("experts out", width, shapes.hidden)):
        found.append(
            _operator(name, Role.EXPERT, routed, flops=2 * rows * first * second, weights=touched * first * second,
                      elements=rows * (first + second), peers=sharding.expert)
        )  # fmt: skip
    if (shapes.shared_size > 0).any():
        found += [
            _product("shared experts in", Role.LINEAR, has_shared, tokens, shapes.hidden, into * shared),
            _product("shared experts out", Role.LINEAR, has_shared, tokens, shared, shapes.hidden),
        ]
    return found


def _communication(shapes: Shapes, tokens: Array, sharding: Sharding) -> list[Operator]:
    """Two all-reduces a layer under tensor parallelism, dispatch and combine where attention ranks share experts, sends between stages."""
    joined = sharding.ranks_joined
    split, shares = sharding.tensor > 1, joined > 1
    reduced = tokens * shapes.hidden
    routed = shapes.count * shapes.routed
    spread = np.minimum(shapes.experts_per_token, joined) * reduced * (joined - 1) / joined
    # A layer whose experts are shared between ranks combines by all-to-all, so only its attention is all-reduced.
    reductions = shapes.count * split * 2 - routed * (split & shares)
    sends = shapes.head_share * (sharding.pipeline - 1)
    return [
        _operator("all-reduce", Role.ALL_REDUCE, reductions, message=reduced, peers=np.maximum(sharding.tensor, 1.0)),
        _operator("dispatch and combine", Role.ALL_TO_ALL, 2 * routed * shares, message=spread, peers=joined),
        _operator("stage to stage", Role.SEND, sends, message=reduced / sharding.tensor, peers=np.asarray(2.0)),
    ]


def _ends(shapes: Shapes, tokens: Array, batches: Sequence[Batch], sharding: Sharding) -> list[Operator]:
    """The output head for one row a sequence, and the elementwise work of every layer: norms, rotary, activation, residuals."""
    sequences: Array = np.asarray(sum(batch.sequences for batch in batches), dtype=float)
    passes = 8 * shapes.hidden + 3 * (shapes.heads / sharding.tensor) * shapes.head_size
    return [
        _product("head", Role.HEAD, shapes.head_share, sequences, shapes.hidden, shapes.vocabulary / sharding.tensor),
        _operator("norms, rotary, residuals", Role.ELEMENTWISE, shapes.count, elements=tokens * passes),
    ]
