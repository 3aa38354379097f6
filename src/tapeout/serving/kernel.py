"""The fast loop of one engine: the same steps as `plain_engine`, taken together.

A step costs as much as what changes in it. Between two events (an arrival, an end, a block that is missing) steps are alike but for
their context, and each is one turn of a loop over two numbers; so times are those of the plain loop to the bit.
"""

from __future__ import annotations

import math

from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled, compiled_apart
from tapeout.serving.kernel_blocks import give_empty, take
from tapeout.serving.kernel_heap import pop
from tapeout.serving.kernel_lists import (
    complete,
    enqueue,
    join_decodes,
    leave_decodes,
    next_end,
    note_gap,
    note_wait,
    wait_a_step,
    wanted,
)  # fmt: skip
from tapeout.serving.kernel_schedule import schedule
from tapeout.serving.kernel_state import Floats, Limits, State, Tables, Trace, Whole, must_pause
from tapeout.serving.speculation import draw_at
from tapeout.serving.step_law import decode_base, decode_seconds, step_seconds


@compiled_apart
def advance(tables: Tables, limits: Limits, trace: Trace, state: State, until: float) -> None:
    """Go on to the end of the step that runs at `until`, or until there is nothing to do, something to report, or a pause is due."""
    count, clock = state.tally, state.clock
    while clock[at.NOW] < until and count[at.OUTBOX] < 0 and not must_pause(limits, state):
        state.shared[at.WORK] -= 1
        receive(limits, trace, state)
        if not has_work(count):
            ready = next_ready(count, state.when)
            if ready >= until:
                return
            clock[at.NOW] = ready
            continue
        schedule(limits, trace, state)
        if is_stalled(limits, state):
            continue
        alike = count[at.PARTIALS] == 0 and count[at.LOST] + count[at.SKIPPED] + count[at.LATE] + count[at.APART] == 0
        if limits.jumps and alike:
            _run_alike(tables, limits, trace, state, until)
        else:
            seconds = planned(tables, limits, trace, state)
            seconds *= tables.noise[(tables.offset + count[at.STEPS]) & (len(tables.noise) - 1)]
            carry_out(tables, limits, trace, state, seconds)


@compiled
def has_work(count: Whole) -> bool:
    """Whether an engine runs something, or has something waiting that may start."""
    return bool(count[at.RUNNING] > 0 or (count[at.WAITING] > 0 and count[at.STALLED] == 0))


@compiled
def is_stalled(limits: Limits, state: State) -> bool:
    """Whether nothing could be scheduled since blocks are on their way to another engine; it then has to wait for them."""
    count = state.tally
    if limits.first_only and count[at.RUNNING] == 0 and count[at.LOST] == 0:
        count[at.STALLED] = 1
        return True
    return False


@compiled
def next_ready(count: Whole, when: Floats) -> float:
    """When the next request is there; infinite where none is on its way."""
    request = count[at.INBOX]
    return float(when[request, at.READY]) if request >= 0 else math.inf


@compiled
def receive(limits: Limits, trace: Trace, state: State) -> None:
    """Queue the requests that are there by now."""
    count, now = state.tally, state.clock[at.NOW]
    while count[at.INBOX] >= 0 and state.when[count[at.INBOX], at.READY] <= now:
        request = int(count[at.INBOX])
        count[at.INBOX] = state.of[request, at.NEXT]
        count[at.STALLED] = 0
        enqueue(limits, trace, state, request)


@compiled
def _run_alike(tables: Tables, limits: Limits, trace: Trace, state: State, until: float) -> None:
    """Steps of the decode set alone, until one of them ends, a request arrives that could start, or blocks run out."""
    count, clock = state.tally, state.clock
    decodes, context, free = count[at.DECODES], count[at.CONTEXT], count[at.FREE]
    start = now = clock[at.NOW]
    busy, block_seconds = clock[at.BUSY], clock[at.BLOCK_SECONDS]
    most = 1 if limits.singly else next_end(trace, state) - count[at.STEP]
    stop = until
    if limits.by_priority or count[at.WAITING] == 0:
        stop = min(until, next_ready(count, state.when))
    base = decode_base(tables.steps, decodes)
    place = 0 if count[at.PLACE] == 0 else limits.block - count[at.PLACE]
    turn, last = tables.offset + count[at.STEPS], len(tables.noise) - 1
    first, steps = 0.0, 0
    while True:
        seconds = decode_seconds(tables.steps, base, decodes, context) * tables.noise[(turn + steps) & last]
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
    count[at.TOKENS] = count[at.SERVED] = count[at.GAPS] = decodes
    count[at.KEYS] = count[at.CONTEXT]
    _record(limits, state, start, first, steps)
    take(limits, state, count[at.FREE] - free)
    count[at.CONTEXT] = context
    _count_steps(limits, state, steps)
    _end(tables, limits, trace, state)


