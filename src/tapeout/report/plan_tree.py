"""The decision tree of a plan as a chart: where the world branches and where something comes whole, with chances and the cost to go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapeout.outlook.tree import Tree
from tapeout.report.figures import Figure, Option, frame
from tapeout.report.numbers import COUNT, PERCENT, USD
from tapeout.report.plan_decisions import Decision, Kind, decisions
from tapeout.report.tables import Column, Table
from tapeout.sourcing.plan import Plan, discounts
from tapeout.sourcing.problem import Array

OPEN_LEVELS = 4
OPEN_LEAVES = 40
"""So many levels of the chart are open at first, or fewer where more points than these would stand one above the other."""
LEAF_HEIGHT = 42
MOST_ORDERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A node of the chart: `node` of the tree, the tree's nodes from there to the next point, its parent among the points."""

    node: int
    stretch: tuple[int, ...]
    parent: int


def cost_to_go(plan: Plan) -> Array:
    """Expected cost from each node on, given that it is reached, discounted to the first quarter, (N,).

    togo(n) = cost(n) + sum over children c of probability(c) / probability(n) x togo(c).
    """
    tree = plan.problem.tree
    reached = np.sum(list(plan.spend.values()), axis=0) * discounts(plan.problem) * tree.probability
    for quarter in range(tree.quarters - 1, 0, -1):
        nodes = np.flatnonzero(tree.quarter == quarter)
        np.add.at(reached, tree.parent[nodes], reached[nodes])
    return np.asarray(np.divide(reached, tree.probability, out=np.zeros_like(reached), where=tree.probability > 0), dtype=float)


def points(tree: Tree, lumps: Sequence[Decision]) -> tuple[Point, ...]:
    """The root, where branches begin and where something comes whole; parents stand before their children."""
    children = np.bincount(tree.parent[1:], minlength=tree.size)
    kept = np.zeros(tree.size, dtype=bool)
    kept[0] = True
    kept[1:] = children[tree.parent[1:]] > 1
    for one in lumps:
        kept |= one.amount > 0
    at, stretches = np.zeros(tree.size, dtype=np.int64), list[list[int]]()
    heads, parents = list[int](), list[int]()
    for node in range(tree.size):
        if kept[node]:
            at[node] = len(heads)
            heads.append(node)
            parents.append(int(at[tree.parent[node]]) if node else -1)
            stretches.append([node])
        else:
            at[node] = at[tree.parent[node]]
            stretches[at[node]].append(node)
    return tuple(Point(node=head, stretch=tuple(rows), parent=above) for head, rows, above in zip(heads, stretches, parents, strict=True))


def tree_table(plan: Plan) -> Table:
    """A row for each point of the decision tree: when, which branch, what is decided, how likely, and the cost from there on."""
    return _table(plan, points(plan.problem.tree, _lumps(plan)))


def tree_figure(plan: Plan) -> Figure:
    """The decision tree from left to right; coloured points decide something that comes whole."""
    found = points(plan.problem.tree, _lumps(plan))
    table = _table(plan, found)
    drawn: list[dict[str, Any]] = [_drawn(row) for row in table.rows]
    depth = [0] * len(found)
    for index, point in enumerate(found):
        if point.parent >= 0:
            depth[index] = depth[point.parent] + 1
            drawn[point.parent]["children"].append(drawn[index])
    ends = [not each["children"] for each in drawn]
    levels = next(level for level in range(OPEN_LEVELS, -1, -1) if _shown(depth, ends, level) <= OPEN_LEAVES)
    label: Option = {"position": "top", "align": "right", "verticalAlign": "bottom", "fontSize": 11, "color": "@ink", "distance": 6}
    label["lineHeight"] = 13
    series: Option = {
        "type": "tree", "name": "tree", "data": [drawn[0]], "orient": "LR", "symbol": "circle", "symbolSize": 9,
        "initialTreeDepth": levels, "expandAndCollapse": True, "left": 130, "right": 260, "top": 30,
        "bottom": 10, "edgeShape": "polyline", "edgeForkPosition": "8%",
        "lineStyle": {"color": "@soft", "width": 1.25}, "label": label, "animation": False, "emphasis": {"disabled": True},
        "leaves": {"label": label | {"position": "right", "align": "left", "verticalAlign": "middle"}},
    }  # fmt: skip
    option = frame() | {"series": [series]}
    option["tooltip"] = {"trigger": "item", "confine": True, "axisPointer": {"type": "none"}, "formatter": "@point"}
    del option["grid"]
    caption = "Where the world branches, with the chance of each branch, and where something that comes whole is decided (blue). "
    caption += "Press a point to open or close what follows; its tip has the chance to come there and the expected cost from there on."
    return Figure(
        id="decision-tree", title="The decision tree", caption=caption, option=option, keys=(), table=table, style=USD, wide=True,
        height=70 + LEAF_HEIGHT * max(4, _shown(depth, ends, levels)),
    )  # fmt: skip


