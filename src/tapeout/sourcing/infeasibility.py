"""Why no plan exists, in the scenario's words: which constraint has to give way, by how much, where and when.

Each named constraint is relaxed alone, with slacks of least total. One whose relaxation gives a plan takes part in every
conflict, so those are named. Where none suffices alone, the least relaxation of all together is told.
"""

from __future__ import annotations

import numpy as np

from tapeout.errors import CancelledError, InfeasibleError
from tapeout.sourcing.linear_program import Index, RowBlock
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
    "budget": "{amount} more budget in {where}",
}
SHOWN = 3


def explain(problem: Problem, time_limit: Seconds) -> InfeasibleError:
    """The error for a problem that has no plan; raises CancelledError where the user stops the search for its cause."""
    names = list(build(problem).program.blocks)
    mends: dict[str, str] = {}
    for name in names:
        mends |= _mends(problem, [name], time_limit / len(names))
    hint: str | None = "it would take " + ", or ".join(mends.values())
    if not mends:
        mends = _mends(problem, names, time_limit)
        hint = "no single constraint is to blame; it would take " + " and ".join(mends.values()) if mends else None
    conflict = list(mends) or names
    text = f"no plan can meet {' and '.join(conflict)}" + (" together" if len(conflict) > 1 else "")
    return InfeasibleError(text, hint=hint)


def _mends(problem: Problem, names: list[str], time_limit: Seconds) -> dict[str, str]:
    """The least relaxation of these constraints that lets a plan exist, in words by constraint; empty where none does."""
    program = build(problem).program
    program.drop_costs()
    slacks: list[tuple[RowBlock, Index]] = []
    for name in names:
        slack = program.soften(program.blocks[name])
        program.add_cost(slack, 1.0)
        slacks.append((program.blocks[name], slack))
    found = run(program, gap=1e-3, time_limit=time_limit)
    if found.outcome is Outcome.CANCELLED:
        raise CancelledError("stopped while looking for the constraints in conflict")
    if found.values is None:
        return {}
    return {block.name: words for block, slack in slacks if (words := _words(block, found.values[slack]))}


def _words(block: RowBlock, slack: Array) -> str:
    amounts = slack * block.size
    rows = [tuple(int(axis) for axis in row) for row in np.argwhere(slack > 1e-6)]
    rows.sort(key=lambda row: -float(amounts[row]))
    told = [MENDS[block.name].format(amount=_amount(float(amounts[row]), block.unit), where=_where(block, row)) for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        told.append(f"the like in {len(rows) - SHOWN} other cases")
    return ", ".join(told)


def _amount(value: float, unit: Unit) -> str:
    return show(value, unit, digits=4)


def _where(block: RowBlock, row: tuple[int, ...]) -> str:
    return " in ".join(labels[axis] for labels, axis in zip(block.labels, row, strict=True))
