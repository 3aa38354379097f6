"""A study of a plan as a run: the page, the tables and `plan.json`, from the same rows, with every input hashed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tapeout.report.assumptions import assumptions_table, sources_table
from tapeout.report.files import Run
from tapeout.report.numbers import CENTS, COUNT, USD
from tapeout.report.plan_appraisal import appraisal, meaning_figures, meaning_tables, proof_tables
from tapeout.report.plan_decisions import first_year_table, triggers_table
from tapeout.report.plan_evidence import evidence, read_files
from tapeout.report.plan_expected import expected_record
from tapeout.report.plan_gantt import programmes_table
from tapeout.report.plan_page import PlanView, Provenance, certificate_table, plan_key_figures, plan_page, proven_gap
from tapeout.report.plan_paths import Paths, paths
from tapeout.report.plan_scenarios import nodes_table, quarters_table, scenarios_table
from tapeout.report.plan_supply import offers_table, serving_table
from tapeout.report.plan_tables import mean_tables, plan_tables
from tapeout.report.plan_view import cost_per_query_table, decision_figures, plan_figures
from tapeout.report.plan_words import own_chip_answer, programme_starts, summary
from tapeout.report.tables import Column, Table
from tapeout.report.throughput_view import throughput_record, throughput_table
from tapeout.sourcing.accounts import cash_by_node, fleet_by_chip, unmet_share
from tapeout.sourcing.plan import Plan
from tapeout.study import PlanStudy

REPORTED_QUERY_COST = 0.04
REFERENCE = "4 cents, reported in October 2023"
"""The cost of a query that the press reported of the story's lab [reuters-openai-own-chips]; drawn only where that source is cited."""

NOTES = (
    "Prices after the last published quote are held at it; prices before the first are taken back to it. Prices of later quarters are "
    "what was then published: the plan knows them, the company of the story did not.",
    "Throughputs are means in steady state on the serving software of today, inside the latency limits; early software did less.",
)
CERTAIN = (
    "The plan is deterministic: it takes every assumption at its value. What the bands of the throughputs would do to it is computed; "
    "the other ranges are shown, not yet planned against."
)
UNCERTAIN = (
    "What is decided at a point of the tree is decided for all futures that follow it, and knows nothing of what comes later. What the "
    "scenario does not say to be uncertain is taken at its value; its range is shown, not planned against."
)


def run(study: PlanStudy, *, version: str, date: str) -> Run:
    """Everything that `tapeout plan` writes; on a tree also the tables by node, which are too long for the page."""
    found = paths(study.plan)
    by_node = plan_tables(study.plan)
    tables = by_node if found.size == 1 else mean_tables(by_node)
    inputs = read_files(study)
    view = _view(study, found, tables, Provenance(version=version, date=date, inputs=inputs))
    written = (*view.actions, view.programmes, *view.proof, *view.meaning, *view.tables, view.assumptions, view.sources)
    if found.size > 1:
        written += tuple(replace(table, id=f"{name}-by-node") for name, table in by_node.items())
        written += (nodes_table(study.plan), quarters_table(study.plan, found))
        written += tuple(figure.table for figure in view.decisions if figure.id == "decision-tree")
    return Run(version=version, date=date, inputs=inputs, tables=written, page=plan_page(view), plan=plan_record(study))


def plan_record(study: PlanStudy) -> dict[str, Any]:
    """What `plan.json` holds: cost, bound, gap, re-simulated cost in USD; cost per query, cash and fleet by quarter; decisions.

    On a tree, what is by quarter is the mean over the futures (of a query's cost, expected cost over expected queries), and `scenarios`
    has each future. What ends in `_low` and `_high` are the ends of `throughput_band`, which says its rule.
    """
    plan, quarters, found, told = study.plan, study.plan.problem.quarters, paths(study.plan), appraisal(study)
    starts = {programme.id: None for programme in study.problem.programmes} | programme_starts(plan)
    return {
        "scenario": study.scenario.name,
        "status": plan.status,
        "cost_usd": plan.cost,
        "minimised_usd": plan.goal,
        "bound_usd": plan.bound,
        "gap": plan.gap,
        "resimulated_cost_usd": study.certificate.cost,
        "violations": study.certificate.violations,
        "cost_per_query_usd": dict(zip(quarters, found.mean_cost_per_query.tolist(), strict=True)),
        "levelised_cost_per_query_usd": found.mean_levelised,
        "unmet_share": unmet_share(plan),
        **throughput_record(study.throughput),
        **({"throughput_band_is_of_cost_usd": _central(study).cost} if study.throughput else {}),
        "cash_usd": dict(zip(quarters, plan.expected(cash_by_node(plan)).tolist(), strict=True)),
        "fleet": {chip: dict(zip(quarters, plan.expected(count).tolist(), strict=True)) for chip, count in fleet_by_chip(plan).items()},
        "programme_starts": starts,
        "programmes": {one.programme: {"most_to_pay_usd": one.most_to_pay, "spend_usd": one.spend} for one in told.worths},
        "first_year": first_year_table(plan).rows,
        "triggers": triggers_table(plan).rows,
        "scenarios": scenarios_table(plan, found).rows,
        "cost_of_worst_usd": {"share": found.tail, "mean_usd": found.worst_cost},
        "appraisal": {table.id: table.rows for table in (*proof_tables(told), *meaning_tables(plan, told))},
        "expected": expected_record(plan),
        "summary": list(summary(study, found)),
    }


