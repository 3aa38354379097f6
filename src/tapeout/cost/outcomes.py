"""What can become of a chip programme, as few outcomes: on time, one respin too many, late, failed; each with its probability.

The draws of a programme are told apart by two questions, whether it comes to volume after the plan and whether it takes more spins
than the plan, and each class keeps its means. So the mean time and the mean cash of the outcomes are those of the draws. The plan is
the same programme with every fact at its middle: it takes one respin, as published lead times do. Costs are those of the chip; what
a firm or a licence is bought for is apart, since one who plans a purchase knows its price.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.draws import Draws
from tapeout.cost.programme import DEAL, ProgrammeDraws, programme
from tapeout.errors import InputError
from tapeout.hardware.process import Process
from tapeout.units import QUARTER, Dimensionless, Seconds, SquareMetres, Usd

Array = NDArray[np.float64]


class OutcomeKind(StrEnum):
    """What becomes of a programme."""

    ON_TIME = "on time"
    RESPIN = "respin"
    LATE = "late"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a programme is planned to take: `duration` from the start to volume, the chip's one-off `cost`, and `spins` in all."""

    duration: Seconds
    cost: Usd
    spins: Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One outcome against the plan, as means over its draws.

    `end` is the time from the start to volume, or to the stop of a programme that failed; `delay` is how much later than planned
    volume comes, negative where earlier and infinite where never; `extra_cost` is what is paid above the planned cost, negative where
    less. `known` is when the outcome shows: on time at volume, a late one at its tape-out, a respin too many once the planned spins
    are brought up, a failed one when it is stopped.
    """

    kind: OutcomeKind
    probability: Dimensionless
    end: Seconds
    delay: Seconds
    extra_cost: Usd
    known: Seconds

    @property
    def delay_quarters(self) -> int | None:
        """The delay in whole quarters, to the nearest; None where volume is never reached."""
        return round(self.delay / QUARTER) if math.isfinite(self.delay) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Middle(Draws):
    """One draw with every cause at its median, where each fact has its value."""

    count: int = 1

    def normal(self, cause: str) -> Array:
        """Zeros of shape (count,)."""
        return np.zeros(self.count)


def planned(mode: str, node: Process, die_area: SquareMetres) -> Plan:
    """The plan of a programme of `mode`; raises UnknownNameError for an unknown mode and InputError for a die that no reticle holds.

    >>> from tapeout.hardware.process import process
    >>> from tapeout.units import MONTH
    >>> plan = planned("design-partner", process("tsmc-3"), 800e-6)
    >>> round(plan.duration / MONTH), plan.spins
    (31, 2.0)
    """
    middle = programme(mode)(node, die_area, Middle())
    return Plan(duration=float(middle.calendar.volume[0]), cost=float(_of_chip(middle.planned())[0]), spins=float(middle.calendar.spins[0]))


def outcomes(drawn: ProgrammeDraws, plan: Plan) -> tuple[Outcome, ...]:
    """The outcomes of a programme against its plan, in the order of `OutcomeKind`; one that no draw shows is left out."""
    paid, calendar = _of_chip(drawn.paid()), drawn.calendar
    failed, late = np.isfinite(drawn.stopped), calendar.volume > plan.duration
    respun = late & (calendar.spins > plan.spins)
    brought_up = calendar.first_silicon + calendar.bring_up
    each_respin = calendar.respins / np.maximum(calendar.spins - 1, 1)
    shows = {
        OutcomeKind.ON_TIME: (~failed & ~late, calendar.volume),
        OutcomeKind.RESPIN: (~failed & respun, brought_up + each_respin * (plan.spins - 1)),
        OutcomeKind.LATE: (~failed & late & ~respun, calendar.masks_out),
        OutcomeKind.FAILED: (failed, drawn.stopped),
    }
    ends = np.where(failed, drawn.stopped, calendar.volume)
    return tuple(_outcome(kind, held, known, ends, paid, plan) for kind, (held, known) in shows.items() if held.any())


def against(found: Iterable[Outcome], plan: Plan, other: Plan) -> tuple[Outcome, ...]:
    """The outcomes of `plan` for `other`, a plan with its own duration and cost: times and costs are scaled by their ratios.

    Raises InputError for a plan without time or cost.
    """
    for each in (plan, other):
        if not (each.duration > 0 and each.cost > 0):
            raise InputError("a plan takes time and costs money", given=f"{each.duration:.4g} s, {each.cost:.4g} USD")
    time, cost = other.duration / plan.duration, other.cost / plan.cost
    return tuple(
        replace(one, end=one.end * time, delay=one.delay * time, known=one.known * time, extra_cost=one.extra_cost * cost) for one in found
    )


def _of_chip(payments: Mapping[str, Array]) -> Array:
    return np.asarray(sum(amount for name, amount in payments.items() if name not in DEAL), dtype=np.float64)


def _outcome(kind: OutcomeKind, held: NDArray[np.bool_], known: Array, ends: Array, paid: Array, plan: Plan) -> Outcome:
    end = float(ends[held].mean())
    return Outcome(
        kind=kind,
        probability=float(held.mean()),
        end=end,
        delay=math.inf if kind is OutcomeKind.FAILED else end - plan.duration,
        extra_cost=float(paid[held].mean()) - plan.cost,
        known=float(known[held].mean()),
    )
