"""A plan in words: the recommendation, on what it depends, the fleet, the sites and what a query costs, in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tapeout.appraisal.worth import ProgrammeWorth
from tapeout.report.numbers import CENTS, MEGAWATTS, PERCENT, USD, NumberStyle
from tapeout.report.plan_appraisal import appraisal, fared_words, information_words
from tapeout.report.plan_courses import Course, courses
from tapeout.report.plan_decisions import LEAST_CHIPS, LEAST_POWER, SURE, YEAR, Decision, Kind, Trigger, decisions, triggers
from tapeout.report.plan_paths import Paths, paths
from tapeout.report.plan_tables import labelled
from tapeout.sourcing.accounts import fleet_by_chip, supplier_shares, unmet_share
from tapeout.sourcing.plan import Plan, discounts
from tapeout.study import PlanStudy

RANK = 3
INDEX = NumberStyle(digits=2)


def summary(study: PlanStudy, found: Paths | None = None) -> tuple[str, ...]:
    """The answer to the scenario's question, the recommendation first; `found` is its plan by scenario, computed where not given."""
    plan = study.plan
    known = paths(plan) if found is None else found
    told = appraisal(study)
    sentences = (
        _own_chip(study, told.worths),
        _outcomes(plan),
        _first_year(plan),
        _until_own_chips(plan),
        _fleet(plan),
        _sites(plan),
        _cost(plan, known),
        _spread(plan, known),
        fared_words(told.fared),
        information_words(told.information),
        _throughput(study),
        _dependence(plan, known),
    )
    return tuple(sentence for sentence in sentences if sentence)


def own_chip_answer(plan: Plan, offered: int) -> str:
    """The own chip in a few words: when a programme starts, or that none does, of `offered` ones."""
    found = _starts(plan)
    if not found:
        return "do not start" if offered else "no programme on offer"
    first = found[0]
    when = f"start {plan.problem.quarters[first.quarter]}"
    return when if first.probability >= SURE else f"{when} in {PERCENT.show(first.probability)}"


def programme_starts(plan: Plan) -> dict[str, str]:
    """The quarter in which each programme that is started starts; the earliest where that depends on the branch."""
    found: dict[str, str] = {}
    for one in _starts(plan):
        found.setdefault(one.decision.subject, plan.problem.quarters[one.quarter])
    return found


def _starts(plan: Plan) -> list[Trigger]:
    found = [one for decision in decisions(plan) if decision.kind is Kind.START for one in triggers(plan, decision)]
    return sorted(found, key=lambda one: one.quarter)


def _own_chip(study: PlanStudy, known: Sequence[ProgrammeWorth]) -> str:
    plan, worths = study.plan, {one.programme: one for one in known}
    found = _starts(plan)
    if not found:
        if not study.problem.programmes:
            return ""
        best = max(worths.values(), key=lambda one: one.most_to_pay - one.spend, default=None)
        because = f": the best programme, {best.programme}, {_worth(best)}" if best else ""
        return f"Do not start an own chip on these assumptions{because}.{_targets(study, worths)}"
    name = found[0].decision.subject
    spend = float((plan.spend["programme"] * discounts(plan.problem)) @ plan.problem.tree.probability)
    because = f": {_worth(replace(worths[name], spend=spend))}" if name in worths else ""
    whens = [_when(plan, one) for one in found]
    chance = sum(one.probability for one in found)
    never = "" if chance >= SURE else f", and not at all in the other {PERCENT.show(1 - chance)} of futures"
    return f"Start the own chip ({name}) in {_listed(whens)}{never}{because}."


def _targets(study: PlanStudy, worths: Mapping[str, ProgrammeWorth]) -> str:
    """What a company that an acquisition would buy is worth, beside its price."""
    told = [
        f" For the company that {name} buys at {USD.show(price)}, the most to pay is {USD.show(worths[name].most_for_target(price))}."
        for name, price in study.targets.items()
        if name in worths
    ]
    return "".join(told)


