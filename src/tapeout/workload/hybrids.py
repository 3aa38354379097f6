"""Families that mix attention with linear attention, each as one function from its `config.json` to an `Architecture`.

The key names and their defaults are those of the configuration classes of the Transformers library [huggingface-transformers, sec. models]
and of the models' own files [huggingface-model-pages, sec. config.json].
"""

from __future__ import annotations

from dataclasses import replace

from tapeout.workload.architecture import Architecture, FeedForward, Recurrence, Residual
from tapeout.workload.configuration import Configuration
from tapeout.workload.layers import FULL, LINEAR, Layer, assembled, divisor, experts_per_token, grouped_attention, head_size, layer_count
from tapeout.workload.mixtures import latent_attention

DELTA_CHUNK = 64
"""Tokens that the chunked kernels of delta rules take at once, as flash-linear-attention does."""
LIGHTNING_CHUNK = 256
"""Tokens that lightning attention takes at once, the block of the models' own kernels."""


def state_format(config: Configuration, key: str) -> str:
    """The format that the file asks for states, fp32 where it does not say."""
    formats = {"float32": "fp32", "bfloat16": "bf16"}
    given = config.word(key, "float32")
    if given not in formats:
        raise config.fault(key, "unknown format", given=given, allowed=", ".join(formats))
    return formats[given]


def qwen3_next(config: Configuration, name: str) -> Architecture:
    """Qwen3-Next and Qwen3.5: three of four layers gated delta nets, full attention with an output gate in the others."""
    layers, size = layer_count(config), head_size(config)
    bias = config.flag("attention_bias", False)
    attention = replace(
        grouped_attention(config, query_key_norm=True, input_bias=bias, output_bias=bias),
        gate_size=size if config.flag("attn_output_gate", True) else 0,
    )
    heads, values = config.whole("linear_num_value_heads"), config.whole("linear_value_head_dim")
    recurrence = Recurrence(
        heads=heads,
        key_heads=divisor(config, "linear_num_key_heads", heads, "key heads"),
        key_size=config.whole("linear_key_head_dim"),
        value_size=values,
        delta=True,
        controls=2,
        chunk=DELTA_CHUNK,
        convolution=config.whole("linear_conv_kernel_dim"),
        head_parameters=2,
        norm_size=values,
        state_format=state_format(config, "mamba_ssm_dtype"),
    )
    if config.has("layer_types"):
        full = [kind == FULL for kind in config.one_per_layer("layer_types", layers, (FULL, LINEAR))]
    else:
        period = config.whole("full_attention_interval", 4)
        full = [(index + 1) % period == 0 for index in range(layers)]
    passing = _qwen_feed_forwards(config, layers)
    found = [
        Layer(attention=attention, feed_forward=part) if attends else Layer(recurrence=recurrence, feed_forward=part)
        for attends, part in zip(full, passing, strict=True)
    ]
    return assembled(config, name, found, predictor=[Layer(attention=attention, feed_forward=passing[-1])])


def _qwen_feed_forwards(config: Configuration, layers: int) -> list[FeedForward]:
    if not config.has("num_experts"):
        return [FeedForward(size=config.whole("intermediate_size"))] * layers
    experts = config.whole("num_experts")
    shared = config.whole("shared_expert_intermediate_size", 0, least=0)
    routed = FeedForward(
        size=config.whole("moe_intermediate_size"),
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=shared,
        shared_gate=shared > 0,
    )
    step, exempt = config.whole("decoder_sparse_step", 1), set(config.wholes("mlp_only_layers"))
    plain = [index in exempt or bool((index + 1) % step) for index in range(layers)]
    dense = FeedForward(size=config.whole("intermediate_size")) if any(plain) else routed
    return [dense if is_plain else routed for is_plain in plain]


