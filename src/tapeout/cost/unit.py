"""What one more chip costs to make: dies, memory, package, test and module, with a low and a high.

The low takes every fact at its cheap end and the high at its dear end, so the band is an envelope, wider than a percentile.
Facts keep the currency year of their sources, from 2020 to 2026; they are not inflated, and the years are stated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.cost.die import YieldModel, dies_per_wafer, harvested, known_good_die, negative_binomial, reticle_area
from tapeout.cost.package import chip_last_package
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.process import (
    Manufacturing,
    MemoryGeneration,
    Packaging,
    Process,
    manufacturing,
    memory_generation,
    packaging,
    process,
)
from tapeout.provenance import Sourced
from tapeout.units import Dimensionless, SquareMetres, Unit, Usd

T = TypeVar("T")


class Level(Enum):
    """Where in its range each fact is taken: all at the cheap end, at the value, or at the dear end."""

    LOW = -1
    MID = 0
    HIGH = 1


def dear(fact: Sourced[T], level: Level) -> T:
    """A fact that raises cost, at `level`."""
    return {Level.LOW: fact.low, Level.MID: fact.value, Level.HIGH: fact.high}[level]


def cheap(fact: Sourced[T], level: Level) -> T:
    """A fact that lowers cost, at `level`: its high end where costs are low."""
    return {Level.LOW: fact.high, Level.MID: fact.value, Level.HIGH: fact.low}[level]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBreakdown:
    """Recurring cost of one chip by part; `loss` is what failed assembly wastes, `module` its board and power delivery."""

    dies: Usd
    memory: Usd
    package: Usd
    loss: Usd
    test: Usd
    module: Usd

    @property
    def total(self) -> Usd:
        """All parts together."""
        return self.dies + self.memory + self.package + self.loss + self.test + self.module


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """Recurring cost of one chip at the low, middle and high of all facts, and the currency years of those facts."""

    chip: str
    packaging: str
    stacks: int
    low: CostBreakdown
    mid: CostBreakdown
    high: CostBreakdown
    currency_years: tuple[int, ...]


def memory_units(chip: Chip, memory: MemoryGeneration) -> int:
    """Stacks or devices that hold the chip's capacity and carry its bandwidth.

    The fewest units with the largest capacity of the generation and its usual bandwidth, at least one. On chips shipped up to
    2025 it is exact to one unit; stacks run faster than usual, as announced for Vera Rubin, are counted as more.
    """
    needed = max(chip.memory.capacity.value / memory.capacity.high, chip.memory.bandwidth.value / memory.bandwidth.value)
    return max(1, math.ceil(needed - 0.1))


def usual_packaging(chip: Chip, memory: MemoryGeneration) -> Packaging:
    """The package that such a chip usually has: organic without stacks, CoWoS-S for one die with stacks, CoWoS-L for several."""
    if not memory.stacked:
        return packaging("organic")
    return packaging("cowos-s" if chip.silicon is None or chip.silicon.dies == 1 else "cowos-l")


def unit_cost(chip: Chip, *, package: Packaging | None = None, yield_model: YieldModel = negative_binomial) -> UnitCost:
    """Recurring cost of one `chip` in USD, before development and margin; `package` defaults to the usual one.

    Only the compute dies of `chip.silicon` are priced: base and I/O dies that its facts do not list are left out. Raises InputError
    for a chip without silicon facts, and UnknownNameError for an unknown node or memory generation.
    """
    if chip.silicon is None or chip.silicon.die_area is None:
        raise InputError(
            "the chip has no silicon facts, so its cost cannot be built up", given=chip.id, hint="a price must be used instead"
        )
    node, memory = process(chip.silicon.node), memory_generation(chip.memory.kind)
    box = package or usual_packaging(chip, memory)
    area, dies, units, make = chip.silicon.die_area, chip.silicon.dies, memory_units(chip, memory), manufacturing()
    each = {level: die_cost(area, node, make, level, yield_model) for level in Level}
    levels = {level: _breakdown(chip, area, dies, memory, units, box, level, each[level]) for level in Level}
    money = (node.wafer_price, memory.price, box.price, box.final_test, box.module, box.auxiliary)
    return UnitCost(
        chip=chip.id,
        packaging=box.id,
        stacks=units,
        low=levels[Level.LOW],
        mid=levels[Level.MID],
        high=levels[Level.HIGH],
        currency_years=tuple(sorted({fact.currency_year for fact in money if fact.currency_year is not None})),
    )


def price_with_margin(cost: ArrayLike, margin: Dimensionless) -> Annotated[NDArray[np.float64], Unit("USD")]:
    """Price at which a seller with gross margin `margin` sells what costs `cost`: P = C / (1 - m) [epoch-ai-chip-counts].

    >>> round(float(price_with_margin(1153.0, 0.575)))
    2713
    """
    if not 0 <= margin < 1:
        raise InputError("a gross margin must be at least 0 and below 1", given=margin)
    return np.asarray(np.asarray(cost, dtype=np.float64) / (1 - margin))


def die_cost(
    area: Sourced[SquareMetres], node: Process, make: Manufacturing, level: Level, yield_model: YieldModel = negative_binomial
) -> Usd:
    """Cost of one die that can be sold, at `level`: wafer price, area, defects, clustering, harvesting, sort.

    Raises InputError for an area above the reticle limit; the dear end of a smaller one is cut off at the limit.
    """
    size = area.value if area.value > reticle_area() else min(dear(area, level), reticle_area())
    gross = dies_per_wafer(
        size, diameter=make.wafer_diameter.value, edge_loss=dear(make.edge_loss, level), scribe_lane=dear(make.scribe_lane, level)
    )
    # A smaller alpha bunches the defects on fewer dies, so it is the cheap end.
    good = yield_model(size, dear(node.defect_density, level), dear(make.clustering, level))
    sold = harvested(good, cheap(make.harvest, level))
    return float(known_good_die(dear(node.wafer_price, level), gross, sold, dear(make.sort, level)))


def _breakdown(
    chip: Chip,
    silicon_area: Sourced[SquareMetres],
    dies: int,
    memory: MemoryGeneration,
    units: int,
    box: Packaging,
    level: Level,
    each: Usd,
) -> CostBreakdown:
    stored = chip.memory.capacity.value * dear(memory.price, level)
    silicon = dies * each
    carried = dies * silicon_area.value + units * memory.package_area
    package = chip_last_package(
        parts=silicon + (stored if memory.stacked else 0.0),
        count=dies + (units if memory.stacked else 0),
        carrier=dear(box.fixed, level) + dear(box.price, level) * box.area_factor.value * carried,
        carrier_yield=cheap(box.carrier_yield, level),
        bonding_yield=cheap(box.bonding_yield, level),
        substrate_yield=cheap(box.substrate_yield, level),
    )
    return CostBreakdown(
        dies=silicon,
        memory=stored,
        package=package.raw,
        loss=package.failed + package.wasted_parts,
        test=dear(box.final_test, level),
        module=dear(box.module, level) + chip.power.value * dear(box.auxiliary, level),
    )
