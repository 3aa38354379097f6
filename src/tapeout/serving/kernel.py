"""The fast loop: the same steps as `scheduler`, taken together.

A step costs as much as what changes in it. Between two events (an arrival, an end, a block that is missing) steps are alike but for
their context, and each is one turn of a loop over two numbers; so times are those of the plain loop to the bit.
"""

from __future__ import annotations

import math

from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled, compiled_apart
from tapeout.serving.kernel_blocks import take
from tapeout.serving.kernel_heap import pop
from tapeout.serving.kernel_lists import complete, join_decodes, leave_decodes, next_end, note_gap, note_wait, queue_urgent, wait_a_step
from tapeout.serving.kernel_schedule import schedule, waiting
from tapeout.serving.kernel_state import Limits, State, Trace
from tapeout.serving.step_law import StepTables, decode_base, decode_seconds, step_seconds


@compiled
def advance(tables: StepTables, limits: Limits, trace: Trace, state: State, until: float) -> None:
    """Go on to the end of the step that runs at `until`, or until all requests are complete, or until there is no room for records."""
    count, clock = state.tally, state.clock
    while count[at.COMPLETED] < len(trace.prompt):
        if clock[at.NOW] >= until or (limits.keeps and _full(limits, state)):
            return
        _receive(limits, trace, state)
        if count[at.RUNNING] == 0 and waiting(state) == 0:
            ready = _next_ready(limits, state)
            if ready >= until:
                return
            clock[at.NOW] = ready
            continue
        _step(tables, limits, trace, state, until)


@compiled
def _full(limits: Limits, state: State) -> bool:
    """Whether a step may have more to note than there is room for."""
    count = state.tally
    return bool(count[at.RECORDS] == len(state.times) or count[at.GAPS] + limits.sequences > len(state.gaps))


@compiled
def _next_ready(limits: Limits, state: State) -> float:
    """When the next request is there; infinite where none is on its way."""
    count, found = state.tally, math.inf
    if count[at.INITIAL] < limits.users:
        found = state.arrival[count[at.INITIAL]]
    if count[at.SENT] < count[at.UNSENT]:
        found = min(found, state.arrival[count[at.SENT]])
    return float(found + limits.request)


@compiled
def _receive(limits: Limits, trace: Trace, state: State) -> None:
    """Queue the requests that are there by now."""
    count, now = state.tally, state.clock[at.NOW]
    while _next_ready(limits, state) <= now:
        later = count[at.INITIAL] >= limits.users or (
            count[at.SENT] < count[at.UNSENT] and state.arrival[count[at.SENT]] < state.arrival[count[at.INITIAL]]
        )
        if later:
            request = count[at.SENT]
            count[at.SENT] += 1
        else:
            request = count[at.INITIAL]
            count[at.INITIAL] += 1
        state.queue[count[at.QUEUE_END]] = request
        count[at.QUEUE_END] += 1
        if limits.by_priority:
            # The queue is then the order of arrival alone.
            count[at.QUEUE_START] = count[at.QUEUE_END]
            state.rank[request] = count[at.QUEUE_END] - 1
            queue_urgent(trace, state, request)


@compiled
def _step(tables: StepTables, limits: Limits, trace: Trace, state: State, until: float) -> None:
    count = state.tally
    schedule(limits, trace, state)
    if limits.jumps and count[at.PARTIALS] == 0 and count[at.LOST] + count[at.SKIPPED] + count[at.LATE] == 0:
        _run_alike(tables, limits, trace, state, until)
    else:
        _run_one(tables, limits, trace, state)


