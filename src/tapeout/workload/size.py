"""How many parameters a model has, exactly, from its shape: the weights that its checkpoint stores, by part.

Multi-token-prediction heads are counted apart; vision and audio towers, buffers and quantisation scales are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tapeout.workload.architecture import Architecture, Attention, FeedForward, Latent, LayerGroup, Recurrence, Residual


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Parameters by part; `experts` are all routed ones, `chosen_experts` those that one token passes.

    `shared_experts` holds what every token passes beside the routed experts: shared ones and the projections to a latent size.
    """

    embedding: int
    head: int
    attention: int
    recurrence: int
    dense: int
    shared_experts: int
    experts: int
    chosen_experts: int
    router: int
    norms: int

    @property
    def total(self) -> int:
        """All parameters."""
        mixed = self.attention + self.recurrence + self.dense + self.shared_experts + self.experts
        return self.embedding + self.head + mixed + self.router + self.norms

    @property
    def active(self) -> int:
        """Parameters that one token meets, embedding and head included."""
        return self.total - self.experts + self.chosen_experts


def size(architecture: Architecture) -> Size:
    """The parameters of `architecture` by part, without its multi-token-prediction heads."""
    hidden, table = architecture.hidden, architecture.vocabulary * architecture.hidden
    final_norm = hidden * (2 if architecture.final_norm_bias else 1)
    return _size(
        architecture.groups, hidden,
        embedding=table + architecture.learned_positions * hidden,
        head=(0 if architecture.tied_embeddings else table) + (architecture.vocabulary if architecture.head_bias else 0),
        norms=final_norm + _collapse(architecture),
    )  # fmt: skip


def predictor_parameters(architecture: Architecture) -> int:
    """Parameters of the multi-token-prediction heads: their layers, and for each the product that joins a hidden state with an embedding.

    Each has three norms beside those of its layers. Embedding and output head are the model's own.
    """
    joined = architecture.predictors * (2 * architecture.hidden**2 + 3 * architecture.hidden)
    return _size(architecture.predictor_groups, architecture.hidden, embedding=0, head=0, norms=joined).total


def _size(groups: Iterable[LayerGroup], hidden: int, *, embedding: int, head: int, norms: int) -> Size:
    groups = tuple(groups)
    mixed = [(group.count, group.feed_forward) for group in groups if group.feed_forward]
    return Size(
        embedding=embedding,
        head=head,
        attention=sum(group.count * attention_parameters(group.attention, hidden) for group in groups if group.attention),
        recurrence=sum(group.count * recurrence_parameters(group.recurrence, hidden) for group in groups if group.recurrence),
        dense=sum(count * _inner(part, hidden) for count, part in mixed if not part.experts),
        shared_experts=sum(count * _shared(part, hidden) for count, part in mixed),
        experts=sum(count * part.experts * _inner(part, hidden) for count, part in mixed),
        chosen_experts=sum(count * part.experts_per_token * _inner(part, hidden) for count, part in mixed),
        router=sum(count * _router(part, hidden) for count, part in mixed),
        norms=norms + sum(group.count * _norms(group, hidden) for group in groups),
    )


def parameters(architecture: Architecture) -> int:
    """All parameters of the model."""
    return size(architecture).total


def active_parameters(architecture: Architecture) -> int:
    """Parameters that one token meets, embedding and head included; equal to `parameters` without experts."""
    return size(architecture).active


def kv_elements_per_token(group: LayerGroup) -> float:
    """Elements that the layers of `group` together cache for one token; what is merged counts as its share.

    >>> attention = Attention(heads=32, kv_heads=8, head_size=128, value_size=128)
    >>> kv_elements_per_token(LayerGroup(count=32, attention=attention, feed_forward=FeedForward(size=14336)))
    65536
    """
    attention = group.attention
    if attention is None:
        return 0
    if attention.latent is not None:
        return group.count * (attention.latent.kv_rank + attention.latent.rope_size)
    elements = group.count * attention.kv_heads * (attention.head_size + (0 if attention.one_cache else attention.value_size))
    return elements / attention.compression.ratio if attention.compression else elements


def attention_parameters(attention: Attention, hidden: int) -> int:
    """Parameters of the attention of one layer: projections, biases, norms on query and key, sinks, gates, indexer and merging."""
    latent, wide = attention.latent, attention.heads * attention.value_size
    into = _grouped_inputs(attention, hidden) if latent is None else _latent_inputs(attention, latent, hidden)
    if attention.output_rank is None:
        out = wide * hidden
    else:
        out = wide * attention.output_rank + attention.output_groups * attention.output_rank * hidden
    gates = hidden * attention.heads * attention.gate_size
    sinks = attention.heads if attention.sinks else 0
    return into + out + (hidden if attention.output_bias else 0) + gates + sinks + _merging(attention, hidden) + _indexer(attention, hidden)


