"""What a server loads for a model: the name of a checkpoint, and the number format in which it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tapeout.errors import InputError, Place, UnknownNameError
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model_id

FILE = "checkpoints.toml"
PLAIN = "bf16"
"""The format of a checkpoint of which nothing else is known."""
# Words in the names of checkpoints that state a format; of several the first here counts.
_WORDS = {
    "fp4": re.compile(r"(nv|mx)?fp4"),
    "fp8": re.compile(r"(mx)?fp8"),
    "int8": re.compile(r"int8|w8a8|8bit"),
    "int4": re.compile(r"int4|w4a16|4bit|awq|gptq"),
    "gguf": re.compile(r"gguf"),
    PLAIN: re.compile(r"bf16|fp16"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model id or a path, `name`, and the format in which its matrices are `stored`: a precision, or another word such as int4."""

    name: str
    stored: str

    def __post_init__(self) -> None:
        # A line break would end the comment or the command that the name stands in, and a leading dash would make it an option.
        if not self.name or self.name.startswith("-") or not self.name.isprintable():
            raise InputError("bad name of a checkpoint", given=self.name, allowed="a model id or a path in printable characters")

    @property
    def is_path(self) -> bool:
        """Whether the name is a place in a file system instead of an id of a model hub."""
        return self.name.startswith(("/", "./", "../"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    stored: Sourced[str]


def checkpoint(asked: str, architecture: Architecture) -> Checkpoint:
    """The checkpoint that `asked`, a model's name or a path, means; one in a local folder is asked itself how it is stored.

    >>> from tapeout.workload.catalog import model
    >>> checkpoint("nvidia/Llama-3.1-70B-Instruct-FP8", model("meta-llama/Llama-3.1-70B")).stored
    'fp8'
    >>> checkpoint("deepseek-ai/DeepSeek-V3", model("deepseek-ai/DeepSeek-V3"))
    Checkpoint(name='deepseek-ai/DeepSeek-V3', stored='fp8')
    """
    path = Path(asked)
    folder = path.parent if path.suffix == ".json" else path
    config = folder / "config.json" if path.suffix != ".json" else path
    if config.is_file():
        name = str(folder) if folder.is_absolute() else f"./{folder}"
        return Checkpoint(name=name, stored=_stored_in(config))
    # A hub knows no name without its publisher.
    name = asked if "/" in asked else architecture.name
    return Checkpoint(name=name, stored=_stated(name) or _published(name))


def _stated(name: str) -> str | None:
    words = re.split(r"[-_.]", name.rstrip("/").rsplit("/", 1)[-1].lower())
    return next((format_ for format_, word in _WORDS.items() if any(map(word.fullmatch, words))), None)


@cache
def _known() -> dict[str, str]:
    return {name: read_facts(_Facts, table, FILE, f'"{name}"').stored.value for name, table in load_toml(DATA / FILE).items()}


def _published(name: str) -> str:
    try:
        return _known().get(model_id(name), PLAIN)
    except UnknownNameError:
        return PLAIN


def _stored_in(config: Path) -> str:
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("cannot read the model's configuration", place=Place(file=str(config)), hint=str(error)) from error
    quantised = found.get("quantization_config") if isinstance(found, dict) else None
    return _stored_as(quantised) if isinstance(quantised, dict) else PLAIN


def _stored_as(quantised: Mapping[str, Any]) -> str:
    """The format that a `quantization_config` states, or the name of its method where that is not understood."""
    method = str(quantised.get("quant_method", ""))
    for group in (quantised.get("config_groups") or {}).values():
        weights = group.get("weights") or {}
        return f"{'fp' if weights.get('type') == 'float' else 'int'}{weights.get('num_bits')}"
    return _stated(str(quantised.get("quant_algo") or method)) or method or PLAIN
