"""Rates of many own chips at once: those of a chip with one of everything, times what each design has of it.

Every rate of `performance.rates` is a coefficient of the generation, alone or times or over one of a design's peak, memory and links.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.hardware.chip import Chip, Link, Memory, NumberFormat, Topology
from tapeout.hardware.custom import kin_generation
from tapeout.hardware.parameters import RATE
from tapeout.performance.efficiency import COLLECTIVES
from tapeout.performance.rates import SCALE_OUT_SHARE, Rates, rates
from tapeout.provenance import Grade, Sourced
from tapeout.units import Unit
from tapeout.workload.numerics import Numerics

Array = NDArray[np.float64]
TOPOLOGIES = tuple(Topology)

_OVER_BANDWIDTH = frozenset(
    {"linear_input", "linear_output", "head_input", "head_output", "expert_activation", "decode_output", "latent_decode_output"}
)
"""Rates in seconds per element that passes the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """What of an own chip its rates depend on, in arrays of one length; `peak` in bf16, `topology` by position in `TOPOLOGIES`.

    `scale_out` is 0 where the chip has no links of its own beyond the scale-up domain.
    """

    peak: Annotated[Array, Unit("FLOP/s")]
    bandwidth: Annotated[Array, Unit("B/s")]
    capacity: Annotated[Array, Unit("B")]
    link: Annotated[Array, Unit("B/s")]
    scale_out: Annotated[Array, Unit("B/s")]
    domain: Annotated[Array, Unit("1")]
    topology: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.peak)

    def take(self, rows: NDArray[np.int64]) -> Points:
        """The rows `rows`, in that order."""
        return Points(**{field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)})


def point_rates(points: Points, numerics: Numerics, formats: tuple[NumberFormat, ...]) -> Rates:
    """Rates of own chips with matrix units of `formats` by row of `points`, as `performance.rates` has them; `power` is 0 in all."""
    units = rates([(unit_chip(formats, topology), numerics) for topology in TOPOLOGIES]).take(points.topology)
    beyond = np.where(points.scale_out > 0, np.minimum(points.scale_out, points.link), points.link * SCALE_OUT_SHARE)
    scaled: dict[str, Any] = {}
    for field in dataclasses.fields(Rates):
        name, unit = field.name, getattr(units, field.name)
        if name.endswith("_flops"):
            scaled[name] = unit * points.peak
        elif name in _OVER_BANDWIDTH:
            scaled[name] = unit / points.bandwidth
        elif name.endswith("_out_bytes"):
            scaled[name] = unit * beyond
        elif name.endswith("_bytes"):
            scaled[name] = unit * (points.link if name.removesuffix("_bytes") in COLLECTIVES else points.bandwidth)
        else:
            scaled[name] = unit
    scaled |= {"capacity": units.capacity * points.capacity, "domain": points.domain, "power": np.zeros(len(points))}
    return Rates(**scaled)


def unit_chip(formats: tuple[NumberFormat, ...], topology: Topology = Topology.SWITCH, domain: int = 1) -> Chip:
    """An own chip of 1 FLOP/s in bf16, 1 B of memory, and 1 B/s to it, to its peers and beyond."""
    return Chip(
        id="own",
        name="Own chip",
        vendor="own",
        generation=kin_generation(formats),
        released="",
        peak={name: _one(Unit("FLOP/s"), RATE[name]) for name in formats},
        memory=Memory(kind="", capacity=_one(Unit("B")), bandwidth=_one(Unit("B/s"))),
        scale_up=Link(bandwidth=_one(Unit("B/s")), topology=topology, domain=domain),
        power=_one(Unit("W")),
        scale_out=_one(Unit("B/s")),
    )


def _one(unit: Unit, value: float = 1.0) -> Sourced[Any]:
    return Sourced(value=value, low=value, high=value, source="tapeout-own-chip", place="eq. peak-1", grade=Grade.DERIVED, unit=unit)
