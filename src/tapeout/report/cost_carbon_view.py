"""Carbon of a chip and of its hour for people and machines, and of a million tokens where their rate is known."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tapeout.cost.carbon import CarbonHourDraws, EmbodiedDraws
from tapeout.cost.draws import percentiles
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table

KILOGRAMS = NumberStyle(digits=3, suffix=" kg")
PARTS = {
    "silicon": "Dies and package",
    "memory": "Memory",
    "module": "Board and cooling",
    "host": "Share of the server",
    "total": "Embodied in one chip in service",
}
HOURS = {"embodied": "An hour: embodied", "energy": "An hour: electricity", "total": "An hour"}


def carbon_row(made: EmbodiedDraws, hour: CarbonHourDraws | None, tokens_per_second: float | None = None) -> dict[str, Any]:
    """Percentiles in kg of CO2e: what is embodied, by part; a useful hour, by part; a million tokens at a rate per chip.

    Without an hour, or a rate, what needs it is left out.
    """
    row: dict[str, Any] = {"embodied_kg": {name: asdict(percentiles(getattr(made, name))) for name in PARTS}}
    if hour is not None:
        row["kg_per_hour"] = {name: asdict(each) for name, each in hour.components().items()}
    if hour is not None and tokens_per_second is not None:
        row["kg_per_million_tokens"] = asdict(percentiles(hour.per_token(tokens_per_second) * 1e6))
    return row


def carbon_table(row: dict[str, Any]) -> Table:
    """The carbon of `carbon_row` as lines."""
    lines = [{"part": words} | row["embodied_kg"][name] for name, words in PARTS.items()]
    lines += [{"part": words} | row["kg_per_hour"][name] for name, words in HOURS.items() if "kg_per_hour" in row]
    if "kg_per_million_tokens" in row:
        lines.append({"part": "A million tokens"} | row["kg_per_million_tokens"])
    columns = (Column(key="part", heading="CO2e"), *(Column(key=key, heading=key, style=KILOGRAMS) for key in ("p5", "p50", "p95")))
    note = "Hours are useful ones; the building and the network outside the server are not counted."
    return Table(id="carbon", title="Carbon", columns=columns, rows=lines, note=note)
