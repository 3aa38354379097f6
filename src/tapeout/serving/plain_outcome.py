"""What the plain loop finds: times by request, and by engine its totals and each of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.cluster import Cluster
from tapeout.serving.outcome import Totals
from tapeout.serving.plain_engine import PlainEngine, Record, Request
from tapeout.serving.plain_replica import Replica
from tapeout.traffic.requests import Requests
from tapeout.units import Unit

Integers = NDArray[np.int64]
Times = Annotated[NDArray[np.float64], Unit("s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSteps:
    """The steps of an engine in order, as columns of `Record`."""

    start: Times
    seconds: Times
    tokens: Integers
    decodes: Integers
    context: Integers
    running: Integers
    waiting: Integers
    blocks: Integers
    preempted: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainOutcome:
    """By request its times and counts, by engine its totals and steps, and in `gaps` every time between two tokens of a request.

    All times but `arrival` are those of the try that completed, on the engine of that number.
    """

    cluster: Cluster
    requests: Requests
    arrival: Times
    scheduled: Times
    first_token: Times
    completion: Times
    preemptions: Integers
    retries: Integers
    found: Integers
    engine: Integers
    totals: tuple[Totals, ...]
    steps: tuple[PlainSteps, ...]
    gaps: Times


def outcome(cluster: Cluster, requests: Requests, served: list[Request], replicas: list[Replica]) -> PlainOutcome:
    """The end of a run as arrays."""

    def times(name: str) -> Times:
        return np.array([getattr(request, name) for request in served])

    def counts(name: str) -> Integers:
        return np.array([getattr(request, name) for request in served], dtype=np.int64)

    first, last = float(times("arrival").min()), float(times("completion").max())
    engines = [(engine, replica.powered(first, last)) for replica in replicas for engine in replica.engines]
    return PlainOutcome(
        cluster=cluster, requests=requests, arrival=times("arrival"), scheduled=times("scheduled"), first_token=times("first_token"),
        completion=times("completion"), preemptions=counts("preemptions"), retries=counts("retries"), found=counts("found"),
        engine=counts("engine"), totals=tuple(_totals(engine, powered) for engine, powered in engines),
        steps=tuple(_steps(engine.records) for engine, _ in engines), gaps=np.array([gap for engine, _ in engines for gap in engine.gaps]),
    )  # fmt: skip


def _totals(engine: PlainEngine, powered: float) -> Totals:
    records = engine.records
    return Totals(
        busy=sum(record.seconds for record in records),
        block_seconds=sum(record.blocks * record.seconds for record in records),
        most_blocks=max((record.blocks for record in records), default=0),
        steps=len(records),
        preemptions=sum(record.preempted for record in records),
        powered=powered,
    )


def _steps(records: list[Record]) -> PlainSteps:
    columns = [np.array(column) for column in zip(*records, strict=True)] or [np.zeros(0)] * 2 + [np.zeros(0, dtype=np.int64)] * 7
    return PlainSteps(**dict(zip(Record._fields, columns, strict=True)))
