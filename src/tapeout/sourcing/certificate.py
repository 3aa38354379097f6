"""An independent check of a plan: a ledger of cohorts, walked quarter by quarter, that shares no code with the program.

Every law of the problem is evaluated from the plan's decisions alone, with plain loops. A violation is relative: by how much
a side is passed, over the larger side (or a thousandth of the plan's largest amount of that kind, where both sides are smaller).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from tapeout.errors import LimitNotMetError
from tapeout.sourcing.problem import Array, ContractKind, Offer, Plan
from tapeout.units import Dimensionless, Unit, Usd

TOLERANCE = 1e-6
HOURS_PER_QUARTER = 365.25 * 24 / 4
SECONDS_PER_QUARTER = HOURS_PER_QUARTER * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What the ledger found: the largest relative violation of each law, the cost it computes, and how far the plan's is from it.

    `cost_per_query` is the economic cost of each quarter per query delivered, NaN where none is.
    """

    violations: dict[str, Dimensionless]
    cost: Usd
    disagreement: Dimensionless
    cost_per_query: Annotated[Array, Unit("USD/query")]

    def check(self, tolerance: Dimensionless = TOLERANCE) -> None:
        """Raise LimitNotMetError, naming the laws, if any is broken by more than the tolerance or the cost disagrees by more."""
        broken = {name: size for name, size in (self.violations | {"cost": self.disagreement}).items() if not size <= tolerance}
        if broken:
            laws = ", ".join(f"{name} by {size:.2g}" for name, size in sorted(broken.items(), key=lambda item: -item[1]))
            raise LimitNotMetError(f"the plan fails its certificate: {laws} (relative; allowed {tolerance:g})")


@dataclass(slots=True, kw_only=True)
class _Cohort:
    """Chips of one order that are still in service: they leave by quarter `end`."""

    count: Annotated[float, Unit("1")]
    end: int
    rent: Annotated[float, Unit("USD/h")]


@dataclass(slots=True)
class _Violations:
    """The largest relative violation of each law so far."""

    worst: dict[str, Dimensionless] = field(default_factory=dict)

    def at_most(self, law: str, left: float, right: float, scale: float) -> None:
        excess = left - right if left > right else 0.0
        if math.isnan(left) or math.isnan(right):
            excess = math.inf
        size = excess / max(abs(right), abs(left), 1e-3 * scale) if excess else 0.0
        self.worst[law] = max(self.worst.get(law, 0.0), math.inf if math.isnan(size) else size)

    def equal(self, law: str, left: float, right: float, scale: float) -> None:
        self.at_most(law, left, right, scale)
        self.at_most(law, right, left, scale)


@dataclass(slots=True)
class _Books:
    """Cash of each quarter by category, and the economic cost, as the ledger books them."""

    cash: dict[str, list[Usd]]
    economic: list[Usd]


def certify(plan: Plan) -> Certificate:
    """Walk the plan's ledger and report every law of the problem."""
    problem, quarters = plan.problem, len(plan.problem.quarters)
    categories = ("rent", "chips", "upkeep", "sites", "energy", "programme", "penalty", "residual")
    books = _Books({name: [0.0] * quarters for name in categories}, [0.0] * quarters)
    violations = _Violations()
    _signs(plan, violations)
    for index, offer in enumerate(problem.offers):
        _walk_offer(plan, index, offer, books, violations)
    _walk_sites(plan, books, violations)
    _walk_programmes(plan, books, violations)
    queries = _walk_demand(plan, books, violations)
    _money(plan, books, violations)
    cost = sum(
        sum(row[quarter] for row in books.cash.values()) * (1 + problem.discount) ** (-(quarter + 0.5) / 4) for quarter in range(quarters)
    )
    size = max(abs(cost), abs(plan.cost))
    return Certificate(
        violations=violations.worst,
        cost=cost,
        disagreement=abs(cost - plan.cost) / size if size else 0.0,
        cost_per_query=np.array([spent / asked if asked > 0 else math.nan for spent, asked in zip(books.economic, queries, strict=True)]),
    )


def _signs(plan: Plan, violations: _Violations) -> None:
    arrays = {
        "orders": plan.orders, "fleet": plan.fleet, "retired": plan.retired, "served": plan.served, "unmet": plan.unmet,
        "site orders": plan.site_orders, "site power": plan.site_power, "starts": plan.starts,
    }  # fmt: skip
    for name, values in arrays.items():
        scale = _largest(values)
        for value in values.ravel().tolist():
            violations.at_most(f"{name} not negative", -value, 0.0, scale)


def _largest(values: Array) -> float:
    return max((abs(value) for value in values.ravel().tolist() if math.isfinite(value)), default=0.0) or 1.0


def _spread(books: _Books, plan: Plan, amount: float, paid: int, service: int, term: int) -> None:
    """Equal payments from `service` on, `term` of them, worth `amount` when it is paid."""
    growth = (1 + plan.problem.discount) ** 0.25
    weight = sum(growth**-age for age in range(term))
    for quarter in range(service, min(service + term, len(books.economic))):
        books.economic[quarter] += amount * growth ** (service - paid) / weight


