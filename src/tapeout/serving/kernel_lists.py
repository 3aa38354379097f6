"""Who runs in the fast loop: the list in order of admission, the decode set, and what leaves both."""

from __future__ import annotations

from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled, compiled_apart
from tapeout.serving.kernel_blocks import give_back, name_blocks
from tapeout.serving.kernel_heap import pop, pop_beside, push, push_beside
from tapeout.serving.kernel_state import Limits, State, Trace


@compiled
def tokens_held(state: State, request: int) -> int:
    """Tokens of a running request in the cache."""
    if state.status[request] == at.DECODING:
        return int(state.of[request, at.COMPUTED] + state.tally[at.STEP] - state.of[request, at.JOINED])
    return int(state.of[request, at.COMPUTED])


@compiled
def append(limits: Limits, state: State, request: int) -> None:
    """Put a request at the end of those running, with tokens left to compute."""
    count = state.tally
    last = count[at.LAST]
    state.of[request, at.PREVIOUS], state.of[request, at.NEXT] = last, -1
    if last >= 0:
        state.of[last, at.NEXT] = request
    else:
        count[at.FIRST] = request
    count[at.LAST] = request
    state.status[request] = at.PARTIAL
    if limits.caching:
        state.of[request, at.STARTED] = count[at.STAMP]
        count[at.STAMP] += 1
    state.lists[at.PARTLY, count[at.PARTIALS]] = request
    count[at.PARTIALS] += 1
    count[at.RUNNING] += 1


@compiled
def unlink(state: State, request: int) -> None:
    """Take a request out of the list of those running."""
    count = state.tally
    before, after = state.of[request, at.PREVIOUS], state.of[request, at.NEXT]
    if before >= 0:
        state.of[before, at.NEXT] = after
    else:
        count[at.FIRST] = after
    if after >= 0:
        state.of[after, at.PREVIOUS] = before
    else:
        count[at.LAST] = before
    state.status[request] = at.GONE
    count[at.RUNNING] -= 1


@compiled
def join_decodes(limits: Limits, trace: Trace, state: State, request: int) -> None:
    """Into the decode set, with its tokens of now."""
    count, held = state.tally, state.of[request, at.COMPUTED]
    state.status[request] = at.DECODING
    state.of[request, at.JOINED] = count[at.STEP]
    count[at.DECODES] += 1
    count[at.CONTEXT] += held
    state.phases[(held - count[at.STEP]) % limits.block] += 1
    push_end(trace, state, request)


@compiled
def leave_decodes(limits: Limits, state: State, request: int) -> None:
    """Out of the decode set; its tokens are then those of now."""
    count = state.tally
    passed = count[at.STEP] - state.of[request, at.JOINED]
    state.phases[(state.of[request, at.COMPUTED] - state.of[request, at.JOINED]) % limits.block] -= 1
    state.of[request, at.COMPUTED] += passed
    state.of[request, at.GENERATED] += passed
    count[at.DECODES] -= 1
    count[at.CONTEXT] -= state.of[request, at.COMPUTED]


@compiled_apart
def wait_a_step(limits: Limits, trace: Trace, state: State, request: int, start: float) -> None:
    """A decoding sequence that got no token in the step from `start` on, which is about to be counted."""
    count = state.tally
    note_wait(limits, state, request, start)
    state.phases[(state.of[request, at.COMPUTED] - state.of[request, at.JOINED]) % limits.block] -= 1
    state.of[request, at.JOINED] += 1
    state.phases[(state.of[request, at.COMPUTED] - state.of[request, at.JOINED]) % limits.block] += 1
    count[at.CONTEXT] -= 1
    push_end(trace, state, request)


@compiled
def note_wait(limits: Limits, state: State, request: int, start: float) -> None:
    """A sequence of the decode set gets no token in the step from `start` on, when it had its last one if it did not wait before."""
    if limits.keeps and state.when[request, at.LAST_TOKEN] < 0:
        state.when[request, at.LAST_TOKEN] = start
        state.tally[at.LATE] += 1


@compiled
def end_of(trace: Trace, state: State, request: int) -> int:
    """The step after which a decoding sequence has all its tokens."""
    return int(state.of[request, at.JOINED] + trace.output[request] - state.of[request, at.GENERATED])


@compiled
def push_end(trace: Trace, state: State, request: int) -> None:
    """Note when a decoding sequence ends; notes that came to nothing are cleared where room is short."""
    count = state.tally
    if count[at.ENDS] == len(state.ends):
        kept = 0
        for place in range(len(state.ends)):
            key = state.ends[place]
            if holds(trace, state, key):
                push(state.ends, kept, key)
                kept += 1
        count[at.ENDS] = kept
    push(state.ends, count[at.ENDS], (end_of(trace, state, request) << 32) | request)
    count[at.ENDS] += 1


@compiled
def holds(trace: Trace, state: State, key: int) -> bool:
    """Whether a note of an end still tells the truth."""
    request = key & 0xFFFFFFFF
    return bool(state.status[request] == at.DECODING and end_of(trace, state, request) == key >> 32)


@compiled
def next_end(trace: Trace, state: State) -> int:
    """The next step after which a decoding sequence ends; there must be one."""
    count = state.tally
    while not holds(trace, state, state.ends[0]):
        pop(state.ends, count[at.ENDS])
        count[at.ENDS] -= 1
    return int(state.ends[0] >> 32)


