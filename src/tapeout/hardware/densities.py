"""Facts by which an own chip's blocks are sized beside those of `hardware.process`: die edge, energies, voltage, package size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from tapeout.hardware.chip import NumberFormat
from tapeout.hardware.process import SquareMetresPerBandwidth
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import Dimensionless, JoulesPerByte, Metres, SquareMetres, Unit, Volts

MetresPerBandwidth = Annotated[float, Unit("m s/B")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Densities:
    """Sizes, energies and limits that do not belong to one node; bandwidths are of one direction.

    `threshold_voltage` and `velocity_saturation` are Vt and alpha of the alpha-power law. `leakage_share` of a node's static power
    leaks and grows with `leakage_exponent` of the supply; the rest is the clock tree. `vector_products` is the energy of a lane and
    cycle in bf16 products, `format_energy` that of a product by format; `*_idle` the share of full power at rest. `interposer` and
    `laminate` are the largest carriers for stacked memory and for memory beside the package.
    """

    threshold_voltage: Sourced[Volts]
    velocity_saturation: Sourced[Dimensionless]
    leakage_share: Sourced[Dimensionless]
    leakage_exponent: Sourced[Dimensionless]
    vector_products: Sourced[Dimensionless]
    vector_activity: Sourced[Dimensionless]
    memory_idle: Sourced[Dimensionless]
    link_idle: Sourced[Dimensionless]
    link_beachfront: Sourced[MetresPerBandwidth]
    host_beachfront: Sourced[Metres]
    die_to_die_beachfront: Sourced[MetresPerBandwidth]
    die_to_die_area: Sourced[SquareMetresPerBandwidth]
    die_to_die_energy: Sourced[JoulesPerByte]
    interposer: Sourced[SquareMetres]
    laminate: Sourced[SquareMetres]
    format_energy: dict[NumberFormat, Sourced[Dimensionless]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """Supply voltage by node id: nominal value, and the range within which clock and energy are scaled."""

    voltage: dict[str, Sourced[Volts]]


@cache
def densities() -> Densities:
    """The facts of `data/densities.toml` that all nodes share."""
    return read_facts(Densities, load_toml(DATA / "densities.toml")["blocks"], "densities.toml", "blocks")


@cache
def supplies() -> dict[str, Sourced[Volts]]:
    """Supply voltages by node id.

    >>> supplies()["tsmc-5"].high
    1.0
    """
    table = {"voltage": load_toml(DATA / "densities.toml")["voltage"]}
    return read_facts(Supplies, table, "densities.toml").voltage
