"""Families with experts, each as one function from its `config.json` to an `Architecture`.

The key names and their defaults are those of the configuration classes of the Transformers library [huggingface-transformers, sec. models].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tapeout.workload.architecture import Architecture, Attention, FeedForward, Indexer, Latent
from tapeout.workload.configuration import Configuration
from tapeout.workload.dense import qwen_windows
from tapeout.workload.layers import (
    FULL,
    SLIDING,
    Layer,
    assembled,
    experts_per_token,
    grouped_attention,
    head_size,
    kv_heads,
    layer_count,
    windows,
)


def mixtral(config: Configuration, name: str) -> Architecture:
    """Mixtral: experts in every layer, none shared."""
    experts = config.whole("num_local_experts")
    feed_forward = FeedForward(
        size=config.whole("intermediate_size"), experts=experts, experts_per_token=experts_per_token(config, experts)
    )
    window = config.whole("sliding_window") if config.has("sliding_window") else None
    layer = Layer(attention=grouped_attention(config, window=window), feed_forward=feed_forward)
    return assembled(config, name, [layer] * layer_count(config))


def qwen2_moe(config: Configuration, name: str) -> Architecture:
    """Qwen1.5-MoE and Qwen2-MoE: biases on query, key and value, and one gated shared expert."""
    attention = grouped_attention(config, input_bias=config.flag("qkv_bias", True))
    return _qwen_moe(config, name, attention, shared=config.whole("shared_expert_intermediate_size"))


def qwen3_moe(config: Configuration, name: str) -> Architecture:
    """Qwen3 with experts: norms on query and key, no shared expert."""
    bias = config.flag("attention_bias", False)
    attention = grouped_attention(config, query_key_norm=True, input_bias=bias, output_bias=bias)
    return _qwen_moe(config, name, attention, shared=0)


def _qwen_moe(config: Configuration, name: str, attention: Attention, *, shared: int) -> Architecture:
    layers, experts = layer_count(config), config.whole("num_experts")
    dense = FeedForward(size=config.whole("intermediate_size"))
    routed = FeedForward(
        size=config.whole("moe_intermediate_size"),
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=shared,
        shared_gate=shared > 0,
    )
    step, exempt = config.whole("decoder_sparse_step", 1), set(config.wholes("mlp_only_layers"))
    return assembled(
        config,
        name,
        [
            Layer(
                attention=replace(attention, window=window),
                feed_forward=dense if index in exempt or (index + 1) % step else routed,
            )
            for index, window in enumerate(qwen_windows(config, layers))
        ],
    )


def deepseek(config: Configuration, name: str) -> Architecture:
    """DeepSeek V2 to V3.2 and R1, Kimi K2 and GLM-5: latent attention, leading dense layers, shared experts.

    With `index_topk` an indexer chooses the tokens that attention meets, in every layer or, where layers share one, in those that
    `indexer_types` or `index_topk_freq` name.
    """
    full = latent_attention(config)
    if not config.has("index_topk"):
        return _led_by_dense(config, name, full, router_bias=_corrected(config))
    indexer = Indexer(heads=config.whole("index_n_heads"), head_size=config.whole("index_head_dim"), weighted=True)
    shared = replace(full, chosen=config.whole("index_topk"))
    kinds = [replace(shared, indexer=indexer) if scores else shared for scores in _indexed_layers(config, layer_count(config))]
    return _led_by_dense(config, name, replace(shared, indexer=indexer), router_bias=_corrected(config), by_layer=kinds)


def _corrected(config: Configuration) -> bool:
    """Whether a learned offset corrects the scores of the router."""
    return config.word("topk_method", "noaux_tc") == "noaux_tc"


def _indexed_layers(config: Configuration, layers: int) -> list[bool]:
    """Layers that score on their own: others take over what the last of these chose."""
    if config.has("indexer_types"):
        return [kind == "full" for kind in config.one_per_layer("indexer_types", layers, ("full", "shared"))]
    every, leading = config.whole("index_topk_freq", 1), config.whole("index_skip_topk_offset", 2, least=0)
    return [max(index - leading + 1, 0) % every == 0 for index in range(layers)]


def latent_attention(config: Configuration) -> Attention:
    """Multi-head latent attention under the key names of DeepSeek."""
    heads, rope = config.whole("num_attention_heads"), config.whole("qk_rope_head_dim")
    bias = config.flag("attention_bias", False)
    return Attention(
        heads=heads,
        kv_heads=heads,
        head_size=config.whole("qk_nope_head_dim") + rope,
        value_size=config.whole("v_head_dim"),
        latent=Latent(
            kv_rank=config.whole("kv_lora_rank"),
            rope_size=rope,
            query_rank=config.whole("q_lora_rank") if config.has("q_lora_rank") else None,
        ),
        input_bias=bias,
        output_bias=bias,
    )


def glm4_moe(config: Configuration, name: str) -> Architecture:
    """GLM-4.5 and 4.6: grouped attention in the frame of DeepSeek V3."""
    attention = grouped_attention(config, query_key_norm=config.flag("use_qk_norm", False), input_bias=config.flag("attention_bias", False))
    return _led_by_dense(config, name, attention, router_bias=True)


def _led_by_dense(
    config: Configuration, name: str, attention: Attention, *, router_bias: bool, by_layer: Sequence[Attention] | None = None
) -> Architecture:
    layers, experts = layer_count(config), config.whole("n_routed_experts")
    inner = config.whole("moe_intermediate_size")
    routed = FeedForward(
        size=inner,
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=inner * config.whole("n_shared_experts", 0, least=0),
        router_bias=router_bias,
    )
    leading = config.whole("first_k_dense_replace", 0, least=0, most=layers)
    dense = FeedForward(size=config.whole("intermediate_size"))
    every = config.whole("moe_layer_freq", 1)
    found = [
        Layer(attention=one, feed_forward=routed if index >= leading and index % every == 0 else dense)
        for index, one in enumerate(by_layer or [attention] * layers)
    ]
    return assembled(config, name, found, predictor=[Layer(attention=attention, feed_forward=routed)])


def minimax_m2(config: Configuration, name: str) -> Architecture:
    """MiniMax M2 to M2.7: full attention with norms over all heads, experts in every layer."""
    layers, experts = layer_count(config), config.whole("num_local_experts")
    if config.has("attn_type_list"):
        config.one_per_layer("attn_type_list", layers, (1,))  # 0 would be the linear attention of MiniMax-01
    attention = replace(
        grouped_attention(config, query_key_norm=config.flag("use_qk_norm", False)),
        norm_across_heads=config.word("qk_norm_type", "per_layer") == "per_layer",
    )
    feed_forward = FeedForward(
        size=config.whole("intermediate_size"),
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=config.whole("shared_intermediate_size", 0, least=0),
        router_bias=config.flag("use_routing_bias", False),
    )
    return assembled(config, name, [Layer(attention=attention, feed_forward=feed_forward)] * layers)


def gpt_oss(config: Configuration, name: str) -> Architecture:
    """gpt-oss: sinks, windows in every other layer, biases everywhere, experts stored in MXFP4."""
    layers, experts = layer_count(config), config.whole("num_local_experts")
    bias = config.flag("attention_bias", True)
    attention = replace(grouped_attention(config, input_bias=bias, output_bias=bias), sinks=True)
    feed_forward = FeedForward(
        size=config.whole("intermediate_size"),
        bias=True,
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        router_bias=True,
    )
    spans = windows(config, layers, [index % 2 == 0 for index in range(layers)])
    found = assembled(config, name, [Layer(attention=replace(attention, window=span), feed_forward=feed_forward) for span in spans])
    return replace(found, expert_format="fp4")


def llama4(config: Configuration, name: str) -> Architecture:
    """Llama 4: experts in every n-th layer with a shared one beside them; chunked attention in three layers of four.

    A chunk is taken as a window, the most that a query in it can see. The norm on query and key has no weights.
    """
    layers, experts = layer_count(config), config.whole("num_local_experts")
    attention = grouped_attention(config)
    chunk, period = config.whole("attention_chunk_size", 8192), config.whole("no_rope_layer_interval", 4)
    size = config.whole("intermediate_size")
    routed = FeedForward(size=size, experts=experts, experts_per_token=experts_per_token(config, experts), shared_size=size)
    dense, every = FeedForward(size=config.whole("intermediate_size_mlp")), config.whole("interleave_moe_layer_step", 1)
    return assembled(
        config,
        name,
        [
            Layer(
                attention=replace(attention, window=chunk if (index + 1) % period else None),
                feed_forward=dense if (index + 1) % every else routed,
            )
            for index in range(layers)
        ],
    )


def mimo_v2(config: Configuration, name: str) -> Architecture:
    """MiMo-V2-Flash: five of six layers with a short window, sinks and KV heads of their own; values smaller than keys."""
    layers, experts = layer_count(config), config.whole("n_routed_experts")
    heads, windowed_heads = config.whole("num_attention_heads"), config.whole("swa_num_attention_heads")
    full = Attention(
        heads=heads,
        kv_heads=kv_heads(config, heads),
        head_size=head_size(config),
        value_size=config.whole("v_head_dim"),
        sinks=config.flag("add_full_attention_sink_bias", False),
    )
    windowed = Attention(
        heads=windowed_heads,
        kv_heads=kv_heads(config, windowed_heads, "swa_num_key_value_heads"),
        head_size=config.whole("swa_head_dim"),
        value_size=config.whole("swa_v_head_dim"),
        window=config.whole("sliding_window"),
        sinks=config.flag("add_swa_attention_sink_bias", False),
    )
    inner = config.whole("moe_intermediate_size")
    routed = FeedForward(
        size=inner,
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=inner * config.whole("n_shared_experts", 0, least=0),
        router_bias=True,
    )
    dense = FeedForward(size=config.whole("intermediate_size"))
    kinds = zip(
        config.one_per_layer("hybrid_layer_pattern", layers, (0, 1)), config.one_per_layer("moe_layer_freq", layers, (0, 1)), strict=True
    )
    found = [Layer(attention=windowed if slides else full, feed_forward=routed if mixes else dense) for slides, mixes in kinds]
    return assembled(config, name, found)


def step3(config: Configuration, name: str) -> Architecture:
    """Step 3.5 and 3.7 Flash: three of four layers with a window and more heads, a gate on each head, one shared expert."""
    layers, experts = layer_count(config), config.whole(config.either("n_routed_experts", "moe_num_experts", "num_experts"))
    heads, size = config.whole("num_attention_heads"), head_size(config)
    kv_key = config.either("num_key_value_heads", "num_attention_groups")
    full = Attention(
        heads=heads,
        kv_heads=kv_heads(config, heads, kv_key),
        head_size=size,
        value_size=size,
        query_key_norm=True,
        gate_size=1 if config.flag("use_head_wise_attn_gate", True) else 0,
    )
    other = config.table("attention_other_setting") if config.has("attention_other_setting") else config
    windowed_heads = other.whole("num_attention_heads" if other is not config else "num_sliding_attention_heads", heads)
    windowed = replace(full, heads=windowed_heads, kv_heads=kv_heads(config, windowed_heads, kv_key), window=config.whole("sliding_window"))
    routed = FeedForward(
        size=config.whole("moe_intermediate_size"),
        experts=experts,
        experts_per_token=experts_per_token(config, experts, config.either("num_experts_per_tok", "moe_top_k")),
        shared_size=config.whole("share_expert_dim", 0, least=0),
        router_bias=True,
    )
    dense, leading = FeedForward(size=config.whole("intermediate_size")), config.whole("first_k_dense_replace", 3, least=0)
    kinds = {FULL: full, SLIDING: windowed}
    # The published list goes on over the multi-token-prediction layers, which are not counted.
    order = config.one_per_layer("layer_types", layers, tuple(kinds), longer=True)
    found = [Layer(attention=kinds[kind], feed_forward=routed if index >= leading else dense) for index, kind in enumerate(order)]
    return assembled(config, name, found, predictor=[Layer(attention=windowed, feed_forward=dense)])
