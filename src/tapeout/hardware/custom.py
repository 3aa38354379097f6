"""An own chip: from its parameters and a process node to the same `Chip` that market chips are.

Area, power and limits are first-edition block models. Sizes per block come from `data/processes.toml`; two of them are fitted to
the die areas of A100, H100 and TPU v4i, and two energies to the power of A100 and TPU v4. On these and on the chips held out
(L40S, B200) area is within 15 % and power within 25 %, the band that the derived numbers carry; the rated power of the TPU v4i is
missed by 31 % (tests/hardware/test_custom.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip, Link, Memory, NumberFormat, Silicon, Topology
from tapeout.hardware.process import MemoryGeneration, Process, blocks, manufacturing, memory_generation, process
from tapeout.provenance import Grade, Sourced
from tapeout.units import Bytes, BytesPerSecond, Dimensionless, Hertz, Metres, SquareMetres, Unit, Watts, show

SOURCE = "tapeout-own-chip"
BAND = 0.25
RATE = {NumberFormat.BF16: 1, NumberFormat.FP8: 2, NumberFormat.INT8: 2, NumberFormat.FP4: 4}
"""Products per multiplier and cycle: a multiplier of 16 bits does two of 8 bits or four of 4 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChip:
    """Parameters of an own chip; counts and capacities are of the whole chip, shared evenly by its equal dies.

    A matrix unit has `rows` x `columns` multipliers and one fp32 vector lane per column. `spare` is the share of further units
    that are built and switched off. `stacks` counts stacks or devices of the generation `memory`. `link_bandwidth` leaves the
    chip in one direction. `on_chip_memory` is all SRAM, register files included. Raises InputError for an impossible value.
    """

    id: str
    name: str
    node: str
    dies: int
    matrix_units: int
    rows: int
    columns: int
    formats: tuple[NumberFormat, ...]
    clock: Hertz
    on_chip_memory: Bytes
    memory: str
    stacks: int
    link_bandwidth: BytesPerSecond
    domain: int
    topology: Topology
    scale_out: BytesPerSecond = 0.0
    spare: Dimensionless = 0.08
    power_limit: Watts | None = None
    released: str = ""

    def __post_init__(self) -> None:
        for name in ("dies", "matrix_units", "rows", "columns", "stacks", "domain", "clock", "on_chip_memory"):
            number = getattr(self, name)
            if not (math.isfinite(number) and number > 0):
                raise InputError(f"{name} must be positive", given=number)
        for name in ("link_bandwidth", "scale_out", "spare"):
            number = getattr(self, name)
            if not (math.isfinite(number) and number >= 0):
                raise InputError(f"{name} must not be negative", given=number)
        if self.power_limit is not None and not (math.isfinite(self.power_limit) and self.power_limit > 0):
            raise InputError("power_limit must be positive", given=self.power_limit)
        if not self.formats or any(name not in RATE for name in self.formats):
            raise InputError(
                "a matrix unit needs number formats that it can multiply", given=", ".join(self.formats) or "none", allowed=RATE
            )
        for name in ("matrix_units", "stacks"):
            if getattr(self, name) % self.dies:
                raise InputError(f"{name} must divide into the dies", given=f"{getattr(self, name)} on {self.dies} dies")

    @property
    def multipliers(self) -> int:
        """Multipliers in use on the whole chip."""
        return self.matrix_units * self.rows * self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class DieArea:
    """Area of one die by block; `unnamed` is on-chip network, fixed functions, test logic, pads and white space."""

    matrix: SquareMetres
    vector: SquareMetres
    on_chip_memory: SquareMetres
    memory_interface: SquareMetres
    links: SquareMetres
    host: SquareMetres
    unnamed: SquareMetres

    @property
    def total(self) -> SquareMetres:
        """Area of the die."""
        return self.matrix + self.vector + self.on_chip_memory + self.memory_interface + self.links + self.host + self.unnamed


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerDraw:
    """Power of the whole chip and its memory at full rate, by consumer."""

    matrix: Watts
    operands: Watts
    memory: Watts
    links: Watts
    static: Watts

    @property
    def total(self) -> Watts:
        """Power at full rate."""
        return self.matrix + self.operands + self.memory + self.links + self.static


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLimit:
    """A limit that a design breaks: its name, what the design needs, what is allowed, and where the limit is from."""

    name: str
    given: str
    allowed: str
    source: str