@compiled
def complete(limits: Limits, trace: Trace, state: State, request: int) -> None:
    """A request has its last token, or the last of this engine, which then keeps its blocks until they are fetched."""
    count = state.tally
    held = state.of[request, at.COMPUTED]
    if limits.caching:
        name_blocks(limits, trace, state, request, held)
    handed = limits.first_only > 0 and trace.output[request] > 1
    unlink(state, request)
    count[at.ANSWERED] += 1
    state.clock[at.ANSWERED_AT] = state.clock[at.NOW]
    if not handed:
        give_back(limits, trace, state, request, held)
        state.status[request] = at.COMPLETE
        state.when[request, at.COMPLETION] = state.clock[at.NOW]
        if len(state.engine) > 0:
            state.engine[request] = limits.number
        state.shared[at.COMPLETED] += 1
    if handed or limits.reports > 0:
        state.of[request, at.NEXT] = -1
        if count[at.OUTBOX] < 0:
            count[at.OUTBOX] = request
        else:
            state.of[count[at.OUTBOX_TAIL], at.NEXT] = request
        count[at.OUTBOX_TAIL] = request


@compiled
def wanted(limits: Limits, trace: Trace, request: int) -> int:
    """Tokens that this engine is to give a request."""
    return 1 if limits.first_only else int(trace.output[request])


@compiled_apart
def preempt(limits: Limits, trace: Trace, state: State, request: int) -> None:
    """Put a running request back in the queue; what it computed is lost or swapped, what it generated is not."""
    count = state.tally
    if state.status[request] == at.DECODING:
        leave_decodes(limits, state, request)
        if limits.keeps and state.when[request, at.LAST_TOKEN] >= 0:
            count[at.LATE] -= 1
    else:
        left = 0
        for place in range(count[at.PARTIALS]):
            state.lists[at.PARTLY, left] = state.lists[at.PARTLY, place]
            if state.lists[at.PARTLY, place] != request:
                left += 1
        count[at.PARTIALS] = left
    if limits.keeps and state.of[request, at.GENERATED] > 0 and state.when[request, at.LAST_TOKEN] < 0:
        state.when[request, at.LAST_TOKEN] = state.clock[at.NOW]
    held = state.of[request, at.COMPUTED]
    give_back(limits, trace, state, request, held + state.of[request, at.CHUNK])
    unlink(state, request)
    if limits.swaps:
        state.of[request, at.KEPT] = held
        count[at.SWAPPED] += (held + limits.block - 1) // limits.block
    state.of[request, at.COMPUTED] = 0
    state.of[request, at.PREEMPTIONS] += 1
    count[at.LOST] += 1
    count[at.PREEMPTED] += 1
    count[at.WAITING] += 1
    if limits.by_priority:
        queue_urgent(trace, state, request)
        return
    if count[at.HEAD] < 0:
        count[at.TAIL] = request
    state.of[request, at.NEXT] = count[at.HEAD]
    count[at.HEAD] = request


@compiled
def enqueue(limits: Limits, trace: Trace, state: State, request: int) -> None:
    """A request has come and waits."""
    count = state.tally
    count[at.WAITING] += 1
    if limits.by_priority:
        state.of[request, at.RANK] = count[at.RECEIVED]
        count[at.RECEIVED] += 1
        queue_urgent(trace, state, request)
        return
    state.of[request, at.NEXT] = -1
    if count[at.HEAD] < 0:
        count[at.HEAD] = request
    else:
        state.of[count[at.TAIL], at.NEXT] = request
    count[at.TAIL] = request


@compiled
def next_waiting(limits: Limits, state: State) -> int:
    """Who of those waiting is to start first."""
    return int(state.urgent_request[0] if limits.by_priority else state.tally[at.HEAD])


@compiled
def leave_queue(limits: Limits, state: State) -> None:
    """The first of those waiting starts."""
    count = state.tally
    if limits.by_priority:
        pop_beside(state.urgent, state.urgent_request, count[at.WAITING])
    else:
        count[at.HEAD] = state.of[count[at.HEAD], at.NEXT]
    count[at.WAITING] -= 1


@compiled
def queue_urgent(trace: Trace, state: State, request: int) -> None:
    """Put a request, which counts among those waiting already, in its place by urgency and order of arrival."""
    key = (urgency(trace, request) << 32) | int(state.of[request, at.RANK])
    push_beside(state.urgent, state.urgent_request, state.tally[at.WAITING] - 1, key, request)


@compiled
def urgency(trace: Trace, request: int) -> int:
    """Its priority as a number of 0 or more; the same for all where the trace states none."""
    return int(trace.priority[request]) + at.URGENCY if len(trace.priority) > 1 else at.URGENCY


@compiled
def note_gap(limits: Limits, state: State, request: int) -> None:
    """The time between a token of now and the one before it, where that is more than a step old."""
    if limits.keeps:
        state.gaps[state.shared[at.NOTED]] = state.clock[at.NOW] - state.when[request, at.LAST_TOKEN]
        state.shared[at.NOTED] += 1
        state.when[request, at.LAST_TOKEN] = state.clock[at.NOW] if limits.drafts > 0 else -1.0
