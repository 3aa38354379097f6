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
from tapeout.workload.architecture import Architecture, LayerGroup

Array = Annotated[NDArray[np.float64], Unit("1")]

UNBOUNDED = 1e18
"""Window of a layer that sees its whole context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Arrays of one length, a row per layer group; the fields are those of `LayerGroup`, with zeros for what a layer lacks.

    `head_share` is the share of the model's output head (and of its embedding) that the row carries: 1 in its first group.
    """

    count: Array
    hidden: Array
    heads: Array
    kv_heads: Array
    head_size: Array
    value_size: Array
    window: Array
    query_rank: Array
    kv_rank: Array
    rope_size: Array
    ff_size: Array
    ff_matrices: Array
    experts: Array
    experts_per_token: Array
    shared_size: Array
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


def shapes(architecture: Architecture) -> Shapes:
    """The shape of one model, a row per layer group."""
    return concatenated([architecture])


def concatenated(architectures: Sequence[Architecture]) -> Shapes:
    """The shapes of several models, one after the other."""
    rows = [_row(model, group, index == 0) for model in architectures for index, group in enumerate(model.groups)]
    columns = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}
    return Shapes(**columns)


def _row(model: Architecture, group: LayerGroup, first: bool) -> dict[str, float]:
    attention, feed_forward, latent = group.attention, group.feed_forward, group.attention.latent
    return {
        "count": group.count,
        "hidden": model.hidden,
        "heads": attention.heads,
        "kv_heads": attention.kv_heads,
        "head_size": attention.head_size,
        "value_size": attention.value_size,
        "window": attention.window or UNBOUNDED,
        "query_rank": (latent.query_rank or 0) if latent else 0,
        "kv_rank": latent.kv_rank if latent else 0,
        "rope_size": latent.rope_size if latent else 0,
        "ff_size": feed_forward.size,
        "ff_matrices": 3 if feed_forward.gated else 2,
        "experts": feed_forward.experts,
        "experts_per_token": feed_forward.experts_per_token,
        "shared_size": feed_forward.shared_size,
        "vocabulary": model.vocabulary,
        "head_share": 1.0 if first else 0.0,
        "untied": 0.0 if model.tied_embeddings else 1.0,
    }
