"""The page of a plan: the question and its answer first, then charts, tables, assumptions, sources and the certificate."""

from __future__ import annotations

from dataclasses import dataclass

from tapeout.report.figures import Figure
from tapeout.report.files import Input
from tapeout.report.numbers import CENTS, PERCENT, USD
from tapeout.report.page import KeyFigure, Page, Section, render
from tapeout.report.tables import Column, Table

DUST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which program read which files, and when; `date` is ISO and given by the caller."""

    version: str
    date: str
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """All that the page of a plan shows, ready to be set.

    `summary` answers `question` in a few sentences, the recommendation first. `actions` are the tables of what to do and when, with the
    charts `decisions` and the table `programmes` behind them; `proof` what shows how sure the plan is, the certificate first; `meaning`
    what more or less of something would be worth; `assumptions` and `sources` the tables of `assumptions.py`.
    """

    title: str
    question: str
    summary: tuple[str, ...]
    key_figures: tuple[KeyFigure, ...]
    actions: tuple[Table, ...]
    decisions: tuple[Figure, ...]
    programmes: Table
    figures: tuple[Figure, ...]
    proof: tuple[Table, ...]
    meaning: tuple[Table, ...]
    meaning_figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    assumptions: Table
    sources: Table
    provenance: Provenance
    notes: tuple[str, ...] = ()


def plan_page(view: PlanView) -> str:
    """The page of a plan as HTML; tables without rows and sections without content are left out."""
    proof = "The plan is compared with a bound that no plan can beat, and is simulated again by code that shares nothing with the solver."
    trust = "Every number that the plan rests on, with its range and where it was read. Guesses come first: they move the plan most easily."
    sections = (
        Section(id="actions", heading="What to do", tables=_filled(view.actions)),
        Section(id="decisions", heading="When, and if what", figures=view.decisions, tables=_filled((view.programmes,))),
        Section(id="charts", heading="The plan in charts", figures=view.figures),
        Section(id="certificate", heading="How sure it is", paragraphs=(proof,), tables=_filled(view.proof)),
        Section(id="meaning", heading="What more or less is worth", figures=view.meaning_figures, tables=_filled(view.meaning)),
        Section(id="tables", heading="The plan in numbers", tables=_filled(view.tables)),
        Section(id="assumptions", heading="What it rests on", paragraphs=(trust,), tables=(view.assumptions, view.sources)),
        *([Section(id="notes", heading="Notes", paragraphs=view.notes)] if view.notes else []),
        Section(id="provenance", heading="Inputs", tables=(inputs_table(view.provenance),)),
    )
    colophon = f"Tapeout {view.provenance.version}, {view.provenance.date}."
    return render(
        Page(
            title=view.title,
            question=view.question,
            lead=view.summary,
            key_figures=view.key_figures,
            sections=tuple(section for section in sections if section.figures or section.tables or section.id == "notes"),
            colophon=(colophon,),
        )
    )


def _filled(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    return tuple(table for table in tables if table.rows)


def plan_key_figures(
    *,
    cost: float,
    gap: float,
    first_cost_per_query: float,
    last_cost_per_query: float,
    unmet_share: float,
    own_chip: str,
    cost_range: tuple[float, ...] = (),
    futures: tuple[float, ...] = (),
) -> tuple[KeyFigure, ...]:
    """The numbers of the first screen: discounted cost in USD, USD per query at both ends, shares, the own chip's start.

    `cost_range` holds the cost at both ends of the throughputs' bands, `futures` the 5th and 95th percentile over the futures, or nothing.
    """
    proven = f"within {proven_gap(gap)} of the best possible"
    ends = f"; {' to '.join(USD.show(end) for end in cost_range)} in the bands of the throughputs" if cost_range else ""
    spread = f"; {' to '.join(USD.show(end) for end in futures)} in nine of ten futures" if futures else ""
    label = "Expected cost, discounted" if futures else "Total cost, discounted"
    return (
        KeyFigure(label=label, value=USD.show(cost), note=proven + spread + ends),
        KeyFigure(label="A query, first quarter", value=CENTS.show(first_cost_per_query)),
        KeyFigure(
            label="A query, last quarter", value=CENTS.show(last_cost_per_query), note=_change(first_cost_per_query, last_cost_per_query)
        ),
        KeyFigure(label="Demand not met", value=PERCENT.show(unmet_share), note="of all queries"),
        KeyFigure(label="Own chip", value=own_chip),
    )


def proven_gap(gap: float) -> str:
    """The gap as text, without the solver's dust."""
    return PERCENT.show(gap if gap > DUST else 0.0)


def _change(first: float, last: float) -> str:
    if not first > 0 or not last > 0:
        return ""
    return f"{PERCENT.show(1 - last / first)} less" if last <= first else f"{PERCENT.show(last / first - 1)} more"


def certificate_table(
    *, cost: float, goal: float, bound: float, gap: float, resimulated: float, status: str, violations: tuple[str, ...] = ()
) -> Table:
    """The plan's cost, its dual bound, the gap, and the cost and broken constraints that an independent re-simulation finds.

    `goal` is what was minimised, told where it is not the cost.
    """
    columns = (Column(key="check", heading="Check"), Column(key="text", heading="Result"))
    weighed = [{"check": "cost weighed with the worst futures, minimised", "text": USD.show(goal), "value": goal}] if goal != cost else []
    rows: list[dict[str, object]] = [
        {"check": "cost of the plan", "text": USD.show(cost), "value": cost},
        *weighed,
        {"check": "lower bound on any plan", "text": USD.show(bound), "value": bound},
        {"check": "gap between them", "text": proven_gap(gap), "value": gap},
        {"check": "cost when simulated again", "text": USD.show(resimulated), "value": resimulated},
        {"check": "difference, relative", "text": f"{abs(resimulated - cost) / max(abs(cost), 1.0):.1e}", "value": abs(resimulated - cost)},
        {"check": "constraints broken", "text": "; ".join(violations) or "none", "value": len(violations)},
        {"check": "solver's status", "text": status, "value": None},
    ]
    return Table(id="certificate", title="Certificate", columns=columns, rows=rows)


def inputs_table(provenance: Provenance) -> Table:
    """Every file that the run read, with its SHA-256."""
    columns = (Column(key="name", heading="File"), Column(key="sha256", heading="SHA-256"))
    rows: list[dict[str, object]] = [{"name": item.name, "sha256": item.sha256, "bytes": len(item.content)} for item in provenance.inputs]
    return Table(id="inputs", title="Files read", columns=columns, rows=rows)
