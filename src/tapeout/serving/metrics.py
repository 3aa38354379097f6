"""What users and owners see of a simulation: latencies by request, their percentiles, goodput, and how full the engine was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.outcome import Outcome, one_by_one
from tapeout.units import Dimensionless, QueriesPerSecond, Seconds, TokensPerSecond, Unit

Times = Annotated[NDArray[np.float64], Unit("s")]
EVERY = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Limits that a request must keep to count: time to first token and mean time per output token; None is no limit."""

    ttft: Seconds | None = None
    tpot: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Mean and percentiles of a latency, interpolated linearly between the requests."""

    mean: Seconds
    p50: Seconds
    p90: Seconds
    p99: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One simulation in numbers. `tpot` is None where every output is one token.

    `utilisation` is the share of the powered time in which a step ran; KV occupancy is the share of the powered blocks in use, weighed
    by time, its peak that of the fullest engine. `powered` is the share of all engines that was on, on the mean. Goodput counts the
    requests that kept the SLO; `found_share` is the part of all prompts that a cache of prefixes held.
    """

    requests: int
    duration: Seconds
    ttft: Percentiles
    tpot: Percentiles | None
    end_to_end: Percentiles
    queueing: Percentiles
    request_rate: QueriesPerSecond
    output_rate: TokensPerSecond
    slo_attainment: Dimensionless
    goodput: QueriesPerSecond
    utilisation: Dimensionless
    kv_occupancy: Dimensionless
    kv_occupancy_peak: Dimensionless
    powered: Dimensionless
    found_share: Dimensionless
    steps: int
    preemptions: int
    retries: int


def ttft(outcome: Outcome) -> Times:
    """Time from arrival to first token, by request."""
    return outcome.first_token - outcome.arrival


def end_to_end(outcome: Outcome) -> Times:
    """Time from arrival to last token, by request."""
    return outcome.completion - outcome.arrival


def queueing(outcome: Outcome) -> Times:
    """Time from arrival to the start of the first step that works on the request."""
    return outcome.scheduled - outcome.arrival


def tpot(outcome: Outcome) -> Times:
    """Mean time per output token after the first, by request; 0 where there is only one."""
    later = outcome.requests.output - 1
    return (outcome.completion - outcome.first_token) / np.maximum(later, 1)


def attained(outcome: Outcome, slo: Slo) -> NDArray[np.bool_]:
    """Which requests kept `slo`."""
    kept = np.ones(len(outcome.requests), dtype=bool)
    for limit, latency in ((slo.ttft, ttft), (slo.tpot, tpot)):
        if limit is not None:
            kept &= latency(outcome) <= limit
    return kept


def percentiles(values: Times) -> Percentiles:
    """Mean and percentiles of at least one value.

    >>> percentiles(np.array([1.0, 2.0, 3.0])).p50
    2.0
    """
    if len(values) == 0:
        raise InputError("no requests to take percentiles of")
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    return Percentiles(mean=float(values.mean()), p50=float(p50), p90=float(p90), p99=float(p99))


def inter_token(outcome: Outcome) -> Percentiles | None:
    """Times between two tokens of a request, over all of them; None where every output is one token. Needs the steps of the outcome.

    Tokens that come together count as one.
    """
    models = [outcome.cluster.pools[pool].engine.step_model for pool in outcome.cluster.pool_of_engine]
    each = [one_by_one(steps, model) for steps, model in zip(outcome.steps, models, strict=True)]
    times = np.concatenate([*(one.seconds for one in each), outcome.late_gaps])
    counts = np.concatenate([*(one.gaps for one in each), np.ones(len(outcome.late_gaps), dtype=np.int64)])
    order = np.argsort(times)
    times, ends = times[order], np.cumsum(counts[order])
    if ends[-1] == 0:
        return None
    # As `percentiles` of the times one by one, of which each stands `counts` times.
    places = np.array([0.5, 0.9, 0.99]) * (ends[-1] - 1)
    below, above = (times[np.searchsorted(ends, np.asarray(part(places)), side="right")] for part in (np.floor, np.ceil))
    p50, p90, p99 = below + (above - below) * (places % 1)
    return Percentiles(mean=float(times @ counts[order] / ends[-1]), p50=float(p50), p90=float(p90), p99=float(p99))


def duration(outcome: Outcome) -> Seconds:
    """Time from the first arrival to the last completion."""
    return float(outcome.completion.max() - outcome.arrival.min())


def summary(outcome: Outcome, slo: Slo | None = None, rows: slice = EVERY) -> Summary:
    """The run in numbers; latencies and attainment over the requests `rows`, so that a warm-up can be left out.

    Rates, utilisation and occupancy are always those of the whole run.
    """
    slo = slo or Slo()
    span, count = duration(outcome), len(outcome.requests)
    policies = [outcome.cluster.pools[pool].engine.policy for pool in outcome.cluster.pool_of_engine]
    blocks = np.array([policy.blocks for policy in policies], dtype=float)
    busy, powered, block_seconds, most = np.array(
        [(one.busy, one.powered, one.block_seconds, one.most_blocks) for one in outcome.totals], dtype=float
    ).T
    several = outcome.requests.output[rows] > 1
    later = tpot(outcome)[rows][several]
    return Summary(
        requests=count,
        duration=span,
        ttft=percentiles(ttft(outcome)[rows]),
        tpot=percentiles(later) if len(later) else None,
        end_to_end=percentiles(end_to_end(outcome)[rows]),
        queueing=percentiles(queueing(outcome)[rows]),
        request_rate=count / span,
        output_rate=float(outcome.requests.output.sum()) / span,
        slo_attainment=float(attained(outcome, slo)[rows].mean()),
        goodput=float(attained(outcome, slo).sum()) / span,
        utilisation=float(busy.sum() / powered.sum()),
        kv_occupancy=float(block_seconds.sum() / (blocks * powered).sum()),
        kv_occupancy_peak=float((most / blocks).max()),
        powered=float(powered.mean() / span),
        found_share=float(outcome.found.sum() / outcome.requests.prompt.sum()),
        steps=sum(one.steps for one in outcome.totals),
        preemptions=sum(one.preemptions for one in outcome.totals),
        retries=int(outcome.retries.sum()),
    )
