"""The accounts of a plan: what its decisions cost by category at each node, and, on one path, cost per query, supplier shares, fleet."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from tapeout.sourcing.finance import (
    HOURS,
    SharesByQuarter,
    annuity,
    discount_factors,
    lifetime,
    penalty_rates,
    quarterly_rate,
    residual_value,
    share_weights,
    site_residual,
)
from tapeout.sourcing.futures import Futures
from tapeout.sourcing.money import end_payments, past
from tapeout.sourcing.plan import CASH, NOT_CASH, Plan
from tapeout.sourcing.problem import Array, ContractKind, Offer, Problem, UsdByNode
from tapeout.sourcing.variables import ages
from tapeout.units import QUARTER, Dimensionless, Unit, UsdPerQuery

QueriesByQuarter = Annotated[Array, Unit("query")]
UsdByQuarter = Annotated[Array, Unit("USD")]


def spend_by_category(futures: Futures, decisions: dict[str, Array]) -> dict[str, UsdByNode]:
    """Undiscounted USD of each node by category, from the decisions of a plan (named and shaped as in `Plan`)."""
    problem = futures.problem
    size, last = problem.tree.size, problem.tree.leaves
    orders, fleet, ended = decisions["orders"], decisions["fleet"], decisions["ended"]
    spend = {name: np.zeros(size) for name in (*CASH, *NOT_CASH)}
    for index, offer in enumerate(problem.offers):
        spend["rent"] += rent_paid(problem, offer, orders[index], fleet[index].sum(axis=0), ended[index])
        spend["chips"] += offer.unit_price * orders[index]
        before = 1.0
        for place, tier in enumerate(offer.tiers):
            spend["chips"] -= (before - tier.factor) * offer.unit_price * decisions["cheaper"][index, place]
            before = tier.factor
        spend["upkeep"] += offer.upkeep * HOURS * fleet[index].sum(axis=0)
        worth = residual_value(problem, offer)
        kept = worth * orders[index]
        for place, age in enumerate(ages(problem)):
            paid = end_payments(problem, index, age) * ended[index, place]
            spend["resale" if offer.owned else "fees"] += paid
            kept -= past(problem, worth, offer.lead + age) * ended[index, place]
        initial = offer.residual * offer.unit_price[0] * offer.initial * max(0, lifetime(offer) - problem.tree.quarters) / offer.term
        spend["residual"][last] -= along_path(problem, kept)[last] + initial
        for place, site in enumerate(problem.sites, start=1):
            spend["energy"] += site.energy * QUARTER * site.load * site.pue * offer.power * fleet[index, place]
    for index, site in enumerate(problem.sites):
        ordered = decisions["site_orders"][index]
        spend["sites"] += site.capex * ordered + site.rent * HOURS * decisions["site_power"][index]
        spend["residual"][last] -= along_path(problem, site_residual(problem, index) * ordered)[last]
    spend["programme"] += programme_spend(futures, decisions["starts"], decisions["stops"])
    for index, one in enumerate(problem.prepayments):
        spend["prepayment"] += one.price * decisions["prepaid"][index] + one.shortfall * decisions["short"][index]
    if problem.debt is not None:
        spend["interest"] += ((1 + problem.debt.interest) ** 0.25 - 1) * past(problem, decisions["debt"], 1)
    rates = penalty_rates(problem)
    unmet = decisions["unmet"]
    spend["penalty"] += np.multiply(rates, unmet, out=np.zeros_like(unmet), where=unmet > 0).sum(axis=0)
    return spend


def along_path(problem: Problem, values: Array) -> Array:
    """The sum of values by node over the node and all its ancestors."""
    tree = problem.tree
    known = tree.above >= 0
    return np.asarray(np.where(known, values[np.maximum(tree.above, 0)], 0.0).sum(axis=1), dtype=float)


def rent_paid(problem: Problem, offer: Offer, ordered: Array, running: Array, ended: Array) -> UsdByNode:
    """Rent of each node: on demand at its own price for the chips in service, else at each order's price until its end."""
    if offer.kind is ContractKind.ON_DEMAND:
        return np.asarray(offer.rent * HOURS * running, dtype=float)
    time = problem.tree.quarter
    paid = np.where(time < lifetime(offer), offer.rent[0] * HOURS * offer.initial, 0.0)
    for lag in range(offer.lead, min(offer.lead + offer.term, problem.tree.quarters)):
        paid = paid + past(problem, offer.rent * HOURS * ordered, lag)
    for place, age in enumerate(ages(problem)):
        for after in range(max(0, offer.term - age)):
            paid = paid - past(problem, past(problem, offer.rent * HOURS, offer.lead + age) * ended[place], after)
    return np.asarray(paid, dtype=float)


def programme_spend(futures: Futures, starts: Array, stops: Array) -> UsdByNode:
    """Spend of all programmes by node, by their outcomes and ages, until they are stopped."""
    problem = futures.problem
    total = np.zeros(problem.tree.size)
    for index, programme in enumerate(problem.programmes):
        longest = max(len(case.spend) for case in programme.cases)
        table = np.array([np.pad(case.spend, (0, longest - len(case.spend))) for case in programme.cases])
        stopped = along_path(problem, stops[index]) > 0.5
        for age in range(longest):
            total += np.where(stopped, 0.0, table[futures.case[index], age] * past(problem, starts[index], age))
    return total


def cash_by_node(plan: Plan) -> UsdByNode:
    """Cash of each node, which the budget and the debt cap: all categories but penalty and residual."""
    return np.asarray(np.sum([plan.spend[name] for name in CASH], axis=0), dtype=float)


