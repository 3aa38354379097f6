"""Why no plan exists, in the scenario's words: a smallest set of constraints that cannot all be kept, and what it would take to have one.

The constraints of one offer, site, model or supplier give way or hold together. Elastic filter: all may give way, those that do in the
least relaxation must hold from then on, until none is left that helps. Deletion filter: of those that must hold, each that is not needed
for the conflict is dropped. What is left conflicts, and any part of it does not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from tapeout.errors import CancelledError, Conflict, InfeasibleError
from tapeout.sourcing.futures import futures
from tapeout.sourcing.linear_program import LinearProgram, RowBlock
from tapeout.sourcing.model import build
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.solver import Outcome, run
from tapeout.units import Seconds, Unit, show

MENDS = {
    "demand": "capacity for {amount} more of {where}",
    "allocation": "{amount} more chips allocated of {where}",
    "programme": "{amount} chips of {where} before their programme delivers",
    "site power": "{amount} more held at {where}",
    "available power": "{amount} more available at {where}",
    "largest share": "{amount} of the quarter's queries more from {where}",
    "concentration": "a concentration higher by {amount} in {where}",
    "budget": "{amount} more budget in {where}",
}
ALSO = {"programme service": "programme"}
"""Rows that give way with those of another constraint, and are not told."""
NOBODYS = ("concentration", "budget")
SHOWN = 3
SLACK = 1e-6
"""What a row gives way by, in its own unit of about its largest size, without being said to."""
LEAST_TIME: Seconds = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One problem to explain: whether its conflict is there in the relaxation, and by when to have done."""

    problem: Problem
    relaxed: bool
    deadline: Seconds

    @property
    def late(self) -> bool:
        """Whether there is no time left to make the conflict smaller."""
        return time.monotonic() > self.deadline


def explain(alternatives: Sequence[Problem], time_limit: Seconds) -> InfeasibleError:
    """The error for a problem none of whose alternatives has a plan; raises CancelledError where the user stops the search for its cause.

    The first alternative is told in full, of the others the constraints in conflict where those of the first can be met.
    """
    case, conflicts = _conflict(alternatives[0], time_limit)
    if not conflicts:
        return InfeasibleError(f"no plan exists, and {time_limit:g} s were not enough to find out why", hint="raise the time limit")
    hints, named = _mended(case, conflicts), list(conflicts)
    for problem in alternatives[1:]:
        other = replace(case, problem=problem)
        if _impossible(other, [one for one in _everything(other) if one not in conflicts]):
            continue
        name, its = " and ".join(one.id for one in problem.programmes), _conflict(problem, time_limit)[1]
        hints.append(f"with {name} it fails on {_words(its)}" if its else f"with {name} it fails wherever that starts")
        named += its
    text = f"no plan can meet {_words(conflicts)}" + (" together" if len(conflicts) > 1 else "")
    return InfeasibleError(text, hint="; ".join(hints) or None, conflicts=tuple(dict.fromkeys(named)))


def _words(conflicts: Sequence[Conflict]) -> str:
    """Constraints by kind, such as `demand of gpt-4, allocation of cloud and lease, and budget`."""
    parts = list[str]()
    for kind, found in groupby(conflicts, key=lambda one: one.kind):
        items = [one.item for one in found if one.item]
        parts.append(f"{kind} of {_listed(items)}" if items else kind)
    return _listed(parts, "," if any(" and " in part for part in parts) else "")


def _listed(words: Sequence[str], comma: str = "") -> str:
    return ", ".join(words[:-1]) + f"{comma} and {words[-1]}" if len(words) > 1 else "".join(words)


def _conflict(problem: Problem, time_limit: Seconds) -> tuple[Case, tuple[Conflict, ...]]:
    """The constraints in conflict, none where they were not found: in the relaxation if there is no plan even there."""
    case = Case(problem=problem, relaxed=True, deadline=time.monotonic() + time_limit)
    everything = _everything(case)
    giving = _giving(case, everything)
    if not giving:
        case = replace(case, relaxed=False)
        giving = _giving(case, everything)
    held = giving
    while giving and not case.late:
        giving = _giving(case, [one for one in everything if one not in held])
        held += giving
    for one in held:
        rest = tuple(other for other in held if other != one)
        if rest and not case.late and _impossible(case, [other for other in everything if other not in rest]):
            held = rest
    return case, tuple(one for one in everything if one in held)


