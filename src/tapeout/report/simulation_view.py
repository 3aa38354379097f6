"""A simulated fleet as one row of numbers and as a table of lines, and a frontier as rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table
from tapeout.serving.engines import Fleet
from tapeout.serving.goodput import Goodput, LoadPoint
from tapeout.serving.metrics import Percentiles, inter_token, summary
from tapeout.serving.outcome import Outcome
from tapeout.serving.saturation import saturation
from tapeout.serving.service_level import ServiceLevel
from tapeout.units import HOUR, UsdPerHour

Row = dict[str, Any]
AT_LOAD = "requests that kept the limits, each second, at this load"


def simulation_row(fleet: Fleet, outcome: Outcome, level: ServiceLevel, hour: UsdPerHour | None, highest: Goodput | None = None) -> Row:
    """The run in numbers; what would depend on the length of a saturated run is None there, and rates are those at capacity.

    `hour` is the price of a chip-hour. Goodput is that of this load, or `highest` where that was searched. Energy is the board power of the
    chips while their engine runs a step; idle power is in no fact file and left out.
    """
    found, load = summary(outcome, level.slo), saturation(outcome)
    stuck = load.saturated
    output_rate = load.output_rate if stuck else found.output_rate
    rate = output_rate / float(outcome.requests.output.mean())
    # Whoever waits in a queue that grows for ever misses any limit on the first token in the end.
    hopeless = stuck and level.slo.ttft is not None
    attainment = 0.0 if hopeless else found.slo_attainment
    chip_second = None if hour is None else hour / HOUR * fleet.chips
    spent = fleet.chip.power.value * fleet.chips * (1.0 if stuck else found.utilisation)
    return {
        "chip": fleet.chip.id,
        "chips": fleet.chips,
        "deployment": fleet.deployment.label,
        "engines": fleet.engines,
        "requests": len(outcome.requests),
        "completed": len(outcome.completion),
        "saturated": stuck,
        "queue_growth_requests_per_s": load.growth if stuck else 0.0,
        "ttft_ms": _milliseconds(None if stuck else found.ttft),
        "tpot_ms": _milliseconds(found.tpot),
        "inter_token_ms": _milliseconds(inter_token(outcome, fleet.engine.step_model)),
        "end_to_end_ms": _milliseconds(None if stuck else found.end_to_end),
        "queueing_ms": _milliseconds(None if stuck else found.queueing),
        "requests_per_s": rate,
        "output_tokens_per_s": output_rate,
        "output_tokens_per_s_per_chip": output_rate / fleet.chips,
        "slo": level.name,
        "slo_attainment": attainment,
        "slo_attainment_wanted": level.attainment,
        "goodput_requests_per_s": highest.rate if highest else attainment * rate,
        "goodput_meaning": f"highest rate at which {level.attainment:.0%} keep the limits" if highest else AT_LOAD,
        "goodput_low": highest.low if highest else None,
        "goodput_high": highest.high if highest else None,
        "utilisation": found.utilisation,
        "kv_occupancy": found.kv_occupancy,
        "kv_occupancy_peak": found.kv_occupancy_peak,
        "prefix_hit_share": found.found_share,
        "preemptions": found.preemptions,
        "energy_joules_per_output_token": spent / output_rate,
        "usd_per_chip_hour": hour,
        "usd_per_million_output_tokens": None if chip_second is None else chip_second / output_rate * 1e6,
        "usd_per_query": None if chip_second is None else chip_second / rate,
    }


def _milliseconds(found: Percentiles | None) -> dict[str, float | None]:
    values = dataclasses.asdict(found) if found else {}
    return {name: values[name] * 1e3 if name in values else None for name in ("p50", "p90", "p99")}


TIMES = (
    ("ttft_ms", "Time to first token"),
    ("queueing_ms", "  of it queueing"),
    ("tpot_ms", "Time per output token"),
    ("inter_token_ms", "Between two tokens"),
    ("end_to_end_ms", "End to end"),
)


def latency_table(title: str, row: Mapping[str, Any]) -> Table:
    """The latencies of a run, a line each."""
    columns = (
        Column(key="latency", heading="Latency"),
        *(Column(key=key, heading=f"{key} ms", style=NumberStyle()) for key in ("p50", "p90", "p99")),
    )
    rows = [{"latency": words, **row[key]} for key, words in TIMES]
    note = (
        f"Saturated: the queue grows by {row['queue_growth_requests_per_s']:.3g} requests/s for as long as such traffic lasts."
        if row["saturated"]
        else ""
    )
    return Table(id="latencies", title=title, columns=columns, rows=rows, note=note)


LOADS = (
    ("output_tokens_per_s", "Output tokens/s", NumberStyle()),
    ("slo_attainment", "Requests that keep the limits", NumberStyle(scale=100, suffix=" %")),
    ("goodput_requests_per_s", "Goodput, requests/s", NumberStyle()),
    ("utilisation", "Time in which a step runs", NumberStyle(scale=100, suffix=" %")),
    ("kv_occupancy", "KV cache in use, mean", NumberStyle(scale=100, suffix=" %")),
    ("kv_occupancy_peak", "KV cache in use, peak", NumberStyle(scale=100, suffix=" %")),
    ("preemptions", "Preemptions", NumberStyle()),
    ("energy_joules_per_output_token", "Chip energy an output token, J", NumberStyle()),
    ("usd_per_million_output_tokens", "USD a million output tokens", NumberStyle(prefix="$")),
    ("usd_per_query", "USD a query", NumberStyle(prefix="$")),
)


def load_table(row: Mapping[str, Any]) -> Table:
    """Rates, occupancy and cost of a run, a line each."""
    rows = [{"quantity": words, "value": style.show(row[key])} for key, words, style in LOADS]
    note = f"Goodput: {row['goodput_meaning']}."
    columns = (Column(key="quantity", heading="Quantity"), Column(key="value", heading="Value"))
    return Table(
        id="load",
        title=f"{row['chips']} x {row['chip']}, {row['deployment']}, {row['engines']} engines",
        columns=columns,
        rows=rows,
        note=note,
    )


FRONTIER = (
    Column(key="deployment", heading="Deployment"),
    Column(key="users", heading="Users", style=NumberStyle()),
    Column(key="tokens_per_s_per_chip", heading="Tokens/s per chip", style=NumberStyle()),
    Column(key="tokens_per_s_per_user", heading="Tokens/s per user", style=NumberStyle()),
    Column(key="ttft_ms", heading="TTFT ms", style=NumberStyle()),
    Column(key="tpot_ms", heading="TPOT ms", style=NumberStyle()),
    Column(key="slo_attainment", heading="Keep the limits", style=NumberStyle(scale=100, suffix=" %")),
)


def frontier_rows(points: Sequence[LoadPoint]) -> list[Row]:
    """A row a point, fastest for the user first."""
    return [
        {
            "chip": point.fleet.chip.id,
            "chips": point.fleet.chips,
            "deployment": point.fleet.deployment.label,
            "engines": point.fleet.engines,
            "users": point.users,
            "tokens_per_s_per_chip": point.chip_rate,
            "tokens_per_s_per_user": point.user_rate,
            "ttft_ms": point.ttft * 1e3,
            "tpot_ms": point.tpot * 1e3,
            "slo_attainment": point.attainment,
            "meets_slo": point.meets,
            "on_frontier": point.best,
        }
        for point in points
    ]


def frontier_table(title: str, points: Sequence[LoadPoint]) -> Table:
    """The points that no other beats in both rates."""
    rows = [row for row in frontier_rows(points) if row["on_frontier"]]
    note = (
        f"{len(rows)} of {len(points)} points: no other gives more per chip and per user. Medians in closed loops; -o json has all points."
    )
    return Table(id="frontier", title=title, columns=FRONTIER, rows=rows, note=note)
