"""Power of an own chip by consumer, at full load and at rest, over arrays of designs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tapeout.hardware.densities import densities
from tapeout.hardware.designs import Areas, Designs, Powers, Voltages, over_nominal
from tapeout.hardware.process import blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerDraws:
    """Power of each whole chip and its memory, by consumer; `operands` carries matrix operands from on-chip memory to the units."""

    matrix: Powers
    vector: Powers
    operands: Powers
    memory: Powers
    links: Powers
    die_to_die: Powers
    clock: Powers
    leakage: Powers

    @property
    def total(self) -> Powers:
        """Power of each chip."""
        work = self.matrix + self.vector + self.operands + self.memory + self.links + self.die_to_die
        return np.asarray(work + self.clock + self.leakage)


def load_powers(designs: Designs, dies: Areas, base: Areas, voltage: Voltages) -> PowerDraws:
    """Power at full rate of every unit, from the areas `dies` and `base` of one compute and one base die.

    [tapeout-own-chip, eq. power-1] P = N f (2 e r + 2 (1/rows + 1/columns) 2 byte e_byte) v^2 + lanes f a 2 e k v^2 + B e_memory
    + 2 L e_link + dies D e_die + clock + leakage, with N multipliers, e the energy of a bf16 FLOP, r that of the hungriest format
    over bf16, v the supply over the nominal one: each operand of 2 byte is read once per row or column. Clock tree = (1 - s) p A
    (f / f0) v^2 and leakage = s p A v^n, with p the static power per area at the node's usual clock f0. Base dies run at nominal
    supply and usual clock.
    """
    facts, size = densities(), blocks()
    nominal = over_nominal(designs, voltage)
    square = nominal**2
    flop, rate = designs.of_node(lambda node: node.energy_per_flop.value), designs.multipliers * designs.clock * 2
    lanes = designs.lanes * designs.clock * facts.vector_activity.value
    silicon, below = designs.dies * dies, designs.base_dies * base
    static = designs.of_node(lambda node: node.static_power.value) * silicon
    static_below = designs.of_node(lambda node: node.static_power.value, base=True) * below
    leaks, pace = facts.leakage_share.value, designs.clock / designs.of_node(lambda node: node.clock.value)
    return PowerDraws(
        matrix=rate * flop * designs.format_energy() * square,
        vector=lanes * 2 * flop * facts.vector_products.value * square,
        operands=rate * (1 / designs.rows + 1 / designs.columns) * designs.of_node(lambda node: node.energy_per_byte.value) * square,
        memory=designs.stacks * designs.of_memory(lambda one: one.bandwidth.value * one.energy.value),
        links=2 * (designs.link_bandwidth + designs.scale_out) * size.link_energy.value,
        die_to_die=designs.dies * designs.die_to_die * facts.die_to_die_energy.value,
        clock=(1 - leaks) * (static * pace * square + static_below),
        leakage=leaks * (static * nominal**facts.leakage_exponent.value + static_below),
    )


def idle_powers(load: PowerDraws) -> PowerDraws:
    """Power at rest, ready to compute: clocks run, nothing is gated, memory refreshes and links send idle patterns."""
    facts, nothing = densities(), np.zeros_like(load.matrix)
    return replace(
        load,
        matrix=nothing,
        vector=nothing,
        operands=nothing,
        memory=load.memory * facts.memory_idle.value,
        links=load.links * facts.link_idle.value,
        die_to_die=load.die_to_die * facts.link_idle.value,
    )
