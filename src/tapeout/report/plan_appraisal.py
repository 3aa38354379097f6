"""What the numbers of a plan mean, as tables: how it fares in fresh futures, and what more or less of something is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tapeout.appraisal.acceleration import EarlierSilicon
from tapeout.appraisal.alternatives import Aggregate, NearOptimal
from tapeout.appraisal.information import Information
from tapeout.appraisal.meaning import Meaning
from tapeout.appraisal.out_of_sample import PLAN, Fared
from tapeout.appraisal.prices import ShadowPrices
from tapeout.appraisal.worth import AccelerationWorth, ContractWorth, DiscountWorth, ProgrammeWorth
from tapeout.outlook.reduction import Reduced
from tapeout.report.figures import Figure
from tapeout.report.numbers import CENTS, MEGAWATTS, PERCENT, USD, USD_EXACT
from tapeout.report.plan_tornado import tornado_figure, tornado_table
from tapeout.report.tables import Column, Table
from tapeout.sourcing.plan import Plan
from tapeout.study import PlanStudy
from tapeout.units import Usd

WHAT = {
    Aggregate.SUPPLIER: "queries served by chips of a supplier",
    Aggregate.RENTED: "queries served by rented chips",
    Aggregate.POWER: "mean power held",
}
MOST_TO_PAY = Column(key="most_to_pay_usd", heading="Most to pay", style=USD)
LOW, HIGH = Column(key="low_usd", heading="At least", style=USD), Column(key="high_usd", heading="At most", style=USD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """What a study found out about its plan beyond the plan; None or empty is what it did not look at."""

    worths: tuple[ProgrammeWorth, ...] = ()
    information: Information | None = None
    fared: tuple[Fared, ...] = ()
    reduced: Reduced | None = None
    meaning: Meaning | None = None
    targets: Mapping[str, Usd] = field(default_factory=dict)


def appraisal(study: PlanStudy) -> Appraisal:
    """The appraisal that a study carries."""
    return Appraisal(
        worths=study.worths, information=study.information, fared=study.out_of_sample, reduced=study.reduced, meaning=study.meaning,
        targets=study.targets,
    )  # fmt: skip


def proof_tables(found: Appraisal) -> tuple[Table, ...]:
    """What shows how good the plan is beside others."""
    tables = [] if found.information is None else [information_table(found.information)]
    tables += [out_of_sample_table(found.fared)] if found.fared else []
    tables += [] if found.reduced is None else [reduction_table(found.reduced)]
    return tuple(tables)


def meaning_tables(plan: Plan, found: Appraisal) -> tuple[Table, ...]:
    """What more or less of something is worth."""
    quarters, known = plan.problem.quarters, found.meaning
    tables = [programmes_worth_table(found.worths, found.targets)]
    if known is not None:
        tables += [accelerations_table(known.accelerations), earlier_table(known.earlier), contracts_worth_table(known.contracts)]
        tables += [discounts_table(known.discounts), alternatives_table(known.alternatives), tornado_table(known.tornado)]
        tables += [scarcity_table(quarters, known.prices), prices_table(quarters, known.prices), query_cost_table(plan, known.prices)]
    return tuple(table for table in tables if table.rows)


def meaning_figures(found: Appraisal) -> tuple[Figure, ...]:
    """The charts of the same."""
    return (tornado_figure(found.meaning.tornado),) if found.meaning is not None and found.meaning.tornado.bars else ()


def information_words(found: Information | None) -> str:
    """What it would be worth to know what comes, and what it is worth to plan for all of it, in a sentence."""
    if found is None:
        return ""
    knowing = f"To know from the start which future comes would save at most {USD.show(found.evpi_at_most)}"
    if not math.isfinite(found.vss):
        return f"{knowing}; who begins with the plan for the mean comes to futures in which no plan is left."
    return f"{knowing}; to plan for all of them rather than for their mean saves {USD.show(max(0.0, found.vss))}."


def fared_words(found: Sequence[Fared]) -> str:
    """How the plan fares in futures that it was not made for, beside the best of the other policies, in a sentence."""
    others = [one for one in found if one.policy != PLAN]
    if not others:
        return ""
    ours, best = next(one for one in found if one.policy == PLAN), min(others, key=lambda one: one.cost)
    unmet = f" with {PERCENT.show(ours.unmet)} of the queries not served" if ours.unmet > 0 else ""
    return (
        f"Followed through fresh futures, not those that it was made for, it costs {USD.show(ours.cost)} in the mean{unmet}; "
        f"the best of the other policies, {best.policy}, costs {USD.show(best.cost)}."
    )


def information_table(found: Information) -> Table:
    """The expected value of perfect information and the value of the stochastic solution."""
    columns = (Column(key="what", heading="What it is worth"), Column(key="usd", heading="Worth", style=USD), LOW, HIGH)
    rows: list[dict[str, Any]] = [
        {"what": "to know from the start which future comes (EVPI)", "usd": None, "low_usd": 0.0, "high_usd": found.evpi_at_most},
        {
            "what": "to plan for all futures rather than for their mean (VSS)", "usd": found.vss, "low_usd": found.vss_at_least,
            "high_usd": found.vss_at_most,
        },
        {"what": "cost of who begins with the plan for the mean", "usd": found.begun_with_mean, "low_usd": None, "high_usd": None},
    ]  # fmt: skip
    return Table(id="information", title="What knowing is worth", columns=columns, rows=rows, note=found.reason)


def reduction_table(found: Reduced) -> Table:
    """How far the futures planned for are from all that the scenario's processes allow."""
    columns = (Column(key="what", heading="Futures"), Column(key="text", heading="Result"))
    rows: list[dict[str, Any]] = [
        {"what": "scenarios of the processes", "text": f"{len(found.stands_for):,}", "value": len(found.stands_for)},
        {"what": "scenarios planned for", "text": f"{found.scenarios.size:,}", "value": found.scenarios.size},
        {"what": "mean distance between one and the one that stands for it", "text": PERCENT.show(found.distance), "value": found.distance},
        {"what": "largest error of a mean", "text": PERCENT.show(found.mean_error), "value": found.mean_error},
    ]
    note = "The distance is the mean relative difference of an assumption in a quarter, weighed by how much each counts."
    return Table(id="reduction", title="Which futures are planned for", columns=columns, rows=rows, note=note)


