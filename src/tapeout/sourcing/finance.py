"""The money of a problem: discounting, penalties, what chips and sites are worth at the end, annuities."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from tapeout.sourcing.problem import Array, Offer, Problem, UsdByNode
from tapeout.units import HOUR, QUARTER, Dimensionless, Unit, Usd

HOURS = QUARTER / HOUR
SharesByQuarter = Annotated[Array, Unit("1")]


def quarterly_rate(problem: Problem) -> Dimensionless:
    """The rate that compounds in four quarters to the yearly `discount`."""
    return float((1 + problem.discount) ** 0.25 - 1)


def discount_factors(problem: Problem) -> SharesByQuarter:
    """Present value of 1 USD paid in the middle of each quarter: (1 + discount) ** -((t + 1/2) / 4)."""
    return np.asarray((1 + problem.discount) ** -((np.arange(len(problem.quarters)) + 0.5) / 4), dtype=float)


def lifetime(offer: Offer) -> int:
    """Quarters that the initial chips of an offer still serve."""
    return offer.term if offer.initial_term is None else offer.initial_term


def residual_value(problem: Problem, offer: Offer) -> UsdByNode:
    """What one chip ordered at each node is worth after the last quarter: residual x price x unexpired share of its term."""
    left = problem.tree.quarter + offer.lead + offer.term - problem.tree.quarters
    return np.asarray(offer.residual * offer.unit_price * np.clip(left / offer.term, 0, 1), dtype=float)


def penalty_rates(problem: Problem) -> Array:
    """Penalty of a quarter in USD per query/s of unmet demand, (models, nodes); infinite where unmet demand is forbidden."""
    queries = np.divide(problem.volume, problem.demand, out=np.zeros_like(problem.demand), where=problem.demand > 0)
    return np.where(np.isinf(problem.unmet_penalty)[:, None], np.inf, np.nan_to_num(problem.unmet_penalty, posinf=0.0)[:, None] * queries)


def share_weights(problem: Problem) -> Array:
    """What one query/s of each model counts in supplier shares, (models, nodes): its queries in the quarter x their weight."""
    queries = np.divide(problem.volume, problem.demand, out=np.zeros_like(problem.demand), where=problem.demand > 0)
    return queries if problem.share_weights is None else queries * problem.share_weights[:, None]


def site_residual(problem: Problem, index: int) -> Array:
    """What one watt of a site ordered at each node is worth after the last quarter, in USD/W."""
    site, tree = problem.sites[index], problem.tree
    if site.term == 0:
        return np.zeros(tree.size)
    left = tree.quarter + site.lead + site.term - tree.quarters
    return np.asarray(site.residual * site.capex * np.clip(left / site.term, 0, 1), dtype=float)


def annuity(value: Usd, rate: Dimensionless, quarters: int) -> Usd:
    """The equal payment of `quarters` quarters, the first one at once, whose present value is `value`.

    >>> annuity(300.0, 0.0, 3)
    100.0
    >>> round(annuity(1000.0, 0.025, 16), 2)
    74.73
    """
    if rate == 0:
        return value / quarters
    factor = 1 / (1 + rate)
    return value * (1 - factor) / (1 - factor**quarters)
