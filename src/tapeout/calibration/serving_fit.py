"""The second stage of the fit: what a serving stack adds to its operators, from published end-to-end results.

Coefficients are moved by factors, each held by a prior as wide as its first stage left it uncertain: measured operators little,
the host freely. Gauss-Newton steps on a robust cost; the derivative by a coefficient is taken on the rows that depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.calibration.measurements import Measurement
from tapeout.performance.efficiency import Efficiency, Table, lineage
from tapeout.performance.predict import Case, Kind, Prediction, Refusal, predict
from tapeout.provenance import Grade, Sourced
from tapeout.units import Dimensionless, Unit

Errors = Annotated[NDArray[np.float64], Unit("1")]

TYPICAL_ERROR = 0.12
"""Logarithmic error beyond which a row pulls only linearly: the scatter between submitters with the same chips."""
QUANTITY_WEIGHTS = (0.36, 1.0, 1.0)
"""What the rows of a quantity weigh together: TTFT, which scatters most, TPOT, and the offline token rate."""
DIFFERENCE = 0.03
"""Step of the logarithm by which derivatives are taken."""
MOST_MOVE = 0.5
"""Most that one Gauss-Newton step moves the logarithm of a coefficient."""
LEAST_GAIN = 1e-3
"""Relative fall of the cost below which the fit has ended."""
STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A coefficient to move: `path` inside the `Efficiency` of `generation`; `prior` is the standard deviation of its logarithm."""

    generation: str
    path: tuple[str, ...]
    prior: Dimensionless
    most: Dimensionless

    def value(self, table: Table) -> float:
        """The coefficient in `table`."""
        return float(_found(table[self.generation], self.path).value)

    def placed(self, table: Table, value: float) -> Table:
        """`table` with the coefficient at `value`."""
        return self.stated(table, lambda fact: replace(fact, value=value, low=min(fact.low, value), high=max(fact.high, value)))

    def stated(self, table: Table, fact: Callable[[Sourced[float]], Sourced[float]]) -> Table:
        """`table` with the coefficient as `fact` makes it from the present one."""
        changed: Efficiency = _placed(table[self.generation], self.path, fact)
        return {**table, self.generation: changed}


def _found(part: Any, path: tuple[str, ...]) -> Sourced[float]:
    for name in path:
        part = part[name] if isinstance(part, dict) else getattr(part, name)
    fact: Sourced[float] = part
    return fact


def _placed(part: Any, path: tuple[str, ...], fact: Callable[[Sourced[float]], Sourced[float]]) -> Any:
    if not path:
        return fact(part)
    inner = _placed(part[path[0]] if isinstance(part, dict) else getattr(part, path[0]), path[1:], fact)
    return {**part, path[0]: inner} if isinstance(part, dict) else replace(part, **{path[0]: inner})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFit:
    """The fitted `table`; `errors` as `logarithmic_errors` gives them; by parameter the standard deviation of its logarithm."""

    table: Table
    parameters: tuple[Parameter, ...]
    errors: Errors
    deviations: Errors


HOST_PRIORS = {"step": 0.5, "sequence": 0.7, "layer": 0.4, "request": 0.7, "dispatch": 0.7, "burst": 0.7, "reserved": 0.5}
OPERATOR_PRIOR, GROUPED_PRIOR, INHERITED_PRIOR = 0.1, 0.2, 0.3
_MOVED = {
    "products": ("compute", "bandwidth"),
    "grouped": ("compute", "bandwidth", "launch"),
    "routing": ("imbalance", "unpacking"),
    "attention": ("prefill_compute", "decode_bandwidth", "decode_bandwidth_8bit", "decode_unit"),
    "collective": ("bandwidth", "launch"),
}
_SHARES = ("compute", "bandwidth", "prefill_compute", "decode_bandwidth", "decode_bandwidth_8bit")
"""Achieved fractions, which end at one."""


def parameters(table: Table, generations: Collection[str]) -> tuple[Parameter, ...]:
    """What may move: the host of every generation that has one of its own, and the operators of `generations`.

    Operators that were measured are held by a narrow prior.
    """
    found = [
        Parameter(generation=name, path=("host", key), prior=prior, most=np.inf)
        for name, entry in table.items()
        if entry.host is not None
        for key, prior in HOST_PRIORS.items()
    ]
    for name, entry in table.items():
        if name in generations:
            found += [_operator(entry, path) for section in _MOVED for path in _paths(entry, section)]
    # What is nothing cannot be moved by a factor.
    return tuple(one for one in found if one.value(table) > 0)


def _paths(entry: Efficiency, section: str) -> list[tuple[str, ...]]:
    part = getattr(entry, section)
    inside: list[tuple[str, ...]] = [(name,) for name in part] if isinstance(part, dict) else [()] if part is not None else []
    return [(section, *names, key) for names in inside for key in _MOVED[section]]


