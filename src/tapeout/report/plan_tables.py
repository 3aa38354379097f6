"""The tables of a plan, from its arrays: long, a row for each quarter (or node of the tree) and thing, as machines like them.

On one path a row names its quarter. On a tree it also has its node and the probability to come there, and the means over the futures
are made from the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tapeout.report.numbers import COUNT, MEGAWATTS, PER_SECOND, PERCENT, USD, USD_EXACT
from tapeout.report.tables import Column, Row, Table
from tapeout.sourcing.accounts import supplier_shares
from tapeout.sourcing.money import end_payments
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, ContractKind, Offer
from tapeout.sourcing.variables import ages

HOSTED = "hosted"
LEAST = 1e-6
AFTER = "after the last quarter"

QUARTER = Column(key="quarter", heading="Quarter")
NODE = Column(key="node", heading="Node", style=COUNT)
PROBABILITY = Column(key="probability", heading="Probability", style=PERCENT)
OFFER = (
    QUARTER,
    Column(key="chip", heading="Chip"),
    Column(key="contract", heading="Contract"),
    Column(key="supplier", heading="Supplier"),
)
CHIPS = Column(key="chips", heading="Chips", style=COUNT)

VALUES = (
    "chips", "installed", "running", "idle", "usd", "demand_queries_per_s", "served_queries_per_s", "unmet_queries_per_s", "share",
    "held_w", "used_w",
)  # fmt: skip
"""What is averaged over the futures, by key; `LABELS` stay, and all else belongs to a node."""
LABELS = (
    "quarter", "offer", "chip", "contract", "supplier", "site", "serves_from", "years", "how", "category", "model",
)  # fmt: skip


def plan_tables(plan: Plan) -> dict[str, Table]:
    """The plan's tables by id, by node: fleet, installed, orders, ended, spend, service, suppliers, power."""
    tables = [make(plan) for make in _TABLES]
    if len(plan.problem.tree.leaves) == 1:
        return {table.id: table for table in tables}
    probability = plan.problem.tree.probability
    found = {}
    for table in tables:
        rows = [dict(row) | {"probability": float(probability[row["node"]])} for row in table.rows]
        found[table.id] = replace(table, rows=rows, columns=(table.columns[0], NODE, PROBABILITY, *table.columns[1:]))
    return found


