"""A study of a plan as a run: the page, the tables and `plan.json`, from the same rows, with every input hashed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeout.performance.best import Serving
from tapeout.report.assumptions import assumptions_table, sources_table
from tapeout.report.files import Run
from tapeout.report.numbers import CENTS, COUNT, USD, NumberStyle
from tapeout.report.plan_evidence import evidence, read_files
from tapeout.report.plan_page import PlanView, Provenance, certificate_table, plan_key_figures, plan_page, proven_gap
from tapeout.report.plan_view import cost_per_query_table, plan_figures, plan_tables
from tapeout.report.plan_words import own_chip_answer, programme_starts, summary
from tapeout.report.price_view import traffic
from tapeout.report.tables import Column, Table
from tapeout.report.throughput_view import throughput_record, throughput_table
from tapeout.sourcing.finance import cash_by_quarter, cost_per_query_by_quarter, fleet_by_chip, levelised_cost_per_query, unmet_share
from tapeout.study import PlanStudy

REPORTED_QUERY_COST = 0.04
REFERENCE = "4 cents, reported in October 2023"
"""The cost of a query that the press reported of the story's lab [reuters-openai-own-chips]; drawn only where that source is cited."""

NOTES = (
    "Prices after the last published quote are held at it; prices before the first are taken back to it. Prices of later quarters are "
    "what was then published: the plan knows them, the company of the story did not.",
    "Throughputs are means in steady state on the serving software of today, inside the latency limits; early software did less.",
    "The plan is deterministic: it takes every assumption at its value. What the bands of the throughputs would do to it is computed; "
    "the other ranges are shown, not yet planned against.",
)


def run(study: PlanStudy, *, version: str, date: str) -> Run:
    """Everything that `tapeout plan` writes."""
    tables = plan_tables(study.plan)
    inputs = read_files(study)
    extra = (serving_table(study), *_throughput_tables(study), _worth_table(study), _offers_table(study))
    view = _view(study, tables, extra, Provenance(version=version, date=date, inputs=inputs))
    written = (*view.tables, view.assumptions, view.sources, view.certificate)
    return Run(version=version, date=date, inputs=inputs, tables=written, page=plan_page(view), plan=plan_record(study))


def plan_record(study: PlanStudy) -> dict[str, Any]:
    """What `plan.json` holds: cost, bound, gap, re-simulated cost in USD; cost per query and cash by quarter; orders and starts.

    What ends in `_low` and `_high` are the ends of `throughput_band`, which says its rule.
    """
    plan, quarters = study.plan, study.plan.problem.quarters
    per_query = dict(zip(quarters, cost_per_query_by_quarter(plan).tolist(), strict=True))
    starts = {programme.id: None for programme in plan.problem.programmes} | programme_starts(plan)
    return {
        "scenario": study.scenario.name,
        "status": plan.status,
        "cost_usd": plan.cost,
        "bound_usd": plan.bound,
        "gap": plan.gap,
        "resimulated_cost_usd": study.certificate.cost,
        "violations": study.certificate.violations,
        "cost_per_query_usd": per_query,
        "levelised_cost_per_query_usd": levelised_cost_per_query(plan),
        "unmet_share": unmet_share(plan),
        **throughput_record(study.throughput),
        "cash_usd": dict(zip(quarters, cash_by_quarter(plan).tolist(), strict=True)),
        "fleet": {chip: dict(zip(quarters, count.tolist(), strict=True)) for chip, count in fleet_by_chip(plan).items()},
        "programme_starts": starts,
        "programmes": {one.programme: {"most_to_pay_usd": one.most_to_pay, "spend_usd": one.spend} for one in study.worths},
        "summary": list(summary(study)),
    }


def summary_table(study: PlanStudy) -> Table:
    """The plan by quarter, for the terminal: what is served, with which chips, at what cost."""
    plan, quarters = study.plan, study.plan.problem.quarters
    cash, per_query = cash_by_quarter(plan), cost_per_query_by_quarter(plan)
    fleets = {chip: count for chip, count in fleet_by_chip(plan).items() if count.max() >= 1}
    demand = plan.problem.demand.sum(axis=0)
    rows = [
        {"quarter": quarter, "demand": float(demand[q]), "cash_usd": float(cash[q]), "usd_per_query": float(per_query[q])}
        | {chip: float(count[q]) for chip, count in fleets.items()}
        for q, quarter in enumerate(quarters)
    ]
    columns = (
        Column(key="quarter", heading="Quarter"),
        Column(key="demand", heading="Queries/s at peak", style=COUNT),
        Column(key="cash_usd", heading="Cash", style=USD),
        Column(key="usd_per_query", heading="A query", style=CENTS),
        *(Column(key=chip, heading=chip.partition("-")[2] or chip, style=COUNT) for chip in fleets),
    )
    note = " ".join(summary(study)) + f" Cost {USD.show(plan.cost)}, bound {USD.show(plan.bound)}, gap {proven_gap(plan.gap)}."
    return Table(id="summary", title=study.scenario.title, columns=columns, rows=rows, note=note)


def _view(study: PlanStudy, tables: dict[str, Table], extra: tuple[Table, ...], provenance: Provenance) -> PlanView:
    plan = study.plan
    per_query = cost_per_query_by_quarter(plan)
    known = per_query[np.isfinite(per_query)]
    costs = cost_per_query_table(plan.problem.quarters, {}, per_query)
    assumed = evidence(study)
    cited = {one.source for one in assumed}
    reference = (REPORTED_QUERY_COST, REFERENCE) if "reuters-openai-own-chips" in cited else (None, "")
    violations = tuple(name for name, size in study.certificate.violations.items() if size > 1e-6)
    return PlanView(
        title=study.scenario.title,
        question=study.scenario.question,
        summary=summary(study),
        key_figures=plan_key_figures(
            cost=plan.cost,
            gap=plan.gap,
            first_cost_per_query=float(known[0]) if known.size else 0.0,
            last_cost_per_query=float(known[-1]) if known.size else 0.0,
            unmet_share=unmet_share(plan),
            own_chip=own_chip_answer(plan),
            cost_range=() if study.throughput is None else (study.throughput.cost_low, study.throughput.cost_high),
        ),
        figures=plan_figures(plan, tables, costs, *reference),
        tables=(*tables.values(), costs, *extra),
        assumptions=assumptions_table(assumed),
        sources=sources_table(cited),
        certificate=certificate_table(
            cost=plan.cost, bound=plan.bound, gap=plan.gap, resimulated=study.certificate.cost, status=plan.status, violations=violations
        ),
        provenance=provenance,
        notes=NOTES,
    )


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


def _throughput_tables(study: PlanStudy) -> tuple[Table, ...]:
    return () if study.throughput is None else (throughput_table(study.plan.cost, study.throughput),)


def _worth_table(study: PlanStudy) -> Table:
    columns = (
        Column(key="programme", heading="Programme"),
        Column(key="most_to_pay_usd", heading="Most to pay", style=USD),
        Column(key="spend_usd", heading="What it costs", style=USD),
    )
    rows = [{"programme": one.programme, "most_to_pay_usd": one.most_to_pay, "spend_usd": one.spend} for one in study.worths]
    note = "One-off spend, discounted to the first quarter; the most to pay is what its chips save against the best plan without it."
    return Table(id="programme-worth", title="What an own-chip programme is worth", columns=columns, rows=rows, note=note)


def _offers_table(study: PlanStudy) -> Table:
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
