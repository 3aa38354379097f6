"""What a plan does on one path through its futures: cohorts of chips, power, programmes and prepayments, walked quarter by quarter.

Everything is computed from the plan's decisions alone, with plain loops and none of the code that built or priced the program, and every
law of the problem is looked at on the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import ContractKind, Offer, Problem, Programme
from tapeout.sourcing.violations import Violations, largest
from tapeout.units import Unit, Usd

HOURS_PER_QUARTER = 365.25 * 24 / 4
SECONDS_PER_QUARTER = HOURS_PER_QUARTER * 3600
QUARTERS_PER_YEAR = 4
INITIAL = -1
"""The quarter of order of the chips that were there before the first."""
Count = Annotated[float, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """USD of each quarter by category, and the economic cost: capital spread as annuities over the quarters that it serves."""

    spend: dict[str, list[Usd]]
    economic: list[Usd]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """A programme as it goes on a path: quarters of its start and its stop, None for never, its spend, and when orders are open."""

    start: int | None
    stop: int | None
    spend: tuple[Usd, ...]
    opens: int
    closes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A plan along the future that ends in a leaf, with what has gone into the books and the laws so far."""

    plan: Plan
    fates: tuple[Fate, ...]
    books: Books
    violations: Violations

    @property
    def problem(self) -> Problem:
        """The problem on this path."""
        return self.plan.problem

    @property
    def quarters(self) -> int:
        """Number of quarters."""
        return len(self.plan.problem.quarters)

    def spread(self, amount: Usd, paid: int, service: int, term: int) -> None:
        """Book equal payments from quarter `service` on, `term` of them, worth `amount` when it is paid."""
        growth = (1 + self.problem.discount) ** 0.25
        weight = sum(growth**-age for age in range(term))
        for quarter in range(service, min(service + term, self.quarters)):
            self.books.economic[quarter] += amount * growth ** (service - paid) / weight

    def pay(self, category: str, quarter: int, amount: Usd) -> None:
        """Book what counts in the quarter in which it is paid."""
        self.books.spend[category][quarter] += amount
        self.books.economic[quarter] += amount


@dataclass(slots=True, kw_only=True)
class Cohort:
    """Chips of one order that are still there, which all leave in quarter `end`."""

    count: Count
    end: int
    rent: Annotated[float, Unit("USD/h")]
    price: Usd


def path_to(plan: Plan, leaf: int, violations: Violations) -> Path:
    """The path that ends in node `leaf`, its books still empty."""
    along = plan.along(leaf)
    quarters = len(along.problem.quarters)
    fates = tuple(_fate(plan, row, leaf, programme) for row, programme in enumerate(plan.problem.programmes))
    books = Books(spend={name: [0.0] * quarters for name in plan.spend}, economic=[0.0] * quarters)
    return Path(plan=along, fates=fates, books=books, violations=violations)


def _fate(plan: Plan, row: int, leaf: int, programme: Programme) -> Fate:
    nodes = plan.problem.tree.above[leaf, ::-1].tolist()
    case = programme.cases[int(plan.futures.case[row, leaf])]
    start = next((quarter for quarter, node in enumerate(nodes) if plan.starts[row, node] > 0.5), None)
    stop = next((quarter for quarter, node in enumerate(nodes) if plan.stops[row, node] > 0.5), None)
    closes = len(nodes) if stop is None else stop
    opens = len(nodes) if start is None or case.lead is None else start + case.lead
    spend = [amount for age, amount in enumerate(case.spend.tolist()) if start is not None and start + age < closes]
    return Fate(start=start, stop=stop, spend=tuple(spend), opens=opens, closes=closes)


