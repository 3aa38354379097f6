"""Families with Mamba-2 layers, each as one function from its `config.json` to an `Architecture`.

Key names and their defaults are those of the configuration classes of the Transformers library [huggingface-transformers, sec. models].
"""

from __future__ import annotations

from dataclasses import replace

from tapeout.workload.architecture import Architecture, Attention, FeedForward, Recurrence
from tapeout.workload.configuration import MOST_LAYERS, Configuration
from tapeout.workload.hybrids import state_format
from tapeout.workload.layers import Layer, assembled, divisor, experts_per_token, grouped_attention, kv_heads, layer_count

KINDS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""Kinds of Nemotron's layers by the letters of its pattern."""


def nemotron_h(config: Configuration, name: str) -> Architecture:
    """Nemotron-H and Nemotron 3: each layer is a Mamba-2 mixer, attention, a feed-forward or experts, alone and after one norm."""
    names = _pattern(config, "hybrid_override_pattern", "layers_block_type")
    if config.has("num_hidden_layers") and layer_count(config) != len(names):
        raise config.fault("num_hidden_layers", "differs from the pattern", given=layer_count(config), allowed=str(len(names)))
    made = {kind: _nemotron_layer(config, kind) for kind in dict.fromkeys(names)}
    predictor = None
    if config.has("mtp_hybrid_override_pattern") or config.has("mtp_layers_block_type"):
        predictor = [_nemotron_layer(config, kind) for kind in _pattern(config, "mtp_hybrid_override_pattern", "mtp_layers_block_type")]
    return assembled(config, name, [made[kind] for kind in names], predictor=predictor)


def _pattern(config: Configuration, letters_key: str, names_key: str) -> list[str]:
    if config.has(letters_key):
        letters = config.word(letters_key)
        if not letters or len(letters) > MOST_LAYERS or set(letters) - set(KINDS):
            raise config.fault(letters_key, "unknown kind of layer", given=letters[:MOST_LAYERS], allowed=", ".join(KINDS))
        return [KINDS[letter] for letter in letters]
    given = config.values.get(names_key)
    count = len(given) if isinstance(given, list) else 0
    names: list[str] = config.one_per_layer(names_key, count, tuple(KINDS.values()))
    if not 0 < count <= MOST_LAYERS:
        raise config.fault(names_key, "impossible number of layers", given=count, allowed=f"1 to {MOST_LAYERS}")
    return names


def _nemotron_layer(config: Configuration, kind: str) -> Layer:
    if kind == "mamba":
        recurrence = _mamba2(
            config, heads="mamba_num_heads", head_size="mamba_head_dim", groups="n_groups", state="ssm_state_size", width="conv_kernel",
            chunk="chunk_size",
        )  # fmt: skip
        return Layer(recurrence=replace(recurrence, convolution_bias=config.flag("use_conv_bias", True)), norms=1)
    if kind == "attention":
        heads, size = config.whole("num_attention_heads"), config.whole(config.either("head_dim", "attention_head_dim"))
        bias = config.flag("attention_bias", False)
        shared = kv_heads(config, heads)
        attention = Attention(heads=heads, kv_heads=shared, head_size=size, value_size=size, input_bias=bias, output_bias=bias)
        return Layer(attention=attention, norms=1)
    gated = config.word("mlp_hidden_act", "relu2") != "relu2"
    if kind == "mlp":
        return Layer(
            feed_forward=FeedForward(size=config.whole("intermediate_size"), gated=gated, bias=config.flag("mlp_bias", False)), norms=1
        )
    experts = config.whole("n_routed_experts")
    routed = FeedForward(
        size=config.whole("moe_intermediate_size"),
        gated=gated,
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=config.whole("moe_shared_expert_intermediate_size", 0, least=0) * config.whole("n_shared_experts", 1, least=0),
        latent_size=config.whole("moe_latent_size", 0, least=0),
        router_bias=True,
    )
    return Layer(feed_forward=routed, norms=1)


