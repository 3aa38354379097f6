"""Whether a problem makes sense, before any of it reaches the solver."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tapeout.errors import InputError, UnknownNameError, did_you_mean
from tapeout.sourcing.problem import Array, Offer, Problem, Programme, Site


def validate(problem: Problem) -> None:
    """Raise InputError, naming the field, for a problem with a wrong shape, an impossible number, or parts that contradict each other."""
    quarters, models = len(problem.quarters), len(problem.models)
    if not (quarters and models and problem.offers):
        raise InputError("a plan needs at least one quarter, one model and one offer", given=f"{quarters}, {models}, {len(problem.offers)}")
    for name, ids in (
        ("quarters", problem.quarters),
        ("models", problem.models),
        ("offers", [offer.id for offer in problem.offers]),
        ("sites", [site.id for site in problem.sites]),
        ("programmes", [programme.id for programme in problem.programmes]),
    ):
        _unique(name, ids)
    _numbers("demand", problem.demand, (models, quarters))
    _numbers("volume", problem.volume, (models, quarters))
    _numbers("unmet_penalty", problem.unmet_penalty, (models,), finite=False)
    _numbers("budget", problem.budget, (quarters,), finite=False)
    _within("discount", problem.discount, 0, math.inf)
    _within("largest_share", problem.largest_share, 0, 1)
    _whole("share_from", problem.share_from, 0)
    if problem.share_weights is not None:
        _numbers("share_weights", problem.share_weights, (models,))
    if np.any((problem.demand > 0) != (problem.volume > 0)):
        raise InputError("demand and volume must be positive in the same quarters", hint="a query is part of both")
    for offer in problem.offers:
        _validate_offer(offer, problem)
    for site in problem.sites:
        _validate_site(site, quarters)
    for programme in problem.programmes:
        _validate_programme(programme)


def _validate_offer(offer: Offer, problem: Problem) -> None:
    path, quarters = f"offers.{offer.id}", (len(problem.quarters),)
    for name, values in (("rent", offer.rent), ("unit_price", offer.unit_price), ("upkeep", offer.upkeep)):
        _numbers(f"{path}.{name}", values, quarters)
    _numbers(f"{path}.allocation", offer.allocation, quarters, finite=False)
    _numbers(f"{path}.throughput", offer.throughput, (len(problem.models),))
    _whole(f"{path}.lead", offer.lead, 0)
    _whole(f"{path}.term", offer.term, 1)
    _within(f"{path}.power", offer.power, 0, math.inf)
    _within(f"{path}.initial", offer.initial, 0, math.inf)
    _within(f"{path}.residual", offer.residual, 0, 1)
    if offer.initial_term is not None:
        _whole(f"{path}.initial_term", offer.initial_term, 1, offer.term)
    if offer.hosted and offer.owned:
        raise InputError(
            f"{path}: a chip that the company owns needs a site of its own",
            given=f"hosted {offer.kind.value}",
            hint="a chip in its supplier's hall is a lease",
        )
    if offer.hosted and offer.sites:
        raise InputError(f"{path}.sites: a hosted offer takes no site", given=", ".join(offer.sites))
    if not offer.hosted and not offer.sites:
        raise InputError(f"{path}.sites: an offer that is not hosted needs at least one site", allowed=[site.id for site in problem.sites])
    if offer.owned and np.any(offer.rent > 0):
        raise InputError(
            f"{path}.rent: an owned chip pays no rent", given=float(np.max(offer.rent)), hint="use upkeep for what it costs to run"
        )
    if not offer.owned and offer.residual > 0:
        raise InputError(f"{path}.residual: only an owned chip has a residual value", given=offer.residual)
    _unique(f"{path}.sites", offer.sites)
    _known(f"{path}.sites", offer.sites, [site.id for site in problem.sites])
    if offer.programme is not None:
        _known(f"{path}.programme", (offer.programme,), [programme.id for programme in problem.programmes])


def _validate_site(site: Site, quarters: int) -> None:
    path = f"sites.{site.id}"
    _numbers(f"{path}.available", site.available, (quarters,), finite=False)
    for name, values in (("capex", site.capex), ("rent", site.rent), ("energy", site.energy)):
        _numbers(f"{path}.{name}", values, (quarters,))
    _whole(f"{path}.lead", site.lead, 0)
    _whole(f"{path}.term", site.term, 0)
    _within(f"{path}.pue", site.pue, 1, math.inf)
    _within(f"{path}.load", site.load, 0, 1)
    _within(f"{path}.module", site.module, 0, math.inf)
    _within(f"{path}.initial", site.initial, 0, math.inf)
    _within(f"{path}.residual", site.residual, 0, 1)
    if site.initial > np.min(site.available):
        raise InputError(
            f"{path}.initial: more power than can be held", given=site.initial, allowed=f"at most {float(np.min(site.available)):g} W"
        )


def _validate_programme(programme: Programme) -> None:
    path = f"programmes.{programme.id}"
    _numbers(f"{path}.spend", programme.spend, programme.spend.shape[:1])
    _whole(f"{path}.lead", programme.lead, 0)
    _whole(f"{path}.first_start", programme.first_start, 0)
    if programme.last_start < programme.first_start:
        raise InputError(f"{path}: the last start is before the first", given=f"{programme.last_start} < {programme.first_start}")


def _unique(path: str, ids: Iterable[str]) -> None:
    seen = set[str]()
    for identifier in ids:
        if identifier in seen:
            raise InputError(f"{path}: a name is used twice", given=identifier)
        seen.add(identifier)


def _known(path: str, names: Iterable[str], options: list[str]) -> None:
    for name in names:
        if name not in options:
            raise UnknownNameError(
                f"{path}: unknown name", given=name, allowed=options or "none is defined", hint=did_you_mean(name, options)
            )


def _numbers(path: str, values: Array, shape: tuple[int, ...], *, finite: bool = True) -> None:
    if values.shape != shape:
        raise InputError(f"{path}: wrong shape", given=values.shape, allowed=str(shape))
    bad = ~(values >= 0) | (np.isinf(values) if finite else False)
    if np.any(bad):
        raise InputError(
            f"{path}: a number out of range", given=float(values[bad][0]), allowed="at least 0" + (" and finite" if finite else "")
        )


def _within(path: str, value: float, low: float, high: float) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        raise InputError(
            f"{path}: a number out of range",
            given=value,
            allowed=f"{low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}, finite",
        )


def _whole(path: str, value: int, low: int, high: int | None = None) -> None:
    if int(value) != value or value < low or (high is not None and value > high):
        raise InputError(
            f"{path}: a number of quarters out of range",
            given=value,
            allowed=f"a whole number, at least {low}" + (f", at most {high}" if high else ""),
        )
