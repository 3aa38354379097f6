"""A simulated fleet as one row of numbers and as a table of lines, and a frontier as rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tapeout.fleet.frontier import LoadPoint
from tapeout.report.columns import Columns
from tapeout.report.numbers import NumberStyle
from tapeout.report.simulated import Simulated
from tapeout.report.tables import Column, Table
from tapeout.serving.metrics import Percentiles, attained, duration, end_to_end, inter_token, percentiles, queueing, tpot, ttft
from tapeout.serving.timeline import occupancy
from tapeout.units import HOUR

Row = dict[str, Any]
AT_LOAD = "requests that kept the limits, each second, at this load"


def simulation_row(found: Simulated) -> Row:
    """The run in numbers; what would depend on the length of a saturated run is None there, and the rest is that at capacity.

    Goodput is that of this load, or the highest where that was searched. Energy is the board power of the chips while their engine runs a
    step; idle power is in no fact file and left out.
    """
    outcome, level, stuck, highest = found.outcome, found.level, found.load.saturated, found.highest
    output_rate = found.load.output_rate if stuck else float(outcome.requests.output.sum()) / duration(outcome)
    tokens = float(outcome.requests.output.mean())
    rate = output_rate / tokens
    first, last = found.window
    held = occupancy(found.spans(), engines=found.engines, blocks=found.blocks, first=first, last=last)
    attainment = _attainment(found)
    second = None if found.hour is None else found.hour / HOUR
    return {
        "model": found.model,
        "precision": found.precision,
        "traffic": found.traffic,
        "fleet": found.fleet,
        "chip": _listed(part.chip.id for part in found.parts),
        "chips": found.chips,
        "deployment": _listed(part.label for part in found.parts),
        "engines": found.engines,
        "requests": found.asked,
        "completed": len(outcome.completion),
        "interrupted": found.interrupted,
        "saturated": stuck,
        "settled": found.load.settled or outcome.requests.users is not None,
        "queue_growth_requests_per_s": found.load.growth if stuck else 0.0,
        "most_waiting_requests": None if stuck else found.load.most_waiting,
        **_latencies(found),
        "requests_per_s": rate,
        "output_tokens_per_s": output_rate,
        "output_tokens_per_s_per_chip": output_rate / found.chips,
        "slo": level.name,
        "slo_attainment": attainment,
        "slo_attainment_wanted": level.attainment,
        "goodput_requests_per_s": highest.rate if highest else attainment * rate,
        "goodput_meaning": f"highest rate at which {level.attainment:.0%} keep the limits" if highest else AT_LOAD,
        "goodput_low": highest.low if highest else None,
        "goodput_high": highest.high if highest else None,
        "powered_share": found.on,
        "utilisation": min(held.busy / found.on, 1.0),
        "kv_occupancy": min(held.kv_occupancy / found.on, 1.0),
        "kv_occupancy_peak": held.kv_occupancy_peak,
        "prefix_hit_share": float(outcome.found[found.rows].sum() / outcome.requests.prompt[found.rows].sum()),
        "preemptions": int(outcome.preemptions.sum()),
        "preemptions_per_request": held.preemptions_each_second / rate,
        "retries": int(outcome.retries.sum()),
        "power_watts": held.power,
        "energy_joules_per_output_token": held.power / output_rate,
        "energy_joules_per_query": held.power / rate,
        "usd_per_chip_hour": found.chip_hour,
        "usd_per_million_output_tokens": None if second is None else second / output_rate * 1e6,
        "usd_per_query": None if second is None else second / rate,
        "usd_per_million_output_tokens_at_goodput": second / (highest.rate * tokens) * 1e6 if second and highest and highest.rate else None,
    }


def _listed(names: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(names))


def _attainment(found: Simulated) -> float:
    # Whoever waits in a queue that grows for ever misses any limit on the first token in the end.
    hopeless = found.load.saturated and found.level.slo.ttft is not None
    return 0.0 if hopeless else float(attained(found.outcome, found.level.slo)[found.rows].mean())


def _latencies(found: Simulated) -> Row:
    """Percentiles by request, and of the times between tokens; what grows with the queue of a saturated run is None."""
    outcome, rows = found.outcome, found.rows
    several = rows & (outcome.requests.output > 1)
    waits = {"ttft_ms": ttft(outcome), "queueing_ms": queueing(outcome), "end_to_end_ms": end_to_end(outcome)}
    growing = {key: None if found.load.saturated else percentiles(times) for key, times in waits.items()}
    steady = {
        "prefill_ms": percentiles((outcome.first_token - outcome.scheduled)[rows]),
        "tpot_ms": percentiles(tpot(outcome)[several]) if several.any() else None,
        "inter_token_ms": inter_token(outcome),
    }
    shown = growing | steady
    return {key: _milliseconds(shown[key]) for key, _ in TIMES}


def _milliseconds(found: Percentiles | None) -> dict[str, float | None]:
    values = dataclasses.asdict(found) if found else {}
    return {name: values[name] * 1e3 if name in values else None for name in ("p50", "p90", "p99")}


TIMES = (
    ("ttft_ms", "Time to first token"),
    ("queueing_ms", "  of it queueing"),
    ("prefill_ms", "  of it prefill"),
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
    return Table(id="latencies", title=title, columns=columns, rows=rows, note=" ".join(warnings(row)))


def interruption(row: Mapping[str, Any]) -> str:
    """What an interrupted run still holds."""
    if row["completed"] == row["requests"]:
        return "the highest rate was not found; the numbers are those of the load that was asked for"
    return f"{row['completed']:,} of {row['requests']:,} requests were answered, and the numbers are theirs"


def warnings(row: Mapping[str, Any]) -> list[str]:
    """What must be known before a number of the run is read."""
    found = []
    if row["interrupted"]:
        found.append(f"Interrupted: {interruption(row)}.")
    if row["saturated"]:
        grows = f"Saturated: the queue grows by {row['queue_growth_requests_per_s']:.3g} requests/s for as long as such traffic lasts."
        found.append(f"{grows} What is shown is the fleet at its capacity.")
    elif not row["settled"]:
        found.append("Not settled: the traffic ends while the engines still fill; more of it may fare worse.")
    return found


LOADS = (
    ("output_tokens_per_s", "Output tokens/s", NumberStyle()),
    ("slo_attainment", "Requests that keep the limits", NumberStyle(scale=100, suffix=" %")),
    ("goodput_requests_per_s", "Goodput, requests/s", NumberStyle()),
    ("utilisation", "Time in which a step runs", NumberStyle(scale=100, suffix=" %")),
    ("kv_occupancy", "KV cache in use, mean", NumberStyle(scale=100, suffix=" %")),
    ("kv_occupancy_peak", "KV cache in use, peak", NumberStyle(scale=100, suffix=" %")),
    ("most_waiting_requests", "Requests waiting at once, most", NumberStyle()),
    ("preemptions_per_request", "Preemptions a request", NumberStyle()),
    ("retries", "Tries again after failures", NumberStyle()),
    ("powered_share", "Replicas that are on, mean", NumberStyle(scale=100, suffix=" %")),
    ("power_watts", "Power of the chips, mean", NumberStyle(scale=1e-3, suffix=" kW")),
    ("energy_joules_per_output_token", "Energy an output token, J", NumberStyle()),
    ("energy_joules_per_query", "Energy a query, J", NumberStyle()),
    ("usd_per_million_output_tokens", "USD a million output tokens", NumberStyle(prefix="$")),
    ("usd_per_query", "USD a query", NumberStyle(prefix="$")),
    ("usd_per_million_output_tokens_at_goodput", "USD a million output tokens at the goodput", NumberStyle(prefix="$")),
)


def load_table(row: Mapping[str, Any]) -> Table:
    """Rates, occupancy and cost of a run, a line each."""
    left_out = () if row["usd_per_million_output_tokens_at_goodput"] else ("usd_per_million_output_tokens_at_goodput",)
    rows = [{"quantity": words, "value": style.show(row[key])} for key, words, style in LOADS if key not in left_out]
    known = row["goodput_low"] is not None
    interval = f", with 95 % confidence {row['goodput_low']:.3g} to {row['goodput_high']:.3g} requests/s" if known else ""
    note = f"Goodput: {row['goodput_meaning']}{interval}."
    columns = (Column(key="quantity", heading="Quantity"), Column(key="value", heading="Value"))
    return Table(
        id="load",
        title=f"{row['fleet']}, {row['deployment']}, {row['engines']} engine{'s' if row['engines'] > 1 else ''}",
        columns=columns,
        rows=rows,
        note=note,
    )


SLOWEST = 20
"""Requests whose first tokens come last that are listed."""


def slowest_table(requests: Columns) -> Table:
    """The requests whose first tokens took longest."""
    milliseconds = NumberStyle(scale=1e3)
    columns = (
        Column(key="request", heading="Request", style=NumberStyle()),
        Column(key="arrival_s", heading="Arrival s", style=NumberStyle(digits=5)),
        Column(key="prompt_tokens", heading="Tokens in", style=NumberStyle()),
        Column(key="output_tokens", heading="Tokens out", style=NumberStyle()),
        Column(key="ttft_s", heading="TTFT ms", style=milliseconds),
        Column(key="queueing_s", heading="of it queueing ms", style=milliseconds),
        Column(key="tpot_s", heading="TPOT ms", style=milliseconds),
        Column(key="preemptions", heading="Preemptions", style=NumberStyle()),
        Column(key="engine", heading="Engine", style=NumberStyle()),
    )
    rows = [
        {name: values[place] for name, values in requests.items()} for place in np.argsort(-requests["ttft_s"], kind="stable")[:SLOWEST]
    ]
    return Table(id="slowest", title="The slowest first tokens", columns=columns, rows=rows)


def parts_table(found: Simulated) -> Table:
    """What the fleet is made of, with the limits of its engines."""
    columns = (
        Column(key="chip", heading="Chip"),
        Column(key="chips", heading="Chips", style=NumberStyle()),
        Column(key="deployment", heading="Deployment"),
        Column(key="engines", heading="Engines", style=NumberStyle()),
        Column(key="most_sequences", heading="Sequences a step", style=NumberStyle()),
        Column(key="token_budget", heading="Tokens a step", style=NumberStyle(digits=6)),
        Column(key="kv_tokens", heading="Tokens in the KV cache", style=NumberStyle(compact=True)),
        Column(key="power_watts", heading="Board power", style=NumberStyle(suffix=" W")),
        Column(key="usd_per_chip_hour", heading="$/chip-hour", style=NumberStyle(prefix="$")),
    )
    rows = [
        {
            "chip": part.chip.id,
            "chips": part.chips,
            "deployment": part.label,
            "engines": part.engines,
            "most_sequences": part.engine.policy.most_sequences,
            "token_budget": part.engine.policy.token_budget,
            "kv_tokens": part.engine.policy.blocks * part.engine.policy.block_size,
            "power_watts": part.chip.power.value,
            "usd_per_chip_hour": part.hour,
        }
        for part in found.parts
    ]
    return Table(id="fleet", title="The fleet", columns=columns, rows=rows, note="Limits and cache are those of one engine.")


def run_table(title: str, row: Row) -> Table:
    """The run as one row, with all its fields."""
    return Table(id="simulation", title=title, columns=(Column(key="chip", heading="Chip"),), rows=[row])


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