def _when(plan: Plan, one: Trigger) -> str:
    quarter = plan.problem.quarters[one.quarter]
    if one.probability >= SURE:
        return quarter
    condition = f" if {one.condition}" if one.condition else ""
    return f"{quarter}{condition} ({PERCENT.show(one.probability)} of futures)"


def _outcomes(plan: Plan) -> str:
    """When own chips serve, how likely each is, and where the programme is stopped."""
    found = courses(plan)
    if not found:
        return ""
    started = sum(one.probability for one in found)
    sentences = []
    if len(found) > 1:
        parts = [f"{_serves(plan, one)} ({PERCENT.show(one.probability / started)}, {one.outcome})" for one in _alike(found)]
        sentences.append(f"Once it is started its chips serve {_listed(parts, 'or')}.")
    elif found[0].serves is not None:
        sentences.append(f"Its chips serve from {labelled(plan, found[0].serves)} on.")
    stops = [one for decision in decisions(plan) if decision.kind is Kind.STOP for one in triggers(plan, decision)]
    if stops:
        sentences.append(f"Stop it in {_listed([_when(plan, one) for one in stops])}.")
    return " ".join(sentences)


def _alike(found: Sequence[Course]) -> list[Course]:
    """The likeliest courses."""
    return sorted(found, key=lambda one: -one.probability)[:4]


def _serves(plan: Plan, one: Course) -> str:
    return "never" if one.serves is None else f"from {labelled(plan, one.serves)} on"


def _first_year(plan: Plan) -> str:
    chosen = [one for one in decisions(plan) if one.kind is Kind.ORDER]
    means = {one: float(plan.expected(one.amount)[:YEAR].sum()) for one in chosen}
    ranked = sorted((one for one in chosen if means[one] >= LEAST_CHIPS), key=lambda one: -means[one])
    parts = [f"{means[one]:,.0f} {one.subject} ({one.detail})" for one in ranked[: RANK + 1]]
    spot = [(float(one.amount[plan.problem.tree.quarter < YEAR].max()), one) for one in decisions(plan) if one.kind is Kind.RENT]
    rents = [f"{most:,.0f} {one.subject}" for most, one in sorted(spot, key=lambda pair: -pair[0]) if most >= LEAST_CHIPS]
    rent = f"rent up to {_listed(rents[:RANK])} on demand" if rents else ""
    if not parts and not rents:
        return "In the first year nothing is ordered: what is in service is enough."
    order = f"order {_listed(parts)}{_on_average(plan, ranked)}" if parts else ""
    return f"In the first year, {_listed([part for part in (order, rent) if part])}."


def _on_average(plan: Plan, chosen: Sequence[Decision]) -> str:
    """A note where the orders of the first year depend on the branch."""
    tree = plan.problem.tree
    ends = np.flatnonzero(tree.quarter == min(YEAR, tree.quarters) - 1)
    sums = np.array([[one.amount[tree.above[end][tree.above[end] >= 0]].sum() for end in ends] for one in chosen])
    return " in the mean of the branches" if sums.size and np.ptp(sums, axis=1).max() > LEAST_CHIPS else ""


def _until_own_chips(plan: Plan) -> str:
    serves = [one.serves for one in courses(plan) if one.serves is not None]
    if not serves:
        return ""
    first, tree = min(serves), plan.problem.tree
    begun = plan.starts[:, tree.paths].sum(axis=(0, 2)) > 0.5
    weight = np.where(begun, tree.probability[tree.leaves], 0.0)
    fleet = {chip: float(weight @ count[tree.paths[:, :first]].mean(axis=1) / weight.sum()) for chip, count in fleet_by_chip(plan).items()}
    return f"Until its first chips serve in {labelled(plan, first)}, run on {_mostly(fleet)}."


def _fleet(plan: Plan) -> str:
    found = _mostly({chip: float(plan.expected(count)[-YEAR:].mean()) for chip, count in fleet_by_chip(plan).items()})
    return f"In the last year the fleet is mostly {found}{_rented(plan)}." if found else ""


def _mostly(means: Mapping[str, float]) -> str:
    """The chips of which there are most."""
    ranked = sorted(((count, chip) for chip, count in means.items() if count >= LEAST_CHIPS), reverse=True)[:RANK]
    return _listed([f"{count:,.0f} {chip}" for count, chip in ranked])


