"""Tables and charts of a plan, from its arrays.

Tables are long (a row for each quarter and thing), as machines like them; charts stand on their wide pivots. Array shapes:
orders, fleet, retired (O, 1 + S, Q), index 0 of the second axis hosted; served (O, M, Q); unmet (M, Q); site_power (S, Q); starts (P, Q).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tapeout.report.figures import (
    Figure,
    cost_per_query_figure,
    demand_figure,
    fleet_figure,
    power_figure,
    spend_figure,
    supplier_figure,
)
from tapeout.report.numbers import COUNT, MEGAWATTS, PER_SECOND, PERCENT, USD, USD_EXACT, NumberStyle
from tapeout.report.tables import Column, Row, Table, pivot
from tapeout.sourcing.finance import supplier_share_by_quarter
from tapeout.sourcing.problem import Array, ContractKind, Offer, Plan

HOSTED = "hosted"
LEAST = 1e-6

QUARTER = Column(key="quarter", heading="Quarter")
CHIPS = (
    QUARTER,
    Column(key="chip", heading="Chip"),
    Column(key="contract", heading="Contract"),
    Column(key="supplier", heading="Supplier"),
    Column(key="site", heading="Site"),
    Column(key="chips", heading="Chips", style=COUNT),
)
DEMAND, BLENDED, HELD, USED = "demand", "blended", "held", "used"


def plan_tables(plan: Plan) -> dict[str, Table]:
    """The plan's tables by id: fleet, orders, retirements, spend, service, suppliers, power, programmes."""
    tables = (
        _fleet_table(plan),
        _orders_table(plan),
        _retirements_table(plan),
        _spend_table(plan),
        _service_table(plan),
        _suppliers_table(plan),
        _power_table(plan),
        _programmes_table(plan),
    )
    return {table.id: table for table in tables}


def plan_figures(
    plan: Plan, tables: Mapping[str, Table], cost_per_query: Table | None = None, reference: float | None = None, reference_text: str = ""
) -> tuple[Figure, ...]:
    """The charts of a plan: fleet, cost per query, spend, demand, suppliers and, where the company holds sites, power.

    `tables` are those of `plan_tables`. `cost_per_query` is wide: quarter, then US dollars per query for each model and for `blended`;
    `reference` is a level in US dollars per query to compare it with, named by `reference_text`.
    """
    figures = [fleet_figure(_wide(plan, tables["fleet"], "chip", "chips", COUNT))]
    if cost_per_query is not None:
        figures.append(cost_per_query_figure(cost_per_query, BLENDED, reference, reference_text))
    figures.append(spend_figure(_wide(plan, tables["spend"], "category", "usd", USD)))
    figures.append(demand_figure(_service_by_model(plan, tables["service"]), DEMAND))
    share = plan.problem.largest_share
    figures.append(supplier_figure(_wide(plan, tables["suppliers"], "supplier", "share", PERCENT), share))
    if len(plan.problem.sites):
        figures.append(power_figure(_power_by_quarter(plan, tables["power"]), HELD, USED))
    return tuple(figures)


def cost_per_query_table(quarters: tuple[str, ...], by_model: Mapping[str, Array], blended: Array) -> Table:
    """US dollars per query served, by quarter: one column for each model and one for the blend; what is not served is missing."""
    cents = NumberStyle(scale=100, suffix=" ¢")
    columns = (
        QUARTER,
        *(Column(key=name, heading=name, style=cents) for name in by_model),
        Column(key=BLENDED, heading="blended", style=cents),
    )
    rows = [
        {"quarter": quarter} | {name: values[index] for name, values in by_model.items()} | {BLENDED: blended[index]}
        for index, quarter in enumerate(quarters)
    ]
    return Table(id="cost-per-query", title="Cost of a query", columns=columns, rows=rows)


def _fleet_table(plan: Plan) -> Table:
    return Table(id="fleet", title="Fleet in service", columns=CHIPS, rows=list(_counts(plan, plan.fleet)))


def _orders_table(plan: Plan) -> Table:
    columns = (
        *CHIPS,
        Column(key="serves_from", heading="Serves from"),
        Column(key="unit_price_usd", heading="Price of a chip", style=USD_EXACT),
        Column(key="rent_usd_per_hour", heading="Rent per hour", style=USD_EXACT),
    )
    return Table(
        id="orders", title="Orders", columns=columns, rows=[dict(row) | dict(_terms(plan, row)) for row in _counts(plan, plan.orders)]
    )


def _terms(plan: Plan, row: Row) -> Row:
    offer = next(offer for offer in plan.problem.offers if offer.id == row["offer"])
    quarter = plan.problem.quarters.index(row["quarter"])
    price, rent = float(offer.unit_price[quarter]), float(offer.rent[quarter])
    return {"serves_from": _quarter_after(plan, quarter + offer.lead), "unit_price_usd": price or None, "rent_usd_per_hour": rent or None}


def _quarter_after(plan: Plan, index: int) -> str:
    return plan.problem.quarters[index] if index < len(plan.problem.quarters) else "after the last quarter"


def _retirements_table(plan: Plan) -> Table:
    columns = (
        QUARTER,
        Column(key="chip", heading="Chip"),
        Column(key="site", heading="Site"),
        Column(key="chips", heading="Chips", style=COUNT),
    )
    return Table(id="retirements", title="Chips retired early", columns=columns, rows=list(_counts(plan, plan.retired)))


