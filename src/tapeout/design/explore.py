"""The best design of a grid: enumerate, drop what breaks a limit, rank by cost per token, and certify the winner."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tapeout.cost.unit import UnitCost, unit_cost
from tapeout.design.space import Space
from tapeout.errors import InfeasibleError, InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.custom import own_chip
from tapeout.hardware.limits import build, limits_of
from tapeout.hardware.parameters import OwnChip
from tapeout.units import UsdPerToken, Watts

DIVISION, UNSERVED = "division into dies", "workloads not served"


class Objective(Protocol):
    """Cost per token of a chip with its unit cost; infinity where the chip cannot serve the workload."""

    def __call__(self, chip: Chip, cost: UnitCost) -> UsdPerToken:
        """Dollars per token, 0 or more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A design that can be built and serves the workload."""

    parameters: OwnChip
    chip: Chip
    unit_cost: UnitCost
    cost_per_token: UsdPerToken

    @property
    def power(self) -> Watts:
        """Power of the chip."""
        return self.chip.power.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was shown: every combination was counted once, and no candidate costs less than `best_cost`.

    `dropped` counts the combinations by the limits that they break (one may break several), `infeasible` each of them once.
    `runner_up` is the second lowest cost, infinity where there is only one candidate.
    """

    combinations: int
    candidates: int
    infeasible: int
    dropped: dict[str, int]
    best_cost: UsdPerToken
    runner_up: UsdPerToken

    @property
    def holds(self) -> bool:
        """Whether the counts add up and the winner is no dearer than the second."""
        return self.candidates + self.infeasible == self.combinations and self.best_cost <= self.runner_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """The outcome of a search: the best design, all candidates from cheapest to dearest, and the front of cost against power."""

    best: Candidate
    ranked: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    certificate: Certificate


def explore(space: Space, objective: Objective) -> Exploration:
    """Search the whole grid of `space` for the lowest `objective`.

    Ties go to the lower power, then to the earlier design. Raises InfeasibleError naming the limits where no design is left, and
    InputError for an objective that is negative or not a number.
    """
    dropped: Counter[str] = Counter()
    candidates: list[Candidate] = []
    grid, divides = space.grid()
    limits = limits_of(build(grid))
    kept = divides & np.logical_and.reduce([limit.holds for limit in limits])
    dropped[DIVISION] = int(np.sum(~divides))
    dropped.update({limit.name: int(np.sum(divides & ~limit.holds)) for limit in limits})
    infeasible = int(np.sum(~kept))
    for keep, parameters in zip(kept, space.designs(), strict=True):
        if parameters is None or not keep:
            continue
        chip = own_chip(parameters)
        cost = unit_cost(chip)
        value = objective(chip, cost)
        if math.isnan(value) or value < 0:
            raise InputError("the objective of a design is not a cost", given=value, allowed="a number of 0 or more, or infinity")
        if math.isinf(value):
            dropped[UNSERVED] += 1
            infeasible += 1
            continue
        candidates.append(Candidate(parameters=parameters, chip=chip, unit_cost=cost, cost_per_token=value))
    if not candidates:
        reasons = ", ".join(f"{name} {count}" for name, count in (+dropped).most_common())
        raise InfeasibleError(
            "no design of the space can be built and serve the workload", given=f"{space.size} designs; dropped by {reasons}"
        )
    ranked = tuple(sorted(candidates, key=lambda each: (each.cost_per_token, each.power, each.parameters.id)))
    certificate = Certificate(
        combinations=space.size,
        candidates=len(ranked),
        infeasible=infeasible,
        dropped=dict(+dropped),
        best_cost=ranked[0].cost_per_token,
        runner_up=ranked[1].cost_per_token if len(ranked) > 1 else math.inf,
    )
    return Exploration(best=ranked[0], ranked=ranked, front=pareto_front(ranked), certificate=certificate)


def pareto_front(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """The candidates that no other matches in both cost per token and power while beating it in one, by rising cost."""
    front: list[Candidate] = []
    for each in sorted(candidates, key=lambda one: (one.cost_per_token, one.power)):
        if not front or each.power < front[-1].power or (each.power, each.cost_per_token) == (front[-1].power, front[-1].cost_per_token):
            front.append(each)
    return tuple(front)
