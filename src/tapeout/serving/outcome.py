"""What a simulation finds: times by request, and its steps as records of one or of many in a row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.cluster import Cluster
from tapeout.serving.step_model import StepModel
from tapeout.traffic.requests import Requests
from tapeout.units import Seconds, Unit

Integers = NDArray[np.integer[Any]]
Times = Annotated[NDArray[np.float64], Unit("s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps in order: what each started with, how long it took, what it held. `waiting` and `blocks` stand after scheduling.

    A record with a `count` above 1 stands for so many steps of nothing but `decodes` sequences, one token each, on `context` tokens
    in the first; `seconds` and `blocks` are those of the first. At its end `gaps` sequences have a token and had one at its start.
    """

    start: Times
    seconds: Times
    count: Integers
    tokens: Integers
    decodes: Integers
    context: Integers
    running: Integers
    waiting: Integers
    blocks: Integers
    preempted: Integers
    gaps: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """One engine in sums: `busy` seconds of steps, those in which it was `powered`, blocks in use by seconds, the most, counts."""

    busy: Seconds
    powered: Seconds
    block_seconds: Seconds
    most_blocks: int
    steps: int
    preemptions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened: by request its arrival, first scheduling, first token, completion, preemptions, retries after failures, and engine.

    Times are those of the try that completed. `found` are the tokens of each prompt that were in the cache when it first started.
    By engine: totals, and the steps if kept; then `late_gaps` are the times between two tokens of a request that more than one step lies
    between. An `interrupted` outcome holds the requests that were complete.
    """

    requests: Requests
    cluster: Cluster
    arrival: Times
    scheduled: Times
    first_token: Times
    completion: Times
    preemptions: Integers
    retries: Integers
    found: Integers
    engine: Integers
    totals: tuple[Totals, ...]
    records: tuple[Steps, ...] | None
    late_gaps: Times
    interrupted: bool

    @property
    def steps(self) -> tuple[Steps, ...]:
        """The records of steps by engine; raises InputError where they were not kept."""
        if self.records is None:
            raise InputError("the steps of this simulation were not kept", hint="simulate with records=True")
        return self.records


def one_by_one(steps: Steps, step_model: StepModel) -> Steps:
    """The steps of one engine with one record each; `waiting` and `blocks` of a record in a row are those of its first."""
    if len(steps.count) == 0:
        return steps
    ends = np.cumsum(steps.count)
    rows = np.repeat(np.arange(len(steps.count)), steps.count)
    later = np.arange(int(ends[-1])) - (ends - steps.count)[rows]
    columns = {field.name: getattr(steps, field.name)[rows] for field in dataclasses.fields(Steps)}
    columns["context"] = columns["context"] + later * columns["decodes"]
    seconds = np.where(later > 0, step_model.decode_seconds(columns["decodes"], columns["context"]), columns["seconds"])
    passed = np.cumsum(seconds) - seconds
    columns["start"] = columns["start"] + passed - passed[(ends - steps.count)][rows]
    return Steps(**{**columns, "seconds": seconds, "count": np.ones_like(rows)})
