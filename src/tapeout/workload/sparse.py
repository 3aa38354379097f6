"""Families whose attention meets a choice of its context, each as one function from its `config.json` to an `Architecture`.

The key names and their defaults are those of the configuration classes of the Transformers library [huggingface-transformers, sec. models].
The indexer of DeepSeek V3.2 and GLM-5, whose frame is that of DeepSeek V3, is read in `mixtures`.
"""

from __future__ import annotations

from dataclasses import replace

from tapeout.workload.architecture import Architecture, Attention, Compression, FeedForward, Indexer, Residual
from tapeout.workload.configuration import Configuration
from tapeout.workload.layers import Layer, assembled, divisor, experts_per_token, grouped_attention, layer_count


def deepseek_v4(config: Configuration, name: str) -> Architecture:
    """DeepSeek V4: one KV head that is key and value, a short window, and beside it the context merged 4 or 128 to one.

    Of the entries that stand for 4 tokens an indexer chooses; those that stand for 128 are all met. Queries go through a rank, outputs
    through a rank by groups of heads; hyper-connections mix the residual. The last ratio of the list is that of the
    multi-token-prediction layer.
    """
    layers, experts = layer_count(config), config.whole("n_routed_experts")
    size, heads = config.whole("head_dim"), config.whole("num_attention_heads")
    windowed = Attention(
        heads=heads,
        kv_heads=1,
        head_size=size,
        value_size=size,
        window=config.whole("sliding_window"),
        query_rank=config.whole("q_lora_rank"),
        one_cache=True,
        sinks=True,
        output_rank=config.whole("o_lora_rank"),
        output_groups=divisor(config, "o_groups", heads, "groups"),
    )
    kinds = {
        0: windowed,
        4: replace(
            windowed,
            compression=Compression(ratio=4, overlap=2),
            chosen=config.whole("index_topk"),
            indexer=Indexer(heads=config.whole("index_n_heads"), head_size=config.whole("index_head_dim"), weighted=True),
        ),
        128: replace(windowed, compression=Compression(ratio=128)),
    }
    inner = config.whole("moe_intermediate_size")
    feed_forward = FeedForward(
        size=inner,
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=inner * config.whole("n_shared_experts", 0, least=0),
        router_bias=True,
    )
    residual = Residual(streams=config.whole("hc_mult", 1))
    ratios = config.one_per_layer("compress_ratios", layers, tuple(kinds), longer=True)
    found = [Layer(attention=kinds[ratio], feed_forward=feed_forward, residual=residual) for ratio in ratios]
    predictor = [Layer(attention=windowed, feed_forward=feed_forward, residual=residual)]
    own = config.word("expert_dtype", "fp8")
    if own not in ("fp4", "fp8"):
        raise config.fault("expert_dtype", "unknown format", given=own, allowed="fp4, fp8")
    architecture = assembled(config, name, found, predictor=predictor)
    return replace(architecture, expert_format=own if own == "fp4" else None, dense_format="fp8", cache_format="fp8")


def minimax_m3(config: Configuration, name: str) -> Architecture:
    """MiniMax M3: leading dense layers with full attention, then experts with attention to the best blocks of the context.

    Each KV head has an index query of its own, which scores one key for each token; the best score of a block chooses it whole.
    """
    layers, experts = layer_count(config), config.whole("num_local_experts")
    full = grouped_attention(config, query_key_norm=config.flag("use_qk_norm", False))
    choice = config.table("sparse_attention_config")
    block = choice.whole("sparse_block_size")
    sparse = replace(
        full,
        chosen=block * choice.whole("sparse_topk_blocks"),
        indexer=Indexer(
            heads=choice.whole("sparse_num_index_heads"), head_size=choice.whole("sparse_index_dim"), weighted=False, block=block
        ),
    )
    kinds = {0: full, 1: sparse}
    inner = config.whole("moe_intermediate_size", config.whole("intermediate_size"))
    routed = FeedForward(
        size=inner,
        experts=experts,
        experts_per_token=experts_per_token(config, experts),
        shared_size=config.whole("shared_intermediate_size", inner) * config.whole("n_shared_experts", 0, least=0),
        router_bias=config.flag("use_routing_bias", False),
    )
    dense = FeedForward(size=config.whole("dense_intermediate_size"))
    order = choice.one_per_layer("sparse_attention_freq", layers, tuple(kinds))
    mixes = config.one_per_layer("moe_layer_freq", layers, (0, 1))
    found = [Layer(attention=kinds[kind], feed_forward=routed if mix else dense) for kind, mix in zip(order, mixes, strict=True)]
    return assembled(config, name, found)
