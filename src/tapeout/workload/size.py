"""How many parameters a model has, exactly, from its shape: the weights that its checkpoint stores, by part.

Multi-token-prediction layers, vision and audio towers, buffers and quantisation scales are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from tapeout.workload.architecture import Architecture, Attention, FeedForward, Latent, LayerGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Parameters by part; `experts` are all routed ones, `chosen_experts` those that one token passes."""

    embedding: int
    head: int
    attention: int
    dense: int
    shared_experts: int
    experts: int
    chosen_experts: int
    router: int
    norms: int

    @property
    def total(self) -> int:
        """All parameters."""
        return self.embedding + self.head + self.attention + self.dense + self.shared_experts + self.experts + self.router + self.norms

    @property
    def active(self) -> int:
        """Parameters that one token meets, embedding and head included."""
        return self.total - self.experts + self.chosen_experts


def size(architecture: Architecture) -> Size:
    """The parameters of `architecture` by part."""
    hidden, groups = architecture.hidden, architecture.groups
    table = architecture.vocabulary * hidden
    final_norm = hidden * (2 if architecture.final_norm_bias else 1)
    return Size(
        embedding=table + architecture.learned_positions * hidden,
        head=(0 if architecture.tied_embeddings else table) + (architecture.vocabulary if architecture.head_bias else 0),
        attention=sum(group.count * attention_parameters(group.attention, hidden) for group in groups),
        dense=sum(group.count * _inner(group.feed_forward, hidden) for group in groups if not group.feed_forward.experts),
        shared_experts=sum(group.count * _shared(group.feed_forward, hidden) for group in groups),
        experts=sum(group.count * group.feed_forward.experts * _inner(group.feed_forward, hidden) for group in groups),
        chosen_experts=sum(group.count * group.feed_forward.experts_per_token * _inner(group.feed_forward, hidden) for group in groups),
        router=sum(group.count * _router(group.feed_forward, hidden) for group in groups),
        norms=final_norm + sum(group.count * group.norms * hidden * (2 if group.norm_bias else 1) for group in groups),
    )


def parameters(architecture: Architecture) -> int:
    """All parameters of the model."""
    return size(architecture).total


def active_parameters(architecture: Architecture) -> int:
    """Parameters that one token meets, embedding and head included; equal to `parameters` without experts."""
    return size(architecture).active


def kv_elements_per_token(group: LayerGroup) -> int:
    """Elements that the layers of `group` together cache for one token.

    >>> attention = Attention(heads=32, kv_heads=8, head_size=128, value_size=128)
    >>> kv_elements_per_token(LayerGroup(count=32, attention=attention, feed_forward=FeedForward(size=14336)))
    65536
    """
    attention = group.attention
    if attention.latent is not None:
        return group.count * (attention.latent.kv_rank + attention.latent.rope_size)
    return group.count * attention.kv_heads * (attention.head_size + attention.value_size)


def attention_parameters(attention: Attention, hidden: int) -> int:
    """Parameters of the attention of one layer: projections, biases, norms on query and key, sinks and gates."""
    latent = attention.latent
    into = _grouped_inputs(attention, hidden) if latent is None else _latent_inputs(attention, latent, hidden)
    out = attention.heads * attention.value_size * hidden + (hidden if attention.output_bias else 0)
    gates = hidden * attention.heads if attention.head_gate else 0
    return into + out + gates + (attention.heads if attention.sinks else 0)


def _grouped_inputs(attention: Attention, hidden: int) -> int:
    query, key = attention.heads * attention.head_size, attention.kv_heads * attention.head_size
    value = 0 if attention.values_from_keys else attention.kv_heads * attention.value_size
    columns = query + key + value
    found = hidden * columns + (columns if attention.input_bias else 0)
    if attention.query_key_norm:
        found += query + key if attention.norm_across_heads else 2 * attention.head_size
    return found


def _latent_inputs(attention: Attention, latent: Latent, hidden: int) -> int:
    """Down-projections with their norms and biases, and up-projections of queries, keys and values."""
    query = attention.heads * attention.head_size
    down = latent.kv_rank + latent.rope_size
    up = attention.heads * (attention.head_size - latent.rope_size + attention.value_size)
    found = hidden * down + latent.kv_rank * up + latent.kv_rank + (down if attention.input_bias else 0)
    if latent.query_rank is None:
        return found + hidden * query
    return found + latent.query_rank * (hidden + query + 1) + (latent.query_rank if attention.input_bias else 0)


def _inner(feed_forward: FeedForward, hidden: int) -> int:
    """Parameters of one dense feed-forward, or of one routed expert."""
    into = 2 if feed_forward.gated else 1
    return _matrices(feed_forward, feed_forward.size, hidden) + (into * feed_forward.size + hidden if feed_forward.bias else 0)


def _shared(feed_forward: FeedForward, hidden: int) -> int:
    return _matrices(feed_forward, feed_forward.shared_size, hidden) + (hidden if feed_forward.shared_gate else 0)


def _matrices(feed_forward: FeedForward, inner: int, hidden: int) -> int:
    return (3 if feed_forward.gated else 2) * hidden * inner


def _router(feed_forward: FeedForward, hidden: int) -> int:
    return feed_forward.experts * (hidden + (1 if feed_forward.router_bias else 0))
