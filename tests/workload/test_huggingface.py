"""Reading: shapes that are known from the models' own reports, faults by key, and refusals by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import Place, UnsupportedModelError
from tapeout.provenance import DATA
from tapeout.workload.architecture import Architecture, Latent, Recurrence
from tapeout.workload.huggingface import FAMILIES, MISSING_OPERATORS, read_config, read_config_file
from tapeout.workload.numerics import Format, Numerics, numerics
from tapeout.workload.size import parameters, size

FILES = sorted((DATA / "models").glob("*.json"))
LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
MIXTRAL = LLAMA | {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
DEEPSEEK = json.loads((DATA / "models" / "deepseek-ai--DeepSeek-V3.json").read_text())


def read(values: dict[str, Any]) -> Architecture:
    return read_config(values, "mine", "config.json")


def catalogued(name: str) -> Architecture:
    return read_config_file(DATA / "models" / f"{name}.json")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_read(path: Path) -> None:
    assert read_config_file(path).groups


def test_a_family_is_either_read_or_refused() -> None:
    assert not FAMILIES.keys() & MISSING_OPERATORS.keys()


@pytest.mark.parametrize("family", MISSING_OPERATORS)
def test_a_refusal_names_the_family_and_the_missing_operator(family: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"model_type: the family is not modelled yet: {MISSING_OPERATORS[family]}") as caught:
        read(LLAMA | {"model_type": family})
    assert f"given '{family}'" in str(caught.value)


def windows(architecture: Architecture) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for group in architecture.groups:
        if group.attention:
            found[group.attention.window] = found.get(group.attention.window, 0) + group.count
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mistralai--Mistral-7B-v0.1", {4096: 32}),
        ("mistralai--Mistral-7B-v0.2", {None: 32}),
        ("openai--gpt-oss-120b", {128: 18, None: 18}),
        ("google--gemma-2-27b", {4096: 23, None: 23}),
        ("google--gemma-3-27b-it", {1024: 52, None: 10}),
        ("google--gemma-4-31B", {1024: 50, None: 10}),
        ("meta-llama--Llama-4-Scout-17B-16E", {8192: 36, None: 12}),
        ("XiaomiMiMo--MiMo-V2-Flash", {128: 39, None: 9}),
        ("stepfun-ai--Step-3.7-Flash", {512: 33, None: 12}),
        ("Qwen--Qwen3-8B", {None: 36}),
        ("deepseek-ai--DeepSeek-V4-Pro", {128: 61}),
    ],
)
def test_windows_lie_on_the_layers_that_the_reports_give(name: str, expected: dict[int | None, int]) -> None:
    assert windows(catalogued(name)) == expected


@pytest.mark.parametrize(
    ("name", "dense", "mixed"),
    [
        ("deepseek-ai--DeepSeek-V3", 3, 58),
        ("moonshotai--Kimi-K2-Instruct", 1, 60),
        ("meta-llama--Llama-4-Maverick-17B-128E", 24, 24),
        ("Qwen--Qwen3-235B-A22B", 0, 94),
        ("XiaomiMiMo--MiMo-V2-Flash", 1, 47),
        ("zai-org--GLM-4.5", 3, 89),
        ("stepfun-ai--Step-3.5-Flash", 3, 42),
        ("zai-org--GLM-5", 3, 75),
        ("MiniMaxAI--MiniMax-M3", 3, 57),
        ("moonshotai--Kimi-K3", 1, 92),
        ("deepseek-ai--DeepSeek-V4-Flash", 0, 43),
    ],
)
def test_experts_lie_on_the_layers_that_the_reports_give(name: str, dense: int, mixed: int) -> None:
    groups = catalogued(name).groups
    assert sum(group.count for group in groups if not group.experts) == dense
    assert sum(group.count for group in groups if group.experts) == mixed


def test_latent_attention_is_read() -> None:
    attention = catalogued("deepseek-ai--DeepSeek-V3").groups[0].attention
    assert attention is not None
    assert attention.latent == Latent(kv_rank=512, rope_size=64, query_rank=1536)
    assert (attention.head_size, attention.value_size) == (192, 128)
    lite = catalogued("deepseek-ai--DeepSeek-V2-Lite").groups[0].attention
    assert lite is not None
    assert lite.latent is not None
    assert lite.latent.query_rank is None


def counts(name: str) -> dict[str, int]:
    """Layers by what they hold: attention A with its indexer I or its merging C4, C128, recurrence R, feed-forward F or experts E."""
    found: dict[str, int] = {}
    for group in catalogued(name).groups:
        word = "R" if group.recurrence else ""
        if group.attention:
            word += "A" + ("I" if group.attention.indexer else "")
            word += f"C{group.attention.compression.ratio}" if group.attention.compression else ""
        word += "E" if group.experts else "F" if group.feed_forward else ""
        found[word] = found.get(word, 0) + group.count
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("deepseek-ai--DeepSeek-V3.2", {"AIF": 3, "AIE": 58}),
        # Layers 0 to 2 score, then every fourth from 6 on; the others take over the choice.
        ("zai-org--GLM-5.2", {"AIF": 3, "AE": 57, "AIE": 18}),
        ("deepseek-ai--DeepSeek-V4-Flash", {"AE": 2, "AIC4E": 21, "AC128E": 20}),
        ("MiniMaxAI--MiniMax-M3", {"AF": 3, "AIE": 57}),
        ("Qwen--Qwen3.5-27B", {"RF": 48, "AF": 16}),
        ("Qwen--Qwen3-Next-80B-A3B-Instruct", {"RE": 36, "AE": 12}),
        ("MiniMaxAI--MiniMax-M1-80k", {"RE": 70, "AE": 10}),
        ("moonshotai--Kimi-K3", {"RF": 1, "RE": 68, "AE": 24}),
        # The reports: 52 layers, of which 23 Mamba-2, 23 of experts and 6 of attention; 118, of which 54, 54 and 10.
        ("nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", {"R": 23, "E": 23, "A": 6}),
        ("nvidia--Nemotron-H-56B-Base-8K", {"R": 54, "F": 54, "A": 10}),
        ("nvidia--Llama-3_3-Nemotron-Super-49B-v1", {"AF": 49, "F": 31}),
    ],
)
def test_layers_hold_what_the_reports_give(name: str, expected: dict[str, int]) -> None:
    assert counts(name) == expected


def test_recurrences_are_read() -> None:
    def recurrence(name: str) -> Recurrence:
        return next(group.recurrence for group in catalogued(name).groups if group.recurrence)

    net, delta = recurrence("Qwen--Qwen3.5-397B-A17B"), recurrence("moonshotai--Kimi-K3")
    assert (net.heads, net.key_heads, net.key_size, net.value_size, net.delta, net.state_format) == (64, 16, 128, 128, True, "fp32")
    assert (delta.heads, delta.decay_rank, delta.gate_rank, delta.convolution) == (96, 128, None, 4)
    assert recurrence("moonshotai--Kimi-Linear-48B-A3B-Instruct").gate_rank == 128
    mamba = recurrence("nvidia--Nemotron-H-56B-Base-8K")
    assert (mamba.heads, mamba.key_heads, mamba.key_size, mamba.value_size, mamba.delta, mamba.chunk) == (256, 8, 256, 64, False, 128)
    lightning = recurrence("MiniMaxAI--MiniMax-M1-80k")
    assert (lightning.heads, lightning.convolution, lightning.controls) == (64, 0, 0)


MAMBA = {"mamba_n_heads": 32, "mamba_d_head": 64, "mamba_d_state": 128, "mamba_n_groups": 1, "mamba_d_conv": 4}
BAMBA = LLAMA | MAMBA | {"model_type": "bamba", "attn_layer_indices": [9, 18, 27]}
GRANITE = LLAMA | MAMBA | {
    "model_type": "granitemoehybrid", "layer_types": (["mamba"] * 7 + ["attention"]) * 4, "shared_intermediate_size": 1024,
    "num_local_experts": 64, "num_experts_per_tok": 8, "intermediate_size": 512,
}  # fmt: skip
FALCON_H1 = LLAMA | MAMBA | {"model_type": "falcon_h1", "mamba_d_ssm": 2048, "mamba_rms_norm": False}
MAMBA2 = {
    "model_type": "mamba2", "hidden_size": 2560, "num_hidden_layers": 64, "num_heads": 80, "head_dim": 64, "n_groups": 1, "state_size": 128,
    "conv_kernel": 4, "vocab_size": 50288,
}  # fmt: skip


def test_hybrids_with_mamba_2_are_read() -> None:
    bamba, granite, falcon = read(BAMBA), read(GRANITE), read(FALCON_H1)
    assert [(group.count, group.attention is None) for group in bamba.groups] == [(29, True), (3, False)]
    assert {group.count: bool(group.recurrence) for group in granite.groups} == {28: True, 4: False}
    assert granite.tied_embeddings
    assert granite.groups[0].experts == 64
    (layer,) = falcon.groups
    assert layer.attention is not None
    assert layer.recurrence is not None
    assert layer.recurrence.norm_size == 0
    assert (layer.parts, layer.heads) == (2, (32, 32))


def test_a_published_mamba_2_counts_to_the_unit() -> None:
    """state-spaces/mamba2-2.7b, 2,702,599,680 parameters with the embedding tied."""
    assert parameters(read(MAMBA2 | {"tie_word_embeddings": True})) == 2_702_599_680


def test_a_layer_cut_by_search_may_hold_one_matrix() -> None:
    found = {"attention": {"replace_with_linear": True}, "ffn": {"no_op": True}}
    kept = {"attention": {"n_heads_in_group": 4}, "ffn": {"replace_with_linear": True}}
    values = LLAMA | {"model_type": "nemotron-nas", "num_hidden_layers": 2, "block_configs": [found, kept]}
    architecture = read(values)
    # Two square matrices, one attention with grouped heads.
    square = 4096 * 4096
    body = size(architecture)
    assert (body.dense, body.attention) == (2 * square, 2 * square + 2 * 4096 * 8 * 128)
    with pytest.raises(UnsupportedModelError, match=r"block_configs\[0\]\.ffn\.ffn_mult: impossible value, given 0"):
        read(values | {"block_configs": [{"attention": {"no_op": True}, "ffn": {"ffn_mult": 0}}, kept]})
    with pytest.raises(UnsupportedModelError, match="block_configs: no layer does anything"):
        read(values | {"block_configs": [{"attention": {"no_op": True}, "ffn": {"no_op": True}}] * 2})


def test_prediction_heads_are_read_beside_the_model() -> None:
    with_head, without = read(DEEPSEEK), read(DEEPSEEK | {"num_nextn_predict_layers": 0})
    assert (with_head.predictors, without.predictors, without.predictor_groups) == (1, 0, ())
    assert with_head.groups == without.groups
    assert with_head.predictor_groups[0].experts == 256
    assert read_config_file(DATA / "models" / "MiniMaxAI--MiniMax-M2.7.json").predictors == 3
    ultra = catalogued("nvidia--NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16")
    assert [group.parts for group in ultra.predictor_groups] == [1, 1]
    v4 = catalogued("deepseek-ai--DeepSeek-V4-Flash").predictor_groups[0].attention
    assert v4 is not None
    assert v4.compression is None


def test_formats_that_checkpoints_choose_are_kept() -> None:
    assert catalogued("openai--gpt-oss-20b").expert_format == "fp4"
    assert catalogued("moonshotai--Kimi-K3").expert_format == "fp4"
    assert catalogued("deepseek-ai--DeepSeek-V3").expert_format is None
    v4 = catalogued("deepseek-ai--DeepSeek-V4-Pro")
    assert (v4.expert_format, v4.dense_format, v4.cache_format) == ("fp4", "fp8", "fp8")
    assert numerics(v4, "bf16") == Numerics(
        linear=Format.FP8, expert=Format.FP4, head=Format.BF16, attention=Format.BF16, kv_cache=Format.FP8
    )


def test_a_published_step_file_reads_like_ours() -> None:
    ours = json.loads((DATA / "models" / "stepfun-ai--Step-3.5-Flash.json").read_text())
    renamed = {
        "n_routed_experts": "moe_num_experts",
        "num_experts_per_tok": "moe_top_k",
        "num_key_value_heads": "num_attention_groups",
    }
    theirs = {renamed.get(key, key): value for key, value in ours.items() if key != "num_sliding_attention_heads"}
    theirs["attention_other_setting"] = {"attention_type": "sliding_attention", "num_attention_heads": 96, "num_attention_groups": 8}
    theirs["layer_types"] = ours["layer_types"] + ["sliding_attention"] * 3
    assert read(theirs) == read(ours)


def test_the_text_decoder_of_a_model_that_sees_is_read() -> None:
    text = {key: value for key, value in LLAMA.items() if key != "model_type"}
    seen = read({"model_type": "gemma3", "text_config": text | {"sliding_window": 1024}, "tie_word_embeddings": False})
    assert (seen.family, seen.tied_embeddings) == ("gemma3_text", False)


@pytest.mark.parametrize(
    ("base", "change", "what"),
    [
        (LLAMA, {"num_key_value_heads": 5}, "num_key_value_heads: the KV heads do not divide the heads, given '32 heads, 5 KV heads'"),
        (LLAMA, {"num_attention_heads": 24}, "num_attention_heads: the heads do not divide the hidden size"),
        (LLAMA, {"num_attention_heads": 0}, "num_attention_heads: impossible value, given 0"),
        (LLAMA, {"hidden_size": -4096}, "hidden_size: impossible value, given -4096"),
        (LLAMA, {"hidden_size": float("nan")}, "hidden_size: impossible value, given nan"),
        (LLAMA, {"num_hidden_layers": True}, "num_hidden_layers: impossible value, given True"),
        (LLAMA, {"num_hidden_layers": 10**9}, "num_hidden_layers: impossible value"),
        (LLAMA, {"vocab_size": "32000"}, "vocab_size: impossible value, given '32000'"),
        (LLAMA, {"attention_bias": "no"}, "attention_bias: wrong type, given 'no', allowed: true or false"),
        (LLAMA, {"model_type": "lama"}, "model_type: unknown family, given 'lama', allowed: bamba, deepseek_v2.*did you mean llama"),
        (LLAMA, {"model_type": None}, "model_type: missing key"),
        (LLAMA, {"text_config": [1]}, "text_config: wrong type"),
        (LLAMA, {"text_config": {"hidden_size": 1}}, "text_config.model_type: unknown family, given 'llama_text'"),
        (MIXTRAL, {"num_experts_per_tok": 9}, "num_experts_per_tok: more experts per token than experts, given '9 of 8'"),
        (MIXTRAL, {"num_local_experts": 0}, "num_local_experts: impossible value, given 0"),
        (DEEPSEEK, {"index_topk": 2048}, "index_n_heads: missing key"),
        (BAMBA, {"attn_layer_indices": [32]}, "attn_layer_indices: names a layer that is none, given 32, allowed: 0 to 31"),
        (BAMBA, {"mamba_n_groups": 5}, "mamba_n_groups: the groups do not divide the heads, given '32 heads, 5 groups'"),
        (BAMBA, {"mamba_ssm_cache_dtype": "int4"}, "mamba_ssm_cache_dtype: unknown format, given 'int4', allowed: float32, bfloat16"),
        (FALCON_H1, {"mamba_d_ssm": 4096}, "mamba_d_ssm: differs from the heads by their size, given 4096, allowed: 2048"),
        (
            GRANITE,
            {"layer_types": ["mamba"] * 31 + ["mama"]},
            "layer_types: unknown kind of layer, given 'mama', allowed: attention, mamba",
        ),
        (DEEPSEEK, {"first_k_dense_replace": 62}, "first_k_dense_replace: impossible value, given 62"),
        (DEEPSEEK, {"kv_lora_rank": None}, "kv_lora_rank: missing key"),
    ],
)
def test_a_fault_names_the_key_what_was_given_and_what_is_allowed(base: dict[str, Any], change: dict[str, Any], what: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"config.json: {what}"):
        read(base | change)


def test_linear_layers_in_a_family_that_is_read_are_refused() -> None:
    values = json.loads((DATA / "models" / "MiniMaxAI--MiniMax-M2.5.json").read_text())
    with pytest.raises(UnsupportedModelError, match="attn_type_list: unknown kind of layer, given 0"):
        read(values | {"attn_type_list": [0] + [1] * 61})
    per_layer = json.loads((DATA / "models" / "google--gemma-4-31B.json").read_text())
    per_layer["text_config"]["hidden_size_per_layer_input"] = 256
    with pytest.raises(
        UnsupportedModelError, match=r"text_config\.hidden_size_per_layer_input: embeddings for each layer are not modelled"
    ):
        read(per_layer)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.integers(0, 1), max_size=3)
)


def place_of_refusal(values: dict[str, Any]) -> Place | None:
    """Where reading fails, or None where it does not."""
    try:
        assert read(values).layers >= 1
    except UnsupportedModelError as error:
        return error.place or Place(file="")
    return None


@pytest.mark.parametrize("path", {json.loads(path.read_text())["model_type"]: path for path in FILES}.values(), ids=lambda path: path.stem)
@given(data=st.data())
def test_any_value_of_any_key_is_read_or_refused_with_its_place(path: Path, data: st.DataObject) -> None:
    values = json.loads(path.read_text())
    table = values["text_config"] if "text_config" in values and data.draw(st.booleans()) else values
    table[data.draw(st.sampled_from(sorted(table)))] = data.draw(JUNK)
    place = place_of_refusal(values)
    assert place is None or (place.file == "config.json" and place.path)
