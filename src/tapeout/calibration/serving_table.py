"""The coefficient table after the second stage: what moved with its range and its reason, and how wide the bands must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tapeout.calibration.measurements import Measurement
from tapeout.calibration.serving_fit import Errors, Parameter, Results, ServingFit, fit, parameters, results
from tapeout.performance.efficiency import Efficiency, Spread, Table
from tapeout.performance.predict import BAND_80
from tapeout.provenance import Grade, Sourced

SOURCE = "published-serving-results"
STARTED = "started from "
LEAST_ROWS = 30
"""Rows of a generation below which its spread is taken from its kin."""
QUANTITIES = ("ttft", "tpot", "rate")
SILENT = 0.95
"""Share of its prior above which a coefficient's deviation shows that no result speaks of it; unmoved, it then stays as it was."""
MOVED = 0.01
"""Logarithm beyond which a coefficient counts as moved."""


def refitted(measurements: Sequence[Measurement], start: Table, say: Callable[[str], None] = lambda text: None) -> tuple[Table, ServingFit]:
    """`start` with its serving side fitted to `measurements`; a generation whose own chips are all missing there falls back on its kin.

    Raises InputError where a row's chip has no efficiencies.
    """
    found = results(measurements)
    chips = {case.chip.id for case in found.cases}
    table = {name: entry if _known(entry, chips) else Efficiency(generation=name, kin=entry.kin) for name, entry in start.items()}
    fitted = fit(found, table, parameters(table, frozenset(found.generations())), say)
    return _with_spreads(_stated(fitted, table, found), fitted.errors, found), fitted


def _known(entry: Efficiency, chips: set[str]) -> bool:
    return entry.spread is None or not entry.kin or not chips.isdisjoint(entry.spread.chips)


def _stated(fitted: ServingFit, start: Table, found: Results) -> Table:
    """The fitted table, where each moved coefficient says on what it was fitted, from where it started, and its range."""
    generations, table = np.array(found.generations()), start
    for parameter, deviation in zip(fitted.parameters, fitted.deviations, strict=True):
        value = parameter.value(fitted.table)
        if deviation > SILENT * parameter.prior and abs(np.log(value / parameter.value(start))) < MOVED:
            continue
        place = f"serving fit on {_basis(parameter, generations, fitted.errors)}"
        table = parameter.stated(table, _moved(parameter, value, float(np.exp(BAND_80 * deviation)), place))
    return table


def _moved(parameter: Parameter, value: float, factor: float, place: str) -> Callable[[Sourced[float]], Sourced[float]]:
    def moved(fact: Sourced[float]) -> Sourced[float]:
        before = fact.place.rpartition(STARTED)[2] if STARTED in fact.place else f"{fact.value:.4g}: {fact.place}"
        high = min(value * factor, max(parameter.most, value))
        return replace(
            fact, value=_short(value), low=_short(value / factor), high=_short(high), source=SOURCE, place=f"{place}, {STARTED}{before}",
            grade=Grade.DERIVED,
        )  # fmt: skip

    return moved


def _basis(parameter: Parameter, generations: np.ndarray[tuple[int], np.dtype[np.str_]], errors: Errors) -> str:
    rows = generations == parameter.generation if parameter.path[0] != "host" else np.full(len(generations), True)
    return f"{rows.sum()} rows (median errors: {_medians(errors[rows])})"


def _medians(errors: Errors) -> str:
    columns = [np.abs(np.expm1(column[np.isfinite(column)])) for column in errors.T]
    return ", ".join(f"{name} {100 * np.median(column):.0f} %" for name, column in zip(QUANTITIES, columns, strict=True) if column.size)


def _with_spreads(table: Table, errors: Errors, found: Results) -> Table:
    """`table` with the spread of every generation that has rows; the root of the kinship first, since the others fall back on it."""
    generations = np.array(found.generations())
    spreads: dict[str, Spread] = {}
    for name in sorted(set(found.generations()), key=lambda name: len(_ancestors(name, table))):
        rows = np.flatnonzero(generations == name)
        kin = next((spreads[other] for other in _ancestors(name, table) if other in spreads), None)
        own = table[name].spread or kin
        if own is None:
            continue
        chips = tuple(sorted({found.cases[row].chip.id for row in rows}))
        spreads[name] = Spread(
            **{quantity: _spread(errors[rows, index], own, kin, quantity) for index, quantity in enumerate(QUANTITIES)},
            widening=own.widening,
            chips=chips,
        )
    return {name: replace(entry, spread=spreads.get(name, entry.spread)) for name, entry in table.items()}


def _ancestors(name: str, table: Mapping[str, Efficiency]) -> list[str]:
    kin = table[name].kin
    return [kin, *_ancestors(kin, table)] if kin else []


def _spread(errors: Errors, own: Spread, kin: Spread | None, quantity: str) -> Sourced[float]:
    column = np.abs(errors[np.isfinite(errors)])
    if column.size < LEAST_ROWS and kin is not None:
        wider: Sourced[float] = getattr(kin, quantity)
        factor = kin.widening.value
        place = f"{column.size} rows, too few: the kin's, widened by one step"
        return replace(
            wider, value=_short(wider.value * factor), low=_short(wider.low * factor), high=_short(wider.high * factor), place=place
        )
    value = float(np.quantile(column, 0.8)) / BAND_80
    median = 100 * float(np.median(np.expm1(column)))
    fact: Sourced[float] = getattr(own, quantity)
    place = f"{column.size} rows, median error {median:.0f} %"
    low, high = _short(0.75 * value), _short(1.33 * value)
    return replace(fact, value=_short(value), low=low, high=high, source=SOURCE, place=place, grade=Grade.DERIVED)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
