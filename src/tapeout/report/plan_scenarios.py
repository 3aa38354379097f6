"""The futures of a plan as tables: each scenario, each of its quarters, and the nodes of the tree."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeout.report.numbers import CENTS, COUNT, PER_SECOND, USD
from tapeout.report.plan_courses import courses_by_leaf
from tapeout.report.plan_paths import Paths
from tapeout.report.plan_tables import NODE, PROBABILITY, QUARTER
from tapeout.report.plan_tree import cost_to_go
from tapeout.report.tables import Column, Table
from tapeout.sourcing.plan import Plan

SCENARIO = Column(key="scenario", heading="Future")


def scenarios_table(plan: Plan, found: Paths) -> Table:
    """A row for each future: its probability, what the plan costs in it and which programmes run."""
    columns = (
        SCENARIO,
        PROBABILITY,
        Column(key="cost_usd", heading="Discounted cost", style=USD),
        Column(key="usd_per_query", heading="A query, levelised", style=CENTS),
        Column(key="peak_chips", heading="Most chips", style=COUNT),
        Column(key="programmes", heading="Programmes"),
    )
    begun = courses_by_leaf(plan)
    rows: list[dict[str, Any]] = []
    for index, name in enumerate(found.names):
        started = [f"{one.programme} from {plan.problem.quarters[one.start]}: {one.outcome}" for one in begun[index]]
        rows.append({
            "scenario": name, "probability": float(found.probability[index]), "cost_usd": float(found.cost[index]),
            "usd_per_query": float(found.levelised[index]), "peak_chips": float(found.chips[index].max()),
            "programmes": "; ".join(started) or "none", "leaf": int(found.nodes[index, -1]),
        })  # fmt: skip
    note = "A query's cost is levelised: discounted economic cost over discounted queries."
    return Table(id="scenarios", title="The plan in each future", columns=columns, rows=rows, note=note)


def quarters_table(plan: Plan, found: Paths) -> Table:
    """A row for each future and quarter, with the node of the tree that holds it."""
    columns = (
        SCENARIO,
        QUARTER,
        NODE,
        Column(key="demand_queries_per_s", heading="Peak demand", style=PER_SECOND),
        Column(key="chips", heading="Chips", style=COUNT),
        Column(key="cash_usd", heading="Cash", style=USD),
        Column(key="usd_per_query", heading="A query", style=CENTS),
    )
    costs = found.cost_per_query
    rows = [
        {
            "scenario": name, "probability": float(found.probability[index]), "quarter": quarter, "node": int(found.nodes[index, place]),
            "demand_queries_per_s": float(found.demand[index, place]), "queries": float(found.queries[index, place]),
            "chips": float(found.chips[index, place]), "cash_usd": float(found.cash[index, place]),
            "economic_cost_usd": float(found.economic[index, place]), "usd_per_query": float(costs[index, place]),
            "concentration": float(found.concentration[index, place]),
        }
        for index, name in enumerate(found.names)
        for place, quarter in enumerate(plan.problem.quarters)
    ]  # fmt: skip
    return Table(id="scenario-quarters", title="Each quarter of each future", columns=columns, rows=rows)


def nodes_table(plan: Plan) -> Table:
    """The nodes of the tree: quarter, parent, probability, the branch that begins there, and the expected cost from there on."""
    tree, togo = plan.problem.tree, cost_to_go(plan)
    columns = (
        NODE,
        Column(key="parent", heading="After", style=COUNT),
        QUARTER,
        PROBABILITY,
        Column(key="branch", heading="Branch"),
        Column(key="cost_to_go_usd", heading="Expected cost from there", style=USD),
    )
    rows = [
        {
            "node": node, "parent": int(tree.parent[node]) if node else None, "quarter": plan.problem.quarters[tree.quarter[node]],
            "probability": float(tree.probability[node]), "branch": tree.names[node], "cost_to_go_usd": float(togo[node]),
        }
        for node in np.arange(tree.size).tolist()
    ]  # fmt: skip
    return Table(id="nodes", title="The tree of the futures", columns=columns, rows=rows)
