"""The parameters of an own chip, as a designer would state them; `hardware.custom` makes a `Chip` of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tapeout.errors import InputError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.process import memory_generation, process
from tapeout.units import Bytes, BytesPerSecond, Dimensionless, Hertz, Volts, Watts

RATE = {NumberFormat.BF16: 1, NumberFormat.FP8: 2, NumberFormat.INT8: 2, NumberFormat.FP4: 4}
"""Products per multiplier and cycle: a multiplier of 16 bits does two of 8 bits or four of 4 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLayer:
    """Dies of an older node below the compute dies, which hold the interfaces to memory, links and host, and `on_chip_memory`."""

    node: str
    dies: int
    on_chip_memory: Bytes

    def __post_init__(self) -> None:
        for name in ("dies", "on_chip_memory"):
            number = getattr(self, name)
            if not (math.isfinite(number) and number > 0):
                raise InputError(f"base.{name} must be positive", given=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChip:
    """Parameters of an own chip; counts and capacities are of the whole chip, shared evenly by its equal dies.

    A matrix unit has `rows` x `columns` multipliers and `vector_lanes` fp32 lanes, one per column unless said. `spare` is the share
    of further units that are built and switched off. `stacks` counts stacks or devices of the generation `memory`. `link_bandwidth`
    leaves the chip in one direction; `die_to_die` leaves one die in one direction, and is that of the memory at the die unless said.
    `on_chip_memory` is all SRAM of the compute dies, register files included. `voltage` is the lowest that reaches `clock` unless
    said. Raises InputError for an impossible value.
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
    vector_lanes: int | None = None
    voltage: Volts | None = None
    die_to_die: BytesPerSecond | None = None
    base: BaseLayer | None = None

    def __post_init__(self) -> None:
        for name in ("dies", "matrix_units", "rows", "columns", "stacks", "domain", "clock", "on_chip_memory", "power_limit", "voltage"):
            number = getattr(self, name)
            if number is not None and not (math.isfinite(number) and number > 0):
                raise InputError(f"{name} must be positive", given=number)
        for name in ("link_bandwidth", "scale_out", "spare", "vector_lanes", "die_to_die"):
            number = getattr(self, name)
            if number is not None and not (math.isfinite(number) and number >= 0):
                raise InputError(f"{name} must not be negative", given=number)
        if not self.formats or any(name not in RATE for name in self.formats):
            raise InputError(
                "a matrix unit needs number formats that it can multiply", given=", ".join(self.formats) or "none", allowed=RATE
            )
        for name in ("matrix_units", "stacks"):
            if self.base is None and getattr(self, name) % self.dies:
                raise InputError(f"{name} must divide into the dies", given=f"{getattr(self, name)} on {self.dies} dies")
        if self.base is not None and (self.dies % self.base.dies or self.matrix_units % self.dies or self.stacks % self.base.dies):
            parts = f"{self.matrix_units} units on {self.dies} dies, on {self.base.dies} base dies with {self.stacks} stacks"
            raise InputError("units must divide into the dies, dies and stacks into the base dies", given=parts)

    @property
    def multipliers(self) -> int:
        """Multipliers in use on the whole chip."""
        return self.matrix_units * self.rows * self.columns

    @property
    def lanes(self) -> int:
        """Vector lanes in use on the whole chip."""
        return self.matrix_units * (self.columns if self.vector_lanes is None else self.vector_lanes)

    @property
    def bandwidth_between_dies(self) -> BytesPerSecond:
        """Bandwidth out of one die to its neighbours in one direction: 0 for one die, and where base dies join them."""
        if self.dies == 1 or self.base is not None:
            return 0.0
        if self.die_to_die is not None:
            return self.die_to_die
        return self.stacks * memory_generation(self.memory).bandwidth.value / self.dies

    def known(self) -> OwnChip:
        """The same parameters; raises UnknownNameError for a node or memory generation without data, naming those that have them."""
        process(self.node)
        memory_generation(self.memory)
        if self.base is not None:
            process(self.base.node)
        return self
