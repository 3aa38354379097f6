"""The mean world: every value by node replaced by its mean in each quarter, and programmes by what is planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tapeout.outlook.tree import Array, Tree, single
from tapeout.sourcing.problem import Problem


def mean_by_quarter(tree: Tree, values: Array) -> Array:
    """The mean of values by node (..., N) in each quarter, (..., Q)."""
    flat = values.reshape(-1, tree.size) * tree.probability
    sums = [np.bincount(tree.quarter, weights=row, minlength=tree.quarters) for row in flat]
    return np.array(sums, dtype=float).reshape(*values.shape[:-1], tree.quarters)


def mean_problem(problem: Problem) -> Problem:
    """The problem on one path, with the mean of every value, and with programmes that go as planned and are not stopped, and no risk."""
    tree, first = problem.tree, np.searchsorted(problem.tree.quarter, np.arange(problem.tree.quarters))

    def mean(values: Array) -> Array:
        return mean_by_quarter(tree, values)

    path = problem.on(single(tree.quarters), first)
    return replace(
        path,
        demand=mean(problem.demand),
        volume=mean(problem.volume),
        budget=mean(problem.budget),
        risk=None,
        offers=tuple(
            replace(one, rent=mean(one.rent), unit_price=mean(one.unit_price), upkeep=mean(one.upkeep), allocation=mean(one.allocation))
            for one in problem.offers
        ),
        sites=tuple(
            replace(one, available=mean(one.available), capex=mean(one.capex), rent=mean(one.rent), energy=mean(one.energy))
            for one in problem.sites
        ),
        programmes=tuple(replace(one, outcomes=(), gates=()) for one in problem.programmes),
        prepayments=tuple(replace(one, price=mean(one.price)) for one in problem.prepayments),
        debt=replace(problem.debt, limit=mean(problem.debt.limit)) if problem.debt else None,
    )
