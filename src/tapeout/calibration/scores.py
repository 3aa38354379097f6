"""How far predictions are from measurements, in a few numbers by group of rows and quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tapeout.calibration.measurements import Quantity
from tapeout.calibration.validation import Comparison, Group
from tapeout.units import Dimensionless

ALL = "all"
"""The group of every row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The errors of one quantity over the rows of one group; None where no row has an answer.

    An error is |predicted / measured - 1|; `bias` is the median of predicted / measured - 1, above 0 where the prediction is larger;
    `coverage` is the share of answered rows whose measured value lies in the predicted band; `lower` and `upper` hold half of the
    signed errors between them, `least` and `most` 80 %.
    """

    group: str
    quantity: Quantity
    rows: int
    answered: int
    median: Dimensionless | None = None
    mean: Dimensionless | None = None
    p90: Dimensionless | None = None
    bias: Dimensionless | None = None
    coverage: Dimensionless | None = None
    least: Dimensionless | None = None
    lower: Dimensionless | None = None
    upper: Dimensionless | None = None
    most: Dimensionless | None = None

    @property
    def answered_share(self) -> Dimensionless:
        """The share of the rows that have an answer."""
        return self.answered / self.rows


def score(group: str, quantity: Quantity, comparisons: Sequence[Comparison]) -> Score:
    """The score of `comparisons`, which are all of one quantity and at least one."""
    ratios = np.array([one.ratio for one in comparisons if one.ratio is not None])
    if not ratios.size:
        return Score(group=group, quantity=quantity, rows=len(comparisons), answered=0)
    signed, inside = ratios - 1, [one.in_band for one in comparisons if one.in_band is not None]
    least, lower, bias, upper, most = np.quantile(signed, (0.1, 0.25, 0.5, 0.75, 0.9)).tolist()
    errors = np.abs(signed)
    return Score(
        group=group, quantity=quantity, rows=len(comparisons), answered=len(ratios), median=float(np.median(errors)),
        mean=float(np.mean(errors)), p90=float(np.quantile(errors, 0.9)), bias=bias, coverage=float(np.mean(inside)),
        least=least, lower=lower, upper=upper, most=most,
    )  # fmt: skip


def scores(comparisons: Sequence[Comparison], by: Group | None = None) -> list[Score]:
    """Scores by group, the largest group first, and by quantity; without `by` those of all rows."""
    groups: dict[str, list[Comparison]] = {}
    for one in comparisons:
        groups.setdefault(ALL if by is None else by.of(one.measurement), []).append(one)
    found = []
    for group, rows in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        for quantity in Quantity:
            of_quantity = [one for one in rows if one.quantity is quantity]
            if of_quantity:
                found.append(score(group, quantity, of_quantity))
    return found
