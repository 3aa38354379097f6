"""The futures that a plan meets: the world's tree, and in it how the programme that is started turns out.

An outcome can only be seen once a programme runs, so when it is seen depends on what is decided. For given starts the tree is known: each
node of the world is copied for each outcome that shows by then, and no row has to keep decisions from foreseeing. While it is open where a
programme starts, outcomes are told apart as early as any start that is still allowed would show them: that can only make a plan cheaper, so
it gives a bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.outlook.tree import Nodes, tree_of
from tapeout.sourcing.problem import Problem

Allowed = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Futures:
    """`world` is the problem on the tree of the world (E nodes), `problem` the same on the tree with outcomes (N nodes).

    `origin` (N,) is the node of the world, `case` (P, N) the outcome of each programme: where it does not show yet, one of those that
    are left, which are alike until they do. `allowed` (P, E) says where each programme may start.
    """

    world: Problem
    problem: Problem
    origin: Nodes
    case: Nodes
    allowed: Allowed


def windows(problem: Problem) -> Allowed:
    """Where each programme can start, (P, nodes): in a quarter of decision of its window."""
    time = problem.tree.quarter
    inside = [(programme.first_start <= time) & (time <= programme.last_start) for programme in problem.programmes]
    return np.array(inside, dtype=bool).reshape(len(inside), problem.tree.size) & problem.decided


def futures(problem: Problem, allowed: Allowed | None = None) -> Futures:
    """The futures of `problem` where each programme starts at one of the nodes `allowed` (P, E), anywhere in its window where None.

    At most one of its programmes may be uncertain.
    """
    starts = windows(problem) if allowed is None else allowed & windows(problem)
    uncertain = [index for index, programme in enumerate(problem.programmes) if len(programme.outcomes) > 1]
    if len(uncertain) > 1:
        names = ", ".join(problem.programmes[index].id for index in uncertain)
        raise InputError("more than one uncertain programme in one plan", given=names, allowed="one at a time")
    if not uncertain:
        nodes = np.arange(problem.tree.size)
        case = np.zeros((len(problem.programmes), nodes.size), dtype=np.int64)
        return Futures(world=problem, problem=problem, origin=nodes, case=case, allowed=starts)
    return _split(problem, uncertain[0], starts)


def _split(problem: Problem, which: int, allowed: Allowed) -> Futures:
    tree, programme = problem.tree, problem.programmes[which]
    cases, since = programme.cases, _since_first_start(problem, allowed[which])
    copies: list[dict[int, int]] = []  # of each node of the world: outcome -> node
    origin, parent, groups, names = list[int](), list[int](), list[tuple[int, ...]](), list[str]()
    for node in range(tree.size):
        seen = [(index,) for index, case in enumerate(cases) if case.revealed <= since[node]]
        hidden = tuple(index for index in range(len(cases)) if (index,) not in seen)
        found = dict[int, int]()
        for group in [*seen, hidden] if hidden else seen:
            above = copies[tree.parent[node]][group[0]] if node else -1
            shows = len(group) == 1 and (above < 0 or groups[above] != group)
            names.append(", ".join(filter(None, (tree.names[node], f"{programme.id} {cases[group[0]].name}" if shows else ""))))
            found |= dict.fromkeys(group, len(origin))
            origin.append(node)
            parent.append(above)
            groups.append(group)
        copies.append(found)
    nodes = np.array(origin)
    chance = [sum(cases[index].probability for index in group) for group in groups]
    grown = tree_of(tree.quarter[nodes], parent, tree.probability[nodes] * chance, tuple(names))
    case = np.zeros((len(problem.programmes), nodes.size), dtype=np.int64)
    case[which] = [group[0] for group in groups]
    return Futures(world=problem, problem=problem.on(grown, nodes), origin=nodes, case=case, allowed=allowed)


def _since_first_start(problem: Problem, allowed: NDArray[np.bool_]) -> Nodes:
    """Quarters since the earliest start that is allowed on the way to each node, -1 where there is none."""
    tree = problem.tree
    since = np.full(tree.size, -1, dtype=np.int64)
    for node in range(tree.size):
        before = since[tree.parent[node]] if node else -1
        since[node] = before + 1 if before >= 0 else (0 if allowed[node] else -1)
    return since
