"""A backtest as rows: what was decided at each date and what was not known, what each way of deciding cost, and cash by quarter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeout.appraisal.rolling import Step
from tapeout.report.backtest_run import Backtest
from tapeout.report.numbers import CENTS, COUNT, MEGAWATTS, PERCENT, USD
from tapeout.report.tables import Column, Row, Table
from tapeout.sourcing.accounts import cash_by_node, cost_per_query_by_quarter, levelised_cost_per_query, unmet_share
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem

ROLLING, FORESIGHT = "plan again at each date", "know everything"
LEAST = 0.5
"""Chips from which an order is told."""


def policies_table(found: Backtest) -> Table:
    """What each way of deciding cost in the world as it was, the cheapest possible first."""
    ways = {FORESIGHT: found.foresight, ROLLING: found.rolling.paid} | found.rivals
    rows: list[Row] = [
        {
            "policy": name,
            "cost_usd": plan.cost,
            "more_than_foresight": plan.cost / found.foresight.cost - 1 if found.foresight.cost else None,
            "levelised_cost_per_query_usd": levelised_cost_per_query(plan),
            "unmet_share": unmet_share(plan),
            "over_budget_usd": float(_over(found.actual, plan).sum()),
        }
        for name, plan in ways.items()
    ]
    columns = (
        Column(key="policy", heading="Policy"),
        Column(key="cost_usd", heading="Cost, discounted", style=USD),
        Column(key="more_than_foresight", heading="Above foresight", style=PERCENT),
        Column(key="levelised_cost_per_query_usd", heading="A query", style=CENTS),
        Column(key="unmet_share", heading="Not served", style=PERCENT),
        Column(key="over_budget_usd", heading="Above budget, in all", style=USD),
    )
    note = f"The plan that knows everything is within {PERCENT.show(max(found.foresight.gap, 0.0))} of the best possible."
    return Table(id="policies", title=f"{found.asked.scenario.title}: what it cost to decide", columns=columns, rows=rows, note=note)


def dates_table(found: Backtest) -> Table:
    """What was decided at each date, what foresight would have decided in the same quarters, and how the view of the world differed.

    Ratios are of what was expected for the rest of the plan to what came: rents and prices over the contracts that were known.
    """
    ends = [*(step.quarter for step in found.rolling.steps[1:]), len(found.actual.quarters)]
    rows = [_date_row(found, step, end) for step, end in zip(found.rolling.steps, ends, strict=True)]
    columns = (
        Column(key="date", heading="Date"),
        Column(key="decided", heading="Decided"),
        Column(key="with_foresight", heading="With foresight"),
        Column(key="not_known", heading="Not known yet"),
        Column(key="rents", heading="Rents, expected over real", style=PERCENT),
        Column(key="prices", heading="Prices", style=PERCENT),
        Column(key="demand", heading="Demand", style=PERCENT),
        Column(key="expected_cost_usd", heading="Cost then expected", style=USD),
    )
    note = "Decided are the chips ordered until the next date but those rented by the quarter, sites, programmes and prepayments."
    return Table(id="dates", title="What was decided when", columns=columns, rows=rows, note=note)


def orders_table(found: Backtest) -> Table:
    """Chips ordered under each contract in each quarter, as decided then and with foresight."""
    quarters, rows = found.actual.quarters, []
    for row, offer in enumerate(found.actual.offers):
        ours, theirs = found.rolling.paid.orders[row], found.foresight.orders[row]
        for quarter in np.flatnonzero(np.maximum(ours, theirs) > 1e-6).tolist():
            amounts = {"chips": float(ours[quarter]), "chips_with_foresight": float(theirs[quarter])}
            rows.append({"quarter": quarters[quarter], "contract": offer.id, "chip": offer.chip} | amounts)
    columns = (
        Column(key="quarter", heading="Quarter"), Column(key="contract", heading="Contract"), Column(key="chip", heading="Chip"),
        Column(key="chips", heading="Chips", style=COUNT), Column(key="chips_with_foresight", heading="With foresight", style=COUNT),
    )  # fmt: skip
    return Table(id="orders", title="Chips ordered", columns=columns, rows=rows)


def quarters_table(found: Backtest) -> Table:
    """Cash and the cost of a query in each quarter, as it went and with foresight."""
    paid, known = found.rolling.paid, found.foresight
    series = {
        "cash_usd": cash_by_node(paid),
        "cash_with_foresight_usd": cash_by_node(known),
        "cost_per_query_usd": cost_per_query_by_quarter(paid),
        "cost_per_query_with_foresight_usd": cost_per_query_by_quarter(known),
        "over_budget_usd": found.rolling.over_budget,
    }
    rows = [
        {"quarter": quarter} | {name: float(values[place]) for name, values in series.items()}
        for place, quarter in enumerate(found.actual.quarters)
    ]
    columns = (
        Column(key="quarter", heading="Quarter"),
        Column(key="cash_usd", heading="Cash", style=USD),
        Column(key="cash_with_foresight_usd", heading="With foresight", style=USD),
        Column(key="cost_per_query_usd", heading="A query", style=CENTS),
        Column(key="cost_per_query_with_foresight_usd", heading="With foresight", style=CENTS),
        Column(key="over_budget_usd", heading="Above budget", style=USD),
    )
    return Table(id="quarters", title="By quarter", columns=columns, rows=rows)


def tables(found: Backtest) -> tuple[Table, ...]:
    """All of it."""
    return policies_table(found), dates_table(found), quarters_table(found), orders_table(found)


def _date_row(found: Backtest, step: Step, end: int) -> Row:
    actual, believed, first = found.actual, step.plan.problem, step.quarter
    ahead = believed.tree.quarter >= first
    known = [row for row, offer in enumerate(believed.offers) if np.any(offer.allocation[ahead] > 0)]
    unknown = [offer.id for row, offer in enumerate(actual.offers) if row not in known and np.any(offer.allocation[first:] > 0)]
    decided = found.rolling.decided
    return {
        "date": actual.quarters[first],
        "decided": _words(actual, first, end, decided.orders, decided.site_orders, decided.starts, decided.prepaid),
        "with_foresight": _words(actual, first, end, *_decisions(found.foresight)),
        "not_known": ", ".join(unknown),
        "rents": _ratio(found, step, "rent", known),
        "prices": _ratio(found, step, "unit_price", known),
        "demand": _mean_ratio(step.plan.expected(believed.demand.sum(axis=0))[first:], actual.demand.sum(axis=0)[first:]),
        "expected_cost_usd": step.plan.cost,
    }


def _decisions(plan: Plan) -> tuple[Array, Array, Array, Array]:
    return plan.orders, plan.site_orders, plan.starts, plan.prepaid


def _words(problem: Problem, first: int, end: int, orders: Array, power: Array, starts: Array, prepaid: Array) -> str:
    """The decisions of quarters `first` to `end`, the largest orders first."""
    chips = orders[:, first:end].sum(axis=1)
    lasting = [row for row in np.argsort(-chips).tolist() if chips[row] > LEAST and not _by_the_quarter(problem, row)]
    said = [f"{COUNT.show(float(chips[row]))} {problem.offers[row].id}" for row in lasting]
    said += [
        f"{MEGAWATTS.show(float(watts))} at {site.id}"
        for site, watts in zip(problem.sites, power[:, first:end].sum(axis=1), strict=True)
        if watts > 0
    ]
    begun = [(one.id, row) for one, row in zip(problem.programmes, starts[:, first:end], strict=True)]
    begun += [(one.id, row) for one, row in zip(problem.prepayments, prepaid[:, first:end], strict=True)]
    for name, row in begun:
        said += [f"{name} in {problem.quarters[first + quarter]}" for quarter in np.flatnonzero(row > 0.5).tolist()]
    return ", ".join(said) or "nothing"


def _by_the_quarter(problem: Problem, row: int) -> bool:
    offer = problem.offers[row]
    return not offer.owned and offer.term == 1


def _ratio(found: Backtest, step: Step, name: str, known: list[int]) -> float | None:
    """The mean over the contracts known of expected over real values from the date on, less one."""
    problem, first = step.plan.problem, step.quarter
    ratios = []
    for row in known:
        real: Array = getattr(found.actual.offers[row], name)[first:]
        expected = step.plan.expected(getattr(problem.offers[row], name))[first:]
        there: NDArray[np.bool_] = (real > 0) & (found.actual.offers[row].allocation[first:] > 0)
        if there.any():
            ratios.append(_mean_ratio(expected[there], real[there]))
    told = [ratio for ratio in ratios if ratio is not None]
    return float(np.mean(told)) if told else None


def _mean_ratio(expected: Array, real: Array) -> float | None:
    return float(np.mean(expected / real)) - 1 if real.size and np.all(real > 0) else None


def _over(problem: Problem, plan: Plan) -> Array:
    return np.where(np.isfinite(problem.budget), np.maximum(0.0, cash_by_node(plan) - plan.debt - problem.budget), 0.0)


def words(found: Backtest) -> tuple[str, ...]:
    """The answer in a few sentences."""
    rows: list[Any] = list(policies_table(found).rows)
    foresight, ours, others = rows[0], rows[1], rows[2:]
    many = len(found.rolling.steps)
    said = [
        f"Deciding with what was known, at {many} dates, cost {USD.show(ours['cost_usd'])}, "
        f"{PERCENT.show(ours['more_than_foresight'])} more than knowing everything ({USD.show(foresight['cost_usd'])})."
    ]
    if others:
        named = ", ".join(f"{row['policy']}: {USD.show(row['cost_usd'])}" for row in others)
        said.append(f"Other ways cost: {named}.")
    if ours["over_budget_usd"] > 1:
        said.append(f"The plans broke the budget by {USD.show(ours['over_budget_usd'])} in all.")
    return tuple(said)
