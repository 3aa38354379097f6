"""Carbon of a chip, of its hours and of its tokens: embodied in what is made, and emitted by the electricity that it draws.

Fabrication follows [act-carbon]: (CI x EPA + GPA + MPA) / Y x area, and a package. Memory, board and cooling are set on NVIDIA's own
footprint of the HGX H100. The building and the network outside the server are not counted. CO2 equivalent in kg.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.cost.datacenter import Site, SiteKind, tariff
from tapeout.cost.draws import Draws, Percentiles, percentiles
from tapeout.cost.hour import OwnerHourDraws
from tapeout.cost.yields import harvested, negative_binomial
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.process import Process, manufacturing, memory_generation, process
from tapeout.hardware.system import server_of
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import (
    HOUR,
    JoulesPerSquareMetre,
    Kilograms,
    KilogramsPerByte,
    KilogramsPerJoule,
    KilogramsPerSquareMetre,
    Unit,
)

Array = NDArray[np.float64]
KilogramsArray = Annotated[Array, Unit("kg")]
KilogramsPerHourArray = Annotated[Array, Unit("kg/h")]
KilogramsPerToken = Annotated[Array, Unit("kg/token")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embodied:
    """Carbon of what is made; `module` is board and cooling of one chip, `host` a whole server without its chips."""

    fab_grid: Sourced[KilogramsPerJoule]
    materials: Sourced[KilogramsPerSquareMetre]
    package: Sourced[Kilograms]
    stacked_memory: Sourced[KilogramsPerByte]
    other_memory: Sourced[KilogramsPerByte]
    module: Sourced[Kilograms]
    host: Sourced[Kilograms]


@dataclass(frozen=True, slots=True, kw_only=True)
class FabCarbon:
    """Electricity and gas emissions of a fab by area of die, in one node."""

    energy: Sourced[JoulesPerSquareMetre]
    gas: Sourced[KilogramsPerSquareMetre]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonFacts:
    """All of `data/carbon.toml`."""

    embodied: Embodied
    node: dict[str, FabCarbon]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbodiedDraws:
    """Carbon embodied in one chip in service by part, kg, arrays of shape (draws,); `host` is its share of the server."""

    silicon: KilogramsArray
    memory: KilogramsArray
    module: KilogramsArray
    host: KilogramsArray

    @property
    def chip(self) -> KilogramsArray:
        """The module without the server."""
        return self.silicon + self.memory + self.module

    @property
    def total(self) -> KilogramsArray:
        """All parts."""
        return self.chip + self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonHourDraws:
    """Carbon of one useful chip-hour, kg, arrays of shape (draws,): `embodied` spread over the life, and `energy`."""

    embodied: KilogramsPerHourArray
    energy: KilogramsPerHourArray

    @property
    def total(self) -> KilogramsPerHourArray:
        """Both together."""
        return self.embodied + self.energy

    def per_token(self, tokens_per_second: ArrayLike) -> KilogramsPerToken:
        """Carbon of a token where one chip gives so many a second, which broadcasts against the draws; raises InputError for none."""
        rate = np.asarray(tokens_per_second, dtype=np.float64)
        if not np.all(rate > 0):
            raise InputError("a carbon per token needs tokens", given=tokens_per_second)
        return np.asarray(self.total / (rate * HOUR))

    def components(self) -> dict[str, Percentiles[float]]:
        """Percentiles of both parts and of their sum, kg an hour, by name."""
        return {name: percentiles(getattr(self, name)) for name in ("embodied", "energy", "total")}


@cache
def carbon_facts() -> CarbonFacts:
    """The facts of `data/carbon.toml`."""
    return read_facts(CarbonFacts, load_toml(DATA / "carbon.toml"), "carbon.toml")


def die_carbon(
    area: ArrayLike, energy: ArrayLike, gas: ArrayLike, materials: ArrayLike, fab_grid: ArrayLike, good: ArrayLike
) -> KilogramsArray:
    """Carbon of one die that can be sold, kg: (CI x EPA + GPA + MPA) / Y x area [act-carbon], of the broadcast shape of its arguments.

    `area` in m2, `energy` J/m2, `gas` and `materials` kg/m2, `fab_grid` kg/J, `good` the share of dies sold. Raises InputError for a
    share outside (0, 1].

    >>> from tapeout.units import KWH
    >>> round(float(die_carbon(1e-4, 2.15 * KWH * 1e4, 2750.0, 5000.0, 0.583 / KWH, 1.0)), 2)  # ACT: a square centimetre at 7 nm
    2.03
    """
    share = np.asarray(good, dtype=np.float64)
    if not (np.all(share > 0) and np.all(share <= 1)):
        raise InputError("the share of dies sold lies in (0, 1]", given=good)
    by_area = np.asarray(fab_grid) * np.asarray(energy) + np.asarray(gas) + np.asarray(materials)
    return np.asarray(by_area / share * np.asarray(area, dtype=np.float64))


def embodied_draws(chip: Chip, draws: Draws) -> EmbodiedDraws:
    """Carbon embodied in one `chip` in service.

    Raises InputError for a chip without silicon facts or in a node without carbon facts, with those that there are.
    """
    if chip.silicon is None or chip.silicon.die_area is None:
        raise InputError("the chip has no silicon facts, so its carbon cannot be built up", given=chip.id)
    made, server, base = carbon_facts().embodied, server_of(chip.id), chip.silicon.base
    silicon = chip.silicon.dies * _each(draws.of(chip.silicon.die_area, "die area"), process(chip.silicon.node), draws)
    if base is not None:
        silicon = silicon + base.dies * _each(draws.of(base.die_area, "base die area"), process(base.node), draws)
    kind = made.stacked_memory if memory_generation(chip.memory.kind).stacked else made.other_memory
    return EmbodiedDraws(
        silicon=silicon + draws.of(made.package, "carbon of the package"),
        memory=chip.memory.capacity.value * draws.of(kind, "carbon of the memory"),
        module=draws.of(made.module, "carbon of the module"),
        host=draws.of(made.host, "carbon of the host") / server.chips,
    )


def carbon_hour_draws(embodied: EmbodiedDraws, hour: OwnerHourDraws, *, place: Site, draws: Draws) -> CarbonHourDraws:
    """Carbon of a useful hour of a chip in service at a site of the company's.

    embodied / (life x useful share) + power at the meter x grid / useful share: the power is drawn in hours without use as well.
    Raises InputError for a cloud, of which the region's grid is not known.
    """
    if place.kind is SiteKind.CLOUD:
        raise InputError("the grid of a cloud is not known", given=place.id, hint="give a place of the owner's")
    grid = draws.of(tariff(place.electricity).carbon, "carbon of the grid")
    return CarbonHourDraws(
        embodied=embodied.total / (hour.life * hour.useful) * HOUR,
        energy=hour.power * grid * HOUR / hour.useful,
    )


def _each(area: Array, node: Process, draws: Draws) -> Array:
    """Carbon of one die of `area` in `node`."""
    known = carbon_facts()
    if node.id not in known.node:
        raise InputError("no carbon of this node is known", given=node.id, allowed=sorted(known.node))
    fab, made = known.node[node.id], known.embodied
    return die_carbon(
        area,
        draws.of(fab.energy, "energy of the fab"),
        draws.of(fab.gas, "gas of the fab"),
        draws.of(made.materials, "materials of the fab"),
        draws.of(made.fab_grid, "grid of the fab"),
        _sold(area, node, draws),
    )


def _sold(area: Array, node: Process, draws: Draws) -> Array:
    """Share of the dies that can be sold, as the cost of a die has it."""
    make = manufacturing()
    good = negative_binomial(area, draws.of(node.defect_density, "defect density"), draws.of(make.clustering, "clustering"))
    return harvested(good, draws.share_of(make.harvest, "harvest"))
