"""How two plans differ, as rows: what they assume, decide and cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapeout.report.compare_sides import Side
from tapeout.report.numbers import CENTS, COUNT, MEGAWATTS, PERCENT, USD, NumberStyle
from tapeout.report.tables import Column, Row, Table

SMALL = 1e-6
"""Relative difference up to which two numbers are the same."""
Number = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two plans, side by side."""

    first: Side
    second: Side

    @property
    def both(self) -> tuple[Side, Side]:
        """The two."""
        return self.first, self.second


def result_table(found: Comparison) -> Table:
    """Cost, cost of a query, unmet demand and programmes of both plans."""
    rows: list[Row] = [
        {"what": what, **_pair(*(get(side) for side in found.both)), "style": style}
        for what, style, get in (
            ("Cost, discounted", "usd", _at("cost_usd")),
            ("Bound on any plan", "usd", _at("bound_usd")),
            ("Cost of a query over the plan", "cents", _at("levelised_cost_per_query_usd")),
            ("Cost of a query, first quarter", "cents", lambda side: _end(side, 0)),
            ("Cost of a query, last quarter", "cents", lambda side: _end(side, -1)),
            ("Share of queries not served", "percent", _at("unmet_share")),
        )
    ]
    shown: list[Row] = [dict(row) | {"a_text": _text(row["style"], row["a"]), "b_text": _text(row["style"], row["b"])} for row in rows]
    columns = (
        Column(key="what", heading="Result"),
        Column(key="a_text", heading=found.first.label),
        Column(key="b_text", heading=found.second.label),
        Column(key="change", heading="Change", style=PERCENT),
    )
    return Table(id="results", title="What they come to", columns=columns, rows=shown)


def assumptions_table(found: Comparison) -> Table:
    """Every assumption that differs in value or range, or that one side alone has."""
    rows: list[Row] = []
    first, second = found.first.assumptions, found.second.assumptions
    for name in dict.fromkeys((*first, *second)):
        ours, theirs = first.get(name, {}), second.get(name, {})
        if any(ours.get(key) != theirs.get(key) for key in ("value", "low", "high")):
            rows.append({"name": name, "a": _valued(ours), "b": _valued(theirs), "a_range": _range(ours), "b_range": _range(theirs)})
    columns = (
        Column(key="name", heading="What is assumed"),
        Column(key="a", heading=found.first.label),
        Column(key="a_range", heading="Range"),
        Column(key="b", heading=found.second.label),
        Column(key="b_range", heading="Range"),
    )
    note = f"{len(rows)} of {len({*first, *second})} assumptions differ."
    return Table(id="assumptions", title="What they assume", columns=columns, rows=rows, note=note)


def settings_table(found: Comparison) -> Table:
    """Everything else that differs in the scenario files."""
    first, second = found.first.settings, found.second.settings
    rows: list[Row] = [
        {"name": name, "a": first.get(name), "b": second.get(name)}
        for name in dict.fromkeys((*first, *second))
        if first.get(name) != second.get(name)
    ]
    return Table(id="settings", title="What else their scenarios say", columns=_columns(found, "Place in the scenario", None), rows=rows)


def orders_table(found: Comparison) -> Table:
    """Chips ordered under each contract in each year."""
    rows = [{"contract": name, "year": year, **pair} for name, year, pair in _by_year(found, "orders_chips", sum)]
    columns = (Column(key="contract", heading="Contract"), Column(key="year", heading="Year"), *_numbers(found, COUNT))
    return Table(id="orders", title="Chips ordered", columns=columns, rows=rows, note="Means over the futures where these are several.")


def power_table(found: Comparison) -> Table:
    """Power held at each site at the end of each year."""
    rows = [{"site": name, "year": year, **pair} for name, year, pair in _by_year(found, "site_power_w", lambda held: held[-1])]
    columns = (Column(key="site", heading="Site"), Column(key="year", heading="Year"), *_numbers(found, MEGAWATTS))
    return Table(id="power", title="Power held", columns=columns, rows=rows, note="W, in the last quarter of the year.")


def programmes_table(found: Comparison) -> Table:
    """The probability with which each programme starts, and each prepayment is made, in each year."""
    rows = [
        {"kind": kind, "name": name, "year": year, **pair}
        for kind, key in (("programme", "starts"), ("prepayment", "prepaid"))
        for name, year, pair in _by_year(found, key, sum)
    ]
    columns = (
        Column(key="kind", heading="Decision"), Column(key="name", heading="Name"), Column(key="year", heading="Year"),
        *_numbers(found, PERCENT),
    )  # fmt: skip
    return Table(id="programmes", title="Programmes and prepayments begun", columns=columns, rows=rows, note="Probability.")


