"""Tables of assumptions with their sources and grades, least certain first, and of the sources that they cite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tapeout.provenance import Grade, Source, Sourced, sources
from tapeout.report.tables import Column, Row, Table
from tapeout.units import show

WORST_FIRST = tuple(reversed(Grade))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One number that the result rests on, as text, with its range, grade and where it was read."""

    name: str
    value: str
    low: str
    high: str
    grade: Grade
    source: str
    place: str = ""
    note: str = ""


def assumption(name: str, fact: Sourced[Any]) -> Assumption:
    """The assumption that a sourced number is.

    >>> from tapeout.units import Unit
    >>> fact = Sourced(value=3.35e12, low=3.35e12, high=3.35e12, source="s", place="p. 1", grade=Grade.VENDOR, unit=Unit("B/s"))
    >>> assumption("memory bandwidth", fact).value
    '3.35 TB/s'
    """
    texts = [show(bound, fact.unit) if isinstance(bound, (int, float)) else str(bound) for bound in (fact.value, fact.low, fact.high)]
    year = f", {fact.currency_year} dollars" if fact.currency_year else ""
    return Assumption(
        name=name,
        value=texts[0] + year,
        low=texts[1],
        high=texts[2],
        grade=fact.grade,
        source=fact.source,
        place=fact.place,
        note=fact.note,
    )


def assumptions_table(assumptions: Iterable[Assumption]) -> Table:
    """The assumptions by grade, guesses first, in the given order within a grade."""
    ranked = sorted(assumptions, key=lambda item: WORST_FIRST.index(item.grade))
    columns = (
        Column(key="grade", heading="Grade", tag=True),
        Column(key="name", heading="What is assumed"),
        Column(key="value", heading="Value"),
        Column(key="range", heading="Range"),
        Column(key="source", heading="Source"),
        Column(key="place", heading="Place in it"),
        Column(key="note", heading="Note"),
    )
    counts = {grade: sum(item.grade is grade for item in ranked) for grade in WORST_FIRST}
    note = ", ".join(f"{count} {grade}" for grade, count in counts.items() if count)
    return Table(
        id="assumptions", title="Assumptions, least certain first", columns=columns, rows=[_row(item) for item in ranked], note=note
    )


def _row(item: Assumption) -> Row:
    span = "" if item.low == item.high else f"{item.low} to {item.high}"
    named = {"grade": item.grade, "name": item.name, "value": item.value, "range": span}
    return named | {"source": item.source, "place": item.place, "note": item.note, "low": item.low, "high": item.high}


def sources_table(cited: Iterable[str], known: Mapping[str, Source] | None = None) -> Table:
    """The documents cited, each once and by id; `known` are those of the package where it is not given."""
    table = sources() if known is None else known
    columns = (
        Column(key="id", heading="Id"),
        Column(key="title", heading="Title"),
        Column(key="publisher", heading="Publisher"),
        Column(key="date", heading="Date"),
        Column(key="address", heading="Address"),
        Column(key="read", heading="Read"),
    )
    found = [table[identifier] for identifier in sorted(set(cited)) if identifier in table]
    rows = [{column.key: getattr(document, column.key) for column in columns} | {"licence": document.licence} for document in found]
    return Table(id="sources", title="Sources", columns=columns, rows=rows)
