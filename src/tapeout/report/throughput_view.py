"""What the bands of the throughputs do to a plan, as a table and as fields of `plan.json`."""

from __future__ import annotations

import dataclasses
from typing import Any

from tapeout.report.numbers import CENTS, PERCENT, USD
from tapeout.report.tables import Column, Table
from tapeout.sourcing.throughput_range import RULE, GenerationEffect, ThroughputRange
from tapeout.units import Usd

TOGETHER = "all, independently"


def throughput_table(cost: Usd, found: ThroughputRange) -> Table:
    """A row for each generation alone and one for all together, for a plan of this `cost`: the best orders' cost, and what its own do."""
    columns = (
        Column(key="generation", heading="Generation"),
        Column(key="cost_usd_low", heading="Best cost, high throughput", style=USD),
        Column(key="cost_usd_high", heading="Best cost, low throughput", style=USD),
        Column(key="query_usd_low", heading="A query as ordered, high", style=CENTS),
        Column(key="query_usd_high", heading="A query as ordered, low", style=CENTS),
        Column(key="unmet_low", heading="Not served as ordered, high", style=PERCENT),
        Column(key="unmet_high", heading="Not served as ordered, low", style=PERCENT),
    )
    rows = [{"generation": one.generation} | _ends(one) for one in found.generations]
    rows.append({"generation": TOGETHER} | _ends(found))
    note = (
        f"The plan costs {USD.show(cost)}. {RULE}. The best orders for other throughputs keep the programme starts and the power in "
        "modules; `as ordered` keeps every order of this plan, and a query there costs what it does over the whole horizon."
    )
    return Table(id="throughput-range", title="What the bands of the throughputs do", columns=columns, rows=rows, note=note)


def throughput_record(found: ThroughputRange | None) -> dict[str, Any]:
    """The ends of cost, cost per query and unmet share, and under `throughput_band` their rule and each generation's own; or nothing."""
    if found is None:
        return {}
    return {
        "cost_low_usd": found.cost_low,
        "cost_high_usd": found.cost_high,
        "levelised_cost_per_query_low_usd": found.query_low,
        "levelised_cost_per_query_high_usd": found.query_high,
        "unmet_share_low": found.unmet_low,
        "unmet_share_high": found.unmet_high,
        "throughput_band": {
            "rule": RULE,
            "orders": "costs are those of the best orders for these throughputs, with the programme starts and the power in modules as "
            "planned; cost per query and unmet share are those of the plan's own orders",
            "generations": {one.generation: _ends(one) for one in found.generations},
        },
    }


def _ends(one: GenerationEffect | ThroughputRange) -> dict[str, float]:
    fields = {"cost_low": "cost_usd_low", "cost_high": "cost_usd_high", "query_low": "query_usd_low", "query_high": "query_usd_high"}
    names = [field.name for field in dataclasses.fields(one) if field.name.endswith(("_low", "_high"))]
    return {fields.get(name, name): getattr(one, name) for name in names}