def _walk_offer(plan: Plan, index: int, offer: Offer, books: _Books, violations: _Violations) -> None:
    problem, quarters = plan.problem, len(plan.problem.quarters)
    chips = max(_largest(plan.fleet[index]), _largest(plan.orders[index]))
    names = [site.id for site in problem.sites]
    homes = [0] if offer.hosted else [names.index(site) + 1 for site in offer.sites]
    for place in range(len(names) + 1):
        cohorts: list[_Cohort] = []
        for quarter in range(quarters):
            if quarter == 0 and place == homes[0] and offer.initial:
                cohorts.append(_Cohort(count=offer.initial, end=offer.initial_term or offer.term, rent=float(offer.rent[0])))
            ordered = quarter - offer.lead
            if ordered >= 0 and plan.orders[index, place, ordered]:
                cohorts.append(
                    _Cohort(count=float(plan.orders[index, place, ordered]), end=quarter + offer.term, rent=float(offer.rent[ordered]))
                )
            _retire(float(plan.retired[index, place, quarter]), quarter, offer, cohorts, chips, violations)
            running = sum(cohort.count for cohort in cohorts)
            violations.equal("fleet", float(plan.fleet[index, place, quarter]), running, chips)
            rent = (
                running * float(offer.rent[quarter])
                if offer.kind is ContractKind.ON_DEMAND
                else sum(cohort.count * cohort.rent for cohort in cohorts)
            )
            _book_service(plan, index, offer, place, quarter, running, rent * HOURS_PER_QUARTER, books)
            if place not in homes:
                violations.at_most("place", float(plan.orders[index, place, quarter]), 0.0, chips)
    worth = offer.residual * float(offer.unit_price[0]) * offer.initial
    books.cash["residual"][-1] -= worth * max(0, (offer.initial_term or offer.term) - quarters) / offer.term
    for quarter in range(quarters):
        ordered_chips = sum(float(plan.orders[index, place, quarter]) for place in range(len(names) + 1))
        violations.at_most("allocation", ordered_chips, float(offer.allocation[quarter]), chips)
        violations.at_most("delivery within the horizon", ordered_chips if quarter + offer.lead >= quarters else 0.0, 0.0, chips)
        if offer.programme is not None:
            _gate(plan, offer, quarter, ordered_chips, chips, violations)
        paid = ordered_chips * float(offer.unit_price[quarter])
        books.cash["chips"][quarter] += paid
        age = quarters - quarter - offer.lead
        books.cash["residual"][-1] -= offer.residual * paid * min(1.0, max(0.0, (offer.term - age) / offer.term))
        if paid:
            _spread(books, plan, paid, quarter, quarter + offer.lead, offer.term)


def _retire(count: float, quarter: int, offer: Offer, cohorts: list[_Cohort], chips: float, violations: _Violations) -> None:
    """Take chips from the oldest cohorts; a contract's leave exactly at their end, an owned chip by its end."""
    due = sum(cohort.count for cohort in cohorts if cohort.end <= quarter)
    if offer.owned:
        violations.at_most("term", due, count, chips)
    else:
        violations.equal("term", count, due, chips)
    violations.at_most("retirement", count, sum(cohort.count for cohort in cohorts), chips)
    while count > 0 and cohorts:
        taken = min(count, cohorts[0].count)
        cohorts[0].count -= taken
        count -= taken
        if cohorts[0].count > 0:
            break
        cohorts.pop(0)


def _book_service(plan: Plan, index: int, offer: Offer, place: int, quarter: int, running: float, rent: float, books: _Books) -> None:
    upkeep = running * float(offer.upkeep[quarter]) * HOURS_PER_QUARTER
    energy = 0.0
    if place > 0:
        site = plan.problem.sites[place - 1]
        energy = running * offer.power * site.load * site.pue * SECONDS_PER_QUARTER * float(site.energy[quarter])
    for name, amount in (("rent", rent), ("upkeep", upkeep), ("energy", energy)):
        books.cash[name][quarter] += amount
        books.economic[quarter] += amount


def _gate(plan: Plan, offer: Offer, quarter: int, ordered: float, chips: float, violations: _Violations) -> None:
    for index, programme in enumerate(plan.problem.programmes):
        if programme.id == offer.programme:
            open_now = any(plan.starts[index, start] > 0.5 for start in range(quarter - programme.lead + 1))
            violations.at_most("programme", ordered, ordered if open_now else 0.0, chips)