@compiled
def _run_alike(tables: StepTables, limits: Limits, trace: Trace, state: State, until: float) -> None:
    """Steps of the decode set alone, until one of them ends, a request arrives that could start, or blocks run out."""
    count, clock = state.tally, state.clock
    decodes, context, free = count[at.DECODES], count[at.CONTEXT], count[at.FREE]
    start = now = clock[at.NOW]
    busy, block_seconds = clock[at.BUSY], clock[at.BLOCK_SECONDS]
    most = next_end(trace, state) - count[at.STEP]
    stop = until
    if limits.by_priority or waiting(state) == 0:
        stop = min(until, _next_ready(limits, state))
    base = decode_base(tables, decodes)
    place = 0 if count[at.PLACE] == 0 else limits.block - count[at.PLACE]
    first, steps = 0.0, 0
    while True:
        seconds = decode_seconds(tables, base, decodes, context)
        if steps == 0:
            first = seconds
        now += seconds
        busy += seconds
        block_seconds += (limits.blocks - free) * seconds
        steps += 1
        context += decodes
        if steps == most or now >= stop:
            break
        place = limits.block - 1 if place == 0 else place - 1
        if state.phases[place] > free:
            break
        free -= state.phases[place]
    count[at.MOST_BLOCKS] = max(count[at.MOST_BLOCKS], limits.blocks - free)
    clock[at.NOW], clock[at.BUSY], clock[at.BLOCK_SECONDS] = now, busy, block_seconds
    _record(limits, state, start, first, steps, decodes, decodes, count[at.CONTEXT], decodes)
    take(limits, state, count[at.FREE] - free)
    count[at.CONTEXT] = context
    _count_steps(limits, state, steps)
    _end(limits, trace, state)


@compiled
def _run_one(tables: StepTables, limits: Limits, trace: Trace, state: State) -> None:
    """One step of whatever is scheduled."""
    count, clock = state.tally, state.clock
    served, context = count[at.DECODES] - count[at.SKIPPED], count[at.CONTEXT]
    if count[at.APART] > 0:
        served = context = 0
    decodes = served
    prefills = prefill_tokens = prefill_context = pairs = 0
    if count[at.SKIPPED] > 0:
        node = int(count[at.FIRST])
        while node >= 0:
            if state.status[node] == at.DECODING and state.chunk[node] == 0:
                context -= state.computed[node] + count[at.STEP] - state.join[node]
            node = int(state.following[node])
    for place in range(count[at.PARTIALS]):
        request = state.partials[place]
        tokens, held = int(state.chunk[request]), int(state.computed[request])
        if tokens == 1:
            decodes += 1
            context += held
        elif tokens > 1:
            prefills += 1
            prefill_tokens += tokens
            prefill_context += held
            pairs += tokens * held + tokens * (tokens + 1) // 2
    seconds = step_seconds(tables, decodes, 0, context, prefills, prefill_tokens, prefill_context, pairs)
    seconds += limits.swap * count[at.SWAPPED]
    blocks = limits.blocks - count[at.FREE]
    count[at.MOST_BLOCKS] = max(count[at.MOST_BLOCKS], blocks)
    gaps = served
    if limits.keeps and count[at.APART] == 0:
        gaps -= _late_no_more(limits, state, seconds)
    _record(limits, state, clock[at.NOW], seconds, 1, decodes + prefill_tokens, decodes, context, gaps)
    start = clock[at.NOW]
    clock[at.NOW] += seconds
    clock[at.BUSY] += seconds
    clock[at.BLOCK_SECONDS] += blocks * seconds
    if count[at.SKIPPED] > 0:
        node = int(count[at.FIRST])
        while node >= 0:
            if state.status[node] == at.DECODING and state.chunk[node] == 0:
                wait_a_step(limits, trace, state, node, start)
            node = int(state.following[node])
    if count[at.APART] > 0:
        count[at.STEPS] += 1
        _all_wait(limits, state, start)
    else:
        count[at.CONTEXT] += count[at.DECODES]
        _count_steps(limits, state, 1)
    _end(limits, trace, state)


