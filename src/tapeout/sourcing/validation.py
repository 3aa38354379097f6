"""Whether a problem makes sense, before any of it reaches the solver."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tapeout.errors import Conflict, InfeasibleError, InputError, UnknownNameError, did_you_mean
from tapeout.sourcing.problem import Array, Debt, Offer, Prepayment, Problem, Programme, Risk, Site

ROUNDING = 1e-6
"""By how much probabilities may miss 1, for those that were rounded."""


def validate(problem: Problem) -> None:
    """Raise InputError, naming the field, for a problem with a wrong shape, an impossible number, or parts that contradict each other.

    Demand that no offer can serve at all is an InfeasibleError.
    """
    quarters, models, nodes = len(problem.quarters), len(problem.models), problem.tree.size
    if not (quarters and models and problem.offers):
        raise InputError("a plan needs at least one quarter, one model and one offer", given=f"{quarters}, {models}, {len(problem.offers)}")
    if problem.tree.quarters != quarters:
        raise InputError("the tree has other quarters than the plan", given=problem.tree.quarters, allowed=str(quarters))
    for name, ids in (
        ("quarters", problem.quarters),
        ("models", problem.models),
        ("offers", [offer.id for offer in problem.offers]),
        ("sites", [site.id for site in problem.sites]),
        ("programmes", [programme.id for programme in problem.programmes]),
        ("prepayments", [one.id for one in problem.prepayments]),
    ):
        _unique(name, ids)
    _numbers("demand", problem.demand, (models, nodes))
    _numbers("volume", problem.volume, (models, nodes))
    _numbers("unmet_penalty", problem.unmet_penalty, (models,), finite=False)
    _numbers("budget", problem.budget, (nodes,), finite=False)
    _within("discount", problem.discount, 0, math.inf)
    _within("largest_share", problem.largest_share, 0, 1)
    _within("concentration", problem.concentration, 0, 1)
    _whole("share_from", problem.share_from, 0)
    _whole("every", problem.every, 1)
    if problem.share_weights is not None:
        _numbers("share_weights", problem.share_weights, (models,))
    if np.any((problem.demand > 0) != (problem.volume > 0)):
        raise InputError("demand and volume must be positive in the same quarters", hint="a query is part of both")
    for offer in problem.offers:
        _validate_offer(offer, problem)
    for site in problem.sites:
        _validate_site(site, nodes)
    for programme in problem.programmes:
        _validate_programme(programme)
    for one in problem.prepayments:
        _validate_prepayment(one, problem)
    _validate_finance(problem.debt, problem.risk, nodes)
    _servable(problem)


def _servable(problem: Problem) -> None:
    """Raise InfeasibleError for demand that must be met and that no chip on offer can serve."""
    able = np.array([offer.throughput for offer in problem.offers]) > 0
    asked = np.isinf(problem.unmet_penalty) & (problem.demand > 0).any(axis=1)
    lost = [problem.models[model] for model in np.flatnonzero(asked & ~able.any(axis=0))]
    if lost:
        raise InfeasibleError(
            f"no chip on offer can serve {' or '.join(lost)}, and its demand must be met",
            hint="offer a chip that can, or give a penalty at which demand may go unmet",
            conflicts=[Conflict(kind="demand", item=model) for model in lost],
        )


def _validate_offer(offer: Offer, problem: Problem) -> None:
    path, nodes = f"offers.{offer.id}", (problem.tree.size,)
    for name, values in (("rent", offer.rent), ("unit_price", offer.unit_price), ("upkeep", offer.upkeep)):
        _numbers(f"{path}.{name}", values, nodes)
    _numbers(f"{path}.allocation", offer.allocation, nodes, finite=False)
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
    if offer.owned and offer.cancellation is not None:
        raise InputError(
            f"{path}.cancellation: only a commitment can be given back",
            given=offer.cancellation,
            hint="what is owned is sold at its residual",
        )
    if offer.cancellation is not None:
        _within(f"{path}.cancellation", offer.cancellation, 0, math.inf)
    _unique(f"{path}.sites", offer.sites)
    _known(f"{path}.sites", offer.sites, [site.id for site in problem.sites])
    if offer.programme is not None:
        _known(f"{path}.programme", (offer.programme,), [programme.id for programme in problem.programmes])
    _validate_volumes(offer, problem)


def _validate_volumes(offer: Offer, problem: Problem) -> None:
    path = f"offers.{offer.id}"
    _within(f"{path}.minimum", offer.minimum, 0, math.inf)
    most = float(np.max(offer.allocation)) + sum(one.chips for one in problem.prepayments if offer.id in one.offers)
    if offer.minimum > most > 0:
        raise InputError(f"{path}.minimum: more than can ever be ordered in a quarter", given=offer.minimum, allowed=f"at most {most:g}")
    volume, factor = 0.0, 1.0
    for place, tier in enumerate(offer.tiers):
        _within(f"{path}.tiers[{place}].volume", tier.volume, 0, math.inf)
        _within(f"{path}.tiers[{place}].factor", tier.factor, 0, 1)
        if tier.volume <= volume or tier.factor >= factor:
            raise InputError(
                f"{path}.tiers[{place}]: a later tier needs a larger volume and gives a lower factor",
                given=f"volume {tier.volume:g} after {volume:g}, factor {tier.factor:g} after {factor:g}",
            )
        volume, factor = tier.volume, tier.factor
    if offer.residual > factor:
        raise InputError(
            f"{path}.residual: chips at the last tier's price would be worth more than they cost",
            given=offer.residual,
            allowed=f"at most {factor:g}, the factor of that tier",
        )


def _validate_site(site: Site, nodes: int) -> None:
    path = f"sites.{site.id}"
    _numbers(f"{path}.available", site.available, (nodes,), finite=False)
    for name, values in (("capex", site.capex), ("rent", site.rent), ("energy", site.energy)):
        _numbers(f"{path}.{name}", values, (nodes,))
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
    longest = max(len(case.spend) for case in programme.cases)
    for place, gate in enumerate(programme.gates):
        _whole(f"{path}.gates[{place}]", gate, 1, longest)
    if list(programme.gates) != sorted(set(programme.gates)):
        raise InputError(f"{path}.gates: gates stand in order of time, each once", given=", ".join(map(str, programme.gates)))
    if programme.outcomes:
        _validate_outcomes(path, programme)


def _validate_outcomes(path: str, programme: Programme) -> None:
    _unique(f"{path}.outcomes", [outcome.name for outcome in programme.outcomes])
    for outcome in programme.outcomes:
        at = f"{path}.outcomes.{outcome.name}"
        _within(f"{at}.probability", outcome.probability, 0, 1)
        _numbers(f"{at}.spend", outcome.spend, outcome.spend.shape[:1])
        _whole(f"{at}.revealed", outcome.revealed, 1 if len(programme.outcomes) > 1 else 0)
        if outcome.lead is None:
            continue
        _whole(f"{at}.lead", outcome.lead, 0)
        if outcome.revealed > outcome.lead:
            raise InputError(
                f"{at}.revealed: an outcome shows at the latest with its first orders",
                given=outcome.revealed,
                allowed=f"at most {outcome.lead}",
            )
    total = sum(outcome.probability for outcome in programme.outcomes)
    if abs(total - 1) > ROUNDING:
        raise InputError(f"{path}.outcomes: probabilities do not sum to 1", given=f"{total:g}")
    for age in range(max(outcome.revealed for outcome in programme.outcomes)):
        hidden = [outcome for outcome in programme.outcomes if outcome.revealed > age]
        spends = {float(outcome.spend[age]) if age < len(outcome.spend) else 0.0 for outcome in hidden}
        if len(spends) > 1:
            raise InputError(
                f"{path}.outcomes: {' and '.join(one.name for one in hidden)} differ in spend before either shows",
                given=f"{', '.join(f'{spend:g}' for spend in sorted(spends))} in quarter {age} since the start",
                hint="spend alike, or let the outcome show earlier",
            )


def _validate_prepayment(one: Prepayment, problem: Problem) -> None:
    path = f"prepayments.{one.id}"
    _numbers(f"{path}.price", one.price, (problem.tree.size,))
    _whole(f"{path}.lead", one.lead, 0)
    _whole(f"{path}.first", one.first, 0)
    for name, value in (("chips", one.chips), ("offtake", one.offtake), ("shortfall", one.shortfall)):
        _within(f"{path}.{name}", value, 0, math.inf)
    if one.last < one.first:
        raise InputError(f"{path}: the last quarter is before the first", given=f"{one.last} < {one.first}")
    if not one.offers:
        raise InputError(f"{path}.offers: a prepayment is for at least one offer", allowed=[offer.id for offer in problem.offers])
    _unique(f"{path}.offers", one.offers)
    _known(f"{path}.offers", one.offers, [offer.id for offer in problem.offers])


def _validate_finance(debt: Debt | None, risk: Risk | None, nodes: int) -> None:
    if debt is not None:
        _numbers("debt.limit", debt.limit, (nodes,), finite=False)
        _within("debt.interest", debt.interest, 0, math.inf)
    if risk is not None:
        _within("risk.weight", risk.weight, 0, 1)
        _within("risk.tail", risk.tail, 0, 1)
        if risk.tail == 0:
            raise InputError("risk.tail: the worst futures are a share above 0", given=risk.tail, allowed="above 0, at most 1")


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
