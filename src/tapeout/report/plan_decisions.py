"""What a plan decides, where on the tree, and on what it depends: the first year, and all that comes whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.outlook.tree import Nodes
from tapeout.report.numbers import MEGAWATTS, PERCENT, NumberStyle
from tapeout.report.plan_tables import PROBABILITY, QUARTER, contract_word
from tapeout.report.plan_triggers import condition
from tapeout.report.tables import Column, Table
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, ContractKind
from tapeout.units import Dimensionless, Unit

YEAR = 4
SURE = 1 - 1e-9
LEAST_CHIPS = 1.0
LEAST_POWER = 1e3
CHIPS = NumberStyle(digits=1, suffix=" chips")


class Kind(StrEnum):
    """What is decided, as a word before its subject."""

    START = "start"
    STOP = "stop"
    PREPAY = "prepay"
    POWER = "order power at"
    ORDER = "order"
    RENT = "rent on demand"
    SELL = "sell"
    GIVE_BACK = "give back"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """One decision by node: `amount` (N,) is 1 where a lump is taken, else chips or watts. A `lumpy` one is taken whole or not at all."""

    kind: Kind
    subject: str
    amount: Annotated[Array, Unit("1")]
    lumpy: bool = False
    detail: str = ""

    @property
    def style(self) -> NumberStyle | None:
        """How the amount is written; None where it is one."""
        if self.kind in (Kind.START, Kind.STOP, Kind.PREPAY):
            return None
        return MEGAWATTS if self.kind is Kind.POWER else CHIPS

    @property
    def words(self) -> str:
        """The decision without its amount."""
        return f"{self.kind} {self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A decision in one quarter: how likely it is taken, `low` to `high` of it, and on what that depends; no condition where it is sure."""

    decision: Decision
    quarter: int
    probability: Dimensionless
    low: Annotated[float, Unit("1")]
    mean: Annotated[float, Unit("1")]
    high: Annotated[float, Unit("1")]
    condition: str

    @property
    def amount(self) -> str:
        """How much, as a range where it depends on the branch; empty for a lump."""
        style = self.decision.style
        if style is None:
            return ""
        low, high = style.show(self.low), style.show(self.high)
        return low if low == high else f"{low.removesuffix(style.suffix)} to {high}"


def decisions(plan: Plan) -> tuple[Decision, ...]:
    """All decisions that are taken somewhere, those that come whole first."""
    problem, found = plan.problem, list[Decision]()
    for programme, starts, stops in zip(problem.programmes, plan.starts, plan.stops, strict=True):
        found.append(Decision(kind=Kind.START, subject=programme.id, amount=_one(starts), lumpy=True))
        found.append(Decision(kind=Kind.STOP, subject=programme.id, amount=_one(stops), lumpy=True))
    for prepayment, made in zip(problem.prepayments, plan.prepaid, strict=True):
        found.append(Decision(kind=Kind.PREPAY, subject=prepayment.id, amount=_one(made), lumpy=True))
    for site, power in zip(problem.sites, plan.site_orders, strict=True):
        ordered = np.where(power >= LEAST_POWER, power, 0.0)
        found.append(Decision(kind=Kind.POWER, subject=site.id, amount=ordered, lumpy=site.module > 0))
    for offer, ordered, ended in zip(problem.offers, plan.orders, plan.ended.sum(axis=1), strict=True):
        detail = f"{contract_word(offer)}, {offer.id}"
        kind = Kind.RENT if offer.kind is ContractKind.ON_DEMAND else Kind.ORDER
        found.append(Decision(kind=kind, subject=offer.chip, amount=_chips(ordered), detail=detail))
        left = Kind.SELL if offer.owned else Kind.GIVE_BACK
        found.append(Decision(kind=left, subject=offer.chip, amount=_chips(ended), detail=detail))
    return tuple(one for one in found if one.amount.any())


