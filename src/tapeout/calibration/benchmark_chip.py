"""Which chip of the catalogue a device is: by the words of its name and by its memory, and only where one chip fits."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.units import Bytes, Unit, show

_WORD = re.compile(r"[a-z0-9]+")
_SIZE = re.compile(r"\d+gb")
_CAPACITY_LOW, _CAPACITY_HIGH = 0.95, 1.02
"""What software sees of a memory as a share of what is sold: less, where a part is kept for error correction or firmware."""


def guessed_chip(name: str, memory: Bytes, chips: Iterable[Chip]) -> Chip:
    """The one of `chips` that a device called `name` with `memory` bytes is.

    A chip fits where the device's name has all model words of its id, says nothing that the chip does not, and the memory agrees;
    of several that fit, the one that shares the most words with the name. Raises InputError with the candidates where none or
    several are left.
    """
    words = set(_WORD.findall(name.lower()))
    akin = [chip for chip in chips if _model_words(chip) <= words]
    fitting = [chip for chip in akin if _holds(chip, memory) and _explains(chip, words)]
    most = max((_shared(chip, words) for chip in fitting), default=0)
    best = [chip for chip in fitting if _shared(chip, words) == most]
    if len(best) == 1:
        return best[0]
    raise InputError(
        "the chip does not follow from the device's name and memory" if akin else "no chip of the catalogue has the device's name",
        given=f"{name}, {show(memory, Unit('B'))}",
        allowed=[f"--chip {chip.id}" for chip in best or akin] or None,
        hint="give --chip an id of `tapeout catalog chips`, or the path of a chip file of your own",
    )


def _model_words(chip: Chip) -> set[str]:
    """The words of the id with a digit that are no size of memory, what a product name never leaves out; all where there are none."""
    words = _id_words(chip)
    return {word for word in words if any(letter.isdigit() for letter in word) and not _SIZE.fullmatch(word)} or set(words)


def _id_words(chip: Chip) -> list[str]:
    return _WORD.findall(chip.id.lower())


def _holds(chip: Chip, memory: Bytes) -> bool:
    return _CAPACITY_LOW * chip.memory.capacity.low <= memory <= _CAPACITY_HIGH * chip.memory.capacity.high


def _own_words(chip: Chip) -> set[str]:
    return set(_WORD.findall(f"{chip.id} {chip.name} {chip.memory.kind}".lower()))


def _explains(chip: Chip, words: set[str]) -> bool:
    """Whether each word of letters in the device's name, such as PCIe or Workstation, is one of the chip's."""
    return {word for word in words if word.isalpha()} <= _own_words(chip)


def _shared(chip: Chip, words: set[str]) -> int:
    """Words of the name that are the chip's; a form such as SXM counts where the name has it with a generation, as in SXM4."""
    return len(_own_words(chip) & (words | {word.rstrip("0123456789") for word in words}))