def _mended(case: Case, conflicts: Sequence[Conflict]) -> list[str]:
    """What it would take, in words: of one kind of constraint alone where that is enough, else of all together."""
    everything, told = _everything(case), list[str]()
    for kind in dict.fromkeys(one.kind for one in conflicts):
        told += _mends(case, [one for one in everything if one.kind == kind])
    if told:
        return ["it would take " + ", or ".join(told)]
    all_of_it = _mends(case, everything)
    return ["no single constraint is to blame; it would take " + " and ".join(all_of_it)] if all_of_it else []


def _everything(case: Case) -> tuple[Conflict, ...]:
    """All constraints that can give way, by kind."""
    blocks = _program(case).blocks
    order = [*MENDS, *ALSO]
    return tuple(dict.fromkeys(member for name in sorted(blocks, key=order.index) for member in _members(blocks[name])))


def _program(case: Case) -> LinearProgram:
    program = build(futures(case.problem)).program
    program.drop_costs()
    if case.relaxed:
        program.relax()
    return program


def _members(block: RowBlock) -> list[Conflict]:
    """What each entry of the first axis of a block is, one for all where it is nobody's."""
    kind = ALSO.get(block.name, block.name)
    return [Conflict(kind=kind, item="" if kind in NOBODYS else label) for label in block.labels[0]]


def _relaxation(case: Case, soft: Sequence[Conflict], *, free: bool = False) -> tuple[Outcome, dict[str, tuple[RowBlock, Array]]]:
    """How the least relaxation of `soft` constraints ends, and by block how much each row gives way; `free` ones may by any amount."""
    program, index = _program(case), {}
    for name, block in program.blocks.items():
        inside = np.array([member in soft for member in _members(block)], dtype=bool).reshape(-1, *(1,) * (block.rows.ndim - 1))
        index[name] = program.soften(replace(block, rows=np.where(inside, block.rows, -1)))
        if not free and name not in ALSO:
            program.add_cost(index[name], 1.0)
    found = run(program, gap=1e-3, time_limit=max(LEAST_TIME, case.deadline - time.monotonic()))
    if found.outcome is Outcome.CANCELLED:
        raise CancelledError("stopped while looking for the constraints in conflict")
    if found.values is None:
        return found.outcome, {}
    slacks = {name: np.where(slack >= 0, found.values[np.maximum(slack, 0)], 0.0) for name, slack in index.items()}
    return found.outcome, {name: (program.blocks[name], slack) for name, slack in slacks.items() if name not in ALSO}


def _giving(case: Case, soft: Sequence[Conflict]) -> tuple[Conflict, ...]:
    """Which constraints give way in the least relaxation of `soft`; none where that does not help."""
    found = list[Conflict]()
    for block, slack in _relaxation(case, soft)[1].values():
        found += [member for member, given in zip(_members(block), slack, strict=True) if np.any(given > SLACK)]
    return tuple(dict.fromkeys(found))


def _impossible(case: Case, soft: Sequence[Conflict]) -> bool:
    """Whether there is no plan though `soft` constraints need not hold."""
    return _relaxation(case, soft, free=True)[0] is Outcome.INFEASIBLE


def _mends(case: Case, soft: Sequence[Conflict]) -> list[str]:
    """The least relaxation of these constraints that lets a plan exist, in words by kind; none where none does.

    Of the relaxation where whole decisions take too long.
    """
    whole = replace(case, relaxed=False, deadline=time.monotonic() + LEAST_TIME)
    outcome, found = _relaxation(whole, soft)
    if outcome is Outcome.LIMIT:
        found = _relaxation(replace(case, relaxed=True), soft)[1]
    words = [_told(block, slack) for block, slack in found.values()]
    return [("at least " if outcome is Outcome.LIMIT else "") + each for each in words if each]


def _told(block: RowBlock, slack: Array) -> str:
    amounts = slack * block.size
    rows = [tuple(int(axis) for axis in row) for row in np.argwhere(slack > SLACK)]
    rows.sort(key=lambda row: -float(amounts[row]))
    told = [MENDS[block.name].format(amount=_amount(float(amounts[row]), block.unit), where=_where(block, row)) for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        told.append(f"the like in {len(rows) - SHOWN} other cases")
    return ", ".join(told)


def _amount(value: float, unit: Unit) -> str:
    return show(value, unit, digits=4)


def _where(block: RowBlock, row: tuple[int, ...]) -> str:
    return " in ".join(labels[axis] for labels, axis in zip(block.labels, row, strict=True))
