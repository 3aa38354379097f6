"""Facts of manufacturing: process nodes, accelerator blocks, memory generations and packages, read from `data/`.

`hardware.custom` sizes an own chip with them and `cost` prices every chip with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar

from tapeout.errors import UnknownNameError, did_you_mean
from tapeout.hardware.chip import NumberFormat
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import (
    Bytes,
    BytesPerSecond,
    Dimensionless,
    Hertz,
    JoulesPerByte,
    JoulesPerFlop,
    Metres,
    PerSquareMetre,
    Seconds,
    SquareMetres,
    Unit,
    Usd,
    UsdPerByte,
    UsdPerSquareMetre,
    UsdPerWatt,
    WattsPerSquareMetre,
)

SquareMetresPerBandwidth = Annotated[float, Unit("m2 s/B")]
CountPerBandwidth = Annotated[float, Unit("s/B")]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manufacturing:
    """What all nodes share: wafer and reticle, clustering alpha of the yield, share of defective dies saved, sort, cooling limit.

    `test_coverage` is the share of bad dies that a test finds; `price_correlation` that of any two prices of the foundry, in the
    logarithm; `defect_learning` the defect density in each year from a node's first, over that of the first.
    """

    wafer_diameter: Sourced[Metres]
    edge_loss: Sourced[Metres]
    scribe_lane: Sourced[Metres]
    reticle_length: Sourced[Metres]
    reticle_width: Sourced[Metres]
    clustering: Sourced[Dimensionless]
    harvest: Sourced[Dimensionless]
    sort: Sourced[Usd]
    test_coverage: Sourced[Dimensionless]
    price_correlation: Sourced[Dimensionless]
    defect_learning: dict[str, Sourced[Dimensionless]]
    power_density: Sourced[WattsPerSquareMetre]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Sizes of an accelerator's blocks, in transistors where they shrink with the node and in area where they do not.

    `format_area` is the share of multiplier area that a further number format adds; `unnamed_share` the share of the die
    outside the named blocks; `sram_efficiency` cell area over macro area; `density_reached` the share of the library's
    density that placed logic reaches. Link figures are per byte/s of bandwidth out of the chip in one direction.
    """

    transistors_per_multiplier: Sourced[Dimensionless]
    transistors_per_lane: Sourced[Dimensionless]
    density_reached: Sourced[Dimensionless]
    sram_efficiency: Sourced[Dimensionless]
    unnamed_share: Sourced[Dimensionless]
    link_phy_area: Sourced[SquareMetresPerBandwidth]
    link_transistors: Sourced[CountPerBandwidth]
    host_phy_area: Sourced[SquareMetres]
    host_transistors: Sourced[Dimensionless]
    link_energy: Sourced[JoulesPerByte]
    format_area: dict[str, Sourced[Dimensionless]]

    def area_of_formats(self, formats: tuple[NumberFormat, ...]) -> float:
        """Multiplier area over that of a bf16-only multiplier, for a unit that does all `formats`."""
        return 1.0 + sum(self.format_area[name].value for name in formats if name in self.format_area)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process node: prices in USD of their currency year, densities of the high-density library, energy at nominal voltage.

    `design_cost` is that of a first chip of `Programme.reference_area`; `energy_per_flop` that of a bf16 product summed in fp32;
    `energy_per_byte` that of an operand from on-chip memory to a matrix unit; `clock.high` the fastest matrix unit shipped.
    `year` is that of first production and `defect_year` that for which the defect density holds; `price_change` names the changes
    of `data/price_changes.toml` that its wafers follow.
    """

    id: str
    name: str
    year: int
    defect_year: int
    wafer_price: Sourced[Usd]
    defect_density: Sourced[PerSquareMetre]
    mask_set: Sourced[Usd]
    design_cost: Sourced[Usd]
    transistor_density: Sourced[PerSquareMetre]
    sram_cell: Sourced[SquareMetres]
    energy_per_flop: Sourced[JoulesPerFlop]
    energy_per_byte: Sourced[JoulesPerByte]
    static_power: Sourced[WattsPerSquareMetre]
    clock: Sourced[Hertz]
    fab_time: Sourced[Seconds]
    price_change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGeneration:
    """A memory generation; all figures are of one stack or one device, and a stack has a `footprint` on the package."""

    id: str
    name: str
    capacity: Sourced[Bytes]
    bandwidth: Sourced[BytesPerSecond]
    price: Sourced[UsdPerByte]
    phy_area: Sourced[SquareMetres]
    controller_transistors: Sourced[Dimensionless]
    beachfront: Sourced[Metres]
    energy: Sourced[JoulesPerByte]
    footprint: Sourced[SquareMetres] | None = None
    price_change: str = ""

    @property
    def stacked(self) -> bool:
        """Whether it stands on the package, so that a failed bond loses it."""
        return self.footprint is not None

    @property
    def package_area(self) -> SquareMetres:
        """Area of one unit on the package, 0 for memory beside it."""
        return self.footprint.value if self.footprint else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaging:
    """A package technology: `price` per carrier area, the carrier being `area_factor` times the parts on it, and its yields.

    `fixed` is the substrate and assembly where the price leaves them out; `bonding_yield` is per die or stack, `stacking_yield` per
    die stacked on a base die, where the technology can; `module` the board and assembly of a module, `auxiliary` its power delivery.
    """

    id: str
    name: str
    price: Sourced[UsdPerSquareMetre]
    area_factor: Sourced[Dimensionless]
    fixed: Sourced[Usd]
    carrier_yield: Sourced[Dimensionless]
    bonding_yield: Sourced[Dimensionless]
    substrate_yield: Sourced[Dimensionless]
    final_test: Sourced[Usd]
    module: Sourced[Usd]
    auxiliary: Sourced[UsdPerWatt]
    stacking_yield: Sourced[Dimensionless] | None = None
    price_change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """How a price changed from the year before, by year, as a share; a year that is not listed brought no published change."""

    id: str
    name: str
    years: dict[str, Sourced[Dimensionless]]


@cache
def manufacturing() -> Manufacturing:
    """Facts that all nodes share."""
    return read_facts(Manufacturing, load_toml(DATA / "processes.toml")["manufacturing"], "processes.toml", "manufacturing")


@cache
def blocks() -> Blocks:
    """Sizes of an accelerator's blocks."""
    return read_facts(Blocks, load_toml(DATA / "processes.toml")["blocks"], "processes.toml", "blocks")


