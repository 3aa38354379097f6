"""What a plan decides and costs by quarter, as means over its futures, in `plan.json`: what two plans are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapeout.sourcing.accounts import cash_by_node, cost_per_query_by_quarter, levelised_cost_per_query, unmet_share
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array

LEAST = 1e-6


def results_record(plan: Plan) -> dict[str, Any]:
    """What a plan comes to, under the names of `plan.json`, with what it decides under `expected`."""
    quarters = plan.problem.quarters
    return {
        "cost_usd": plan.cost,
        "bound_usd": plan.bound,
        "gap": plan.gap,
        "status": plan.status,
        "cost_per_query_usd": dict(zip(quarters, cost_per_query_by_quarter(plan).tolist(), strict=True)),
        "levelised_cost_per_query_usd": levelised_cost_per_query(plan),
        "unmet_share": unmet_share(plan),
        "cash_usd": dict(zip(quarters, plan.expected(cash_by_node(plan)).tolist(), strict=True)),
        "expected": expected_record(plan),
    }


def expected_record(plan: Plan) -> dict[str, Any]:
    """Chips ordered by contract, power held by site, probability of a start or a prepayment, and cash by category, each by quarter."""
    problem = plan.problem
    return {
        "quarters": list(problem.quarters),
        "orders_chips": _by(plan, [offer.id for offer in problem.offers], plan.orders),
        "site_power_w": _by(plan, [site.id for site in problem.sites], plan.site_power),
        "starts": _by(plan, [programme.id for programme in problem.programmes], plan.starts),
        "prepaid": _by(plan, [one.id for one in problem.prepayments], plan.prepaid),
        "spend_usd": {name: row.tolist() for name, row in zip(plan.spend, map(plan.expected, plan.spend.values()), strict=True)},
        "chips": {offer.id: offer.chip for offer in problem.offers},
    }


def _by(plan: Plan, names: Sequence[str], values: Array) -> dict[str, list[float]]:
    """Means by quarter of those that are ever more than dust."""
    means = plan.expected(values)
    return {name: row.tolist() for name, row in zip(names, means, strict=True) if row.max(initial=0.0) > LEAST}
