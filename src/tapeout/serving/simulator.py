"""One engine under traffic, fast: `scheduler`'s steps by the compiled loop."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tapeout.serving import kernel_state as at
from tapeout.serving.checks import check
from tapeout.serving.kernel import advance
from tapeout.serving.kernel_state import Limits, State, Trace, fresh
from tapeout.serving.outcome import Outcome, Steps, Totals
from tapeout.serving.policy import Policy
from tapeout.serving.requests import Requests
from tapeout.serving.step_model import StepModel

Number = TypeVar("Number", bound=np.generic)


def simulate(step_model: StepModel, requests: Requests, policy: Policy, *, records: bool = True, jumps: bool = True) -> Outcome:
    """`requests` served by one engine until the last is complete: the outcome of `scheduler.simulate`, to the bit.

    Equal steps in a row are one record; `records` and `jumps` turn that off, to save memory or to see each step. Raises InputError
    like `scheduler.simulate`.
    """
    check(step_model, requests, policy)
    room = 5 * len(requests) // 2 + 64 if records else 1
    limits, trace, state = fresh(step_model, requests, policy, jumps=jumps, keeps=records, records=room)
    tables = step_model.tables()
    while True:
        advance(tables, limits, trace, state, math.inf)
        if state.tally[at.COMPLETED] == len(requests):
            return _outcome(requests, policy, limits, trace, state)
        state = state._replace(times=_doubled(state.times), counts=_doubled(state.counts), gaps=_doubled(state.gaps))


def _doubled(rows: NDArray[Number]) -> NDArray[Number]:
    return np.concatenate([rows, np.zeros_like(rows)])


def _outcome(requests: Requests, policy: Policy, limits: Limits, trace: Trace, state: State) -> Outcome:
    count = state.tally
    prompts, found = int(trace.prompt.sum()), state.found if limits.caching else np.broadcast_to(np.int32(0), len(requests))
    totals = Totals(
        busy=float(state.clock[at.BUSY]), block_seconds=float(state.clock[at.BLOCK_SECONDS]), most_blocks=int(count[at.MOST_BLOCKS]),
        steps=int(count[at.STEPS]), preemptions=int(count[at.PREEMPTED]), prompt_tokens=prompts, found_tokens=int(found.sum()),
    )  # fmt: skip
    return Outcome(
        requests=requests, policy=policy, arrival=state.arrival, scheduled=state.scheduled, first_token=state.first,
        completion=state.completion, preemptions=state.preemptions, found=found, totals=totals,
        records=_steps(state) if limits.keeps else None,
        late_gaps=state.gaps[: count[at.GAPS]] if limits.keeps else np.zeros(0),
    )  # fmt: skip


def _steps(state: State) -> Steps:
    rows = int(state.tally[at.RECORDS])
    start, seconds = state.times[:rows].T
    steps, tokens, decodes, context, running, waiting, blocks, preempted, gaps = state.counts[:rows].T
    return Steps(
        start=start, seconds=seconds, count=steps, tokens=tokens, decodes=decodes, context=context, running=running, waiting=waiting,
        blocks=blocks, preempted=preempted, gaps=gaps,
    )  # fmt: skip
