"""A mixed-integer linear program as blocks of variables and rows over index arrays, handed to HiGHS as one sparse matrix.

An index of -1 means that there is no such variable (an order before the first quarter, say), or no such row, and drops its term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import highspy
import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from tapeout.sourcing.problem import Array
from tapeout.units import Unit

Index = NDArray[np.int64]
Term = tuple[Index, ArrayLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBlock:
    """The rows of one constraint. `labels` name each axis of `rows` in the scenario's words.

    One unit of a row is `size` (an array that broadcasts to `rows`) times `unit`; `relief` is the sign with which a slack mends it.
    """

    name: str
    rows: Index
    labels: tuple[tuple[str, ...], ...]
    size: Annotated[Array, Unit("1")]
    unit: Unit
    relief: int


class LinearProgram:
    """Minimise a linear cost over blocks of variables and rows; built once, then read by the solver."""

    def __init__(self) -> None:
        self.columns = self.row_count = 0
        self.constant: Annotated[float, Unit("1")] = 0.0
        self.blocks: dict[str, RowBlock] = {}
        self._bounds: list[tuple[Array, Array, NDArray[np.bool_]]] = []
        self._limits: list[tuple[Array, Array]] = []
        self._entries: list[tuple[Index, Index, Array]] = []
        self._costs: list[tuple[Index, Array]] = []

    def variables(
        self,
        shape: tuple[int, ...],
        *,
        lower: ArrayLike = 0.0,
        upper: ArrayLike = np.inf,
        integer: ArrayLike = False,
        where: ArrayLike = True,
    ) -> Index:
        """Indices, of this shape, of new variables, -1 except `where`; bounds and integrality broadcast to it."""
        index, kept = _numbered(self.columns, where, shape)
        count = int(kept.sum())
        self.columns += count
        bounds = (_flat(lower, shape)[kept], _flat(upper, shape)[kept], _flat(integer, shape)[kept].astype(bool))
        self._bounds.append(bounds)
        return index

    def rows(
        self,
        shape: tuple[int, ...],
        terms: Sequence[Term],
        *,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
        where: ArrayLike = True,
    ) -> Index:
        """Indices of new rows lower <= sum of terms <= upper, -1 except `where`.

        The leading axes of a term's index array are those of `shape`; the axes after them are summed.
        """
        index, chosen = _numbered(self.row_count, where, shape)
        self.row_count += int(chosen.sum())
        self._limits.append((_flat(lower, shape)[chosen], _flat(upper, shape)[chosen]))
        for variables, coefficient in terms:
            coefficients = np.broadcast_to(np.asarray(coefficient, dtype=float), variables.shape)
            rows = np.broadcast_to(index.reshape(shape + (1,) * (variables.ndim - len(shape))), variables.shape)
            kept = (variables >= 0) & (rows >= 0) & (coefficients != 0)
            self._entries.append((rows[kept], variables[kept], coefficients[kept]))
        return index

    def name(
        self, name: str, rows: Index, labels: tuple[tuple[str, ...], ...], unit: Unit, size: ArrayLike = 1.0, relief: int = -1
    ) -> None:
        """Make these rows a constraint that an infeasible plan can be explained by."""
        sizes = np.broadcast_to(np.asarray(size, dtype=float), rows.shape)
        self.blocks[name] = RowBlock(name=name, rows=rows, labels=labels, size=sizes, unit=unit, relief=relief)

    def add_cost(self, variables: Index, coefficient: ArrayLike) -> None:
        """Add coefficient x variable to the objective, for each of the variables."""
        coefficients = np.broadcast_to(np.asarray(coefficient, dtype=float), variables.shape)
        kept = variables >= 0
        self._costs.append((variables[kept], coefficients[kept]))

    def limit_cost(self, most: float) -> None:
        """Allow no solution whose cost is above `most`."""
        row = np.array([self.row_count])
        self.row_count += 1
        self._limits.append((np.array([-np.inf]), np.array([most - self.constant])))
        for index, coefficient in self._costs:
            self._entries.append((np.repeat(row, index.size), index, coefficient))

    def drop_costs(self) -> None:
        """Forget the objective."""
        self._costs.clear()
        self.constant = 0.0

    def soften(self, block: RowBlock) -> Index:
        """Give each row of a block a slack that mends it, and return the slacks."""
        slacks = self.variables(block.rows.shape, where=block.rows >= 0)
        kept = block.rows >= 0
        self._entries.append((block.rows[kept], slacks[kept], np.full(int(kept.sum()), float(block.relief))))
        return slacks

    def relax(self) -> None:
        """Let integer variables be anything between their bounds."""
        self._bounds = [(lower, upper, np.zeros_like(integer)) for lower, upper, integer in self._bounds]

    @property
    def integers(self) -> Index:
        """Indices of the integer variables."""
        return np.flatnonzero(np.concatenate([integer for _, _, integer in self._bounds]))

    def to_highs(self) -> Any:
        """The program as a `highspy.HighsLp`."""
        rows, columns, values = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        matrix = sp.csc_matrix((values, (rows, columns)), shape=(self.row_count, self.columns))
        cost = np.zeros(self.columns)
        for index, coefficient in self._costs:
            np.add.at(cost, index, coefficient)
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = self.columns, self.row_count
        model.col_cost_, model.offset_ = cost, self.constant
        model.col_lower_, model.col_upper_ = (np.concatenate([bounds[side] for bounds in self._bounds]) for side in (0, 1))
        model.row_lower_, model.row_upper_ = (np.concatenate(part) for part in zip(*self._limits, strict=True))
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        if self.integers.size:
            kinds = np.full(self.columns, highspy.HighsVarType.kContinuous, dtype=object)
            kinds[self.integers] = highspy.HighsVarType.kInteger
            model.integrality_ = list(kinds)
        return model


def _flat(values: ArrayLike, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.asarray(values, dtype=float), shape).ravel()


def _numbered(first: int, where: ArrayLike, shape: tuple[int, ...]) -> tuple[Index, NDArray[np.bool_]]:
    """Numbers from `first` on in the places `where`, -1 in the others; and those places, flat."""
    kept = np.broadcast_to(np.asarray(where, dtype=bool), shape).ravel()
    return np.where(kept, first + np.cumsum(kept) - 1, -1).reshape(shape), kept