def delivered_queries(plan: Plan) -> QueriesByQuarter:
    """Queries delivered at each node, all models together."""
    demand = plan.problem.demand
    met = np.divide(demand - plan.unmet, demand, out=np.zeros_like(demand), where=demand > 0)
    return np.asarray((met * plan.problem.volume).sum(axis=0), dtype=float)


def unmet_share(plan: Plan) -> Dimensionless:
    """Expected queries not served over all expected queries of the plan."""
    volume = plan.problem.volume.sum(axis=0) @ plan.problem.tree.probability
    served = delivered_queries(plan) @ plan.problem.tree.probability
    return 1 - float(served) / float(volume) if volume else 0.0


def economic_cost_by_quarter(plan: Plan) -> UsdByQuarter:
    """What serving costs in each quarter of a plan on one path when capital is spread over the quarters that it serves, as annuities.

    Rent, upkeep, energy, fees, interest and site rent count as they are paid, and what is sold as it is received. A chip's price is spread
    over its term from delivery, with interest from the order, whether or not it runs; site capex over the site's term (the rest of the
    horizon where it has none); a programme's spend over the quarters in which its chips can serve, or as it is paid if none can; a
    prepayment over the rest of the horizon. Chips and power that the company had before the first quarter cost no capital. Neither
    penalty nor residual is in it.
    """
    problem, rate, quarters = plan.problem, quarterly_rate(plan.problem), len(plan.problem.quarters)
    cost: Array = np.sum([plan.spend[name] for name in ("rent", "upkeep", "energy", "fees", "interest", "resale")], axis=0)
    for index, (offer, ordered) in enumerate(zip(problem.offers, plan.orders, strict=True)):
        price = offer.unit_price * ordered
        before = 1.0
        for place, tier in enumerate(offer.tiers):
            price = price - (before - tier.factor) * offer.unit_price * plan.cheaper[index, place]
            before = tier.factor
        for quarter in np.flatnonzero(ordered).tolist():
            _spread(cost, price[quarter], rate, quarter, quarter + offer.lead, offer.term)
    for site, ordered, held in zip(problem.sites, plan.site_orders, plan.site_power, strict=True):
        cost += site.rent * HOURS * held
        for quarter in np.flatnonzero(ordered).tolist():
            delivery = quarter + site.lead
            _spread(cost, site.capex[quarter] * ordered[quarter], rate, quarter, delivery, site.term or max(1, quarters - delivery))
    for programme, started in zip(problem.programmes, plan.starts, strict=True):
        for start in np.flatnonzero(started > 0.5).tolist():
            leads = [offer.lead for offer in problem.offers if offer.programme == programme.id]
            service = start + programme.lead + min(leads, default=0)
            for paid, amount in enumerate(programme.spend[: quarters - start], start=start):
                _spread(cost, amount, rate, paid, service if service < quarters else paid, quarters - service if service < quarters else 1)
    for quarter in np.flatnonzero(plan.spend["prepayment"]).tolist():
        _spread(cost, plan.spend["prepayment"][quarter], rate, quarter, quarter, quarters - quarter)
    return cost


def _spread(cost: Array, amount: float, rate: float, paid: int, service: int, term: int) -> None:
    cost[service : service + term] += annuity(amount * (1 + rate) ** (service - paid), rate, term)


def expected_costs(plan: Plan) -> tuple[UsdByQuarter, QueriesByQuarter]:
    """Expected economic cost, and expected queries delivered, of each quarter."""
    tree = plan.problem.tree
    cost = sum(
        (float(tree.probability[leaf]) * economic_cost_by_quarter(plan.along(leaf)) for leaf in tree.leaves.tolist()),
        start=np.zeros(tree.quarters),
    )
    return cost, plan.expected(delivered_queries(plan))


def cost_per_query_by_quarter(plan: Plan) -> Annotated[Array, Unit("USD/query")]:
    """Expected economic cost of each quarter per query expected to be delivered in it; NaN where none is delivered."""
    cost, queries = expected_costs(plan)
    return np.divide(cost, queries, out=np.full_like(queries, np.nan), where=queries > 0)


def levelised_cost_per_query(plan: Plan) -> UsdPerQuery:
    """Discounted expected economic cost over discounted queries delivered; NaN where none is delivered."""
    factors = discount_factors(plan.problem)
    cost, queries = expected_costs(plan)
    delivered = float(factors @ queries)
    return float(factors @ cost) / delivered if delivered > 0 else float("nan")


def supplier_shares(plan: Plan) -> dict[str, SharesByQuarter]:
    """Each supplier's share of the queries delivered at each node, weighted as in `largest_share`; 0 where none is delivered."""
    weighted = np.einsum("omq,mq->oq", plan.served, share_weights(plan.problem))
    total = weighted.sum(axis=0)
    shares: dict[str, Array] = {}
    for offer, part in zip(plan.problem.offers, weighted, strict=True):
        shares[offer.supplier] = shares.get(offer.supplier, np.zeros_like(total)) + np.divide(
            part, total, out=np.zeros_like(total), where=total > 0
        )
    return shares


def fleet_by_chip(plan: Plan) -> dict[str, SharesByQuarter]:
    """Chips that run at each node by chip id, over all offers and places."""
    fleets: dict[str, Array] = {}
    for offer, running in zip(plan.problem.offers, plan.fleet.sum(axis=1), strict=True):
        fleets[offer.chip] = fleets.get(offer.chip, np.zeros_like(running)) + running
    return fleets
