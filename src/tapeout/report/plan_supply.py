"""What a plan chooses from: how each chip serves each model, and what each contract costs."""

from __future__ import annotations

from typing import Any

from tapeout.performance.best import Serving
from tapeout.report.numbers import COUNT, USD, NumberStyle
from tapeout.report.price_view import traffic
from tapeout.report.tables import Column, Table
from tapeout.study import PlanStudy


def serving_table(study: PlanStudy) -> Table:
    """How each chip serves each model best, with the deployment behind its throughput, or why it does not."""
    columns = (
        Column(key="model", heading="Model"),
        Column(key="chip", heading="Chip"),
        Column(key="deployment", heading="Deployment"),
        Column(key="goodput_requests_per_s", heading="Requests/s", style=NumberStyle(digits=3)),
        Column(key="tokens_per_s_per_chip", heading="Tokens/s per chip", style=NumberStyle(digits=3)),
        Column(key="low", heading="Low", style=NumberStyle(digits=3)),
        Column(key="high", heading="High", style=NumberStyle(digits=3)),
        Column(key="slo_attainment", heading="Keep limits", style=NumberStyle(digits=3, scale=100, suffix=" %")),
        Column(key="ttft_ms", heading="TTFT ms", style=NumberStyle(digits=3)),
        Column(key="tpot_ms", heading="TPOT ms", style=NumberStyle(digits=3)),
        Column(key="binding", heading="Bound by"),
        Column(key="emulation", heading="Emulated"),
    )
    rows: list[dict[str, Any]] = []
    for (chip, model), serving in study.servings.items():
        if isinstance(serving, Serving):
            found, rate = serving.prediction, serving.rate
            row = {"model": model, "chip": chip, "deployment": serving.label, "binding": found.binding, "emulation": found.emulation}
            speeds = {"tokens_per_s_per_chip": rate.value, "low": rate.low, "high": rate.high}
            rows.append(row | speeds | traffic(serving))
        else:
            rows.append({"model": model, "chip": chip, "deployment": serving.reason})
    note = "Under Poisson arrivals at the highest rate at which the wanted share keeps the limits; TTFT and TPOT are what that share stays "
    note += "below. 80 % bands."
    return Table(id="serving", title="How each chip serves each model", columns=columns, rows=rows, note=note)


def offers_table(study: PlanStudy) -> Table:
    """The contracts with their terms and what they cost in the first quarter."""
    columns = (
        Column(key="contract", heading="Contract"),
        Column(key="kind", heading="Kind"),
        Column(key="chip", heading="Chip"),
        Column(key="supplier", heading="Supplier"),
        Column(key="lead_quarters", heading="Lead, quarters", style=COUNT),
        Column(key="term_quarters", heading="Term, quarters", style=COUNT),
        Column(key="usd_per_hour", heading="Rent/h, first quarter", style=NumberStyle(prefix="$")),
        Column(key="unit_price_usd", heading="Price with server share", style=USD),
        Column(key="upkeep_usd_per_hour", heading="Upkeep/h", style=NumberStyle(prefix="$")),
        Column(key="power_w", heading="W with host", style=NumberStyle(digits=4)),
        Column(key="price_from", heading="Price from"),
    )
    rows = [
        {
            "contract": offer.id, "kind": offer.kind, "chip": offer.chip, "supplier": offer.supplier, "lead_quarters": offer.lead,
            "term_quarters": offer.term, "usd_per_hour": float(offer.rent[0]) or None, "unit_price_usd": float(offer.unit_price[0]) or None,
            "upkeep_usd_per_hour": float(offer.upkeep[0]) or None, "power_w": offer.power or None, "price_from": offer.source,
        }
        for offer in study.problem.offers
    ]  # fmt: skip
    return Table(id="offers", title="What each contract costs", columns=columns, rows=rows)
