"""What the families of models share: attention, windows and experts as `config.json` states them, and layers sorted into groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapeout.workload.architecture import Architecture, Attention, FeedForward, LayerGroup, Recurrence, Residual
from tapeout.workload.configuration import MOST_LAYERS, Configuration

FULL, SLIDING, LINEAR = "full_attention", "sliding_attention", "linear_attention"


PLAIN = Residual()
"""A residual connection that only adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer, before equal ones are counted."""

    attention: Attention | None = None
    recurrence: Recurrence | None = None
    feed_forward: FeedForward | None = None
    norms: int = 2
    norm_bias: bool = False
    residual: Residual = PLAIN


def grouped(layers: Sequence[Layer]) -> tuple[LayerGroup, ...]:
    """Equal layers counted, in the order in which their kinds first appear."""
    counts = dict[Layer, int]()
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + 1
    return tuple(
        LayerGroup(
            count=count, attention=layer.attention, recurrence=layer.recurrence, feed_forward=layer.feed_forward, norms=layer.norms,
            norm_bias=layer.norm_bias, residual=layer.residual,
        )
        for layer, count in counts.items()
    )  # fmt: skip


def layer_count(config: Configuration, key: str = "num_hidden_layers") -> int:
    """Number of layers."""
    return config.whole(key, most=MOST_LAYERS)


def head_size(config: Configuration) -> int:
    """`head_dim`, or the hidden size over the heads, which must then divide it."""
    if config.has("head_dim"):
        return config.whole("head_dim")
    return divided_head_size(config, "hidden_size", "num_attention_heads")


def divided_head_size(config: Configuration, hidden_key: str, heads_key: str) -> int:
    """The hidden size over the heads; raises UnsupportedModelError where the heads do not divide it."""
    hidden, heads = config.whole(hidden_key), config.whole(heads_key)
    if hidden % heads:
        raise config.fault(
            heads_key, "the heads do not divide the hidden size", given=f"{heads} heads, hidden size {hidden}", hint="or give head_dim"
        )
    return hidden // heads


def kv_heads(config: Configuration, heads: int, key: str = "num_key_value_heads", default: int | None = None) -> int:
    """KV heads, as many as heads where not given; raises UnsupportedModelError where they do not divide the heads."""
    return divisor(config, key, heads, "KV heads", heads if default is None else default)


def divisor(config: Configuration, key: str, heads: int, parts: str, default: int | None = None) -> int:
    """How many `parts` share the heads; raises UnsupportedModelError where they do not divide them."""
    found = config.whole(key, default)
    if heads % found:
        raise config.fault(key, f"the {parts} do not divide the heads", given=f"{heads} heads, {found} {parts}")
    return found


def grouped_attention(
    config: Configuration,
    *,
    window: int | None = None,
    query_key_norm: bool = False,
    input_bias: bool = False,
    output_bias: bool = False,
) -> Attention:
    """Grouped-query attention under the key names of Llama."""
    heads, size = config.whole("num_attention_heads"), head_size(config)
    return Attention(
        heads=heads,
        kv_heads=kv_heads(config, heads),
        head_size=size,
        value_size=size,
        window=window,
        query_key_norm=query_key_norm,
        input_bias=input_bias,
        output_bias=output_bias,
    )


def windows(config: Configuration, layers: int, default: Sequence[bool]) -> list[int | None]:
    """The window of each layer: by `layer_types` where given, else where `default` says so; its size is `sliding_window`."""
    sliding = list(default)
    if config.has("layer_types"):
        sliding = [kind == SLIDING for kind in config.one_per_layer("layer_types", layers, (FULL, SLIDING))]
    if not any(sliding):
        return [None] * layers
    window = config.whole("sliding_window")
    return [window if slides else None for slides in sliding]


def experts_per_token(config: Configuration, experts: int, key: str = "num_experts_per_tok") -> int:
    """Experts that a token passes; raises UnsupportedModelError where there are not as many."""
    chosen = config.whole(key)
    if chosen > experts:
        raise config.fault(key, "more experts per token than experts", given=f"{chosen} of {experts}")
    return chosen


def assembled(
    config: Configuration,
    name: str,
    layers: Sequence[Layer],
    *,
    tied: bool = False,
    predictor: Sequence[Layer] | None = None,
    context: int | None = None,
) -> Architecture:
    """The architecture of these layers with the sizes under their usual keys; `tied` and `context` are the family's own defaults.

    `predictor` are the layers of one multi-token-prediction head, like the last layer of the model unless given.
    """
    heads = config.whole(
        config.either("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"), 0, least=0, most=MOST_LAYERS
    )
    return Architecture(
        name=name,
        family=config.word("model_type"),
        hidden=config.whole("hidden_size"),
        vocabulary=config.whole("vocab_size"),
        max_context=config.whole("max_position_embeddings", context),
        groups=grouped(layers),
        tied_embeddings=config.flag("tie_word_embeddings", tied),
        predictors=heads,
        predictor_groups=grouped([*(predictor or layers[-1:])] * heads),
    )
