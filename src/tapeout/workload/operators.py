"""The operators of one step: shapes, FLOPs and bytes on one chip, and no timing.

A step is a list of batches, each (sequences, new tokens a sequence, tokens already in the cache), so prefill, decode,
chunked and mixed steps are one thing. Everything broadcasts: `Shapes` rows against batch and sharding arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tapeout.workload.attention import attended, attention, attention_projections
from tapeout.workload.operation import ZERO, Batch, Operator, Role, Sharding, operator, product
from tapeout.workload.recurrence import recurrence_projections, recurrences
from tapeout.workload.shapes import Shapes

# What a step is made of is named here too: who asks for the operators needs nothing else.
__all__ = ["Batch", "Operator", "Role", "Sharding", "attended", "experts_touched", "operators"]

Array = NDArray[np.float64]


def operators(shapes: Shapes, batches: Sequence[Batch], sharding: Sharding) -> list[Operator]:
    """All operators of one step over all layers on one chip, in order of execution.

    `shapes` rows broadcast against the arrays of `batches` and `sharding`. `calls` counts the layers of the row, over all
    pipeline stages. An operator that no row needs is left out.
    """
    tokens: Array = np.asarray(sum(batch.sequences * batch.new_tokens for batch in batches), dtype=float)
    found: list[Operator] = []
    if shapes.attends.any():
        found += [*attention_projections(shapes, tokens, sharding), *attention(shapes, batches, sharding)]
    if shapes.recurs.any():
        found += [*recurrence_projections(shapes, tokens, sharding), *recurrences(shapes, batches, sharding)]
    return [
        *found,
        *_feed_forward(shapes, tokens, sharding),
        *_communication(shapes, tokens, sharding),
        *_residual(shapes, tokens),
        *_ends(shapes, tokens, batches, sharding),
    ]


def experts_touched(experts: Array, draws: Array) -> Array:
    """Expected number of distinct experts among `draws` independent uniform picks: E (1 - (1 - 1/E)^draws).

    >>> float(experts_touched(np.array(8.0), np.array(2.0)))
    1.875
    """
    safe = np.maximum(experts, 2.0)
    return np.where(experts > 1, safe * -np.expm1(draws * np.log1p(-1 / safe)), np.minimum(experts, draws))


def _feed_forward(shapes: Shapes, tokens: Array, sharding: Sharding) -> list[Operator]:
    dense, routed = shapes.count * (~shapes.routed & (shapes.ff_size > 0)), shapes.count * shapes.routed
    into = shapes.ff_matrices - 1
    inner = shapes.ff_size / sharding.tensor
    found = [
        product("feed-forward in", Role.LINEAR, dense * (into > 0), tokens, shapes.hidden, np.maximum(into, 0.0) * inner),
        product("feed-forward out", Role.LINEAR, dense, tokens, inner, shapes.hidden),
    ]
    return found + _experts(shapes, tokens, sharding, routed) if shapes.routed.any() else found


def _experts(shapes: Shapes, tokens: Array, sharding: Sharding, routed: Array) -> list[Operator]:
    joined, into = sharding.ranks_joined, shapes.ff_matrices - 1
    width = shapes.ff_size / (sharding.tensor * joined / sharding.expert)
    draws = tokens * joined * shapes.experts_per_token
    touched = experts_touched(shapes.experts, draws) / sharding.expert
    rows, seen = draws / sharding.expert, _seen_by_experts(shapes)
    found = [product("router", Role.HEAD, routed, tokens, shapes.hidden, shapes.experts)]
    compressed = routed * (shapes.latent_size > 0)
    if compressed.any():
        found.append(product("experts' latent down", Role.LINEAR, compressed, tokens, shapes.hidden, shapes.latent_size))
    # A token is sorted to its experts once, before the first of the two products: on every chip, or where it was sent to.
    passed = np.where(joined > 1, np.minimum(tokens * joined, rows), tokens)
    for name, first, second, units in (("experts in", seen, into * width, passed), ("experts out", width, seen, ZERO)):
        found.append(
            operator(name, Role.EXPERT, routed, flops=2 * rows * first * second, weights=touched * first * second,
                     elements=rows * (first + second), rows=rows, inner=first, peers=sharding.expert, units=units)
        )  # fmt: skip
    if compressed.any():
        found.append(product("experts' latent up", Role.LINEAR, compressed, tokens, shapes.latent_size, shapes.hidden))
    if (shapes.shared_size > 0).any():
        shared, has_shared = shapes.shared_size / sharding.tensor, routed * (shapes.shared_size > 0)
        found += [
            product("shared experts in", Role.LINEAR, has_shared, tokens, shapes.hidden, into * shared),
            product("shared experts out", Role.LINEAR, has_shared, tokens, shared, shapes.hidden),
        ]
    return found


def _seen_by_experts(shapes: Shapes) -> Array:
    """Elements of a token that routed experts see: the hidden state, or its projection."""
    return np.where(shapes.latent_size > 0, shapes.latent_size, shapes.hidden)


def _communication(shapes: Shapes, tokens: Array, sharding: Sharding) -> list[Operator]:
    """All-reduces after each part of a layer under tensor parallelism, all-to-all where ranks share experts, sends between stages."""
    joined = sharding.ranks_joined
    split, shares = sharding.tensor > 1, joined > 1
    reduced = tokens * shapes.hidden
    routed = shapes.count * shapes.routed
    spread = np.minimum(shapes.experts_per_token, joined) * tokens * _seen_by_experts(shapes) * (joined - 1) / joined
    # A layer whose experts are shared between ranks combines by all-to-all, so only its attention is all-reduced.
    reductions = shapes.count * split * shapes.parts - routed * (split & shares)
    sends = shapes.head_share * (sharding.pipeline - 1)
    return [
        operator("all-reduce", Role.ALL_REDUCE, reductions, message=reduced, peers=np.maximum(sharding.tensor, 1.0)),
        operator("dispatch and combine", Role.ALL_TO_ALL, 2 * routed * shares, message=spread, peers=joined),
        operator("stage to stage", Role.SEND, sends, message=reduced / sharding.tensor, peers=np.asarray(2.0)),
    ]


def _residual(shapes: Shapes, tokens: Array) -> list[Operator]:
    """What is mixed around each part of a layer, in 16 bits, beyond a plain residual.

    Hyper-connections read all streams to find the mixture, read them again for the input of the part, and read and write them for its
    output, in two kernels; the small matrix of the mixture is left out. Attention residuals read their sources and write one result.
    """
    mixed, sites = shapes.streams > 1, shapes.count * shapes.parts
    found = []
    if mixed.any():
        moved = tokens * (2 * shapes.streams + 1) * shapes.hidden
        found.append(operator("stream mixing", Role.ELEMENTWISE, 2 * sites * mixed, elements=moved))
    if shapes.sources.any():
        moved = tokens * (shapes.sources + 2) * shapes.hidden
        found.append(operator("attention residuals", Role.ELEMENTWISE, sites * (shapes.sources > 0), elements=moved))
    return found


def _ends(shapes: Shapes, tokens: Array, batches: Sequence[Batch], sharding: Sharding) -> list[Operator]:
    """The output head for one row a sequence, logits gathered and sampled, and the elementwise work of every layer.

    Sampling reads and writes the logits once each, in 32 bits; the embedding reads and writes one row a token.
    """
    sequences: Array = np.asarray(sum(batch.sequences for batch in batches), dtype=float)
    # A layer of one part alone has half the small kernels of one of two.
    share = shapes.parts / 2
    mixed = (shapes.heads * shapes.head_size + shapes.state_heads * shapes.state_value_size) / sharding.tensor
    logits, sampled = sequences * shapes.vocabulary, shapes.head_share * (sharding.tensor > 1)
    return [
        product("head", Role.HEAD, shapes.head_share, sequences, shapes.hidden, shapes.vocabulary / sharding.tensor),
        operator("gather of logits", Role.ALL_GATHER, sampled, message=logits, peers=np.maximum(sharding.tensor, 1.0)),
        operator("embedding, sampling", Role.ELEMENTWISE, shapes.head_share, elements=2 * tokens * shapes.hidden + 4 * logits),
        operator(
            "norms, rotary, residuals", Role.ELEMENTWISE, shapes.count * share, elements=tokens * (8 * shapes.hidden + 3 * mixed / share)
        ),
    ]
