"""What a place for chips costs: capital recovery, hosting per watt, electricity by region and year.

Power is critical IT power, before PUE; money is in USD of the year that each fact states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import FactError, InputError, UnknownNameError, did_you_mean
from tapeout.provenance import DATA, Grade, Sourced, load_toml, read_facts
from tapeout.units import YEAR, Dimensionless, KilogramsPerJoule, Seconds, Unit, UsdPerJoule, UsdPerWatt, UsdPerWattSecond, Watts

Array = NDArray[np.float64]

ENERGY_DRIFT_PER_YEAR = 0.05
"""Widening of an electricity price held beyond its last year, in log price per year."""


class SiteKind(StrEnum):
    """Who owns the place: a cloud (hosting is in the rent), a colocation landlord, a landlord of a whole campus, or the company."""

    CLOUD = "cloud"
    COLOCATION = "colocation"
    LEASE = "lease"
    OWN_BUILD = "own-build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A kind of place for chips.

    `rent` is paid per watt and second; `capital` is spent per watt, by the company (own-build, recovered over `life`) or by the
    landlord (lease, recovered over `term`). `power` is what can be had, `lead` the time from order to the first racks, `full` to
    all of it. `electricity` is an id of `data/electricity.toml`, empty for a cloud.
    """

    id: str
    name: str
    kind: SiteKind
    pue: Sourced[Dimensionless]
    load: Sourced[Dimensionless]
    electricity: str = ""
    capital: Sourced[UsdPerWatt] | None = None
    rent: Sourced[UsdPerWattSecond] | None = None
    power: Sourced[Watts] | None = None
    lead: Sourced[Seconds] | None = None
    full: Sourced[Seconds] | None = None
    life: Sourced[Seconds] | None = None
    term: Sourced[Seconds] | None = None

    def __post_init__(self) -> None:
        needed = {
            SiteKind.CLOUD: (),
            SiteKind.COLOCATION: ("rent", "electricity"),
            SiteKind.LEASE: ("capital", "term", "electricity"),
            SiteKind.OWN_BUILD: ("capital", "life", "electricity"),
        }[self.kind]
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise FactError(f"a {self.kind} site needs {' and '.join(missing)}", given=self.id)
        if self.pue.low < 1 or not 0 < self.load.low <= self.load.high <= 1:
            raise FactError("PUE is at least 1 and load in (0, 1]", given=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Electricity of one region: its prices by year, and the CO2 that its generation emits on the average."""

    id: str
    name: str
    carbon: Sourced[KilogramsPerJoule]
    prices: dict[str, Sourced[UsdPerJoule]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPrice:
    """Price of electricity in a region and year, with the source ids used and the rule in words."""

    region: str
    year: int
    value: UsdPerJoule
    low: UsdPerJoule
    high: UsdPerJoule
    grade: Grade
    sources: tuple[str, ...]
    rule: str


@cache
def sites() -> dict[str, Site]:
    """All sites of `data/sites.toml` by id."""
    return {key: read_facts(Site, entry, "sites.toml", key, {"id": key}) for key, entry in load_toml(DATA / "sites.toml").items()}


def site(identifier: str) -> Site:
    """The site with this id; raises UnknownNameError with the closest one."""
    if identifier not in sites():
        raise UnknownNameError("unknown site", given=identifier, allowed=sorted(sites()), hint=did_you_mean(identifier, sites()))
    return sites()[identifier]


@cache
def tariffs() -> dict[str, Tariff]:
    """All electricity tariffs of `data/electricity.toml` by region id."""
    table: dict[str, Any] = load_toml(DATA / "electricity.toml")
    return {key: read_facts(Tariff, entry, "electricity.toml", key, {"id": key}) for key, entry in table.items()}


def tariff(region: str) -> Tariff:
    """The electricity of a region; raises UnknownNameError with the closest one."""
    if region not in tariffs():
        raise UnknownNameError("unknown electricity region", given=region, allowed=sorted(tariffs()), hint=did_you_mean(region, tariffs()))
    return tariffs()[region]


def energy_price(region: str, year: int) -> EnergyPrice:
    """Electricity price for large consumers in `region` in `year`.

    Between two known years the price is interpolated linearly; before the first and after the last it is held and its band
    widens by `ENERGY_DRIFT_PER_YEAR`. Raises UnknownNameError for an unknown region.
    """
    known = {int(key): price for key, price in sorted(tariff(region).prices.items())}
    years = list(known)
    before = max((known_year for known_year in years if known_year <= year), default=years[0])
    after = min((known_year for known_year in years if known_year >= year), default=years[-1])
    value, low, high = (
        float(np.interp(year, years, [getattr(price, name) for price in known.values()])) for name in ("value", "low", "high")
    )
    held = max(years[0] - year, year - years[-1], 0)
    widening = math.exp(ENERGY_DRIFT_PER_YEAR * held)
    grades = [known[before].grade, known[after].grade]
    return EnergyPrice(
        region=region,
        year=year,
        value=value,
        low=low / widening,
        high=high * widening,
        grade=max(grades + [Grade.ESTIMATE] * (held > 0), key=list(Grade).index),
        sources=tuple(dict.fromkeys((known[before].source, known[after].source))),
        rule=f"held from {before}" if held else f"{before}" if before == after else f"interpolated between {before} and {after}",
    )


def capital_recovery_factor(rate: ArrayLike, life: ArrayLike) -> Array:
    """Share of a capital paid each year so that it is recovered with interest after `life`: r / (1 - (1 + r)^-n).

    `rate` per year, `life` in seconds; the limit for a zero rate is 1/n. Broadcasts. Raises InputError for a rate of -100 % or
    less and for a life that is not positive. [equation 12 of the cost model; the annuity of any finance text]

    >>> from tapeout.units import YEAR
    >>> round(float(capital_recovery_factor(0.10, 5 * YEAR)), 4)
    0.2638
    >>> round(float(capital_recovery_factor(0.0, 5 * YEAR)), 4)
    0.2
    """
    interest, years = np.asarray(rate, dtype=np.float64), np.asarray(life, dtype=np.float64) / YEAR
    if not (np.all(interest > -1) and np.all(years > 0)):
        raise InputError("an annuity needs a rate above -100 % and a positive life", given=f"rate {rate!r}, life {life!r} s")
    small = np.abs(interest) < 1e-30  # where the quotient of the two tiny numbers would lose its digits
    usual = np.where(small, 1.0, interest)
    factor = usual / -np.expm1(-years * np.log1p(usual))
    return np.asarray(np.where(small, 1 / years, factor))


def annuity(capital: ArrayLike, rate: ArrayLike, life: ArrayLike) -> Annotated[Array, Unit("USD/s")]:
    """Level payment per second that recovers `capital` (USD, or USD per watt) over `life` seconds at `rate` per year.

    >>> from tapeout.units import HOUR, YEAR
    >>> round(float(annuity(50_000, 0.08, 5 * YEAR)) * HOUR, 3)
    1.429
    """
    return np.asarray(np.asarray(capital, dtype=np.float64) * capital_recovery_factor(rate, life) / YEAR)


def hosting_rate(place: Site, rate: float) -> Annotated[tuple[float, float, float], Unit("USD/W/s")]:
    """What a watt of IT power costs per second at a site, without energy: value, low, high.

    The rent where there is one; else the annuity of the capital at `rate` per year (the landlord's for a lease, the company's for
    an own build) over the term or life, low and high from the capital's range. Zero for a cloud, whose rent includes hosting.

    >>> from tapeout.units import MONTH
    >>> round(hosting_rate(site("own-build-us"), 0.08)[0] * 1000 * MONTH)
    114
    """
    if place.rent is not None:
        return place.rent.value, place.rent.low, place.rent.high
    span = place.life or place.term
    if place.capital is None or span is None:
        return 0.0, 0.0, 0.0
    value, low, high = (float(annuity(part, rate, span.value)) for part in (place.capital.value, place.capital.low, place.capital.high))
    return value, low, high
