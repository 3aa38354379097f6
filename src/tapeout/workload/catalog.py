"""The models that are known: facts in `data/models.toml`, shapes in `data/models`, and any `config.json` that the user names.

A name is an id, an alias, or the name of a variant with the same shape: a fine-tune, a dated release, a quantised copy of
another publisher. Looking one up reads the table of facts and one shape.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tapeout.errors import UnknownNameError, did_you_mean
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import Dimensionless
from tapeout.workload.architecture import Architecture
from tapeout.workload.huggingface import read_config_file

_FACTS = DATA / "models.toml"
_FORMAT = re.compile(
    r"[wa]?(nv|mx|kv|auto)?fp\d+|bf16|u?int\d|[48]bit|w\d+a\d+|q\d|g\d+|awq|gptq|gguf|bnb|autoround|marlin|quantized|quark|ptpc"
    r"|dynamic|channel|tensor|scale|kv|[wa]|hf|ar|amd|unsloth|neuron|mlperf"
)
_VARIANT = re.compile(r"base|chat|instruct|it|latest|original|preview|pt|reasoning|rl|sft|thinking|tput|turbo")
_DATE = re.compile(r"\d{4}|\d{6}|\d{8}")
_COPY = re.compile(r"v\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is published about a model; `shape` is the id of the model whose shape it shares, its own unless said.

    `parameters` are those of the text decoder without multi-token-prediction layers, `active` those that one token meets.
    `released` is an ISO date, or the month or year where no more is known.
    """

    id: str
    released: str
    shape: str = ""
    aliases: tuple[str, ...] = ()
    parameters: Sourced[Dimensionless] | None = None
    active: Sourced[Dimensionless] | None = None
    note: str = ""


def model_ids() -> tuple[str, ...]:
    """The ids of the catalogue in alphabetical order, models that are refused included."""
    return tuple(_table())


def model_facts(name: str) -> ModelFacts:
    """What is published about the model that `name` names; raises UnknownNameError with the closest name."""
    return _facts(model_id(name))


def model(name: str) -> Architecture:
    """The architecture of the model that `name` names, or of the `config.json` at this path or in this folder.

    Raises UnknownNameError with the closest name, and UnsupportedModelError for a model that is not modelled.

    >>> model("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic").name
    'meta-llama/Llama-3.3-70B-Instruct'
    """
    if name.endswith(".json") or name.startswith(("/", "./", "../")):
        return read_config_file(Path(name))
    identifier = _id(name)
    # os.path, not Path: a name too long for the file system is no folder, and no error.
    if identifier is None and os.path.isdir(name):
        return read_config_file(Path(name))
    return _architecture(identifier or model_id(name))


def model_id(name: str) -> str:
    """The id of the catalogue that `name` names.

    >>> model_id("nvidia/DeepSeek-R1-0528-NVFP4-v2"), model_id("neuralmagic/Meta-Llama-3.1-8B-Instruct-quantized.w8a8")
    ('deepseek-ai/DeepSeek-R1', 'meta-llama/Llama-3.1-8B')
    """
    identifier = _id(name)
    if identifier is None:
        names = [*model_ids(), *(alias for entry in _table().values() for alias in entry.get("aliases", []))]
        hint = did_you_mean(name, names) or "see `tapeout catalog models`, or give the path of a config.json"
        raise UnknownNameError("unknown model", given=name, hint=hint)
    return identifier


def shape_file(identifier: str) -> Path:
    """The `config.json` that holds the shape of the model with this id of the catalogue.

    >>> shape_file("deepseek-ai/DeepSeek-R1").name
    'deepseek-ai--DeepSeek-V3.json'
    """
    shape = _table()[identifier].get("shape", identifier)
    return DATA / "models" / f"{shape.replace('/', '--')}.json"


def base_name(name: str) -> str:
    """The part of a model's name that decides its shape: without publisher, variant, release date and number format, in lower case.

    >>> base_name("mistralai/Mixtral-8x7B-Instruct-v0.1"), base_name("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8")
    ('mixtral-8x7b-v0.1', 'qwen3-235b-a22b')
    """
    last = name.rstrip("/").rsplit("/", 1)[-1].lower()
    # An underscore between digits stands for a point; elsewhere it divides words, as a point before a format does.
    last = re.sub(r"(?<=\d)_(?=\d)", ".", last).replace("_", "-")
    first, *words = re.sub(r"\.(?=w\d)", "-", last).removeprefix("meta-").split("-")
    kept, after_format = [first], False
    for word in words:
        is_format = _FORMAT.fullmatch(word) is not None
        is_copy = after_format and _COPY.fullmatch(word) is not None
        if not (is_format or is_copy or _VARIANT.fullmatch(word) or _DATE.fullmatch(word)):
            kept.append(word)
        after_format = is_format
    return "-".join(kept)


def _id(name: str) -> str | None:
    return name if name in _table() else _names().get(name.lower()) or _bases().get(base_name(name))


@cache
def _table() -> dict[str, dict[str, Any]]:
    return dict(sorted(load_toml(_FACTS).items(), key=lambda entry: entry[0].lower()))


@cache
def _names() -> dict[str, str]:
    """Ids and aliases in lower case."""
    found = {name.lower(): identifier for identifier, entry in _table().items() for name in entry.get("aliases", [])}
    return found | {identifier.lower(): identifier for identifier in _table()}


@cache
def _bases() -> dict[str, str]:
    return {base_name(name): identifier for name, identifier in _names().items()}


@cache
def _facts(identifier: str) -> ModelFacts:
    defaults = {"id": identifier, "shape": identifier}
    return read_facts(ModelFacts, _table()[identifier], _FACTS.name, f'"{identifier}"', defaults)


@cache
def _architecture(identifier: str) -> Architecture:
    return read_config_file(shape_file(identifier), identifier)
