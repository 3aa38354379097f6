"""Sites, prepayments and loans of a scenario as the plan takes them: what a site does not say comes from the catalogue's place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.datacenter import Site as Place
from tapeout.cost.datacenter import SiteKind, energy_price, hosting_rate, site
from tapeout.scenario.offers import quarters_of, window
from tapeout.scenario.schema import Scenario
from tapeout.scenario.supply import Prepayment as PrepaymentEntry
from tapeout.scenario.supply import Site as SiteEntry
from tapeout.sourcing.problem import Debt, Prepayment, Risk, Site
from tapeout.units import HOUR

Array = NDArray[np.float64]


def sites(scenario: Scenario) -> tuple[Site, ...]:
    """All sites, in the scenario's order."""
    return tuple(_site(scenario, name, entry) for name, entry in scenario.sites.items())


def _site(scenario: Scenario, name: str, entry: SiteEntry) -> Site:
    place = site(entry.place)
    capital, rent = _capital_and_rent(scenario, entry, place)
    lead = entry.lead.value if entry.lead else (place.lead.value if place.lead else 0.0)
    return Site(
        id=name,
        available=entry.available.over(scenario.start, scenario.quarters),
        lead=quarters_of(lead),
        capex=capital,
        rent=rent,
        energy=_energy(scenario, entry, place),
        pue=entry.pue.value if entry.pue else place.pue.value,
        load=entry.load.value if entry.load else place.load.value,
        module=entry.module,
        initial=entry.initial,
    )


def _capital_and_rent(scenario: Scenario, entry: SiteEntry, place: Place) -> tuple[Array, Array]:
    """Capital (USD/W) that the company pays itself, and rent (USD/W/h): a landlord recovers his capital in the rent, a builder pays it."""
    built = place.kind is SiteKind.OWN_BUILD
    capital = np.full(scenario.quarters, place.capital.value if built and place.capital else 0.0)
    rent = (
        np.zeros(scenario.quarters) if built else np.full(scenario.quarters, hosting_rate(place, scenario.finance.discount.value)[0] * HOUR)
    )
    if entry.capital is not None:
        capital = entry.capital.over(scenario.start, scenario.quarters)
    if entry.rent is not None:
        rent = entry.rent.over(scenario.start, scenario.quarters)
    return capital, rent


def _energy(scenario: Scenario, entry: SiteEntry, place: Place) -> Array:
    if entry.electricity is not None and not isinstance(entry.electricity, str):
        return entry.electricity.over(scenario.start, scenario.quarters)
    region = entry.electricity or place.electricity
    return np.array([energy_price(region, quarter.year).value for quarter in scenario.horizon])


def prepayments(scenario: Scenario) -> tuple[Prepayment, ...]:
    """All prepayments, in the scenario's order."""
    return tuple(_prepayment(scenario, name, entry) for name, entry in scenario.prepayments.items())


def _prepayment(scenario: Scenario, name: str, entry: PrepaymentEntry) -> Prepayment:
    first, last = window(scenario, entry.pays_from, entry.pays_until)
    return Prepayment(
        id=name,
        offers=entry.contracts,
        price=entry.price.over(scenario.start, scenario.quarters),
        lead=quarters_of(entry.lead.value),
        chips=entry.chips.value,
        offtake=entry.offtake.value,
        shortfall=entry.shortfall.value,
        first=first,
        last=last,
    )


def debt(scenario: Scenario) -> Debt | None:
    """What may be borrowed, by quarter."""
    stated = scenario.finance.debt
    return Debt(limit=stated.limit.over(scenario.start, scenario.quarters), interest=stated.interest.value) if stated else None


def risk(scenario: Scenario) -> Risk | None:
    """The weight of the worst futures."""
    stated = scenario.finance.risk
    return Risk(weight=stated.weight, tail=stated.tail) if stated else None
