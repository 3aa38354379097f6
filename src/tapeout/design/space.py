"""The grid of designs: every combination of the values given for each own-chip parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.designs import NO_BASE, Designs, codes_of_formats
from tapeout.hardware.parameters import OwnChip
from tapeout.hardware.process import memories, memory_generation, process, processes
from tapeout.units import BytesPerSecond, Dimensionless, Unit, Watts

LARGEST = 20_000_000
"""Designs in one grid; a million takes about half a minute."""

BytesList = tuple[Annotated[float, Unit("B")], ...]
HertzList = tuple[Annotated[float, Unit("1/s")], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixUnits:
    """Matrix units of a design: how many on the whole chip, and the rows and columns of each."""

    number: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChoice:
    """Memory of a design: a generation and how many stacks or devices of it on the whole chip."""

    generation: str
    stacks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleUp:
    """Scale-up fabric of a design: bandwidth out of the chip in one direction, chips in a domain, and how they are joined."""

    bandwidth: BytesPerSecond
    domain: int
    topology: Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Values to combine for each parameter; formats, spare share, scale-out and power limit are the same for all designs.

    Raises InputError for an empty axis or a grid above `LARGEST`.
    """

    nodes: tuple[str, ...]
    dies: tuple[int, ...]
    matrix_units: tuple[MatrixUnits, ...]
    clocks: HertzList
    on_chip_memories: BytesList
    memories: tuple[MemoryChoice, ...]
    scale_ups: tuple[ScaleUp, ...]
    formats: tuple[NumberFormat, ...] = (NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4)
    spare: Dimensionless = 0.08
    scale_out: BytesPerSecond = 50e9
    power_limit: Watts | None = None
    released: str = ""

    def __post_init__(self) -> None:
        for name in ("nodes", "dies", "matrix_units", "clocks", "on_chip_memories", "memories", "scale_ups"):
            if not getattr(self, name):
                raise InputError(f"the design space has no value for {name}", hint="give at least one")
        if self.size > LARGEST:
            raise InputError("the design space is too large", given=self.size, allowed=f"up to {LARGEST} designs", hint="thin out an axis")

    @property
    def size(self) -> int:
        """Combinations in the grid, those that cannot exist included."""
        return math.prod(len(axis) for axis in self._axes())

    def designs(self) -> Iterator[OwnChip | None]:
        """Every combination in a fixed order; None where units or stacks do not divide into the dies."""
        return (self.design(number) for number in range(self.size))

    def design(self, number: int) -> OwnChip | None:
        """The design with this number in that order."""
        place = [int(each) for each in np.unravel_index(number, [len(axis) for axis in self._axes()])]
        node, dies, units, clock = self.nodes[place[0]], self.dies[place[1]], self.matrix_units[place[2]], self.clocks[place[3]]
        on_chip, memory, fabric = self.on_chip_memories[place[4]], self.memories[place[5]], self.scale_ups[place[6]]
        if units.number % dies or memory.stacks % dies:
            return None
        return OwnChip(
            id=f"own-{number:06d}",
            name=f"Own chip {number}",
            node=node,
            dies=dies,
            matrix_units=units.number,
            rows=units.rows,
            columns=units.columns,
            formats=self.formats,
            clock=clock,
            on_chip_memory=on_chip,
            memory=memory.generation,
            stacks=memory.stacks,
            link_bandwidth=fabric.bandwidth,
            domain=fabric.domain,
            topology=fabric.topology,
            scale_out=self.scale_out,
            spare=self.spare,
            power_limit=self.power_limit,
            released=self.released,
        )

    def places(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Where on each axis the designs `numbers` stand: node, dies, matrix units, clock, on-chip memory, memory, fabric."""
        return np.unravel_index(numbers, [len(axis) for axis in self._axes()])

    def grid(self, numbers: NDArray[np.int64] | None = None) -> tuple[Designs, NDArray[np.bool_]]:
        """The designs `numbers` of the same order as arrays, or all of them, and which of them divide into their dies.

        Raises UnknownNameError for a node or memory generation without data.
        """
        places = self.places(np.arange(self.size) if numbers is None else numbers)
        size = len(places[0])
        node, dies, units, clock, on_chip, memory, fabric = places
        generations = [memory_generation(one.generation) for one in self.memories]

        def along(values: list[Any], place: NDArray[np.int64]) -> Any:
            return np.array(values)[place]

        count = along(list(self.dies), dies)
        stacks, bandwidth = (
            along([one.stacks for one in self.memories], memory),
            along([one.bandwidth.value for one in generations], memory),
        )
        number, columns = along([one.number for one in self.matrix_units], units), along([one.columns for one in self.matrix_units], units)
        same = {"scale_out": self.scale_out, "spare": self.spare, "power_limit": self.power_limit or math.inf, "voltage": math.nan}
        designs = Designs(
            node=along([list(processes()).index(process(name).id) for name in self.nodes], node),
            dies=count,
            matrix_units=number,
            rows=along([one.rows for one in self.matrix_units], units),
            columns=columns,
            lanes=number * columns,
            formats=np.full(size, codes_of_formats(self.formats)),
            clock=along(list(self.clocks), clock),
            on_chip_memory=along(list(self.on_chip_memories), on_chip),
            memory=along([list(memories()).index(one.id) for one in generations], memory),
            stacks=stacks,
            link_bandwidth=along([one.bandwidth for one in self.scale_ups], fabric),
            die_to_die=np.where(count > 1, stacks * bandwidth / count, 0.0),
            base_node=np.full(size, NO_BASE),
            base_dies=np.zeros(size, dtype=np.int64),
            base_memory=np.zeros(size),
            **{name: np.full(size, value, dtype=np.float64) for name, value in same.items()},
        )
        return designs, (number % count == 0) & (stacks % count == 0)

    def _axes(
        self,
    ) -> tuple[
        tuple[str, ...], tuple[int, ...], tuple[MatrixUnits, ...], HertzList, BytesList, tuple[MemoryChoice, ...], tuple[ScaleUp, ...]
    ]:
        return self.nodes, self.dies, self.matrix_units, self.clocks, self.on_chip_memories, self.memories, self.scale_ups