def walk_offer(path: Path, index: int) -> None:
    """Walk the cohorts of an offer: what arrives, ends and runs, and what that costs."""
    plan, problem, offer, laws = path.plan, path.problem, path.problem.offers[index], path.violations
    orders, installed = plan.orders[index].tolist(), plan.installed[index].tolist()
    fleet, ended = plan.fleet[index].T.tolist(), plan.ended[index].T.tolist()
    rent, price, upkeep = offer.rent.tolist(), offer.unit_price.tolist(), offer.upkeep.tolist()
    size = max(largest(plan.installed[index]), largest(plan.orders[index]))
    names = [site.id for site in problem.sites]
    homes = [0] if offer.hosted else [names.index(site) + 1 for site in offer.sites]
    life = offer.term if offer.initial_term is None else offer.initial_term
    cohorts = {INITIAL: Cohort(count=offer.initial, end=life, rent=rent[0], price=price[0])} if offer.initial else {}
    for quarter in range(path.quarters):
        ordered = quarter - offer.lead
        if ordered >= 0 and orders[ordered] > 0:
            cohorts[ordered] = Cohort(count=orders[ordered], end=quarter + offer.term, rent=rent[ordered], price=price[ordered])
        cohorts = {key: cohort for key, cohort in cohorts.items() if cohort.end > quarter}
        for years, count in enumerate(ended[quarter], start=1):
            if count:
                _end_early(path, offer, cohorts, count, quarter, years * QUARTERS_PER_YEAR, size)
        there, running = sum(cohort.count for cohort in cohorts.values()), sum(fleet[quarter])
        laws.equal("installed", installed[quarter], there, size)
        (laws.at_most if offer.owned else laws.equal)("fleet", running, there, size)
        hourly = running * rent[quarter] if offer.kind is ContractKind.ON_DEMAND else sum(one.count * one.rent for one in cohorts.values())
        path.pay("rent", quarter, hourly * HOURS_PER_QUARTER)
        path.pay("upkeep", quarter, running * upkeep[quarter] * HOURS_PER_QUARTER)
        for place, count in enumerate(fleet[quarter]):
            if count and place not in homes:
                laws.at_most("place", count, 0.0, size)
            elif count and place:
                site = problem.sites[place - 1]
                drawn = count * offer.power * site.load * site.pue * SECONDS_PER_QUARTER
                path.pay("energy", quarter, drawn * float(site.energy[quarter]))
    for key, cohort in cohorts.items():
        left = (life if key == INITIAL else cohort.end) - path.quarters
        path.books.spend["residual"][-1] -= offer.residual * cohort.price * cohort.count * min(1.0, left / offer.term)
    _walk_orders(path, index, offer, orders, size)


def _end_early(path: Path, offer: Offer, cohorts: dict[int, Cohort], count: float, quarter: int, age: int, size: float) -> None:
    """Take `count` chips that are sold or given back after `age` quarters from their cohort, and book what that brings or costs."""
    cohort = cohorts.get(quarter - offer.lead - age) if quarter - offer.lead - age >= 0 else None
    path.violations.at_most("early end", count, cohort.count if cohort else 0.0, size)
    path.violations.at_most("end of a commitment", count if not offer.owned and offer.cancellation is None else 0.0, 0.0, size)
    if cohort is None:
        return
    left = cohort.end - quarter
    if offer.owned:
        path.pay("resale", quarter, -offer.residual * cohort.price * count * left / offer.term)
    else:
        path.pay("fees", quarter, (offer.cancellation or 0.0) * cohort.rent * HOURS_PER_QUARTER * left * count)
    cohort.count = max(0.0, cohort.count - count)


def _walk_orders(path: Path, index: int, offer: Offer, orders: list[float], size: float) -> None:
    """The laws of orders, and their price less the rebates of the tiers that have been reached."""
    problem, laws, quarters = path.problem, path.violations, path.quarters
    cheaper, price = path.plan.cheaper[index].T.tolist(), offer.unit_price.tolist()
    known, fates = [programme.id for programme in problem.programmes], path.fates
    for quarter, count in enumerate(orders):
        paid = count * price[quarter]
        factor = 1.0
        for tier, rebated in zip(offer.tiers, cheaper[quarter], strict=False):
            reached = sum(orders[: quarter - quarter % problem.every]) >= tier.volume * (1 - 1e-6)
            laws.at_most("tier", rebated, count if reached else 0.0, size)
            paid -= (factor - tier.factor) * price[quarter] * rebated
            factor = tier.factor
        path.books.spend["chips"][quarter] += paid
        if paid:
            path.spread(paid, quarter, quarter + offer.lead, offer.term)
        if not count:
            continue
        laws.at_most("allocation", count, float(offer.allocation[quarter]) + prepaid_chips(path, offer, quarter), size)
        laws.at_most("delivery within the horizon", count if quarter + offer.lead >= quarters else 0.0, 0.0, size)
        laws.at_most("least order", min(count, offer.minimum - count), 0.0, size)
        laws.at_most("quarter of decision", count if offer.minimum > 0 and quarter % problem.every else 0.0, 0.0, size)
        if offer.programme is not None:
            fate = fates[known.index(offer.programme)]
            laws.at_most("programme", 0.0 if fate.opens <= quarter < fate.closes else count, 0.0, size)


def prepaid_chips(path: Path, offer: Offer, quarter: int) -> float:
    """Chips that prepayments which have come into force add to the allocation of an offer."""
    found = 0.0
    for row, one in enumerate(path.problem.prepayments):
        if offer.id in one.offers and path.plan.prepaid[row, : max(0, quarter - one.lead + 1)].sum() > 0.5:
            found += one.chips
    return found


