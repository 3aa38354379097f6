"""The chips that are known: one fact file each below `data/chips`, and any file of the same form that the user names."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tapeout.errors import UnknownNameError, did_you_mean
from tapeout.hardware.chip import Chip
from tapeout.provenance import DATA, load_toml, read_facts

SUFFIX = ".toml"


def read_chip(path: Path) -> Chip:
    """The chip in a fact file; its id is the file's name unless the file gives one.

    Raises FactError or UnitError naming the file, the field, what was given and what is allowed.
    """
    return read_facts(Chip, load_toml(path), str(path), defaults={"id": path.stem})


@cache
def chips() -> dict[str, Chip]:
    """All chips of the catalogue by id, in alphabetical order."""
    return {identifier: read_chip(DATA / "chips" / f"{identifier}{SUFFIX}") for identifier in chip_ids()}


def chip_ids() -> tuple[str, ...]:
    """The ids of the catalogue, without reading its files."""
    return tuple(sorted(path.stem for path in (DATA / "chips").glob(f"*{SUFFIX}")))


def chip(identifier: str) -> Chip:
    """The chip with this id, or the one in the fact file at this path where `identifier` ends in `.toml`.

    Raises UnknownNameError with the closest id, and FactError or UnitError for a file that does not follow the form.

    >>> chip("nvidia-h100-sxm").memory.bandwidth.value
    3350000000000.0
    """
    if identifier.endswith(SUFFIX):
        return read_chip(Path(identifier))
    if identifier not in chips():
        hint = did_you_mean(identifier, chips()) or f"see `tapeout catalog chips`, or give a chip file that ends in {SUFFIX}"
        raise UnknownNameError("unknown chip", given=identifier, hint=hint)
    return chips()[identifier]
