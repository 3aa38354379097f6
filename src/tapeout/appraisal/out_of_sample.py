"""How a plan fares in futures that it was not made for, beside three simple policies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tapeout.appraisal.policies import buy_ahead, follow_plan, rent_everything
from tapeout.fleet.parallel import Cluster, crew
from tapeout.outlook.tree import Nodes
from tapeout.sourcing.accounts import along_path, cash_by_node, unmet_share
from tapeout.sourcing.finance import share_weights
from tapeout.sourcing.money import past
from tapeout.sourcing.plan import Plan, discounts
from tapeout.sourcing.problem import Array, Problem
from tapeout.units import Dimensionless, Usd

TOLERANCE = 1e-6
PLAN, MEAN, RENT, BUY = "this plan", "plan for the mean", "rent everything", "buy a year ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """Futures that no plan was made for: a `problem` on their tree, and which node of the plan's world stands for each node, (E,).

    `matching` finds these. With a `seed`, the outcomes of programmes are drawn as well, one for each future; else each has all of them.
    """

    problem: Problem
    matched: Nodes
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """How a policy fared: its expected discounted `cost`, the 5th and 95th percentile of it over the futures, and what went wrong.

    `unmet` is the share of all queries that was not served; `over_budget` and `shares_broken` are the shares of quarters in which cash
    was above the budget (and the debt allowed), and in which a supplier's share or their concentration was above its limit.
    """

    policy: str
    cost: Usd
    low: Usd
    high: Usd
    unmet: Dimensionless
    over_budget: Dimensionless
    shares_broken: Dimensionless


def out_of_sample(
    fresh: Fresh, plan: Plan, mean: Plan | None, workers: int | None = 1, cluster: Cluster | None = None
) -> tuple[Fared, ...]:
    """The plan, the simple policies, and the plan for the mean where there is one, in the same fresh futures.

    These have the probabilities of their tree.
    """
    jobs: list[tuple[str, Plan | None]] = [(PLAN, plan), (RENT, None), (BUY, None)]
    jobs += [(MEAN, mean)] if mean is not None else []
    with crew(fresh, workers, cluster) as run_jobs:
        found = dict(run_jobs(_fared, jobs))
    return tuple(found[place] for place in range(len(jobs)))


def _fared(fresh: Fresh, job: tuple[str, Plan | None]) -> Fared:
    policy, plan = job
    if plan is None:
        rule = rent_everything if policy == RENT else buy_ahead
        return fared(policy, rule(fresh.problem))
    matched = fresh.matched if policy == PLAN else fresh.problem.tree.quarter
    return fared(policy, follow_plan(fresh.problem, plan, matched, fresh.seed))


def fared(policy: str, plan: Plan) -> Fared:
    """What a policy came to, from the plan that it was followed to."""
    problem = plan.problem
    tree, leaves = problem.tree, problem.tree.leaves
    total = np.sum(list(plan.spend.values()), axis=0) * discounts(problem)
    costs, chance = along_path(problem, total)[leaves], tree.probability[leaves]
    low, high = (percentile(costs, chance, share) for share in (0.05, 0.95))
    quarters = tree.probability / tree.quarters
    return Fared(
        policy=policy,
        cost=plan.cost,
        low=low,
        high=high,
        unmet=unmet_share(plan),
        over_budget=float(quarters @ _over_budget(plan)),
        shares_broken=float(quarters @ _shares_broken(plan)),
    )


def percentile(values: Array, chance: Array, share: Dimensionless) -> float:
    """The least value up to which there is this share of the probability.

    >>> percentile(np.array([3.0, 1.0, 2.0]), np.array([0.2, 0.5, 0.3]), 0.6)
    2.0
    """
    order = np.argsort(values, kind="stable")
    place = int(np.searchsorted(np.cumsum(chance[order]), share * (1 - TOLERANCE)))
    return float(values[order[min(place, len(order) - 1)]])


def _over_budget(plan: Plan) -> Array:
    problem = plan.problem
    growth = (1 + problem.debt.interest) ** 0.25 if problem.debt else 1.0
    spent = cash_by_node(plan) - plan.spend["interest"] + growth * past(problem, plan.debt, 1) - plan.debt
    return np.asarray(spent > problem.budget + TOLERANCE * np.abs(spent), dtype=float)


def _shares_broken(plan: Plan) -> Array:
    problem, weights = plan.problem, share_weights(plan.problem)
    suppliers = sorted({offer.supplier for offer in problem.offers})
    offered = np.array([[offer.supplier == name for offer in problem.offers] for name in suppliers], dtype=float)
    by_supplier = np.einsum("so,omn,mn->sn", offered, plan.served, weights, optimize=True)
    asked, delivered = (problem.demand * weights).sum(axis=0), by_supplier.sum(axis=0)
    largest = by_supplier.max(axis=0) > problem.largest_share * delivered + TOLERANCE * asked
    share = by_supplier / np.where(asked > 0, asked, 1.0)
    crowded = (share**2).sum(axis=0) > problem.concentration + TOLERANCE
    return np.asarray((largest | crowded) & (problem.tree.quarter >= problem.share_from), dtype=float)
