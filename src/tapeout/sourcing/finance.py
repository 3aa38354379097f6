"""Money of a plan by quarter: spend by category, discounting, cost per query, supplier shares, fleet by chip."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from tapeout.sourcing.problem import Array, ContractKind, Offer, Plan, Problem, UsdByQuarter
from tapeout.units import HOUR, QUARTER, Dimensionless, Unit, Usd, UsdPerQuery

HOURS = QUARTER / HOUR
CASH = ("rent", "chips", "upkeep", "sites", "energy", "programme")
QueriesByQuarter = Annotated[Array, Unit("query")]
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


def residual_value(offer: Offer, quarters: int) -> UsdByQuarter:
    """What one chip ordered in each quarter is worth after the last one: residual x price x unexpired share of its term."""
    left = np.arange(quarters) + offer.lead + offer.term - quarters
    return offer.residual * offer.unit_price * np.clip(left / offer.term, 0, 1)


def penalty_rates(problem: Problem) -> Array:
    """Penalty of each quarter in USD per query/s of unmet demand, (models, quarters); infinite where unmet demand is forbidden."""
    queries = np.divide(problem.volume, problem.demand, out=np.zeros_like(problem.demand), where=problem.demand > 0)
    return np.where(np.isinf(problem.unmet_penalty)[:, None], np.inf, np.nan_to_num(problem.unmet_penalty, posinf=0.0)[:, None] * queries)


def share_weights(problem: Problem) -> Array:
    """What one query/s of each model counts in supplier shares, (models, quarters): its queries in the quarter x their weight."""
    queries = np.divide(problem.volume, problem.demand, out=np.zeros_like(problem.demand), where=problem.demand > 0)
    return queries if problem.share_weights is None else queries * problem.share_weights[:, None]


def spend_by_category(
    problem: Problem, *, orders: Array, fleet: Array, unmet: Array, site_orders: Array, site_power: Array, starts: Array
) -> dict[str, UsdByQuarter]:
    """Undiscounted USD of each quarter by category, from the decisions of a plan (arrays as in `Plan`)."""
    quarters = len(problem.quarters)
    spend = {name: np.zeros(quarters) for name in (*CASH, "penalty", "residual")}
    for index, offer in enumerate(problem.offers):
        ordered, running = orders[index].sum(axis=0), fleet[index].sum(axis=0)
        spend["rent"] += rent_paid(offer, ordered, running)
        spend["chips"] += offer.unit_price * ordered
        spend["upkeep"] += offer.upkeep * HOURS * running
        first = residual_value(offer, quarters)
        initial = offer.residual * offer.unit_price[0] * max(0, lifetime(offer) - quarters) / offer.term
        spend["residual"][-1] -= float(first @ ordered) + initial * offer.initial
        for place, site in enumerate(problem.sites, start=1):
            spend["energy"] += site.energy * QUARTER * site.load * site.pue * offer.power * fleet[index, place]
    for index, site in enumerate(problem.sites):
        spend["sites"] += site.capex * site_orders[index] + site.rent * HOURS * site_power[index]
        spend["residual"][-1] -= float(site_residual(problem, index) @ site_orders[index])
    for index, programme in enumerate(problem.programmes):
        spend["programme"] += np.convolve(starts[index], programme.spend)[:quarters] if programme.spend.size else 0.0
    rates = penalty_rates(problem)
    spend["penalty"] += np.multiply(rates, unmet, out=np.zeros_like(unmet), where=unmet > 0).sum(axis=0)
    return spend


def rent_paid(offer: Offer, ordered: Array, running: Array) -> UsdByQuarter:
    """Rent of each quarter: on demand at its own price for the chips in service, else at each order's price for its whole term."""
    if offer.kind is ContractKind.ON_DEMAND:
        return offer.rent * HOURS * running
    paid = np.zeros_like(ordered)
    paid[: lifetime(offer)] += offer.rent[0] * HOURS * offer.initial
    for quarter in np.flatnonzero(ordered).tolist():
        paid[quarter + offer.lead : quarter + offer.lead + offer.term] += offer.rent[quarter] * HOURS * ordered[quarter]
    return paid


def site_residual(problem: Problem, index: int) -> Array:
    """What one watt of a site ordered in each quarter is worth after the last one, in USD/W."""
    site, quarters = problem.sites[index], len(problem.quarters)
    if site.term == 0:
        return np.zeros(quarters)
    left = np.arange(quarters) + site.lead + site.term - quarters
    return site.residual * site.capex * np.clip(left / site.term, 0, 1)


