"""What the world may do: independent processes that branch at given quarters, combined into scenarios and into a tree.

A branch multiplies values from its quarter on, or shifts them to later quarters; what a target such as `demand:gpt-4` stands for is
its user's business. The branches of a process are independent of each other and of all other processes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.errors import InputError
from tapeout.outlook.tree import Array, Nodes, Tree, tree_of
from tapeout.units import Dimensionless, Unit

TOLERANCE = 1e-6
"""By how much the probabilities of a stage may miss 1, for those that were rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a branch does to a target from its quarter on: its values times `factor`, and `delay` quarters later."""

    target: str
    factor: Dimensionless = 1.0
    delay: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One thing that may happen."""

    name: str
    probability: Dimensionless
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The branches of a process in one quarter, in which it is known which was taken."""

    quarter: int
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Stages in order of time. The effects of later ones come on top of those of earlier ones: factors multiply, delays add."""

    name: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchPoint:
    """A stage as arrays: B branches, T targets. `probability` (B,), `factor` (T, B), `delay` (T, B) in quarters.

    Branches that were merged have the mean of their factors and delays, so a delay need not be whole; an empty name says nothing.
    """

    process: str
    quarter: int
    names: tuple[str, ...]
    probability: Annotated[Array, Unit("1")]
    factor: Annotated[Array, Unit("1")]
    delay: Annotated[Array, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenarios:
    """S paths through K branch points, in order of their choices. `choice` (S, K) is which branch each takes, `probability` (S,).

    By target, `factor` (S, Q) multiplies its value in each quarter and `delay` (S, Q) says how many quarters later the value comes, as
    far as known then. `points` stand in order of time, those of one quarter in order of their names. `drawn` says that the paths are a
    sample, since all of them were too many.
    """

    quarters: int
    points: tuple[BranchPoint, ...]
    choice: Nodes
    probability: Annotated[Array, Unit("1")]
    factor: Mapping[str, Array]
    delay: Mapping[str, Nodes]
    drawn: bool = False

    @property
    def size(self) -> int:
        """Number of paths."""
        return len(self.probability)

    @property
    def targets(self) -> tuple[str, ...]:
        """What the branches change, in order of names."""
        return tuple(self.factor)


def combine(processes: Sequence[Process], quarters: int, most: int = 4096) -> Scenarios:
    """Every combination of the branches; where there are more than `most`, a seeded sample of as many, and `drawn` is set.

    Raises InputError for probabilities that do not sum to 1, stages outside the quarters, names used twice and impossible effects.

    >>> falls = Branch(name="falls", probability=0.4, effects=(Effect(target="rent", factor=0.5),))
    >>> stage = Stage(quarter=2, branches=(falls, Branch(name="stays", probability=0.6)))
    >>> combine([Process(name="rent", stages=(stage,))], 4).factor["rent"]
    array([[1. , 1. , 0.5, 0.5],
           [1. , 1. , 1. , 1. ]])
    """
    targets, points = _points(processes, quarters)
    shape = [len(point.names) for point in points]
    size = math.prod(shape)
    if size > most:
        return draw(processes, quarters, most, seed=0)
    choice = np.indices(shape, dtype=np.int64).reshape(len(shape), size).T
    return scenarios_of(points, targets, quarters, choice, chance(points, choice))


def draw(processes: Sequence[Process], quarters: int, count: int, seed: int) -> Scenarios:
    """`count` random paths of equal probability, equal ones merged; raises InputError as `combine` does.

    Each stage is drawn under its own name, so neither the order of processes nor that of branches changes what is drawn.
    """
    targets, points = _points(processes, quarters)
    if count < 1:
        raise InputError("at least one path is drawn", given=count)
    drawn = np.zeros((count, len(points)), dtype=np.int64)
    for index, point in enumerate(points):
        words = np.random.SeedSequence([seed, point.quarter, *point.process.encode()])
        order = by_name(point)
        ends = np.cumsum(point.probability[order])[:-1]
        drawn[:, index] = order[np.searchsorted(ends, np.random.default_rng(words).random(count), side="right")]
    choice, times = np.unique(drawn, axis=0, return_counts=True) if points else (drawn[:1], np.array([count]))
    return scenarios_of(points, targets, quarters, choice, times / count, drawn=True)


def scenarios_of(
    points: tuple[BranchPoint, ...], targets: Sequence[str], quarters: int, choice: Nodes, probability: Array, *, drawn: bool = False
) -> Scenarios:
    """The scenarios that make these choices, (S, K) with S probabilities: factors multiplied, delays added and rounded, a half upwards."""
    factor = np.ones((len(targets), len(choice), quarters))
    delay = np.zeros_like(factor)
    for point, taken in zip(points, choice.T, strict=True):
        factor[:, :, point.quarter :] *= point.factor[:, taken, None]
        delay[:, :, point.quarter :] += point.delay[:, taken, None]
    whole = np.floor(delay + 0.5 + 1e-9).astype(np.int64)  # a half that a sum of means misses by its last bit is a half
    return Scenarios(
        quarters=quarters,
        points=points,
        choice=choice,
        probability=probability,
        factor=dict(zip(targets, factor, strict=True)),
        delay=dict(zip(targets, whole, strict=True)),
        drawn=drawn,
    )


def chance(points: Sequence[BranchPoint], choice: Nodes) -> Array:
    """The probability (S,) of the choices (S, K)."""
    found = np.ones(len(choice))
    for point, taken in zip(points, choice.T, strict=True):
        found *= point.probability[taken]
    return found


def by_name(point: BranchPoint) -> Nodes:
    """The branches of a point in order of their names, (B,)."""
    return np.array(sorted(range(len(point.names)), key=lambda branch: point.names[branch]), dtype=np.int64)


def expectation(scenarios: Scenarios) -> dict[str, Array]:
    """The mean factor of each target by quarter, (Q,)."""
    return {target: scenarios.probability @ factor for target, factor in scenarios.factor.items()}


def to_tree(scenarios: Scenarios) -> tuple[Tree, Nodes]:
    """The tree of these scenarios, and the node of each scenario in each quarter, (S, Q).

    Scenarios share a node until the first quarter in which their choices differ. A node is named after the branches that begin there,
    such as `demand high, price low`. The leaves of the tree stand in the order of the scenarios.
    """
    columns = [[index for index, point in enumerate(scenarios.points) if point.quarter == quarter] for quarter in range(scenarios.quarters)]
    node_of = np.zeros((scenarios.size, scenarios.quarters), dtype=np.int64)
    group, nodes = np.zeros(scenarios.size, dtype=np.int64), 0
    parents: list[Nodes] = []
    names: list[str] = []
    for quarter, column in enumerate(columns):
        keys = np.column_stack([group, scenarios.choice[:, column]])
        first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)[1:]
        group = group.reshape(-1)
        node_of[:, quarter] = nodes + group
        parents.append(node_of[first, quarter - 1] if quarter else np.array([-1]))
        names += [_name(scenarios, column, scenario) for scenario in first]
        nodes += len(first)
    weights = np.repeat(scenarios.probability, scenarios.quarters)
    probability = np.bincount(node_of.ravel(), weights=weights, minlength=nodes)
    quarter_of = np.repeat(np.arange(scenarios.quarters), [len(parent) for parent in parents])
    return tree_of(quarter_of, np.concatenate(parents), probability, tuple(names)), node_of


