"""What a server loads: names that state a format, publishers' own formats, and configurations as quantising tools write them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tapeout.errors import InputError
from tapeout.provenance import DATA, load_toml
from tapeout.report.checkpoint import checkpoint
from tapeout.workload.catalog import model, model_ids
from tapeout.workload.numerics import PRECISIONS

LLAMA = model("meta-llama/Llama-3.1-8B")


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("meta-llama/Llama-3.1-8B", "bf16"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "fp8"),
        ("nvidia/Llama-3.1-8B-Instruct-NVFP4", "fp4"),
        ("neuralmagic/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "int8"),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "int4"),
        ("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "gguf"),
        ("unsloth/DeepSeek-V3-bf16", "bf16"),
        ("/models/llama-8b-fp8", "fp8"),
        ("/models/nobody/knows", "bf16"),
        ("tngtech/DeepSeek-TNG-R1T2-Chimera", "fp8"),
        ("moonshotai/Kimi-K2.5", "int4"),
        # The publisher's name and folders above say nothing.
        ("fp8-lab/Llama-3.1-8B", "bf16"),
    ],
)
def test_a_name_says_how_it_is_stored(name: str, stored: str) -> None:
    found = checkpoint(name, LLAMA)
    assert (found.name, found.stored) == (name, stored)
    assert found.is_path is name.startswith("/")


def test_a_name_without_a_publisher_gets_the_catalogue_s() -> None:
    assert checkpoint("llama-3.1-8b", LLAMA).name == "meta-llama/Llama-3.1-8B"


def test_published_formats_are_of_models_that_are_known() -> None:
    table = load_toml(DATA / "checkpoints.toml")
    assert set(table) <= set(model_ids())
    assert {entry["stored"]["value"] for entry in table.values()} <= {*PRECISIONS, "int4"} - {"bf16"}


CONFIGURATIONS: list[tuple[dict[str, Any] | None, str]] = [
    (None, "bf16"),
    ({"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}, "fp8"),
    ({"quant_method": "mxfp4"}, "fp4"),
    ({"quant_method": "awq", "bits": 4}, "int4"),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "fp4"),
    ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"type": "float", "num_bits": 8}}}}, "fp8"),
    ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"type": "int", "num_bits": 8}}}}, "int8"),
    ({"quant_method": "something-new"}, "something-new"),
]


@pytest.mark.parametrize(("quantised", "stored"), CONFIGURATIONS)
def test_a_local_configuration_is_read(quantised: dict[str, Any] | None, stored: str, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"quantization_config": quantised} if quantised else {}))
    for asked in (config, tmp_path):
        found = checkpoint(str(asked), LLAMA)
        assert (found.name, found.stored, found.is_path) == (str(tmp_path), stored, True)


def test_a_relative_folder_stays_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert checkpoint("mine", LLAMA).name == checkpoint("mine/config.json", LLAMA).name == "./mine"


def test_a_broken_configuration_says_where(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: cannot read"):
        checkpoint(str(tmp_path), LLAMA)
