"""Charts of a plan, on the wide pivots of its tables: of the plan itself on one path, of means and bands over its futures on a tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tapeout.report.figures import (
    Figure,
    cost_per_query_figure,
    demand_figure,
    fleet_figure,
    power_figure,
    spend_figure,
    supplier_figure,
)
from tapeout.report.numbers import CENTS, COUNT, MEGAWATTS, PER_SECOND, PERCENT, USD, NumberStyle
from tapeout.report.plan_fans import concentration_figure, cost_figure, fan_figures
from tapeout.report.plan_gantt import gantt_figure
from tapeout.report.plan_paths import Paths
from tapeout.report.plan_tables import QUARTER
from tapeout.report.plan_tree import tree_figure
from tapeout.report.tables import Column, Row, Table, pivot
from tapeout.sourcing.plan import Plan

DEMAND, BLENDED, HELD, USED = "demand", "blended", "held", "used"


def decision_figures(plan: Plan) -> tuple[Figure, ...]:
    """The decision tree where there is one, and programmes and sites over time where there are some."""
    figures = [None if len(plan.problem.tree.leaves) == 1 else tree_figure(plan), gantt_figure(plan)]
    return tuple(figure for figure in figures if figure is not None)


def plan_figures(
    plan: Plan, tables: Mapping[str, Table], found: Paths, reference: float | None = None, reference_text: str = ""
) -> tuple[Figure, ...]:
    """The charts of a plan; `tables` have a row by quarter (on a tree, the means over its futures).

    `reference` is a level in US dollars per query to compare the cost with, named by `reference_text`.
    """
    quarters, certain = plan.problem.quarters, found.size == 1
    figures = [_means(fleet_figure(_wide(plan, tables["fleet"], "chip", "chips", COUNT)), certain)]
    if certain:
        figures.append(cost_per_query_figure(cost_per_query_table(plan, found), BLENDED, reference, reference_text))
        figures.append(spend_figure(_wide(plan, tables["spend"], "category", "usd", USD)))
        figures.append(demand_figure(_service_by_model(tables["service"]), DEMAND))
    else:
        per_query, demand, fleet, spend = fan_figures(quarters, found, reference, reference_text)
        spent = spend_figure(_wide(plan, tables["spend"], "category", "usd", USD))
        figures += [per_query, cost_figure(found), demand, fleet, spend, _means(spent, certain)]
        figures.append(_means(demand_figure(_service_by_model(tables["service"]), DEMAND), certain))
    shares = _wide(plan, tables["suppliers"], "supplier", "share", PERCENT)
    figures.append(_means(supplier_figure(shares, plan.problem.largest_share), certain))
    figures.append(concentration_figure(quarters, found))
    if plan.problem.sites:
        figures.append(_means(power_figure(_power_by_quarter(plan, tables["power"]), HELD, USED), certain))
    return tuple(figures)


def cost_per_query_table(plan: Plan, found: Paths) -> Table:
    """US dollars per query served, by quarter; what is not served is missing."""
    columns = (QUARTER, Column(key=BLENDED, heading="A query", style=CENTS))
    costs = found.mean_cost_per_query
    rows = [{"quarter": quarter, BLENDED: float(costs[index])} for index, quarter in enumerate(plan.problem.quarters)]
    return Table(id="cost-per-query", title="Cost of a query", columns=columns, rows=rows)


def _means(figure: Figure, certain: bool) -> Figure:
    return figure if certain else replace(figure, caption=f"{figure.caption} Means over all futures.")


def _wide(plan: Plan, table: Table, across: str, value: str, style: NumberStyle) -> Table:
    """The pivot of a long table by quarter, with a row for every quarter of the plan."""
    wide = pivot(table, index="quarter", across=across, value=value, style=style)
    found = {row["quarter"]: row for row in wide.rows}
    zeros: Row = {column.key: 0.0 for column in wide.columns[1:]}
    rows = [found.get(quarter, {"quarter": quarter} | dict(zeros)) for quarter in plan.problem.quarters]
    return replace(wide, rows=rows)


def _service_by_model(service: Table) -> Table:
    wide = pivot(service, index="quarter", across="model", value="served_queries_per_s", style=PER_SECOND)
    demand = pivot(service, index="quarter", across="quarter", value="demand_queries_per_s", style=PER_SECOND)
    totals = {row["quarter"]: row[row["quarter"]] for row in demand.rows}
    columns = (*wide.columns, Column(key=DEMAND, heading="demand, all models", style=PER_SECOND))
    return replace(wide, columns=columns, rows=[dict(row) | {DEMAND: totals[row["quarter"]]} for row in wide.rows])


def _power_by_quarter(plan: Plan, power: Table) -> Table:
    columns = (QUARTER, Column(key=HELD, heading="Power held", style=MEGAWATTS), Column(key=USED, heading="Used by chips", style=MEGAWATTS))
    rows = []
    for quarter in plan.problem.quarters:
        there = [row for row in power.rows if row["quarter"] == quarter]
        rows.append({"quarter": quarter, HELD: sum(row["held_w"] for row in there), USED: sum(row["used_w"] for row in there)})
    return replace(power, columns=columns, rows=rows)
