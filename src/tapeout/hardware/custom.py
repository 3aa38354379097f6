"""An own chip: from its parameters and a process node to the same `Chip` that market chips are.

The equations are those of `hardware.area`, `hardware.power` and `hardware.limits` over arrays; one chip is a row of them. How well
they predict shipped chips is in docs/background/own-chip.md and in tests/hardware/test_back_prediction.py.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from tapeout.errors import InputError
from tapeout.hardware.chip import BaseDies, Chip, Link, Memory, NumberFormat, Silicon
from tapeout.hardware.designs import designs_of
from tapeout.hardware.limits import Built, build, limits_of
from tapeout.hardware.parameters import RATE, OwnChip
from tapeout.hardware.power import idle_powers
from tapeout.hardware.process import memory_generation, process
from tapeout.provenance import Grade, Sourced
from tapeout.units import Dimensionless, FlopsPerSecond, SquareMetres, Unit, Volts, Watts, show

SOURCE = "tapeout-own-chip"
VENDOR = "own"
AREA_BAND, POWER_BAND = 0.25, 0.3
"""Bands of area and power, which most shipped chips keep (docs/background/own-chip.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DieArea:
    """Area of one die by block; `unnamed` is on-chip network, fixed functions, test logic, pads and white space."""

    matrix: SquareMetres
    vector: SquareMetres
    on_chip_memory: SquareMetres
    memory_interface: SquareMetres
    links: SquareMetres
    die_to_die: SquareMetres
    host: SquareMetres
    unnamed: SquareMetres

    @property
    def total(self) -> SquareMetres:
        """Area of the die."""
        return float(sum(getattr(self, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerDraw:
    """Power of the whole chip and its memory, by consumer."""

    matrix: Watts
    vector: Watts
    operands: Watts
    memory: Watts
    links: Watts
    die_to_die: Watts
    clock: Watts
    leakage: Watts

    @property
    def total(self) -> Watts:
        """Power of the chip."""
        return float(sum(getattr(self, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLimit:
    """A limit that a design breaks: its name, what the design needs, what is allowed, and where the limit is from."""

    name: str
    given: str
    allowed: str
    source: str


def die_area(own: OwnChip) -> DieArea:
    """Area of one compute die, a row of `area.die_areas`; raises UnknownNameError for a node or memory without data."""
    return DieArea(**_row(_built(own).dies, DieArea))


def base_die_area(own: OwnChip) -> DieArea:
    """Area of one base die, a row of `area.base_areas`: all zero where there are none."""
    return DieArea(**_row(_built(own).base, DieArea))


def power_draw(own: OwnChip) -> PowerDraw:
    """Power at full rate, a row of `power.load_powers`."""
    return PowerDraw(**_row(_built(own).power, PowerDraw))


def idle_power_draw(own: OwnChip) -> PowerDraw:
    """Power at rest, a row of `power.idle_powers`."""
    return PowerDraw(**_row(idle_powers(_built(own).power), PowerDraw))


def supply_voltage(own: OwnChip) -> Volts:
    """Supply of the dies: as given, or the lowest that reaches the clock within the node's range."""
    return float(_built(own).voltage[0])


def peak(own: OwnChip) -> dict[NumberFormat, FlopsPerSecond]:
    """Dense peak: 2 x multipliers x clock in bf16, twice that in fp8 and int8, four times in fp4 [tapeout-own-chip, eq. peak-1]."""
    return {name: 2.0 * own.multipliers * own.clock * RATE[name] for name in own.formats}


def kin_generation(formats: tuple[NumberFormat, ...]) -> str:
    """The generation whose efficiencies an own chip inherits, by the narrowest floating-point format of its matrix units.

    How much of its peak a matrix unit reaches was measured format by format, so the kin is the newest generation that was measured in
    the same formats: Blackwell for fp4, Hopper for fp8, Ampere for bf16 and int8 alone (`data/efficiencies.toml`, kin of these names).
    """
    if NumberFormat.FP4 in formats:
        return "own-fp4"
    return "own" if NumberFormat.FP8 in formats else "own-bf16"


def broken_limits(own: OwnChip) -> tuple[BrokenLimit, ...]:
    """The limits of `hardware.limits` that the design breaks; none where it can be built."""
    built = _built(own)
    broken = []
    for limit in limits_of(built):
        if limit.holds[0]:
            continue
        given, allowed, source = limit.words(0)
        if limit.name == "power":
            allowed += _advice(own, built)
        broken.append(BrokenLimit(name=limit.name, given=given, allowed=allowed, source=source))
    return tuple(broken)


def limit_margins(own: OwnChip) -> dict[str, Dimensionless]:
    """How far the design is inside each limit, as a share of it, nearest first; negative where it breaks the limit."""
    margins = {limit.name: float(limit.margin[0]) for limit in limits_of(_built(own))}
    return dict(sorted(margins.items(), key=lambda pair: pair[1]))


def own_chip(own: OwnChip) -> Chip:
    """The `Chip` of these parameters, of vendor `own`; raises InputError naming each broken limit and its source.

    Area and power carry the bands `AREA_BAND` and `POWER_BAND`; memory carries the range of its generation.
    """
    broken = broken_limits(own)
    if broken:
        raise InputError(
            f"the design {own.id} breaks {'its limit' if len(broken) == 1 else 'limits'} of {', '.join(limit.name for limit in broken)}",
            given="; ".join(limit.given for limit in broken),
            allowed="; ".join(limit.allowed for limit in broken),
            hint="limits from " + "; ".join(limit.source for limit in broken),
        )
    memory = memory_generation(own.memory)
    return Chip(
        id=own.id,
        name=own.name,
        vendor=VENDOR,
        generation=kin_generation(own.formats),
        released=own.released,
        peak={name: _derived(value, Unit("FLOP/s"), "eq. peak-1") for name, value in peak(own).items()},
        memory=Memory(
            kind=memory.name,
            capacity=_derived(own.stacks * memory.capacity.value, Unit("B"), "stacks x capacity"),
            bandwidth=_scaled(own.stacks, memory.bandwidth, "stacks x bandwidth"),
        ),
        scale_up=Link(
            bandwidth=_derived(own.link_bandwidth, Unit("B/s"), "parameter link_bandwidth"), topology=own.topology, domain=own.domain
        ),
        power=_derived(power_draw(own).total, Unit("W"), "eq. power-1", POWER_BAND),
        scale_out=_derived(own.scale_out, Unit("B/s"), "parameter scale_out") if own.scale_out else None,
        on_chip_memory=_derived(own.on_chip_memory + (own.base.on_chip_memory if own.base else 0.0), Unit("B"), "parameter on_chip_memory"),
        silicon=_silicon(own),
        note=_description(own),
    )


def _silicon(own: OwnChip) -> Silicon:
    below = None
    if own.base is not None:
        area = _derived(base_die_area(own).total, Unit("m2"), "eq. area-1", AREA_BAND)
        below = BaseDies(node=own.base.node, dies=own.base.dies, die_area=area)
    return Silicon(node=own.node, dies=own.dies, die_area=_derived(die_area(own).total, Unit("m2"), "eq. area-1", AREA_BAND), base=below)


def _built(own: OwnChip) -> Built:
    return build(designs_of((own,)))


def _row(parts: Any, cls: type[DieArea | PowerDraw]) -> dict[str, float]:
    return {field.name: float(getattr(parts, field.name)[0]) for field in fields(cls)}


def _advice(own: OwnChip, built: Built) -> str:
    """Which clock would meet the power limit at the same supply, in words."""
    draw, limit = PowerDraw(**_row(built.power, PowerDraw)), own.power_limit or 0.0
    with_clock = draw.matrix + draw.vector + draw.operands + draw.clock
    clock = own.clock * (1 - (draw.total - limit) / with_clock)
    return f"; a clock of {clock / 1e9:.2f} GHz would meet it" if clock > 0 else "; no clock meets it"


def _derived(value: float, unit: Unit, place: str, band: float = 0.0) -> Sourced[Any]:
    low, high = value * (1 - band), value * (1 + band)
    return Sourced(value=value, low=low, high=high, source=SOURCE, place=place, grade=Grade.DERIVED, unit=unit)


def _scaled(count: int, fact: Sourced[float], place: str) -> Sourced[Any]:
    low, value, high = (count * number for number in (fact.low, fact.value, fact.high))
    return Sourced(value=value, low=low, high=high, source=SOURCE, place=place, grade=Grade.DERIVED, unit=fact.unit)


def _description(own: OwnChip) -> str:
    units = f"{own.matrix_units} matrix units of {own.rows} x {own.columns} at {own.clock / 1e9:.3g} GHz"
    return f"{units}, {show(own.on_chip_memory, Unit('B'))} on chip, {own.dies} dies in {process(own.node).name}"
