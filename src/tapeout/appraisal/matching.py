"""Which node of a small tree stands for each node of another, by what has been seen so far."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tapeout.outlook.processes import Scenarios, to_tree, values
from tapeout.outlook.tree import Array, Nodes


def matching(known: Scenarios, fresh: Scenarios, weights: Mapping[str, float] | None = None) -> Nodes:
    """The node of the tree of `known` that stands for each node of the tree of `fresh`, (N,).

    From the root on, a node is matched with the child of its parent's match whose assumptions in that quarter are nearest: the mean over
    the targets of |x - y| / max(x, y) and of the quarters of delay between them. Both trees come from `to_tree`; equal ones match
    themselves. `weights` say how much a target counts, 1 where not given.
    """
    (small, small_of), (large, large_of) = to_tree(known), to_tree(fresh)
    share = np.array([(weights or {}).get(target, 1.0) for target in fresh.targets])
    one, other = _seen(known, small_of, fresh.targets), _seen(fresh, large_of, fresh.targets)
    found = np.zeros(large.size, dtype=np.int64)
    for quarter in range(1, large.quarters):
        nodes, children = np.flatnonzero(large.quarter == quarter), np.flatnonzero(small.quarter == quarter)
        kin = small.parent[children][None, :] == found[large.parent[nodes]][:, None]
        apart = np.zeros(kin.shape)
        for weight, (mine, late), (theirs, later) in zip(share, one, other, strict=True):
            x, y = theirs[nodes][:, None], mine[children][None, :]
            larger = np.maximum(x, y)
            apart += weight * (np.abs(x - y) / np.where(larger > 0, larger, 1.0) + np.abs(later[nodes][:, None] - late[children][None, :]))
        found[nodes] = children[np.where(kin, apart, np.inf).argmin(axis=1)]
    return found


def _seen(scenarios: Scenarios, node_of: Nodes, targets: tuple[str, ...]) -> list[tuple[Array, Nodes]]:
    """The factor and the delay of each target at each node; 1 and 0 where nothing changes it."""
    factor, delay = values(scenarios, node_of)
    size = int(node_of.max()) + 1
    return [(factor.get(target, np.ones(size)), delay.get(target, np.zeros(size, dtype=np.int64))) for target in targets]