def _shown(depth: Sequence[int], ends: Sequence[bool], levels: int) -> int:
    """Points one above the other when this many levels are open."""
    return sum(level == levels or (level < levels and end) for level, end in zip(depth, ends, strict=True))


def _lumps(plan: Plan) -> tuple[Decision, ...]:
    return tuple(one for one in decisions(plan) if one.lumpy)


def _table(plan: Plan, found: Sequence[Point]) -> Table:
    tree, togo, known = plan.problem.tree, cost_to_go(plan), decisions(plan)
    rows = []
    for index, point in enumerate(found):
        above = tree.parent[point.node]
        chance = tree.probability[point.node] / tree.probability[above] if above >= 0 else 1.0
        rows.append({
            "point": index, "parent": point.parent if point.parent >= 0 else None,
            "quarter": plan.problem.quarters[tree.quarter[point.node]], "branch": tree.names[point.node],
            "chance": float(chance), "probability": float(tree.probability[point.node]),
            "decided": "; ".join(_lump(one, point.node) for one in known if one.lumpy and one.amount[point.node] > 0),
            "orders": "; ".join(_orders(known, point)), "cost_to_go_usd": float(togo[point.node]),
        })  # fmt: skip
    columns = (
        Column(key="point", heading="Point", style=COUNT),
        Column(key="parent", heading="After", style=COUNT),
        Column(key="quarter", heading="Quarter"),
        Column(key="branch", heading="Branch"),
        Column(key="chance", heading="Its chance", style=PERCENT),
        Column(key="probability", heading="Probability", style=PERCENT),
        Column(key="decided", heading="Decided at once"),
        Column(key="orders", heading="Ordered until the next point"),
        Column(key="cost_to_go_usd", heading="Expected cost from there", style=USD),
    )
    note = "Costs from a point on are discounted to the first quarter."
    return Table(id="decision-tree", title="The decision tree", columns=columns, rows=rows, note=note)


def _lump(one: Decision, node: int) -> str:
    style = one.style
    return one.words if style is None else f"{style.show(float(one.amount[node]))} at {one.subject}"


def _orders(known: Sequence[Decision], point: Point) -> list[str]:
    nodes = list(point.stretch)
    sums = [(float(one.amount[nodes].sum()), one) for one in known if one.kind is Kind.ORDER]
    sums += [(float(one.amount[nodes].max()), one) for one in known if one.kind is Kind.RENT]
    ranked = sorted((pair for pair in sums if pair[0] >= 1), key=lambda pair: -pair[0])[:MOST_ORDERS]
    return [f"{count:,.0f} {one.subject} ({one.detail})" for count, one in ranked]


def _drawn(row: Any) -> dict[str, Any]:
    branch = f": {row['branch']}, {PERCENT.show(row['chance'])}" if row["branch"] else ""
    lines = [
        ("quarter", row["quarter"]),
        ("probability", PERCENT.show(row["probability"])),
        ("expected cost from here", USD.show(row["cost_to_go_usd"])),
        *((("decided", text) for text in row["decided"].split("; ")) if row["decided"] else ()),
        *((("ordered until the next point", text) for text in row["orders"].split("; ")) if row["orders"] else ()),
    ]
    name = "\n".join(filter(None, (f"{row['quarter']}{branch}", row["decided"].replace("; ", "\n"))))
    colour = "@series-0" if row["decided"] else "@other"
    return {"name": name, "lines": lines, "children": [], "itemStyle": {"color": colour, "borderColor": colour}}