@cache
def processes() -> dict[str, Process]:
    """All process nodes by id, oldest first."""
    return _all(Process, load_toml(DATA / "processes.toml")["node"], "processes.toml")


@cache
def memories() -> dict[str, MemoryGeneration]:
    """All memory generations by id."""
    return _all(MemoryGeneration, load_toml(DATA / "memories.toml"), "memories.toml")


@cache
def packagings() -> dict[str, Packaging]:
    """All package technologies by id."""
    return _all(Packaging, load_toml(DATA / "packages.toml"), "packages.toml")


@cache
def price_changes() -> dict[str, PriceChange]:
    """Published changes of supply prices by id."""
    return _all(PriceChange, load_toml(DATA / "price_changes.toml"), "price_changes.toml")


def process(identifier: str) -> Process:
    """The node with this id; raises UnknownNameError with the closest one.

    >>> process("tsmc-5").name
    'TSMC N5'
    """
    return _named("process node", identifier, processes())


def memory_generation(kind: str) -> MemoryGeneration:
    """The generation named `kind` in any case; raises UnknownNameError with the closest one.

    >>> memory_generation("HBM3e").id
    'hbm3e'
    """
    return _named("memory generation", kind.lower().replace(" ", ""), memories())


def packaging(identifier: str) -> Packaging:
    """The package technology with this id; raises UnknownNameError with the closest one.

    >>> packaging("cowos-l").bonding_yield.value
    0.98
    """
    return _named("package", identifier, packagings())


def _all(cls: type[T], table: Mapping[str, Any], file: str) -> dict[str, T]:
    return {key: read_facts(cls, entry, file, key, {"id": key}) for key, entry in table.items()}


def _named(what: str, identifier: str, known: Mapping[str, T]) -> T:
    if identifier not in known:
        raise UnknownNameError(f"unknown {what}", given=identifier, allowed=known, hint=did_you_mean(identifier, known))
    return known[identifier]
