"""Simple rules by which chips are ordered: what is cheapest a query, when it is due for the demand that is expected then.

They expect demand to grow from where it is as its mean does, and nothing else; they borrow nothing and sell nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapeout.appraisal.mean import mean_by_quarter
from tapeout.appraisal.service import is_spot
from tapeout.appraisal.walk import Walk, Wanted
from tapeout.outlook.tree import Nodes
from tapeout.sourcing.finance import HOURS, annuity, quarterly_rate
from tapeout.sourcing.problem import Array, ContractKind, Problem, QueriesPerSecondArray
from tapeout.sourcing.variables import YEAR, ages
from tapeout.units import QUARTER, Dimensionless

Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """Orders offers `rented` (O,) their lead before they are needed, and `bought` (O,) a year before; `demand` (M, Q) is its mean.

    Called with a walk and nodes, it is a policy. Make one with `rule`.
    """

    problem: Problem
    demand: QueriesPerSecondArray
    rented: Chosen
    bought: Chosen

    def __call__(self, walk: Walk, nodes: Nodes) -> Wanted:
        """What is wanted at the nodes of a quarter."""
        offers, sites = len(self.problem.offers), len(self.problem.sites)
        orders, site_orders = np.zeros((offers, len(nodes))), np.zeros((sites, len(nodes)))
        if self.bought.any():
            site_orders = self._power(walk, nodes)
            orders = self._purchases(walk, nodes, site_orders)
        orders = orders + self.rentals(walk, nodes, orders)
        ended = np.zeros((offers, len(ages(self.problem)), len(nodes)))
        running = (self._running_costs(nodes) * walk.installed(nodes)).sum(axis=0)
        return Wanted(orders=orders, site_orders=site_orders, ended=ended, reserve=running, credit=np.zeros(len(nodes)))

    def rentals(self, walk: Walk, nodes: Nodes, placed: Array) -> Array:
        """Contracts (O, n) that are due now for the demand that chips there, on their way and `placed` here (O, n) do not serve."""

        def left(lag: int) -> Array:
            return self.left(walk.installed(nodes, lag) + self._serving(placed, lag), self.expected(nodes, lag))

        return self.contracts(nodes, left)

    def contracts(self, nodes: Nodes, left: Callable[[int], Array]) -> Array:
        """Contracts (O, n) that are due now for the demand (M, n) that is `left` so many quarters later; spot chips are rented then."""
        leads, spot = _leads(self.problem), np.array([is_spot(offer) for offer in self.problem.offers])
        caps, costs = np.array([offer.allocation[nodes] for offer in self.problem.offers]), self._rents(nodes)
        orders = np.zeros(caps.shape)
        for lag in sorted(set(leads[self.rented & ~spot].tolist())):
            chosen = (self.rented & (leads <= lag))[:, None]
            chips, _ = cover(_throughput(self.problem), left(lag), costs, np.where(chosen, caps, 0.0))
            orders += np.where((self.rented & ~spot & (leads == lag))[:, None], chips, 0.0)
        return orders

    def expected(self, nodes: Nodes, ahead: int) -> Array:
        """Demand (M, n) some quarters later, grown as its mean; nothing after the last quarter."""
        return self.problem.demand[:, nodes] * self.growth(nodes, ahead) + self._launched(nodes, ahead)

    def growth(self, nodes: Nodes, ahead: int) -> Array:
        """The mean demand some quarters later over that of now, (M, 1); 0 after the last quarter."""
        quarter = int(self.problem.tree.quarter[nodes[0]])
        now, then = self.demand[:, quarter, None], self._mean(quarter + ahead)
        return np.divide(then, now, out=np.zeros_like(then), where=now > 0)

    def _launched(self, nodes: Nodes, ahead: int) -> Array:
        quarter = int(self.problem.tree.quarter[nodes[0]])
        return np.where(self.demand[:, quarter, None] > 0, 0.0, self._mean(quarter + ahead))

    def _mean(self, quarter: int) -> Array:
        return self.demand[:, quarter, None] if quarter < self.problem.tree.quarters else np.zeros((len(self.demand), 1))

    def left(self, chips: Array, demand: Array) -> Array:
        """The demand (M, n) that these chips (O, n) do not serve; what serves few models goes to them first."""
        few = np.broadcast_to((_throughput(self.problem) > 0).sum(axis=1)[:, None] + 0.0, chips.shape)
        return cover(_throughput(self.problem), demand, few, chips)[1]

    def _serving(self, orders: Array, lag: int) -> Array:
        """Those of the orders of now (O, n) that serve `lag` quarters later."""
        serves = [offer.lead <= lag < offer.lead + offer.term for offer in self.problem.offers]
        return np.where(np.array(serves)[:, None], orders, 0.0)

    def _purchases(self, walk: Walk, nodes: Nodes, site_orders: Array) -> Array:
        """Chips (O, n) bought for a year later, or after their lead where that is longer, as far as there is power when they come."""
        leads, power = _leads(self.problem), _power(self.problem)
        ahead = np.maximum(leads, YEAR)
        caps, costs = np.array([offer.allocation[nodes] for offer in self.problem.offers]), self._prices(nodes)
        orders = np.zeros(caps.shape)
        for lag, lead in sorted(set(zip(ahead[self.bought].tolist(), leads[self.bought].tolist(), strict=True))):
            chosen = (self.bought & (ahead <= lag))[:, None]
            left = self.left(walk.installed(nodes, lag) + self._serving(orders, lag), self.expected(nodes, lag))
            chips, _ = cover(_throughput(self.problem), left, costs, np.where(chosen, caps - orders, 0.0))
            chips *= (leads == lead)[:, None]
            held = walk.power(nodes, lead) + site_orders * np.array([[site.lead <= lead] for site in self.problem.sites])
            free = held.sum(axis=0) - power @ (walk.installed(nodes, lead) + orders)
            needed = power @ chips
            orders += chips * np.clip(np.divide(free, needed, out=np.ones_like(needed), where=needed > 0), 0.0, 1.0)
        return orders

    def _power(self, walk: Walk, nodes: Nodes) -> Array:
        """Power (S, n) for the chips that the demand of a year later, or of when the power comes, will need; at the cheapest sites."""
        problem, quarter = self.problem, int(self.problem.tree.quarter[nodes[0]])
        found, costs = np.zeros((len(problem.sites), len(nodes))), self._prices(nodes)
        for index in _cheapest_first(problem):
            site, lumpy = problem.sites[index], problem.sites[index].module > 0
            if quarter + site.lead >= problem.tree.quarters or (lumpy and quarter % problem.every):
                continue
            ahead = max(YEAR, site.lead + (problem.every - 1 if lumpy else 0))
            last = min(ahead, problem.tree.quarters - 1 - quarter)
            there = walk.installed(nodes, last)
            left = self.left(there, self.expected(nodes, last))
            chips, _ = cover(_throughput(problem), left, costs, np.where(self.bought[:, None], np.inf, 0.0))
            ordered = walk.power(nodes, last)
            needed = _power(problem) @ (there + chips) - ordered.sum(axis=0) - found.sum(axis=0)
            most = mean_by_quarter(problem.tree, np.minimum(site.available, FAR))[quarter + last] - ordered[index]
            if lumpy:
                needed, most = (np.ceil(needed / site.module - 1e-9) * site.module, np.floor(most / site.module + 1e-9) * site.module)
            found[index] = np.clip(needed, 0.0, np.maximum(most, 0.0))
        return found

    def _rents(self, nodes: Nodes) -> Array:
        """What one chip costs a quarter, (O, n), rented."""
        return np.asarray(self._prices(nodes) + np.array([one.rent[nodes] * HOURS for one in self.problem.offers]), dtype=float)

    def _prices(self, nodes: Nodes) -> Array:
        """What one chip costs a quarter, (O, n), bought: the annuity of its price, upkeep and energy."""
        rate = quarterly_rate(self.problem)
        prices = np.array([one.unit_price[nodes] * annuity(1.0, rate, one.term) for one in self.problem.offers])
        return np.asarray(self._running_costs(nodes) + prices, dtype=float)

    def _running_costs(self, nodes: Nodes) -> Array:
        """Upkeep and energy of one chip a quarter, (O, n), at the site where energy is cheapest."""
        costs: Array = np.array([offer.upkeep[nodes] * HOURS for offer in self.problem.offers])
        for index, offer in enumerate(self.problem.offers):
            energy = [site.energy[nodes] * site.load * site.pue for site in self.problem.sites if site.id in offer.sites]
            if not offer.hosted and energy:
                costs[index] += np.min(energy, axis=0) * QUARTER * offer.power
        return costs


FAR = 1e30
"""In place of infinite power, whose mean would be infinite as well."""


def rule(problem: Problem, *, buys: bool) -> Rule:
    """The rule that rents what others host, and `buys` chips or does not."""
    return Rule(
        problem=problem,
        demand=mean_by_quarter(problem.tree, problem.demand),
        rented=np.array([not offer.owned and offer.hosted and offer.programme is None for offer in problem.offers]),
        bought=np.array([buys and offer.kind is ContractKind.PURCHASE and offer.programme is None for offer in problem.offers]),
    )


def cover(throughput: Array, demand: Array, costs: Array, caps: Array) -> tuple[Array, Array]:
    """Chips (O, n) that serve demand (M, n) cheapest first, as far as there are `caps` (O, n) of them, and the demand that is left, (M, n).

    `costs` (O, n) are by chip; offers are taken in order of their cost per query of all models that they serve (`throughput`, (O, M)),
    and each serves the same part of all of these.

    >>> chips, left = cover(np.array([[2.0], [1.0]]), np.array([[10.0]]), np.array([[3.0], [1.0]]), np.array([[9.0], [4.0]]))
    >>> chips[:, 0].tolist(), left.tolist()
    ([3.0, 4.0], [[0.0]])
    """
    served = throughput > 0
    inverse = np.where(served, 1 / np.where(served, throughput, 1.0), 0.0)
    work, queries = inverse @ demand, served @ demand
    prices = np.where(queries > 0, costs * work / np.where(queries > 0, queries, 1.0), np.inf)
    caps = np.broadcast_to(caps, costs.shape)
    chips, left, column = np.zeros(costs.shape), demand.copy(), np.arange(demand.shape[1])
    for offer in np.argsort(prices, axis=0, kind="stable"):
        needed = (inverse[offer].T * left).sum(axis=0)
        taken = np.minimum(caps[offer, column], needed)
        chips[offer, column] = taken
        part = np.divide(taken, needed, out=np.zeros_like(needed), where=needed > 0)
        left = left * np.where(served[offer].T, np.maximum(1 - part, 0.0), 1.0)
    return chips, left


def _throughput(problem: Problem) -> Array:
    return np.array([offer.throughput for offer in problem.offers])


def _power(problem: Problem) -> Array:
    """Rated power of a chip that stands at a site of the company, (O,)."""
    return np.array([0.0 if offer.hosted else offer.power for offer in problem.offers])


def _leads(problem: Problem) -> Nodes:
    return np.array([offer.lead for offer in problem.offers], dtype=np.int64)


def _cheapest_first(problem: Problem) -> list[int]:
    """Sites by what a watt costs a quarter in the mean: capital over its term, rent and energy."""

    def cost(index: int) -> Dimensionless:
        site = problem.sites[index]
        capital = float(np.mean(site.capex)) * annuity(1.0, quarterly_rate(problem), site.term or len(problem.quarters))
        return capital + float(np.mean(site.rent)) * HOURS + float(np.mean(site.energy)) * QUARTER * site.load * site.pue

    return sorted(range(len(problem.sites)), key=cost)
