"""What a scenario asks of its own chip: the workloads, whom the chip is for, the grid of its designs, and the chips that it must beat."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.cost.datacenter import annuity, site
from tapeout.cost.tco import finance
from tapeout.design.economics import Economics
from tapeout.design.grid import usual_space
from tapeout.design.space import Space
from tapeout.design.sweep import Question
from tapeout.design.throughput import Workload, mix
from tapeout.design.under_traffic import goodput
from tapeout.errors import InputError, UnknownNameError, did_you_mean
from tapeout.hardware.chip import Chip
from tapeout.hardware.custom import own_chip
from tapeout.hardware.system import server_of
from tapeout.performance.best import Demand
from tapeout.scenario.contracts import Own
from tapeout.scenario.document import Document
from tapeout.scenario.hardware import chips_of
from tapeout.scenario.offers import margin_of, offers, quarters_of
from tapeout.scenario.programmes import programmes
from tapeout.scenario.references import architecture
from tapeout.scenario.schema import Scenario
from tapeout.scenario.supply_side import sites
from tapeout.units import HOUR, QUARTER, Dimensionless, TokensPerSecond, Unit, Usd, UsdPerHour, Watts


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A chip that the scenario offers: by which contract, what its hour costs (USD/h), and the rated power of its hour."""

    contract: str
    chip: Chip
    hour: UsdPerHour
    power: Watts
    rented: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """A search as a scenario states it; `quarter` is the first in which its chips serve, counted from the plan's start.

    `peak` is the most output tokens a second, all models together, that are to be provided for from then on. `one_off` is the
    programme's one-off cost at its low, middle and high where the scenario gives it.
    """

    name: str
    programme: str
    question: Question
    quarter: int
    arrives: str
    peak: TokensPerSecond
    one_off: Annotated[tuple[float, float, float], Unit("USD")] | None
    rivals: tuple[Rival, ...]


def brief(
    document: Document, scenario: Scenario, name: str | None = None, volume: Dimensionless | None = None, space: Space | None = None
) -> Brief:
    """The search for the own chip `name` of the scenario, its first where None, in `volume` chips.

    By default the volume is what the peak of the plan needs of that chip as the scenario states it, under traffic, and at most what can
    be booked. The
    grid is `space`, by default the usual one. The first contract for the chip says whose programme it is, where it stands first and
    how long it lives. Raises InputError for a scenario without an own chip, a chip that arrives after the plan or a volume that is not
    positive, and UnknownNameError for an unknown own chip.
    """
    named = _name(scenario, name)
    contract = next(one for one in scenario.contracts.values() if isinstance(one, Own) and one.chip == named)
    programme = next(one for one in programmes(scenario) if one.id == contract.programme)
    quarter = programme.first_start + programme.lead + quarters_of(contract.lead.value)
    if quarter >= scenario.quarters:
        given, last = f"{scenario.start + quarter}", f"{scenario.start + (scenario.quarters - 1)}"
        raise InputError(f"{named} arrives after the end of the plan", given=given, allowed=f"up to {last}", hint="plan more quarters")
    booked = float(np.sum(contract.allocation.over(scenario.start, scenario.quarters)[quarter - quarters_of(contract.lead.value) :]))
    like = scenario.own_chips[named].parameters(named)
    workloads = _workloads(document, scenario, quarter, like.formats)
    peak = _peak(scenario, workloads, quarter)
    if volume is None:
        volume = max(1.0, math.ceil(min(booked, peak * goodput(workloads, own_chip(like)).seconds)))
    economics = _economics(scenario, contract, quarter, volume)
    question = Question(space=space or usual_space(like, year=scenario.start.year), workloads=workloads, economics=economics)
    entry = scenario.programmes[contract.programme]
    return Brief(
        name=named,
        programme=contract.programme,
        question=question,
        quarter=quarter,
        arrives=str(scenario.start + quarter),
        peak=peak,
        one_off=None if entry.nre is None else (entry.nre.low, entry.nre.value, entry.nre.high),
        rivals=_rivals(scenario, economics, quarter),
    )


def demand_for(one: Workload, chip: Chip, liked: tuple[str, ...]) -> Workload:
    """The workload in the first precision of `liked` that the chip computes, else in the last, whose weights it unpacks."""
    precision = next((each for each in liked if each in chip.peak), liked[-1])
    return dataclasses.replace(one, demand=dataclasses.replace(one.demand, precision=precision))


