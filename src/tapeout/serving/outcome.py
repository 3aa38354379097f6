"""What a simulation finds: times by request, and its steps as records of one or of many in a row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.policy import Policy
from tapeout.serving.requests import Requests
from tapeout.serving.step_model import StepModel
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
    """A run in sums: `busy` seconds of steps, blocks in use by seconds, the most of them, steps and preemptions.

    `prompt_tokens` are those of first admissions, `found_tokens` those of them that a cache of prefixes held.
    """

    busy: Seconds
    block_seconds: Seconds
    most_blocks: int
    steps: int
    preemptions: int
    prompt_tokens: int
    found_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened: by request its arrival, first scheduling, first token, completion and preemptions; totals; the steps if kept.

    `found` are the tokens of each prompt that were in the cache when it first started; `late_gaps`, if steps are kept, the times between
    two tokens of a request that more than one step lies between.
    """

    requests: Requests
    policy: Policy
    arrival: Times
    scheduled: Times
    first_token: Times
    completion: Times
    preemptions: Integers
    found: Integers
    totals: Totals
    records: Steps | None
    late_gaps: Times

    @property
    def steps(self) -> Steps:
        """The records of steps; raises InputError where they were not kept."""
        if self.records is None:
            raise InputError("the steps of this simulation were not kept", hint="simulate with records=True")
        return self.records


def one_by_one(steps: Steps, step_model: StepModel) -> Steps:
    """The same steps with one record each; `waiting` and `blocks` of a record in a row are those of its first."""
    ends = np.cumsum(steps.count)
    rows = np.repeat(np.arange(len(steps.count)), steps.count)
    later = np.arange(int(ends[-1])) - (ends - steps.count)[rows]
    columns = {field.name: getattr(steps, field.name)[rows] for field in dataclasses.fields(Steps)}
    columns["context"] = columns["context"] + later * columns["decodes"]
    seconds = np.where(later > 0, _decode_seconds(step_model, columns["decodes"], columns["context"]), columns["seconds"])
    passed = np.cumsum(seconds) - seconds
    columns["start"] = columns["start"] + passed - passed[(ends - steps.count)][rows]
    return Steps(**{**columns, "seconds": seconds, "count": np.ones_like(rows)})


def _decode_seconds(model: StepModel, decodes: Integers, context: Integers) -> Times:
    """Seconds of steps of nothing but single tokens, as arrays."""
    keys = context + decodes
    work = model.token_seconds[decodes] + model.sequence_seconds[decodes] + (model.decode_launch + model.decode_sequence * decodes)
    for cost in model.decode:
        full = cost.full * decodes if np.isfinite(cost.full) else np.inf
        work = work + np.minimum(cost.key * keys, full) + cost.entry * np.minimum(keys / np.maximum(decodes, 1), cost.longest)
    found: Times = model.host_step + np.maximum(work, model.host_sequence * decodes)
    return found
