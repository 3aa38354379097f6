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
from tapeout.sourcing.linear_program import Index, LinearProgram
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
class Basis:
    """Which bound each column and each row rests on at a vertex, as HiGHS numbers them."""

    columns: Index
    rows: Index

    @classmethod
    def of(cls, found: Any) -> Basis:
        """The basis of a `highspy.HighsBasis`, which cannot be copied to other processes."""
        columns, rows = ([int(status) for status in side] for side in (found.col_status, found.row_status))
        return cls(columns=np.array(columns, dtype=np.int64), rows=np.array(rows, dtype=np.int64))

    def with_rows(self, count: int) -> Basis:
        """The basis of the program with so many more rows, none of which binds."""
        basic = np.full(count, int(highspy.HighsBasisStatus.kBasic), dtype=np.int64)
        return Basis(columns=self.columns, rows=np.concatenate([self.rows, basic]))

    def to_highs(self) -> Any:
        """The basis as a `highspy.HighsBasis`."""
        found = highspy.HighsBasis()
        found.col_status, found.row_status = (
            [highspy.HighsBasisStatus(one) for one in side.tolist()] for side in (self.columns, self.rows)
        )
        found.valid = True
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a run found, in the program's units; `values` is None where it found no feasible point.

    Of a linear program, `duals` are the rise of the objective per unit of each row's bound, and `basis` is where a run of one of the same
    shape may begin (an interior point has none). Both are None where the program has integers left or no optimum.
    """

    outcome: Outcome
    values: Annotated[Array, Unit("1")] | None
    objective: Annotated[float, Unit("1")]
    bound: Annotated[float, Unit("1")]
    duals: Annotated[Array, Unit("1")] | None = None
    basis: Basis | None = None


def run(
    program: LinearProgram,
    *,
    gap: float,
    time_limit: Seconds,
    watch: Callable[[Sighting], None] | None = None,
    fixed: Array | None = None,
    relaxed: bool = False,
    quick: bool = False,
    basis: Basis | None = None,
) -> Solution:
    """Minimise the program to a relative gap within `time_limit`.

    `fixed` holds a value for every variable, at which integer ones are fixed unless it is NaN; `relaxed` lets the others be anything
    between their bounds. A program without integers left is linear and may begin at the `basis` of another; a relaxed one without that is
    for its bound, and is solved by an interior point without a vertex. With `quick` the search ends at its first node, whatever the gap. An
    interrupt from the keyboard stops the solver at its next check and gives the best point so far. Raises TapeoutError where HiGHS fails.
    """
    solver: Any = _Quiet()
    for name, value in _options(gap, time_limit, relaxed and basis is None, quick).items():
        solver.setOptionValue(name, value)
    solver.passModel(program.to_highs())
    integers = program.integers
    held = integers[np.isfinite(fixed[integers])] if fixed is not None else np.array([], dtype=np.int64)
    if fixed is not None:
        values = np.round(fixed[held])
        solver.changeColsBounds(held.size, held.astype(np.int32), values, values)
    loose = integers if relaxed else held
    if loose.size:
        continuous = np.full(loose.size, highspy.HighsVarType.kContinuous, dtype=np.uint8)
        solver.changeColsIntegrality(loose.size, loose.astype(np.int32), continuous)
    mixed = loose.size < integers.size
    if basis is not None:
        solver.setOptionValue("simplex_strategy", 0)  # primal where the basis is feasible still, as after a change of the objective
        solver.setBasis(basis.to_highs())
    cancelled = _run(solver, watch if mixed else None)
    if relaxed and not cancelled and solver.getModelStatus() == highspy.HighsModelStatus.kUnknown:
        solver.setOptionValue("solver", "simplex")  # the interior point came to rest short of its tolerance
        cancelled = _run(solver, None)
    return _read(solver, mixed, cancelled)


def _options(gap: float, time_limit: Seconds, interior: bool, quick: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"mip_rel_gap": gap, "time_limit": float(time_limit)}
    if interior:
        return options | {"solver": "ipx", "run_crossover": "off"}
    if quick:
        options |= {"mip_max_nodes": 1, "mip_heuristic_effort": 0.0}
    return options | {"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE}


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
    outcomes = {
        kinds.kOptimal: Outcome.OPTIMAL,
        kinds.kTimeLimit: Outcome.LIMIT,
        kinds.kSolutionLimit: Outcome.LIMIT,
        kinds.kInterrupt: Outcome.CANCELLED,
    }
    if status not in outcomes:
        raise TapeoutError(f"the solver failed: {solver.modelStatusToString(status)}")
    outcome = Outcome.CANCELLED if cancelled and status != kinds.kOptimal else outcomes[status]
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    values = np.array(solver.getSolution().col_value) if feasible else None
    objective = float(info.objective_function_value) if feasible else math.inf
    bound = float(info.mip_dual_bound) if mixed else objective if outcome is Outcome.OPTIMAL else -math.inf
    solved = not mixed and feasible and status == kinds.kOptimal
    duals = np.array(solver.getSolution().row_dual) if solved else None
    basis = Basis.of(solver.getBasis()) if solved and solver.getBasis().valid else None
    return Solution(outcome=outcome, values=values, objective=objective, bound=bound, duals=duals, basis=basis)
