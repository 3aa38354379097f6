"""What bounds an own chip: one function per limit, all with one signature, over arrays of designs.

Each states what a design needs and what is allowed in one unit, and the fact that the limit is from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.hardware.area import DieAreas, base_areas, die_areas
from tapeout.hardware.densities import densities, supplies
from tapeout.hardware.designs import Areas, Codes, Designs, Flags, Lengths, Numbers, Voltages, highest_clock, supply, supply_range
from tapeout.hardware.power import PowerDraws, load_powers
from tapeout.hardware.process import manufacturing, memories, packaging, processes
from tapeout.provenance import Sourced
from tapeout.units import Dimensionless, Unit

Amounts = Annotated[NDArray[np.float64], Unit("1")]
SLACK = 1e-9
"""Share by which rounding may exceed a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Designs with what follows from them: supply, area of one compute and one base die, power at full load."""

    designs: Designs
    voltage: Voltages
    dies: DieAreas
    base: DieAreas
    power: PowerDraws

    @property
    def edge_die(self) -> Areas:
        """Area of the die that carries the interfaces: the base die where there is one."""
        return np.asarray(np.where(self.designs.has_base, self.base.total, self.dies.total))

    @property
    def edge_dies(self) -> Codes:
        """How many dies carry the interfaces."""
        return np.asarray(np.where(self.designs.has_base, self.designs.base_dies, self.designs.dies))

    @property
    def footprint(self) -> Areas:
        """Area that the dies cover on the package: stacked dies count once."""
        return np.asarray(np.maximum(self.designs.dies * self.dies.total, self.designs.base_dies * self.base.total))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit over all designs: `need` must not exceed `allowed`, or not fall below it where `lower`; both are in `unit`.

    `form` words an amount after scaling it by `scale`; `cites` holds source and place of the limit, `cite` which of them applies.
    """

    name: str
    need: Amounts
    allowed: Amounts
    scale: Dimensionless
    form: str
    cites: tuple[str, ...]
    cite: Codes
    lower: bool = False

    @property
    def margin(self) -> Numbers:
        """How far a design is inside the limit, as a share of the limit; negative where it breaks it."""
        share = np.divide(self.need, self.allowed, out=np.full(len(self.need), np.inf), where=self.allowed > 0)
        return np.asarray(share - 1 if self.lower else 1 - share)

    @property
    def holds(self) -> Flags:
        """Whether each design keeps the limit."""
        return np.asarray(self.margin >= -SLACK)

    def words(self, row: int) -> tuple[str, str, str]:
        """Of one design: what it needs, what is allowed, and where the limit is from."""
        given, allowed = (self.form.format(float(amount[row]) * self.scale) for amount in (self.need, self.allowed))
        return given, f"{'at least' if self.lower else 'up to'} {allowed}", self.cites[int(self.cite[row])]


def build(designs: Designs) -> Built:
    """Supply, areas and power of each design, whether or not it can be built."""
    voltage, dies = supply(designs), die_areas(designs)
    base = base_areas(designs, dies.total)
    return Built(designs=designs, voltage=voltage, dies=dies, base=base, power=load_powers(designs, dies.total, base.total, voltage))


def clock(built: Built) -> Limit:
    """Clock <= highest clock of the node at the design's supply."""
    cites = tuple(_cite(node.clock) for node in processes().values())
    allowed = highest_clock(built.designs, built.voltage)
    names = f"{{:.3g}} GHz in {_only_node(built.designs)}"
    return _limit("clock", built.designs.clock, allowed, 1e-9, names, cites, built.designs.node)


def lowest_supply(built: Built) -> Limit:
    """Supply >= lowest supply of the node."""
    cites = tuple(_cite(supplies()[node]) for node in processes())
    return _limit("lowest supply", built.voltage, supply_range(built.designs)[0], 1.0, "{:.3g} V", cites, built.designs.node, lower=True)


def highest_supply(built: Built) -> Limit:
    """Supply <= highest supply of the node."""
    cites = tuple(_cite(supplies()[node]) for node in processes())
    return _limit("supply", built.voltage, supply_range(built.designs)[1], 1.0, "{:.3g} V", cites, built.designs.node)


def reticle(built: Built) -> Limit:
    """Die area <= reticle, for compute and base dies."""
    need = np.maximum(built.dies.total, built.base.total)
    return _limit("reticle", need, _everywhere(built, _reticle()), 1e6, "a die of {:.0f} mm2", (_cite(manufacturing().reticle_length),))


def stacks_per_side(built: Built) -> Limit:
    """Whole stacks or devices of one die on its sides for memory: each side holds as many as its length over their width."""
    need = built.designs.stacks / built.edge_dies
    width = built.designs.of_memory(lambda one: one.beachfront.value)
    held = sum(np.floor(side / width + SLACK) for side in _memory_sides(built))
    cites = tuple(_cite(one.beachfront) for one in memories().values())
    return _limit("stacks per side", need, np.asarray(held), 1.0, "{:.3g} stacks on the sides of a die", cites, built.designs.memory)