def spend_table(found: Comparison) -> Table:
    """Undiscounted cost of the whole plan by category."""
    names = dict.fromkeys(name for side in found.both for name in side.expected["spend_usd"])
    rows: list[Row] = []
    for name in names:
        pair = [sum(side.expected["spend_usd"].get(name, ())) for side in found.both]
        if any(abs(value) > SMALL for value in pair):
            rows.append({"category": name, **_pair(*pair)})
    columns = (Column(key="category", heading="Category"), *_numbers(found, USD))
    note = "Sum over the plan, not discounted; penalty is no cash, residual is what is left at the end."
    return Table(id="spend", title="What it is spent on", columns=columns, rows=rows, note=note)


def query_cost_table(found: Comparison) -> Table:
    """Cost of a query in each quarter."""
    first, second = (side.record["cost_per_query_usd"] for side in found.both)
    rows = [{"quarter": quarter, **_pair(first.get(quarter), second.get(quarter))} for quarter in sorted({*first, *second})]
    return Table(
        id="cost-per-query", title="Cost of a query", columns=(Column(key="quarter", heading="Quarter"), *_numbers(found, CENTS)), rows=rows
    )


def cash_table(found: Comparison) -> Table:
    """Cash of each quarter."""
    first, second = (side.record["cash_usd"] for side in found.both)
    rows = [{"quarter": quarter, **_pair(first.get(quarter), second.get(quarter))} for quarter in sorted({*first, *second})]
    return Table(id="cash", title="Cash", columns=(Column(key="quarter", heading="Quarter"), *_numbers(found, USD)), rows=rows)


def tables(found: Comparison) -> tuple[Table, ...]:
    """All of it, the results first."""
    return (
        result_table(found), assumptions_table(found), settings_table(found), orders_table(found), programmes_table(found),
        power_table(found), spend_table(found), query_cost_table(found), cash_table(found),
    )  # fmt: skip


def long_table(all_tables: Iterable[Table], found: Comparison) -> Table:
    """All rows in one form: of which table, what, when, and the value on each side."""
    rows: list[Row] = []
    for table in all_tables:
        for row in table.rows:
            what = next(str(row[key]) for key in ("what", "contract", "site", "category", "name", "quarter") if key in row)
            when = next((str(row[key]) for key in ("year", "quarter") if key in row), "")
            ranges = {key: row.get(key, "") for key in ("a_range", "b_range")}
            rows.append({"table": table.id, "what": what, "when": when, "a": row.get("a"), "b": row.get("b"), **ranges})
    return Table(id="comparison", title=f"{found.first.label} and {found.second.label}", columns=(), rows=rows)


def _by_year(found: Comparison, key: str, of_year: Callable[[Sequence[float]], float]) -> Iterator[tuple[str, str, Row]]:
    """Each name in each year in which either side has it, with both values."""
    sides = [_yearly(side.expected, key, of_year) for side in found.both]
    names = dict.fromkeys(name for side in sides for name, _ in side)
    years = sorted({year for side in sides for _, year in side})
    for name in names:
        for year in years:
            pair = [side.get((name, year), 0.0) for side in sides]
            if any(value > SMALL for value in pair):
                yield name, year, _pair(*pair)


def _yearly(expected: Mapping[str, Any], key: str, of_year: Callable[[Sequence[float]], float]) -> dict[tuple[str, str], float]:
    grouped: dict[tuple[str, str], list[float]] = {}
    for name, values in expected[key].items():
        for quarter, value in zip(expected["quarters"], values, strict=True):
            grouped.setdefault((name, quarter[:4]), []).append(value)
    return {place: of_year(values) for place, values in grouped.items()}


def _pair(first: Number, second: Number) -> dict[str, Any]:
    known = first is not None and second is not None and math.isfinite(first) and math.isfinite(second)
    change = (second or 0.0) / first - 1 if known and first and abs(first) > SMALL * abs(second or 0.0) else None
    return {"a": first, "b": second, "change": 0.0 if change is not None and abs(change) < SMALL else change}


def _at(key: str) -> Callable[[Side], Number]:
    return lambda side: side.record.get(key)


def _end(side: Side, place: int) -> Number:
    known = [value for value in side.record["cost_per_query_usd"].values() if value is not None]
    return known[place] if known else None


def _text(style: str, value: Number) -> str:
    styles = {"usd": USD, "cents": CENTS, "percent": PERCENT}
    return styles[style].show(value)


def _valued(row: Row) -> str | None:
    return str(row["value"]) if row else None


def _range(row: Row) -> str:
    return f"{row['low']} to {row['high']}" if row and row["low"] != row["high"] else ""


def _numbers(found: Comparison, style: NumberStyle) -> tuple[Column, ...]:
    return (
        Column(key="a", heading=found.first.label, style=style),
        Column(key="b", heading=found.second.label, style=style),
        Column(key="change", heading="Change", style=PERCENT),
    )


def _columns(found: Comparison, name: str, style: NumberStyle | None) -> tuple[Column, ...]:
    return (
        Column(key="name", heading=name),
        Column(key="a", heading=found.first.label, style=style),
        Column(key="b", heading=found.second.label, style=style),
    )
