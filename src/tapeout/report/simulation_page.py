"""The page of a simulation: whether the limits are kept and at what cost, then latencies, the run over time, and one engine's requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapeout.report.columns import Columns
from tapeout.report.numbers import CENTS, PERCENT, USD_EXACT, NumberStyle
from tapeout.report.page import KeyFigure, Page, Section, render
from tapeout.report.simulated import Simulated
from tapeout.report.simulation_figures import gantt_figure, latency_figures, timeline_figures
from tapeout.report.simulation_view import AT_LOAD, latency_table, load_table, parts_table, slowest_table, warnings
from tapeout.serving.timeline import Timeline

RATE = NumberStyle(suffix=" /s")


def simulation_page(found: Simulated, row: Mapping[str, Any], line: Timeline, requests: Columns, *, colophon: str) -> str:
    """The page as HTML; `row` is `simulation_row`, `line` the run over time, `requests` a column for each field of the requests."""
    over_time = f"Means over bins of {NumberStyle(suffix=' s').show(line.width)}; timeline.csv has them all."
    one_by_one = "Every request stands in requests.csv and requests.parquet."
    sections = (
        Section(id="latencies", heading="Latencies", figures=latency_figures(found), tables=(latency_table("Percentiles", row),)),
        Section(id="over-time", heading="The run over time", paragraphs=(over_time,), figures=timeline_figures(found, line)),
        Section(
            id="requests-one-by-one", heading="Requests one by one", paragraphs=(one_by_one,), figures=(gantt_figure(found, requests),),
            tables=(slowest_table(requests),),
        ),
        Section(id="load", heading="Load, energy and cost", tables=(load_table(row), parts_table(found))),
    )  # fmt: skip
    page = Page(
        title=found.title, question=_question(found), lead=_lead(found, row), key_figures=_key_figures(row), sections=sections,
        colophon=(colophon,),
    )  # fmt: skip
    return render(page)


def _question(found: Simulated) -> str:
    return f"How do {found.fleet} serve {found.model}?"


def _lead(found: Simulated, row: Mapping[str, Any]) -> tuple[str, ...]:
    sentences = (*warnings(row), _limit_words(found, row), _latency_words(row), _cost_words(row))
    return tuple(sentence for sentence in sentences if sentence)


def _limit_words(found: Simulated, row: Mapping[str, Any]) -> str:
    slo, wanted, kept = found.level.slo, found.level.attainment, row["slo_attainment"]
    limits = [f"{_time(limit)} {words}" for words, limit in (("to the first token", slo.ttft), ("for each further one", slo.tpot)) if limit]
    if not limits:
        return "No limit was asked for."
    verdict = "met" if kept >= wanted else "missed"
    reason = ", since every queue that grows outlasts any limit" if row["saturated"] and slo.ttft else ""
    share = f"{PERCENT.show(kept)} of the requests keep {' and '.join(limits)}{reason}"
    return f"The limits are {verdict}: {share}; {PERCENT.show(wanted)} are wanted."


def _time(seconds: float | None) -> str:
    """A time in seconds as text, below a second in milliseconds."""
    short = seconds is not None and seconds < 1
    return (NumberStyle(scale=1e3, suffix=" ms") if short else NumberStyle(suffix=" s")).show(seconds)


def _latency_words(row: Mapping[str, Any]) -> str:
    first, queue = row["ttft_ms"], row["queueing_ms"]
    if first["p50"] is None:
        return ""
    half, nearly, waited, long = (_time(values[key] / 1e3) for values in (first, queue) for key in ("p50", "p99"))
    return (
        f"Half of the first tokens come within {half} and 99 % within {nearly}; "
        f"half of the requests wait less than {waited} before their first step, 99 % less than {long}."
    )


def _cost_words(row: Mapping[str, Any]) -> str:
    rate = f"The chips give {NumberStyle(compact=True).show(row['output_tokens_per_s'])} output tokens/s"
    if row["usd_per_query"] is None:
        return f"{rate}; there is no rent price for them."
    return (
        f"{rate} at {USD_EXACT.show(row['usd_per_chip_hour'])} a chip-hour: a million output tokens cost "
        f"{USD_EXACT.show(row['usd_per_million_output_tokens'])} and a query {CENTS.show(row['usd_per_query'])}."
    )


def _key_figures(row: Mapping[str, Any]) -> tuple[KeyFigure, ...]:
    growth = KeyFigure(label="The queue grows by", value=RATE.show(row["queue_growth_requests_per_s"]), note="requests, while it lasts")
    searched = row["goodput_meaning"] != AT_LOAD
    return (
        KeyFigure(
            label="Requests that keep the limits", value=PERCENT.show(row["slo_attainment"]),
            note=f"{PERCENT.show(row['slo_attainment_wanted'])} wanted",
        ),
        growth if row["saturated"] else _latency_figure("Time to first token", row["ttft_ms"]),
        _latency_figure("Time per output token", row["tpot_ms"]),
        KeyFigure(
            label="Goodput", value=RATE.show(row["goodput_requests_per_s"]),
            note="the highest that keeps the limits" if searched else "requests that keep them",
        ),
        KeyFigure(
            label="Time in which a step runs", value=PERCENT.show(row["utilisation"]),
            note=f"KV cache {PERCENT.show(row['kv_occupancy'])} full",
        ),
        KeyFigure(
            label="A million output tokens", value=USD_EXACT.show(row["usd_per_million_output_tokens"]),
            note=f"{NumberStyle(suffix=' J').show(row['energy_joules_per_output_token'])} a token",
        ),
    )  # fmt: skip


def _latency_figure(label: str, milliseconds: Mapping[str, float | None]) -> KeyFigure:
    half, nearly = (_time(None if found is None else found / 1e3) for found in (milliseconds["p50"], milliseconds["p99"]))
    return KeyFigure(label=f"{label}, median", value=half, note=f"99 % within {nearly}")
