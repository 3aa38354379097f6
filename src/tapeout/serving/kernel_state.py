"""The state of the fast loop: plain arrays, so that one source compiles and runs as Python, and so that a run can stop and go on.

Decoding sequences are kept as a set: all grow by a token a step, so their number, their context in all, how many stand at each place
of a block, and the step in which each ends say everything. A sequence in it is its tokens when it joined and the step it joined at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.names import block_names
from tapeout.serving.policy import Order, Policy
from tapeout.serving.requests import MOST_URGENT, Requests
from tapeout.serving.step_model import StepModel

Floats = NDArray[np.float64]
Small = NDArray[np.int32]
Whole = NDArray[np.int64]

FREE, DECODES, CONTEXT, STEP, PLACE, FIRST, LAST, PARTIALS, RUNNING = range(9)
"""Free blocks; size and context of the decode set; steps so far and their place in a block; ends of the list of those running."""
QUEUE_START, QUEUE_END, FRONT, URGENT, INITIAL, SENT, UNSENT, COMPLETED, STAMP = range(9, 18)
"""Ends of the queue in order of arrival; sizes of the stack before it and of the heap beside it; arrivals received and to come."""
ENDS, PREEMPTED, STEPS, MOST_BLOCKS, NAMELESS, OLDEST, YOUNGEST, RECORDS, LATE, GAPS, SKIPPED, BUDGET, SWAPPED, LOST, APART = range(18, 33)
"""Size of the heap of ends; sums; free blocks without a name behind the last with one; ends of the list of free named blocks; records;
sequences of the decode set whose last token is older than a step; gaps noted one by one.

The last five belong to one step: decoding sequences left out, tokens left, blocks swapped, sequences preempted, and whether it holds
prompts alone, so that the whole decode set waits; such a step is none of `STEP`.
"""
COUNTS = 33
NOW, BUSY, BLOCK_SECONDS = range(3)
GONE, DECODING, PARTIAL, ANYWHERE = range(4)
"""Where a request is: not running, in the decode set, or with tokens left to compute; either of the two."""
ABSENT = -1
"""Holders of a named block that is not in the cache."""


class Limits(NamedTuple):
    """A policy as numbers."""

    budget: int
    sequences: int
    blocks: int
    block: int
    chunk: int
    by_priority: bool
    swaps: bool
    swap: float
    caching: bool
    prompts_first: bool
    jumps: bool
    keeps: bool
    users: int
    request: float


class Trace(NamedTuple):
    """What is asked for; `name[start[r]:start[r + 1]]` are the named blocks of request `r`."""

    prompt: Whole
    output: Whole
    priority: Whole
    name: Small
    start: Whole


class State(NamedTuple):
    """All that changes; `tally` holds what is named by number above.

    By request: `computed` and `generated` tokens as of `join`, its neighbours in the list of those running, and what became of it;
    `since` is the time of its last token where that is older than a step, else below 0, and lies where the completion will. By name:
    holders, neighbours among the free, and free blocks without a name right before.
    """

    tally: Whole
    clock: Floats
    arrival: Floats
    scheduled: Floats
    first: Floats
    completion: Floats
    status: NDArray[np.int8]
    computed: Small
    generated: Small
    join: Small
    previous: Small
    following: Small
    stamp: Small
    chunk: Small
    named: Small
    kept: Small
    found: Small
    preemptions: Small
    rank: Small
    queue: Small
    front: Small
    urgent: Whole
    ends: Whole
    ended: Small
    partials: Small
    phases: Whole
    holders: Small
    older: Small
    younger: Small
    before: Small
    since: Floats
    gaps: Floats
    times: Floats
    counts: Small


def fresh(
    step_model: StepModel, requests: Requests, policy: Policy, *, jumps: bool, keeps: bool, records: int
) -> tuple[Limits, Trace, State]:
    """Limits, trace and state before the first arrival, with room for `records` records."""
    users = len(requests) if requests.users is None else requests.users
    by_priority = policy.order is Order.PRIORITY
    name, start = block_names(requests, policy.block_size) if policy.prefix_caching else (np.zeros(0), np.zeros(1))
    limits = Limits(
        budget=policy.token_budget, sequences=policy.most_sequences, blocks=policy.blocks, block=policy.block_size,
        chunk=policy.chunk or policy.token_budget, by_priority=by_priority, swaps=policy.swap is not None, swap=policy.swap or 0.0,
        caching=policy.prefix_caching, prompts_first=policy.prompts_first, jumps=jumps, keeps=keeps, users=users,
        request=step_model.request,
    )  # fmt: skip
    # What a policy does not use has one place, or one for each request where its length is looked at.
    priority = requests.priority if by_priority and requests.priority is not None else np.zeros(1)
    trace = Trace(
        prompt=requests.prompt.astype(np.int64, copy=False), output=requests.output.astype(np.int64, copy=False),
        priority=priority.astype(np.int64), name=name.astype(np.int32), start=start.astype(np.int64),
    )  # fmt: skip
    return limits, trace, _state(limits, requests, int(name.max()) + 1 if len(name) else 0, records)


def _state(limits: Limits, requests: Requests, names: int, records: int) -> State:
    size = len(requests)
    tally = np.zeros(COUNTS, dtype=np.int64)
    tally[FREE] = tally[NAMELESS] = limits.blocks
    tally[FIRST] = tally[LAST] = tally[OLDEST] = tally[YOUNGEST] = -1
    tally[SENT] = tally[UNSENT] = limits.users
    arrival = np.full(size, -1.0)
    arrival[: limits.users] = requests.arrival

    def small(length: int) -> Small:
        return np.zeros(length, dtype=np.int32)

    def times() -> Floats:
        return np.full(size, -1.0)

    used, completion = size if limits.caching else 1, times()
    return State(
        tally=tally, clock=np.zeros(3), arrival=arrival, scheduled=times(), first=times(), completion=completion, since=completion,
        status=np.zeros(size, dtype=np.int8), computed=small(size), generated=small(size), join=small(size), previous=small(size),
        following=small(size), stamp=small(used), chunk=small(size), named=small(used), found=small(used),
        kept=small(size if limits.swaps else 1), preemptions=small(size), rank=small(size if limits.by_priority else 1),
        queue=small(size), front=small(limits.sequences + 1), urgent=np.zeros(size if limits.by_priority else 1, dtype=np.int64),
        ends=np.zeros(4 * limits.sequences + 64, dtype=np.int64), ended=small(limits.sequences + 1),
        partials=small(limits.sequences + 1), phases=np.zeros(limits.block, dtype=np.int64), holders=small(names) + np.int32(ABSENT),
        older=small(names), younger=small(names), before=small(names),
        gaps=np.zeros(2 * limits.sequences + 64 if limits.keeps else 1), times=np.zeros((records, 2)),
        counts=np.zeros((records, 9), dtype=np.int32),
    )  # fmt: skip


URGENCY = MOST_URGENT + 1