def _operator(entry: Efficiency, path: tuple[str, ...]) -> Parameter:
    narrow = GROUPED_PRIOR if path[0] in ("grouped", "routing") else OPERATOR_PRIOR
    prior = narrow if _found(entry, path).grade is Grade.MEASURED else INHERITED_PRIOR
    return Parameter(generation=entry.generation, path=path, prior=prior, most=1.0 if path[-1] in _SHARES else np.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Measurements as arrays: `values` is (cases, 3), TTFT and TPOT in seconds and tokens/s per chip, NaN where not judged.

    A cell is a group of rows that share their faults: a chip, model, precision and stack.
    """

    cases: tuple[Case, ...]
    values: Errors
    cells: tuple[str, ...]

    def generations(self) -> list[str]:
        """The generation of each row."""
        return [case.chip.generation for case in self.cases]


def results(measurements: Sequence[Measurement]) -> Results:
    """The rows of `measurements` that are not excluded and can be predicted; latencies online, the rate offline."""
    rows = [(one, one.case) for one in measurements if one.case is not None and not one.excluded]
    online = [(one.ttft, one.tpot, None) if one.kind is Kind.ONLINE else (None, None, one.output_rate_per_chip) for one, _ in rows]
    return Results(
        cases=tuple(case for _, case in rows),
        values=np.array(online, dtype=float).reshape(-1, 3),
        cells=tuple(f"{one.chip} {one.model} {one.precision} {one.kind} {one.software}" for one, _ in rows),
    )


def logarithmic_errors(answers: Sequence[Prediction | Refusal], measured: Errors) -> Errors:
    """Logarithm of predicted over measured, (cases, 3) as `Results.values`; NaN where either is missing."""
    predicted = np.array([
        (answer.ttft.value, answer.tpot.value, answer.output_rate_per_chip.value) if isinstance(answer, Prediction) else (np.nan,) * 3
        for answer in answers
    ])  # fmt: skip
    errors: Errors = np.log(predicted.reshape(-1, 3) / measured)
    return errors


def fit(found: Results, table: Table, moved: Sequence[Parameter], say: Callable[[str], None] = lambda text: None) -> ServingFit:
    """Move the coefficients `moved` of `table` towards the results; a cell weighs as the root of its rows."""
    problem = _Problem(found, table, moved)
    position, damping = np.zeros(len(moved)), 1e-2
    errors = problem.errors(position)
    cost = problem.cost(errors, position)
    curvature = np.eye(len(moved))
    for step in range(STEPS):
        gradient, curvature = problem.slope(errors, position)
        for _ in range(12):
            move = -np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
            trial = position + np.clip(move, -MOST_MOVE, MOST_MOVE)
            trial_errors = problem.errors(trial)
            gain = cost - problem.cost(trial_errors, trial)
            if gain > 0:
                break
            damping *= 4
        else:
            break
        position, errors, cost, damping = trial, trial_errors, cost - gain, damping / 3
        say(f"serving fit, step {step + 1}: cost {cost:.1f}")
        if gain < LEAST_GAIN * cost:
            break
    return ServingFit(
        table=problem.table(position),
        parameters=tuple(moved),
        errors=np.where(np.isfinite(found.values), errors, np.nan),
        deviations=np.sqrt(np.diag(np.linalg.inv(curvature))),
    )


class _Problem:
    """The cost of a vector of log-factors: weighted robust errors of the rows, and the distance from the prior."""

    def __init__(self, found: Results, table: Table, moved: Sequence[Parameter]) -> None:
        self.cases, self.measured, self.start, self.moved = found.cases, found.values, table, moved
        self.begin = np.array([parameter.value(table) for parameter in moved])
        self.prior = np.array([parameter.prior for parameter in moved])
        ancestors = [lineage(generation, table) for generation in found.generations()]
        self.rows = [np.flatnonzero([parameter.generation in kin for kin in ancestors]) for parameter in moved]
        self.weights = _weights(found.values, found.cells)

    def table(self, position: Errors) -> Table:
        table = self.start
        for parameter, begin, move in zip(self.moved, self.begin, position, strict=True):
            table = parameter.placed(table, min(float(begin * np.exp(move)), parameter.most))
        return table

    def errors(self, position: Errors, rows: NDArray[np.int64] | None = None) -> Errors:
        chosen = np.arange(len(self.cases)) if rows is None else rows
        answers = predict([self.cases[row] for row in chosen], self.table(position))
        return np.nan_to_num(logarithmic_errors(answers, self.measured[chosen]))

    def cost(self, errors: Errors, position: Errors) -> float:
        # Pseudo-Huber: quadratic for small errors, linear for large ones.
        robust = 2 * (np.sqrt(1 + (errors / TYPICAL_ERROR) ** 2) - 1)
        return float((self.weights * robust).sum() + ((position / self.prior) ** 2).sum())

    def slope(self, errors: Errors, position: Errors) -> tuple[Errors, Errors]:
        """Half the gradient of the cost and its Gauss-Newton curvature."""
        change = np.zeros((errors.size, len(self.moved)))
        for index, rows in enumerate(self.rows):
            if len(rows):
                shifted = position.copy()
                shifted[index] += DIFFERENCE
                difference = np.zeros_like(errors)
                difference[rows] = (self.errors(shifted, rows) - errors[rows]) / DIFFERENCE
                change[:, index] = difference.ravel()
        weight = (self.weights / np.sqrt(1 + (errors / TYPICAL_ERROR) ** 2)).ravel() / TYPICAL_ERROR**2
        gradient = change.T @ (weight * errors.ravel()) + position / self.prior**2
        return gradient, change.T @ (weight[:, None] * change) + np.diag(1 / self.prior**2)


def _weights(measured: Errors, cells: Sequence[str]) -> Errors:
    """Weights of rows by quantity: those of one quantity sum to the rows of all times its weight over the sum of the weights."""
    _, cell, counts = np.unique(np.asarray(cells), return_inverse=True, return_counts=True)
    weights = np.isfinite(measured) / np.sqrt(counts[cell])[:, None]
    total = weights.sum(axis=0)
    share = np.asarray(QUANTITY_WEIGHTS) * len(cells) / sum(QUANTITY_WEIGHTS)
    scaled: Errors = weights * np.divide(share, total, out=np.zeros(3), where=total > 0)
    return scaled
