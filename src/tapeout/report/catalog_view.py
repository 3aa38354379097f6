"""The catalogue as tables: what there is, and every number of one entry with its range, source, place and grade."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeout.cost.prices import quotes, quotes_of
from tapeout.errors import UnsupportedModelError
from tapeout.hardware.catalog import chip, chips
from tapeout.provenance import Sourced, facts_within, source, sources
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table
from tapeout.units import Unit, show
from tapeout.workload.catalog import model, model_facts, model_ids
from tapeout.workload.size import active_parameters, parameters

FACT_COLUMNS = (
    Column(key="field", heading="Field"),
    Column(key="value", heading="Value"),
    Column(key="low", heading="Low"),
    Column(key="high", heading="High"),
    Column(key="grade", heading="Grade", tag=True),
    Column(key="source", heading="Source"),
    Column(key="place", heading="Place"),
    Column(key="note", heading="Note"),
)


def fact_row(path: str, fact: Sourced[Any]) -> dict[str, Any]:
    """One sourced number as a row; value and range as text in readable units."""
    value, low, high = (_text(getattr(fact, end), fact.unit) for end in ("value", "low", "high"))
    year = f" ({fact.currency_year})" if fact.currency_year else ""
    return {
        "field": path, "value": value + year, "low": low, "high": high, "grade": fact.grade, "source": fact.source, "place": fact.place,
        "note": fact.note,
    }  # fmt: skip


def _text(value: Any, unit: Unit) -> str:
    return show(value, unit, 4) if isinstance(value, float) else str(value)


def chips_table() -> Table:
    """All chips with their main numbers."""
    rows = [
        {
            "chip": one.id,
            "released": one.released,
            "bf16_flops": one.peak["bf16"].value if "bf16" in one.peak else None,  # type: ignore[index]
            "formats": ", ".join(one.peak),
            "memory_bytes": one.memory.capacity.value,
            "bandwidth_bytes_per_s": one.memory.bandwidth.value,
            "link_bytes_per_s": one.scale_up.bandwidth.value,
            "domain": one.scale_up.domain,
            "power_w": one.power.value,
        }
        for one in chips().values()
    ]
    columns = (
        Column(key="chip", heading="Chip"),
        Column(key="released", heading="Released"),
        Column(key="bf16_flops", heading="bf16 TFLOP/s", style=NumberStyle(scale=1e-12, digits=4)),
        Column(key="formats", heading="Formats"),
        Column(key="memory_bytes", heading="GB", style=NumberStyle(scale=1e-9)),
        Column(key="bandwidth_bytes_per_s", heading="TB/s", style=NumberStyle(scale=1e-12)),
        Column(key="link_bytes_per_s", heading="Link GB/s", style=NumberStyle(scale=1e-9)),
        Column(key="domain", heading="Domain", style=NumberStyle(digits=1)),
        Column(key="power_w", heading="W", style=NumberStyle(digits=4)),
    )
    return Table(
        id="chips", title="Chips", columns=columns, rows=rows, note="Peaks are dense; the link is out of one chip, in one direction."
    )


def chip_table(identifier: str) -> Table:
    """Every number of one chip."""
    found = chip(identifier)
    return Table(id="chip", title=found.name, columns=FACT_COLUMNS, rows=[fact_row(*pair) for pair in facts_within(found)], note=found.note)


def models_table() -> Table:
    """All models, with the size that their shape gives, or what keeps them from being modelled."""
    columns = (
        Column(key="model", heading="Model"),
        Column(key="parameters", heading="Parameters", style=NumberStyle(scale=1e-9, suffix=" B", digits=4)),
        Column(key="active_parameters", heading="Active", style=NumberStyle(scale=1e-9, suffix=" B", digits=4)),
        Column(key="layers", heading="Layers", style=NumberStyle(digits=1)),
        Column(key="max_context", heading="Context", style=NumberStyle(digits=1)),
        Column(key="status", heading="Status"),
    )
    rows = [_model_row(name) for name in model_ids()]
    return Table(id="models", title="Models", columns=columns, rows=rows)


def _model_row(name: str) -> dict[str, Any]:
    try:
        found = model(name)
    except UnsupportedModelError as error:
        return {"model": name, "status": error.what}
    return {
        "model": name, "parameters": float(parameters(found)), "active_parameters": float(active_parameters(found)), "layers": found.layers,
        "max_context": found.max_context, "status": "ok",
    }  # fmt: skip


def model_table(identifier: str) -> Table:
    """The published facts of one model, after those that follow from its shape."""
    found = model(identifier)
    shape = [
        {"field": name, "value": str(value), "grade": "derived", "source": "config.json"}
        for name, value in (
            ("parameters", f"{parameters(found):,}"), ("active parameters", f"{active_parameters(found):,}"), ("layers", found.layers),
            ("hidden size", found.hidden), ("vocabulary", found.vocabulary), ("context", found.max_context),
        )
    ]  # fmt: skip
    published = [fact_row(*pair) for pair in facts_within(model_facts(identifier))]
    return Table(id="model", title=found.name, columns=FACT_COLUMNS, rows=[*shape, *published])


def prices_table(chip_id: str | None) -> Table:
    """All dated price quotes, or those of one chip."""
    found = quotes() if chip_id is None else quotes_of(chip_id)
    rows = [
        {
            "chip": quote.chip, "date": quote.date, "provider": quote.provider, "term": quote.term, "region": quote.region,
            "usd": quote.price.value, "low": quote.price.low, "high": quote.price.high, "per": "hour" if quote.rent else "chip",
            "grade": quote.price.grade, "source": quote.price.source, "place": quote.price.place, "note": quote.note,
        }
        for quote in found
    ]  # fmt: skip
    columns = (
        *(
            Column(key=key, heading=heading)
            for key, heading in (("chip", "Chip"), ("date", "Date"), ("provider", "Provider"), ("term", "Term"))
        ),
        Column(key="usd", heading="USD", style=NumberStyle(digits=4)),
        Column(key="per", heading="Per"),
        Column(key="grade", heading="Grade", tag=True),
        Column(key="source", heading="Source"),
    )
    return Table(id="prices", title="Prices", columns=columns, rows=rows, note="Nominal USD of the quote's year.")


def sources_table(identifier: str | None) -> Table:
    """All sources, or one of them."""
    found = [source(identifier)] if identifier else list(sources().values())
    keys = ("id", "title", "publisher", "date", "address", "read", "licence", "note")
    rows = [{key: getattr(one, key) for key in keys} for one in found]
    return Table(id="sources", title="Sources", columns=tuple(Column(key=key, heading=key.capitalize()) for key in keys), rows=rows)


KINDS: dict[str, Callable[[str | None], Table]] = {
    "chips": lambda identifier: chip_table(identifier) if identifier else chips_table(),
    "models": lambda identifier: model_table(identifier) if identifier else models_table(),
    "prices": prices_table,
    "sources": sources_table,
}
"""What the catalogue holds, by the word that asks for it."""