def summary_table(study: PlanStudy) -> Table:
    """The plan by quarter, for the terminal: what is served, with which chips, at what cost; on a tree, means over the futures."""
    plan, quarters, found = study.plan, study.plan.problem.quarters, paths(study.plan)
    cash, per_query = plan.expected(cash_by_node(plan)), found.mean_cost_per_query
    fleets = {chip: plan.expected(count) for chip, count in fleet_by_chip(plan).items() if count.max() >= 1}
    demand = plan.expected(plan.problem.demand.sum(axis=0))
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
    means = "" if found.size == 1 else f" Numbers by quarter are means of {found.size} futures."
    proof = f" Cost {USD.show(plan.cost)}, bound {USD.show(plan.bound)}, gap {proven_gap(plan.gap)}."
    return Table(
        id="summary", title=study.scenario.title, columns=columns, rows=rows, note=" ".join(summary(study, found)) + proof + means
    )  # fmt: skip


def _view(study: PlanStudy, found: Paths, tables: dict[str, Table], provenance: Provenance) -> PlanView:
    plan, certain, told = study.plan, found.size == 1, appraisal(study)
    known = found.mean_cost_per_query[np.isfinite(found.mean_cost_per_query)]
    assumed = evidence(study)
    cited = {one.source for one in assumed}
    reference = (REPORTED_QUERY_COST, REFERENCE) if "reuters-openai-own-chips" in cited else (None, "")
    violations = tuple(name for name, size in study.certificate.violations.items() if size > 1e-6)
    bands = found.bands(found.cost)
    certificate = certificate_table(
        cost=plan.cost, goal=plan.goal, bound=plan.bound, gap=plan.gap, resimulated=study.certificate.cost, status=plan.status,
        violations=violations,
    )  # fmt: skip
    return PlanView(
        title=study.scenario.title,
        question=study.scenario.question,
        summary=summary(study, found),
        key_figures=plan_key_figures(
            cost=plan.cost,
            gap=plan.gap,
            first_cost_per_query=float(known[0]) if known.size else 0.0,
            last_cost_per_query=float(known[-1]) if known.size else 0.0,
            unmet_share=unmet_share(plan),
            own_chip=own_chip_answer(plan, len(study.problem.programmes)),
            cost_range=() if study.throughput is None or not certain else (study.throughput.cost_low, study.throughput.cost_high),
            futures=() if certain else (float(bands["p5"]), float(bands["p95"])),
        ),
        actions=(first_year_table(plan), triggers_table(plan)),
        decisions=decision_figures(plan),
        programmes=programmes_table(plan, [(one.id, float(one.spend.sum())) for one in study.problem.programmes]),
        figures=plan_figures(plan, tables, found, *reference),
        proof=(certificate, *_throughput_tables(study), *proof_tables(told)),
        meaning=meaning_tables(plan, told),
        meaning_figures=meaning_figures(told),
        tables=(
            *(() if certain else (scenarios_table(plan, found),)), *tables.values(), cost_per_query_table(plan, found),
            serving_table(study), offers_table(study),
        ),
        assumptions=assumptions_table(assumed),
        sources=sources_table(cited),
        provenance=provenance,
        notes=(*NOTES, CERTAIN if certain else UNCERTAIN),
    )  # fmt: skip


def _central(study: PlanStudy) -> Plan:
    """The plan around which the bands of the throughputs are taken: on a tree, the one for the mean of the futures."""
    return study.information.mean if study.information else study.plan


def _throughput_tables(study: PlanStudy) -> tuple[Table, ...]:
    if study.throughput is None:
        return ()
    table = throughput_table(_central(study).cost, study.throughput)
    return (replace(table, note=f"For the plan for the mean of the futures. {table.note}"),) if study.information else (table,)
