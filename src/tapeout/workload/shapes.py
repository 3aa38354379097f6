"""Model shapes as arrays: one row per layer group, so that any number of models is evaluated at once without a loop.

`shapes(architecture)` has one row per group; `Shapes.take` gathers rows, so thousands of cases over many models become one
set of arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.units import Unit
from tapeout.workload.architecture import Architecture, Attention, FeedForward, LayerGroup, Recurrence
from tapeout.workload.numerics import FORMAT_BYTES, Format

Array = Annotated[NDArray[np.float64], Unit("1")]

UNBOUNDED = 1e18
"""Window of a layer that sees its whole context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Arrays of one length, a row per layer group; the fields are those of `LayerGroup`, with zeros for what a layer lacks.

    `head_share` is the share of the model's output head (and of its embedding) that the row carries: 1 in its first group. `parts`
    counts what follows one another in a layer. Of attention, `reach` is the most single tokens that a query looks back on;
    `query_columns` are projected from the hidden state a head, with its gate, `kv_columns` a KV head, which keeps `kv_cached` elements;
    `compressed_columns` and `index_columns` are projected on every chip. Columns that start with `state` are those of `Recurrence`.
    """

    count: Array
    parts: Array
    hidden: Array
    heads: Array
    kv_heads: Array
    head_size: Array
    value_size: Array
    kv_columns: Array
    kv_cached: Array
    window: Array
    chosen: Array
    reach: Array
    query_rank: Array
    query_columns: Array
    kv_rank: Array
    rope_size: Array
    gate_size: Array
    output_rank: Array
    output_groups: Array
    ratio: Array
    overlap: Array
    compressed_columns: Array
    index_heads: Array
    index_size: Array
    index_columns: Array
    index_block: Array
    index_split: Array
    state_heads: Array
    state_key_heads: Array
    state_key_size: Array
    state_value_size: Array
    state_delta: Array
    state_controls: Array
    state_gate_rank: Array
    state_decay_rank: Array
    state_chunk: Array
    state_convolution: Array
    state_bytes: Annotated[NDArray[np.float64], Unit("B")]
    ff_size: Array
    ff_matrices: Array
    experts: Array
    experts_per_token: Array
    shared_size: Array
    latent_size: Array
    streams: Array
    sources: Array
    vocabulary: Array
    head_share: Array
    untied: Array

    def __len__(self) -> int:
        return len(self.count)

    def take(self, rows: NDArray[np.int64]) -> Shapes:
        """The rows `rows`, in that order."""
        return Shapes(**{field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)})

    @property
    def routed(self) -> NDArray[np.bool_]:
        """Rows whose feed-forward is a mixture of experts."""
        return self.experts > 0

    @property
    def latent(self) -> NDArray[np.bool_]:
        """Rows with multi-head latent attention."""
        return self.kv_rank > 0

    @property
    def attends(self) -> NDArray[np.bool_]:
        """Rows with attention."""
        return self.heads > 0

    @property
    def recurs(self) -> NDArray[np.bool_]:
        """Rows that keep a state."""
        return self.state_heads > 0


def shapes(architecture: Architecture) -> Shapes:
    """The shape of one model, a row per layer group."""
    return concatenated([architecture])


def concatenated(architectures: Sequence[Architecture]) -> Shapes:
    """The shapes of several models, one after the other."""
    rows = [_row(model, group, index == 0) for model in architectures for index, group in enumerate(model.groups)]
    columns = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}
    return Shapes(**columns)


def _row(model: Architecture, group: LayerGroup, first: bool) -> dict[str, float]:
    row = {
        "count": group.count,
        "parts": group.parts,
        "hidden": model.hidden,
        "streams": group.residual.streams,
        "sources": group.residual.sources,
        "vocabulary": model.vocabulary,
        "head_share": 1.0 if first else 0.0,
        "untied": 0.0 if model.tied_embeddings else 1.0,
    }
    row |= _attention_row(group.attention) if group.attention else dict.fromkeys(_ATTENTION, 0.0)
    row |= _recurrence_row(group.recurrence) if group.recurrence else dict.fromkeys(_RECURRENCE, 0.0)
    return row | (_feed_forward_row(group.feed_forward) if group.feed_forward else dict.fromkeys(_FEED_FORWARD, 0.0))


def _attention_row(attention: Attention) -> dict[str, float]:
    latent, indexer, merged = attention.latent, attention.indexer, attention.compression
    ranks = latent or attention
    # Keys, gates of the merging, and for a weighted indexer one weight a head.
    copies = 2 * merged.overlap if merged else 1
    one_vector = attention.values_from_keys or attention.one_cache
    window, chosen = attention.window or UNBOUNDED, attention.chosen or UNBOUNDED
    return {
        "heads": attention.heads,
        "kv_heads": attention.kv_heads,
        "head_size": attention.head_size,
        "value_size": attention.value_size,
        "kv_columns": attention.head_size + (0 if one_vector else attention.value_size),
        "kv_cached": attention.head_size + (0 if attention.one_cache else attention.value_size),
        "window": window,
        "chosen": chosen,
        "reach": window if merged else min(window, chosen),
        "query_rank": ranks.query_rank or 0,
        "query_columns": attention.gate_size + (0 if ranks.query_rank else attention.head_size),
        "kv_rank": latent.kv_rank if latent else 0,
        "rope_size": latent.rope_size if latent else 0,
        "gate_size": attention.gate_size,
        "output_rank": attention.output_rank or 0,
        "output_groups": attention.output_groups,
        "ratio": merged.ratio if merged else 0,
        "overlap": merged.overlap if merged else 0,
        "compressed_columns": copies * attention.head_size if merged else 0,
        "index_heads": indexer.heads if indexer else 0,
        "index_size": indexer.head_size if indexer else 0,
        "index_columns": copies * indexer.head_size + (indexer.heads if indexer.weighted else 0) if indexer else 0,
        "index_block": indexer.block if indexer else 0,
        "index_split": float(not indexer.weighted) if indexer else 0,
    }


def _recurrence_row(found: Recurrence) -> dict[str, float]:
    return {
        "state_heads": found.heads,
        "state_key_heads": found.key_heads,
        "state_key_size": found.key_size,
        "state_value_size": found.value_size,
        "state_delta": float(found.delta),
        "state_controls": found.controls,
        "state_gate_rank": found.gate_rank or 0,
        "state_decay_rank": found.decay_rank or 0,
        "state_chunk": found.chunk,
        "state_convolution": found.convolution,
        "state_bytes": FORMAT_BYTES[Format[found.state_format.upper()]],
    }


def _feed_forward_row(feed_forward: FeedForward) -> dict[str, float]:
    return {
        "ff_size": feed_forward.size,
        "ff_matrices": feed_forward.matrices,
        "experts": feed_forward.experts,
        "experts_per_token": feed_forward.experts_per_token,
        "shared_size": feed_forward.shared_size,
        "latent_size": feed_forward.latent_size,
    }


_ATTENTION = tuple(_attention_row(Attention(heads=1, kv_heads=1, head_size=1, value_size=1)))
_RECURRENCE = tuple(_recurrence_row(Recurrence(heads=1, key_heads=1, key_size=1, value_size=1, delta=False, controls=0, chunk=1)))
_FEED_FORWARD = tuple(_feed_forward_row(FeedForward(size=1)))
