"""The shape of a decoder-only transformer, independent of the file it was read from.

Layers of one kind form a `LayerGroup`; a model is a tuple of groups, so alternating windows, leading dense layers and
interleaved experts need no special case.
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
class Attention:
    """Attention of one layer; `head_size` of queries and keys (with the rotary part), `value_size` of values.

    `window` is the number of tokens that a query looks back on, None where it sees the whole context. `query_key_norm` has one
    vector for all heads, or one over all of them where `norm_across_heads` is set. `values_from_keys` means that keys and values
    share one projection (both are still cached); `head_gate` that a projection to one number a head gates the output.
    """

    heads: int
    kv_heads: int
    head_size: int
    value_size: int
    window: int | None = None
    latent: Latent | None = None
    query_key_norm: bool = False
    norm_across_heads: bool = False
    input_bias: bool = False
    output_bias: bool = False
    sinks: bool = False
    values_from_keys: bool = False
    head_gate: bool = False

    def __post_init__(self) -> None:
        _require_positive(
            heads=self.heads, kv_heads=self.kv_heads, head_size=self.head_size, value_size=self.value_size, window=self.window
        )
        if self.heads % self.kv_heads:
            raise UnsupportedModelError("attention heads must divide into KV heads", given=f"{self.heads} heads, {self.kv_heads} KV heads")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """Feed-forward of one layer: dense where `experts` is 0, else a mixture; `size` is the inner size of one expert.

    `shared_size` is the inner size of all shared experts together, which every token passes.
    """

    size: int
    gated: bool = True
    bias: bool = False
    experts: int = 0
    experts_per_token: int = 0
    shared_size: int = 0
    router_bias: bool = False
    shared_gate: bool = False

    def __post_init__(self) -> None:
        _require_positive(size=self.size)
        if min(self.experts, self.experts_per_token, self.shared_size) < 0:
            raise UnsupportedModelError("experts, experts per token and the shared size must not be negative")
        if self.experts_per_token > self.experts:
            raise UnsupportedModelError("more experts per token than experts", given=f"{self.experts_per_token} of {self.experts}")
        if self.experts and not self.experts_per_token:
            raise UnsupportedModelError("a mixture of experts needs at least one expert per token", given=self.experts_per_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGroup:
    """`count` equal layers; `norms` norm vectors of the hidden size in each, with a bias each where `norm_bias` is set."""

    count: int
    attention: Attention
    feed_forward: FeedForward
    norms: int = 2
    norm_bias: bool = False

    def __post_init__(self) -> None:
        _require_positive(count=self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A model's shape. `expert_format` is set where the checkpoint stores its experts in a format of its own (gpt-oss: fp4)."""

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

    def __post_init__(self) -> None:
        _require_positive(hidden=self.hidden, vocabulary=self.vocabulary, max_context=self.max_context, layers=len(self.groups))

    @property
    def layers(self) -> int:
        """Number of layers."""
        return sum(group.count for group in self.groups)

    @property
    def has_experts(self) -> bool:
        """Whether any layer is a mixture of experts."""
        return any(group.feed_forward.experts for group in self.groups)
