"""What the optimum does not care about: how far a plan can be turned within 1, 2 and 5 % of its cost, and the plan that differs most.

Modelling to generate alternatives: the cost becomes a limit, and each aggregate of the decisions in turn the objective. The most different
plan is found by hop-skip-jump: it serves as little as it can by the offers that the plan uses, each weighed by how much the plan uses it.

Starts and stops stay as planned. In the ranges a site's modules may be parts of one, so no plan with these starts lies outside of them; in
the different plan they are whole and as planned, so another may differ more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np

from tapeout.appraisal.decided import TIME_LIMIT, Decided, check
from tapeout.errors import LimitNotMetError
from tapeout.fleet.parallel import crew
from tapeout.sourcing.decisions import plan_of
from tapeout.sourcing.linear_program import Index, Term
from tapeout.sourcing.model import Model
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Offer, Problem
from tapeout.sourcing.reordering import kept
from tapeout.sourcing.solver import Outcome, run
from tapeout.units import Dimensionless, Unit, Usd

SLACKS = (0.01, 0.02, 0.05)


class Aggregate(StrEnum):
    """What is summed over the decisions of a plan."""

    SUPPLIER = "supplier"
    RENTED = "rented"
    POWER = "power"


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateRange:
    """One aggregate: what is planned, and the least and the most of it at the cost allowed, all in `unit`.

    The share of the queries asked that a `subject` serves (a supplier's chips, or all that is rented), or the mean power held at a site;
    expected over the futures and all quarters.
    """

    aggregate: Aggregate
    subject: str
    unit: Unit
    planned: Annotated[float, Unit("1")]
    low: Annotated[float, Unit("1")]
    high: Annotated[float, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearOptimal:
    """What may cost `slack` more than the plan: `ranges` (none where not asked for), and the `different` plan of hop-skip-jump.

    `shares` (O,) are the queries that each offer serves in it over all that are asked, `planned_shares` those of the plan, and
    `distance` the part of the queries that other offers serve than in the plan.
    """

    slack: Dimensionless
    most: Usd
    ranges: tuple[AggregateRange, ...]
    different: Plan
    shares: Annotated[Array, Unit("1")]
    planned_shares: Annotated[Array, Unit("1")]
    distance: Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """An aggregate as variables of the program and what one of each counts, whose sum is it in `unit`."""

    aggregate: Aggregate
    subject: str
    unit: Unit
    index: Index
    weight: Annotated[Array, Unit("1")]

    @property
    def term(self) -> Term:
        """The sum as a term of the program."""
        return self.index, self.weight

    def of(self, values: Array) -> float:
        """The aggregate of a solution."""
        return float((np.where(self.index >= 0, values[np.maximum(self.index, 0)], 0.0) * self.weight).sum())


def near_optimal(
    known: Decided, slacks: Sequence[float] = SLACKS, ranges: Sequence[float] | None = None, workers: int = 1
) -> tuple[NearOptimal, ...]:
    """The most different plan for each slack on what is minimised, and the ranges for those of `ranges`, for all where None.

    A range takes two linear programs an aggregate, a different plan one.
    """
    with crew(known, workers) as run_jobs:
        found = dict(run_jobs(_near_optimal, [(slack, ranges is None or slack in ranges) for slack in slacks]))
    return tuple(found[place] for place in range(len(slacks)))


def _near_optimal(known: Decided, asked: tuple[float, bool]) -> NearOptimal:
    slack, ranged = asked
    most = known.goal + slack * abs(known.goal)
    model = kept(known.plan, known.problem)[0]
    planned = known.values
    measures = _measures(model) if ranged else ()
    by_offer = [_share(model, [offer]) for offer in model.futures.problem.offers]
    shares = np.array([one.of(planned) for one in by_offer])
    model.program.limit_cost(most / model.scale.money)
    free = planned.copy()
    modules = model.variables.modules
    free[modules[modules >= 0]] = np.nan
    ranges = tuple(
        AggregateRange(
            aggregate=one.aggregate,
            subject=one.subject,
            unit=one.unit,
            planned=one.of(planned),
            low=one.of(_extreme(known, model, [one.term], 1.0, free)),
            high=one.of(_extreme(known, model, [one.term], -1.0, free)),
        )
        for one in measures
    )
    used = [(one.index, share * one.weight) for one, share in zip(by_offer, shares.tolist(), strict=True)]
    hop = _extreme(known, model, used, 1.0, planned)
    other = np.array([one.of(hop) for one in by_offer])
    return NearOptimal(
        slack=slack,
        most=most,
        ranges=ranges,
        different=plan_of(model, hop, known.plan.bound, Outcome.OPTIMAL),
        shares=other,
        planned_shares=shares,
        distance=float(np.maximum(other - shares, 0.0).sum()),
    )


def _extreme(known: Decided, model: Model, terms: Sequence[Term], sign: float, fixed: Array) -> Array:
    """The solution with the least sum of these terms (the most where `sign` is -1) at the cost allowed; it begins at the plan."""
    program = model.program
    program.drop_costs()
    largest = max(float(np.abs(coefficient).max(initial=0.0)) for _, coefficient in terms)
    for index, coefficient in terms:
        program.add_cost(index, sign * np.asarray(coefficient) / (largest or 1.0))
    basis = known.basis.with_rows(1) if known.basis else None
    found = run(program, gap=0.0, time_limit=TIME_LIMIT, fixed=fixed, relaxed=True, basis=basis)
    check(found)
    if found.values is None:
        raise LimitNotMetError("no plan was found at the cost of the plan and a little more")
    return found.values


def _measures(model: Model) -> tuple[_Measure, ...]:
    problem = model.futures.problem
    suppliers = dict.fromkeys(offer.supplier for offer in problem.offers)
    found = [_share(model, [offer for offer in problem.offers if offer.supplier == name], Aggregate.SUPPLIER, name) for name in suppliers]
    found.append(_share(model, [offer for offer in problem.offers if not offer.owned], Aggregate.RENTED, "rented"))
    return (*found, *(_power(model, row) for row in range(len(problem.sites))))


def _share(model: Model, offers: Sequence[Offer], aggregate: Aggregate = Aggregate.SUPPLIER, subject: str = "") -> _Measure:
    """The share of the queries asked that these offers serve, expected over futures and quarters, a query of each model alike."""
    problem = model.futures.problem
    rows = [index for index, offer in enumerate(problem.offers) if any(offer is one for one in offers)]
    queries = _expected_queries(problem)
    part = queries * model.scale.demand[:, None] / float((queries * problem.demand).sum())
    index = model.variables.served[rows]
    return _Measure(aggregate=aggregate, subject=subject, unit=Unit("1"), index=index, weight=np.broadcast_to(part, index.shape))


def _expected_queries(problem: Problem) -> Array:
    """What one query/s served at each node counts in queries of a plan, (M, N): the queries that it brings times the node's probability."""
    queries = np.divide(problem.volume, problem.demand, out=np.zeros_like(problem.demand), where=problem.demand > 0)
    return np.asarray(queries * problem.tree.probability)


def _power(model: Model, row: int) -> _Measure:
    """The mean power held at a site."""
    tree = model.futures.problem.tree
    return _Measure(
        aggregate=Aggregate.POWER,
        subject=model.futures.problem.sites[row].id,
        unit=Unit("W"),
        index=model.variables.site_power[row],
        weight=tree.probability / tree.quarters * model.scale.power,
    )