def die_area(own: OwnChip) -> DieArea:
    """Area of one die from its blocks.

    [tapeout-own-chip, eq. area-1] A = sum of blocks / (1 - unnamed share); logic = transistors / (library density x density
    reached); SRAM = bits x cell / efficiency; interfaces = PHY, which does not shrink, + controller logic.
    """
    node, memory, size = process(own.node), memory_generation(own.memory), blocks()
    per_transistor = 1 / (node.transistor_density.value * size.density_reached.value)
    built, share = (1 + own.spare) / own.dies, 1 / own.dies
    bandwidth = (own.link_bandwidth + own.scale_out) * share
    named = {
        "matrix": own.multipliers * built * size.transistors_per_multiplier.value * size.area_of_formats(own.formats) * per_transistor,
        "vector": own.matrix_units * own.columns * built * size.transistors_per_lane.value * per_transistor,
        "on_chip_memory": own.on_chip_memory * share * 8 * node.sram_cell.value / size.sram_efficiency.value,
        "memory_interface": own.stacks * share * (memory.phy_area.value + memory.controller_transistors.value * per_transistor),
        "links": bandwidth * (size.link_phy_area.value + size.link_transistors.value * per_transistor),
        "host": share * (size.host_phy_area.value + size.host_transistors.value * per_transistor),
    }
    return DieArea(**named, unnamed=sum(named.values()) * (1 / (1 - size.unnamed_share.value) - 1))


def power_draw(own: OwnChip) -> PowerDraw:
    """Power of the chip at full rate in bf16; narrower formats do more products in the same energy.

    [tapeout-own-chip, eq. power-1] P = F e + F/2 x 2 byte x (1/rows + 1/columns) e_byte + B e_memory + 2 L e_link + A p_static, with F
    the bf16 peak, B the memory bandwidth and L the link bandwidth: each operand is read once per row or column.
    """
    node, memory = process(own.node), memory_generation(own.memory)
    rate = 2 * own.multipliers * own.clock
    return PowerDraw(
        matrix=rate * node.energy_per_flop.value,
        operands=rate * (1 / own.rows + 1 / own.columns) * node.energy_per_byte.value,
        memory=own.stacks * memory.bandwidth.value * memory.energy.value,
        links=2 * (own.link_bandwidth + own.scale_out) * blocks().link_energy.value,
        static=own.dies * die_area(own).total * node.static_power.value,
    )


def memory_edge(area: SquareMetres, dies: int, memory: MemoryGeneration) -> Metres:
    """Die edge on which one die can place memory, for a die of the reticle's proportions.

    A single die has memory on its two long edges (and, where it is not stacked, on one short edge); dies in a row are joined at
    their long edges and keep the two short ones. The remaining edges carry the links.
    """
    make = manufacturing()
    long = min(make.reticle_length.value, math.sqrt(area * make.reticle_length.value / make.reticle_width.value))
    short = area / long
    if dies > 1:
        return 2 * short
    return 2 * long + (0 if memory.stacked else short)


