"""What an hour of a chip costs its owner: capital, place, energy and operations over the hours that are useful.

[equation 12 of the cost model, after Koomey's and Barroso's cost models of data centres]:
(annuity(server + network) + hosting + power x load x PUE x energy price + operations) / (availability x utilisation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.cost.datacenter import EnergyPrice, Site, annuity, hosting_rate
from tapeout.errors import InputError, UnknownNameError, did_you_mean
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import HOUR, YEAR, Dimensionless, PerYear, Seconds, Unit, UsdPerHour

Array = NDArray[np.float64]
UsdPerHourArray = Annotated[Array, Unit("USD/h")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A kind of owner: its cost of capital, the life over which it writes off servers, its share of the catalogue's price of a host."""

    id: str
    name: str
    rate: Sourced[PerYear]
    server_life: Sourced[Seconds]
    host_share: Sourced[Dimensionless]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """How servers are run.

    `operations` is the yearly cost of staff, spares and support as a share of the capital, `network_power` the power of network and
    storage over that of the servers.
    """

    availability: Sourced[Dimensionless]
    operations: Sourced[PerYear]
    network_power: Sourced[Dimensionless]
    network_share: Sourced[Dimensionless]
    construction_inflation: Sourced[PerYear]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finance:
    """All of `data/finance.toml`."""

    owners: dict[str, Owner]
    operation: Operation
    book_lives: dict[str, Sourced[Seconds]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerHour:
    """Cost of a useful chip-hour by part; arrays of the broadcast shape of the inputs."""

    capital: UsdPerHourArray
    hosting: UsdPerHourArray
    energy: UsdPerHourArray
    operations: UsdPerHourArray

    @property
    def total(self) -> UsdPerHourArray:
        """The sum of the parts."""
        return self.capital + self.hosting + self.energy + self.operations


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerHourBand:
    """An owner's hour with its 80 % band; `swings` has the log change of the total at the low and at the high end of each input."""

    value: UsdPerHour
    low: UsdPerHour
    high: UsdPerHour
    parts: OwnerHour
    swings: Annotated[dict[str, tuple[float, float]], Unit("1")]


@cache
def finance() -> Finance:
    """The facts of `data/finance.toml`."""
    table = load_toml(DATA / "finance.toml")
    owners = {key: {"id": key} | entry for key, entry in table["owners"].items()}
    return read_facts(Finance, table | {"owners": owners}, "finance.toml")


def owner(identifier: str) -> Owner:
    """The kind of owner with this id; raises UnknownNameError with the closest one."""
    known = finance().owners
    if identifier not in known:
        raise UnknownNameError("unknown owner", given=identifier, allowed=sorted(known), hint=did_you_mean(identifier, known))
    return known[identifier]


def cluster_capital(server_price: ArrayLike, network_share: ArrayLike) -> Annotated[Array, Unit("USD")]:
    """Capital per chip with the network, from the price of its share of the server, USD: server / (1 - share).

    `network_share` is the network's share of the whole, as published [epoch-training-cost-trends].

    >>> round(float(cluster_capital(33_750, 0.19)))
    41667
    """
    share = np.asarray(network_share, dtype=np.float64)
    if not (np.all(share >= 0) and np.all(share < 1)):
        raise InputError("the network's share of a cluster is in [0, 1)", given=network_share)
    return np.asarray(np.asarray(server_price, dtype=np.float64) / (1 - share))


def owner_usd_per_hour(
    *,
    capital: ArrayLike,
    power: ArrayLike,
    rate: ArrayLike,
    life: ArrayLike,
    hosting: ArrayLike,
    energy_price: ArrayLike,
    pue: ArrayLike,
    load: ArrayLike,
    operations: ArrayLike = 0.0,
    availability: ArrayLike = 1.0,
    utilisation: ArrayLike = 1.0,
    residual: ArrayLike = 0.0,
) -> OwnerHour:
    """Cost per useful chip-hour of an owned chip; every argument broadcasts against the others.

    `capital` is USD per chip with its share of server and network, `power` the rated IT watts of the same, `rate` and
    `operations` per year, `life` in seconds, `hosting` USD per watt and second, `energy_price` USD per joule. Of the rated
    power, `load` is drawn on average, times `pue`. `residual` is the share of the capital recovered at the end of the life.
    Raises InputError for shares outside (0, 1], a PUE below 1, and negative amounts.

    >>> from tapeout.units import KWH, MONTH, YEAR
    >>> hour = owner_usd_per_hour(capital=50_000, power=1400, rate=0.08, life=5 * YEAR, hosting=0.13 / MONTH,
    ...                           energy_price=0.08 / KWH, pue=1.25, load=0.8)
    >>> [round(float(part), 3) for part in (hour.capital, hour.hosting, hour.energy, hour.total)]
    [1.429, 0.249, 0.112, 1.79]
    """
    _check(capital=capital, power=power, hosting=hosting, energy_price=energy_price, operations=operations)
    for name, share in (("load", load), ("availability", availability), ("utilisation", utilisation)):
        if not (np.all(np.asarray(share) > 0) and np.all(np.asarray(share) <= 1)):
            raise InputError(f"{name} must lie in (0, 1]", given=share)
    if not np.all(np.asarray(pue) >= 1):
        raise InputError("PUE must be at least 1", given=pue)
    amount, watts, interest, left = (np.asarray(part, dtype=np.float64) for part in (capital, power, rate, residual))
    years = np.asarray(life, dtype=np.float64) / YEAR
    # the part that comes back at the end is worth its present value today
    written_off = amount * (1 - left * (1 + interest) ** -years)
    useful = np.asarray(availability, dtype=np.float64) * np.asarray(utilisation, dtype=np.float64)
    parts = (
        annuity(written_off, interest, life) * HOUR,
        watts * np.asarray(hosting) * HOUR,
        watts * np.asarray(load) * np.asarray(pue) * np.asarray(energy_price) * HOUR,
        amount * np.asarray(operations) / YEAR * HOUR,
    )
    capital_hour, hosting_hour, energy_hour, operations_hour, _ = np.broadcast_arrays(*(part / useful for part in parts), useful)
    return OwnerHour(capital=capital_hour, hosting=hosting_hour, energy=energy_hour, operations=operations_hour)


def owner_hour_band(
    *,
    capital: tuple[float, float, float],
    power: tuple[float, float, float],
    owned_by: Owner,
    place: Site,
    energy: EnergyPrice,
    operation: Operation | None = None,
    utilisation: float = 1.0,
) -> OwnerHourBand:
    """An owner's hour from facts, with a band; `capital` (USD) and `power` (W) are value, low, high per chip.

    Each uncertain input is moved alone to its ends; the log changes of the total are added as root of the sum of squares, up and
    down apart, so the inputs count as independent. `operation` defaults to the one of `data/finance.toml`.
    """
    run = operation or finance().operation
    ranges = {
        "capital": capital,
        "power": power,
        "rate": _ends(owned_by.rate),
        "life": _ends(owned_by.server_life),
        "hosting": hosting_rate(place, owned_by.rate.value),
        "energy_price": (energy.value, energy.low, energy.high),
        "pue": _ends(place.pue),
        "load": _ends(place.load),
        "operations": _ends(run.operations),
        "availability": _ends(run.availability),
    }
    middle = {name: ends[0] for name, ends in ranges.items()}
    parts = owner_usd_per_hour(**middle, utilisation=utilisation)
    total = float(parts.total)
    swings = {
        name: (
            float(np.log(owner_usd_per_hour(**(middle | {name: low}), utilisation=utilisation).total / total)),
            float(np.log(owner_usd_per_hour(**(middle | {name: high}), utilisation=utilisation).total / total)),
        )
        for name, (_, low, high) in ranges.items()
    }
    low, high = combined_band(total, swings)
    return OwnerHourBand(value=total, low=low, high=high, parts=parts, swings=swings)


def combined_band(value: float, swings: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """Low and high of `value` from log changes by independent inputs: root of the sum of squares, down and up apart.

    >>> [round(end, 3) for end in combined_band(10.0, {"price": (-0.3, 0.3), "rate": (0.4, -0.4)})]
    [6.065, 16.487]
    """
    down = np.sqrt(sum(min(*ends, 0.0) ** 2 for ends in swings.values()))
    up = np.sqrt(sum(max(*ends, 0.0) ** 2 for ends in swings.values()))
    return float(value * np.exp(-down)), float(value * np.exp(up))


def _ends(fact: Sourced[float]) -> tuple[float, float, float]:
    return fact.value, fact.low, fact.high


def _check(**amounts: ArrayLike) -> None:
    for name, amount in amounts.items():
        if not (np.all(np.isfinite(np.asarray(amount, dtype=np.float64))) and np.all(np.asarray(amount) >= 0)):
            raise InputError(f"{name} must be finite and not negative", given=amount)
