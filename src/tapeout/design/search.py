"""The best design of a space: a certified search over its whole grid, then smaller and smaller steps around the best."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.design.explore import DIVISION, UNSERVED, Certificate
from tapeout.design.store import store_in
from tapeout.design.sweep import Built, Numbers, Question, design_of, sweep
from tapeout.design.throughput import Carried, chip_seconds
from tapeout.errors import InfeasibleError
from tapeout.fleet.parallel import Cluster
from tapeout.hardware.parameters import OwnChip
from tapeout.units import Dimensionless, SecondsPerToken, Unit, Usd, UsdPerHour, UsdPerToken, Watts

Array = NDArray[np.float64]
Say = Callable[[str], None]
JoulesPerToken = Annotated[float, Unit("J/token")]


class Aim(StrEnum):
    """What the best design has least of: dollars or joules for an output token."""

    COST = "cost"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """How a design serves one workload: output tokens/s of a chip, the deployment by position in `deployments_for`, the load of a rank."""

    name: str
    rate: Annotated[float, Unit("token/s")]
    deployment: int
    load: Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A design with what it costs and gives; `seconds` of chip time for an output token of the mix, `power` as rated."""

    parameters: OwnChip
    unit_cost: Usd
    one_off: Usd
    hour: UsdPerHour
    power: Watts
    seconds: SecondsPerToken
    usd_per_token: UsdPerToken
    joules_per_token: JoulesPerToken
    served: tuple[Served, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The outcome of a search: the best design, the front of dollars against joules by rising dollars, and what was shown.

    `usd_per_token` and `joules_per_token` are those of every design that serves, in the order of the grid.
    """

    question: Question
    aim: Aim
    best: Design
    front: tuple[Design, ...]
    certificate: Certificate
    usd_per_token: Annotated[Array, Unit("USD/token")]
    joules_per_token: Annotated[Array, Unit("J/token")]


def search(
    question: Question,
    *,
    aim: Aim = Aim.COST,
    workers: int | None = None,
    cluster: Cluster | None = None,
    keep_in: Path | None = None,
    version: str = "",
    say: Say = lambda text: None,
) -> Found:
    """The best design of the whole grid by `aim`; ties go to less of the other, then to the smaller parameters.

    With `keep_in`, the results of each job are kept in that folder until the search ends, and an interrupted search of the same question
    by the same `version` goes on from them. Raises InfeasibleError naming the limits where no design is left.
    """
    store = None if keep_in is None else store_in(keep_in, repr(_asked(question)), version)
    designs, used, found = sweep(question, workers=workers, cluster=cluster, store=store, say=say)
    seconds = chip_seconds(question.workloads, found)[np.searchsorted(used, designs.point)] if len(used) else np.zeros(0)
    serves = np.flatnonzero(np.isfinite(seconds))
    dropped = designs.dropped | {UNSERVED: len(seconds) - len(serves)}
    if not len(serves):
        raise InfeasibleError(
            "no design of the space can be built and serve the workloads", given=_reasons(question.space.size, dropped),
            hint=_emptied(question, dropped, found),
        )  # fmt: skip
    kept, seconds = designs.take(serves), seconds[serves]
    dollars = kept.hour / 3600 * seconds
    joules = question.economics.watts_at_meter(kept.power) * seconds
    first, second = (dollars, joules) if aim is Aim.COST else (joules, dollars)

    def made(row: int) -> Design:
        return _design(question, kept, row, float(seconds[row]), used, found)

    order = np.lexsort((second, first))
    equal = order[(first[order] == first[order[0]]) & (second[order] == second[order[0]])]
    best = min((made(int(row)) for row in equal), key=lambda each: _rank(each.parameters))
    certificate = Certificate(
        combinations=question.space.size,
        candidates=len(serves),
        infeasible=question.space.size - len(serves),
        dropped={name: count for name, count in dropped.items() if count},
        best_cost=float(first[order[0]]),
        runner_up=float(first[order[1]]) if len(order) > 1 else math.inf,
    )
    if store is not None:
        store.clear()
    front = tuple(made(int(row)) for row in front_rows(dollars, joules))
    return Found(
        question=question, aim=aim, best=best, front=front, certificate=certificate, usd_per_token=dollars, joules_per_token=joules
    )


def front_rows(dollars: Array, joules: Array) -> Numbers:
    """The rows that no other matches in both while beating it in one, by rising dollars; of equal ones the first."""
    order = np.lexsort((joules, dollars))
    least = np.minimum.accumulate(joules[order])
    falls = np.concatenate(([True], joules[order][1:] < least[:-1]))
    return np.asarray(order[falls])


def _design(question: Question, designs: Built, row: int, seconds: float, used: Numbers, found: tuple[Carried, ...]) -> Design:
    place = int(np.searchsorted(used, designs.point[row]))
    hour, power = float(designs.hour[row]), float(designs.power[row])
    served = tuple(
        Served(
            name=one.name,
            rate=float(part.rate[place]),
            deployment=int(part.deployment[place]),
            load=float(part.load[place]),
        )
        for one, part in zip(question.workloads, found, strict=True)
    )
    return Design(
        parameters=design_of(question.space, int(designs.number[row])),
        unit_cost=float(designs.unit_cost[row]),
        one_off=float(designs.one_off[row]),
        hour=hour,
        power=power,
        seconds=seconds,
        usd_per_token=hour / 3600 * seconds,
        joules_per_token=float(question.economics.watts_at_meter(power)) * seconds,
        served=served,
    )


def _rank(parameters: OwnChip) -> tuple[str, ...]:
    """A fixed order of designs that does not depend on where they stand in a grid."""
    return tuple(f"{getattr(parameters, field.name)!r:>30}" for field in dataclasses.fields(parameters) if field.name not in ("id", "name"))


def _asked(question: Question) -> tuple[object, ...]:
    """The question without what does not matter to it."""
    demands = [(one.name, one.weight, one.demand) for one in question.workloads]
    return question.space, question.economics, demands


def _emptied(question: Question, dropped: dict[str, int], found: tuple[Carried, ...]) -> str:
    """Which constraint leaves no design, in words."""
    if dropped[UNSERVED]:
        never = [one.name for one, part in zip(question.workloads, found, strict=True) if not np.any(part.rate > 0)]
        named = f"none serves {' or '.join(never)}" if never else "none serves all of the workloads"
        return f"{dropped[UNSERVED]:,} can be built, and {named} within its latency limits"
    whole = question.space.size - dropped.get(DIVISION, 0)
    alone = [name for name, count in dropped.items() if count == whole > 0 and name != DIVISION]
    return f"each of them breaks the limit of {' and of '.join(alone)}" if alone else "no limit alone drops all of them"


def _reasons(size: int, dropped: dict[str, int]) -> str:
    named = sorted(((count, name) for name, count in dropped.items() if count), reverse=True)
    return f"{size} designs; dropped by " + ", ".join(f"{name} {count}" for count, name in named)
