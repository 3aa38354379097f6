"""One run of HiGHS that can be watched, stopped with Ctrl-C, and asked what it found."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import highspy
import numpy as np

from tapeout.errors import TapeoutError
from tapeout.sourcing.linear_program import LinearProgram
from tapeout.sourcing.problem import Array
from tapeout.units import Seconds, Unit

TOLERANCE = 1e-9


# highspy shares its locks among all solvers of a process and refuses a second run, so runs wait for each other here.
_ONE_AT_A_TIME = threading.Lock()


class _Quiet(highspy.Highs):
    """HiGHS without its banner, which the constructor prints to stdout as soon as callbacks are enabled."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def enableCallbacks(self) -> None:  # noqa: N802, the name is HiGHS's
        """Silence the solver, then enable its callbacks."""
        self.silent()
        super().enableCallbacks()  # type: ignore[no-untyped-call]


class Outcome(StrEnum):
    """How a run ended."""

    OPTIMAL = "optimal"
    LIMIT = "limit"
    CANCELLED = "cancelled"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A glance at a running solver: `best` is the best objective so far (infinite where there is none), `bound` its dual bound."""

    elapsed: Seconds
    best: Annotated[float, Unit("1")]
    bound: Annotated[float, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a run found, in the program's units; `values` is None where it found no feasible point."""

    outcome: Outcome
    values: Annotated[Array, Unit("1")] | None
    objective: Annotated[float, Unit("1")]
    bound: Annotated[float, Unit("1")]


def run(
    program: LinearProgram,
    *,
    gap: float,
    time_limit: Seconds,
    watch: Callable[[Sighting], None] | None = None,
    fixed: Array | None = None,
) -> Solution:
    """Minimise the program to a relative gap within `time_limit`; `fixed` holds a value for every variable, taken for the integer ones.

    An interrupt from the keyboard stops the solver at its next check and gives the best point so far. Raises TapeoutError where
    HiGHS fails.
    """
    solver: Any = _Quiet()
    solver.setOptionValue("mip_rel_gap", gap)
    solver.setOptionValue("time_limit", float(time_limit))
    solver.setOptionValue("primal_feasibility_tolerance", TOLERANCE)
    solver.setOptionValue("dual_feasibility_tolerance", TOLERANCE)
    solver.passModel(program.to_highs())
    integers = program.integers
    mixed = bool(integers.size) and fixed is None
    if fixed is not None and integers.size:
        values = np.round(fixed[integers])
        solver.changeColsBounds(integers.size, integers.astype(np.int32), values, values)
        solver.changeColsIntegrality(
            integers.size, integers.astype(np.int32), np.full(integers.size, highspy.HighsVarType.kContinuous, dtype=np.uint8)
        )
    cancelled = _run(solver, watch if mixed else None)
    return _read(solver, mixed, cancelled)


def _run(solver: Any, watch: Callable[[Sighting], None] | None) -> bool:
    """Run in a thread, so that the keyboard and `watch` are heard; True where the user stopped it."""
    seen: deque[Sighting] = deque(maxlen=1)
    if watch is not None:
        solver.cbMipInterrupt += lambda event: seen.append(_sighting(event.data_out))
    solver.HandleUserInterrupt = True
    done = cancelled = False
    with _ONE_AT_A_TIME:
        solver.startSolve()
        try:
            while not done:
                try:
                    done, _ = solver.wait(0.1)
                    if watch is not None and seen:
                        watch(seen.pop())
                except KeyboardInterrupt:
                    cancelled = True
                    solver.cancelSolve()
        finally:
            if not done:
                solver.cancelSolve()
                solver.wait()
    return cancelled


def _sighting(data: Any) -> Sighting:
    best, bound = float(data.mip_primal_bound), float(data.mip_dual_bound)
    return Sighting(
        elapsed=float(data.running_time),
        best=best if best < highspy.kHighsInf else math.inf,
        bound=bound if bound > -highspy.kHighsInf else -math.inf,
    )


def _read(solver: Any, mixed: bool, cancelled: bool) -> Solution:
    status, info = solver.getModelStatus(), solver.getInfo()
    kinds = highspy.HighsModelStatus
    if status in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
        return Solution(outcome=Outcome.INFEASIBLE, values=None, objective=math.inf, bound=math.inf)
    outcomes = {kinds.kOptimal: Outcome.OPTIMAL, kinds.kTimeLimit: Outcome.LIMIT, kinds.kInterrupt: Outcome.CANCELLED}
    if status not in outcomes:
        raise TapeoutError(f"the solver failed: {solver.modelStatusToString(status)}")
    outcome = Outcome.CANCELLED if cancelled and status != kinds.kOptimal else outcomes[status]
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    values = np.array(solver.getSolution().col_value) if feasible else None
    objective = float(info.objective_function_value) if feasible else math.inf
    bound = float(info.mip_dual_bound) if mixed else objective if outcome is Outcome.OPTIMAL else -math.inf
    return Solution(outcome=outcome, values=values, objective=objective, bound=bound)