def out_of_sample_table(found: Sequence[Fared]) -> Table:
    """The plan beside simple policies in futures that none of them was made for, the cheapest first."""
    columns = (
        Column(key="policy", heading="Policy"),
        Column(key="cost_usd", heading="Expected cost", style=USD),
        Column(key="low_usd", heading="5 %", style=USD),
        Column(key="high_usd", heading="95 %", style=USD),
        Column(key="unmet_share", heading="Queries not served", style=PERCENT),
        Column(key="over_budget_share", heading="Quarters over budget", style=PERCENT),
        Column(key="shares_broken_share", heading="Quarters over a supplier limit", style=PERCENT),
    )
    rows = [
        {
            "policy": one.policy, "cost_usd": one.cost, "low_usd": one.low, "high_usd": one.high, "unmet_share": one.unmet,
            "over_budget_share": one.over_budget, "shares_broken_share": one.shares_broken,
        }
        for one in sorted(found, key=lambda one: one.cost)
    ]  # fmt: skip
    note = "Fresh futures drawn from the same processes; costs are discounted, penalties for what is not served included."
    return Table(id="out-of-sample", title="Out of sample, beside simple policies", columns=columns, rows=rows, note=note)


def programmes_worth_table(found: Sequence[ProgrammeWorth], targets: Mapping[str, Usd]) -> Table:
    """The one-off spend at which starting a programme and not starting it cost the same, beside what it costs.

    `targets` are the prices of the companies that acquisitions buy, by programme.
    """
    rows = [
        {
            "programme": one.programme, "most_to_pay_usd": one.most_to_pay, "low_usd": one.low, "high_usd": one.high,
            "spend_usd": one.spend,
            "most_for_target_usd": one.most_for_target(targets[one.programme]) if one.programme in targets else None,
        }
        for one in found
    ]  # fmt: skip
    columns = (
        Column(key="programme", heading="Programme"), MOST_TO_PAY, LOW, HIGH, Column(key="spend_usd", heading="Costs", style=USD),
        *([Column(key="most_for_target_usd", heading="Most for the company", style=USD)] if targets else []),
    )  # fmt: skip
    note = "One-off spend, discounted to the first quarter; the most to pay is what its chips save against the best plan without it."
    return Table(id="programme-worth", title="What an own-chip programme is worth", columns=columns, rows=rows, note=note)