def mean_tables(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The tables of a tree by quarter: the means over all futures, in which a future without a row counts as zero."""
    return {name: _mean(table) for name, table in tables.items()}


def labelled(plan: Plan, index: int) -> str:
    """The name of a quarter, also of one after the last."""
    return plan.problem.quarters[index] if index < len(plan.problem.quarters) else AFTER


def contract_word(offer: Offer) -> str:
    """The kind of an offer for people."""
    return "own chip" if offer.kind is ContractKind.OWN else str(offer.kind)


def _mean(table: Table) -> Table:
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in table.rows:
        labels = {key: row[key] for key in LABELS if key in row}
        cells = sums.setdefault(tuple(labels.values()), labels | {key: 0.0 for key in VALUES if key in row})
        for key in VALUES:
            if key in row:
                cells[key] += row["probability"] * row[key]
    order = list(dict.fromkeys(row["quarter"] for row in table.rows))
    rows = sorted(sums.values(), key=lambda cells: order.index(cells["quarter"]))
    columns = tuple(column for column in table.columns if column.key in (*LABELS, *VALUES))
    note = " ".join(filter(None, (table.note, "Means over all futures.")))
    return replace(table, rows=rows, columns=columns, note=note)


def _at(plan: Plan) -> Iterator[tuple[int, Row]]:
    """Every node with the cells that place a row there, in the order of the quarters."""
    tree = plan.problem.tree
    for node in np.argsort(tree.quarter, kind="stable").tolist():
        cells: dict[str, Any] = {"quarter": plan.problem.quarters[tree.quarter[node]]}
        yield node, (cells if len(tree.leaves) == 1 else cells | {"node": node})


def _offer_rows(plan: Plan, size: Array) -> Iterator[tuple[int, int, Row]]:
    """Each node and offer at which `size` (O, N) is above nothing, with the cells of both."""
    for node, place in _at(plan):
        for index in np.flatnonzero(size[:, node] > LEAST).tolist():
            offer = plan.problem.offers[index]
            cells = {"offer": offer.id, "chip": offer.chip, "contract": contract_word(offer), "supplier": offer.supplier}
            yield node, index, dict(place) | cells


def _fleet_table(plan: Plan) -> Table:
    places = (HOSTED, *(site.id for site in plan.problem.sites))
    rows = [
        dict(cells) | {"site": places[place], "chips": float(plan.fleet[index, place, node])}
        for node, index, cells in _offer_rows(plan, plan.fleet.sum(axis=1))
        for place in np.flatnonzero(plan.fleet[index, :, node] > LEAST).tolist()
    ]
    return Table(id="fleet", title="Fleet in service", columns=(*OFFER, Column(key="site", heading="Site"), CHIPS), rows=rows)


def _installed_table(plan: Plan) -> Table:
    columns = (
        *OFFER,
        Column(key="installed", heading="Installed", style=COUNT),
        Column(key="running", heading="Running", style=COUNT),
        Column(key="idle", heading="Idle", style=COUNT),
    )
    running = plan.fleet.sum(axis=1)
    rows = [
        dict(cells)
        | {
            "installed": float(plan.installed[index, node]),
            "running": float(running[index, node]),
            "idle": float(max(0.0, plan.installed[index, node] - running[index, node])),
        }
        for node, index, cells in _offer_rows(plan, plan.installed)
    ]
    return Table(id="installed", title="Chips that are there", columns=columns, rows=rows)


def _orders_table(plan: Plan) -> Table:
    columns = (
        *OFFER,
        CHIPS,
        Column(key="serves_from", heading="Serves from"),
        Column(key="unit_price_usd", heading="Price of a chip", style=USD_EXACT),
        Column(key="rent_usd_per_hour", heading="Rent per hour", style=USD_EXACT),
    )
    rows = []
    for node, index, cells in _offer_rows(plan, plan.orders):
        offer = plan.problem.offers[index]
        terms = {
            "chips": float(plan.orders[index, node]),
            "serves_from": labelled(plan, int(plan.problem.tree.quarter[node]) + offer.lead),
            "unit_price_usd": float(offer.unit_price[node]) or None,
            "rent_usd_per_hour": float(offer.rent[node]) or None,
        }
        rows.append(dict(cells) | terms)
    return Table(id="orders", title="Orders", columns=columns, rows=rows)


def _ended_table(plan: Plan) -> Table:
    columns = (
        *OFFER,
        Column(key="how", heading="How"),
        Column(key="years", heading="After years", style=COUNT),
        CHIPS,
        Column(key="usd", heading="Paid", style=USD),
    )
    steps = ages(plan.problem)
    rows = []
    for node, index, cells in _offer_rows(plan, plan.ended.sum(axis=1)):
        how = "sold" if plan.problem.offers[index].owned else "given back"
        for place in np.flatnonzero(plan.ended[index, :, node] > LEAST).tolist():
            chips, paid = float(plan.ended[index, place, node]), end_payments(plan.problem, index, steps[place])
            ended = {"how": how, "years": steps[place] // 4, "chips": chips, "usd": float(paid[node]) * chips}
            rows.append(dict(cells) | ended)
    note = "What is received for chips that are sold is negative; what is given back costs a fee."
    return Table(id="ended", title="Chips sold or given back early", columns=columns, rows=rows, note=note)


def _spend_table(plan: Plan) -> Table:
    columns = (QUARTER, Column(key="category", heading="Category"), Column(key="usd", heading="Cash", style=USD))
    rows = [
        dict(place) | {"category": category, "usd": float(values[node])}
        for node, place in _at(plan)
        for category, values in plan.spend.items()
        if abs(values[node]) > LEAST
    ]
    return Table(id="spend", title="Spend", columns=columns, rows=rows, note="Cash of each quarter, not discounted; income is negative.")


def _service_table(plan: Plan) -> Table:
    columns = (
        QUARTER,
        Column(key="model", heading="Model"),
        Column(key="demand_queries_per_s", heading="Peak demand", style=PER_SECOND),
        Column(key="served_queries_per_s", heading="Served", style=PER_SECOND),
        Column(key="unmet_queries_per_s", heading="Not served", style=PER_SECOND),
    )
    served = plan.served.sum(axis=0)
    rows = [
        dict(place)
        | {
            "model": model,
            "demand_queries_per_s": float(plan.problem.demand[index, node]),
            "served_queries_per_s": float(served[index, node]),
            "unmet_queries_per_s": float(plan.unmet[index, node]),
        }
        for node, place in _at(plan)
        for index, model in enumerate(plan.problem.models)
    ]
    return Table(id="service", title="Demand and service", columns=columns, rows=rows, note="Queries per second at the provisioned peak.")


def _suppliers_table(plan: Plan) -> Table:
    shares = supplier_shares(plan)
    rows = [
        dict(place) | {"supplier": supplier, "share": float(share[node])}
        for node, place in _at(plan)
        for supplier, share in shares.items()
        if share[node] > LEAST
    ]
    columns = (QUARTER, Column(key="supplier", heading="Supplier"), Column(key="share", heading="Share of what is served", style=PERCENT))
    note = "Share of the queries served, weighted as the limit on the largest supplier counts them."
    return Table(id="suppliers", title="Supplier shares", columns=columns, rows=rows, note=note)


def _power_table(plan: Plan) -> Table:
    power = np.array([offer.power for offer in plan.problem.offers])
    used = np.einsum("o,osn->sn", power, plan.fleet[:, 1:, :])
    columns = (
        QUARTER,
        Column(key="site", heading="Site"),
        Column(key="held_w", heading="Power held", style=MEGAWATTS),
        Column(key="used_w", heading="Used by chips", style=MEGAWATTS),
    )
    rows = [
        dict(place) | {"site": site.id, "held_w": float(plan.site_power[index, node]), "used_w": float(used[index, node])}
        for node, place in _at(plan)
        for index, site in enumerate(plan.problem.sites)
    ]
    note = "Rated power of chips with their share of the host, before cooling."
    return Table(id="power", title="Power at sites", columns=columns, rows=rows, note=note)


_TABLES: Sequence[Callable[[Plan], Table]] = (
    _fleet_table, _installed_table, _orders_table, _ended_table, _spend_table, _service_table, _suppliers_table, _power_table,
)  # fmt: skip
