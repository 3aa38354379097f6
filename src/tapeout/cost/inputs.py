"""What the unit cost of a chip depends on, as one record: of facts, of draws, or of points in their ranges."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tapeout.cost.memory import memory_units
from tapeout.cost.years import memory_in_year, package_in_year, process_in_year
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.process import MemoryGeneration, Packaging, Process, manufacturing, memory_generation, packaging, process
from tapeout.provenance import Sourced
from tapeout.units import Bytes, Metres, SquareMetres

Value = TypeVar("Value")
Other = TypeVar("Other")

SHARES = frozenset({"harvest", "coverage", "carrier_yield", "bonding_yield", "substrate_yield", "stacking_yield"})
"""Inputs that are shares between 0 and 1; more of any of them lowers the cost, and more of any other input raises it."""

FOUNDRY_PRICES = frozenset({"compute.wafer_price", "base.wafer_price", "package_price"})
"""Prices of one supplier, which move together in part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DieInputs(Generic[Value]):
    """One kind of die: its area (m2), the price of a wafer (USD), and defects (1/m2)."""

    area: Value
    wafer_price: Value
    defect_density: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs(Generic[Value]):
    """All that a unit's cost depends on, in SI units and USD; `base` and `stacking_yield` only for dies stacked on base dies."""

    compute: DieInputs[Value]
    base: DieInputs[Value] | None
    clustering: Value
    edge_loss: Value
    scribe_lane: Value
    harvest: Value
    sort: Value
    coverage: Value
    memory_price: Value
    package_price: Value
    area_factor: Value
    substrate: Value
    carrier_yield: Value
    bonding_yield: Value
    substrate_yield: Value
    stacking_yield: Value | None
    final_test: Value
    module: Value
    auxiliary: Value
    power: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What is certain about a chip: how many dies, base dies and memory units of which size, the package, and the wafer."""

    dies: int
    base_dies: int
    units: int
    stacked: bool
    capacity: Bytes
    unit_area: SquareMetres
    wafer_diameter: Metres
    package: str
    currency_years: tuple[int, ...]


def mapped(inputs: Inputs[Value], function: Callable[[str, Value], Other]) -> Inputs[Other]:
    """The record with `function(name, value)` in the place of each value; names of dies are `compute.area` and the like."""
    return Inputs(**_mapped(inputs, function, ""))


def named(inputs: Inputs[Value]) -> dict[str, Value]:
    """The values of the record by name, in its order."""
    found: dict[str, Value] = {}
    mapped(inputs, lambda name, value: found.setdefault(name, value))
    return found


def usual_packaging(chip: Chip, memory: MemoryGeneration) -> Packaging:
    """The package that such a chip usually has.

    Organic without stacks; with stacks CoWoS-S for one die or for dies on base dies, and CoWoS-L for several dies side by side.
    """
    if not memory.stacked:
        return packaging("organic")
    beside = chip.silicon is not None and chip.silicon.dies > 1 and chip.silicon.base is None
    return packaging("cowos-l" if beside else "cowos-s")


def facts_of(chip: Chip, package: Packaging | None = None, year: int | None = None) -> tuple[Build, Inputs[Sourced[float]]]:
    """What is certain of `chip`, and the facts that its unit cost depends on, as they stand or moved to `year`.

    Raises InputError for a chip without silicon facts, dies stacked in a package that cannot, or a year before the node's first,
    and UnknownNameError for an unknown node or memory generation.
    """
    if chip.silicon is None or chip.silicon.die_area is None:
        raise InputError(
            "the chip has no silicon facts, so its cost cannot be built up", given=chip.id, hint="a price must be used instead"
        )
    make, memory, below = manufacturing(), memory_generation(chip.memory.kind), chip.silicon.base
    box = package or usual_packaging(chip, memory)
    if below is not None and box.stacking_yield is None:
        raise InputError("no die is stacked on a base die in this package", given=box.id, hint="use cowos-s")
    nodes = [process(chip.silicon.node)] + ([process(below.node)] if below else [])
    if year is not None:
        nodes = [process_in_year(node, year) for node in nodes]
        memory, box = memory_in_year(memory, year), package_in_year(box, year)
    facts: Inputs[Sourced[float]] = Inputs(
        compute=_die(nodes[0], chip.silicon.die_area),
        base=_die(nodes[1], below.die_area) if below else None,
        clustering=make.clustering,
        edge_loss=make.edge_loss,
        scribe_lane=make.scribe_lane,
        harvest=make.harvest,
        sort=make.sort,
        coverage=make.test_coverage,
        memory_price=memory.price,
        package_price=box.price,
        area_factor=box.area_factor,
        substrate=box.fixed,
        carrier_yield=box.carrier_yield,
        bonding_yield=box.bonding_yield,
        substrate_yield=box.substrate_yield,
        stacking_yield=box.stacking_yield if below else None,
        final_test=box.final_test,
        module=box.module,
        auxiliary=box.auxiliary,
        power=chip.power,
    )
    years = {fact.currency_year for fact in named(facts).values() if fact.currency_year is not None}
    build = Build(
        dies=chip.silicon.dies,
        base_dies=below.dies if below else 0,
        units=memory_units(chip, memory),
        stacked=memory.stacked,
        capacity=chip.memory.capacity.value,
        unit_area=memory.package_area,
        wafer_diameter=make.wafer_diameter.value,
        package=box.id,
        currency_years=tuple(sorted(years)),
    )
    return build, facts


def _die(node: Process, area: Sourced[SquareMetres]) -> DieInputs[Sourced[float]]:
    return DieInputs(area=area, wafer_price=node.wafer_price, defect_density=node.defect_density)


def _mapped(record: Any, function: Callable[[str, Value], Other], prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, DieInputs):
            values[field.name] = DieInputs(**_mapped(value, function, f"{field.name}."))
        else:
            values[field.name] = None if value is None else function(prefix + field.name, value)
    return values