def values(scenarios: Scenarios, node_of: Nodes) -> tuple[dict[str, Array], dict[str, Nodes]]:
    """The factor and the delay of each target at each node, (N,), with `node_of` (S, Q) from `to_tree`."""
    first = np.unique(node_of, return_index=True)[1]
    factor = {target: found.ravel()[first] for target, found in scenarios.factor.items()}
    return factor, {target: found.ravel()[first] for target, found in scenarios.delay.items()}


def _name(scenarios: Scenarios, column: Iterable[int], scenario: int) -> str:
    begun = ((scenarios.points[index], scenarios.choice[scenario, index]) for index in column)
    return ", ".join(f"{point.process} {point.names[branch]}" for point, branch in begun if point.names[branch])


def _points(processes: Sequence[Process], quarters: int) -> tuple[tuple[str, ...], tuple[BranchPoint, ...]]:
    """The targets in order of names, and the branch points in order of time and then of processes' names."""
    _once((process.name for process in processes), "processes")
    for process in processes:
        _check(process, quarters)
    stages = sorted(((stage.quarter, process.name, stage) for process in processes for stage in process.stages), key=lambda each: each[:2])
    effects = (effect for _, _, stage in stages for branch in stage.branches for effect in branch.effects)
    targets = tuple(sorted({effect.target for effect in effects}))
    return targets, tuple(_point(name, stage, targets) for _, name, stage in stages)


def _point(process: str, stage: Stage, targets: tuple[str, ...]) -> BranchPoint:
    branches = [branch for branch in stage.branches if branch.probability > 0]
    factor, delay = np.ones((len(targets), len(branches))), np.zeros((len(targets), len(branches)))
    for index, branch in enumerate(branches):
        for effect in branch.effects:
            row = targets.index(effect.target)
            factor[row, index] *= effect.factor
            delay[row, index] += effect.delay
    probability = np.array([branch.probability for branch in branches])
    names = tuple(branch.name for branch in branches)
    return BranchPoint(
        process=process,
        quarter=stage.quarter,
        names=names,
        probability=probability / math.fsum(probability),
        factor=factor,
        delay=delay,
    )


def _check(process: Process, quarters: int) -> None:
    before = 0
    for stage in process.stages:
        where = f"process {process.name}, quarter {stage.quarter}"
        if not 1 <= stage.quarter < quarters:
            raise InputError(
                f"{where}: a process branches after the first quarter and within the plan",
                given=stage.quarter,
                allowed=f"1 to {quarters - 1}",
            )
        if stage.quarter <= before:
            raise InputError(
                f"{where}: the stages of a process stand in order of time, one a quarter", given=f"{stage.quarter} after {before}"
            )
        before = stage.quarter
        _once((branch.name for branch in stage.branches), f"branches of {where}")
        for branch in stage.branches:
            _check_branch(branch, where)
        total = math.fsum(branch.probability for branch in stage.branches)
        if abs(total - 1) > TOLERANCE:
            given = " + ".join(f"{branch.name} {branch.probability:g}" for branch in stage.branches)
            raise InputError(
                f"{where}: the probabilities of the branches sum to 1", given=f"{given} = {total:.6g}" if given else "no branch"
            )


def _check_branch(branch: Branch, where: str) -> None:
    if not 0 <= branch.probability <= 1:
        raise InputError(f"{where}, branch {branch.name}: a probability is a number from 0 to 1", given=branch.probability)
    for effect in branch.effects:
        said = f"{where}, branch {branch.name}, {effect.target}"
        if not (math.isfinite(effect.factor) and effect.factor >= 0):
            raise InputError(f"{said}: a factor is a number that is not negative", given=effect.factor)
        if effect.delay < 0:
            raise InputError(f"{said}: a delay is not negative", given=effect.delay)


def _once(names: Iterable[str], what: str) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{what} have different names", given=", ".join(twice))
