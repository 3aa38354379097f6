"""What the bands of the throughputs do to a plan: the range of its cost if orders follow them, and what its own orders then serve.

Throughputs are predicted with bands. The chips of one generation stand on the same coefficients and err together; generations
err independently. So each generation alone is put at the low and at the high end of its band, and the effects of all are joined
as the root of the sum of their squares, each side apart: the rule by which `cost.token` joins price and rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from tapeout.errors import InfeasibleError
from tapeout.sourcing.accounts import levelised_cost_per_query, unmet_share
from tapeout.sourcing.finance import penalty_rates
from tapeout.sourcing.linear_program import LinearProgram
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.reordering import reordered
from tapeout.sourcing.solver import run
from tapeout.units import Dimensionless, Unit, Usd, UsdPerQuery

RULE = (
    "80 % bands; the chips of a generation err together, generations independently: each generation alone is put at an end of its "
    "band, and the effects are joined as the root of the sum of their squares, each side apart"
)

Factors = Annotated[Array, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputBand:
    """Factors on a chip's throughput on each model of the problem at the ends of its band; chips of one `generation` err together."""

    generation: str
    low: Factors
    high: Factors


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationEffect:
    """One generation at the ends of its band, all others as planned; each `low` is at the high end of the throughput.

    `cost_low` and `cost_high` are the discounted costs of the best orders for these throughputs, infinite where none meet all
    demand. `query_low` and `query_high` are what a query costs (levelised) with the plan's own orders, and `unmet_low` and
    `unmet_high` the share of all queries that these orders leave unserved.
    """

    generation: str
    cost_low: Usd
    cost_high: Usd
    query_low: UsdPerQuery
    query_high: UsdPerQuery
    unmet_low: Dimensionless
    unmet_high: Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputRange:
    """The same for all generations together, by `RULE`, and the effect of each alone."""

    cost_low: Usd
    cost_high: Usd
    query_low: UsdPerQuery
    query_high: UsdPerQuery
    unmet_low: Dimensionless
    unmet_high: Dimensionless
    generations: tuple[GenerationEffect, ...]


def throughput_range(plan: Plan, bands: Mapping[str, ThroughputBand]) -> ThroughputRange:
    """What `bands`, by chip, do to `plan`.

    The best orders are decided anew from the first quarter on, as if the throughputs were known then; the starts of programmes and
    the power in modules stay as planned.
    """
    names = dict.fromkeys(bands[offer.chip].generation for offer in plan.problem.offers)
    effects = tuple(_effect(plan, bands, name) for name in names)
    query, unmet = levelised_cost_per_query(plan), unmet_share(plan)
    return ThroughputRange(
        cost_low=_joined(plan.cost, [one.cost_low for one in effects], -1),
        cost_high=_joined(plan.cost, [one.cost_high for one in effects], 1),
        query_low=_joined(query, [one.query_low for one in effects], -1),
        query_high=_joined(query, [one.query_high for one in effects], 1),
        unmet_low=max(0.0, _joined(unmet, [one.unmet_low for one in effects], -1)),
        unmet_high=min(1.0, _joined(unmet, [one.unmet_high for one in effects], 1)),
        generations=effects,
    )


def _joined(central: float, ends: list[float], side: int) -> float:
    """`central` and the root of the sum of the squares of the effects on one side; an effect on the other side counts as none."""
    return central + side * math.hypot(*(max(0.0, side * (end - central)) for end in ends))


def _effect(plan: Plan, bands: Mapping[str, ThroughputBand], generation: str) -> GenerationEffect:
    own = {chip: band for chip, band in bands.items() if band.generation == generation}
    low, high = ({chip: getattr(band, end) for chip, band in own.items()} for end in ("low", "high"))
    slow, fast = _scaled(plan.futures.world, low), _scaled(plan.futures.world, high)
    kept_slow, kept_fast = as_ordered(plan, _scaled(plan.problem, low)), as_ordered(plan, _scaled(plan.problem, high))
    return GenerationEffect(
        generation=generation,
        cost_low=_least_cost(plan, fast),
        cost_high=_least_cost(plan, slow),
        query_low=levelised_cost_per_query(kept_fast),
        query_high=levelised_cost_per_query(kept_slow),
        unmet_low=unmet_share(kept_fast),
        unmet_high=unmet_share(kept_slow),
    )


def _scaled(problem: Problem, factors: Mapping[str, Array]) -> Problem:
    offers = (
        replace(offer, throughput=offer.throughput * factors[offer.chip]) if offer.chip in factors else offer for offer in problem.offers
    )
    return replace(problem, offers=tuple(offers))


def _least_cost(plan: Plan, problem: Problem) -> Usd:
    try:
        return reordered(plan, problem).cost
    except InfeasibleError:
        return math.inf


def as_ordered(plan: Plan, problem: Problem) -> Plan:
    """`plan` with its orders and its fleet, but serving at the throughputs of `problem`, with the least penalty.

    min of the sum over m, t of penalty[m, t] x unmet[m, t], the sum over o of served[o, m, t] + unmet[m, t] = demand[m, t] and the
    sum over m of served[o, m, t] / throughput[o, m] <= fleet[o, t]. Where unmet demand is forbidden it counts by its queries. The
    limit on a supplier's share is a rule for ordering and does not hold back chips that stand idle.
    """
    demand, fleet = problem.demand, plan.fleet.sum(axis=1)
    throughput = np.array([np.broadcast_to(offer.throughput[:, None], demand.shape) for offer in problem.offers])
    # Served and unmet are shares of the demand, and rows are shares of the fleet, so that the solver sees numbers near 1.
    program = LinearProgram()
    served = program.variables(throughput.shape, upper=np.where(throughput > 0, np.inf, 0.0))
    unmet = program.variables(demand.shape)
    program.rows(demand.shape, [(np.moveaxis(served, 0, -1), 1), (unmet, 1)], lower=demand > 0, upper=demand > 0)
    held = np.maximum(fleet, 1.0)
    chips = np.divide(demand, throughput, out=np.zeros_like(throughput), where=throughput > 0) / held[:, None]
    program.rows(fleet.shape, [(np.moveaxis(served, 1, -1), np.moveaxis(chips, 1, -1))], upper=fleet / held)
    rates = penalty_rates(problem)
    weights = np.where(np.isfinite(rates), np.where(np.isfinite(rates), rates, 0.0) * demand, problem.volume)
    program.add_cost(unmet, weights / (weights.max() or 1.0))
    found = run(program, gap=0.0, time_limit=math.inf)
    if found.values is None:
        raise InfeasibleError("the fleet of a plan cannot serve at these throughputs", given=found.outcome)
    futures = replace(plan.futures, world=problem, problem=problem)
    return replace(plan, futures=futures, served=found.values[served] * demand, unmet=np.maximum(found.values[unmet], 0.0) * demand)
