"""The search over a whole grid: what each design costs an hour, and what each set of rates carries, both in parallel jobs.

What a chip carries depends on few of its parameters (`rates.Points`), so designs of equal rates are evaluated once: exactly, not by a
bound. The cheapest token is the least of hour x seconds over all designs that can be built, which certifies it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeout.design.economics import Economics, UsdArray, UsdPerHourArray, unit_costs
from tapeout.design.explore import DIVISION
from tapeout.design.kin import enough_on_chip_memory
from tapeout.design.rates import TOPOLOGIES, Points, point_rates
from tapeout.design.space import Space
from tapeout.design.store import Store
from tapeout.design.throughput import Carried, Workload, carried
from tapeout.errors import CancelledError
from tapeout.fleet.parallel import Cluster, crew
from tapeout.hardware.chip import Chip
from tapeout.hardware.custom import own_chip
from tapeout.hardware.designs import Areas, Powers
from tapeout.hardware.limits import build, limits_of
from tapeout.hardware.parameters import OwnChip
from tapeout.hardware.process import memory_generation

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
Say = Callable[[str], None]

DESIGNS_PER_JOB = 32_768
POINTS_PER_JOB = 512
STAGING = "on-chip memory of the kin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is searched, for which workloads (their weights sum to 1), and for whom."""

    space: Space
    workloads: tuple[Workload, ...]
    economics: Economics


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The designs that keep all limits: `number` in the space, `point` in `points`, area of a die, rated power, costs, and USD per hour.

    `dropped` counts the others by the limits that they break, of which one may break several.
    """

    number: Numbers
    point: Numbers
    die: Areas
    power: Powers
    unit_cost: UsdArray
    one_off: UsdArray
    hour: UsdPerHourArray
    dropped: dict[str, int]

    def take(self, rows: Numbers) -> Built:
        """The rows `rows`, in that order."""
        return Built(
            number=self.number[rows], point=self.point[rows], die=self.die[rows], power=self.power[rows],
            unit_cost=self.unit_cost[rows], one_off=self.one_off[rows], hour=self.hour[rows], dropped=self.dropped,
        )  # fmt: skip


def built(question: Question, start: int, stop: int) -> Built:
    """The designs `start` to `stop` of the space that can be built, with their costs."""
    space = question.space
    numbers = np.arange(start, min(stop, space.size))
    designs, divides = space.grid(numbers)
    whole = build(designs)
    tests = {limit.name: limit.holds for limit in limits_of(whole)} | {STAGING: enough_on_chip_memory(designs, space.formats)}
    dropped = {DIVISION: int(np.sum(~divides))} | {name: int(np.sum(divides & ~holds)) for name, holds in tests.items()}
    kept = np.flatnonzero(divides & np.logical_and.reduce(list(tests.values())))
    die, power = whole.dies.total[kept], whole.power.total[kept]
    cost = np.zeros(len(kept))
    node, dies, _, _, _, memory, _ = (place[kept] for place in space.places(numbers))
    alike = (node * len(space.dies) + dies) * len(space.memories) + memory
    for code in np.unique(alike):
        rows = np.flatnonzero(alike == code)
        cost[rows] = unit_costs(_chip(space, int(numbers[kept[rows[0]]])), die[rows], power[rows])
    one_off = question.economics.one_off_costs(designs.take(kept), die)
    return Built(
        number=numbers[kept], point=_point_of(space, numbers[kept]), die=die, power=power, unit_cost=cost, one_off=one_off,
        hour=question.economics.own_usd_per_hour(cost, one_off, power), dropped=dropped,
    )  # fmt: skip


def points(space: Space) -> Points:
    """The distinct rates of the space: every peak on every memory and every fabric, whether or not such a chip can be built."""
    peaks, _ = _peaks(space)
    peak, memory, fabric = (part.ravel() for part in np.indices((len(peaks), len(space.memories), len(space.scale_ups))))
    generations = [memory_generation(one.generation) for one in space.memories]
    stacks = np.array([float(one.stacks) for one in space.memories])
    return Points(
        peak=peaks[peak],
        bandwidth=(stacks * [one.bandwidth.value for one in generations])[memory],
        capacity=(stacks * [one.capacity.value for one in generations])[memory],
        link=np.array([one.bandwidth for one in space.scale_ups])[fabric],
        scale_out=np.full(len(peak), space.scale_out),
        domain=np.array([float(one.domain) for one in space.scale_ups])[fabric],
        topology=np.array([TOPOLOGIES.index(one.topology) for one in space.scale_ups])[fabric],
    )


def carried_by(question: Question, wanted: Numbers) -> tuple[Carried, ...]:
    """What the points `wanted` carry of each workload."""
    some = points(question.space).take(wanted)
    return tuple(carried(one, point_rates(some, one.numerics, question.space.formats)) for one in question.workloads)


def sweep(
    question: Question, *, workers: int | None, cluster: Cluster | None = None, store: Store | None, say: Say
) -> tuple[Built, Numbers, tuple[Carried, ...]]:
    """All designs that can be built, the points that they use in rising order, and what those carry of each workload.

    In `workers` processes, as many as there are processors where None, or on a cluster; what `store` holds of an earlier run is not done
    again. The outcome depends neither on where and in how many processes nor on where a run was interrupted. Raises CancelledError where
    it is.
    """
    size = question.space.size
    with crew(question, workers, cluster) as run:
        try:
            starts = list(range(0, size, DESIGNS_PER_JOB))
            say(f"{size:,} designs: limits and costs")
            parts = _all(run, _built_job, starts, "built", store, say)
            designs = _joined([_to_built(part) for part in parts])
            used = np.unique(designs.point)
            say(
                f"{len(designs.number):,} can be built; {len(used):,} different sets of rates, each for {len(question.workloads)} workloads"
            )
            jobs = [used[start : start + POINTS_PER_JOB] for start in range(0, len(used), POINTS_PER_JOB)]
            found = _all(run, _carried_job, jobs, "carried", store, say)
        except KeyboardInterrupt as error:
            kept = "; what was done is kept, and the same command goes on from there" if store else ""
            raise CancelledError(f"stopped{kept}") from error
    return designs, used, tuple(_joined_carried(found, place) for place in range(len(question.workloads)))


def design_of(space: Space, number: int) -> OwnChip:
    """The design with this number, which must divide into its dies."""
    found = space.design(number)
    assert found is not None  # noqa: S101
    return found


def _all(run: Any, work: Callable[[Question, Any], dict[str, Any]], jobs: list[Any], name: str, store: Store | None, say: Say) -> list[Any]:
    """The results of all jobs in their order, those that the store holds included."""
    results: dict[int, dict[str, Any]] = {}
    if store is not None:
        results = {place: held for place in range(len(jobs)) if (held := store.held(name, place)) is not None}
    left = [place for place in range(len(jobs)) if place not in results]
    for place, result in run(work, [jobs[place] for place in left]):
        results[left[place]] = result
        if store is not None:
            store.keep(name, left[place], result)
        if len(results) * 10 // len(jobs) != (len(results) - 1) * 10 // len(jobs):
            say(f"  {name}: {len(results) / len(jobs):.0%}")
    return [results[place] for place in range(len(jobs))]


def _built_job(question: Question, start: int) -> dict[str, Any]:
    part = built(question, start, start + DESIGNS_PER_JOB)
    arrays = {name: getattr(part, name) for name in _ARRAYS}
    return arrays | {f"dropped.{name}": np.array(count) for name, count in part.dropped.items()}


def _carried_job(question: Question, wanted: Numbers) -> dict[str, Any]:
    parts = carried_by(question, wanted)
    return {f"{name}.{place}": getattr(part, name) for place, part in enumerate(parts) for name in ("rate", "deployment", "load")}


_ARRAYS = ("number", "point", "die", "power", "unit_cost", "one_off", "hour")


def _to_built(part: dict[str, Any]) -> Built:
    dropped = {name.removeprefix("dropped."): int(count) for name, count in part.items() if name.startswith("dropped.")}
    return Built(dropped=dropped, **{name: part[name] for name in _ARRAYS})


def _joined(parts: Iterable[Built]) -> Built:
    listed = list(parts)
    dropped: Counter[str] = Counter()
    for part in listed:
        dropped.update(part.dropped)
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in listed]) for name in _ARRAYS}
    return Built(dropped=dict(+dropped), **arrays)


def _joined_carried(parts: list[dict[str, Any]], place: int) -> Carried:
    names = ("rate", "deployment", "load")
    joined: dict[str, Any] = {name: np.concatenate([np.zeros(0), *(part[f"{name}.{place}"] for part in parts)]) for name in names}
    return Carried(rate=joined["rate"], deployment=joined["deployment"].astype(np.int64), load=joined["load"])


def _chip(space: Space, number: int) -> Chip:
    return own_chip(design_of(space, number))


def _peaks(space: Space) -> tuple[Array, Numbers]:
    """The distinct bf16 peaks of the space in rising order, and which of them each matrix unit at each clock has."""
    multipliers = np.array([one.number * one.rows * one.columns for one in space.matrix_units])
    rates = 2.0 * multipliers[:, None] * np.array(space.clocks)
    distinct, place = np.unique(rates, return_inverse=True)
    return distinct, place.reshape(rates.shape)


def _point_of(space: Space, numbers: Numbers) -> Numbers:
    _, _, units, clock, _, memory, fabric = space.places(numbers)
    _, place = _peaks(space)
    return np.asarray((place[units, clock] * len(space.memories) + memory) * len(space.scale_ups) + fabric)
