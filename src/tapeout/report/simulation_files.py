"""What a simulation leaves in a folder: every request, the run over time, its row of numbers, and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tapeout.report.columns import Columns, columns_csv, columns_parquet
from tapeout.report.simulated import Simulated
from tapeout.report.simulation_page import simulation_page
from tapeout.report.tables import dump_json
from tapeout.serving.metrics import attained, end_to_end, queueing, tpot, ttft
from tapeout.serving.timeline import Timeline, timeline


def files(found: Simulated, row: Mapping[str, Any], *, version: str, date: str) -> dict[str, bytes]:
    """The files by name: `requests` and `timeline` as tables, `summary.json` and the page."""
    requests = request_columns(found)
    line = timeline(found.outcome, found.spans(), engines=found.engines, blocks=found.blocks)
    page = simulation_page(found, row, line, requests, colophon=f"Tapeout {version}, {date}.")
    return {
        "requests.csv": columns_csv(requests),
        "requests.parquet": columns_parquet(requests),
        "timeline.csv": columns_csv(timeline_columns(line)),
        "summary.json": dump_json(row).encode(),
        "simulation.html": page.encode(),
    }


def request_columns(found: Simulated) -> Columns:
    """A row for each request that was answered; `tpot_s` is missing where the answer is one token."""
    outcome = found.outcome
    count = len(outcome.completion)
    return {
        "request": np.arange(count),
        "prompt_tokens": outcome.requests.prompt,
        "output_tokens": outcome.requests.output,
        "arrival_s": outcome.arrival,
        "scheduled_s": outcome.scheduled,
        "first_token_s": outcome.first_token,
        "completion_s": outcome.completion,
        "queueing_s": queueing(outcome),
        "ttft_s": ttft(outcome),
        "tpot_s": np.where(outcome.requests.output > 1, tpot(outcome), np.nan),
        "end_to_end_s": end_to_end(outcome),
        "keeps_limits": attained(outcome, found.level.slo),
        "preemptions": outcome.preemptions,
        "prefix_tokens_found": outcome.found,
        "engine": outcome.engine,
        "retries": outcome.retries,
    }


def timeline_columns(line: Timeline) -> Columns:
    """A row for each bin."""
    return {
        "start_s": line.start,
        "width_s": np.full(len(line.start), line.width),
        "arrivals_per_s": line.arrivals,
        "completions_per_s": line.completions,
        "output_tokens_per_s": line.output,
        "waiting": line.waiting,
        "prefilling": line.prefilling,
        "decoding": line.decoding,
        "busy_share": line.busy,
        "kv_occupancy": line.kv_occupancy,
        "power_w": line.power,
        "preemptions": line.preemptions,
    }
