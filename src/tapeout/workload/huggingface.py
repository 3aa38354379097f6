"""From a Hugging Face `config.json` to an `Architecture`: each family has its reader, and what is not modelled is refused by name.

A new family is one function from a configuration to an `Architecture` and one line in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tapeout.errors import Place, UnsupportedModelError, did_you_mean
from tapeout.workload import dense, hybrids, mixtures, sparse, state_space
from tapeout.workload.architecture import Architecture
from tapeout.workload.configuration import Configuration, read_configuration

FAMILIES: dict[str, Callable[[Configuration, str], Architecture]] = {
    "bamba": state_space.bamba,
    "deepseek_v2": mixtures.deepseek,
    "deepseek_v3": mixtures.deepseek,
    "deepseek_v32": mixtures.deepseek,
    "deepseek_v4": sparse.deepseek_v4,
    "falcon": dense.falcon,
    "falcon_h1": state_space.falcon_h1,
    "gemma": dense.gemma,
    "gemma2": dense.gemma2,
    "gemma3_text": dense.gemma3,
    "gemma4_text": dense.gemma4,
    "glm4_moe": mixtures.glm4_moe,
    "glm_moe_dsa": mixtures.deepseek,
    "gpt2": dense.gpt2,
    "gpt_neox": dense.gpt_neox,
    "gpt_oss": mixtures.gpt_oss,
    "gptj": dense.gptj,
    "granitemoehybrid": state_space.granite_hybrid,
    "kimi_k2": mixtures.deepseek,
    "kimi_linear": hybrids.kimi_linear,
    "llama": dense.llama,
    "llama4_text": mixtures.llama4,
    "mamba2": state_space.mamba2,
    "mimo": dense.qwen2,
    "mimo_v2_flash": mixtures.mimo_v2,
    "minimax": hybrids.minimax_01,
    "minimax_m1": hybrids.minimax_01,
    "minimax_m2": mixtures.minimax_m2,
    "minimax_m3": sparse.minimax_m3,
    "minimax_m3_text": sparse.minimax_m3,
    "minimax_m3_vl_text": sparse.minimax_m3,
    "minimax_text_01": hybrids.minimax_01,
    "mistral": dense.mistral,
    "mixtral": mixtures.mixtral,
    "nemotron-nas": dense.nemotron_nas,
    "nemotron_h": state_space.nemotron_h,
    "phi3": dense.mistral,
    "qwen2": dense.qwen2,
    "qwen2_moe": mixtures.qwen2_moe,
    "qwen3": dense.qwen3,
    "qwen3_5_moe_text": hybrids.qwen3_next,
    "qwen3_5_text": hybrids.qwen3_next,
    "qwen3_moe": mixtures.qwen3_moe,
    "qwen3_next": hybrids.qwen3_next,
    "qwen3_vl_moe_text": mixtures.qwen3_moe,
    "qwen3_vl_text": dense.qwen3,
    "smollm3": dense.llama,
    "step3p5": mixtures.step3,
    "step3p7": mixtures.step3,
}
"""The reader of each `model_type`."""

_STATE_SPACE = "Mamba-1 layers, whose state decays for each channel"

MISSING_OPERATORS: dict[str, str] = {
    "falcon_mamba": _STATE_SPACE,
    "gemma3n": "embeddings for each layer and keys shared by layers",
    "jamba": _STATE_SPACE,
    "mamba": _STATE_SPACE,
    "mllama": "cross-attention to images",
    "recurrent_gemma": "gated linear recurrence",
    "rwkv": "linear recurrence",
    "zamba2": "attention shared by layers, with adapters of their own",
}
"""The operator that keeps a `model_type` from being modelled."""


def read_config(values: Mapping[str, Any], name: str, file: str) -> Architecture:
    """The architecture called `name` that the table of a `config.json` describes; `file` is named in errors.

    Of a model that sees or hears, the text decoder is read. Raises UnsupportedModelError for an unknown family, one whose
    operators are not modelled, and a missing or impossible key, naming the key.

    >>> shape = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}
    >>> shape |= {"num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072}
    >>> read_config(shape, "mine", "config.json").groups[0].attention.head_size
    128
    """
    return _architecture(Configuration(values=values, file=file), name)


def read_config_file(path: Path, name: str | None = None) -> Architecture:
    """The architecture in the `config.json` at `path`, or in the folder `path`; called `name`, or as its path is."""
    return _architecture(read_configuration(path), name or str(path))


def _architecture(config: Configuration, name: str) -> Architecture:
    decoder = _text_decoder(config)
    family = decoder.word("model_type")
    if family not in FAMILIES:
        raise decoder.fault("model_type", "unknown family", given=family, allowed=", ".join(FAMILIES), hint=did_you_mean(family, FAMILIES))
    try:
        return FAMILIES[family](decoder, name)
    except UnsupportedModelError as error:
        raise error.at(Place(file=config.file, path=decoder.path)) from error


def _text_decoder(config: Configuration) -> Configuration:
    """The table of the text decoder: `text_config` where there is one, else the file itself; refuses what is not modelled."""
    _refuse_unmodelled(config)
    if not config.has("text_config"):
        return config
    text = config.table("text_config")
    inherited = {"model_type": f"{config.word('model_type')}_text"}
    if config.has("tie_word_embeddings"):
        inherited["tie_word_embeddings"] = config.values["tie_word_embeddings"]
    given = {key: value for key, value in text.values.items() if value is not None}
    decoder = Configuration(values=inherited | given, file=text.file, path=text.path)
    _refuse_unmodelled(decoder)
    return decoder


def _refuse_unmodelled(config: Configuration) -> None:
    family = config.word("model_type")
    if family in MISSING_OPERATORS:
        raise config.fault("model_type", f"the family is not modelled yet: {MISSING_OPERATORS[family]}", given=family)
