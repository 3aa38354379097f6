"""A rolling horizon: plan with what is known, carry it out until the next date, pay what then happens, and plan again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tapeout.errors import InputError
from tapeout.sourcing.accounts import cash_by_node
from tapeout.sourcing.decisions import no_more_than_ordered
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Offer, Problem, Programme, Site, UsdByNode
from tapeout.sourcing.settled import Decisions, carry_on, nothing
from tapeout.units import Dimensionless, Seconds, Usd

Known = Callable[[int, Decisions], Problem]
"""The problem as it is known in a quarter, over all quarters: as they were before it, as expected after it. Takes what was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A date at which a plan was made, `quarter`, for what was known then."""

    quarter: int
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """The plans of each date, what was `decided` by them, and what that came to: `paid`, a plan in the world as it was.

    `over_budget` is the cash of each quarter above its budget.
    """

    steps: tuple[Step, ...]
    decided: Decisions
    paid: Plan
    over_budget: UsdByNode

    @property
    def cost(self) -> Usd:
        """What was paid, discounted to the first quarter, with penalties and less what is left at the end."""
        return self.paid.cost


def rolling(
    actual: Problem,
    known: Known,
    dates: Sequence[int],
    gap: Dimensionless,
    time_limit: Seconds,
    say: Callable[[str], None] = lambda text: None,
) -> Rolling:
    """What comes of plans made in the quarters `dates`, the first of them 0, in the world `actual`, which is one path.

    Chips that are rented from quarter to quarter are rented as needed; all else stands as decided, as far as it is to be had: orders
    above what there is, of chips that have not come, or of power that a site does not have, are not placed. Raises InputError for dates
    that are not in order, and what `carry_on` raises.
    """
    quarters = len(actual.quarters)
    if not dates or dates[0] != 0 or list(dates) != sorted(set(dates)) or dates[-1] >= quarters:
        raise InputError("dates of planning start with the first quarter and stand in order", given=str(list(dates)))
    decided, steps = nothing(actual), list[Step]()
    for first, after in pairwise((*dates, quarters)):
        plan = carry_on(known(first, decided), decided, first, gap, time_limit)
        decided = possible(actual, decided.then(plan, first, after))
        steps.append(Step(quarter=first, plan=plan))
        say(f"{actual.quarters[first]}: planned for what is known, {len(steps)} of {len(dates)}")
    paid = carry_on(actual, decided, quarters, gap, time_limit)
    over = np.maximum(0.0, cash_by_node(paid) - paid.spend["interest"] - np.where(np.isfinite(actual.budget), actual.budget, np.inf))
    return Rolling(steps=tuple(steps), decided=decided, paid=paid, over_budget=over)


def possible(actual: Problem, decided: Decisions) -> Decisions:
    """As much of what was decided as can be had in the world as it is."""
    orders = np.minimum(decided.orders, np.array([_caps(actual, offer, decided) for offer in actual.offers]))
    ended = decided.ended.copy()
    no_more_than_ordered(actual, orders, ended)
    power = np.array([_power(site, wanted) for site, wanted in zip(actual.sites, decided.site_orders, strict=True)])
    return replace(decided, orders=orders, ended=ended, site_orders=power.reshape(decided.site_orders.shape))


def _caps(actual: Problem, offer: Offer, decided: Decisions) -> Array:
    """The most chips of an offer that can be ordered in each quarter."""
    quarters = len(actual.quarters)
    caps = offer.allocation.copy()
    for row, one in enumerate(actual.prepayments):
        if offer.id in one.offers:
            made = np.concatenate((np.zeros(one.lead), np.cumsum(decided.prepaid[row])))[:quarters]
            caps = caps + one.chips * made
    if offer.programme is not None:
        row = [programme.id for programme in actual.programmes].index(offer.programme)
        begun = np.flatnonzero(decided.starts[row] > 0.5)
        first = int(begun[0]) + actual.programmes[row].lead if begun.size else quarters
        caps[:first] = 0.0
    return caps


def _power(site: Site, wanted: Array) -> Array:
    """The power of a site that is ordered in each quarter, where no more is held than it has from then on, in whole modules."""
    least = np.minimum.accumulate(site.available[::-1])[::-1]  # what is held stays, so later quarters count as well
    room = np.append(least[site.lead :], np.full(min(site.lead, wanted.size), np.inf))[: wanted.size] - site.initial
    placed, held = np.zeros_like(wanted), 0.0
    for quarter in np.flatnonzero(wanted > 0).tolist():
        most = max(0.0, float(room[quarter]) - held)
        if site.module > 0 and np.isfinite(most):
            most = site.module * np.floor(most / site.module + 1e-9)
        placed[quarter] = min(float(wanted[quarter]), most)
        held += placed[quarter]
    return placed


def sure(programme: Programme, quarters: int, case: int | None = None) -> Programme:
    """The programme with nothing uncertain: as planned, or as its outcome `case` goes; one that fails does not deliver in `quarters`."""
    if case is None:
        return replace(programme, outcomes=())
    outcome = programme.cases[case]
    gates = tuple(gate for gate in programme.gates if gate < len(outcome.spend))
    return replace(programme, spend=outcome.spend, lead=quarters if outcome.lead is None else outcome.lead, outcomes=(), gates=gates)


def as_seen(programme: Programme, quarters: int, case: int | None, starts: Array, quarter: int) -> Programme:
    """The programme as it is known in `quarter`: as planned, until it shows that it goes as its outcome `case` (None: as planned)."""
    begun = np.flatnonzero(starts > 0.5)
    shown = case is not None and begun.size and quarter - int(begun[0]) >= programme.cases[case].revealed
    return sure(programme, quarters, case if shown else None)