def _rented(plan: Plan) -> str:
    owned = np.array([offer.owned for offer in plan.problem.offers])
    served = plan.expected(plan.served.sum(axis=1))[:, -YEAR:].sum(axis=1)
    share = float(served[~owned].sum() / served.sum()) if served.sum() > 0 else 0.0
    return f"; rented chips carry {PERCENT.show(share)} of the load" if share > 5e-4 else "; none of it is rented"


def _sites(plan: Plan) -> str:
    parts = []
    for site, power in zip(plan.problem.sites, plan.site_power, strict=True):
        leaves = plan.problem.tree.paths
        most = power[leaves].max(axis=1)
        held = most >= LEAST_POWER
        if not held.any():
            continue
        some = (power[leaves] >= LEAST_POWER).any(axis=0)
        chance = float(plan.problem.tree.probability[plan.problem.tree.leaves][held].sum())
        low, high = MEGAWATTS.show(float(most[held].min())), MEGAWATTS.show(float(most.max()))
        size = f"up to {high}" if low == high else f"up to {low.removesuffix(MEGAWATTS.suffix)} to {high}"
        where = "" if chance >= SURE else f" in {PERCENT.show(chance)} of futures"
        parts.append(f"{site.id} from {plan.problem.quarters[int(np.argmax(some))]} on, {size}{where}")
    return f"Owned chips stand at {_listed(parts)}." if parts else "No site of the company's own is used."


def _cost(plan: Plan, found: Paths) -> str:
    costs = found.mean_cost_per_query
    known = costs[np.isfinite(costs)]
    unmet = unmet_share(plan)
    served = "All demand is met" if unmet < 5e-4 else f"{PERCENT.show(unmet)} of all queries are not served"
    if not known.size:
        return f"{served}."
    return f"A query costs {CENTS.show(float(known[0]))} at first and {CENTS.show(float(known[-1]))} at the end. {served}."


def _spread(plan: Plan, found: Paths) -> str:
    if found.size == 1:
        return ""
    bands = found.bands(found.cost)
    low, high = (USD.show(float(bands[level])) for level in ("p5", "p95"))
    return (
        f"The plan costs {USD.show(plan.cost)} in the mean of {found.size} futures, {low} to {high} in nine of ten, and "
        f"{USD.show(found.worst_cost)} in the mean of the worst {PERCENT.show(found.tail)}."
    )


def _throughput(study: PlanStudy) -> str:
    found = study.throughput
    if found is None:
        return ""
    cheapest, dearest = (USD.show(cost) for cost in (found.cost_low, found.cost_high))
    costs = f"cost {cheapest} to {dearest}"
    if not math.isfinite(found.cost_high):
        costs = f"cost {cheapest} at the high end and cannot meet demand at the low"
    kept = f"these orders would leave up to {PERCENT.show(found.unmet_high)} of all queries unserved"
    which = " in the plan for the mean of the futures" if study.information else ""
    return f"At the ends of the throughputs' 80 % bands the best orders{which} {costs}, and {kept}."


def _dependence(plan: Plan, found: Paths) -> str:
    late = {name: float(plan.expected(share)[-YEAR:].mean()) for name, share in supplier_shares(plan).items()}
    largest = max(late, key=lambda name: late[name])
    index = float((found.probability @ found.concentration)[-YEAR:].mean())
    return (
        f"The largest supplier in the last year is {largest}, with {PERCENT.show(late[largest])} of what is served; the Herfindahl-"
        f"Hirschman index of the suppliers is {INDEX.show(index)}."
    )


def _worth(worth: ProgrammeWorth) -> str:
    low, high = USD.show(max(0.0, worth.low)), USD.show(worth.high)
    band = "" if low == high else f" ({low} to {high})"
    return f"would be worth at most {USD.show(worth.most_to_pay)}{band} of one-off spend and costs {USD.show(worth.spend)}, both discounted"


def _listed(parts: Sequence[str], last: str = "and") -> str:
    return ", ".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"
