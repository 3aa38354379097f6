"""An owner's hour as a distribution, by component: who owns the chip, where it stands, and how many of its hours are useful.

[equation 12 of the cost model], as in `cost.tco`, with each fact drawn within its range; the annuity is split into what the thing
costs, spread evenly over its life, and what lending the money costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.datacenter import EnergyPrice, Site, SiteKind, annuity, energy_price
from tapeout.cost.draws import TAIL, Draws, Percentiles, percentiles, quantity_at
from tapeout.cost.installed import BAND_TAIL, InstalledDraws, WattsArray
from tapeout.cost.tco import Operation, Owner, finance, owner_usd_per_hour
from tapeout.errors import InputError
from tapeout.provenance import Sourced
from tapeout.units import HOUR, Dimensionless, Unit, UsdPerHour

Array = NDArray[np.float64]
UsdPerHourArray = Annotated[Array, Unit("USD/h")]
SecondsArray = Annotated[Array, Unit("s")]
ShareArray = Annotated[Array, Unit("1")]

COMPONENTS = ("chip", "host", "network", "financing", "hosting", "energy", "operations", "downtime", "idle")
"""The parts of a useful hour, in the order in which a waterfall adds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerHourDraws:
    """Cost of one chip-hour in USD by component, arrays of shape (draws,).

    `chip`, `host` and `network` are written off evenly; `financing` is interest; `downtime` and `idle` are what hours that are not
    available, or not used, add to the useful ones. `life` (s), `power` drawn at the meter (W) and `useful`, the share of hours that
    are, go with it.
    """

    chip: UsdPerHourArray
    host: UsdPerHourArray
    network: UsdPerHourArray
    financing: UsdPerHourArray
    hosting: UsdPerHourArray
    energy: UsdPerHourArray
    operations: UsdPerHourArray
    downtime: UsdPerHourArray
    idle: UsdPerHourArray
    life: SecondsArray
    power: WattsArray
    useful: ShareArray
    causes: dict[str, Array]

    @property
    def capital(self) -> UsdPerHourArray:
        """What the owner's money costs: writing off and interest."""
        return self.chip + self.host + self.network + self.financing

    @property
    def owned(self) -> UsdPerHourArray:
        """Cost of an hour of ownership, whether the chip serves in it or not: what published owner's hours state."""
        return self.capital + self.hosting + self.energy + self.operations

    @property
    def total(self) -> UsdPerHourArray:
        """Cost of a useful hour."""
        return self.owned + self.downtime + self.idle

    def components(self) -> dict[str, Percentiles[UsdPerHour]]:
        """Percentiles of each part of `total` by name, in the order of `COMPONENTS`."""
        return {name: percentiles(getattr(self, name)) for name in COMPONENTS}


def owner_hour_draws(
    whole: InstalledDraws,
    *,
    owned_by: Owner,
    place: Site,
    year: int,
    draws: Draws,
    utilisation: Dimensionless = 1.0,
    operation: Operation | None = None,
) -> OwnerHourDraws:
    """The hour of `whole`, a chip in service, with its owner at a site of the company's in `year`.

    Raises InputError for a cloud, whose rent holds the hour, for a utilisation outside (0, 1], and for draws of another count.
    """
    if place.kind is SiteKind.CLOUD:
        raise InputError("an owner's hour needs a place of the owner's", given=place.id, hint="a cloud's rent holds the hour already")
    if not 0 < utilisation <= 1:
        raise InputError("utilisation must lie in (0, 1]", given=utilisation)
    if whole.capital.shape != (draws.count,):
        raise InputError("the chip in service and the hour need as many draws", given=whole.capital.shape[0], allowed=str(draws.count))
    run = operation or finance().operation
    rate, life = draws.of(owned_by.rate, "cost of capital"), draws.of(owned_by.server_life, "life of the server")
    facts = {
        "pue": np.maximum(draws.of(place.pue, "PUE"), 1.0),
        "load": draws.share_of(place.load, "load"),
        "operations": draws.of(run.operations, "operations"),
        "energy_price": _energy_at(energy_price(place.electricity, year), draws.normal("price of electricity")),
        "hosting": hosting_draws(place, rate, draws),
    }
    available = draws.share_of(run.availability, "availability")
    hour = owner_usd_per_hour(capital=whole.capital, power=whole.power, rate=rate, life=life, **facts)
    chip, host, network = (part / life * HOUR for part in (whole.chip, whole.host, whole.network))
    owned, down, served = hour.total, hour.total / available, hour.total / (available * utilisation)
    return OwnerHourDraws(
        chip=chip,
        host=host,
        network=network,
        financing=hour.capital - chip - host - network,
        hosting=hour.hosting,
        energy=hour.energy,
        operations=hour.operations,
        downtime=down - owned,
        idle=served - down,
        life=life,
        power=whole.power * facts["load"] * facts["pue"],
        useful=available * utilisation,
        causes=whole.causes | {"cost of capital": rate, "life of the server": life, "availability": available} | facts,
    )


def hosting_draws(place: Site, rate: Array, draws: Draws) -> Annotated[Array, Unit("USD/W/s")]:
    """What a watt of IT power costs per second at a site, of the shape of `rate` (per year): its rent, or the annuity of its capital."""
    if place.rent is not None:
        return draws.of(place.rent, "rent of the place")
    span = place.life or place.term
    if place.capital is None or span is None:
        raise InputError("the place has neither a rent nor a capital", given=place.id)
    return annuity(draws.of(place.capital, "capital of the place"), rate, draws.of(span, "life of the place"))


def _energy_at(price: EnergyPrice, standard: Array) -> Array:
    """A price of electricity inside its 80 % band."""
    fact = Sourced(value=price.value, low=price.low, high=price.high, source="", place="", grade=price.grade)
    return quantity_at(fact, standard * (TAIL / BAND_TAIL))
