"""Fewer scenarios at a stated distance, with what is known when kept as it is.

Branches that differ little are merged into their mean, at each node of the tree on its own, so whatever is not merged is still learnt
in its own quarter, and no mean moves. Choosing some of the paths instead moves the means, and one that is alone early foresees the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.errors import InputError, did_you_mean
from tapeout.outlook.processes import TOLERANCE, BranchPoint, Scenarios, by_name, chance, expectation, scenarios_of
from tapeout.outlook.tree import Array, Nodes
from tapeout.units import Dimensionless, Unit

MOST_BRANCHES = 8
"""Branches of a point: all ways to merge them are weighed, and with each more there are three times as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """`scenarios` in the place of others, and `stands_for` (S,): which of them stands for each of the S given.

    `distance` is the mean of `path_distances` between a given path and the one that stands for it. The two know the same at the same
    time, so it is no less than the nested distance of the two trees, and that no less than the Kantorovich distance; where the given
    paths are a sample it is an estimate. `bound` is no less than it but for the rounding of delays, knows the processes alone, and
    never rises with the size. `mean_error` is the largest relative error of a mean factor in a quarter.
    """

    scenarios: Scenarios
    stands_for: Nodes
    distance: Dimensionless
    bound: Dimensionless
    mean_error: Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merges:
    """All sets of the branches of a point, M = 2**B - 1; set m has the branches, in order of their names, whose bits m + 1 has.

    `probability` (M,), `factor` and `delay` (T, M) are means over the set, `cost` (M,) is the mean distance of its branches from them,
    `members` are its branches as the point counts them.
    """

    members: tuple[tuple[int, ...], ...]
    probability: Annotated[Array, Unit("1")]
    factor: Annotated[Array, Unit("1")]
    delay: Annotated[Array, Unit("1")]
    cost: Annotated[Array, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Partitions:
    """The best ways to part any branches of a point into sets where at most n paths are left, each (2**B, N + 1).

    Branches and sets are written as bits: of the branches, `chosen` is the set to split off, `paths` are the paths that it gets, and
    `least` is the sum of distances from here on.
    """

    chosen: Nodes
    paths: Nodes
    least: Annotated[Array, Unit("1")]

    def sets(self, left: int) -> list[tuple[int, int]]:
        """The sets of all branches where this many paths are left, each with its paths."""
        found, rest, left = [], len(self.chosen) - 1, min(left, self.chosen.shape[1] - 1)
        while rest:
            chosen, paths = int(self.chosen[rest, left]), int(self.paths[rest, left])
            found.append((chosen, paths))
            rest, left = rest ^ chosen, left - paths
        return found


def reduce(scenarios: Scenarios, size: int, weights: Mapping[str, float] | None = None) -> Reduced:
    """At most `size` scenarios that keep the mean of every factor in every quarter, and what is known when.

    They are the best of all trees that merge branches of the given points: the mean sum of the distances between branches and what they
    are merged into, each from its quarter on, is the least. What is merged is averaged, so the spread shrinks and tails grow thinner.
    Scenarios that are drawn are reduced to those of the processes behind them. `weights` say how much a target counts, 1 where not
    given. Raises InputError for a size below 1, weights of unknown targets, and more than 8 branches at a point.
    """
    if size < 1:
        raise InputError("at least one scenario is kept", given=size)
    share = _shares(scenarios, weights)
    merges = [_merges(point, share, scenarios.quarters) for point in scenarios.points]
    partitions = _best_partitions(merges, size)
    sets, stands_for = _merged_paths(scenarios, merges, partitions, size)
    kept = _scenarios(scenarios, merges, sets)
    pairs = np.column_stack([np.arange(scenarios.size), stands_for])
    means = zip(expectation(scenarios).values(), expectation(kept).values(), strict=True)
    return Reduced(
        scenarios=kept,
        stands_for=stands_for,
        distance=float(scenarios.probability @ path_distances(scenarios, kept, pairs, weights)),
        bound=float(partitions[0].least[-1, -1]) if partitions else 0.0,
        mean_error=max((float(_relative(one, other).max()) for one, other in means), default=0.0),
    )


def path_distances(first: Scenarios, second: Scenarios, pairs: Nodes, weights: Mapping[str, float] | None = None) -> Array:
    """How far paths of `first` and `second` are apart, (P,) for P `pairs` (P, 2): the mean relative difference of an assumption.

    d(x, y) = mean over targets of [ sum over quarters of |x - y| / max(x, y) + |difference of their last delays| ] / quarters. It lies
    between 0 and 1 where no delay differs; a quarter of delay counts as one in which the value is missing.
    """
    share = _shares(first, weights)
    found = np.zeros(len(pairs))
    for weight, target in zip(share, first.targets, strict=True):
        one, other = first.factor[target][pairs[:, 0]], second.factor[target][pairs[:, 1]]
        late = np.abs(first.delay[target][pairs[:, 0], -1] - second.delay[target][pairs[:, 1], -1])
        found += weight * (_relative(one, other).sum(axis=1) + late) / first.quarters
    return found


def _relative(one: Array, other: Array) -> Array:
    """|x - y| / max(x, y), and 0 between zeros; a metric that does not see the scale of both."""
    larger = np.maximum(one, other)
    return np.abs(one - other) / np.where(larger > 0, larger, 1.0)


def _shares(scenarios: Scenarios, weights: Mapping[str, float] | None) -> Array:
    """The weight of each target, (T,), summing to 1."""
    for target, weight in (weights or {}).items():
        if target not in scenarios.factor:
            raise InputError(
                "no branch changes this target", given=target, allowed=scenarios.targets, hint=did_you_mean(target, scenarios.targets)
            )
        if not 0 <= weight < np.inf:
            raise InputError(f"the weight of {target} is not negative", given=weight)
    found = np.array([(weights or {}).get(target, 1.0) for target in scenarios.targets])
    if len(found) and not found.any():
        raise InputError("at least one target has a weight above zero", given=0)
    return found / found.sum() if len(found) else found


def _merges(point: BranchPoint, share: Array, quarters: int) -> _Merges:
    order = by_name(point)
    if abs(point.probability.sum() - 1) > TOLERANCE:
        raise InputError("scenarios that were reduced are not reduced again", hint="reduce the ones that they stand for")
    if len(order) > MOST_BRANCHES:
        raise InputError(
            f"process {point.process}, quarter {point.quarter}: scenarios can be reduced with few branches",
            given=len(order),
            allowed=f"up to {MOST_BRANCHES}",
            hint="merge some of them, or split them over two stages",
        )
    held = (np.arange(1, 2 ** len(order))[:, None] >> np.arange(len(order))) & 1
    within = held * point.probability[order]
    probability = within.sum(axis=1)
    within /= probability[:, None]
    factor, delay = point.factor[:, order] @ within.T, point.delay[:, order] @ within.T
    different = (quarters - point.quarter) * _relative(point.factor[:, order][:, None], factor[:, :, None])
    late = np.abs(point.delay[:, order][:, None] - delay[:, :, None])
    apart = np.einsum("t,tmb->mb", share, (different + late) / quarters)
    members = tuple(tuple(sorted(order[row.astype(bool)].tolist())) for row in held)
    return _Merges(members=members, probability=probability, factor=factor, delay=delay, cost=(within * apart).sum(axis=1))


def _best_partitions(merges: Sequence[_Merges], size: int) -> list[_Partitions]:
    """How to merge the branches of each point by the number of paths that are left, from the last point back.

    least(n) = min over ways to part the branches into sets, and n into their paths, of sum p(set) [ cost(set) + least later (its paths) ].
    The points are independent, so what is best later depends on the number of paths alone.
    """
    found: list[_Partitions] = []
    later, most = np.array([np.inf, 0.0]), 1
    for merge in reversed(merges):
        most = min(size, most * len(merge.members[-1]))
        found.append(_partitions(merge, later, most))
        later = found[-1].least[-1]
    return found[::-1]


def _partitions(merge: _Merges, later: Array, most: int) -> _Partitions:
    """The partitions of one point among up to `most` paths, with `later` the least sum of distances by the paths that a set gets."""
    left = np.arange(most + 1)
    rest = left[:, None] - np.arange(len(later))
    least = np.full((len(merge.members) + 1, most + 1), np.inf)
    least[0] = 0.0
    chosen, paths = np.zeros(least.shape, dtype=np.int64), np.zeros(least.shape, dtype=np.int64)
    for held in range(1, len(least)):
        for subset in range(held, 0, -1):
            if subset & ~held or not subset & held & -held:  # each set is split off where its lowest branch is the lowest that is left
                continue
            alone = merge.probability[subset - 1] * (merge.cost[subset - 1] + later)
            total = np.where(rest >= 0, alone + least[held ^ subset][np.maximum(rest, 0)], np.inf)
            given = total.argmin(axis=1)
            reached = total[left, given]
            better = reached < least[held]
            least[held, better], chosen[held, better], paths[held, better] = reached[better], subset, given[better]
    return _Partitions(chosen=chosen, paths=paths, least=least)


def _merged_paths(scenarios: Scenarios, merges: Sequence[_Merges], partitions: Sequence[_Partitions], size: int) -> tuple[Nodes, Nodes]:
    """The sets of branches that each reduced path takes, (R, K), and the reduced path of each given one, (S,)."""
    paths: list[tuple[tuple[int, ...], int]] = [((), size)]
    stands_for = np.zeros(scenarios.size, dtype=np.int64)
    for index, (merge, partition) in enumerate(zip(merges, partitions, strict=True)):
        following: list[tuple[tuple[int, ...], int]] = []
        successor = np.zeros((len(paths), len(merge.members[-1])), dtype=np.int64)
        for path, (taken, left) in enumerate(paths):
            for members, held, given in sorted((merge.members[held - 1], held, given) for held, given in partition.sets(left)):
                successor[path, list(members)] = len(following)
                following.append(((*taken, held), given))
        stands_for = successor[stands_for, scenarios.choice[:, index]]
        paths = following
    return np.array([taken for taken, _ in paths], dtype=np.int64), stands_for


def _scenarios(scenarios: Scenarios, merges: Sequence[_Merges], sets: Nodes) -> Scenarios:
    """The scenarios of these sets of branches, (S, K), named by the branches that they hold."""
    points, choice = [], np.zeros_like(sets)
    for index, (point, merge) in enumerate(zip(scenarios.points, merges, strict=True)):
        used = [held for _, held in sorted((merge.members[held - 1], held) for held in set(sets[:, index].tolist()))]
        rows = np.array(used) - 1
        choice[:, index] = [used.index(held) for held in sets[:, index].tolist()]
        points.append(
            BranchPoint(
                process=point.process,
                quarter=point.quarter,
                names=tuple(_words(point, merge.members[row]) for row in rows.tolist()),
                probability=merge.probability[rows],
                factor=merge.factor[:, rows],
                delay=merge.delay[:, rows],
            )
        )
    kept = tuple(points)
    return scenarios_of(kept, scenarios.targets, scenarios.quarters, choice, chance(kept, choice))


def _words(point: BranchPoint, members: tuple[int, ...]) -> str:
    """What is learnt: nothing where all branches are merged."""
    everything = len(members) == len(point.names) > 1
    return "" if everything else " or ".join(point.names[branch] for branch in members)
