"""Area of an own chip's dies by block, over arrays of designs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tapeout.hardware.densities import densities
from tapeout.hardware.designs import Areas, Designs
from tapeout.hardware.process import blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class DieAreas:
    """Area of one die of each design by block; `unnamed` is on-chip network, fixed functions, test logic, pads and white space."""

    matrix: Areas
    vector: Areas
    on_chip_memory: Areas
    memory_interface: Areas
    links: Areas
    die_to_die: Areas
    host: Areas
    unnamed: Areas

    @property
    def total(self) -> Areas:
        """Area of one die of each design."""
        named = self.matrix + self.vector + self.on_chip_memory + self.memory_interface + self.links + self.die_to_die + self.host
        return np.asarray(named + self.unnamed)


def die_areas(designs: Designs) -> DieAreas:
    """Area of one compute die of each design.

    [tapeout-own-chip, eq. area-1] A = sum of blocks / (1 - unnamed share); logic = transistors / (library density x density
    reached); SRAM = bits x cell / efficiency; interfaces = PHY, which does not shrink, + controller logic. Interfaces to memory,
    links and host are on the base dies where there are some.
    """
    size = blocks()
    per_transistor = 1 / (designs.of_node(lambda node: node.transistor_density.value) * size.density_reached.value)
    built = (1 + designs.spare) / designs.dies
    here = np.where(designs.has_base, 0.0, 1.0 / designs.dies)
    multiplier = size.transistors_per_multiplier.value * designs.format_area() * per_transistor
    return _with_unnamed(
        matrix=designs.multipliers * built * multiplier,
        vector=designs.lanes * built * size.transistors_per_lane.value * per_transistor,
        on_chip_memory=_sram(designs.on_chip_memory / designs.dies, designs.of_node(lambda node: node.sram_cell.value)),
        die_to_die=designs.die_to_die * densities().die_to_die_area.value,
        **_interfaces(designs, here, per_transistor),
    )


def base_areas(designs: Designs, above: Areas) -> DieAreas:
    """Area of one base die of each design, 0 where there are none.

    [tapeout-own-chip, eq. area-1], and at least the area of the compute dies that stand on it, `above` being that of one of them.
    """
    density = designs.of_node(lambda node: node.transistor_density.value, base=True) * blocks().density_reached.value
    per_transistor = np.divide(1.0, density, out=np.zeros(designs.size), where=density > 0)
    share = np.divide(1.0, designs.base_dies, out=np.zeros(designs.size), where=designs.has_base)
    nothing = np.zeros(designs.size)
    needed = _with_unnamed(
        matrix=nothing,
        vector=nothing,
        on_chip_memory=_sram(designs.base_memory * share, designs.of_node(lambda node: node.sram_cell.value, base=True)),
        die_to_die=nothing,
        **_interfaces(designs, share, per_transistor),
    )
    return replace(needed, unnamed=needed.unnamed + np.maximum(designs.dies * share * above - needed.total, 0.0))


def _interfaces(designs: Designs, share: Areas, per_transistor: Areas) -> dict[str, Areas]:
    size = blocks()
    phy, logic = designs.of_memory(lambda one: one.phy_area.value), designs.of_memory(lambda one: one.controller_transistors.value)
    bandwidth = (designs.link_bandwidth + designs.scale_out) * share
    return {
        "memory_interface": designs.stacks * share * (phy + logic * per_transistor),
        "links": bandwidth * (size.link_phy_area.value + size.link_transistors.value * per_transistor),
        "host": share * (size.host_phy_area.value + size.host_transistors.value * per_transistor),
    }


def _sram(capacity: Areas, cell: Areas) -> Areas:
    return np.asarray(capacity * 8 * cell / blocks().sram_efficiency.value)


def _with_unnamed(**named: Areas) -> DieAreas:
    share = blocks().unnamed_share.value
    return DieAreas(**named, unnamed=np.asarray(sum(named.values()) * share / (1 - share)))