@compiled_apart
def _all_wait(limits: Limits, state: State, start: float) -> None:
    """The whole decode set gets no token in the step from `start` on."""
    count = state.tally
    node = int(count[at.FIRST])
    while node >= 0 and limits.keeps and count[at.LATE] < count[at.DECODES]:
        if state.status[node] == at.DECODING:
            note_wait(limits, state, node, start)
        node = int(state.following[node])


@compiled_apart
def _late_no_more(limits: Limits, state: State, seconds: float) -> int:
    """How many of the decode set have a token again after the step, which takes `seconds`, that had to wait for it before."""
    count, found = state.tally, 0
    if count[at.LATE] == 0:
        return 0
    node = int(count[at.FIRST])
    while node >= 0:
        served = count[at.SKIPPED] == 0 or state.chunk[node] > 0
        if state.status[node] == at.DECODING and state.since[node] >= 0 and served:
            state.gaps[count[at.GAPS]] = state.clock[at.NOW] + seconds - state.since[node]
            state.since[node] = -1.0
            count[at.GAPS] += 1
            found += 1
        node = int(state.following[node])
    count[at.LATE] -= found
    return found


@compiled
def _count_steps(limits: Limits, state: State, steps: int) -> None:
    count = state.tally
    count[at.STEP] += steps
    count[at.STEPS] += steps
    count[at.PLACE] = (count[at.PLACE] + steps) % limits.block


@compiled
def _end(limits: Limits, trace: Trace, state: State) -> None:
    """Give the tokens of the step to those who are up to date; whoever has all is complete, in order of admission."""
    count, ended = state.tally, 0
    while count[at.ENDS] > 0 and state.ends[0] >> 32 <= count[at.STEP]:
        request = int(state.ends[0] & 0xFFFFFFFF)
        pop(state.ends, count[at.ENDS])
        count[at.ENDS] -= 1
        if (
            state.status[request] == at.DECODING
            and state.join[request] + trace.output[request] - state.generated[request] <= count[at.STEP]
        ):
            leave_decodes(limits, state, request)
            state.status[request] = at.GONE
            state.ended[ended] = request
            ended += 1
    left = 0
    for place in range(count[at.PARTIALS]):
        request = int(state.partials[place])
        state.computed[request] += state.chunk[request]
        state.chunk[request] = 0
        if state.computed[request] < trace.prompt[request] + state.generated[request]:
            state.partials[left] = request
            left += 1
            continue
        state.generated[request] += 1
        if state.generated[request] == 1:
            state.first[request] = state.clock[at.NOW]
        else:
            note_gap(limits, state, request)
        if state.generated[request] == trace.output[request]:
            state.ended[ended] = request
            ended += 1
        else:
            join_decodes(limits, trace, state, request)
    count[at.PARTIALS] = left
    if limits.caching:
        _sort_by_stamp(state, ended)
    for place in range(ended):
        complete(limits, trace, state, int(state.ended[place]))


@compiled
def _sort_by_stamp(state: State, size: int) -> None:
    """Those who end together come free in the order in which they started."""
    for last in range(1, size):
        request, place = state.ended[last], last
        while place > 0 and state.stamp[state.ended[place - 1]] > state.stamp[request]:
            state.ended[place] = state.ended[place - 1]
            place -= 1
        state.ended[place] = request


@compiled
def _record(
    limits: Limits, state: State, start: float, seconds: float, steps: int, tokens: int, decodes: int, context: int, gaps: int
) -> None:
    if not limits.keeps:
        return
    count = state.tally
    row = count[at.RECORDS]
    state.times[row, 0], state.times[row, 1] = start, seconds
    counts, blocks = state.counts, limits.blocks - count[at.FREE]
    counts[row, 0], counts[row, 1], counts[row, 2], counts[row, 3] = steps, tokens, decodes, context
    counts[row, 4], counts[row, 5], counts[row, 6], counts[row, 7] = count[at.RUNNING], waiting(state), blocks, count[at.LOST]
    counts[row, 8] = gaps
    count[at.RECORDS] += 1
