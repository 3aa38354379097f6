"""A run over time: its steps as spans, and rates, queues and occupancy as means over short bins of equal width."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.cluster import Engine
from tapeout.serving.outcome import Outcome, Steps
from tapeout.units import Dimensionless, Seconds, Unit, Watts

Floats = NDArray[np.float64]
Times = Annotated[Floats, Unit("s")]
MOST_BINS = 500
REQUESTS_A_BIN = 50
"""Requests that a bin holds at least on the mean, so that its rates are more than chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The steps of one engine, how it came to them, and what its chips draw while a step runs."""

    steps: Steps
    engine: Engine
    power: Watts


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Records of steps of all engines as spans of time: power, blocks in use on the mean and at most, and requests sent away."""

    start: Times
    end: Times
    power: Annotated[Floats, Unit("W")]
    blocks: Annotated[Floats, Unit("1")]
    most: Annotated[Floats, Unit("1")]
    preempted: Annotated[Floats, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Bins of `width` from each `start`; `waiting`, `prefilling` and `decoding` are mean numbers of requests.

    `busy` is the mean share of the engines in a step, `kv_occupancy` the share of all blocks in use; `preemptions` are counts. `power` is
    that of chips whose engine runs a step.
    """

    start: Times
    width: Seconds
    arrivals: Annotated[Floats, Unit("query/s")]
    completions: Annotated[Floats, Unit("query/s")]
    output: Annotated[Floats, Unit("token/s")]
    waiting: Annotated[Floats, Unit("1")]
    prefilling: Annotated[Floats, Unit("1")]
    decoding: Annotated[Floats, Unit("1")]
    busy: Annotated[Floats, Unit("1")]
    kv_occupancy: Annotated[Floats, Unit("1")]
    power: Annotated[Floats, Unit("W")]
    preemptions: Annotated[Floats, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """How full the engines were between two times: means weighed by time, the peak, and requests sent away each second."""

    busy: Dimensionless
    power: Watts
    kv_occupancy: Dimensionless
    kv_occupancy_peak: Dimensionless
    preemptions_each_second: Annotated[float, Unit("1/s")]


def integral(start: Floats, end: Floats, value: Floats, times: Floats) -> Floats:
    """Up to each of `times`, the integral of the sum of spans that hold `value` from `start` to `end`; spans may overlap.

    >>> integral(np.array([0.0, 1.0]), np.array([2.0, 3.0]), np.array([1.0, 10.0]), np.array([1.0, 2.0, 9.0]))
    array([ 1., 12., 22.])
    """
    if len(start) == 0:
        return np.zeros(len(times))
    knots = np.concatenate([start, end])
    order = np.argsort(knots, kind="stable")
    knots = knots[order]
    level = np.cumsum(np.concatenate([value, -value])[order])
    area = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(knots))])
    found: Floats = np.interp(times, knots, area)
    return found


def step_spans(ran: Sequence[Ran]) -> Spans:
    """The records of all engines as spans."""
    parts = [_engine_spans(one) for one in ran]
    return _joined(parts)


def _joined(parts: Sequence[Spans]) -> Spans:
    names = [field.name for field in dataclasses.fields(Spans)]
    return Spans(**{name: np.concatenate([np.zeros(0), *(getattr(part, name) for part in parts)]) for name in names})


def _chosen(spans: Spans, rows: NDArray[np.bool_]) -> Spans:
    return Spans(**{field.name: getattr(spans, field.name)[rows] for field in dataclasses.fields(Spans)})


def _engine_spans(ran: Ran) -> Spans:
    """The records of one engine; the steps of a row grow linearly but where a window fills."""
    steps, policy = ran.steps, ran.engine.policy
    rows = steps.count > 1
    last = steps.seconds.astype(float)
    last[rows] = ran.engine.step_model.decode_seconds(steps.decodes[rows], (steps.context + (steps.count - 1) * steps.decodes)[rows])
    end = steps.start + steps.count * (steps.seconds + last) / 2
    end[:-1] = np.minimum(end[:-1], steps.start[1:])
    grown = (steps.count - 1) * steps.decodes / policy.block_size
    blocks, most = (np.minimum(steps.blocks + share * grown, policy.blocks) for share in (0.5, 1.0))
    power = np.full(len(end), ran.power)
    return Spans(start=steps.start, end=end, power=power, blocks=blocks, most=most, preempted=steps.preempted.astype(float))


def timeline(outcome: Outcome, spans: Spans, *, engines: int, blocks: int, bins: int = MOST_BINS) -> Timeline:
    """The run from its first arrival to its last completion in at most `bins` bins; `blocks` are those of all `engines`."""
    if bins < 1:
        raise InputError("a timeline has at least one bin", given=bins)
    first, last = float(outcome.arrival.min()), float(outcome.completion.max())
    number = max(1, min(bins, len(outcome.completion) // REQUESTS_A_BIN))
    edges = np.linspace(first, last, number + 1)
    width = (last - first) / number

    def mean(start: Floats, end: Floats, value: Floats) -> Floats:
        found: Floats = np.diff(integral(start, end, value, edges)) / width
        return found

    def count(times: Floats, weights: Floats | None = None) -> Floats:
        return np.histogram(times, edges, weights=weights)[0].astype(float)

    one = np.ones(len(outcome.arrival))
    # First tokens fall where they fall; those after are spread evenly up to the last.
    span = outcome.completion - outcome.first_token
    rate = np.divide(outcome.requests.output - 1, span, out=np.zeros(len(span)), where=span > 0)
    busy = mean(spans.start, spans.end, np.ones(len(spans.start)))
    return Timeline(
        start=edges[:-1], width=width,
        arrivals=count(outcome.arrival) / width, completions=count(outcome.completion) / width,
        output=count(outcome.first_token) / width + mean(outcome.first_token, outcome.completion, rate),
        waiting=mean(outcome.arrival, outcome.scheduled, one),
        prefilling=mean(outcome.scheduled, outcome.first_token, one),
        decoding=mean(outcome.first_token, outcome.completion, one),
        busy=busy / engines, kv_occupancy=mean(spans.start, spans.end, spans.blocks) / blocks,
        power=mean(spans.start, spans.end, spans.power), preemptions=count(spans.start, spans.preempted),
    )  # fmt: skip


def occupancy(spans: Spans, *, engines: int, blocks: int, first: Seconds, last: Seconds) -> Occupancy:
    """How full `engines` with `blocks` in all were from `first` to `last`."""
    if not (math.isfinite(first) and first < last):
        raise InputError("occupancy needs a time that is not empty", given=f"{first} to {last} s")
    ends = np.array([first, last])

    def mean(value: Floats) -> float:
        return float(np.diff(integral(spans.start, spans.end, value, ends))[0]) / (last - first)

    inside = (spans.start < last) & (spans.end > first)
    chosen = _chosen(spans, inside)
    sent = float(chosen.preempted[chosen.start >= first].sum())
    return Occupancy(
        busy=mean(np.ones(len(spans.start))) / engines, power=mean(spans.power), kv_occupancy=mean(spans.blocks) / blocks,
        kv_occupancy_peak=_peak(chosen) / blocks, preemptions_each_second=sent / (last - first),
    )  # fmt: skip


def _peak(spans: Spans) -> float:
    """The most blocks in use at once."""
    if len(spans.start) == 0:
        return 0.0
    # Where one span ends as the next begins, it ends first.
    times = np.concatenate([spans.end, spans.start])
    change = np.concatenate([-spans.most, spans.most])
    return float(np.cumsum(change[np.argsort(times, kind="stable")]).max())