def _spend_table(plan: Plan) -> Table:
    columns = (QUARTER, Column(key="category", heading="Category"), Column(key="usd", heading="Cash", style=USD))
    rows = [
        {"quarter": quarter, "category": category, "usd": float(values[index])}
        for index, quarter in enumerate(plan.problem.quarters)
        for category, values in plan.spend.items()
        if abs(values[index]) > LEAST
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
        {
            "quarter": quarter,
            "model": model,
            "demand_queries_per_s": float(plan.problem.demand[m, q]),
            "served_queries_per_s": float(served[m, q]),
            "unmet_queries_per_s": float(plan.unmet[m, q]),
        }
        for q, quarter in enumerate(plan.problem.quarters)
        for m, model in enumerate(plan.problem.models)
    ]
    return Table(id="service", title="Demand and service", columns=columns, rows=rows, note="Queries per second at the provisioned peak.")


def _suppliers_table(plan: Plan) -> Table:
    shares = supplier_share_by_quarter(plan)
    rows = [
        {"quarter": quarter, "supplier": supplier, "share": float(share[q])}
        for q, quarter in enumerate(plan.problem.quarters)
        for supplier, share in shares.items()
        if share[q] > LEAST
    ]
    columns = (QUARTER, Column(key="supplier", heading="Supplier"), Column(key="share", heading="Share of what is served", style=PERCENT))
    note = "Share of the queries served, weighted as the limit on the largest supplier counts them."
    return Table(id="suppliers", title="Supplier shares", columns=columns, rows=rows, note=note)


def _power_table(plan: Plan) -> Table:
    power = np.array([offer.power for offer in plan.problem.offers])
    used = np.einsum("o,osq->sq", power, plan.fleet[:, 1:, :])
    columns = (
        QUARTER,
        Column(key="site", heading="Site"),
        Column(key="held_w", heading="Power held", style=MEGAWATTS),
        Column(key="used_w", heading="Used by chips", style=MEGAWATTS),
    )
    rows = [
        {"quarter": quarter, "site": site.id, "held_w": float(plan.site_power[s, q]), "used_w": float(used[s, q])}
        for q, quarter in enumerate(plan.problem.quarters)
        for s, site in enumerate(plan.problem.sites)
    ]
    note = "Rated power of chips with their share of the host, before cooling."
    return Table(id="power", title="Power at sites", columns=columns, rows=rows, note=note)


def _programmes_table(plan: Plan) -> Table:
    columns = (
        Column(key="programme", heading="Programme"),
        Column(key="started", heading="Started", tag=True),
        Column(key="quarter", heading="Start"),
        Column(key="first_orders", heading="First orders"),
        Column(key="spend_usd", heading="Whole programme", style=USD),
    )
    rows = []
    for p, programme in enumerate(plan.problem.programmes):
        started = np.flatnonzero(plan.starts[p] > 0.5)
        start = int(started[0]) if started.size else None
        times = {
            "quarter": None if start is None else plan.problem.quarters[start],
            "first_orders": None if start is None else _quarter_after(plan, start + programme.lead),
        }
        rows.append({"programme": programme.id, "started": start is not None} | times | {"spend_usd": float(programme.spend.sum())})
    return Table(id="programmes", title="Own-chip programmes", columns=columns, rows=rows)


def _counts(plan: Plan, chips: Array) -> Iterator[Row]:
    places = (HOSTED, *(site.id for site in plan.problem.sites))
    for q, quarter in enumerate(plan.problem.quarters):
        for o, offer in enumerate(plan.problem.offers):
            for place, name in enumerate(places):
                if chips[o, place, q] > LEAST:
                    yield {"quarter": quarter, **_offer_cells(offer)} | {"site": name, "chips": float(chips[o, place, q])}


def _offer_cells(offer: Offer) -> Row:
    kind = "own chip" if offer.kind is ContractKind.OWN else str(offer.kind)
    return {"offer": offer.id, "chip": offer.chip, "contract": kind, "supplier": offer.supplier}


def _wide(plan: Plan, table: Table, across: str, value: str, style: NumberStyle) -> Table:
    """The pivot of a long table by quarter, with a row for every quarter of the plan."""
    wide = pivot(table, index="quarter", across=across, value=value, style=style)
    return _every_quarter(plan, wide)


def _every_quarter(plan: Plan, wide: Table) -> Table:
    found = {row["quarter"]: row for row in wide.rows}
    zeros: Row = {column.key: 0.0 for column in wide.columns[1:]}
    rows = [found.get(quarter, {"quarter": quarter} | dict(zeros)) for quarter in plan.problem.quarters]
    return Table(id=wide.id, title=wide.title, columns=wide.columns, rows=rows, note=wide.note)


def _service_by_model(plan: Plan, service: Table) -> Table:
    wide = pivot(service, index="quarter", across="model", value="served_queries_per_s", style=PER_SECOND)
    demand = pivot(service, index="quarter", across="quarter", value="demand_queries_per_s", style=PER_SECOND)
    totals = {row["quarter"]: row[row["quarter"]] for row in demand.rows}
    columns = (*wide.columns, Column(key=DEMAND, heading="demand, all models", style=PER_SECOND))
    rows = [dict(row) | {DEMAND: totals[row["quarter"]]} for row in wide.rows]
    return Table(id=wide.id, title=wide.title, columns=columns, rows=rows)


def _power_by_quarter(plan: Plan, power: Table) -> Table:
    columns = (QUARTER, Column(key=HELD, heading="Power held", style=MEGAWATTS), Column(key=USED, heading="Used by chips", style=MEGAWATTS))
    rows = []
    for quarter in plan.problem.quarters:
        there = [row for row in power.rows if row["quarter"] == quarter]
        rows.append({"quarter": quarter, HELD: sum(row["held_w"] for row in there), USED: sum(row["used_w"] for row in there)})
    return Table(id=power.id, title=power.title, columns=columns, rows=rows)