def _name(scenario: Scenario, name: str | None) -> str:
    if not scenario.own_chips:
        raise InputError("the scenario has no own chip to design", allowed="an entry under own_chips, with a contract of kind own")
    if name is None:
        return next(iter(scenario.own_chips))
    if name not in scenario.own_chips:
        known = sorted(scenario.own_chips)
        raise UnknownNameError("unknown own chip", given=name, allowed=known, hint=did_you_mean(name, known))
    return name


def _workloads(document: Document, scenario: Scenario, quarter: int, formats: tuple[str, ...]) -> tuple[Workload, ...]:
    """The models of the scenario, weighted by the output tokens that are asked for once the chip is there."""
    found = []
    for name, model in scenario.models.items():
        rate = float(np.sum(model.demand.over(scenario.start, scenario.quarters)[quarter:])) * model.answer.value
        wanted = Demand(
            model=architecture(document, model),
            precision=next((each for each in model.precision if each in formats), model.precision[-1]),
            prompt=model.prompt.value,
            output=model.answer.value,
            ttft=model.time_to_first_token,
            tpot=model.time_per_output_token,
        )
        if rate > 0:
            found.append(Workload(name=name, demand=wanted, weight=rate, attainment=model.attainment))
    return mix(found)


def _peak(scenario: Scenario, workloads: tuple[Workload, ...], quarter: int) -> TokensPerSecond:
    """The most output tokens a second that are to be provided for in a quarter from `quarter` on, all models of the mix together."""
    models = [scenario.models[one.name] for one in workloads]
    rates_of = [one.demand.over(scenario.start, scenario.quarters)[quarter:] * one.peak_to_mean.value * one.answer.value for one in models]
    return float(np.max(np.sum(rates_of, axis=0)))


def _economics(scenario: Scenario, contract: Own, quarter: int, volume: Dimensionless) -> Economics:
    place = next(one for one in sites(scenario) if one.id == contract.sites[0])
    built = site(scenario.sites[place.id].place)
    host, operation, rate = server_of(contract.chip), finance().operation, scenario.finance.discount.value
    span = (built.life or built.term).value if (built.life or built.term) else contract.term * QUARTER  # type: ignore[union-attr]
    return Economics(
        volume=volume,
        margin=margin_of(scenario, contract),
        one_off=_one_off(scenario, contract),
        host_price=host.host_price.value / host.chips + host.network_price.value,
        host_power=host.host_power.value / host.chips,
        rate=rate,
        life=contract.term * QUARTER,
        hosting=float(place.rent[quarter]) / HOUR + float(annuity(place.capex[quarter], rate, span)),
        energy_price=float(place.energy[quarter]),
        pue=place.pue,
        load=place.load,
        operations=operation.operations.value,
        availability=operation.availability.value,
    )


def _one_off(scenario: Scenario, contract: Own) -> Usd | None:
    """What the programme spends before the first chip, where the scenario says it."""
    if scenario.programmes[contract.programme].nre is None:
        return None
    return float(next(one for one in programmes(scenario) if one.id == contract.programme).spend.sum())


def _rivals(scenario: Scenario, economics: Economics, quarter: int) -> tuple[Rival, ...]:
    """Every chip that is not an own one, by its cheapest contract that can be ordered in the quarter: owned at the same site, or rented."""
    chips = chips_of(scenario)
    nothing = {name: np.zeros(len(scenario.models)) for name in chips.by_name}
    best: dict[str, Rival] = {}
    for offer in offers(scenario, chips, nothing):
        if isinstance(scenario.contracts[offer.id], Own) or not np.any(offer.allocation[: quarter + 1] > 0):
            continue
        at = min(quarter, scenario.quarters - 1)
        host = economics.host_price, economics.host_power
        price = float(offer.rent[at])
        if not offer.hosted:
            price = float(economics.usd_per_hour(max(offer.unit_price[at] - host[0], 0.0), max(offer.power - host[1], 0.0)))
        chip = chips.by_name[offer.chip]
        found = Rival(contract=offer.id, chip=chip, hour=price, power=offer.power or chip.power.value, rented=offer.hosted)
        if math.isfinite(price) and (offer.chip not in best or price < best[offer.chip].hour):
            best[offer.chip] = found
    return tuple(best.values())
