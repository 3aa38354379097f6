"""Knobs of a problem: one assumption by its place in the scenario, such as `sites.abilene.electricity`, and how far it may be turned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tapeout.errors import InputError, did_you_mean
from tapeout.sourcing.problem import Array, Offer, Prepayment, Problem, Programme, Site
from tapeout.sourcing.throughput_range import ThroughputBand
from tapeout.units import Dimensionless

Turn = Callable[[Problem], Problem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """An assumption with the problems that its low and its high end make of one."""

    name: str
    low: Turn
    high: Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Multiplies what stands at some places of a problem by `factor`."""

    targets: tuple[str, ...]
    factor: Dimensionless

    def __call__(self, problem: Problem) -> Problem:
        """The problem with these values; raises InputError for a place that it does not have."""
        for target in self.targets:
            problem = scaled(problem, target, self.factor)
        return problem


def knob(name: str, targets: Iterable[str], low: Dimensionless, high: Dimensionless) -> Knob:
    """A knob that multiplies all these places by `low` to `high`."""
    places = tuple(targets)
    return Knob(name=name, low=Scaled(targets=places, factor=low), high=Scaled(targets=places, factor=high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Faster:
    """Multiplies the throughputs of the chips in `factors` on each model, (M,)."""

    factors: Mapping[str, Array]

    def __call__(self, problem: Problem) -> Problem:
        """The problem with these throughputs."""
        offers = (
            replace(one, throughput=one.throughput * self.factors[one.chip]) if one.chip in self.factors else one for one in problem.offers
        )
        return replace(problem, offers=tuple(offers))


def throughput_knobs(bands: Mapping[str, ThroughputBand]) -> tuple[Knob, ...]:
    """A knob for each generation of chips, whose throughputs err together, to the ends of its `bands`, by chip."""
    found = []
    for name in dict.fromkeys(band.generation for band in bands.values()):
        own = {chip: band for chip, band in bands.items() if band.generation == name}
        low, high = ({chip: getattr(band, end) for chip, band in own.items()} for end in ("low", "high"))
        found.append(Knob(name=f"throughput of {name}", low=Faster(factors=low), high=Faster(factors=high)))
    return tuple(found)


def scaled(problem: Problem, target: str, factor: Dimensionless) -> Problem:
    """The problem with all that stands at one place multiplied by `factor`; raises InputError where it has no such place.

    A price moves rent and the price of a chip alike, demand its queries as well and a peak not, the throughput of a chip all models.
    """
    if target not in targets(problem):
        known = targets(problem)
        raise InputError("no assumption of the problem has this place", given=target, allowed=known, hint=did_you_mean(target, known))
    section, field = target.split(".", 1)[0], target.rsplit(".", 1)[-1]
    name = target[len(section) + 1 : -len(field) - 1]
    if section == "models":
        return _model(problem, problem.models.index(name), field, factor)
    if section == "contracts":
        return replace(problem, offers=tuple(_offer(one, field, factor) if one.id == name else one for one in problem.offers))
    if section == "chips":
        offers = (replace(one, throughput=one.throughput * factor) if one.chip == name else one for one in problem.offers)
        return replace(problem, offers=tuple(offers))
    if section == "sites":
        return replace(problem, sites=tuple(_site(one, field, factor) if one.id == name else one for one in problem.sites))
    if section == "programmes":
        programmes = tuple(_programme(one, factor) if one.id == name else one for one in problem.programmes)
        return replace(problem, programmes=programmes)
    if section == "prepayments":
        return replace(problem, prepayments=tuple(_prepayment(one, factor) if one.id == name else one for one in problem.prepayments))
    return _finance(problem, target, factor)


def targets(problem: Problem) -> tuple[str, ...]:
    """All places of a problem that can be scaled."""
    found = [f"models.{name}.{field}" for name in problem.models for field in ("demand", "peak", "penalty")]
    found += [f"contracts.{one.id}.{field}" for one in problem.offers for field in ("price", "allocation")]
    found += [f"chips.{name}.throughput" for name in dict.fromkeys(one.chip for one in problem.offers)]
    found += [f"sites.{one.id}.{field}" for one in problem.sites for field in ("available", "electricity", "rent", "capital")]
    found += [f"programmes.{one.id}.spend" for one in problem.programmes]
    found += [f"prepayments.{one.id}.price" for one in problem.prepayments]
    return (*found, "finance.budget", "finance.discount", *(("finance.debt.limit",) if problem.debt else ()))


def _model(problem: Problem, index: int, field: str, factor: Dimensionless) -> Problem:
    factors = np.where(np.arange(len(problem.models)) == index, factor, 1.0)
    if field == "penalty":
        return replace(problem, unmet_penalty=problem.unmet_penalty * factors)
    volume = problem.volume if field == "peak" else problem.volume * factors[:, None]
    return replace(problem, demand=problem.demand * factors[:, None], volume=volume)


def _offer(offer: Offer, field: str, factor: Dimensionless) -> Offer:
    if field == "allocation":
        return replace(offer, allocation=offer.allocation * factor)
    return replace(offer, rent=offer.rent * factor, unit_price=offer.unit_price * factor)


def _site(site: Site, field: str, factor: Dimensionless) -> Site:
    if field == "available":
        return replace(site, available=np.maximum(site.available * factor, site.initial))
    if field == "electricity":
        return replace(site, energy=site.energy * factor)
    if field == "rent":
        return replace(site, rent=site.rent * factor)
    return replace(site, capex=site.capex * factor)


def _programme(programme: Programme, factor: Dimensionless) -> Programme:
    outcomes = tuple(replace(one, spend=one.spend * factor) for one in programme.outcomes)
    return replace(programme, spend=programme.spend * factor, outcomes=outcomes)


def _prepayment(one: Prepayment, factor: Dimensionless) -> Prepayment:
    return replace(one, price=one.price * factor)


def _finance(problem: Problem, target: str, factor: Dimensionless) -> Problem:
    if target == "finance.budget":
        return replace(problem, budget=problem.budget * factor)
    if target == "finance.discount":
        return replace(problem, discount=problem.discount * factor)
    if problem.debt is None:
        raise InputError("the problem has no debt", given=target)
    return replace(problem, debt=replace(problem.debt, limit=problem.debt.limit * factor))