def broken_limits(own: OwnChip) -> tuple[BrokenLimit, ...]:
    """The limits that the design breaks: clock, reticle, beachfront, cooling, its own power limit; none where it can be built."""
    node, memory, make = process(own.node), memory_generation(own.memory), manufacturing()
    area, power = die_area(own).total, power_draw(own)
    reticle = make.reticle_length.value * make.reticle_width.value
    edge, needed = memory_edge(min(area, reticle), own.dies, memory), own.stacks / own.dies * memory.beachfront.value
    density, fixed = power.total / (own.dies * area), power.total - power.matrix - power.operands
    clock_given, clock_allowed = f"{own.clock / 1e9:.3g} GHz", f"up to {node.clock.high / 1e9:.3g} GHz in {node.name}"
    area_given, area_allowed = f"a die of {area * 1e6:.0f} mm2", f"up to {reticle * 1e6:.0f} mm2"
    edge_given, edge_allowed = f"{needed * 1e3:.0f} mm of die edge for {memory.name}", f"up to {edge * 1e3:.0f} mm a die"
    heat_given, heat_allowed = f"{density / 1e6:.2f} W/mm2", f"up to {make.power_density.high / 1e6:.2f} W/mm2"
    checks = (
        (own.clock > node.clock.high, "clock", clock_given, clock_allowed, node.clock),
        (area > reticle, "reticle", area_given, area_allowed, make.reticle_length),
        (needed > edge, "beachfront", edge_given, edge_allowed, memory.beachfront),
        (density > make.power_density.high, "power density", heat_given, heat_allowed, make.power_density),
    )
    broken = [
        BrokenLimit(name=name, given=given, allowed=allowed, source=f"{fact.source}, {fact.place}")
        for broke, name, given, allowed, fact in checks
        if broke
    ]
    if own.power_limit is not None and power.total > own.power_limit:
        clock = own.clock * (own.power_limit - fixed) / (power.matrix + power.operands)
        advice = f"; a clock of {clock / 1e9:.2f} GHz would meet it" if clock > 0 else "; no clock meets it"
        given = f"{power.total:.0f} W"
        broken.append(
            BrokenLimit(name="power", given=given, allowed=f"up to {own.power_limit:.0f} W{advice}", source="power_limit of the design")
        )
    return tuple(broken)


def own_chip(own: OwnChip) -> Chip:
    """The `Chip` of these parameters, of vendor and generation `own`; raises InputError naming each broken limit and its source.

    Peaks are multipliers x 2 x clock in bf16, twice that in fp8 and int8, four times in fp4 [tapeout-own-chip, eq. peak-1]. Area
    and power carry a band of 25 %, as found on published chips.
    """
    broken = broken_limits(own)
    if broken:
        raise InputError(
            f"the design {own.id} breaks {'its limit' if len(broken) == 1 else 'limits'} of {', '.join(limit.name for limit in broken)}",
            given="; ".join(limit.given for limit in broken),
            allowed="; ".join(limit.allowed for limit in broken),
            hint="limits from " + "; ".join(limit.source for limit in broken),
        )
    node, memory = process(own.node), memory_generation(own.memory)
    base = 2.0 * own.multipliers * own.clock
    return Chip(
        id=own.id,
        name=own.name,
        vendor="own",
        generation="own",
        released=own.released,
        peak={name: _derived(base * RATE[name], Unit("FLOP/s"), "eq. peak-1") for name in own.formats},
        memory=Memory(
            kind=memory.name,
            capacity=_derived(own.stacks * memory.capacity.value, Unit("B"), "stacks x capacity"),
            bandwidth=_scaled(own.stacks, memory.bandwidth, "stacks x bandwidth"),
        ),
        scale_up=Link(
            bandwidth=_derived(own.link_bandwidth, Unit("B/s"), "parameter link_bandwidth"), topology=own.topology, domain=own.domain
        ),
        power=_derived(power_draw(own).total, Unit("W"), "eq. power-1", BAND),
        scale_out=_derived(own.scale_out, Unit("B/s"), "parameter scale_out") if own.scale_out else None,
        on_chip_memory=_derived(own.on_chip_memory, Unit("B"), "parameter on_chip_memory"),
        silicon=Silicon(node=own.node, dies=own.dies, die_area=_derived(die_area(own).total, Unit("m2"), "eq. area-1", BAND)),
        note=_description(own, node),
    )


def _derived(value: float, unit: Unit, place: str, band: float = 0.0) -> Sourced[Any]:
    low, high = value * (1 - band), value * (1 + band)
    return Sourced(value=value, low=low, high=high, source=SOURCE, place=place, grade=Grade.DERIVED, unit=unit)


def _scaled(count: int, fact: Sourced[float], place: str) -> Sourced[Any]:
    low, value, high = (count * number for number in (fact.low, fact.value, fact.high))
    return Sourced(value=value, low=low, high=high, source=SOURCE, place=place, grade=Grade.DERIVED, unit=fact.unit)


def _description(own: OwnChip, node: Process) -> str:
    units = f"{own.matrix_units} matrix units of {own.rows} x {own.columns} at {own.clock / 1e9:.3g} GHz"
    return f"{units}, {show(own.on_chip_memory, Unit('B'))} on chip, {own.dies} dies in {node.name}"
