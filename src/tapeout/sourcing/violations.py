"""How far a plan is from keeping each law, as an independent check measures it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from tapeout.sourcing.problem import Array
from tapeout.units import Dimensionless


@dataclass(slots=True)
class Violations:
    """The largest relative violation of each law so far.

    By how much a side is passed, over the larger side, or over a thousandth of `size` (the largest amount of that kind in the plan) where
    both sides are smaller. What is no number breaks its law without end.
    """

    worst: dict[str, Dimensionless] = field(default_factory=dict)

    def at_most(self, law: str, left: float, right: float, size: float) -> None:
        """Left <= right."""
        if left <= right:
            self.worst.setdefault(law, 0.0)
            return
        excess = left - right
        share = excess / max(abs(right), abs(left), 1e-3 * size) if math.isfinite(excess) else math.inf
        self.worst[law] = max(self.worst.get(law, 0.0), share)

    def equal(self, law: str, left: float, right: float, size: float) -> None:
        """Left = right."""
        if left == right:
            self.worst.setdefault(law, 0.0)
            return
        self.at_most(law, left, right, size)
        self.at_most(law, right, left, size)

    def never(self, law: str, breach: bool) -> None:
        """No such thing."""
        self.worst[law] = max(self.worst.get(law, 0.0), 1.0 if breach else 0.0)


def largest(values: Array) -> float:
    """The largest finite amount among values, 1 where there is none but 0."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max(initial=0.0)) or 1.0
