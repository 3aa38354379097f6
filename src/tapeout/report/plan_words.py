"""A plan in words: the recommendation, the fleet, the own chip, the sites and what a query costs, in a few sentences."""

from __future__ import annotations

import math

import numpy as np

from tapeout.report.numbers import CENTS, MEGAWATTS, PERCENT, USD
from tapeout.sourcing.finance import cost_per_query_by_quarter, fleet_by_chip, supplier_share_by_quarter, unmet_share
from tapeout.sourcing.problem import Plan
from tapeout.sourcing.worth import ProgrammeWorth
from tapeout.study import PlanStudy

YEAR = 4
LEAST_CHIPS = 1.0


def summary(study: PlanStudy) -> tuple[str, ...]:
    """The answer to the scenario's question, the recommendation first."""
    plan = study.plan
    sentences = (_own_chip(study), _first_year(plan), _fleet(plan), _sites(plan), _cost(plan), _throughput(study), _dependence(plan))
    return tuple(sentence for sentence in sentences if sentence)


def own_chip_answer(plan: Plan) -> str:
    """The own chip in three words: when a programme starts, or that none does."""
    started = programme_starts(plan)
    return f"start {next(iter(started.values()))}" if started else ("do not start" if plan.problem.programmes else "no programme on offer")


def programme_starts(plan: Plan) -> dict[str, str]:
    """The quarter in which each programme that is started starts."""
    pairs = zip(plan.problem.programmes, plan.starts, strict=True)
    return {programme.id: plan.problem.quarters[int(np.argmax(started))] for programme, started in pairs if started.sum() > 0.5}


def _first_year(plan: Plan) -> str:
    ordered = plan.orders.sum(axis=1)[:, :YEAR].sum(axis=1)
    chosen = [(index, count) for index, count in enumerate(ordered) if count >= LEAST_CHIPS]
    if not chosen:
        return "In the first year nothing is ordered: what is in service is enough."
    ranked = sorted(chosen, key=lambda pair: -pair[1])[:4]
    parts = [
        f"{count:,.0f} {plan.problem.offers[index].chip} ({plan.problem.offers[index].kind}, {plan.problem.offers[index].id})"
        for index, count in ranked
    ]
    return f"In the first year, order {_listed(parts)}."


def _own_chip(study: PlanStudy) -> str:
    if not study.worths:
        return ""
    started = programme_starts(study.plan)
    if started:
        name, quarter = next(iter(started.items()))
        worth = next(one for one in study.worths if one.programme == name)
        return f"Start the own chip ({name}) in {quarter}: {_worth(worth)}."
    best = max(study.worths, key=lambda one: one.most_to_pay - one.spend)
    return f"Do not start an own chip on these assumptions: the best programme, {best.programme}, {_worth(best)}."


def _worth(worth: ProgrammeWorth) -> str:
    return f"would be worth at most {USD.show(worth.most_to_pay)} of one-off spend and costs {USD.show(worth.spend)}, both discounted"


def _fleet(plan: Plan) -> str:
    last = sorted(((count[-YEAR:].mean(), chip) for chip, count in fleet_by_chip(plan).items()), reverse=True)
    parts = [f"{count:,.0f} {chip}" for count, chip in last[:3] if count >= LEAST_CHIPS]
    return f"In the last year the fleet is mostly {_listed(parts)}." if parts else ""


def _sites(plan: Plan) -> str:
    parts = []
    for site, power in zip(plan.problem.sites, plan.site_power, strict=True):
        used = np.flatnonzero(power > 0)
        if used.size:
            parts.append(f"{site.id} from {plan.problem.quarters[int(used[0])]} on, up to {MEGAWATTS.show(float(power.max()))}")
    return f"Owned chips stand at {_listed(parts)}." if parts else "No site of the company's own is used."


def _cost(plan: Plan) -> str:
    costs = cost_per_query_by_quarter(plan)
    known = costs[np.isfinite(costs)]
    unmet = unmet_share(plan)
    served = "All demand is met" if unmet < 5e-4 else f"{PERCENT.show(unmet)} of all queries are not served"
    if not known.size:
        return f"{served}."
    return f"A query costs {CENTS.show(float(known[0]))} at first and {CENTS.show(float(known[-1]))} at the end. {served}."


def _throughput(study: PlanStudy) -> str:
    found = study.throughput
    if found is None:
        return ""
    cheapest, dearest = (USD.show(cost) for cost in (found.cost_low, found.cost_high))
    costs = f"cost {cheapest} to {dearest}"
    if not math.isfinite(found.cost_high):
        costs = f"cost {cheapest} at the high end and cannot meet demand at the low"
    kept = f"these orders would leave up to {PERCENT.show(found.unmet_high)} of all queries unserved"
    return f"At the ends of the throughputs' 80 % bands the best orders {costs}, and {kept}."


def _dependence(plan: Plan) -> str:
    shares = supplier_share_by_quarter(plan)
    late = {name: float(share[-YEAR:].mean()) for name, share in shares.items()}
    largest = max(late, key=lambda name: late[name])
    return f"The largest supplier in the last year is {largest}, with {PERCENT.show(late[largest])} of what is served."


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