def accelerations_table(found: Sequence[AccelerationWorth]) -> Table:
    """The most to pay for a programme that delivers a quarter sooner."""
    columns = (Column(key="programme", heading="Programme"), MOST_TO_PAY, LOW, HIGH)
    rows = [{"programme": one.programme, "most_to_pay_usd": one.most_to_pay, "low_usd": one.low, "high_usd": one.high} for one in found]
    return Table(id="acceleration-worth", title="What a quarter of earlier silicon is worth", columns=columns, rows=rows)


def earlier_table(found: Sequence[EarlierSilicon]) -> Table:
    """What earlier chips of the programmes in the plan are worth."""
    columns = (
        Column(key="programme", heading="Programme"),
        Column(key="week_usd", heading="A week", style=USD),
        Column(key="quarter_usd", heading="A quarter", style=USD),
    )
    rows = [{"programme": one.programme, "week_usd": one.week, "quarter_usd": one.quarter} for one in found]
    note = "All that comes whole kept as planned, discounted."
    return Table(id="earlier-silicon", title="What earlier silicon is worth", columns=columns, rows=rows, note=note)


def contracts_worth_table(found: Sequence[ContractWorth]) -> Table:
    """What having each contract on offer is worth beyond its price, dearest first."""
    columns = (
        Column(key="contract", heading="Contract"),
        MOST_TO_PAY,
        Column(key="usd_per_hour", heading="More per chip-hour", style=USD_EXACT),
        Column(key="noise_usd", heading="Not known better than", style=USD),
    )
    rows = [
        {
            "contract": one.offer, "most_to_pay_usd": one.most_to_pay, "usd_per_hour": one.per_hour, "chip_hours": one.chip_hours,
            "noise_usd": one.noise,
        }
        for one in sorted(found, key=lambda one: -one.most_to_pay)
    ]  # fmt: skip
    note = "Against the plan without it, all that comes whole kept as planned, so at most this."
    return Table(id="contract-worth", title="What each contract is worth beyond its price", columns=columns, rows=rows, note=note)


def discounts_table(found: Sequence[DiscountWorth]) -> Table:
    """What a discount on all that a supplier offers is worth, and up to which one the planned orders stay the best."""
    columns = (
        Column(key="supplier", heading="Supplier"),
        Column(key="discount", heading="Discount", style=PERCENT),
        Column(key="worth_usd", heading="Worth at least", style=USD),
        Column(key="kept_until", heading="Orders stay until", style=PERCENT),
    )
    rows = [
        {"supplier": one.supplier, "discount": depth, "worth_usd": worth, "kept_until": one.kept_until}
        for one in found
        for depth, worth in zip(one.discounts.tolist(), one.worth.tolist(), strict=True)
    ]
    return Table(id="discount-worth", title="What a supplier's discount is worth", columns=columns, rows=rows)


