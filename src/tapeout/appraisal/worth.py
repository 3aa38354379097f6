"""The most to pay: how much cheaper the best plan gets with a programme, a contract, a discount or an acceleration.

Each is a difference of two least costs. Where both plans share their whole decisions it is that of two linear programs; where they do not,
each least cost is known between a bound and a plan, and so is the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from tapeout.appraisal.acceleration import faster, with_programme
from tapeout.appraisal.bracket import Bracket, Limits, bracket
from tapeout.appraisal.decided import Decided, least_goal
from tapeout.appraisal.knobs import Scaled
from tapeout.fleet.parallel import crew
from tapeout.sourcing.finance import HOURS, discount_factors
from tapeout.sourcing.plan import Plan, discounts
from tapeout.sourcing.problem import Array, Problem, Programme
from tapeout.units import Dimensionless, Seconds, Unit, Usd, UsdPerHour

DISCOUNTS = (0.05, 0.1, 0.2, 0.3)
NOTHING = 1e-9
"""Chips allocated of an offer that is taken away, so that the program keeps its shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeWorth:
    """`most_to_pay` is the present value of one-off spend at which starting and not starting cost the same; `spend` is what it costs.

    Both count from the first quarter of the plan, `spend` over the outcomes, for a start as early as the window allows and no stop. The
    true most to pay lies between `low` and `high`, since each least cost is known only to a gap.
    """

    programme: str
    most_to_pay: Usd
    spend: Usd
    low: Usd
    high: Usd

    def most_for_target(self, price: Usd) -> Usd:
        """The most to pay for the target of an acquisition, of whose spend `price` (now) is its price: the rest is spent anyway."""
        return max(0.0, self.most_to_pay - (self.spend - price))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractWorth:
    """What an offer is worth beyond its price: `most_to_pay` now for having it, or `per_hour` more of each chip-hour of it in the plan.

    Whole decisions stay as planned, so it is worth at most this, and less by `noise`, the plan's own gap, at the least where they do. It is
    infinite where no orders do without it. `chip_hours` are expected and discounted.
    """

    offer: str
    most_to_pay: Usd
    chip_hours: Annotated[float, Unit("h")]
    noise: Usd

    @property
    def per_hour(self) -> UsdPerHour:
        """The rent at which the offer is worth nothing, less its rent; 0 where the plan does not use it."""
        return self.most_to_pay / self.chip_hours if self.chip_hours > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountWorth:
    """What `discounts` (D,) on all that a supplier offers are worth now, `worth` (D,), at least: whole decisions stay as planned.

    Up to `kept_until` of them the planned orders stay the best, and from `changes_from` on others are better (None: at none of these).
    """

    supplier: str
    discounts: Annotated[Array, Unit("1")]
    worth: Annotated[Array, Unit("USD")]
    kept_until: Dimensionless
    changes_from: Dimensionless | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccelerationWorth:
    """The most to pay now for a programme that delivers a quarter sooner, between `low` and `high`, against the plan as it is."""

    programme: str
    most_to_pay: Usd
    low: Usd
    high: Usd


def programme_worths(
    problem: Problem,
    *,
    gap: Dimensionless,
    time_limit: Seconds,
    say: Callable[[str], None] = lambda text: None,
    workers: int = 1,
    quick: bool = False,
) -> tuple[ProgrammeWorth, ...]:
    """The worth of each programme alone, against the plan without any.

    most to pay = cost(no programme) - cost(this programme, spend 0), at least 0. With `quick`, no branch is searched: each cost lies
    between the relaxation and the plan that is nearest to it. Raises CancelledError where the user stops it.
    """
    if not problem.programmes:
        return ()
    say(f"what are {', '.join(one.id for one in problem.programmes)} worth?")
    jobs = [alone(problem, None), *(alone(problem, free(one)) for one in problem.programmes)]
    without, *with_each = _brackets(jobs, Limits(gap=gap, time_limit=time_limit, quick=quick), workers)
    return tuple(
        ProgrammeWorth(programme=one.id, spend=present_spend(problem, one), **_difference(without, found))
        for one, found in zip(problem.programmes, with_each, strict=True)
    )


def acceleration_worths(
    problem: Problem, plan: Plan, *, gap: Dimensionless, time_limit: Seconds, workers: int = 1, quick: bool = False
) -> tuple[AccelerationWorth, ...]:
    """The worth of each programme's acceleration by a quarter, everything decided anew, against `plan`, the best for `problem`."""
    sooner = [(one.id, fast) for one in problem.programmes if (fast := faster(one)) is not None]
    jobs = [alone(problem, fast) for _, fast in sooner]
    planned = Bracket(bound=plan.bound, cost=plan.goal)
    found = _brackets(jobs, Limits(gap=gap, time_limit=time_limit, quick=quick), workers)
    return tuple(AccelerationWorth(programme=name, **_difference(planned, one)) for (name, _), one in zip(sooner, found, strict=True))


