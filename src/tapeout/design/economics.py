"""What an hour of each design costs its owner, its share of the one-off cost included, and what it draws at the meter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.cost.breakdown import breakdown
from tapeout.cost.inputs import facts_of, mapped
from tapeout.cost.nre import one_off_cost
from tapeout.cost.tco import owner_usd_per_hour
from tapeout.cost.unit import price_with_margin, printable
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.designs import Areas, Designs, Powers
from tapeout.hardware.process import Process
from tapeout.provenance import Sourced
from tapeout.units import Dimensionless, PerYear, Seconds, Unit, Usd, UsdPerJoule, Watts

Array = NDArray[np.float64]
UsdArray = Annotated[Array, Unit("USD")]
UsdPerHourArray = Annotated[Array, Unit("USD/h")]
NumberArray = Annotated[Array, Unit("1")]
UsdPerWattSecond = Annotated[float, Unit("USD/W/s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Economics:
    """Who owns the chips, and where: `volume` chips over the life of the design share its one-off cost.

    `margin` is the gross margin of who makes them; `one_off` the one-off cost, by the node and the die of each design where None.
    `host_price` and `host_power` are what stands beside one chip (server, network). `rate` and `life` are those of the capital.
    """

    volume: Dimensionless
    margin: Dimensionless
    one_off: Usd | None
    host_price: Usd
    host_power: Watts
    rate: PerYear
    life: Seconds
    hosting: UsdPerWattSecond
    energy_price: UsdPerJoule
    pue: Dimensionless
    load: Dimensionless
    operations: PerYear
    availability: Dimensionless

    def __post_init__(self) -> None:
        if not 1 <= self.volume < math.inf:
            raise InputError(
                "the volume must be positive and finite", given=self.volume, allowed="1 chip or more", hint="it shares the one-off cost"
            )

    def usd_per_hour(self, price: ArrayLike, power: ArrayLike) -> UsdPerHourArray:
        """Cost of an available hour of a chip that costs `price` USD and has the rated `power` (W)."""
        hour = owner_usd_per_hour(
            capital=np.asarray(price) + self.host_price, power=np.asarray(power) + self.host_power, rate=self.rate, life=self.life,
            hosting=self.hosting, energy_price=self.energy_price, pue=self.pue, load=self.load, operations=self.operations,
            availability=self.availability,
        )  # fmt: skip
        return hour.total

    def own_usd_per_hour(self, unit_cost: ArrayLike, one_off: ArrayLike, power: ArrayLike) -> UsdPerHourArray:
        """The same for a chip that costs `unit_cost` to make, with the maker's margin and its share of `one_off`."""
        return self.usd_per_hour(price_with_margin(unit_cost, self.margin) + np.asarray(one_off) / self.volume, power)

    def watts_at_meter(self, power: ArrayLike) -> Powers:
        """What a chip of the rated `power` (W) draws with what stands beside it, at the meter of the site."""
        return (np.asarray(power, dtype=np.float64) + self.host_power) * self.load * self.pue

    def one_off_costs(self, designs: Designs, dies: Areas) -> UsdArray:
        """One-off cost of each design, from the area of its die."""
        if self.one_off is not None:
            return np.full(designs.size, self.one_off)
        fixed, slope = (designs.of_node(fact) for fact in (_fixed_cost, _cost_per_area))
        return np.asarray(fixed + slope * dies)


def _fixed_cost(node: Process) -> float:
    return one_off_cost(node, 0.0).total


def _cost_per_area(node: Process) -> float:
    # The law is affine in the area.
    area = 1e-4
    return (one_off_cost(node, area).total - _fixed_cost(node)) / area


def unit_costs(chip: Chip, dies: Areas, power: Powers) -> UsdArray:
    """Recurring cost of designs that differ from the own `chip` only in the area of their die and in power, as `cost.unit` has it."""
    build, facts = facts_of(chip)

    def taken(name: str, fact: Sourced[float]) -> ArrayLike:
        if name == "compute.area":
            return printable(dies, fact)
        return power if name == "power" else fact.value

    return np.asarray(sum(breakdown(build, mapped(facts, taken)).by_name().values()))


def break_even_volume(recurring: ArrayLike, all_of_it: ArrayLike, seconds: ArrayLike, rival: ArrayLike) -> NumberArray:
    """Chips from which an own chip's token costs no more than `rival` (USD/token): V = k T / (3600 c - h T), infinity where none does.

    `recurring` is the hour without its share of the one-off cost (USD/h), `all_of_it` what that adds to the hour of a chip that bears
    all of it (USD/h), `seconds` the chip time of a token. Broadcasts.

    >>> round(float(break_even_volume(1.0, 1e5, 3.6e-3, 2e-6)))
    100000
    """
    parts = (np.asarray(part, dtype=np.float64) for part in (recurring, all_of_it, seconds, rival))
    hour, one_off, time, other = np.broadcast_arrays(*parts)
    saved = np.asarray(other * 3600 - hour * time)
    return np.asarray(np.divide(one_off * time, saved, out=np.full(saved.shape, np.inf), where=saved > 0))
