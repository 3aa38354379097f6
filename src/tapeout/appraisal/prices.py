"""What one more of each scarce thing is worth by quarter: the duals of the plan's linear program, its whole decisions fixed.

A dual is a slope: it holds for a little more, and where the cost has a kink it lies between the slopes on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.appraisal.decided import Decided
from tapeout.sourcing.finance import discount_factors
from tapeout.sourcing.linear_program import Index
from tapeout.sourcing.problem import Array
from tapeout.units import Unit

WORDS = {
    "allocation": "one more chip that may be ordered in the quarter",
    "chip": "one more chip in service in the quarter, its power and upkeep free",
    "site power": "one more watt that is held in the quarter",
    "available power": "one more watt that may be held in the quarter",
    "budget": "one more dollar that may be spent in the quarter",
    "largest share": "one more of a supplier's share of the quarter's queries (1 is all of them)",
    "concentration": "one more of the concentration of suppliers (1 is one supplier alone)",
}
UNITS = {"site power": Unit("W"), "available power": Unit("W"), "budget": Unit("USD")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrice:
    """What one more `unit` of a constraint's limit in a quarter is worth, (Q,), expected over the futures; `subject` is whose limit it is.

    `present` is the value now (by which what is minimised falls, risk included), `nominal` the same in the money of its quarter.
    """

    constraint: str
    subject: str
    unit: Unit
    present: Annotated[Array, Unit("USD")]
    nominal: Annotated[Array, Unit("USD")]

    @property
    def meaning(self) -> str:
        """One more of what."""
        return WORDS[self.constraint]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrices:
    """`prices` of what is scarce somewhere; `query_cost` (M, Q) is what one more query costs in each quarter, NaN where none is asked."""

    prices: tuple[ShadowPrice, ...]
    query_cost: Annotated[Array, Unit("USD/query")]


def shadow_prices(known: Decided) -> ShadowPrices:
    """The shadow prices of a plan, those of limits that never bind left out."""
    model, problem = known.model, known.plan.problem
    found = list[ShadowPrice]()
    for name, block in model.program.blocks.items():
        if name in WORDS:
            values = -_duals(known, block.rows) / block.size
            subjects = block.labels[0] if block.rows.ndim == 2 else ("",)
            unit = UNITS.get(name, Unit("1"))
            found += _by_quarter(known, name, subjects, unit, np.atleast_2d(values))
    chips = -_duals(known, model.service) / model.scale.chips[:, None]
    found += _by_quarter(known, "chip", tuple(offer.id for offer in problem.offers), Unit("1"), chips)
    return ShadowPrices(prices=tuple(found), query_cost=_query_cost(known))


def _duals(known: Decided, rows: Index) -> Array:
    """The rise of what is minimised, in USD, per unit of each row's limit; 0 where there is no row."""
    return np.where(rows >= 0, known.duals[np.maximum(rows, 0)], 0.0) * known.model.scale.money


def _by_quarter(known: Decided, constraint: str, subjects: tuple[str, ...], unit: Unit, values: Array) -> list[ShadowPrice]:
    """The prices of subjects, from values (subjects, nodes) of all nodes or of those from the first quarter on in which they count."""
    factors = discount_factors(known.plan.problem)
    sums = _sums(known, values)
    kept = np.flatnonzero(np.abs(sums).max(axis=1, initial=0.0) > 1e-9 * max(1.0, np.abs(sums).max(initial=0.0)))
    return [
        ShadowPrice(constraint=constraint, subject=subjects[row], unit=unit, present=sums[row], nominal=sums[row] / factors)
        for row in kept.tolist()
    ]


def _sums(known: Decided, values: Array) -> Array:
    """Values (..., nodes) summed over the nodes of each quarter, (..., Q); fewer columns than nodes are those of the last nodes."""
    tree = known.plan.problem.tree
    late = tree.quarter[tree.quarter >= known.plan.problem.share_from] if values.shape[-1] < tree.size else tree.quarter
    return np.array([np.bincount(late, weights=row, minlength=tree.quarters) for row in values])


def _query_cost(known: Decided) -> Array:
    """(M, Q): the dual of demand over the discounted queries that one more query/s at the peak brings."""
    problem, block = known.plan.problem, known.model.program.blocks["demand"]
    queries = np.divide(problem.volume, problem.demand, out=np.zeros_like(problem.demand), where=problem.demand > 0)
    cost = _sums(known, _duals(known, block.rows) / block.size)
    asked = _sums(known, queries * problem.tree.probability) * discount_factors(problem)
    return np.asarray(np.divide(cost, asked, out=np.full_like(cost, np.nan), where=asked > 0))