@compiled
def planned(tables: Tables, limits: Limits, trace: Trace, state: State) -> float:
    """Seconds of one step of whatever is scheduled; what its record holds is noted."""
    count = state.tally
    served, context = count[at.DECODES] - count[at.SKIPPED], count[at.CONTEXT]
    if count[at.APART] > 0:
        served = context = 0
    decodes = served
    drafts = given = prefills = prefill_tokens = prefill_context = pairs = 0
    if count[at.SKIPPED] > 0:
        node = int(count[at.FIRST])
        while node >= 0:
            if state.status[node] == at.DECODING and state.of[node, at.CHUNK] == 0:
                context -= state.of[node, at.COMPUTED] + count[at.STEP] - state.of[node, at.JOINED]
            node = int(state.of[node, at.NEXT])
    for place in range(count[at.PARTIALS]):
        request = state.lists[at.PARTLY, place]
        tokens, held = int(state.of[request, at.CHUNK]), int(state.of[request, at.COMPUTED])
        if tokens == 0:
            continue
        checking = state.status[request] == at.CHECKING
        if checking or held + tokens == trace.prompt[request] + state.of[request, at.GENERATED]:
            given += 1
        if tokens == 1 or checking:
            decodes += 1
            drafts += tokens - 1
            context += held
        else:
            prefills += 1
            prefill_tokens += tokens
            prefill_context += held
            pairs += tokens * held + tokens * (tokens + 1) // 2
    seconds = step_seconds(tables.steps, decodes, drafts, context, prefills, prefill_tokens, prefill_context, pairs)
    seconds += limits.swap * count[at.SWAPPED]
    if limits.drafts > 0:
        seconds += tables.drafts[given]
    count[at.TOKENS], count[at.SERVED], count[at.KEYS], count[at.GAPS] = decodes + drafts + prefill_tokens, decodes, context, served
    return float(seconds)


@compiled
def carry_out(tables: Tables, limits: Limits, trace: Trace, state: State, seconds: float) -> None:
    """One step of what is scheduled, which takes `seconds`."""
    count, clock = state.tally, state.clock
    blocks = limits.blocks - count[at.FREE]
    count[at.MOST_BLOCKS] = max(count[at.MOST_BLOCKS], blocks)
    start = clock[at.NOW]
    if limits.keeps and count[at.APART] == 0:
        count[at.GAPS] -= _late_no_more(limits, state, seconds)
    _record(limits, state, start, seconds, 1)
    clock[at.NOW] += seconds
    clock[at.BUSY] += seconds
    clock[at.BLOCK_SECONDS] += blocks * seconds
    if count[at.SKIPPED] > 0:
        node = int(count[at.FIRST])
        while node >= 0:
            if state.status[node] == at.DECODING and state.of[node, at.CHUNK] == 0:
                wait_a_step(limits, trace, state, node, start)
            node = int(state.of[node, at.NEXT])
    if count[at.APART] > 0:
        count[at.STEPS] += 1
        _all_wait(limits, state, start)
    else:
        count[at.CONTEXT] += count[at.DECODES]
        _count_steps(limits, state, 1)
    _end(tables, limits, trace, state)


@compiled_apart
def _all_wait(limits: Limits, state: State, start: float) -> None:
    """The whole decode set gets no token in the step from `start` on."""
    count = state.tally
    node = int(count[at.FIRST])
    while node >= 0 and limits.keeps and count[at.LATE] < count[at.DECODES]:
        if state.status[node] == at.DECODING:
            note_wait(limits, state, node, start)
        node = int(state.of[node, at.NEXT])


@compiled_apart
def _late_no_more(limits: Limits, state: State, seconds: float) -> int:
    """How many of the decode set have a token again after the step, which takes `seconds`, that had to wait for it before."""
    count, found = state.tally, 0
    if count[at.LATE] == 0:
        return 0
    node = int(count[at.FIRST])
    while node >= 0:
        served = count[at.SKIPPED] == 0 or state.of[node, at.CHUNK] > 0
        if state.status[node] == at.DECODING and state.when[node, at.LAST_TOKEN] >= 0 and served:
            state.gaps[state.shared[at.NOTED]] = state.clock[at.NOW] + seconds - state.when[node, at.LAST_TOKEN]
            state.when[node, at.LAST_TOKEN] = -1.0
            state.shared[at.NOTED] += 1
            found += 1
        node = int(state.of[node, at.NEXT])
    count[at.LATE] -= found
    return found


