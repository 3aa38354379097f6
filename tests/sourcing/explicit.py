"""The plan written another way: a copy of all decisions for each future, with rows that keep them from foreseeing.

Cohorts of orders stand in the place of balances, and an outcome can be told from another only by a row whose bound opens once the
programme has run for long enough. Solved by SciPy; for small problems with at most one programme.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from tapeout.sourcing.problem import ContractKind

HOURS = 365.25 * 24 / 4
MONEY = 1e4
MANY = 1e3
"""More chips or modules than any order has."""


class Rows:
    """Variables, rows and costs, one at a time."""

    def __init__(self):
        self.lower, self.upper, self.whole, self.rows, self.limits = [], [], [], [], []

    def variable(self, upper=np.inf, whole=False, lower=0.0):
        self.lower.append(lower)
        self.upper.append(upper)
        self.whole.append(whole)
        return len(self.lower) - 1

    def row(self, terms, lower=-np.inf, upper=np.inf):
        self.rows.append(dict(terms))
        self.limits.append((lower, upper))

    def least(self, cost):
        places = [(row, column, value) for row, terms in enumerate(self.rows) for column, value in terms.items()]
        row, column, value = zip(*places, strict=True)
        matrix = sparse.csr_array((value, (row, column)), shape=(len(self.rows), len(self.lower)))
        weights = np.zeros(len(self.lower))
        weights[list(cost)] = list(cost.values())
        low, high = zip(*self.limits, strict=True)
        found = milp(
            weights, integrality=np.array(self.whole, dtype=int), bounds=Bounds(self.lower, self.upper),
            constraints=LinearConstraint(matrix, low, high), options={"mip_rel_gap": 1e-9},
        )  # fmt: skip
        return found.fun if found.status == 0 else None


def total(*parts):
    """The sum of (expression, factor) pairs; an expression is a factor by variable."""
    found = defaultdict(float)
    for terms, factor in parts:
        for variable, value in terms.items():
            found[variable] += factor * value
    return found


class Future:
    """The copy of the decisions for one path of the world and one outcome of the programme."""

    def __init__(self, problem, rows, leaf, case):
        self.problem, self.rows, self.case = problem, rows, case
        self.nodes = problem.tree.above[leaf, ::-1].tolist()
        self.leaf, self.quarters = leaf, len(self.nodes)
        times = range(self.quarters)
        self.begin = [rows.variable(1.0, True) if self._may_start(time) else None for time in times]
        gates = problem.programmes[0].gates if problem.programmes else ()
        self.stop = {(gate, time): rows.variable(1.0, True) for gate in gates for time in times if self._started(time - gate)}
        self.order = {
            (place, time): rows.variable()
            for place, offer in enumerate(problem.offers)
            for time in times
            if time + offer.lead < self.quarters
        }
        self.sold = {
            (place, time, age): rows.variable()
            for (place, time) in self.order
            for age in self._ages(problem.offers[place])
            if time + problem.offers[place].lead + age < self.quarters
        }
        self.built = {
            (place, time): rows.variable(np.inf, site.module > 0)
            for place, site in enumerate(problem.sites)
            for time in times
            if time + site.lead < self.quarters and (site.module == 0 or time % problem.every == 0)
        }
        self.prepaid = {
            (place, time): rows.variable(1.0, True)
            for place, one in enumerate(problem.prepayments)
            for time in times
            if one.first <= time <= one.last and time % problem.every == 0
        }
        self.debt = [rows.variable() if problem.debt and time < self.quarters - 1 else None for time in times]
        self.cash = [defaultdict(float) for _ in times]
        self.fixed_cash = np.zeros(self.quarters)
        self.other = defaultdict(float)
        self.fixed = 0.0

    def _may_start(self, time):
        if not self.problem.programmes:
            return False
        programme = self.problem.programmes[0]
        return programme.first_start <= time <= programme.last_start and time % self.problem.every == 0

    def _started(self, time):
        return time >= 0 and self._may_start(time)

    def _ages(self, offer):
        ends = offer.residual > 0 if offer.owned else offer.cancellation is not None
        return list(range(4, offer.term, 4)) if ends else []

    def factor(self, time):
        return (1 + self.problem.discount) ** (-(time + 0.5) / 4)

    def pay(self, time, terms):
        for variable, value in terms.items():
            self.cash[time][variable] += value / MONEY

    def here(self, series, time):
        return float(series[self.nodes[time]])

    def cohorts(self, place, time):
        """What is left at `time` of each order that is in service: (when ordered, expression)."""
        offer = self.problem.offers[place]
        for ordered in range(max(0, time - offer.lead - offer.term + 1), time - offer.lead + 1):
            left = {self.order[place, ordered]: 1.0}
            for age in self._ages(offer):
                if ordered + offer.lead + age <= time:
                    left[self.sold[place, ordered, age]] = -1.0
            yield ordered, left

    def initial(self, place, time):
        offer = self.problem.offers[place]
        return offer.initial if time < (offer.initial_term or offer.term) else 0.0

    def begun(self, before):
        """1 where the programme has been started up to `before`."""
        return {one: 1.0 for one in self.begin[: max(0, before + 1)] if one is not None}

    def alive(self, time):
        """1 where chips of the programme can be ordered."""
        lead = self.case.lead if self.case.lead is not None else self.quarters
        ended = {one: 1.0 for (gate, when), one in self.stop.items() if when <= time and when - gate <= time - lead}
        return total((self.begun(time - lead), 1.0), (ended, -1.0))

    def programme(self):
        """One start; a stop ends what runs; spend until it stops."""
        if not self.problem.programmes:
            return
        self.rows.row(self.begun(self.quarters), upper=1.0)
        for (gate, time), one in self.stop.items():
            earlier = {other: 1.0 for (at, when), other in self.stop.items() if at < gate and when - at == time - gate}
            self.rows.row(total(({one: 1.0}, 1.0), (earlier, 1.0), ({self.begin[time - gate]: 1.0}, -1.0)), upper=0.0)
        for start, begin in enumerate(self.begin):
            for age, spend in enumerate(self.case.spend.tolist()):
                if begin is None or start + age >= self.quarters:
                    continue
                stopped = {one: 1.0 for (gate, when), one in self.stop.items() if when - gate == start and gate <= age}
                self.pay(start + age, total(({begin: spend}, 1.0), (stopped, -spend)))

    def chips(self, place):
        """One offer: its orders, what runs, and all that this costs."""
        rows, offer = self.rows, self.problem.offers[place]
        last = self.factor(self.quarters - 1)
        for time in range(self.quarters):
            self._order(place, time)
            there = total(*((left, 1.0) for _, left in self.cohorts(place, time)))
            running = rows.variable()
            initial = self.initial(place, time)
            rows.row(total(({running: 1.0}, 1.0), (there, -1.0)), upper=initial, lower=-np.inf if offer.owned else initial)
            if offer.kind is ContractKind.ON_DEMAND:
                self.pay(time, {running: self.here(offer.rent, time) * HOURS})
            else:
                for ordered, left in self.cohorts(place, time):
                    self.pay(time, total((left, self.here(offer.rent, ordered) * HOURS)))
                self.fixed_cash[time] += initial * float(offer.rent[0]) * HOURS / MONEY
            self.pay(time, {running: self.here(offer.upkeep, time) * HOURS})
            served = [rows.variable(np.inf if rate > 0 else 0.0) for rate in offer.throughput]
            busy = {one: 1 / rate for one, rate in zip(served, offer.throughput.tolist(), strict=True) if rate > 0}
            rows.row(total((busy, 1.0), ({running: 1.0}, -1.0)), upper=0.0)
            for model, one in enumerate(served):
                self.serving[model, time][place] = one
            if not offer.hosted:
                self._draw(offer, time, running)
        for (which, ordered, age), one in self.sold.items():
            if which != place:
                continue
            price, rent = self.here(offer.unit_price, ordered), self.here(offer.rent, ordered)
            paid = -offer.residual * price * (offer.term - age) / offer.term if offer.owned else 0.0
            paid += 0.0 if offer.owned else offer.cancellation * rent * HOURS * (offer.term - age)
            self.pay(ordered + offer.lead + age, {one: paid})
        for (which, ordered), one in self.order.items():
            if which != place:
                continue
            ends = [self.sold[place, ordered, age] for age in self._ages(offer) if (place, ordered, age) in self.sold]
            self.rows.row(total((dict.fromkeys(ends, 1.0), 1.0), ({one: 1.0}, -1.0)), upper=0.0)
            unexpired = min(1.0, max(0, ordered + offer.lead + offer.term - self.quarters) / offer.term)
            worth = last * offer.residual * self.here(offer.unit_price, ordered) * unexpired / MONEY
            self.other = total((self.other, 1.0), ({one: 1.0}, -worth), (dict.fromkeys(ends, 1.0), worth))
        left = max(0, (offer.initial_term or offer.term) - self.quarters) / offer.term
        self.fixed -= last * offer.residual * float(offer.unit_price[0]) * offer.initial * left / MONEY

    def _order(self, place, time):
        offer, rows = self.problem.offers[place], self.rows
        if (place, time) not in self.order:
            return
        one = self.order[place, time]
        self.pay(time, {one: self.here(offer.unit_price, time)})
        added = defaultdict(float)
        for which, prepayment in enumerate(self.problem.prepayments):
            if offer.id in prepayment.offers:
                added = total((added, 1.0), (self._open(which, time), prepayment.chips))
        cap = self.here(offer.allocation, time)
        if np.isfinite(cap):
            rows.row(total(({one: 1.0}, 1.0), (added, -1.0)), upper=cap)
        if offer.programme is not None:
            rows.row(total(({one: 1.0}, 1.0), (self.alive(time), -MANY)), upper=0.0)
        if offer.minimum > 0:
            placed = rows.variable(1.0 if time % self.problem.every == 0 else 0.0, True)
            rows.row({one: 1.0, placed: -offer.minimum}, lower=0.0)
            rows.row({one: 1.0, placed: -MANY}, upper=0.0)
        before = 1.0
        for tier in offer.tiers:
            self._rebate(place, time, tier.volume, before - tier.factor)
            before = tier.factor

    def _rebate(self, place, time, volume, part):
        rows, one = self.rows, self.order[place, time]
        since = time - time % self.problem.every
        ordered = {self.order[place, when]: -1.0 for when in range(since)}
        reached, cheap = rows.variable(1.0, True), rows.variable()
        rows.row(total(({reached: volume}, 1.0), (ordered, 1.0)), upper=0.0)
        rows.row({cheap: 1.0, one: -1.0}, upper=0.0)
        rows.row({cheap: 1.0, reached: -MANY}, upper=0.0)
        self.pay(time, {cheap: -part * self.here(self.problem.offers[place].unit_price, time)})

    def _open(self, which, time):
        lead = self.problem.prepayments[which].lead
        return {one: 1.0 for (place, when), one in self.prepaid.items() if place == which and when + lead <= time}

    def _draw(self, offer, time, running):
        drawn = {}
        for place, site in enumerate(self.problem.sites):
            if site.id in offer.sites:
                one = self.rows.variable()
                drawn[one], self.drawn[place, time][one] = 1.0, offer.power
                self.pay(time, {one: self.here(site.energy, time) * HOURS * 3600 * site.load * site.pue * offer.power})
        self.rows.row(total(({running: 1.0}, 1.0), (drawn, -1.0)), lower=0.0, upper=0.0)

    def power(self):
        """Power is built before it is drawn, up to what is available."""
        for place, site in enumerate(self.problem.sites):
            step = site.module or 1e3
            for time in range(self.quarters):
                built = {one: step for (which, when), one in self.built.items() if which == place and when + site.lead <= time}
                self.rows.row(total((self.drawn[place, time], 1.0), (built, -1.0)), upper=site.initial)
                self.rows.row(total((built, 1.0)), upper=self.here(site.available, time) - site.initial)
                rent = self.here(site.rent, time) * HOURS
                self.pay(time, total((built, rent)))
                self.fixed_cash[time] += rent * site.initial / MONEY
                if (place, time) in self.built:
                    one, capex = self.built[place, time], self.here(site.capex, time) * step
                    self.pay(time, {one: capex})
                    left = min(1.0, max(0, time + site.lead + site.term - self.quarters) / site.term) if site.term else 0.0
                    worth = self.factor(self.quarters - 1) * site.residual * capex * left / MONEY
                    self.other = total((self.other, 1.0), ({one: 1.0}, -worth))

    def offtakes(self):
        """A prepayment is made once, and the chips missing to its offtake are paid for."""
        for which in range(len(self.problem.prepayments)):
            self.rows.row({one: 1.0 for (place, _), one in self.prepaid.items() if place == which}, upper=1.0)
        for (which, one), time in itertools.product(enumerate(self.problem.prepayments), range(self.quarters)):
            if (which, time) in self.prepaid:
                self.pay(time, {self.prepaid[which, time]: self.here(one.price, time)})
            ordered = {
                order: -1.0 for (place, when), order in self.order.items() if when == time and self.problem.offers[place].id in one.offers
            }
            short = self.rows.variable()
            self.rows.row(total((self._open(which, time), one.offtake), (ordered, 1.0), ({short: 1.0}, -1.0)), upper=0.0)
            self.pay(time, {short: one.shortfall})

    def demands(self):
        """What is asked is served or missed; one supplier serves no more than its share."""
        problem = self.problem
        suppliers = dict.fromkeys(offer.supplier for offer in problem.offers)
        for time, node in enumerate(self.nodes):
            weighed = {supplier: defaultdict(float) for supplier in suppliers}
            for model in range(len(problem.models)):
                served, asked = self.serving[model, time], float(problem.demand[model, node])
                queries = float(problem.volume[model, node]) / asked if asked else 0.0
                penalty = float(problem.unmet_penalty[model])
                unmet = self.rows.variable(np.inf if np.isfinite(penalty) else 0.0)
                self.rows.row(total((dict.fromkeys(served.values(), 1.0), 1.0), ({unmet: 1.0}, 1.0)), lower=asked, upper=asked)
                if np.isfinite(penalty):
                    self.other = total((self.other, 1.0), ({unmet: 1.0}, self.factor(time) * queries * penalty / MONEY))
                for place, one in served.items():
                    weighed[problem.offers[place].supplier][one] += queries / 1e6
            if problem.largest_share < 1 and time >= problem.share_from:
                everything = total(*((terms, 1.0) for terms in weighed.values()))
                for terms in weighed.values():
                    self.rows.row(total((terms, 1.0), (everything, -problem.largest_share)), upper=0.0)

    def money(self):
        """The budget, the debt, and the discounted cost as (expression, constant)."""
        debt = self.problem.debt
        cost = total((self.other, 1.0))
        constant = self.fixed
        growth = (1 + debt.interest) ** 0.25 if debt else 1.0
        for time in range(self.quarters):
            owed, before = self.debt[time], self.debt[time - 1] if time else None
            terms = total((self.cash[time], 1.0), ({owed: -1.0} if owed is not None else {}, 1.0))
            terms = total((terms, 1.0), ({before: growth} if before is not None else {}, 1.0))
            self.rows.row(terms, upper=self.here(self.problem.budget, time) / MONEY - self.fixed_cash[time])
            if owed is not None:
                self.rows.row({owed: 1.0}, upper=self.here(debt.limit, time) / MONEY)
            interest = {before: growth - 1} if before is not None else {}
            cost = total((cost, 1.0), (self.cash[time], self.factor(time)), (interest, self.factor(time)))
            constant += self.factor(time) * self.fixed_cash[time]
        return cost, constant

    def write(self):
        """All rows of this future; its cost."""
        self.serving = defaultdict(dict)
        self.drawn = defaultdict(dict)
        self.programme()
        for place in range(len(self.problem.offers)):
            self.chips(place)
        self.power()
        self.offtakes()
        self.demands()
        return self.money()

    def decisions(self, time):
        """The variables that are decided at `time`, but for the start, in the same order for all futures."""
        tables = (self.order, self.built, self.prepaid)
        found = [one for table in tables for (_, when), one in table.items() if when == time]
        found += [one for (_, when), one in self.stop.items() if when == time]
        found += [one for (place, ordered, age), one in self.sold.items() if ordered + self.problem.offers[place].lead + age == time]
        return found + ([self.debt[time]] if self.debt[time] is not None else [])


def least_cost(problem):
    """The least expected cost, or cost and risk, in USD; None where there is no plan."""
    rows = Rows()
    cases = problem.programmes[0].cases if problem.programmes else (None,)
    futures = [Future(problem, rows, leaf, case) for leaf in problem.tree.leaves.tolist() for case in cases]
    costs = [future.write() for future in futures]
    for one, other in itertools.combinations(futures, 2):
        _not_foreseeing(rows, one, other)
    chance = [problem.tree.probability[future.leaf] * (future.case.probability if future.case else 1.0) for future in futures]
    weight, tail = (problem.risk.weight, problem.risk.tail) if problem.risk else (0.0, 1.0)
    goal = total(*((terms, (1 - weight) * part) for (terms, _), part in zip(costs, chance, strict=True)))
    level = rows.variable(lower=-np.inf)
    goal[level] += weight
    for (terms, constant), part in zip(costs, chance, strict=True):
        excess = rows.variable()
        rows.row(total((terms, 1.0), ({level: -1.0, excess: -1.0}, 1.0)), upper=-constant)
        goal[excess] += weight * part / tail
    constants = sum(part * constant for (_, constant), part in zip(costs, chance, strict=True))
    found = rows.least(goal)
    return None if found is None else MONEY * (found + (1 - weight) * constants)


def _not_foreseeing(rows, one, other):
    """Decisions are alike while the world is, and until the programme has shown which of the two outcomes it has."""
    for time in range(one.quarters):
        if one.nodes[time] != other.nodes[time]:
            return
        if one.begin[time] is not None:
            rows.row({one.begin[time]: 1.0, other.begin[time]: -1.0}, lower=0.0, upper=0.0)
        shown = one.begun(time - min(one.case.revealed, other.case.revealed)) if one.case is not other.case else {}
        for mine, yours in zip(one.decisions(time), other.decisions(time), strict=True):
            if shown:
                rows.row(total(({mine: 1.0, yours: -1.0}, 1.0), (shown, -MANY)), upper=0.0)
                rows.row(total(({mine: -1.0, yours: 1.0}, 1.0), (shown, -MANY)), upper=0.0)
            else:
                rows.row({mine: 1.0, yours: -1.0}, lower=0.0, upper=0.0)
