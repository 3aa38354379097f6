"""The first stage of the fit: what a chip achieves, from measured operators, by generation and format.

Each group of coefficients is fitted on the rows that it times, by robust least squares on the logarithm of predicted over measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from tapeout.calibration.operator_laws import Array, bound_seconds, chip_pairs, kind_seconds, operators_of, row_pairs
from tapeout.calibration.operator_table import Measured, OperatorTable
from tapeout.hardware.chip import Chip
from tapeout.performance.efficiency import (
    AttentionEfficiency,
    CollectiveEfficiency,
    Efficiency,
    GroupedEfficiency,
    ProductEfficiency,
    Table,
    efficiency,
)
from tapeout.performance.rates import grouped_format, rates
from tapeout.provenance import Grade, Sourced
from tapeout.units import Dimensionless

Say = Callable[[str], None]

TYPICAL_ERROR = 0.1
"""Logarithmic error beyond which a row pulls only linearly."""
LEAST_ROWS = 3
"""Rows for each coefficient below which a group is not fitted."""
WIDER = 0.1
"""A range reaches to where the cost of the fit is this share higher, the other coefficients held."""
LEAST_SHARE = 1e-3

_KINDS = {
    "products": (Measured.PRODUCT,),
    "grouped": (Measured.GROUPED_PRODUCT,),
    "prefill": (Measured.PREFILL_ATTENTION,),
    "decode": (Measured.DECODE_ATTENTION,),
    "all_reduce": (Measured.ALL_REDUCE,),
    "gather": (Measured.ALL_GATHER, Measured.REDUCE_SCATTER),
    "all_to_all": (Measured.ALL_TO_ALL,),
}
_CLASSES = {
    "products": ProductEfficiency, "grouped": GroupedEfficiency, "attention": AttentionEfficiency, "latent": AttentionEfficiency,
    "collective": CollectiveEfficiency,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Coefficients that are fitted together: `names` of the part at `path` inside an `Efficiency`, timed by `rows`."""

    generation: str
    path: tuple[str, ...]
    names: tuple[str, ...]
    rows: OperatorTable

    @property
    def label(self) -> str:
        """Its name in words, such as `hopper products fp8`."""
        return " ".join((self.generation, *self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFit:
    """How a group was fitted: rows used, and dropped as faster than memory or peak; median and 90th percentile of the absolute error."""

    group: Group
    rows: int
    dropped: int
    median: Dimensionless
    ninetieth: Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFit:
    """The fitted `table` and how well each group of it fits."""

    table: Table
    groups: tuple[GroupFit, ...]


def groups(rows: OperatorTable, chips: Mapping[str, Chip]) -> Iterator[Group]:
    """What `rows` can fit: a group for each generation and format (kind of collective) that has rows enough."""
    generations = np.array([chips[str(chip)].generation for chip in rows.chip])
    latent = ~np.isnan(rows.kv_rank)
    keys, pair = row_pairs(rows)
    unpacked = np.array([grouped_format(chip, found.expert) for chip, found in chip_pairs(keys, chips)])[pair]
    for generation in dict.fromkeys(generations.tolist()):
        of = generations == generation
        for name, kinds in _KINDS.items():
            for path, names, mask in _parts(name, rows, of & np.isin(rows.operator, list(kinds)), latent, unpacked):
                if np.count_nonzero(mask) >= LEAST_ROWS * len(names):
                    yield Group(generation=generation, path=path, names=names, rows=rows.take(mask))


def _parts(
    name: str, rows: OperatorTable, mask: NDArray[np.bool_], latent: NDArray[np.bool_], unpacked: NDArray[np.str_]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], NDArray[np.bool_]]]:
    if name in ("products", "grouped"):
        names = tuple(field.name for field in dataclasses.fields(_CLASSES[name]))
        formats = rows.format if name == "products" else unpacked
        yield from (((name, str(one)), names, mask & (formats == one)) for one in np.unique(formats[mask]))
    elif name in ("prefill", "decode"):
        names = tuple(field.name for field in dataclasses.fields(AttentionEfficiency) if field.name.startswith(name))
        for part, of in (("attention", mask & ~latent), ("latent", mask & latent)):
            narrow = rows.format if name == "prefill" else rows.cache_format
            measured = set(narrow[of].tolist())
            missing = {"bf16": "prefill_compute", "fp8": "prefill_compute_8bit"} if name == "prefill" else {
                "bf16": "decode_bandwidth", "fp8": "decode_bandwidth_8bit"
            }  # fmt: skip
            lacking = {coefficient for form, coefficient in missing.items() if form not in measured}
            yield (part,), tuple(one for one in names if one not in lacking), of
    else:
        names = tuple(field.name for field in dataclasses.fields(CollectiveEfficiency))
        yield ("collective", name), names, mask


def fit(rows: OperatorTable, chips: Mapping[str, Chip], start: Table, source: str, say: Say = lambda text: None) -> OperatorFit:
    """`start` with every group that `rows` can fit; what they cannot is carried over. `source` is the id that fitted numbers cite."""
    table, fitted = dict(start), []
    for group in groups(rows, chips):
        table[group.generation], found = fit_group(group, chips, table, source)
        fitted.append(found)
        say(f"{group.label} ({group.names[0].partition('_')[0]}): {found.rows} rows, median error {100 * found.median:.1f} %")
    return OperatorFit(table=table, groups=tuple(fitted))


