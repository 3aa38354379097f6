"""How far the laws are from measured operators: with the coefficients of a table, and for a chip whose rows it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.calibration.operator_fit import fit
from tapeout.calibration.operator_laws import bound_seconds, law_seconds
from tapeout.calibration.operator_table import OperatorTable
from tapeout.hardware.chip import Chip
from tapeout.performance.efficiency import Efficiency, Table
from tapeout.units import Dimensionless, Unit

Errors = Annotated[NDArray[np.float64], Unit("1")]

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Errors of one operator on one chip in one format: medians of the absolute relative error, its 90th percentile, and the bias.

    `bias` is the median of predicted over measured, less one. `dropped` rows were measured faster than the memory or the peak allows:
    what an operator reads again and again stays in a cache. `left_out` is the median where the chip's own rows were not fitted.
    """

    operator: str
    chip: str
    format: str
    rows: int
    dropped: int
    median: Dimensionless
    ninetieth: Dimensionless
    bias: Dimensionless
    left_out: Dimensionless


def left_out_errors(
    rows: OperatorTable, chips: Mapping[str, Chip], fitted: Table, before: Table, say: Callable[[str], None] = lambda text: None
) -> Errors:
    """Logarithm of predicted over measured where each chip's coefficients are fitted without its rows, one chip at a time.

    What its generation measured on other chips counts, and where it has no other chip its kin in `fitted`, the table of all rows;
    what a generation without kin did not measure on other chips stays as in `before`.
    """
    errors = np.empty(len(rows))
    generation = np.array([chips[str(chip)].generation for chip in rows.chip])
    for chip in np.unique(rows.chip):
        own = rows.chip == chip
        name = str(generation[own][0])
        # Other generations do not take from this one's rows unless they are its kin, so only it is fitted anew.
        kept = rows.take(~own & (generation == name))
        table = fit(kept, chips, {**fitted, name: _without_operators(fitted[name], before[name])}, "").table
        errors[own] = np.log(law_seconds(rows.take(own), chips, table) / rows.seconds[own])
        say(f"left out {chip}: median error {100 * np.median(np.abs(np.expm1(errors[own]))):.1f} %")
    return errors


def _without_operators(fitted: Efficiency, before: Efficiency) -> Efficiency:
    return replace(fitted, products={}, grouped={}, attention=None, latent=None, collective={}) if fitted.kin else before


def scores(rows: OperatorTable, chips: Mapping[str, Chip], table: Table, left_out: Errors | None = None) -> list[Score]:
    """Scores by operator, chip and format, and of all rows of an operator; `left_out` are logarithmic errors by row."""
    errors = np.log(law_seconds(rows, chips, table) / rows.seconds)
    slow = rows.seconds >= bound_seconds(rows, chips)
    others = np.full(len(rows), np.nan) if left_out is None else left_out
    return [_score(key, mask, slow, errors, others) for key, mask in _cells(rows)]


def _cells(rows: OperatorTable) -> Iterator[tuple[tuple[str, str, str], NDArray[np.bool_]]]:
    formats = np.where(rows.cache_format == "", rows.format, np.char.add(np.char.add(rows.format, "/"), rows.cache_format))
    names = np.where(np.isnan(rows.kv_rank), rows.operator, np.char.add("latent ", rows.operator))
    for operator in dict.fromkeys(names.tolist()):
        of = names == operator
        yield (operator, ALL, ALL), of
        for chip in dict.fromkeys(rows.chip[of].tolist()):
            for form in np.unique(formats[of & (rows.chip == chip)]):
                yield (operator, chip, str(form)), of & (rows.chip == chip) & (formats == form)


def _score(key: tuple[str, str, str], mask: NDArray[np.bool_], slow: NDArray[np.bool_], errors: Errors, others: Errors) -> Score:
    operator, chip, form = key
    kept = mask & slow
    relative, other = np.expm1(errors[kept]), np.abs(np.expm1(others[kept]))
    absolute = np.abs(relative) if kept.any() else np.array([np.nan])
    return Score(
        operator=operator, chip=chip, format=form, rows=int(np.count_nonzero(kept)), dropped=int(np.count_nonzero(mask & ~slow)),
        median=float(np.median(absolute)), ninetieth=float(np.quantile(absolute, 0.9)),
        bias=float(np.median(relative)) if kept.any() else np.nan, left_out=float(np.median(other)) if kept.any() else np.nan,
    )  # fmt: skip
