"""A plan: what is ordered, started and served at each node of the futures, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np

from tapeout.sourcing.futures import Futures
from tapeout.sourcing.problem import Array, Problem, Programme, QueriesPerSecondArray, UsdByNode, WattsByNode
from tapeout.units import Dimensionless, Unit, Usd

CASH = ("rent", "chips", "resale", "fees", "upkeep", "sites", "energy", "programme", "prepayment", "interest")
NOT_CASH = ("penalty", "residual")
ChipsByNode = Annotated[Array, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan. Shapes: O offers, K places (0 is hosted, then the sites), M models, A years of service, P programmes, B prepayments, N nodes.

    `orders`, `installed` (O, N) are chips ordered in the quarter and there in it, `ended` (O, A, N) those sold or given back at its
    start after A = 1, 2, ... years of service, `fleet` (O, K, N) those that run, by place. `served` is (O, M, N), `unmet` (M, N), both at
    the provisioned peak; `site_orders` and `site_power` are (K - 1, N); `starts`, `stops` (P, N) and `prepaid` (B, N) are 0 and 1;
    `cheaper` (O, T, N) are the chips ordered that get the rebate of each tier, `short` (B, N) the chips missing to an offtake, `debt` (N,)
    is owed at the end of the quarter. `spend` has the undiscounted USD of each node by category: those of `CASH`, then penalty, which is
    no cash, and residual, which is negative and booked in the last quarter. `cost` is the expected discounted sum; `goal` what was
    minimised, which is the cost but for a risk, and `bound` its dual bound. `status` is optimal (within the gap asked for), limit or
    cancelled.
    """

    futures: Futures
    orders: ChipsByNode
    installed: ChipsByNode
    fleet: ChipsByNode
    ended: ChipsByNode
    served: QueriesPerSecondArray
    unmet: QueriesPerSecondArray
    site_orders: WattsByNode
    site_power: WattsByNode
    starts: Annotated[Array, Unit("1")]
    stops: Annotated[Array, Unit("1")]
    prepaid: Annotated[Array, Unit("1")]
    cheaper: ChipsByNode
    short: ChipsByNode
    debt: UsdByNode
    spend: dict[str, UsdByNode]
    cost: Usd
    goal: Usd
    bound: Usd
    status: str = "optimal"
    notes: tuple[str, ...] = field(default=())

    @property
    def problem(self) -> Problem:
        """The problem on the tree of the futures."""
        return self.futures.problem

    @property
    def gap(self) -> Dimensionless:
        """Relative distance of what was minimised from its dual bound."""
        return (self.goal - self.bound) / abs(self.goal) if self.goal else 0.0

    def expected(self, values: Array) -> Array:
        """The mean over the futures of values by node (..., N), by quarter (..., Q)."""
        tree = self.problem.tree
        weighted = values * tree.probability
        flat = weighted.reshape(-1, tree.size)
        sums = [np.bincount(tree.quarter, weights=row, minlength=tree.quarters) for row in flat]
        return np.array(sums, dtype=float).reshape(*values.shape[:-1], tree.quarters)

    def along(self, leaf: int) -> Plan:
        """What the plan does if the future that ends in node `leaf` comes: a plan on one path, its programmes as they turn out."""
        nodes = self.problem.tree.above[leaf, ::-1]
        problem = replace(self.problem.along(leaf), programmes=tuple(self._turned_out(row, leaf) for row in range(len(self.starts))))
        steps = np.arange(len(nodes))
        futures = Futures(
            world=problem, problem=problem, origin=steps, case=np.zeros((len(self.starts), len(nodes)), dtype=np.int64),
            allowed=self.starts[:, nodes] > 0.5,
        )  # fmt: skip
        spend = {name: values[nodes] for name, values in self.spend.items()}
        cost = float(sum(values @ discounts(problem) for values in spend.values()))
        arrays = {name: getattr(self, name)[..., nodes] for name in _BY_NODE}
        return replace(self, futures=futures, spend=spend, cost=cost, goal=cost, bound=cost, **arrays)

    def _turned_out(self, row: int, leaf: int) -> Programme:
        """The programme as it goes on the way to `leaf`: its outcome there, no spend from its stop on, and no chips if that is first."""
        programme, nodes = self.problem.programmes[row], self.problem.tree.above[leaf, ::-1]
        case = programme.cases[self.futures.case[row, leaf]]
        started, stopped = np.flatnonzero(self.starts[row, nodes] > 0.5), np.flatnonzero(self.stops[row, nodes] > 0.5)
        spend, lead = case.spend, len(nodes) if case.lead is None else case.lead
        if started.size and stopped.size:
            ran = int(stopped[0] - started[0])
            spend, lead = spend[:ran], lead if lead < ran else len(nodes)
        return replace(programme, spend=spend, lead=lead, outcomes=(), gates=())


_BY_NODE = (
    "orders", "installed", "fleet", "ended", "served", "unmet", "site_orders", "site_power", "starts", "stops", "prepaid", "cheaper",
    "short", "debt",
)  # fmt: skip


def discounts(problem: Problem) -> Array:
    """Present value of 1 USD paid in the middle of the quarter of each node, (N,)."""
    return np.asarray((1 + problem.discount) ** -((problem.tree.quarter + 0.5) / 4), dtype=float)
