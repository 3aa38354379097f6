"""Operators of attention: projections, the scores of an indexer, and queries meeting keys.

Dense, windowed, latent, sparse and compressed attention are one set of arrays; an operator that no row needs is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tapeout.workload.operation import Batch, Operator, Role, Sharding, operator, product, shared_heads
from tapeout.workload.shapes import UNBOUNDED, Shapes

Array = NDArray[np.float64]


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


def attention_projections(shapes: Shapes, tokens: Array, sharding: Sharding) -> list[Operator]:
    """Products into and out of attention; what is projected to a rank or for an indexer stands on every chip."""
    layers, latent, indexed = shapes.count * shapes.attends, shapes.latent, shapes.index_heads > 0
    heads, has_latent = shapes.heads / sharding.tensor, bool(latent.any())
    into = shapes.query_rank + heads * shapes.query_columns + shared_heads(shapes.kv_heads, sharding) * shapes.kv_columns
    if indexed.any():
        into = into + shapes.index_split * (shared_heads(shapes.index_heads, sharding) * shapes.index_size + shapes.index_columns)
    found = [product("query, key, value", Role.LINEAR, layers * ~latent if has_latent else layers, tokens, shapes.hidden, into)]
    if has_latent:
        found += _latent_projections(shapes, tokens, layers * latent, heads)
    # A latent model without a query rank projects queries directly.
    ranked = shapes.query_rank > 0
    query_inner = np.where(ranked, shapes.query_rank, shapes.hidden)
    if has_latent or ranked.any():
        found.append(product("query up", Role.LINEAR, layers * (latent | ranked), tokens, query_inner, heads * shapes.head_size))
    if indexed.any() or shapes.ratio.any():
        found += _index_projections(shapes, tokens, query_inner)
    return [*found, *_output(shapes, tokens, sharding)]


def _latent_projections(shapes: Shapes, tokens: Array, layers: Array, heads: Array) -> list[Operator]:
    down = shapes.query_rank + shapes.kv_rank + shapes.rope_size
    up = heads * (shapes.head_size - shapes.rope_size + shapes.value_size)
    found = [
        product("latent down", Role.LINEAR, layers, tokens, shapes.hidden, down),
        # Decode absorbs the key-value up-projection into queries and outputs, prefill expands it: the same products either way.
        product("latent key-value up", Role.LINEAR, layers, tokens, shapes.kv_rank, up),
    ]
    gated = layers * (shapes.gate_size > 0)
    if gated.any():
        found.append(product("attention gate", Role.LINEAR, gated, tokens, shapes.hidden, heads * shapes.gate_size))
    return found


def _index_projections(shapes: Shapes, tokens: Array, query_inner: Array) -> list[Operator]:
    apart = (shapes.index_heads > 0) & (shapes.index_split == 0)
    columns = shapes.compressed_columns + shapes.index_columns * apart
    queries = shapes.index_heads * shapes.index_size
    return [
        product("merged and index keys", Role.LINEAR, shapes.count * (columns > 0), tokens, shapes.hidden, columns),
        product("index queries", Role.LINEAR, shapes.count * apart, tokens, query_inner, queries),
    ]


def _output(shapes: Shapes, tokens: Array, sharding: Sharding) -> list[Operator]:
    wide = shapes.heads / sharding.tensor * shapes.value_size
    ranked = shapes.output_rank > 0
    if not ranked.any():
        return [product("attention out", Role.LINEAR, shapes.count * shapes.attends, tokens, wide, shapes.hidden)]
    narrow = shared_heads(shapes.output_groups, sharding) * shapes.output_rank
    inner = np.where(ranked, narrow, wide)
    weights = wide * shapes.output_rank
    return [
        # Each group of heads has its own matrix, so every element of the heads meets one rank.
        operator("attention out by group", Role.LINEAR, shapes.count * ranked, flops=2 * tokens * weights, weights=weights,
                 elements=tokens * (wide + narrow), rows=tokens, inner=wide),
        product("attention out", Role.LINEAR, shapes.count * shapes.attends, tokens, inner, shapes.hidden),
    ]  # fmt: skip


def attention(shapes: Shapes, batches: Sequence[Batch], sharding: Sharding) -> list[Operator]:
    """Queries meeting keys, batch by batch: index scores where any row has an indexer, single tokens, and merged entries."""
    found: list[Operator] = []
    for index, batch in enumerate(batches):
        if shapes.index_heads.any():
            found.append(_scores(shapes, batch, sharding, index))
        single = np.asarray(batch.new_tokens) <= 1
        # Kernels for one new token a sequence and for many differ; where a batch holds both, a row counts in its own.
        for decode, rows in ((True, single), (False, ~single)):
            if rows.any():
                met = _met(shapes, batch, sharding, index, decode=decode)
                found += met if rows.all() else [replace(one, calls=one.calls * rows) for one in met]
    return found


def _met(shapes: Shapes, batch: Batch, sharding: Sharding, index: int, *, decode: bool) -> list[Operator]:
    """Attention of one batch; where prompts meet a choice of their context or merged entries, each query gathers its own."""
    role = Role.DECODE_ATTENTION if decode else Role.PREFILL_ATTENTION
    found = [_tokens(shapes, batch, sharding, role, f"attention {index}")]
    merges = bool(shapes.ratio.any())
    if not decode and (merges or (shapes.chosen < UNBOUNDED).any()):
        role = Role.SPARSE_ATTENTION
        gathers = (shapes.ratio > 0) | (shapes.attends & (batch.context + batch.new_tokens > shapes.chosen))
        (met,) = found
        queries = batch.sequences * batch.new_tokens
        gathered = replace(met, name=f"sparse attention {index}", role=role, calls=met.calls * gathers, units=queries)
        found = [replace(met, calls=met.calls * ~gathers), gathered]
    if merges:
        found.append(_merged(shapes, batch, sharding, role, f"merged attention {index}"))
    return found


def _tokens(shapes: Shapes, batch: Batch, sharding: Sharding, role: Role, name: str) -> Operator:
    heads, end = shapes.heads / sharding.tensor, batch.context + batch.new_tokens
    queries, span = batch.sequences * batch.new_tokens * heads, np.minimum(end, shapes.reach + batch.new_tokens)
    key_size, value_size, kv_heads = shapes.head_size, shapes.value_size, shared_heads(shapes.kv_heads, sharding)
    cached, latent = kv_heads * shapes.kv_cached, shapes.latent
    if latent.any():
        # Latent decode works in the rank: queries meet cached vectors of kv_rank + rope_size, values are the kv_rank part. So does
        # sparse prefill, once there is more context than is chosen of it.
        vector = shapes.kv_rank + shapes.rope_size
        absorbed = latent & ((np.asarray(batch.new_tokens) <= 1) | (end > shapes.chosen))
        key_size, value_size = np.where(absorbed, vector, key_size), np.where(absorbed, shapes.kv_rank, value_size)
        cached, kv_heads = np.where(latent, vector, cached), np.where(latent, 1.0, kv_heads)
    inner = key_size + value_size
    return operator(
        name, role, shapes.count * shapes.attends,
        flops=2 * batch.sequences * heads * attended(batch, shapes.reach) * inner,
        cache=batch.sequences * span * cached,
        elements=queries * (shapes.head_size + shapes.value_size),
        units=batch.sequences * (kv_heads if role is Role.DECODE_ATTENTION else heads),
        rows=queries,
        inner=inner,
        span=span,
        latent=latent.astype(float),
        reach=shapes.reach,
    )  # fmt: skip


def _merged(shapes: Shapes, batch: Batch, sharding: Sharding, role: Role, name: str) -> Operator:
    """The entries that stand for `ratio` tokens each, all of them or the best `chosen`; one kernel with the single tokens."""
    ratio, heads = np.maximum(shapes.ratio, 1.0), shapes.heads / sharding.tensor
    entries = np.minimum((batch.context + batch.new_tokens) / ratio, shapes.chosen + batch.new_tokens)
    pairs = attended(batch, ratio * shapes.chosen) / ratio
    return operator(
        name, role, shapes.count * (shapes.ratio > 0),
        flops=2 * batch.sequences * heads * pairs * (shapes.head_size + shapes.value_size),
        cache=batch.sequences * entries * shared_heads(shapes.kv_heads, sharding) * shapes.kv_cached,
        inner=shapes.head_size + shapes.value_size,
        reach=ratio * shapes.chosen,
    )  # fmt: skip


def _scores(shapes: Shapes, batch: Batch, sharding: Sharding, index: int) -> Operator:
    """Every query scores the key of every token (or merged entry) before it; the scores are written, and read to find the best."""
    ratio, block = np.maximum(shapes.ratio, 1.0), np.maximum(shapes.index_block, 1.0)
    split = shapes.index_split > 0
    heads = np.where(split, shared_heads(shapes.index_heads, sharding), shapes.index_heads)
    pairs = batch.sequences * attended(batch, np.asarray(UNBOUNDED)) / ratio
    return operator(
        f"index scores {index}", Role.INDEXER, shapes.count * (shapes.index_heads > 0),
        flops=2 * pairs * heads * shapes.index_size,
        cache=batch.sequences * (batch.context + batch.new_tokens) / ratio * shapes.index_size,
        elements=pairs * np.where(split, heads, 1.0) / block,
        units=(batch.context + batch.new_tokens) / (ratio * block),
        reach=np.asarray(UNBOUNDED),
    )  # fmt: skip