def triggers(plan: Plan, decision: Decision, quarters: int | None = None) -> Iterator[Trigger]:
    """When a decision is taken, quarter by quarter, up to `quarters` of them."""
    tree = plan.problem.tree
    for quarter in range(tree.quarters if quarters is None else min(quarters, tree.quarters)):
        nodes = np.flatnonzero(tree.quarter == quarter)
        taken, amount = nodes[decision.amount[nodes] > 0], decision.amount
        if not taken.size:
            continue
        open_ = nodes[_open(plan, decision, nodes)]
        weight = tree.probability[taken]
        yield Trigger(
            decision=decision, quarter=quarter, probability=float(weight.sum()), low=float(amount[taken].min()),
            mean=float(weight @ amount[taken] / weight.sum()), high=float(amount[taken].max()),
            condition=condition(plan, taken, np.setdiff1d(open_, taken)),
        )  # fmt: skip


def first_year_table(plan: Plan) -> Table:
    """What is decided in the first year, with its probability and trigger where it is not sure."""
    found = [one for decision in decisions(plan) for one in triggers(plan, decision, YEAR)]
    found.sort(key=lambda one: one.quarter)
    columns = (
        QUARTER,
        Column(key="action", heading="What to do"),
        Column(key="how_much", heading="How much"),
        Column(key="detail", heading="Contract"),
        PROBABILITY,
        Column(key="trigger", heading="If"),
    )
    tree = len(plan.problem.tree.leaves) > 1
    note = "Where the amount depends on the branch that comes, it is a range." if tree else ""
    return Table(
        id="first-year", title="What to do in the first year", columns=columns if tree else columns[:-2],
        rows=[trigger_row(plan, one) for one in found], note=note,
    )  # fmt: skip


def triggers_table(plan: Plan) -> Table:
    """All that comes whole: programmes, prepayments, modules of power; when, how likely, and if what."""
    found = [one for decision in decisions(plan) if decision.lumpy for one in triggers(plan, decision)]
    found.sort(key=lambda one: one.quarter)
    columns = (
        QUARTER,
        Column(key="action", heading="What comes whole"),
        Column(key="how_much", heading="How much"),
        PROBABILITY,
        Column(key="trigger", heading="If"),
    )
    note = "The condition tells the branches of the tree in which it is done from those in which it could have been and is not."
    return Table(
        id="triggers", title="When to do what comes whole", columns=columns, rows=[trigger_row(plan, one) for one in found], note=note
    )


def trigger_row(plan: Plan, one: Trigger) -> dict[str, object]:
    """A trigger as the row of a table."""
    return {
        "quarter": plan.problem.quarters[one.quarter], "action": one.decision.words, "how_much": one.amount, "detail": one.decision.detail,
        "probability": min(1.0, one.probability), "trigger": one.condition, "kind": one.decision.kind.name.lower().replace("_", "-"),
        "subject": one.decision.subject, "low": one.low, "mean": one.mean, "high": one.high,
    }  # fmt: skip


def probability_words(probability: Dimensionless) -> str:
    """A probability in words of a sentence.

    >>> probability_words(0.4), probability_words(1.0)
    ('40 %', 'all futures')
    """
    return "all futures" if probability >= SURE else PERCENT.show(probability)


def _one(amount: Array) -> Array:
    return np.where(amount > 0.5, 1.0, 0.0)


def _chips(amount: Array) -> Array:
    return np.where(amount >= LEAST_CHIPS, amount, 0.0)


def _open(plan: Plan, decision: Decision, nodes: Nodes) -> NDArray[np.bool_]:
    """Where a decision could be taken: once only, and a stop only after a start."""
    if decision.kind not in (Kind.START, Kind.STOP, Kind.PREPAY):
        return np.ones(len(nodes), dtype=bool)
    tree = plan.problem.tree
    before = np.array([decision.amount[tree.above[node][1:][tree.above[node][1:] >= 0]].sum() for node in nodes])
    found = before < 0.5
    if decision.kind is Kind.STOP:
        row = [one.id for one in plan.problem.programmes].index(decision.subject)
        begun = np.array([plan.starts[row, tree.above[node][tree.above[node] >= 0]].sum() for node in nodes])
        found = found & (begun > 0.5)
    return np.asarray(found, dtype=bool)
