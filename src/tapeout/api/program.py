"""The sourcing program for linopy: its variables and constraints by name, so that a user can add constraints, solve, and get a plan.

Needs the extra `api`. Variables are in chips, query/s, W and USD; linopy scales them for the solver as the program itself does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import highspy
import linopy
import numpy as np
import scipy.sparse as sp
import xarray as xr
from numpy.typing import NDArray

from tapeout.api.labels import coordinates, node_names
from tapeout.api.result import Result
from tapeout.errors import InfeasibleError, InputError, LimitNotMetError, did_you_mean
from tapeout.sourcing.branches import Branch, model_of
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.constraints import node_labels
from tapeout.sourcing.decisions import plan_of
from tapeout.sourcing.futures import futures, windows
from tapeout.sourcing.linear_program import Index, RowBlock
from tapeout.sourcing.model import Model, build
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.solver import Outcome
from tapeout.sourcing.validation import validate
from tapeout.sourcing.variables import module_steps
from tapeout.units import Unit

OUTCOMES = {"ok": Outcome.OPTIMAL, "warning": Outcome.LIMIT}
DIMENSIONS = {
    "orders": ("offer", "node"), "installed": ("offer", "node"), "running": ("offer", "node"), "ended": ("offer", "age", "node"),
    "draw": ("group", "site", "node"), "served": ("offer", "model", "node"), "unmet": ("model", "node"), "modules": ("site", "node"),
    "power_orders": ("site", "node"), "site_power": ("site", "node"), "starts": ("programme", "world_node"),
    "started": ("programme", "world_node"), "stops": ("programme", "gate", "node"), "commitment": ("offer", "node"), "cash": ("node",),
    "debt": ("node",), "prepaid": ("prepayment", "node"), "short": ("prepayment", "node"), "cheaper": ("offer", "tier", "node"),
    "auxiliary": ("column",), "auxiliary_whole": ("column",),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """A block of variables: the program's `index`, -1 where there is none, and how much of its own unit one of the program's is."""

    index: Index
    unit: Annotated[Array, Unit("1")]


class PlanModel(linopy.Model):
    """A linopy model of a plan. Add constraints, solve, then take `to_result`."""

    __slots__ = ("columns", "source")

    source: Model
    columns: dict[str, _Columns]

    def to_result(self) -> Result:
        """The plan that the solution says; its bound holds for what was solved, further constraints among it.

        Raises InfeasibleError where there is no plan, LimitNotMetError where none was found.
        """
        if self.termination_condition in ("infeasible", "infeasible_or_unbounded"):
            raise InfeasibleError("no plan keeps to these constraints")
        if self.status not in OUTCOMES or self.objective.value is None:
            raise LimitNotMetError(f"no plan found ({self.status}: {self.termination_condition}); solve the model first, or for longer")
        values = np.zeros(self.source.program.columns)
        for name, block in self.columns.items():
            kept = block.index >= 0
            values[block.index[kept]] = (self.variables[name].solution.values / block.unit)[kept]
        bound = self._bound() + self.source.program.constant * self.source.scale.money
        plan = plan_of(self.source, values, bound, OUTCOMES[self.status])
        return Result(plan=plan, certificate=certify(plan))

    def _bound(self) -> float:
        """The dual bound of the objective in USD where HiGHS says one, else minus infinity; of a linear program its optimum."""
        if self.type == "LP":
            return float(self.objective.value or 0.0)
        if isinstance(self.solver_model, highspy.Highs):
            return float(self.solver_model.getInfo().mip_dual_bound) * self.source.scale.money
        return -np.inf


def program(problem: Problem, starts: Mapping[str, str] | None = None) -> PlanModel:
    """The program of `problem`; `starts` names the programmes that start and the quarter of each, all others do not.

    Without `starts` the program decides on them, which it can where no programme is uncertain; how an uncertain one goes shows after its
    start, so its start must be said. Raises InputError for that, and for a start that is not possible.
    """
    validate(problem)
    uncertain = [one.id for one in problem.programmes if len(one.outcomes) > 1]
    if starts is None and uncertain:
        allowed = f"starts={{{uncertain[0]!r}: {problem.quarters[0]!r}}}, or {{}} for none"
        raise InputError("the start of an uncertain programme must be said", given=", ".join(uncertain), allowed=allowed)
    return _formulated(build(futures(problem)) if starts is None else _started(problem, starts))


def _started(problem: Problem, starts: Mapping[str, str]) -> Model:
    known = [programme.id for programme in problem.programmes]
    for name, quarter in starts.items():
        if name not in known:
            raise InputError("no programme has this name", given=name, allowed=known, hint=did_you_mean(name, known))
        if quarter not in problem.quarters:
            raise InputError(
                f"{name}: not a quarter of the plan", given=quarter, allowed=f"{problem.quarters[0]} to {problem.quarters[-1]}"
            )
    alone = problem.without(frozenset(known) - set(starts))
    when = np.array([problem.quarters.index(starts[programme.id]) for programme in alone.programmes], dtype=np.int64)
    wanted = when[:, None] == problem.tree.quarter
    possible = windows(alone)
    for row, programme in enumerate(alone.programmes):
        if not possible[row][wanted[row]].all():
            quarters = [problem.quarters[quarter] for quarter in np.unique(problem.tree.quarter[possible[row]])]
            raise InputError(f"{programme.id}: cannot start then", given=starts[programme.id], allowed=quarters)
    return model_of(alone, Branch(which=0, allowed=wanted, forced=wanted, exact=True))


def _formulated(model: Model) -> PlanModel:
    lp = model.program.to_highs()
    found = PlanModel()
    found.source, found.columns = model, _columns(model)
    places = _places(model)
    lower, upper = np.array(lp.col_lower_), np.array(lp.col_upper_)
    labels, units = np.full(model.program.columns, -1, dtype=np.int64), np.ones(model.program.columns)
    whole = np.zeros(model.program.columns, dtype=bool)
    whole[model.program.integers] = True
    for name, block in found.columns.items():
        kept, index = block.index >= 0, np.maximum(block.index, 0)
        dimensions = DIMENSIONS[name]
        coords = {axis: places.get(axis, list(range(size))) for axis, size in zip(dimensions, block.index.shape, strict=True)}
        integer = bool(kept.any() and whole[block.index[kept]].all())
        variable = found.add_variables(
            lower=xr.DataArray(np.where(kept, lower[index] * block.unit, 0.0), coords=coords, dims=dimensions),
            upper=xr.DataArray(np.where(kept, upper[index] * block.unit, 0.0), coords=coords, dims=dimensions),
            mask=xr.DataArray(kept, coords=coords, dims=dimensions),
            scaling=1.0 if integer else xr.DataArray(1 / block.unit, coords=coords, dims=dimensions),
            integer=integer,
            name=name,
        )
        labels[block.index[kept]] = variable.labels.values[kept]
        units[block.index[kept]] = block.unit[kept]
    matrix = sp.csc_matrix((lp.a_matrix_.value_, lp.a_matrix_.index_, lp.a_matrix_.start_), shape=(lp.num_row_, lp.num_col_))
    rows = _Rows(
        matrix=sp.csr_matrix(matrix @ sp.diags(1 / units)), labels=labels, lower=np.array(lp.row_lower_), upper=np.array(lp.row_upper_)
    )
    _add_rows(found, rows, model)
    costs = np.array(lp.col_cost_) / units * model.scale.money
    used = np.flatnonzero(costs)
    terms = {"coeffs": ("_term", costs[used]), "vars": ("_term", labels[used]), "const": 0.0}
    found.add_objective(linopy.LinearExpression(xr.Dataset(terms), found), scaling=1 / model.scale.money)
    return found


def _columns(model: Model) -> dict[str, _Columns]:
    """Every variable of the program in one block, under its name and in its own unit."""
    variables, scale, problem = model.variables, model.scale, model.futures.problem
    chips, demand = scale.chips[:, None], scale.demand[:, None]
    steps = module_steps(problem, scale)[:, None]
    lumpy = np.array([site.module > 0 for site in problem.sites], dtype=bool)[:, None]
    owned = np.array([offer.owned for offer in problem.offers])[:, None]
    blocks: dict[str, tuple[Index, Any]] = {
        "orders": (variables.orders, chips),
        "installed": (variables.installed, chips),
        "running": (np.where(owned, variables.running, -1), chips),
        "ended": (variables.ended, chips[..., None]),
        "draw": (variables.draw, scale.power),
        "served": (variables.served, demand),
        "unmet": (variables.unmet, demand),
        "modules": (np.where(lumpy, variables.modules, -1), 1.0),
        "power_orders": (np.where(lumpy, -1, variables.modules), steps),
        "site_power": (variables.site_power, scale.power),
        "starts": (variables.starts, 1.0),
        "started": (variables.started, 1.0),
        "stops": (variables.stops, 1.0),
        "commitment": (variables.commitment, scale.money),
        "cash": (variables.cash, scale.money),
        "debt": (variables.debt, scale.money),
        "prepaid": (model.prepaid.made, 1.0),
        "short": (model.prepaid.short, model.prepaid.size[:, None]),
        "cheaper": (model.rebates.cheaper, chips[..., None]),
    }
    found = {
        name: _Columns(index=index, unit=np.broadcast_to(np.asarray(unit, dtype=float), index.shape))
        for name, (index, unit) in blocks.items()
        if np.any(index >= 0)
    }
    rest = np.ones(model.program.columns, dtype=bool)
    for block in found.values():
        rest[block.index[block.index >= 0]] = False
    whole = np.zeros(model.program.columns, dtype=bool)
    whole[model.program.integers] = True
    for name, mask in (("auxiliary", rest & ~whole), ("auxiliary_whole", rest & whole)):
        if mask.any():
            found[name] = _Columns(index=np.flatnonzero(mask), unit=np.ones(int(mask.sum())))
    return found


def _places(model: Model) -> dict[str, Any]:
    problem, world = model.futures.problem, model.futures.world
    return coordinates(problem) | {
        "node": list(node_names(problem.tree, problem.quarters)),
        "world_node": list(node_names(world.tree, problem.quarters)),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """The rows of the program over its columns in their own units, and the linopy label of each column."""

    matrix: Any
    labels: NDArray[np.int64]
    lower: Annotated[Array, Unit("1")]
    upper: Annotated[Array, Unit("1")]

    def terms(self, rows: Index, factor: Array, width: int) -> tuple[Array, NDArray[np.int64]]:
        """Coefficients and labels of these rows times `factor`, (..., width), padded with label -1."""
        flat = rows.ravel()
        starts, ends = self.matrix.indptr[np.maximum(flat, 0)], self.matrix.indptr[np.maximum(flat, 0) + 1]
        place = starts[:, None] + np.arange(width)
        there = (place < ends[:, None]) & (flat >= 0)[:, None]
        place = np.where(there, place, 0)
        coefficients = np.where(there, self.matrix.data[place] * factor.ravel()[:, None], np.nan)
        labels = np.where(there, self.labels[self.matrix.indices[place]], -1)
        return coefficients.reshape(*rows.shape, width), labels.reshape(*rows.shape, width)


def _add_rows(found: PlanModel, rows: _Rows, model: Model) -> None:
    """The constraints that have a name, in its unit, and the others by how many terms they have, so that padding stays small."""
    named = np.zeros(model.program.row_count, dtype=bool)
    for block in model.program.blocks.values():
        named[block.rows[block.rows >= 0]] = True
        if np.any(block.rows >= 0):
            _add(found, rows, block.name, block.rows, block.size, dict(_axes(block, model.futures.problem)))
    width = np.diff(rows.matrix.indptr)
    steps = np.ceil(np.log2(np.maximum(width, 1))).astype(np.int64)
    for step in np.unique(steps[~named]).tolist():
        index = np.flatnonzero(~named & (steps == step))
        _add(found, rows, f"bookkeeping {2**step}", index, np.ones(index.shape), {f"row_{2**step}": list(range(index.size))})


def _axes(block: RowBlock, problem: Problem) -> Iterator[tuple[str, Any]]:
    """The name of each axis of a constraint with its labels."""
    known = coordinates(problem)
    names, labels = np.array(node_names(problem.tree, problem.quarters)), np.array(node_labels(problem))
    late = np.flatnonzero(problem.tree.quarter >= problem.share_from)
    for place, given in enumerate(block.labels):
        if given == tuple(labels):
            yield "node", names.tolist()
        elif given == tuple(labels[late]):
            yield "late_node", names[late].tolist()
        else:
            yield next((axis for axis in ("model", "offer", "site") if list(given) == known[axis]), f"{block.name}_{place}"), list(given)


def _add(found: PlanModel, rows: _Rows, name: str, index: Index, size: Array, coords: dict[str, Any]) -> None:
    kept, place = index >= 0, np.maximum(index, 0)
    lower, upper = rows.lower[place] * size, rows.upper[place] * size
    equal, above = lower == upper, np.isfinite(lower)
    width = int(np.diff(rows.matrix.indptr)[index[kept]].max(initial=1))
    coefficients, labels = rows.terms(index, np.broadcast_to(size, index.shape), width)
    dimensions = tuple(coords)
    data = xr.Dataset(
        {
            "coeffs": ((*dimensions, "_term"), coefficients),
            "vars": ((*dimensions, "_term"), labels),
            "const": (dimensions, np.zeros(index.shape)),
        },
        coords=coords,
    )
    sign = np.where(equal, "=", np.where(above, ">=", "<="))
    found.add_constraints(
        linopy.LinearExpression(data, found),
        xr.DataArray(sign, coords=coords, dims=dimensions),
        xr.DataArray(np.where(kept, np.where(above, lower, upper), 0.0), coords=coords, dims=dimensions),
        name=name,
        mask=xr.DataArray(kept, coords=coords, dims=dimensions),
        scaling=xr.DataArray(np.broadcast_to(1 / size, index.shape).copy(), coords=coords, dims=dimensions),
    )
