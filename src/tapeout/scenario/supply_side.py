"""Sites and programmes of a scenario as the plan takes them: what is not said in the file comes from the catalogue's place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.datacenter import Site as Place
from tapeout.cost.datacenter import SiteKind, energy_price, hosting_rate, site
from tapeout.cost.nre import calendar, one_off_cost, spend_by_quarter
from tapeout.hardware.custom import die_area
from tapeout.hardware.process import process
from tapeout.scenario.contracts import Own
from tapeout.scenario.offers import quarters_of, window
from tapeout.scenario.schema import Scenario
from tapeout.scenario.supply import Acquisition, AnyProgramme, Licence
from tapeout.scenario.supply import Site as SiteEntry
from tapeout.sourcing.problem import Programme, Site
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


def programmes(scenario: Scenario) -> tuple[Programme, ...]:
    """All programmes, in the scenario's order."""
    return tuple(_programme(scenario, name, entry) for name, entry in scenario.programmes.items())


def _programme(scenario: Scenario, name: str, entry: AnyProgramme) -> Programme:
    first, last = window(scenario, entry.starts_from, entry.starts_until)
    spend = _spend(scenario, name, entry)
    if isinstance(entry, (Acquisition, Licence)):
        spend[0] += entry.price.value
    return Programme(id=name, spend=spend, lead=len(spend), first_start=first, last_start=last)


def _spend(scenario: Scenario, name: str, entry: AnyProgramme) -> Array:
    """One-off spend of each quarter from the start until chips can be ordered."""
    if entry.nre is not None and entry.duration is not None:
        return _profiled(entry.profile, quarters_of(entry.duration.value)) * entry.nre.value
    chip = next(contract.chip for contract in scenario.contracts.values() if isinstance(contract, Own) and contract.programme == name)
    own = scenario.own_chips[chip].parameters(chip)
    node = process(own.node)
    cost, dates = one_off_cost(node, die_area(own).total), calendar(node)
    if entry.nre is None and entry.duration is None:
        return spend_by_quarter(cost, dates)
    quarters = dates.quarters if entry.duration is None else quarters_of(entry.duration.value)
    return _profiled(entry.profile, quarters) * (cost.total if entry.nre is None else entry.nre.value)


def _profiled(profile: tuple[float, ...], quarters: int) -> Array:
    """Shares of each of `quarters` quarters, from shares of equal parts of the whole time."""
    edges = np.concatenate(([0.0], np.cumsum(profile)))
    return np.diff(np.interp(np.linspace(0, len(profile), quarters + 1), np.arange(len(profile) + 1), edges))