def fit_group(group: Group, chips: Mapping[str, Chip], table: Table, source: str) -> tuple[Efficiency, GroupFit]:
    """The efficiencies of the group's generation with the group fitted, starting from what `table` says."""
    slow = group.rows.seconds >= bound_seconds(group.rows, chips)
    problem = _Problem(replace(group, rows=group.rows.take(slow)), chips, table)
    found = least_squares(problem.errors, problem.begin, bounds=problem.bounds, loss="soft_l1", f_scale=TYPICAL_ERROR, x_scale=0.3)
    errors = np.abs(np.expm1(problem.errors(found.x)))
    fitted = GroupFit(
        group=group, rows=len(problem.rows), dropped=int(np.count_nonzero(~slow)),
        median=float(np.median(errors)), ninetieth=float(np.quantile(errors, 0.9)),
    )  # fmt: skip
    # A robust row counts as much of its derivative as the loss lets it.
    weights = 1 / np.sqrt(1 + (found.fun / TYPICAL_ERROR) ** 2)
    curvature = (weights[:, None] * found.jac**2).sum(axis=0)
    reach = np.sqrt(2 * WIDER * found.cost / np.maximum(curvature, 1e-30))
    return problem.stated(found.x, np.minimum(reach, np.log(4.0)), fitted, source), fitted


class _Problem:
    """Logarithmic errors of the rows of a group as a function of the logarithms of its coefficients."""

    def __init__(self, group: Group, chips: Mapping[str, Chip], table: Table) -> None:
        self.group, self.rows, self.table = group, group.rows, table
        names, self.pair = row_pairs(group.rows)
        self.pairs = chip_pairs(names, chips)
        self.logarithm = np.log(group.rows.seconds)
        self.kinds = [(mask, operators_of(group.rows.take(mask))) for mask in self._masks()]
        known = efficiency(group.generation, table)
        self.part = _part(known, group.path)
        values = np.array([max(getattr(self.part, name).value, _LEAST[_unit(self.part, name)]) for name in group.names])
        shares = np.array([_is_share(name) for name in group.names])
        lower = np.log([LEAST_SHARE if share else _LEAST[_unit(self.part, name)] for share, name in zip(shares, group.names, strict=True)])
        upper = np.where(shares, 0.0, np.log(values) + 12.0)
        self.bounds = (lower - 1e-9, upper + 1e-9)
        self.begin = np.clip(np.log(values), lower, np.where(shares, -0.01, upper))

    def _masks(self) -> Iterator[NDArray[np.bool_]]:
        for kind in np.unique(self.rows.operator):
            yield self.rows.operator == kind

    def errors(self, position: Array) -> Array:
        entry = self._entry(
            [replace(getattr(self.part, name), value=float(value)) for name, value in zip(self.group.names, np.exp(position), strict=True)]
        )
        found = rates(self.pairs, {**self.table, self.group.generation: entry})
        errors = np.empty(len(self.rows))
        for mask, operators in self.kinds:
            errors[mask] = np.log(kind_seconds(operators, found.take(self.pair[mask])))
        return errors - self.logarithm

    def _entry(self, facts: list[Sourced[float]]) -> Efficiency:
        part = replace(self.part, **dict(zip(self.group.names, facts, strict=True)))
        own = self.table[self.group.generation]
        name = self.group.path[0]
        value = {**getattr(own, name), self.group.path[1]: part} if len(self.group.path) > 1 else part
        change: dict[str, Any] = {name: value}
        return replace(own, **change)

    def stated(self, position: Array, reach: Array, fitted: GroupFit, source: str) -> Efficiency:
        place = self._place(fitted)
        facts = []
        for name, logarithm, wide in zip(self.group.names, position, reach, strict=True):
            value, unit = float(f"{np.exp(logarithm):.4g}"), getattr(self.part, name).unit
            if value <= 1.01 * _LEAST[unit.symbol] and unit.symbol != "1":
                value = 0.0
            high = min(value * np.exp(wide), 1.0) if _is_share(name) else value * np.exp(wide)
            low, high = float(f"{value * np.exp(-wide):.4g}"), float(f"{high:.4g}")
            facts.append(
                Sourced(
                    value=value, low=min(low, value), high=max(high, value), source=source, place=place, grade=Grade.MEASURED, unit=unit
                )
            )
        return self._entry(facts)

    def _place(self, fitted: GroupFit) -> str:
        chips = ", ".join(sorted({chip.id for chip, _ in self.pairs}))
        return (
            f"operator fit on {fitted.rows} rows of {chips}: median error {100 * fitted.median:.1f} %, "
            f"90th percentile {100 * fitted.ninetieth:.0f} %"
        )


def _part(entry: Efficiency, path: tuple[str, ...]) -> Any:
    part = getattr(entry, path[0])
    # A format that was never fitted starts as 16 bits.
    return part if len(path) == 1 else part.get(path[1]) or part["bf16"]


def _is_share(name: str) -> bool:
    return name.rpartition("_8bit")[0].endswith(("compute", "bandwidth")) or name.endswith(("compute", "bandwidth"))


def _unit(part: Any, name: str) -> str:
    symbol: str = getattr(part, name).unit.symbol
    return symbol


_LEAST = {"s": 1e-12, "B": 1e-2, "1": 1e-2}
"""Where the logarithm of a coefficient that may be zero begins, by unit."""
