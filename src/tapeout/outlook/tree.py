"""A scenario tree as nodes: each has a quarter, a parent and a probability; what is decided at a node is decided for all that follows.

A node stands for what is known in its quarter. Two futures that are the same until then share it, so no rows are needed that keep
decisions from foreseeing. One path is the deterministic plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import InputError
from tapeout.units import Unit

Array = NDArray[np.float64]
Nodes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tree:
    """Shapes: N nodes, Q quarters. `quarter` (N,), `parent` (N,) with -1 for the root, which is node 0, `probability` (N,) to be reached.

    Parents stand before their children, and every path ends in the last quarter. `above` (N, Q) has the ancestor of each node by
    how many quarters it lies before, -1 before the first. `names` (N,) say which branch a node begins, empty where none does.
    Make one with `tree_of`.
    """

    quarter: Nodes
    parent: Nodes
    probability: Annotated[Array, Unit("1")]
    above: Nodes
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of nodes."""
        return int(self.quarter.size)

    @property
    def quarters(self) -> int:
        """Number of quarters."""
        return int(self.above.shape[1])

    @property
    def leaves(self) -> Nodes:
        """The nodes of the last quarter, (L,); each ends one scenario."""
        return np.flatnonzero(self.quarter == self.quarters - 1)

    @property
    def paths(self) -> Nodes:
        """The nodes of each scenario in order of time, (L, Q)."""
        return self.above[self.leaves, ::-1]

    def earlier(self, index: NDArray[np.int64], lag: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """The entries of `index` (..., N) at the ancestor `lag` quarters before each node, -1 where there is none; one lag, or one a node.

        >>> single(3).earlier(np.array([7, 8, 9]), 1)
        array([-1,  7,  8])
        """
        lags = np.broadcast_to(np.asarray(lag), self.quarter.shape)
        ancestor = self.above[np.arange(self.size), np.minimum(lags, self.quarters - 1)]
        found = (ancestor >= 0) & (lags < self.quarters)
        return np.where(found, np.take(index, np.maximum(ancestor, 0), axis=-1), -1)

    def words(self, node: int) -> str:
        """Which branches lead to a node, in the order of time, such as `demand high, price low`."""
        path = self.above[node, self.quarter[node] :: -1]
        return ", ".join(self.names[step] for step in path if self.names[step])


def tree_of(quarter: ArrayLike, parent: ArrayLike, probability: ArrayLike, names: tuple[str, ...] | None = None) -> Tree:
    """The tree of these nodes, (N,) each; raises InputError where they are none.

    The probabilities of the children of a node sum to its own, a child is one quarter after its parent, and the root has probability 1.
    """
    quarters, parents = np.asarray(quarter, dtype=np.int64), np.asarray(parent, dtype=np.int64)
    chances = np.asarray(probability, dtype=np.float64)
    _check(quarters, parents, chances)
    above = np.full((len(quarters), int(quarters.max()) + 1), -1, dtype=np.int64)
    above[:, 0] = np.arange(len(quarters))
    for lag in range(1, above.shape[1]):
        before = above[:, lag - 1]
        above[:, lag] = np.where(before >= 0, parents[np.maximum(before, 0)], -1)
    return Tree(quarter=quarters, parent=parents, probability=chances, above=above, names=names or ("",) * len(quarters))


def single(quarters: int) -> Tree:
    """The tree of one path, in which all is known."""
    return tree_of(np.arange(quarters), np.arange(quarters) - 1, np.ones(quarters))


def _check(quarter: Nodes, parent: Nodes, probability: Array) -> None:
    if not (quarter.ndim == 1 and len(quarter) and quarter.shape == parent.shape == probability.shape):
        raise InputError("a tree has one quarter, parent and probability a node", given=f"{quarter.shape} and {parent.shape}")
    later = np.arange(1, len(quarter))
    if quarter[0] != 0 or parent[0] != -1 or np.any((parent[1:] < 0) | (parent[1:] >= later)):
        raise InputError("a tree starts with its root, and parents stand before children", given=f"parents {parent[:8]}")
    if np.any(quarter[1:] != quarter[parent[1:]] + 1):
        raise InputError("each node of a tree is one quarter after its parent", given=f"quarters {quarter[:8]}")
    children = np.bincount(parent[1:], minlength=len(quarter))
    if np.any((children == 0) & (quarter < quarter.max())):
        raise InputError("every path of a tree ends in the last quarter", given=f"one in {quarter[children == 0].min()}")
    if abs(probability[0] - 1) > 1e-9 or not np.all(probability >= 0):
        raise InputError("probabilities of a tree start at 1 and are not negative", given=f"{probability.min():g} to {probability[0]:g}")
    sums = np.bincount(parent[1:], weights=probability[1:], minlength=len(quarter))
    off = np.abs(sums - probability)[children > 0].max(initial=0.0)
    if off > 1e-9:
        raise InputError("the probabilities of a node's branches sum to its own", given=f"off by {off:g}")
