"""A chip as the pipeline sees it: every number sourced, whether read from a fact file or derived from own-chip parameters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tapeout.errors import InputError
from tapeout.provenance import Sourced, facts_within
from tapeout.units import Bytes, BytesPerSecond, FlopsPerSecond, SquareMetres, Watts


class NumberFormat(StrEnum):
    """Number formats of matrix products; MXFP4 and NVFP4 run at the peak of `FP4`."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    FP4 = "fp4"


class Topology(StrEnum):
    """How the chips of one scale-up domain are joined."""

    SWITCH = "switch"
    MESH = "mesh"
    RING = "ring"
    TORUS_2D = "torus-2d"
    TORUS_3D = "torus-3d"
    PCIE = "pcie"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory beside the chip: `capacity` as sold (its high end is what the driver reports, in binary units), `bandwidth` at its peak."""

    kind: str
    capacity: Sourced[Bytes]
    bandwidth: Sourced[BytesPerSecond]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The scale-up fabric: `bandwidth` out of one chip in one direction over all its links, `domain` chips joined by it."""

    bandwidth: Sourced[BytesPerSecond]
    topology: Topology
    domain: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseDies:
    """Base or I/O dies under the compute dies, which are stacked on them in equal numbers."""

    node: str
    dies: int
    die_area: Sourced[SquareMetres]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silicon:
    """The dies: `node` is an id of `data/processes.toml`, `die_area` the area of one compute die, `dies` how many there are."""

    node: str
    dies: int
    die_area: Sourced[SquareMetres] | None = None
    base: BaseDies | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One accelerator. `peak` is dense, by number format; `generation` names the kin from which efficiencies are inherited.

    `released` is the ISO date on which the chip was first offered or, where that is not known, presented.
    """

    id: str
    name: str
    vendor: str
    generation: str
    released: str
    peak: dict[NumberFormat, Sourced[FlopsPerSecond]]
    memory: Memory
    scale_up: Link
    power: Sourced[Watts]
    scale_out: Sourced[BytesPerSecond] | None = None
    on_chip_memory: Sourced[Bytes] | None = None
    silicon: Silicon | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not self.peak:
            raise InputError("a chip needs the peak of at least one number format", given=self.id)
        for path, number in facts_within(self):
            if number.low <= 0:
                raise InputError(f"{path} must be positive", given=number.low)
        if self.scale_up.domain < 1:
            raise InputError("scale_up.domain must be at least 1", given=self.scale_up.domain)
        if self.silicon is not None and self.silicon.dies < 1:
            raise InputError("silicon.dies must be at least 1", given=self.silicon.dies)
        if self.silicon is not None and self.silicon.base is not None:
            below = self.silicon.base.dies
            if below < 1 or self.silicon.dies % below:
                raise InputError("silicon.base.dies must divide the compute dies on them", given=f"{below} under {self.silicon.dies}")