def walk_sites(path: Path) -> None:
    """Walk the power of each site: what is ordered, arrives and is drawn."""
    plan, problem, laws, quarters = path.plan, path.problem, path.violations, path.quarters
    for index, site in enumerate(problem.sites):
        orders, power = plan.site_orders[index].tolist(), plan.site_power[index].tolist()
        running = plan.fleet[:, index + 1].T.tolist()
        held, size = site.initial, max(largest(plan.site_power[index]), largest(plan.site_orders[index]))
        for quarter, bought in enumerate(orders):
            if site.module > 0 and bought:
                steps = bought / site.module
                laws.equal("whole modules", steps, float(round(steps)) if math.isfinite(steps) else 0.0, 1.0)
                laws.at_most("quarter of decision", bought if quarter % problem.every else 0.0, 0.0, size)
            held += orders[quarter - site.lead] if quarter >= site.lead else 0.0
            laws.equal("held power", power[quarter], held, size)
            laws.at_most("available power", held, float(site.available[quarter]), size)
            drawn = sum(count * offer.power for count, offer in zip(running[quarter], problem.offers, strict=True))
            laws.at_most("site power", drawn, held, size)
            capex, rent = bought * float(site.capex[quarter]), held * float(site.rent[quarter]) * HOURS_PER_QUARTER
            path.pay("sites", quarter, rent)
            path.books.spend["sites"][quarter] += capex
            service = quarter + site.lead
            if site.term:
                left = min(1.0, max(0.0, (service + site.term - quarters) / site.term))
                path.books.spend["residual"][-1] -= site.residual * capex * left
            if capex:
                path.spread(capex, quarter, service, site.term or max(1, quarters - service))


def walk_programmes(path: Path, programmes: tuple[Programme, ...]) -> None:
    """The laws and the spend of the programmes, as `programmes` were planned and as they go on this path."""
    plan, problem, laws, quarters = path.plan, path.problem, path.violations, path.quarters
    for row, (programme, fate) in enumerate(zip(programmes, path.fates, strict=True)):
        starts, stops = plan.starts[row].tolist(), plan.stops[row].tolist()
        laws.at_most("one start", sum(starts), 1.0, 1.0)
        laws.at_most("one stop", sum(stops), 1.0, 1.0)
        for quarter, (begun, ended) in enumerate(zip(starts, stops, strict=True)):
            for law, value in (("whole starts", begun), ("whole stops", ended)):
                laws.at_most(law, min(abs(value), abs(value - 1)), 0.0, 1.0)
            inside = programme.first_start <= quarter <= programme.last_start and quarter % problem.every == 0
            laws.at_most("start window", 0.0 if inside else begun, 0.0, 1.0)
            laws.at_most("gate", 0.0 if fate.start is not None and quarter - fate.start in programme.gates else ended, 0.0, 1.0)
        if fate.start is None:
            continue
        leads = [offer.lead for offer in problem.offers if offer.programme == programme.id]
        service = fate.opens + min(leads, default=0) if fate.opens < fate.closes else quarters
        for quarter, amount in enumerate(fate.spend, start=fate.start):
            path.books.spend["programme"][quarter] += amount
            serves = service < quarters
            path.spread(amount, quarter, service if serves else quarter, quarters - service if serves else 1)


def walk_prepayments(path: Path) -> None:
    """The laws of the prepayments, their price, and the fee for what is not taken of them."""
    plan, problem, laws, quarters = path.plan, path.problem, path.violations, path.quarters
    for row, one in enumerate(problem.prepayments):
        made, short = plan.prepaid[row].tolist(), plan.short[row].tolist()
        laws.at_most("one prepayment", sum(made), 1.0, 1.0)
        offers = [index for index, offer in enumerate(problem.offers) if offer.id in one.offers]
        size = max(one.offtake, largest(plan.short[row]))
        for quarter, (bought, missing) in enumerate(zip(made, short, strict=True)):
            laws.at_most("whole prepayments", min(abs(bought), abs(bought - 1)), 0.0, 1.0)
            inside = one.first <= quarter <= one.last and quarter % problem.every == 0
            laws.at_most("prepayment window", 0.0 if inside else bought, 0.0, 1.0)
            taken = sum(float(plan.orders[index, quarter]) for index in offers)
            in_force = sum(made[: max(0, quarter - one.lead + 1)]) > 0.5
            laws.at_most("offtake", one.offtake - taken if in_force else 0.0, missing, size)
            paid = bought * float(one.price[quarter]) + missing * one.shortfall
            path.books.spend["prepayment"][quarter] += paid
            if paid:
                path.spread(paid, quarter, quarter, quarters - quarter)
