"""Whether an open trace asks for more than the engines can do: then its queue grows for as long as it runs.

An engine that can do more than is asked has times in which nobody waits, but for the step that runs. What it could have started in
those is held against what waits in the end: where that is more, the trace itself, and not chance in where it ends, is beyond the engine.
So hours in which a queue grows do not count as saturation where it is worked off in the others; `most_waiting` tells of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.outcome import Outcome
from tapeout.units import Dimensionless, QueriesPerSecond, Seconds, TokensPerSecond

FULL, FILLING = 0.97, 0.75
"""An engine has filled when first so much of the most requests that ever run in it do, or after so much of the time of arrivals."""
STEPS = 1.0
"""Mean steps of an engine that a request may wait before it counts as waiting for a place."""
SIGMAS = 0.25
"""Growth counts above so many times what arrivals and lengths at random would scatter over the same time."""
STAYS = 4.0
"""Mean stays of a request that arrivals must last for a steady state to show."""

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """`saturated` says that the queue grows, and not by chance; `growth` is requests that it gains each second, else 0.

    `output_rate` is what the engines gave while requests still arrived: their capacity, where they are saturated. `most_waiting` are the
    most requests that waited at once. Not `settled` is a trace that lasts hardly longer than its requests stay: it ends while the engines
    still fill, so that a lack of saturation says little.
    """

    saturated: bool
    settled: bool
    growth: QueriesPerSecond
    most_waiting: int
    output_rate: TokensPerSecond


def saturation(outcome: Outcome) -> Saturation:
    """How the queue went from when somebody first waited to the last arrival, by what was left waiting and what could have started.

    A closed loop is never saturated, since its users wait.
    """
    start, end = float(outcome.arrival.min()), float(outcome.arrival.max())
    most = int(_waiting(outcome.arrival, outcome.scheduled, outcome.arrival).max())
    stay = float((outcome.completion - outcome.scheduled).mean())
    if end <= start:
        rate = _output_rate(outcome, start, float(outcome.completion.max()))
        return Saturation(saturated=False, settled=False, growth=0.0, most_waiting=most, output_rate=rate)
    queues = _queues(outcome)
    first = min(float(np.median([queue.filled(end) for queue in queues])), start + FILLING * (end - start))
    grown = sum(queue.left(end) - queue.left(first) for queue in queues)
    spare = sum(queue.spare(first, end) for queue in queues)
    saturated = outcome.requests.users is None and grown - spare > max(SIGMAS * _scatter(outcome, first), 1.0)
    growth, last = 0.0, end
    if saturated:
        # What waits keeps the engines at their capacity until the last of it has started, also after the last arrival.
        growth = float((len(outcome.requests) - 1) / (end - start) - sum(queue.capacity(first) for queue in queues))
        last = max(end, min(float(queue.scheduled.max()) for queue in queues))
    return Saturation(
        saturated=bool(saturated), settled=bool(end - start >= STAYS * stay), growth=growth, most_waiting=most,
        output_rate=_output_rate(outcome, first, last),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queue:
    """The requests of one engine in order of arrival, when each began to wait for a place, was scheduled and complete."""

    waits: Times
    scheduled: Times
    completion: Times

    def filled(self, end: Seconds) -> Seconds:
        """When the engine was first as full as it gets."""
        times = np.sort(self.scheduled[self.scheduled <= end])
        if len(times) == 0:
            return end
        running = np.arange(1, len(times) + 1) - np.searchsorted(np.sort(self.completion), times, side="right")
        return float(times[np.argmax(running >= FULL * running.max())])

    def left(self, time: Seconds) -> int:
        """Requests that wait at a time."""
        return int(_waiting(self.waits, self.scheduled, np.array([time]))[0])

    def spare(self, first: Seconds, end: Seconds) -> Dimensionless:
        """Requests that could have started in the time in which nobody waited, at the rate at which others did in the rest."""
        begun = int(np.count_nonzero((self.scheduled > first) & (self.scheduled <= end)))
        # Somebody waits from each arrival until all before it are scheduled; what lies between is idle.
        until = np.maximum.accumulate(np.maximum(self.scheduled, first))
        idle = np.clip(np.minimum(self.waits[1:], end) - np.maximum(until[:-1], first), 0.0, None).sum()
        idle += max(min(float(self.waits[0]), end) - first, 0.0) + max(end - float(until[-1]), 0.0)
        return float(idle / (end - first) * begun)

    def capacity(self, first: Seconds) -> QueriesPerSecond:
        """Requests started a second from a time to the last of all."""
        last = float(self.scheduled.max())
        return np.count_nonzero(self.scheduled > first) / (last - first) if last > first else 0.0


def _queues(outcome: Outcome) -> list[_Queue]:
    found = []
    for number in np.unique(outcome.engine).tolist():
        rows = np.flatnonzero(outcome.engine == number)
        rows = rows[np.argsort(outcome.arrival[rows], kind="stable")]
        totals = outcome.totals[number]
        step = totals.busy / max(totals.steps, 1)
        scheduled = outcome.scheduled[rows]
        waits = np.minimum(outcome.arrival[rows] + STEPS * step, scheduled)
        found.append(_Queue(waits=waits, scheduled=scheduled, completion=outcome.completion[rows]))
    return found


def _waiting(waits: Times, scheduled: Times, times: Times) -> NDArray[np.int64]:
    """How many wait at each time."""
    begun, gone = (np.searchsorted(np.sort(events), times, side="right") for events in (waits, scheduled))
    found: NDArray[np.int64] = (begun - gone).astype(np.int64)
    return found


def _scatter(outcome: Outcome, first: Seconds) -> Dimensionless:
    """How far arrivals less requests served scatter after `first`, if gaps and lengths come at random."""
    gaps, tokens = np.diff(np.sort(outcome.arrival)), outcome.requests.prompt + outcome.requests.output
    variation = float(gaps.std() / gaps.mean()) ** 2 + float(tokens.std() / tokens.mean()) ** 2
    return float(np.sqrt(variation * np.count_nonzero(outcome.arrival > first)))


def _output_rate(outcome: Outcome, first: Seconds, end: Seconds) -> TokensPerSecond:
    """Tokens a second between two times: first tokens where they fall, those after spread evenly up to the last."""
    begun = (outcome.first_token > first) & (outcome.first_token <= end)
    span = np.maximum(outcome.completion - outcome.first_token, 1e-12)
    share = (np.minimum(outcome.completion, end) - np.maximum(outcome.first_token, first)) / span
    tokens = begun.sum() + ((outcome.requests.output - 1) * np.clip(share, 0.0, 1.0)).sum()
    return float(tokens / max(end - first, 1e-12))
