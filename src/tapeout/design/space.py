"""The grid of designs: every combination of the values given for each own-chip parameter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from tapeout.errors import InputError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import OwnChip
from tapeout.units import BytesPerSecond, Dimensionless, Unit, Watts

LARGEST = 200_000
"""Designs in one grid; beyond it the enumeration, which is a plain loop in this edition, takes minutes."""

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
        for number, (node, dies, units, clock, on_chip, memory, fabric) in enumerate(itertools.product(*self._axes())):
            if units.number % dies or memory.stacks % dies:
                yield None
                continue
            yield OwnChip(
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

    def _axes(
        self,
    ) -> tuple[
        tuple[str, ...], tuple[int, ...], tuple[MatrixUnits, ...], HertzList, BytesList, tuple[MemoryChoice, ...], tuple[ScaleUp, ...]
    ]:
        return self.nodes, self.dies, self.matrix_units, self.clocks, self.on_chip_memories, self.memories, self.scale_ups