def _walk_sites(plan: Plan, books: _Books, violations: _Violations) -> None:
    problem, quarters = plan.problem, len(plan.problem.quarters)
    for index, site in enumerate(problem.sites):
        held, watts = site.initial, max(_largest(plan.site_power[index]), _largest(plan.site_orders[index]))
        for quarter in range(quarters):
            bought = float(plan.site_orders[index, quarter])
            if site.module > 0:
                steps = bought / site.module
                violations.equal("whole modules", steps, float(round(steps)) if math.isfinite(steps) else 0.0, 1.0)
            if quarter >= site.lead:
                held += float(plan.site_orders[index, quarter - site.lead])
            violations.equal("held power", float(plan.site_power[index, quarter]), held, watts)
            violations.at_most("available power", held, float(site.available[quarter]), watts)
            drawn = sum(float(plan.fleet[row, index + 1, quarter]) * offer.power for row, offer in enumerate(problem.offers))
            violations.at_most("site power", drawn, held, watts)
            capex, rent = bought * float(site.capex[quarter]), held * float(site.rent[quarter]) * HOURS_PER_QUARTER
            books.cash["sites"][quarter] += capex + rent
            books.economic[quarter] += rent
            service = quarter + site.lead
            if site.term:
                books.cash["residual"][-1] -= site.residual * capex * min(1.0, max(0.0, (service + site.term - quarters) / site.term))
            if capex:
                _spread(books, plan, capex, quarter, service, site.term or max(1, quarters - service))


def _walk_programmes(plan: Plan, books: _Books, violations: _Violations) -> None:
    problem, quarters = plan.problem, len(plan.problem.quarters)
    for index, programme in enumerate(problem.programmes):
        violations.at_most("one start", sum(plan.starts[index].tolist()), 1.0, 1.0)
        for start in range(quarters):
            begun = float(plan.starts[index, start])
            violations.at_most("whole starts", min(abs(begun), abs(begun - 1)), 0.0, 1.0)
            if not programme.first_start <= start <= programme.last_start:
                violations.at_most("start window", begun, 0.0, 1.0)
            if begun < 0.5:
                continue
            leads = [offer.lead for offer in problem.offers if offer.programme == programme.id]
            service = start + programme.lead + (min(leads) if leads else 0)
            for age, amount in enumerate(programme.spend.tolist()):
                if start + age < quarters:
                    books.cash["programme"][start + age] += amount
                    serves = service < quarters
                    _spread(books, plan, amount, start + age, service if serves else start + age, quarters - service if serves else 1)


def _walk_demand(plan: Plan, books: _Books, violations: _Violations) -> list[float]:
    """Check service, demand and shares, book the penalty; the queries delivered in each quarter."""
    problem = plan.problem
    delivered = []
    for quarter in range(len(problem.quarters)):
        queries, by_supplier = 0.0, dict[str, float]()
        for row, offer in enumerate(problem.offers):
            busy = 0.0
            for model in range(len(problem.models)):
                rate, throughput = float(plan.served[row, model, quarter]), float(offer.throughput[model])
                if throughput > 0:
                    busy += rate / throughput
                else:
                    violations.at_most("can serve", rate, 0.0, _largest(problem.demand))
            fleet = sum(plan.fleet[row, :, quarter].tolist())
            violations.at_most("service", busy, fleet, _largest(plan.fleet[row].sum(axis=0)))
        for model in range(len(problem.models)):
            wanted, missing = float(problem.demand[model, quarter]), float(plan.unmet[model, quarter])
            scale = _largest(problem.demand[model])
            violations.equal("demand", sum(plan.served[:, model, quarter].tolist()) + missing, wanted, scale)
            if wanted == 0:
                continue
            volume, penalty = float(problem.volume[model, quarter]), float(problem.unmet_penalty[model])
            if math.isinf(penalty):
                violations.at_most("no unmet demand", missing, 0.0, scale)
            elif missing > 0:
                books.cash["penalty"][quarter] += missing / wanted * volume * penalty
            queries += (1 - missing / wanted) * volume
            weight = volume / wanted * (float(problem.share_weights[model]) if problem.share_weights is not None else 1.0)
            for row, offer in enumerate(problem.offers):
                by_supplier[offer.supplier] = by_supplier.get(offer.supplier, 0.0) + weight * float(plan.served[row, model, quarter])
        total = sum(by_supplier.values())
        if quarter >= problem.share_from:
            for part in by_supplier.values():
                violations.at_most("largest share", part, problem.largest_share * total, total)
        delivered.append(queries)
    return delivered


def _money(plan: Plan, books: _Books, violations: _Violations) -> None:
    """The budget against the ledger's cash, and each category of the plan against the ledger's."""
    cash = [
        sum(row[quarter] for name, row in books.cash.items() if name not in ("penalty", "residual"))
        for quarter in range(len(plan.problem.quarters))
    ]
    scale = max(map(abs, cash), default=0.0) or 1.0
    for quarter, spent in enumerate(cash):
        violations.at_most("budget", spent, float(plan.problem.budget[quarter]), scale)
        for name, row in books.cash.items():
            violations.equal(f"{name} spend", float(plan.spend[name][quarter]), row[quarter], scale)
