"""Names: every spelling that serving results use leads to the shape it means, and nothing else does."""

import json
import tomllib
from pathlib import Path

import pytest

from tapeout.errors import UnknownNameError, UnsupportedModelError
from tapeout.provenance import DATA
from tapeout.workload.catalog import base_name, model, model_facts, model_id, model_ids

FACTS = tomllib.loads((DATA / "models.toml").read_text())


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-ai/DeepSeek-R1"),
        ("nvidia/DeepSeek-R1-0528-FP4-v2", "deepseek-ai/DeepSeek-R1"),
        ("deepseek-ai/DeepSeek-V3-0324", "deepseek-ai/DeepSeek-V3"),
        ("deepseek-ai/DeepSeek-V3.1-Terminus", "deepseek-ai/DeepSeek-V3.1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "meta-llama/Llama-3.3-70B-Instruct"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "Qwen/Qwen3-235B-A22B"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507-FP8", "Qwen/Qwen3-235B-A22B"),
        ("Qwen/Qwen3-8B-Base", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-VL-32B-Thinking", "Qwen/Qwen3-VL-32B-Instruct"),
        ("nvidia/Llama-3.3-70B-Instruct-FP8", "meta-llama/Llama-3.3-70B-Instruct"),
        ("meta-llama/Llama-3.3-70B", "meta-llama/Llama-3.3-70B-Instruct"),
        ("meta-llama/Meta-Llama-3.1-405B-Instruct", "meta-llama/Llama-3.1-405B"),
        ("amd/Llama-3.1-405B-Instruct-FP8-KV", "meta-llama/Llama-3.1-405B"),
        ("neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w4a16", "meta-llama/Llama-3.1-70B"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "meta-llama/Llama-3.3-70B-Instruct"),
        ("unsloth/Llama-3.1-8B-Instruct-bnb-4bit", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "meta-llama/Meta-Llama-3-8B"),
        ("meta-llama/Llama-2-70b-chat-hf", "meta-llama/Llama-2-70b-hf"),
        ("TheBloke/Llama-2-7B-Chat-GPTQ", "meta-llama/Llama-2-7b-hf"),
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", "meta-llama/Llama-4-Maverick-17B-128E"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mixtral-8x7B-v0.1"),
        ("mistralai/Mistral-7B-Instruct-v0.2", "mistralai/Mistral-7B-v0.2"),
        ("openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("amd/gpt-oss-120b-w-mxfp4-a-fp8", "openai/gpt-oss-120b"),
        ("google/gemma-4-26B-A4B-it", "google/gemma-4-26B-A4B"),
        ("nvidia/Kimi-K2-Thinking-NVFP4", "moonshotai/Kimi-K2-Instruct"),
        ("tiiuae/falcon-180B-chat", "tiiuae/falcon-180B"),
        ("QWEN/qwen3-32b-awq", "Qwen/Qwen3-32B"),
        ("llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("deepseek-ai/DeepSeek-V3.2-Exp", "deepseek-ai/DeepSeek-V3.2"),
        ("sgl-project/DeepSeek-V4-Flash-FP8", "deepseek-ai/DeepSeek-V4-Flash"),
        ("Qwen/Qwen3-Next-80B-A3B-Thinking", "Qwen/Qwen3-Next-80B-A3B-Instruct"),
        ("nvidia/Qwen3.6-35B-A3B-NVFP4", "Qwen/Qwen3.5-35B-A3B"),
        ("nvidia/GLM-5.2-NVFP4", "zai-org/GLM-5.2"),
        ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4", "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16"),
        ("MiniMaxAI/MiniMax-Text-01-hf", "MiniMaxAI/MiniMax-M1-80k"),
        ("nvidia/Kimi-K2.6-NVFP4", "moonshotai/Kimi-K2.5"),
    ],
)
def test_a_variant_names_its_base_shape(name: str, identifier: str) -> None:
    assert model_id(name) == identifier


@pytest.mark.parametrize(
    "name", ["Qwen/Qwen3-Embedding-8B", "meta-llama/Llama-3.1-9B", "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "", "/", "a\0b"]
)
def test_what_has_another_shape_is_unknown(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown model"):
        model_id(name)


def test_a_typo_gets_the_closest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean meta-llama/Llama-3\.1-70B\?"):
        model("meta-lama/Llama-3.1-70")


def test_names_and_their_bases_are_unambiguous() -> None:
    owners: dict[str, set[str]] = {}
    for identifier, entry in FACTS.items():
        for name in (identifier, *entry.get("aliases", [])):
            assert model_id(name) == identifier
            owners.setdefault(base_name(name), set()).add(identifier)
    assert {base: found for base, found in owners.items() if len(found) > 1} == {}


def test_every_shape_has_facts_and_every_fact_a_shape() -> None:
    shapes = {entry.get("shape", identifier) for identifier, entry in FACTS.items()}
    assert shapes == {path.stem.replace("--", "/", 1) for path in (DATA / "models").glob("*.json")}


def test_facts_are_read_for_every_model() -> None:
    for identifier in model_ids():
        facts = model_facts(identifier)
        assert (facts.id, facts.shape) == (identifier, FACTS[identifier].get("shape", identifier))
        assert facts.released >= "2020"


def test_a_model_that_shares_a_shape_keeps_its_name() -> None:
    reasoning, base = model("deepseek-ai/DeepSeek-R1"), model("deepseek-ai/DeepSeek-V3")
    assert (reasoning.name, base.name) == ("deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-V3")
    assert reasoning.groups == base.groups


def test_a_path_works_wherever_a_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = json.loads((DATA / "models" / "meta-llama--Llama-3.1-8B.json").read_text())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text(json.dumps(values))
    monkeypatch.chdir(tmp_path)
    for name in ("mine/config.json", "./mine", "mine", str(tmp_path / "mine")):
        assert model(name).groups == model("meta-llama/Llama-3.1-8B").groups
    with pytest.raises(UnsupportedModelError, match=r"other/config\.json: cannot read the file"):
        model("other/config.json")