def _grouped_inputs(attention: Attention, hidden: int) -> int:
    query, key = attention.heads * attention.head_size, attention.kv_heads * attention.head_size
    one_vector = attention.values_from_keys or attention.one_cache
    columns = key + (0 if one_vector else attention.kv_heads * attention.value_size)
    rank = attention.query_rank
    found = hidden * columns + (hidden * query if rank is None else rank * (hidden + query + 1))
    if attention.input_bias:
        found += query + columns
    if attention.query_key_norm:
        found += query + key if attention.norm_across_heads else 2 * attention.head_size
    return found + (attention.head_size if attention.one_cache else 0)


def _latent_inputs(attention: Attention, latent: Latent, hidden: int) -> int:
    """Down-projections with their norms and biases, and up-projections of queries, keys and values."""
    query = attention.heads * attention.head_size
    down = latent.kv_rank + latent.rope_size
    up = attention.heads * (attention.head_size - latent.rope_size + attention.value_size)
    found = hidden * down + latent.kv_rank * up + latent.kv_rank + (down if attention.input_bias else 0)
    if latent.query_rank is None:
        return found + hidden * query
    return found + latent.query_rank * (hidden + query + 1) + (latent.query_rank if attention.input_bias else 0)


def _merging(attention: Attention, hidden: int) -> int:
    """Keys and gates of the merging for each of its overlapping windows, a learned position each, and a norm."""
    merged = attention.compression
    if merged is None:
        return 0
    return merged.overlap * attention.head_size * (2 * hidden + merged.ratio) + attention.head_size


def _indexer(attention: Attention, hidden: int) -> int:
    """Queries from the query rank where there is one, one key for each token or merged entry, weights, and norms."""
    indexer, merged = attention.indexer, attention.compression
    if indexer is None:
        return 0
    ranks = attention.latent or attention
    found = (ranks.query_rank or hidden) * indexer.heads * indexer.head_size + (hidden * indexer.heads if indexer.weighted else 0)
    if merged is None:
        return found + indexer.head_size * (hidden + 2)
    return found + merged.overlap * indexer.head_size * (2 * hidden + merged.ratio) + indexer.head_size


def recurrence_parameters(recurrence: Recurrence, hidden: int) -> int:
    """Parameters of a layer's recurrence: projections, short convolution, gates, decays, norms and what is learned for each head."""
    values = recurrence.heads * recurrence.value_size
    columns = recurrence.channels + recurrence.heads * recurrence.controls
    gate, decay = recurrence.gate_rank, recurrence.decay_rank
    gates = hidden * values if gate is None else gate * (hidden + values)
    decays = 0 if decay is None else decay * (hidden + recurrence.heads * recurrence.key_size)
    convolution = recurrence.channels * (recurrence.convolution + (1 if recurrence.convolution_bias else 0))
    biases = (columns + values if recurrence.input_bias else 0) + (hidden if recurrence.output_bias else 0)
    learned = recurrence.heads * recurrence.head_parameters + recurrence.norm_size
    return hidden * columns + gates + decays + convolution + values * hidden + biases + learned


def _inner(feed_forward: FeedForward, hidden: int) -> int:
    """Parameters of one dense feed-forward, or of one routed expert."""
    into = 2 if feed_forward.gated else 1
    seen = feed_forward.latent_size or hidden
    return feed_forward.matrices * seen * feed_forward.size + (into * feed_forward.size + seen if feed_forward.bias else 0)


def _shared(feed_forward: FeedForward, hidden: int) -> int:
    shared = feed_forward.matrices * hidden * feed_forward.shared_size + (hidden if feed_forward.shared_gate else 0)
    return shared + 2 * hidden * feed_forward.latent_size


def _router(feed_forward: FeedForward, hidden: int) -> int:
    return feed_forward.experts * (hidden + (1 if feed_forward.router_bias else 0))


def _norms(group: LayerGroup, hidden: int) -> int:
    return group.norms * hidden * (2 if group.norm_bias else 1) + group.parts * _mixing(group.residual, hidden)


def _mixing(residual: Residual, hidden: int) -> int:
    """What mixes the residual around one part: a matrix from all streams to their mixture, its offsets and three scales."""
    queries = 2 * hidden if residual.sources else 0
    if residual.streams == 1:
        return queries
    mixture = residual.streams * (residual.streams + 2)
    return queries + mixture * (residual.streams * hidden + 1) + 3


def _collapse(architecture: Architecture) -> int:
    """What folds the streams of hyper-connections into one before the output head."""
    streams = max(group.residual.streams for group in architecture.groups)
    return streams * (streams * architecture.hidden + 1) + 1 if streams > 1 else 0
