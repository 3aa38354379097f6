"""A plan by scenario: what each path through its futures costs and serves, and bands over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike

from tapeout.outlook.tree import Array, Nodes, Tree
from tapeout.sourcing.accounts import cash_by_node, delivered_queries, economic_cost_by_quarter, fleet_by_chip, supplier_shares
from tapeout.sourcing.decisions import tail_mean
from tapeout.sourcing.plan import Plan, discounts
from tapeout.units import Dimensionless, Unit, Usd

LEVELS = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
TAIL = 0.05
"""Share of the worst futures whose mean cost is told where the scenario sets no risk."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """Shapes: L scenarios, Q quarters. `nodes` (L, Q) of the tree of the futures, `cost` (L,) discounted, all else undiscounted (L, Q).

    `demand` is the peak of all models together, `economic` what serving costs with capital spread over its use, `concentration` the
    Herfindahl-Hirschman index of the suppliers' shares of what is served.
    """

    names: tuple[str, ...]
    probability: Annotated[Array, Unit("1")]
    nodes: Nodes
    cost: Annotated[Array, Unit("USD")]
    demand: Annotated[Array, Unit("query/s")]
    cash: Annotated[Array, Unit("USD")]
    economic: Annotated[Array, Unit("USD")]
    queries: Annotated[Array, Unit("query")]
    chips: Annotated[Array, Unit("1")]
    concentration: Annotated[Array, Unit("1")]
    tail: Dimensionless
    discounts: Annotated[Array, Unit("1")]

    @property
    def size(self) -> int:
        """Number of scenarios."""
        return len(self.names)

    @property
    def cost_per_query(self) -> Annotated[Array, Unit("USD/query")]:
        """Economic cost per query delivered, (L, Q); NaN where none is."""
        return _ratio(self.economic, self.queries)

    @property
    def mean_cost_per_query(self) -> Annotated[Array, Unit("USD/query")]:
        """Expected economic cost over expected queries, (Q,); NaN where none is delivered."""
        return _ratio(self.probability @ self.economic, self.probability @ self.queries)

    @property
    def levelised(self) -> Annotated[Array, Unit("USD/query")]:
        """Discounted economic cost over discounted queries, (L,)."""
        return _ratio(self.economic @ self.discounts, self.queries @ self.discounts)

    @property
    def mean_levelised(self) -> float:
        """Expected discounted economic cost over expected discounted queries, in USD per query."""
        spent, asked = self.probability @ self.economic @ self.discounts, self.probability @ self.queries @ self.discounts
        return float(_ratio(np.asarray(spent), np.asarray(asked)))

    @property
    def worst_cost(self) -> Usd:
        """The mean cost of the worst `tail` share of the futures (conditional value at risk)."""
        return tail_mean(self.cost, self.probability, self.tail)

    def bands(self, values: Array) -> dict[str, Array]:
        """The quantiles of `LEVELS` over the scenarios of values (L, ...), and their mean."""
        found = quantiles(values, self.probability, list(LEVELS.values()))
        known = np.isfinite(values)
        weight = np.einsum("l,l...->...", self.probability, known.astype(float))
        mean = _ratio(np.einsum("l,l...->...", self.probability, np.where(known, values, 0.0)), weight)
        return {"mean": mean} | dict(zip(LEVELS, found, strict=True))


def paths(plan: Plan) -> Paths:
    """What a plan does on each path to a leaf of its tree; on one path, that alone."""
    problem, tree = plan.problem, plan.problem.tree
    leaves, nodes = tree.leaves, tree.paths
    total = np.sum(list(plan.spend.values()), axis=0) * discounts(problem)
    shares = np.array(list(supplier_shares(plan).values()))
    return Paths(
        names=scenario_names(tree),
        probability=tree.probability[leaves],
        nodes=nodes,
        cost=total[nodes].sum(axis=1),
        demand=problem.demand.sum(axis=0)[nodes],
        cash=cash_by_node(plan)[nodes],
        economic=np.array([economic_cost_by_quarter(plan.along(int(leaf))) for leaf in leaves]),
        queries=delivered_queries(plan)[nodes],
        chips=np.sum(list(fleet_by_chip(plan).values()), axis=0)[nodes],
        concentration=(shares**2).sum(axis=0)[nodes],
        tail=problem.risk.tail if problem.risk else TAIL,
        discounts=discounts(problem)[nodes[0]],
    )


def scenario_names(tree: Tree) -> tuple[str, ...]:
    """A name for each scenario: the branches that lead to it, with a number where these do not tell it from the others."""
    words = [tree.words(int(leaf)) for leaf in tree.leaves]
    return tuple(word if word and words.count(word) == 1 else f"{word or 'scenario'} #{index + 1}" for index, word in enumerate(words))


def quantiles(values: Array, probability: Array, levels: ArrayLike) -> Array:
    """The least value that is not passed with each probability of `levels`, over the first axis of values (L, ...); NaN is left out.

    >>> quantiles(np.array([3.0, 1.0, 2.0]), np.array([0.2, 0.5, 0.3]), [0.5, 0.75, 0.95])
    array([1., 2., 3.])
    """
    order = np.argsort(values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)
    weight = np.where(np.isnan(ranked), 0.0, probability[order])
    below = np.cumsum(weight, axis=0)
    whole = below[-1]
    found = []
    for level in np.atleast_1d(np.asarray(levels, dtype=float)):
        place = np.argmax(below >= level * whole * (1 - 1e-12), axis=0)
        found.append(np.take_along_axis(ranked, place[None], axis=0)[0])
    return np.where(whole > 0, np.array(found), np.nan)


def _ratio(over: Array, under: Array) -> Array:
    return np.asarray(np.divide(over, under, out=np.full(np.shape(under), np.nan), where=np.asarray(under) > 0), dtype=float)