def beachfront(built: Built) -> Limit:
    """Die edge for memory, links, host and neighbouring dies <= circumference of the die."""
    facts, designs = densities(), built.designs
    width = designs.of_memory(lambda one: one.beachfront.value)
    links = (designs.link_bandwidth + designs.scale_out) * facts.link_beachfront.value + facts.host_beachfront.value
    between = designs.die_to_die * facts.die_to_die_beachfront.value
    need = (designs.stacks * width + links) / built.edge_dies + between
    long, short = _edges(built.edge_die)
    cites = (_cite(facts.link_beachfront),)
    return _limit("beachfront", need, np.asarray(2 * (long + short)), 1e3, "{:.0f} mm of die edge for memory and links", cites)


def power_density(built: Built) -> Limit:
    """Power over the area of the dies <= what cooling takes."""
    fact = manufacturing().power_density
    need = built.power.total / built.footprint
    return _limit("power density", need, _everywhere(built, fact.high), 1e-6, "{:.2f} W/mm2", (_cite(fact),))


def package_size(built: Built) -> Limit:
    """Carrier area <= largest interposer where memory is stacked on it, largest organic substrate otherwise."""
    facts, designs = densities(), built.designs
    stacked = designs.of_memory(lambda one: float(one.stacked)) > 0
    factor = np.where(stacked, packaging("cowos-l").area_factor.value, packaging("organic").area_factor.value)
    need = factor * (built.footprint + designs.stacks * designs.of_memory(lambda one: one.package_area))
    allowed = np.where(stacked, facts.interposer.value, facts.laminate.value)
    cites = (_cite(facts.laminate), _cite(facts.interposer))
    return _limit("package size", need, allowed, 1e6, "a carrier of {:.0f} mm2", cites, stacked.astype(np.int64))


def power(built: Built) -> Limit:
    """Power <= the design's own power limit."""
    return _limit("power", built.power.total, built.designs.power_limit, 1.0, "{:.0f} W", ("power_limit of the design",))


LIMITS: tuple[Callable[[Built], Limit], ...] = (
    clock, lowest_supply, highest_supply, reticle, stacks_per_side, beachfront, power_density, package_size, power,
)  # fmt: skip


def limits_of(built: Built) -> tuple[Limit, ...]:
    """All limits of the designs, in one order."""
    return tuple(limit(built) for limit in LIMITS)


def feasible(built: Built) -> Flags:
    """Whether each design keeps all limits."""
    return np.asarray(np.logical_and.reduce([limit.holds for limit in limits_of(built)]))


def binding(limits: tuple[Limit, ...]) -> tuple[Codes, Numbers]:
    """Which of `limits` is nearest for each design, by position, and its margin."""
    margins = np.array([limit.margin for limit in limits])
    nearest = np.argmin(margins, axis=0)
    return nearest, np.asarray(np.min(margins, axis=0))


def _memory_sides(built: Built) -> tuple[Lengths, ...]:
    """Sides of a die on which memory can stand.

    A single die has memory on its two long edges (and, where it is not stacked, on one short edge); so have two dies, joined at a
    short edge. Four dies stand in a square and keep a long and a short edge each, other numbers in a row and keep the two short ones.
    """
    long, short = _edges(np.minimum(built.edge_die, _reticle()))
    few, square, single = built.edge_dies <= 2, built.edge_dies == 4, built.edge_dies == 1
    beside = single & (built.designs.of_memory(lambda one: float(one.stacked)) == 0)
    return np.where(few | square, long, short), np.where(few, long, short), np.where(beside, short, 0.0)


def _edges(area: Areas) -> tuple[Lengths, Lengths]:
    """Long and short edge of a die of the reticle's proportions, the long one no longer than the reticle's."""
    make = manufacturing()
    long = np.minimum(make.reticle_length.value, np.sqrt(area * make.reticle_length.value / make.reticle_width.value))
    return long, area / long


def _reticle() -> float:
    return manufacturing().reticle_length.value * manufacturing().reticle_width.value


def _everywhere(built: Built, amount: float) -> Amounts:
    return np.full(built.designs.size, amount)


def _only_node(designs: Designs) -> str:
    names = tuple(node.name for node in processes().values())
    return names[int(designs.node[0])] if designs.size and np.all(designs.node == designs.node[0]) else "its node"


def _cite(fact: Sourced[float]) -> str:
    return f"{fact.source}, {fact.place}"


def _limit(
    name: str,
    need: Amounts,
    allowed: Amounts,
    scale: float,
    form: str,
    cites: tuple[str, ...],
    cite: Codes | None = None,
    *,
    lower: bool = False,
) -> Limit:
    which = np.zeros(len(need), dtype=np.int64) if cite is None else cite
    return Limit(name=name, need=need, allowed=allowed, scale=scale, form=form, cites=cites, cite=which, lower=lower)