@compiled
def _count_steps(limits: Limits, state: State, steps: int) -> None:
    count = state.tally
    count[at.STEP] += steps
    count[at.STEPS] += steps
    count[at.PLACE] = (count[at.PLACE] + steps) % limits.block


@compiled
def _end(tables: Tables, limits: Limits, trace: Trace, state: State) -> None:
    """Give the tokens of the step to those who are up to date; whoever has all is complete, in order of admission."""
    count, ended = state.tally, 0
    count[at.ANSWERED_BEFORE] = count[at.ANSWERED]
    while count[at.ENDS] > 0 and state.ends[0] >> 32 <= count[at.STEP]:
        request = int(state.ends[0] & 0xFFFFFFFF)
        pop(state.ends, count[at.ENDS])
        count[at.ENDS] -= 1
        if (
            state.status[request] == at.DECODING
            and state.of[request, at.JOINED] + trace.output[request] - state.of[request, at.GENERATED] <= count[at.STEP]
        ):
            leave_decodes(limits, state, request)
            state.status[request] = at.GONE
            state.lists[at.ENDED, ended] = request
            ended += 1
    left = 0
    for place in range(count[at.PARTIALS]):
        request = int(state.lists[at.PARTLY, place])
        tokens = int(state.of[request, at.CHUNK])
        state.of[request, at.CHUNK] = 0
        if not _gets_tokens(tables, limits, trace, state, request, tokens):
            state.lists[at.PARTLY, left] = request
            left += 1
        elif state.of[request, at.GENERATED] < wanted(limits, trace, request):
            if limits.drafts > 0:
                state.status[request] = at.CHECKING
                state.lists[at.PARTLY, left] = request
                left += 1
            else:
                join_decodes(limits, trace, state, request)
        elif limits.drafts > 0:
            complete(limits, trace, state, request)
        else:
            state.lists[at.ENDED, ended] = request
            ended += 1
    count[at.PARTIALS] = left
    if limits.caching:
        _sort_by_stamp(state, ended)
    for place in range(ended):
        complete(limits, trace, state, int(state.lists[at.ENDED, place]))


@compiled
def _gets_tokens(tables: Tables, limits: Limits, trace: Trace, state: State, request: int, tokens: int) -> bool:
    """Whether a step in which `tokens` of a request were computed gives it one or more, which it then has."""
    if state.status[request] == at.CHECKING:
        if tokens == 0:
            return False
        draw = tables.accepted[draw_at(request, int(state.of[request, at.GENERATED]), len(tables.accepted))]
        right, held = 1 + min(int(draw), tokens - 1), int(state.of[request, at.COMPUTED])
        more = (held + tokens + limits.block - 1) // limits.block - (held + right + limits.block - 1) // limits.block
        give_empty(state, more)
        state.of[request, at.COMPUTED] += right
        state.of[request, at.GENERATED] += right
        note_gap(limits, state, request)
        return True
    state.of[request, at.COMPUTED] += tokens
    if state.of[request, at.COMPUTED] < trace.prompt[request] + state.of[request, at.GENERATED]:
        return False
    state.of[request, at.GENERATED] += 1
    if state.of[request, at.GENERATED] > 1:
        note_gap(limits, state, request)
        return True
    state.when[request, at.FIRST_TOKEN] = state.clock[at.NOW]
    if limits.drafts > 0 and limits.keeps:
        state.when[request, at.LAST_TOKEN] = state.clock[at.NOW]
    return True


@compiled
def _sort_by_stamp(state: State, size: int) -> None:
    """Those who end together come free in the order in which they started."""
    for last in range(1, size):
        request, place = state.lists[at.ENDED, last], last
        while place > 0 and state.of[state.lists[at.ENDED, place - 1], at.STARTED] > state.of[request, at.STARTED]:
            state.lists[at.ENDED, place] = state.lists[at.ENDED, place - 1]
            place -= 1
        state.lists[at.ENDED, place] = request


@compiled
def _record(limits: Limits, state: State, start: float, seconds: float, steps: int) -> None:
    if not limits.keeps:
        return
    count = state.tally
    row = state.shared[at.RECORDS]
    state.times[row, 0], state.times[row, 1] = start, seconds
    counts = state.counts[row]
    counts[0], counts[1], counts[2], counts[3] = steps, count[at.TOKENS], count[at.SERVED], count[at.KEYS]
    counts[4], counts[5], counts[6] = count[at.RUNNING], count[at.WAITING], limits.blocks - count[at.FREE]
    counts[7], counts[8] = count[at.LOST], count[at.GAPS]
    if len(counts) > at.COLUMNS:
        counts[at.COLUMNS] = limits.number
    state.shared[at.RECORDS] += 1