def kimi_linear(config: Configuration, name: str) -> Architecture:
    """Kimi Linear and the text decoder of Kimi K3: three of four layers Kimi delta attention, latent attention in the others.

    K3 gates its attention, has its experts work on a projection of the hidden state, and weighs earlier blocks of layers in its
    residual: half of them on average, the embedding, and the block that runs.
    """
    layers, experts = layer_count(config), config.whole("num_experts")
    mixing = config.table("linear_attn_config")
    latent = latent_attention(config)
    gated = config.flag("mla_use_output_gate", False)
    attention = replace(latent, gate_size=latent.value_size if gated else 0)
    size = mixing.whole("head_dim")
    recurrence = Recurrence(
        heads=mixing.whole("num_heads"),
        key_heads=mixing.whole("num_heads"),
        key_size=size,
        value_size=size,
        delta=True,
        controls=1,
        chunk=DELTA_CHUNK,
        convolution=mixing.whole("short_conv_kernel_size"),
        gate_rank=None if mixing.flag("use_full_rank_gate", False) else size,
        decay_rank=size,
        head_parameters=1 + size,
        norm_size=size,
    )
    delta = set(mixing.wholes("kda_layers"))
    unknown = {*delta, *mixing.wholes("full_attn_layers")} ^ set(range(1, layers + 1))
    if unknown:
        raise mixing.fault("kda_layers", "must name with full_attn_layers each layer from 1 on", given=sorted(unknown)[:3])
    inner = config.whole("moe_intermediate_size")
    routed = FeedForward(
        size=inner,
        experts=experts,
        experts_per_token=experts_per_token(config, experts, config.either("num_experts_per_token", "num_experts_per_tok")),
        shared_size=inner * config.whole("num_shared_experts", 0, least=0),
        latent_size=config.whole("routed_expert_hidden_size", 0, least=0),
        router_bias=True,
    )
    dense, leading = FeedForward(size=config.whole("intermediate_size")), config.whole("first_k_dense_replace", 0, least=0)
    block = config.whole("attn_res_block_size", 0, least=0)
    residual = Residual(sources=-(-layers // block) // 2 + 1 if block else 0)
    found = [
        Layer(
            attention=None if index + 1 in delta else attention,
            recurrence=recurrence if index + 1 in delta else None,
            feed_forward=routed if index >= leading else dense,
            residual=residual,
        )
        for index in range(layers)
    ]
    context = config.whole("model_max_length") if config.has("model_max_length") else None
    return replace(assembled(config, name, found, context=context), expert_format=_packed_experts(config))


def _packed_experts(config: Configuration) -> str | None:
    """The format of routed experts where the checkpoint packs them in four bits and leaves the other layers as they are."""
    if not config.has("quantization_config"):
        return None
    return "fp4" if config.table("quantization_config").word("format", "") == "mxfp4-pack-quantized" else None


def minimax_01(config: Configuration, name: str) -> Architecture:
    """MiniMax-Text-01 and M1: seven of eight layers lightning attention, which decays by a constant a head; the eighth is full."""
    layers, experts, size = layer_count(config), config.whole("num_local_experts"), head_size(config)
    heads = config.whole("num_attention_heads")
    attention = grouped_attention(config)
    recurrence = Recurrence(
        heads=heads, key_heads=heads, key_size=size, value_size=size, delta=False, controls=0, chunk=LIGHTNING_CHUNK, norm_size=heads * size
    )
    if config.has("attn_type_list"):
        full = [kind == 1 for kind in config.one_per_layer("attn_type_list", layers, (0, 1))]
    else:
        full = [kind == FULL for kind in config.one_per_layer("layer_types", layers, (FULL, LINEAR))]
    feed_forward = FeedForward(
        size=config.whole("intermediate_size"),
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=config.whole("shared_intermediate_size", 0, least=0),
    )
    found = [
        Layer(attention=attention, feed_forward=feed_forward) if attends else Layer(recurrence=recurrence, feed_forward=feed_forward)
        for attends in full
    ]
    return assembled(config, name, found)
