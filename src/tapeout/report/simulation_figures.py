"""Charts of a simulation: distributions of latencies, the run over time, and the requests of one engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeout.report.columns import Columns
from tapeout.report.curves import Level, Span, curves_figure, decades, spans_figure
from tapeout.report.figures import Figure, stacked_figure
from tapeout.report.numbers import PERCENT, PLAIN, NumberStyle
from tapeout.report.simulated import Simulated
from tapeout.report.tables import Column, Table
from tapeout.serving.metrics import end_to_end, queueing, tpot, ttft
from tapeout.serving.timeline import Timeline
from tapeout.units import HOUR

Floats = NDArray[np.float64]
MILLISECONDS = NumberStyle(scale=1e3, suffix=" ms")
GRID = 200
"""Latencies at which a distribution is drawn."""
ROWS = 40
"""Requests of one engine that are drawn one by one."""
TENTHS = 10


def latency_figures(found: Simulated) -> tuple[Figure, ...]:
    """Distributions of the time to first token and its parts, of the time per output token and of the whole, each with its limit.

    What grows with the queue of a saturated run is left out.
    """
    outcome, rows, slo = found.outcome, found.rows, found.level.slo
    several = rows & (outcome.requests.output > 1)
    first = {"to first token": ttft(outcome)[rows], "queueing": queueing(outcome)[rows]}
    first["prefill"] = first["to first token"] - first["queueing"]
    figures = []
    if found.load.saturated:
        figures.append(_distribution("prefill", "Prefill", {"prefill": first["prefill"]}, None))
    else:
        figures.append(_distribution("ttft", "Time to first token", first, slo.ttft))
    if several.any():
        figures.append(_distribution("tpot", "Time per output token", {"mean of a request": tpot(outcome)[several]}, slo.tpot))
    if not found.load.saturated:
        figures.append(_distribution("end-to-end", "End to end", {"from arrival to last token": end_to_end(outcome)[rows]}, None))
        figures.append(_parts_figure(first))
    return tuple(figures)


def _distribution(id: str, title: str, latencies: Mapping[str, Floats], limit: float | None) -> Figure:  # noqa: A002
    """The share of requests within each latency."""
    values = np.concatenate(list(latencies.values()))
    # A request that never waited has a queueing time of 0, which no logarithmic axis shows.
    shown = values[values > 0]
    most = float(shown.max())
    low, high = decades([max(float(shown.min()), most * 1e-4), *([limit] if limit else []), most])
    style = _latency_style(high)
    grid = np.geomspace(low, high, GRID)
    shares = {name: np.searchsorted(np.sort(each), grid, side="right") / len(each) for name, each in latencies.items()}
    columns = (Column(key="within", heading="Within", style=style), *(_share(name) for name in latencies))
    rows = [{"within": place} | {name: share[index] for name, share in shares.items()} for index, place in enumerate(grid)]
    levels = [Level(name=f"limit, {style.show(limit)}", at=limit)] if limit else []
    return curves_figure(
        Table(id=id, title=title, columns=columns, rows=rows), id=id, title=title,
        caption="Share of the requests within the time below, which is logarithmic.", style=PERCENT, across=style, levels=levels,
        logarithmic=True, highest=1.0,
    )  # fmt: skip


def _latency_style(most: float) -> NumberStyle:
    """Seconds, or milliseconds where the longest is a few seconds."""
    return MILLISECONDS if most < 10 else NumberStyle(suffix=" s")


def _share(name: str) -> Column:
    return Column(key=name, heading=name, style=PERCENT)


def _parts_figure(first: Mapping[str, Floats]) -> Figure:
    """Mean queueing and prefill of each tenth of the requests, from the fastest first token to the slowest."""
    whole, *parts = first
    order = np.array_split(np.argsort(first[whole], kind="stable"), min(TENTHS, len(first[whole])))
    style = _latency_style(float(first[whole].max()))
    columns = (Column(key="tenth", heading="Tenth"), *(Column(key=name, heading=name, style=style) for name in parts))
    rows = [{"tenth": f"{place + 1}"} | {name: first[name][chosen].mean() for name in parts} for place, chosen in enumerate(order)]
    caption = "Mean time to first token of each tenth of the requests, from the fastest to the slowest: in the queue, and in steps."
    table = Table(id="queueing", title="Queueing apart from prefill", columns=columns, rows=rows)
    return stacked_figure(table, id="queueing", title="Queueing apart from prefill", caption=caption, style=style)


def timeline_figures(found: Simulated, line: Timeline) -> tuple[Figure, ...]:
    """Rates, requests in flight, occupancy, preemptions, power and cost over time."""
    second = None if found.hour is None else found.hour / HOUR
    figures = [
        _over_time(
            line, {"arrived": line.arrivals, "answered": line.completions}, id="rates", title="Requests",
            caption="Requests each second.", style=NumberStyle(suffix=" /s"),
        ),
        _over_time(
            line, {"output tokens": line.output}, id="output", title="Output tokens",
            caption="Tokens each second, of all chips.", style=NumberStyle(compact=True),
        ),
        _over_time(
            line, {"waiting": line.waiting, "in prefill": line.prefilling, "in decode": line.decoding}, id="in-flight", title="In flight",
            caption="Requests that wait, whose prompts are read, and whose answers are written.", style=NumberStyle(compact=True),
        ),
        _over_time(
            line, {"a step runs": line.busy, "KV cache in use": line.kv_occupancy}, id="occupancy", title="How full",
            caption="Share of the time in which a step runs, and of the KV cache in use, over all engines.", style=PERCENT, highest=1.0,
        ),
        _over_time(
            line, {"power": line.power}, id="power", title="Power", style=NumberStyle(scale=1e-3, suffix=" kW"),
            caption="Board power of the chips while their engine runs a step; idle power is in no fact file and left out.",
        ),
    ]  # fmt: skip
    if line.preemptions.any():
        figures.append(
            _over_time(
                line, {"preemptions": line.preemptions / line.width}, id="preemptions", title="Preemptions",
                caption="Requests sent away each second for want of KV blocks.", style=NumberStyle(suffix=" /s"),
            )
        )  # fmt: skip
    # How many chips were on at each moment is not kept.
    if second is not None and found.on == 1:
        cost = np.divide(second * 1e6, line.output, out=np.full(len(line.output), np.nan), where=line.output > 0)
        figures.append(
            _over_time(
                line, {"a million output tokens": cost}, id="cost", title="What tokens cost", style=NumberStyle(prefix="$", compact=True),
                caption="Rent of all chips over the tokens of the moment: the fuller the chips, the cheaper.", far=True,
            )
        )  # fmt: skip
    return tuple(figures)


def _over_time(
    line: Timeline,
    curves: Mapping[str, Floats],
    *,
    id: str,  # noqa: A002
    title: str,
    caption: str,
    style: NumberStyle,
    highest: float | None = None,
    far: bool = False,
) -> Figure:
    """Curves over the middles of the bins."""
    factor, across = _clock(float(line.start[-1] + line.width))
    times = (line.start + line.width / 2) / factor
    columns = (Column(key="time", heading="Time", style=across), *(Column(key=name, heading=name, style=style) for name in curves))
    rows = [{"time": time} | {name: values[index] for name, values in curves.items()} for index, time in enumerate(times)]
    table = Table(id=id, title=title, columns=columns, rows=rows)
    return curves_figure(table, id=id, title=title, caption=caption, style=style, across=across, highest=highest, far=far)


def _clock(seconds: float) -> tuple[float, NumberStyle]:
    """The unit in which so long a time is read, in seconds, and how it is written."""
    if seconds > 3 * HOUR:
        return HOUR, NumberStyle(suffix=" h", digits=4)
    return (60.0, NumberStyle(suffix=" min", digits=4)) if seconds > 600 else (1.0, NumberStyle(suffix=" s", digits=6))


def gantt_figure(found: Simulated, columns: Columns) -> Figure:
    """The requests of the engine with most of them, around the moment at which it holds most, a row each; `columns` are all requests."""
    outcome, engines = found.outcome, found.outcome.engine
    engine = int(np.bincount(engines).argmax())
    own = np.flatnonzero(engines == engine)
    chosen = _busiest(own[np.argsort(outcome.scheduled[own], kind="stable")], outcome.scheduled, outcome.completion)
    first, last = float(outcome.scheduled[chosen].min()), float(outcome.completion[chosen].max())
    factor, across = _clock(last - first)
    ends = (first - 0.1 * (last - first), last + 0.02 * (last - first))
    phases = (
        ("waiting", outcome.arrival, outcome.scheduled),
        ("prefill", outcome.scheduled, outcome.first_token),
        ("decode", outcome.first_token, outcome.completion),
    )
    rows = [{name: values[request] for name, values in columns.items()} for request in chosen]
    spans = {
        name: [
            Span(row=place, start=start[request] / factor, end=end[request] / factor, name=f"Request {request}", lines=_words(rows[place]))
            for place, request in enumerate(chosen)
        ]
        for name, start, end in phases
    }
    shown = tuple(Column(key=key, heading=heading, style=style) for key, heading, style in (("request", "Request", PLAIN), *REQUEST))
    title = f"Requests of engine {engine}"
    caption = f"{len(chosen)} requests around the moment at which this engine serves most at once, in the order in which they started."
    table = Table(id="requests", title=title, columns=shown, rows=rows)
    low, high = (end / factor for end in ends)
    return spans_figure(table, spans, id="requests", title=title, caption=caption, across=across, ends=(max(low, 0.0), high))


REQUEST = (
    ("prompt_tokens", "Tokens in", PLAIN),
    ("output_tokens", "Tokens out", PLAIN),
    ("arrival_s", "Arrival", NumberStyle(suffix=" s", digits=5)),
    ("queueing_s", "Queueing", MILLISECONDS),
    ("ttft_s", "TTFT", MILLISECONDS),
    ("tpot_s", "TPOT", MILLISECONDS),
    ("end_to_end_s", "End to end", NumberStyle(suffix=" s")),
    ("preemptions", "Preemptions", PLAIN),
    ("prefix_tokens_found", "Found in the cache", PLAIN),
)


def _busiest(own: NDArray[np.int64], scheduled: Floats, completion: Floats) -> NDArray[np.int64]:
    """At most `ROWS` of the requests `own`, which stand in the order of their start, around the start at which most are served."""
    done = np.searchsorted(np.sort(completion[own]), scheduled[own], side="right")
    peak = int(np.argmax(np.arange(1, len(own) + 1) - done))
    start = max(0, min(peak - ROWS // 2, len(own) - ROWS))
    return own[start : start + ROWS]


def _words(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((heading, style.show(row[key])) for key, heading, style in REQUEST)
