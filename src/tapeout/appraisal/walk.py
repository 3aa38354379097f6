"""A walk through futures: what has been decided up to a quarter, what a policy wants in it, and what is there then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.outlook.tree import Nodes
from tapeout.sourcing.finance import lifetime
from tapeout.sourcing.futures import Futures
from tapeout.sourcing.problem import Array, Problem, UsdByNode
from tapeout.sourcing.variables import ages
from tapeout.units import Unit

Flags = Annotated[Array, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What is decided beside the orders, by node: `starts`, `stops` (P, N), `prepaid` (B, N), each 0 or 1."""

    starts: Flags
    stops: Flags
    prepaid: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a policy wants at n nodes: `orders` (O, n) chips, `site_orders` (S, n) W.

    `ended` (O, A, n) is the part of an order of A = 1, 2, ... years before that is sold or given back. `reserve` (n,) is the cash that is
    kept for serving when there is not enough for all orders, `credit` (n,) what may be owed at the end of the quarter.
    """

    orders: Annotated[Array, Unit("1")]
    site_orders: Annotated[Array, Unit("W")]
    ended: Annotated[Array, Unit("1")]
    reserve: UsdByNode
    credit: UsdByNode


@dataclass(slots=True, kw_only=True)
class Walk:
    """The decisions so far, by node of the futures, shaped and named as in `Plan`; zero where the walk has not come yet."""

    futures: Futures
    whole: Whole
    orders: Annotated[Array, Unit("1")]
    ended: Annotated[Array, Unit("1")]
    site_orders: Annotated[Array, Unit("W")]
    site_power: Annotated[Array, Unit("W")]
    fleet: Annotated[Array, Unit("1")]
    served: Annotated[Array, Unit("query/s")]
    unmet: Annotated[Array, Unit("query/s")]
    cheaper: Annotated[Array, Unit("1")]
    short: Annotated[Array, Unit("1")]
    debt: UsdByNode
    cash: UsdByNode

    @property
    def problem(self) -> Problem:
        """The problem on the tree of the futures."""
        return self.futures.problem

    def before(self, values: Array, nodes: Nodes, lag: int) -> Array:
        """Values by node (..., N) at the ancestors `lag` quarters before these nodes, (..., n), 0 where there is none."""
        tree = self.problem.tree
        if lag >= tree.quarters:
            return np.zeros((*values.shape[:-1], len(nodes)))
        above = tree.above[nodes, lag]
        return np.where(above >= 0, values[..., np.maximum(above, 0)], 0.0)

    def installed(self, nodes: Nodes, ahead: int = 0) -> Array:
        """Chips (O, n) in service `ahead` quarters after these nodes if nothing more is ordered or ended."""
        quarter = int(self.problem.tree.quarter[nodes[0]])
        found = self.delivered(self.orders, nodes, ahead)
        for index, offer in enumerate(self.problem.offers):
            found[index] += offer.initial if quarter + ahead < lifetime(offer) else 0.0
            for place, age in enumerate(ages(self.problem)):
                for lag in range(min(offer.term - age - ahead, quarter + 1)):
                    found[index] -= self.before(self.ended[index, place], nodes, lag)
        return np.maximum(found, 0.0)

    def delivered(self, orders: Array, nodes: Nodes, ahead: int = 0) -> Array:
        """Chips (O, n) of these orders (O, N) whose terms run `ahead` quarters after the nodes."""
        quarter = int(self.problem.tree.quarter[nodes[0]])
        found = np.zeros((len(self.problem.offers), len(nodes)))
        for index, offer in enumerate(self.problem.offers):
            for lag in range(max(0, offer.lead - ahead), min(offer.lead + offer.term - ahead, quarter + 1)):
                found[index] += self.before(orders[index], nodes, lag)
        return found

    def power(self, nodes: Nodes, ahead: int = 0) -> Array:
        """Power (S, n) that has been ordered for `ahead` quarters after these nodes, in W."""
        quarter = int(self.problem.tree.quarter[nodes[0]])
        found = np.zeros((len(self.problem.sites), len(nodes)))
        for index, site in enumerate(self.problem.sites):
            found[index] = site.initial
            for lag in range(max(0, site.lead - ahead), quarter + 1):
                found[index] += self.before(self.site_orders[index], nodes, lag)
        return found


Policy = Callable[[Walk, Nodes], Wanted]
"""What is wanted at the nodes of a quarter, from what has been done before."""


def empty(futures: Futures, whole: Whole) -> Walk:
    """The walk before its first quarter."""
    problem = futures.problem
    offers, models, sites, size = len(problem.offers), len(problem.models), len(problem.sites), problem.tree.size
    tiers = max((len(offer.tiers) for offer in problem.offers), default=0)
    return Walk(
        futures=futures,
        whole=whole,
        orders=np.zeros((offers, size)),
        ended=np.zeros((offers, len(ages(problem)), size)),
        site_orders=np.zeros((sites, size)),
        site_power=np.zeros((sites, size)),
        fleet=np.zeros((offers, sites + 1, size)),
        served=np.zeros((offers, models, size)),
        unmet=np.zeros((models, size)),
        cheaper=np.zeros((offers, tiers, size)),
        short=np.zeros((len(problem.prepayments), size)),
        debt=np.zeros(size),
        cash=np.zeros(size),
    )