def discounted_cost(problem: Problem, spend: dict[str, UsdByQuarter]) -> Usd:
    """Present value of the spend of all categories."""
    return float(discount_factors(problem) @ np.sum(list(spend.values()), axis=0))


def cash_by_quarter(plan: Plan) -> UsdByQuarter:
    """Cash of each quarter, which the budget caps: all categories but penalty and residual."""
    return np.asarray(np.sum([plan.spend[name] for name in CASH], axis=0), dtype=float)


def delivered_queries_by_quarter(plan: Plan) -> QueriesByQuarter:
    """Queries delivered in each quarter, all models together."""
    demand = plan.problem.demand
    met = np.divide(demand - plan.unmet, demand, out=np.zeros_like(demand), where=demand > 0)
    return np.asarray((met * plan.problem.volume).sum(axis=0), dtype=float)


def unmet_share(plan: Plan) -> Dimensionless:
    """Queries not served over all queries of the plan."""
    demand, volume = plan.problem.demand, plan.problem.volume
    share = np.divide(plan.unmet, demand, out=np.zeros_like(demand), where=demand > 0)
    total = float(volume.sum())
    return float((share * volume).sum()) / total if total else 0.0


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


def economic_cost_by_quarter(plan: Plan) -> UsdByQuarter:
    """What serving costs in each quarter when capital is spread over the quarters that it serves, as annuities at the discount rate.

    Rent, upkeep, energy and site rent count as they are paid. A chip's price is spread over its term from delivery, with interest
    from the order, whether or not it is retired early; site capex over the site's term (the rest of the horizon where it has
    none); a programme's spend over the quarters in which its chips can serve, or as it is paid if none can. Chips and power that
    the company had before the first quarter cost no capital. Neither penalty nor residual is in it.
    """
    problem, rate, quarters = plan.problem, quarterly_rate(plan.problem), len(plan.problem.quarters)
    cost = plan.spend["rent"] + plan.spend["upkeep"] + plan.spend["energy"]
    for offer, ordered in zip(problem.offers, plan.orders.sum(axis=1), strict=True):
        for quarter in np.flatnonzero(ordered).tolist():
            _spread(cost, offer.unit_price[quarter] * ordered[quarter], rate, quarter, quarter + offer.lead, offer.term)
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
    return cost


def _spread(cost: Array, amount: float, rate: float, paid: int, service: int, term: int) -> None:
    cost[service : service + term] += annuity(amount * (1 + rate) ** (service - paid), rate, term)


def cost_per_query_by_quarter(plan: Plan) -> Annotated[Array, Unit("USD/query")]:
    """Economic cost of each quarter per query delivered in it; NaN where none is delivered."""
    queries = delivered_queries_by_quarter(plan)
    return np.divide(economic_cost_by_quarter(plan), queries, out=np.full_like(queries, np.nan), where=queries > 0)


def levelised_cost_per_query(plan: Plan) -> UsdPerQuery:
    """Discounted economic cost over discounted queries delivered; NaN where none is delivered."""
    factors = discount_factors(plan.problem)
    queries = float(factors @ delivered_queries_by_quarter(plan))
    return float(factors @ economic_cost_by_quarter(plan)) / queries if queries > 0 else float("nan")


def supplier_share_by_quarter(plan: Plan) -> dict[str, SharesByQuarter]:
    """Each supplier's share of the queries delivered in each quarter, weighted as in `largest_share`; 0 where none is delivered."""
    weighted = np.einsum("omq,mq->oq", plan.served, share_weights(plan.problem))
    total = weighted.sum(axis=0)
    shares: dict[str, Array] = {}
    for offer, part in zip(plan.problem.offers, weighted, strict=True):
        shares[offer.supplier] = shares.get(offer.supplier, np.zeros_like(total)) + np.divide(
            part, total, out=np.zeros_like(total), where=total > 0
        )
    return shares


def fleet_by_chip(plan: Plan) -> dict[str, SharesByQuarter]:
    """Chips in service in each quarter by chip id, over all offers and places."""
    fleets: dict[str, Array] = {}
    for offer, running in zip(plan.problem.offers, plan.fleet.sum(axis=1), strict=True):
        fleets[offer.chip] = fleets.get(offer.chip, np.zeros_like(running)) + running
    return fleets