def contract_worths(known: Decided, offers: Sequence[str] | None = None, workers: int = 1) -> tuple[ContractWorth, ...]:
    """The worth of each of these offers, or of all without a programme; one that the plan does not use is worth nothing.

    A lease, say: cost(plan without it) - cost(plan). Chips of it that the company had before stay.
    """
    problem, plan = known.plan.problem, known.plan
    wanted = [
        index for index, offer in enumerate(problem.offers) if (offer.id in offers if offers is not None else offer.programme is None)
    ]
    used = [index for index in wanted if np.any(plan.orders[index] > 0)]
    costs = _goals(known, [without_offer(known.problem, problem.offers[index].id) for index in used], workers)
    noise = plan.goal - plan.bound
    weight = HOURS * problem.tree.probability * discounts(problem)
    return tuple(
        ContractWorth(
            offer=problem.offers[index].id,
            most_to_pay=max(0.0, costs[used.index(index)] - known.goal) if index in used else 0.0,
            chip_hours=float(plan.installed[index] @ weight),
            noise=noise,
        )
        for index in wanted
    )


def discount_worths(known: Decided, depths: Sequence[float] = DISCOUNTS, workers: int = 1) -> tuple[DiscountWorth, ...]:
    """The worth of a discount on all that a supplier offers outside the programmes, on its rents and prices, for each supplier and depth.

    The planned orders stay the best as long as the worth is what the discount takes off their own bill.
    """
    sold = [offer for offer in known.problem.offers if offer.programme is None]
    suppliers = tuple(dict.fromkeys(offer.supplier for offer in sold))
    targets = {name: tuple(f"contracts.{one.id}.price" for one in sold if one.supplier == name) for name in suppliers}
    ladder = np.concatenate(([0.0], np.sort(np.asarray(depths, dtype=float))))
    jobs = [Scaled(targets=targets[name], factor=1 - depth)(known.problem) for name in suppliers for depth in ladder[1:].tolist()]
    goals = np.array(_goals(known, jobs, workers)).reshape(len(suppliers), len(depths))
    return tuple(_discount(known, name, ladder, known.goal - row) for name, row in zip(suppliers, goals, strict=True))


def _discount(known: Decided, supplier: str, ladder: Array, worth: Array) -> DiscountWorth:
    bill = _bill(known, supplier)
    same = np.concatenate(([True], worth <= bill * ladder[1:] + 1e-6 * abs(known.goal)))
    changed = np.flatnonzero(~same)
    first = int(changed[0]) if changed.size else ladder.size
    return DiscountWorth(
        supplier=supplier,
        discounts=ladder[1:],
        worth=np.maximum(worth, 0.0),
        kept_until=float(ladder[first - 1]),
        changes_from=float(ladder[first]) if changed.size else None,
    )


def _bill(known: Decided, supplier: str) -> Usd:
    """What a whole discount would take off what is minimised with the orders as they are, from one too small to change them."""
    step = 1e-4
    targets = tuple(f"contracts.{one.id}.price" for one in known.problem.offers if one.programme is None and one.supplier == supplier)
    return (known.goal - least_goal(known, Scaled(targets=targets, factor=1 - step)(known.problem))) / step


def _goals(known: Decided, problems: Sequence[Problem], workers: int) -> list[Usd]:
    with crew(known, workers) as run_jobs:
        found = dict(run_jobs(least_goal, problems))
    return [found[place] for place in range(len(problems))]


def _brackets(problems: Sequence[Problem], limits: Limits, workers: int) -> list[Bracket]:
    with crew(limits, workers) as run_jobs:
        found = dict(run_jobs(bracket, problems))
    return [found[place] for place in range(len(problems))]


def _difference(dear: Bracket, cheap: Bracket) -> dict[str, Usd]:
    """How much one least cost is above the other, at least nothing, and between what."""
    spread = {"most_to_pay": dear.cost - cheap.cost, "low": dear.bound - cheap.cost, "high": dear.cost - cheap.bound}
    return {name: max(0.0, value) for name, value in spread.items()}


def free(programme: Programme) -> Programme:
    """The programme at no one-off spend."""
    outcomes = tuple(replace(one, spend=np.zeros_like(one.spend)) for one in programme.outcomes)
    return replace(programme, spend=np.zeros_like(programme.spend), outcomes=outcomes)


def alone(problem: Problem, programme: Programme | None) -> Problem:
    """The problem with this programme and no other."""
    others = problem.without(frozenset(one.id for one in problem.programmes if programme is None or one.id != programme.id))
    return with_programme(others, programme) if programme else others


def without_offer(problem: Problem, name: str) -> Problem:
    """The problem in which no more of an offer can be ordered, whether allocated or prepaid for."""
    offers = tuple(
        replace(one, allocation=np.where(one.allocation > 0, np.minimum(one.allocation, NOTHING), 0.0)) if one.id == name else one
        for one in problem.offers
    )
    prepayments = tuple(replace(one, offers=tuple(offer for offer in one.offers if offer != name)) for one in problem.prepayments)
    return replace(problem, offers=offers, prepayments=prepayments)


def present_spend(problem: Problem, programme: Programme) -> Usd:
    """The expected present value of a programme's spend if it starts in the first quarter of its window."""
    factors = discount_factors(problem)[programme.first_start :]
    return sum(case.probability * float(factors[: len(case.spend)] @ case.spend[: len(factors)]) for case in programme.cases)
