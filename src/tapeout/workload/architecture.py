"""The shape of a decoder-only language model, independent of the file it was read from.

Layers of one kind form a `LayerGroup`; a model is a tuple of groups, so alternating windows, leading dense layers, interleaved
experts and layers that keep a state instead of a cache need no special case.
"""

from __future__ import annotations

from dataclasses import dataclass

from tapeout.errors import UnsupportedModelError


def _require_positive(**sizes: int | None) -> None:
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise UnsupportedModelError(f"{name} must be at least 1", given=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """Ranks of multi-head latent attention: keys and values are cached as one vector of `kv_rank + rope_size` elements."""

    kv_rank: int
    rope_size: int
    query_rank: int | None = None

    def __post_init__(self) -> None:
        _require_positive(kv_rank=self.kv_rank, rope_size=self.rope_size, query_rank=self.query_rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexer:
    """What chooses the tokens that sparse attention meets: `heads` small queries score one key of `head_size` for each cached token.

    `weighted` indexers (DeepSeek) sum the heads' scores by projected weights and stand whole on every chip; others (MiniMax) choose
    for each KV head apart, and are split with those. Keys are scored in blocks of `block` tokens, of which the best are taken whole.
    """

    heads: int
    head_size: int
    weighted: bool
    block: int = 1

    def __post_init__(self) -> None:
        _require_positive(heads=self.heads, head_size=self.head_size, block=self.block)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """Keys merged before they are cached: one entry for each `ratio` tokens, from `overlap` windows of as many tokens each."""

    ratio: int
    overlap: int = 1

    def __post_init__(self) -> None:
        _require_positive(ratio=self.ratio, overlap=self.overlap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Attention of one layer; `head_size` of queries and keys (with the rotary part), `value_size` of values.

    `window` is the number of tokens that a query looks back on, None where it sees the whole context; `chosen` the most cached
    entries that an indexer leaves to a query. With `compression` a query sees its window token by token and what is merged beside it.
    `query_key_norm` has one vector for all heads, or one over all of them where `norm_across_heads` is set. `values_from_keys` means
    that keys and values share one projection, `one_cache` that they are one vector, cached once. A projection to `gate_size` numbers
    a head gates the output; an output projection by way of `output_groups` of rank `output_rank` replaces the single matrix.
    """

    heads: int
    kv_heads: int
    head_size: int
    value_size: int
    window: int | None = None
    latent: Latent | None = None
    query_rank: int | None = None
    query_key_norm: bool = False
    norm_across_heads: bool = False
    input_bias: bool = False
    output_bias: bool = False
    sinks: bool = False
    values_from_keys: bool = False
    one_cache: bool = False
    gate_size: int = 0
    output_rank: int | None = None
    output_groups: int = 1
    chosen: int | None = None
    indexer: Indexer | None = None
    compression: Compression | None = None

    def __post_init__(self) -> None:
        _require_positive(
            heads=self.heads, kv_heads=self.kv_heads, head_size=self.head_size, value_size=self.value_size, window=self.window,
            query_rank=self.query_rank, output_rank=self.output_rank, output_groups=self.output_groups, chosen=self.chosen,
        )  # fmt: skip
        if self.heads % self.kv_heads:
            raise UnsupportedModelError("attention heads must divide into KV heads", given=f"{self.heads} heads, {self.kv_heads} KV heads")
        if self.indexer is not None and self.chosen is None:
            raise UnsupportedModelError("an indexer must say how many tokens it chooses", given=self.chosen)
        if self.heads % self.output_groups:
            raise UnsupportedModelError("heads must divide into output groups", given=f"{self.heads} heads, {self.output_groups} groups")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A layer that keeps a state instead of a cache: a matrix of `key_size` x `value_size` for each of `heads`, whatever the context.

    Gated delta nets, Kimi delta attention, lightning attention and Mamba-2 are one shape: `key_heads` of queries and keys (C and B of
    Mamba-2), values, an output gate as wide as the values. With `delta` the state gives up what it held for a key before it takes the
    new value. `controls` numbers a head are projected for decay and step, and through `decay_rank` one decay for each key channel.
    `convolution` is the width of the short convolution over queries, keys and values, 0 without one; `gate_rank` is None where the
    gate has a matrix of its own. Prefill works on `chunk` tokens at once. `state_format` is that of the state (fp32 as stacks
    keep it, unless the checkpoint asks for bf16); `head_parameters` and `norm_size` are what is learned beside the matrices.
    """

    heads: int
    key_heads: int
    key_size: int
    value_size: int
    delta: bool
    controls: int
    chunk: int
    convolution: int = 0
    convolution_bias: bool = False
    gate_rank: int | None = None
    decay_rank: int | None = None
    head_parameters: int = 0
    norm_size: int = 0
    input_bias: bool = False
    output_bias: bool = False
    state_format: str = "fp32"

    def __post_init__(self) -> None:
        _require_positive(
            heads=self.heads, key_heads=self.key_heads, key_size=self.key_size, value_size=self.value_size, chunk=self.chunk,
            gate_rank=self.gate_rank, decay_rank=self.decay_rank,
        )  # fmt: skip
        if self.heads % self.key_heads:
            raise UnsupportedModelError("state heads must divide into key heads", given=f"{self.heads} heads, {self.key_heads} key heads")

    @property
    def channels(self) -> int:
        """Queries, keys and values of one token, which the short convolution passes over."""
        return 2 * self.key_heads * self.key_size + self.heads * self.value_size


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """Feed-forward of one layer: dense where `experts` is 0, else a mixture; `size` is the inner size of one expert.

    `shared_size` is the inner size of all shared experts together, which every token passes. With `latent_size` the routed experts
    work on a projection of the hidden state to that size. `linear` is a single matrix instead of a feed-forward.
    """

    size: int
    gated: bool = True
    linear: bool = False
    bias: bool = False
    experts: int = 0
    experts_per_token: int = 0
    shared_size: int = 0
    latent_size: int = 0
    router_bias: bool = False
    shared_gate: bool = False

    def __post_init__(self) -> None:
        _require_positive(size=self.size)
        if min(self.experts, self.experts_per_token, self.shared_size, self.latent_size) < 0:
            raise UnsupportedModelError("experts, experts per token, shared and latent size must not be negative")
        if self.experts_per_token > self.experts:
            raise UnsupportedModelError("more experts per token than experts", given=f"{self.experts_per_token} of {self.experts}")
        if self.experts and not self.experts_per_token:
            raise UnsupportedModelError("a mixture of experts needs at least one expert per token", given=self.experts_per_token)
        if self.linear and self.experts:
            raise UnsupportedModelError("a linear layer has no experts", given=self.experts)

    @property
    def matrices(self) -> int:
        """Matrices of the hidden by the inner size: in, out, and one more where gated."""
        return 1 if self.linear else 3 if self.gated else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """What richer residual connections mix around each part of a layer.

    Hyper-connections keep `streams` copies of the residual and mix them; attention residuals weigh `sources` earlier results, a mean
    over the layers.
    """

    streams: int = 1
    sources: int = 0

    def __post_init__(self) -> None:
        _require_positive(streams=self.streams)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGroup:
    """`count` equal layers of attention, a recurrence or both side by side, and a feed-forward; each part may be missing.

    `norms` are the norm vectors of the hidden size in each, with a bias each where `norm_bias` is set.
    """

    count: int
    attention: Attention | None = None
    recurrence: Recurrence | None = None
    feed_forward: FeedForward | None = None
    norms: int = 2
    norm_bias: bool = False
    residual: Residual = Residual()

    def __post_init__(self) -> None:
        _require_positive(count=self.count)
        if self.parts < 1:
            raise UnsupportedModelError("a layer needs attention, a recurrence or a feed-forward", given=self.count)

    @property
    def parts(self) -> int:
        """Parts that follow one another in a layer: what mixes tokens, and the feed-forward."""
        return int(self.attention is not None or self.recurrence is not None) + int(self.feed_forward is not None)

    @property
    def heads(self) -> tuple[int, ...]:
        """Heads of attention and of a recurrence, which tensor parallelism must divide."""
        return tuple(part.heads for part in (self.attention, self.recurrence) if part is not None)

    @property
    def experts(self) -> int:
        """Routed experts of a layer."""
        return self.feed_forward.experts if self.feed_forward else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A model's shape.

    `expert_format` is set where the checkpoint stores its experts in a format of its own (gpt-oss: fp4), and `dense_format` is that of
    its other matrices; `cache_format` is set where the cache has one whatever the precision. `predictors` multi-token-prediction
    heads, with the layers `predictor_groups`, stand beside the model and run only where speculation is asked for.
    """

    name: str
    family: str
    hidden: int
    vocabulary: int
    max_context: int
    groups: tuple[LayerGroup, ...]
    tied_embeddings: bool = False
    learned_positions: int = 0
    head_bias: bool = False
    final_norm_bias: bool = False
    expert_format: str | None = None
    dense_format: str = "bf16"
    cache_format: str | None = None
    predictors: int = 0
    predictor_groups: tuple[LayerGroup, ...] = ()

    def __post_init__(self) -> None:
        _require_positive(hidden=self.hidden, vocabulary=self.vocabulary, max_context=self.max_context, layers=len(self.groups))

    @property
    def layers(self) -> int:
        """Number of layers."""
        return sum(group.count for group in self.groups)

    @property
    def has_experts(self) -> bool:
        """Whether any layer is a mixture of experts."""
        return any(group.experts for group in self.groups)
