"""The state of the fast loop: plain arrays, so that one source compiles and runs as Python, and so that a run can stop and go on.

Decoding sequences are kept as a set: all grow by a token a step, so their number, their context in all, how many stand at each place
of a block, and the step in which each ends say everything. A sequence in it is its tokens when it joined and the step it joined at.
With speculation every sequence goes its own way, and nobody is in the set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.compiled import compiled
from tapeout.serving.step_law import StepTables

Floats = NDArray[np.float64]
Small = NDArray[np.int32]
Whole = NDArray[np.int64]

FREE, DECODES, CONTEXT, STEP, PLACE, FIRST, LAST, PARTIALS, RUNNING = range(9)
"""Free blocks; size and context of the decode set; steps so far and their place in a block; ends of the list of those running."""
HEAD, TAIL, WAITING, INBOX, INBOX_TAIL, OUTBOX, OUTBOX_TAIL, RECEIVED, STAMP = range(9, 18)
"""Ends of the queue; all that wait; ends of the lists of what is on its way in and out; numbers for the order of arrival and of starts."""
DELIVERED, ANSWERED, ANSWERED_BEFORE, ENDS, PREEMPTED, STEPS, MOST_BLOCKS, NAMELESS, OLDEST, YOUNGEST, LATE = range(18, 29)
"""Requests sent here, answered, and answered before the last step; size of the heap of ends; sums; full free blocks without a
name behind the last with one; ends of the list of free named blocks; sequences of the decode set whose last token is older than a step."""
SKIPPED, BUDGET, SWAPPED, LOST, APART, TOKENS, SERVED, KEYS, GAPS, STALLED, EMPTY = range(29, 40)
"""Of one step: decoding sequences left out, tokens left, blocks swapped, sequences preempted, and whether it holds prompts alone, so
that the whole decode set waits; such a step is none of `STEP`. Then, for its record, tokens, decoding sequences, their context, gaps;
and whether who waits needs blocks that are on their way to another engine. At last, free blocks that are not full."""
COUNTS = 40
NOW, BUSY, BLOCK_SECONDS, ANSWERED_AT, LINK_FREE = range(5)
MOMENTS = 5
RECORDS, NOTED, COMPLETED, WORK = range(4)
"""Of all engines: records of steps, gaps noted one by one, completed requests, and turns that the loop may still take."""
GONE, DECODING, PARTIAL, CHECKING, BROUGHT, COMPLETE, ANYWHERE = range(7)
"""Where a request is: not running, in the decode set, with tokens left to compute, with drafts to check, with its cache on its way
from another engine, or complete; or any of them."""
COMPUTED, GENERATED, JOINED, PREVIOUS, NEXT, CHUNK, PREEMPTIONS, STARTED, NAMED, FOUND, KEPT, RANK, RETRIES = range(13)
"""Of a request: `computed` and `generated` tokens as of the step at which it joined the decode set, neighbours in whatever list it is in,
tokens of the step, times it was sent away. Where they are used, at the end of the row: the order of its start, blocks with names, tokens
found, tokens kept for it elsewhere, its place in the order of arrival, and tries after failures."""
READY, SCHEDULED, FIRST_TOKEN, COMPLETION = range(4)
LAST_TOKEN = COMPLETION
"""Times of a request; that of its last token, where that is older than a step, else below 0, lies where the completion will."""
HOLDERS, OLDER, YOUNGER, BEFORE = range(4)
"""Of a block with a name: who holds it, its neighbours among those that are free, and full free blocks without a name right before."""
ENDED, PARTLY = range(2)
"""Lists of requests: those that end with a step, and those that run and are not in the decode set."""
ABSENT = -1
"""Holders of a named block that is not in the cache."""
COLUMNS = 9
"""Counts in the record of a step; of several engines one more says whose it is."""


class Limits(NamedTuple):
    """The policy of engine `number` as numbers.

    `singly` says that each step is a record of its own, `reports` that completions are events.
    """

    budget: int
    sequences: int
    blocks: int
    block: int
    chunk: int
    drafts: int
    by_priority: int
    swaps: int
    caching: int
    prompts_first: int
    by_chunk: int
    first_only: int
    takes_over: int
    reports: int
    jumps: int
    keeps: int
    singly: int
    number: int
    swap: float
    request: float


class Trace(NamedTuple):
    """What is asked for; `name[start[r]:start[r + 1]]` are the named blocks of request `r`."""

    prompt: Whole
    output: Whole
    priority: Whole
    name: Small
    start: Whole


class Tables(NamedTuple):
    """How long steps of an engine take; its noise starts at `offset` and goes round, as do `accepted` drafts."""

    steps: StepTables
    drafts: Floats
    accepted: Small
    noise: Floats
    offset: int


class State(NamedTuple):
    """All that changes, of one engine, or of all with a row each where it is their own.

    Own are those from `tally` to `names`, by request those from `arrival` to `engine`, which are shared since a request is in one place
    at a time. What is named by number above is the last axis of `tally`, `clock`, `names`, `when`, `of`, and the first of `lists`.
    """

    tally: Whole
    clock: Floats
    ends: Whole
    lists: Small
    phases: Whole
    urgent: Whole
    urgent_request: Small
    names: Small
    arrival: Floats
    when: Floats
    status: NDArray[np.int8]
    of: Small
    engine: NDArray[np.int16]
    shared: Whole
    gaps: Floats
    times: Floats
    counts: Small


@compiled
def of_engine(states: State, engine: int) -> State:
    """The state of one engine."""
    return State(
        states.tally[engine], states.clock[engine], states.ends[engine], states.lists[engine], states.phases[engine],
        states.urgent[engine], states.urgent_request[engine], states.names[engine], states.arrival, states.when, states.status,
        states.of, states.engine, states.shared, states.gaps, states.times, states.counts,
    )  # fmt: skip


URGENCY = 2**30
"""What makes a priority a number above 0: one more than the most urgent that a trace may have."""


@compiled
def must_pause(limits: Limits, state: State) -> bool:
    """Whether the loop has to go back to its caller: for more room for what a step may have to note, or to be heard."""
    shared = state.shared
    if shared[WORK] <= 0:
        return True
    return bool(limits.keeps and (shared[RECORDS] == len(state.times) or shared[NOTED] + limits.sequences > len(state.gaps)))