def alternatives_table(found: Sequence[NearOptimal]) -> Table:
    """How far the plan can be turned within a little more cost: what the optimum does not care about."""
    columns = (
        Column(key="slack", heading="Cost more", style=PERCENT),
        Column(key="what", heading="What"),
        Column(key="subject", heading="Of"),
        Column(key="planned_text", heading="Planned"),
        Column(key="low_text", heading="At least"),
        Column(key="high_text", heading="At most"),
    )
    rows: list[dict[str, Any]] = []
    for one in found:
        for each in one.ranges:
            style = MEGAWATTS if each.aggregate is Aggregate.POWER else PERCENT
            ends = {"planned": each.planned, "low": each.low, "high": each.high}
            texts = {f"{name}_text": style.show(value) for name, value in ends.items()}
            rows.append(
                {"slack": one.slack, "what": WHAT[each.aggregate], "subject": each.subject} | ends | texts | {"unit": each.unit.symbol}
            )
    most = "; ".join(f"within {PERCENT.show(one.slack)}, {PERCENT.show(one.distance)}" for one in found)
    note = f"Starts and modules of power stay as planned. Queries that other contracts can serve than in the plan: {most}."
    return Table(id="alternatives", title="What hardly changes the cost", columns=columns, rows=rows, note=note)


def scarcity_table(quarters: tuple[str, ...], prices: ShadowPrices) -> Table:
    """What one more of each scarce thing is worth in the quarter in which it is worth most, and in all quarters together."""
    columns = (
        Column(key="what", heading="One more"),
        Column(key="subject", heading="Of"),
        Column(key="most_usd", heading="Worth most", style=USD_EXACT),
        Column(key="quarter", heading="In"),
        Column(key="all_usd", heading="In every quarter, present value", style=USD_EXACT),
    )
    rows: list[dict[str, Any]] = []
    for one in prices.prices:
        best = int(np.argmax(np.abs(one.nominal)))
        what = {"constraint": one.constraint, "what": one.meaning, "subject": one.subject, "most_usd": float(one.nominal[best])}
        rows.append(what | {"quarter": quarters[best], "all_usd": float(one.present.sum())})
    rows.sort(key=lambda row: (row["constraint"], -abs(row["all_usd"])))
    note = "Shadow prices with all that comes whole kept as planned, expected over the futures: they hold for a little more."
    return Table(id="scarcity", title="What one more is worth", columns=columns, rows=rows, note=note)


def prices_table(quarters: tuple[str, ...], prices: ShadowPrices) -> Table:
    """The shadow prices quarter by quarter."""
    columns = (
        Column(key="constraint", heading="Limit"),
        Column(key="subject", heading="Of"),
        Column(key="quarter", heading="Quarter"),
        Column(key="nominal_usd", heading="One more is worth", style=USD_EXACT),
        Column(key="present_usd", heading="Discounted", style=USD_EXACT),
    )
    rows = [
        {
            "constraint": one.constraint, "subject": one.subject, "quarter": quarter, "unit": one.unit.symbol,
            "nominal_usd": float(one.nominal[place]), "present_usd": float(one.present[place]),
        }
        for one in prices.prices
        for place, quarter in enumerate(quarters)
        if one.present[place]
    ]  # fmt: skip
    return Table(id="shadow-prices", title="What one more is worth, by quarter", columns=columns, rows=rows)


def query_cost_table(plan: Plan, prices: ShadowPrices) -> Table:
    """What one more query of each model costs, by quarter."""
    columns = (
        Column(key="quarter", heading="Quarter"),
        Column(key="model", heading="Model"),
        Column(key="usd_per_query", heading="One more query", style=CENTS),
    )
    rows = [
        {"quarter": quarter, "model": model, "usd_per_query": float(prices.query_cost[row, place])}
        for place, quarter in enumerate(plan.problem.quarters)
        for row, model in enumerate(plan.problem.models)
    ]
    return Table(id="marginal-query-cost", title="What one more query costs", columns=columns, rows=rows)