def mamba2(config: Configuration, name: str) -> Architecture:
    """Mamba-2: nothing but its mixers, each after one norm; it has no longest context, and the largest that any model serves is taken."""
    recurrence = _mamba2(
        config, heads="num_heads", head_size="head_dim", groups="n_groups", state="state_size", width="conv_kernel", chunk="chunk_size"
    )
    return assembled(config, name, [Layer(recurrence=recurrence, norms=1)] * layer_count(config), context=2**20)


def bamba(config: Configuration, name: str) -> Architecture:
    """Bamba: Mamba-2 with a gated feed-forward in each layer, attention in the few that `attn_layer_indices` names."""
    layers = layer_count(config)
    attended = set(config.wholes("attn_layer_indices"))
    if attended and max(attended) >= layers:
        raise config.fault("attn_layer_indices", "names a layer that is none", given=max(attended), allowed=f"0 to {layers - 1}")
    return _mixed(config, name, [index in attended for index in range(layers)], FeedForward(size=config.whole("intermediate_size")))


def granite_hybrid(config: Configuration, name: str) -> Architecture:
    """Granite 4: Mamba-2 or attention by `layer_types`, then a shared feed-forward with experts beside it where there are some."""
    layers, experts = layer_count(config), config.whole("num_local_experts", 0, least=0)
    shared = config.whole("shared_intermediate_size")
    feed_forward = FeedForward(size=shared)
    if experts:
        feed_forward = FeedForward(
            size=config.whole("intermediate_size"),
            experts=experts,
            experts_per_token=experts_per_token(config, experts),
            shared_size=shared,
        )
    order = config.one_per_layer("layer_types", layers, ("attention", "mamba"))
    return _mixed(config, name, [kind == "attention" for kind in order], feed_forward, tied=True)


def _mixed(config: Configuration, name: str, attends: list[bool], feed_forward: FeedForward, *, tied: bool = False) -> Architecture:
    attention, recurrence = grouped_attention(config), _mamba2(config)
    found = [
        Layer(attention=attention if one else None, recurrence=None if one else recurrence, feed_forward=feed_forward) for one in attends
    ]
    return assembled(config, name, found, tied=tied)


def falcon_h1(config: Configuration, name: str) -> Architecture:
    """Falcon-H1: attention and Mamba-2 side by side in every layer, then a gated feed-forward."""
    recurrence = _mamba2(config)
    inner = config.whole("mamba_d_ssm", recurrence.heads * recurrence.value_size)
    if inner != recurrence.heads * recurrence.value_size:
        raise config.fault(
            "mamba_d_ssm", "differs from the heads by their size", given=inner, allowed=str(recurrence.heads * recurrence.value_size)
        )
    layer = Layer(
        attention=grouped_attention(config),
        recurrence=recurrence if config.flag("mamba_rms_norm", False) else replace(recurrence, norm_size=0),
        feed_forward=FeedForward(size=config.whole("intermediate_size")),
    )
    return assembled(config, name, [layer] * layer_count(config))


def _mamba2(
    config: Configuration,
    *,
    heads: str = "mamba_n_heads",
    head_size: str = "mamba_d_head",
    groups: str = "mamba_n_groups",
    state: str = "mamba_d_state",
    width: str = "mamba_d_conv",
    chunk: str = "mamba_chunk_size",
) -> Recurrence:
    """A Mamba-2 mixer: B and C are its keys and queries, one pair for each group of heads; the step of each head is projected."""
    count, size = config.whole(heads), config.whole(head_size)
    bias = config.flag("mamba_proj_bias", False)
    return Recurrence(
        heads=count,
        key_heads=divisor(config, groups, count, "groups", 1),
        key_size=config.whole(state),
        value_size=size,
        delta=False,
        controls=1,
        chunk=config.whole(chunk, 256),
        convolution=config.whole(width, 4),
        convolution_bias=config.flag("mamba_conv_bias", True),
        head_parameters=3,
        norm_size=count * size,
        input_bias=bias,
        output_bias=bias,
        state_format=state_format(config, "mamba_ssm_cache_dtype"),
    )
