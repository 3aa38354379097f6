"""Reading: shapes that are known from the models' own reports, faults by key, and refusals by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import Place, UnsupportedModelError
from tapeout.provenance import DATA
from tapeout.workload.architecture import Architecture, Latent
from tapeout.workload.huggingface import FAMILIES, MISSING_OPERATORS, read_config, read_config_file

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
def test_every_file_is_read_or_refused_for_its_operator(path: Path) -> None:
    family = json.loads(path.read_text())["model_type"]
    if family in MISSING_OPERATORS:
        with pytest.raises(UnsupportedModelError, match="model_type: the family is not modelled yet"):
            read_config_file(path)
    else:
        assert read_config_file(path).groups


def test_a_family_is_either_read_or_refused() -> None:
    assert not FAMILIES.keys() & MISSING_OPERATORS.keys()


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("deepseek-ai--DeepSeek-V3.2", "indexer of sparse attention"),
        ("deepseek-ai--DeepSeek-V4-Pro", "compressed sparse attention"),
        ("zai-org--GLM-5", "indexer of sparse attention"),
        ("Qwen--Qwen3.5-397B-A17B", "linear attention"),
        ("moonshotai--Kimi-K3", "linear"),
        ("MiniMaxAI--MiniMax-M3", "block-sparse attention"),
        ("nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "Mamba"),
        ("nvidia--Llama-3_3-Nemotron-Super-49B-v1", "layers without attention"),
    ],
)
def test_a_refusal_names_the_family_and_the_missing_operator(name: str, operator: str) -> None:
    with pytest.raises(UnsupportedModelError, match=operator) as caught:
        catalogued(name)
    assert "given '" in str(caught.value)


def windows(architecture: Architecture) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for group in architecture.groups:
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
    ],
)
def test_experts_lie_on_the_layers_that_the_reports_give(name: str, dense: int, mixed: int) -> None:
    groups = catalogued(name).groups
    assert sum(group.count for group in groups if not group.feed_forward.experts) == dense
    assert sum(group.count for group in groups if group.feed_forward.experts) == mixed


def test_latent_attention_is_read() -> None:
    attention = catalogued("deepseek-ai--DeepSeek-V3").groups[0].attention
    assert attention.latent == Latent(kv_rank=512, rope_size=64, query_rank=1536)
    assert (attention.head_size, attention.value_size) == (192, 128)
    lite = catalogued("deepseek-ai--DeepSeek-V2-Lite").groups[0].attention
    assert lite.latent is not None
    assert lite.latent.query_rank is None


def test_only_gpt_oss_keeps_a_format_of_its_own() -> None:
    assert catalogued("openai--gpt-oss-20b").expert_format == "fp4"
    assert catalogued("deepseek-ai--DeepSeek-V3").expert_format is None


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
        (LLAMA, {"model_type": "lama"}, "model_type: unknown family, given 'lama', allowed: deepseek_v2.*did you mean llama"),
        (LLAMA, {"model_type": None}, "model_type: missing key"),
        (LLAMA, {"text_config": [1]}, "text_config: wrong type"),
        (LLAMA, {"text_config": {"hidden_size": 1}}, "text_config.model_type: unknown family, given 'llama_text'"),
        (MIXTRAL, {"num_experts_per_tok": 9}, "num_experts_per_tok: more experts per token than experts, given '9 of 8'"),
        (MIXTRAL, {"num_local_experts": 0}, "num_local_experts: impossible value, given 0"),
        (DEEPSEEK, {"index_topk": 2048}, "index_topk: the indexer of sparse attention is not modelled"),
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
