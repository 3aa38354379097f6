"""Families without experts, each as one function from its `config.json` to an `Architecture`.

The key names and their defaults are those of the configuration classes of the Transformers library [huggingface-transformers, sec. models].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tapeout.workload.architecture import Architecture, Attention, FeedForward
from tapeout.workload.configuration import Configuration
from tapeout.workload.layers import (
    FULL,
    SLIDING,
    Layer,
    assembled,
    divided_head_size,
    grouped,
    grouped_attention,
    head_size,
    kv_heads,
    layer_count,
    windows,
)


def llama(config: Configuration, name: str) -> Architecture:
    """Llama, and what shares its shape: RMS norms, gated feed-forward, every matrix with or without a bias."""
    bias = config.flag("attention_bias", False)
    feed_forward = FeedForward(size=config.whole("intermediate_size"), bias=config.flag("mlp_bias", False))
    attention = grouped_attention(config, input_bias=bias, output_bias=bias)
    return assembled(config, name, [Layer(attention=attention, feed_forward=feed_forward)] * layer_count(config))


def mistral(config: Configuration, name: str) -> Architecture:
    """Mistral and Phi-3: Llama with one window in all layers, where `sliding_window` gives one."""
    window = config.whole("sliding_window") if config.has("sliding_window") else None
    attention = grouped_attention(config, window=window)
    layer = Layer(attention=attention, feed_forward=FeedForward(size=config.whole("intermediate_size")))
    return assembled(config, name, [layer] * layer_count(config))


def nemotron_nas(config: Configuration, name: str) -> Architecture:
    """Llama-Nemotron: Llama cut by search, so each layer may lack attention or feed-forward, or have one matrix in its place."""
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    size, bias = head_size(config), config.flag("attention_bias", False)
    found: list[Layer] = []
    for block in config.tables("block_configs", layer_count(config)):
        mixing, passing = block.table("attention"), block.table("ffn")
        matrix = FeedForward(size=hidden, linear=True)
        attention, feed_forward = None, None
        if mixing.flag("replace_with_linear", False):
            found.append(Layer(feed_forward=matrix, norms=1))
        elif not mixing.flag("no_op", False):
            shared = mixing.whole("n_heads_in_group", most=heads)
            if heads % shared:
                raise mixing.fault("n_heads_in_group", "does not divide the heads", given=f"{shared} of {heads}")
            attention = Attention(
                heads=heads, kv_heads=heads // shared, head_size=size, value_size=size, input_bias=bias, output_bias=bias,
                window=mixing.whole("window_length") if mixing.has("window_length") else None,
            )  # fmt: skip
        if passing.flag("replace_with_linear", False):
            feed_forward = matrix
        elif not passing.flag("no_op", False):
            # Two thirds of the multiple of the hidden size, twice, rounded up to 256: gate and up share what one wide matrix would hold.
            inner = -(-int(2 * passing.fraction("ffn_mult") * hidden / 3) // 256) * 256
            feed_forward = FeedForward(size=max(inner, 1), bias=config.flag("mlp_bias", False))
        parts = (attention is not None) + (feed_forward is not None)
        if parts:
            found.append(Layer(attention=attention, feed_forward=feed_forward, norms=parts))
    if not found:
        raise config.fault("block_configs", "no layer does anything")
    return assembled(config, name, found)


def qwen2(config: Configuration, name: str) -> Architecture:
    """Qwen2, Qwen2.5 and MiMo-7B: a bias on query, key and value."""
    attention = grouped_attention(config, input_bias=config.flag("attention_bias", True))
    return _qwen(config, name, attention)


def qwen3(config: Configuration, name: str) -> Architecture:
    """Qwen3: norms on query and key instead of biases."""
    bias = config.flag("attention_bias", False)
    attention = grouped_attention(config, query_key_norm=True, input_bias=bias, output_bias=bias)
    return _qwen(config, name, attention)


def qwen_windows(config: Configuration, layers: int) -> list[int | None]:
    """Windows of Qwen: off unless `use_sliding_window`, and then on from layer `max_window_layers` on."""
    if not config.flag("use_sliding_window", False):
        return [None] * layers
    full = config.whole("max_window_layers", layers, least=0)
    return windows(config, layers, [index >= full for index in range(layers)])


def _qwen(config: Configuration, name: str, attention: Attention) -> Architecture:
    feed_forward = FeedForward(size=config.whole("intermediate_size"))
    spans = qwen_windows(config, layer_count(config))
    return assembled(config, name, [Layer(attention=replace(attention, window=span), feed_forward=feed_forward) for span in spans])


def gemma(config: Configuration, name: str) -> Architecture:
    """Gemma: Llama with tied embeddings."""
    attention = grouped_attention(config)
    layer = Layer(attention=attention, feed_forward=FeedForward(size=config.whole("intermediate_size")))
    return assembled(config, name, [layer] * layer_count(config), tied=True)


def gemma2(config: Configuration, name: str) -> Architecture:
    """Gemma 2: four norms a layer, every other layer with a window."""
    layers = layer_count(config)
    return _sandwiched(config, name, grouped_attention(config), windows(config, layers, [index % 2 == 0 for index in range(layers)]))


def gemma3(config: Configuration, name: str) -> Architecture:
    """Gemma 3: norms on query and key, five of six layers with a window."""
    layers, period = layer_count(config), config.whole("sliding_window_pattern", 6)
    attention = grouped_attention(config, query_key_norm=True)
    return _sandwiched(config, name, attention, windows(config, layers, [bool((index + 1) % period) for index in range(layers)]))


def _sandwiched(config: Configuration, name: str, attention: Attention, spans: Sequence[int | None]) -> Architecture:
    feed_forward = FeedForward(size=config.whole("intermediate_size"))
    layers = [Layer(attention=replace(attention, window=span), feed_forward=feed_forward, norms=4) for span in spans]
    return assembled(config, name, layers, tied=True)


def gemma4(config: Configuration, name: str) -> Architecture:
    """Gemma 4: full layers with heads of their own size and no value projection; with experts, a dense feed-forward beside them."""
    for key, operator in (("hidden_size_per_layer_input", "embeddings for each layer"), ("num_kv_shared_layers", "keys shared by layers")):
        if config.whole(key, 0, least=0):
            raise config.fault(key, f"{operator} are not modelled", given=config.whole(key), allowed="0")
    layers, heads = layer_count(config), config.whole("num_attention_heads")
    sliding = grouped_attention(config, window=config.whole("sliding_window"), query_key_norm=True)
    shared_values = config.flag("attention_k_eq_v", False)
    size = config.whole("global_head_dim", sliding.head_size)
    full = Attention(
        heads=heads,
        kv_heads=kv_heads(config, heads, "num_global_key_value_heads", sliding.kv_heads) if shared_values else sliding.kv_heads,
        head_size=size,
        value_size=size,
        query_key_norm=True,
        values_from_keys=shared_values,
    )
    kinds = {SLIDING: sliding, FULL: full}
    feed_forward, norms = FeedForward(size=config.whole("intermediate_size")), 4
    if config.flag("enable_moe_block", False):
        experts = config.whole("num_experts")
        chosen = config.whole("top_k_experts", most=experts)
        # The router scales its input by a vector of the hidden size, which counts as an eighth norm, and its output by expert.
        feed_forward, norms = (
            FeedForward(
                size=config.whole("moe_intermediate_size"),
                experts=experts,
                experts_per_token=chosen,
                shared_size=feed_forward.size,
                router_bias=True,
            ),
            8,
        )
    order = config.one_per_layer("layer_types", layers, tuple(kinds))
    return assembled(config, name, [Layer(attention=kinds[kind], feed_forward=feed_forward, norms=norms) for kind in order], tied=True)


def gptj(config: Configuration, name: str) -> Architecture:
    """GPT-J: attention and feed-forward side by side after one norm, and a bias on the output head."""
    hidden, heads = config.whole("n_embd"), config.whole("n_head")
    size = divided_head_size(config, "n_embd", "n_head")
    layer = Layer(
        attention=Attention(heads=heads, kv_heads=heads, head_size=size, value_size=size),
        feed_forward=FeedForward(size=config.whole("n_inner", 4 * hidden), gated=False, bias=True),
        norms=1,
        norm_bias=True,
    )
    return Architecture(
        name=name,
        family=config.word("model_type"),
        hidden=hidden,
        vocabulary=config.whole("vocab_size"),
        max_context=config.whole("n_positions"),
        groups=grouped([layer] * layer_count(config, "n_layer")),
        tied_embeddings=config.flag("tie_word_embeddings", False),
        head_bias=True,
        final_norm_bias=True,
    )


def gpt2(config: Configuration, name: str) -> Architecture:
    """GPT-2 and GPT-3: learned positions, biases everywhere, tied embeddings."""
    hidden, heads = config.whole("n_embd"), config.whole("n_head")
    size = divided_head_size(config, "n_embd", "n_head")
    layer = Layer(
        attention=Attention(heads=heads, kv_heads=heads, head_size=size, value_size=size, input_bias=True, output_bias=True),
        feed_forward=FeedForward(size=config.whole("n_inner", 4 * hidden), gated=False, bias=True),
        norm_bias=True,
    )
    positions = config.whole("n_positions")
    return Architecture(
        name=name,
        family=config.word("model_type"),
        hidden=hidden,
        vocabulary=config.whole("vocab_size"),
        max_context=positions,
        groups=grouped([layer] * layer_count(config, "n_layer")),
        tied_embeddings=config.flag("tie_word_embeddings", True),
        learned_positions=positions,
        final_norm_bias=True,
    )


def gpt_neox(config: Configuration, name: str) -> Architecture:
    """GPT-NeoX and Pythia: rotary positions, biases everywhere."""
    bias = config.flag("attention_bias", True)
    attention = grouped_attention(config, input_bias=bias, output_bias=bias)
    feed_forward = FeedForward(size=config.whole("intermediate_size"), gated=False, bias=True)
    layer = Layer(attention=attention, feed_forward=feed_forward, norm_bias=True)
    return replace(assembled(config, name, [layer] * layer_count(config)), final_norm_bias=True)


def falcon(config: Configuration, name: str) -> Architecture:
    """Falcon: multi-query or grouped attention beside the feed-forward.

    The head counts as a matrix of its own unless the file ties it, since the published checkpoints store one.
    """
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    size, bias = divided_head_size(config, "hidden_size", "num_attention_heads"), config.flag("bias", False)
    renewed = config.flag("new_decoder_architecture", False)
    if renewed:
        shared, norms = kv_heads(config, heads, "num_kv_heads"), config.whole("num_ln_in_parallel_attn", 2)
    else:
        shared = 1 if config.flag("multi_query", True) else heads
        norms = 1 if config.flag("parallel_attn", True) else 2
    layer = Layer(
        attention=Attention(heads=heads, kv_heads=shared, head_size=size, value_size=size, input_bias=bias, output_bias=bias),
        feed_forward=FeedForward(size=config.whole("ffn_hidden_size", 4 * hidden), gated=False, bias=bias),
        norms=norms,
        norm_bias=True,
    )
    return Architecture(
        name=name,
        family=config.word("model_type"),
        hidden=hidden,
        vocabulary=config.whole("vocab_size"),
        max_context=config.whole("max_position_embeddings", 2048),
        groups=grouped([layer] * layer_count(config)),
        tied_embeddings=config.flag("tie_word_embeddings", False),
        final_norm_bias=True,
    )
