"""Gross margins at which chips are sold, of a merchant or of the design partner who makes a chip for its owner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tapeout.hardware.chip import Chip
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """Who sells the chips of some vendors, and its gross margin on them; a chip may be made for its owner, who bears its development."""

    id: str
    name: str
    vendors: tuple[str, ...]
    margin: Sourced[Dimensionless]
    made_for_owner: bool = False


@cache
def sellers() -> dict[str, Seller]:
    """All sellers of `data/margins.toml` by id."""
    table = load_toml(DATA / "margins.toml")
    return {key: read_facts(Seller, entry, "margins.toml", key, {"id": key}) for key, entry in table.items()}


def seller_of(chip: Chip) -> Seller | None:
    """Who sells `chip`, or none where no margin is known for its vendor.

    >>> from tapeout.hardware.catalog import chip
    >>> seller_of(chip("google-tpu-v5e")).name
    'Design partner'
    """
    return next((seller for seller in sellers().values() if chip.vendor in seller.vendors), None)
