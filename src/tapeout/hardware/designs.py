"""Many own chips at once: each parameter an array over designs, each fact of a node or memory looked up by its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.hardware.densities import densities, supplies
from tapeout.hardware.parameters import RATE, OwnChip
from tapeout.hardware.process import MemoryGeneration, Process, blocks, memories, memory_generation, processes
from tapeout.units import Unit

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Numbers = Annotated[Array, Unit("1")]
ByteNumbers = Annotated[Array, Unit("B")]
ByteRates = Annotated[Array, Unit("B/s")]
Clocks = Annotated[Array, Unit("1/s")]
Voltages = Annotated[Array, Unit("V")]
Powers = Annotated[Array, Unit("W")]
Areas = Annotated[Array, Unit("m2")]
Lengths = Annotated[Array, Unit("m")]

FORMATS = tuple(RATE)
NO_BASE = -1
WHOLE = ("node", "dies", "matrix_units", "rows", "columns", "lanes", "formats", "memory", "stacks", "base_node", "base_dies")
"""Parameters that are whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Designs:
    """Parameters of many own chips, in arrays of one length; the fields are those of `OwnChip`.

    `node`, `base_node` and `memory` are positions in `processes()` and `memories()`, `base_node` is -1 where there is none;
    `formats` has bit i set for `FORMATS[i]`. `voltage` is not a number where it follows from the clock; `power_limit` is infinite
    where there is none. `lanes` are of the whole chip, `die_to_die` of one die.
    """

    node: Codes
    dies: Codes
    matrix_units: Codes
    rows: Codes
    columns: Codes
    lanes: Codes
    formats: Codes
    clock: Clocks
    voltage: Voltages
    on_chip_memory: ByteNumbers
    memory: Codes
    stacks: Codes
    link_bandwidth: ByteRates
    scale_out: ByteRates
    die_to_die: ByteRates
    spare: Numbers
    power_limit: Powers
    base_node: Codes
    base_dies: Codes
    base_memory: ByteNumbers

    @property
    def size(self) -> int:
        """How many designs there are."""
        return len(self.node)

    @property
    def multipliers(self) -> Numbers:
        """Multipliers in use on each chip."""
        return self.matrix_units.astype(np.float64) * self.rows * self.columns

    @property
    def has_base(self) -> Flags:
        """Whether the dies stand on base dies."""
        return np.asarray(self.base_node != NO_BASE, dtype=np.bool_)

    def take(self, rows: Codes | Flags) -> Designs:
        """The designs `rows`, by number or by mask."""
        return Designs(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def of_node(self, fact: Callable[[Process], float], *, base: bool = False) -> Array:
        """`fact` of the node of each design's dies, or of its base dies (0 where there are none)."""
        table = np.array([*(fact(node) for node in processes().values()), 0.0])
        return np.asarray(table[self.base_node if base else self.node])

    def of_memory(self, fact: Callable[[MemoryGeneration], float]) -> Array:
        """`fact` of the memory generation of each design."""
        return np.asarray(np.array([fact(one) for one in memories().values()])[self.memory])

    def format_area(self) -> Numbers:
        """Multiplier area over that of a bf16-only multiplier."""
        size = blocks().format_area
        return 1.0 + _summed(self.formats, [size[name].value if name in size else 0.0 for name in FORMATS])

    def format_energy(self) -> Numbers:
        """Energy of a multiplier and cycle over that of a bf16 product, in the hungriest of the formats."""
        each = np.array([RATE[name] * densities().format_energy[name].value for name in FORMATS])
        return np.asarray(np.max(np.where(_bits(self.formats), each, 0.0), axis=1))


def codes_of_formats(formats: Sequence[str]) -> int:
    """The formats as bits."""
    return sum(1 << position for position, name in enumerate(FORMATS) if name in formats)


def designs_of(chips: Sequence[OwnChip]) -> Designs:
    """The parameters `chips` as arrays, in their order; raises UnknownNameError for a node or memory without data."""
    node = {name: position for position, name in enumerate(processes())}
    memory = {name: position for position, name in enumerate(memories())}
    known = [one.known() for one in chips]
    columns: dict[str, list[Any]] = {
        "node": [node[one.node] for one in known],
        "memory": [memory[memory_generation(one.memory).id] for one in known],
        "formats": [codes_of_formats(one.formats) for one in known],
        "lanes": [one.lanes for one in known],
        "voltage": [np.nan if one.voltage is None else one.voltage for one in known],
        "die_to_die": [one.bandwidth_between_dies for one in known],
        "power_limit": [np.inf if one.power_limit is None else one.power_limit for one in known],
        "base_node": [node[one.base.node] if one.base else NO_BASE for one in known],
        "base_dies": [one.base.dies if one.base else 0 for one in known],
        "base_memory": [one.base.on_chip_memory if one.base else 0.0 for one in known],
    }
    same = ("dies", "matrix_units", "rows", "columns", "clock", "on_chip_memory", "stacks", "link_bandwidth", "scale_out", "spare")
    columns |= {name: [getattr(one, name) for one in known] for name in same}
    arrays: dict[str, Any] = {name: np.array(column, dtype=np.int64 if name in WHOLE else np.float64) for name, column in columns.items()}
    return Designs(**arrays)


def supply(designs: Designs) -> Voltages:
    """The supply of each design: as given, or the lowest of its node's range that reaches the clock, at most the highest.

    [tapeout-own-chip, eq. supply-1] clock(V) = c (V - Vt)^alpha / V, with c such that the node's highest clock is reached at its
    highest supply (the alpha-power law of Sakurai and Newton).
    """
    low, high = (_of_supply(designs, end) for end in ("low", "high"))
    asked = designs.clock / designs.of_node(lambda node: node.clock.high) * _speed(high)
    grid, speeds = _speed_table()
    return np.asarray(np.where(np.isnan(designs.voltage), np.clip(np.interp(asked, speeds, grid), low, high), designs.voltage))


def highest_clock(designs: Designs, voltage: Voltages) -> Clocks:
    """The highest clock at `voltage` [tapeout-own-chip, eq. supply-1]."""
    return np.asarray(designs.of_node(lambda node: node.clock.high) * _speed(voltage) / _speed(_of_supply(designs, "high")))


def over_nominal(designs: Designs, voltage: Voltages) -> Numbers:
    """`voltage` over the nominal supply of the node."""
    return np.asarray(voltage / _of_supply(designs, "value"))


def supply_range(designs: Designs) -> tuple[Voltages, Voltages]:
    """Lowest and highest supply of each design's node."""
    return _of_supply(designs, "low"), _of_supply(designs, "high")


def _of_supply(designs: Designs, end: str) -> Voltages:
    return designs.of_node(lambda node: float(getattr(supplies()[node.id], end)))


def _speed(voltage: Array) -> Array:
    facts = densities()
    return np.asarray(np.maximum(voltage - facts.threshold_voltage.value, 0.0) ** facts.velocity_saturation.value / voltage)


@cache
def _speed_table() -> tuple[Array, Array]:
    # The law rises with the supply throughout this range, so the table inverts it.
    grid = np.linspace(densities().threshold_voltage.value, 1.5, 8193)
    return grid, _speed(grid)


def _bits(formats: Codes) -> Flags:
    return np.asarray((formats[:, None] >> np.arange(len(FORMATS))) & 1, dtype=np.bool_)


def _summed(formats: Codes, each: list[float]) -> Array:
    return np.asarray(_bits(formats) @ np.array(each))
