"""Scheduling in the fast loop: everybody at once where everything fits, else one by one as the plain loop does; then who waits."""

from __future__ import annotations

from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled, compiled_apart
from tapeout.serving.kernel_blocks import hold, name_blocks, take
from tapeout.serving.kernel_lists import append, leave_queue, next_waiting, preempt, tokens_held, urgency
from tapeout.serving.kernel_state import Limits, State, Trace


@compiled
def schedule(limits: Limits, trace: Trace, state: State) -> None:
    """Fill a step: running requests before waiting ones, and where the policy says so, prompts of either before the decode set."""
    count = state.tally
    count[at.SKIPPED] = count[at.SWAPPED] = count[at.LOST] = count[at.APART] = 0
    if limits.drafts > 0 or not schedule_together(limits, trace, state):
        schedule_one_by_one(limits, trace, state, at.PARTIAL if limits.prompts_first else at.ANYWHERE)
    if count[at.LOST] == 0:
        admit(limits, trace, state)
    if not limits.prompts_first:
        return
    for place in range(count[at.PARTIALS]):
        if state.of[state.lists[at.PARTLY, place], at.CHUNK] > 0:
            count[at.APART] = 1
    if limits.drafts > 0:
        if count[at.APART] == 0:
            schedule_one_by_one(limits, trace, state, at.CHECKING)
        count[at.APART] = 0
    elif count[at.APART] == 0:
        decodes_fit = count[at.LOST] == 0 and count[at.DECODES] <= limits.budget and _decode_blocks(limits, state) <= count[at.FREE]
        if decodes_fit:
            take(limits, state, _decode_blocks(limits, state))
        else:
            schedule_one_by_one(limits, trace, state, at.DECODING)


@compiled
def _decode_blocks(limits: Limits, state: State) -> int:
    """Blocks that a token for each of the decode set takes."""
    place = state.tally[at.PLACE]
    return int(state.phases[0 if place == 0 else limits.block - place])


@compiled
def schedule_together(limits: Limits, trace: Trace, state: State) -> bool:
    """Give everybody whose turn it is what is asked for, if tokens and blocks suffice; False, and nothing done, where they do not."""
    count = state.tally
    left, blocks = limits.budget, 0
    if not limits.prompts_first:
        left -= count[at.DECODES]
        blocks = _decode_blocks(limits, state)
    if left < 0:
        return False
    for place in range(count[at.PARTIALS]):
        request = int(state.lists[at.PARTLY, place])
        held = state.of[request, at.COMPUTED]
        asked = min(trace.prompt[request] + state.of[request, at.GENERATED] - held, limits.chunk)
        got = min(asked, left)
        if got < asked and request != count[at.LAST] and not limits.prompts_first:
            return False
        state.of[request, at.CHUNK] = got
        left -= got
        blocks += (held + got + limits.block - 1) // limits.block - (held + limits.block - 1) // limits.block
    if blocks > count[at.FREE]:
        return False
    # With prompts to name, the order of taking blocks matters once named ones have to go.
    oldest = count[at.OLDEST]
    if limits.caching and count[at.PARTIALS] > 0 and oldest >= 0 and blocks > count[at.EMPTY] + state.names[oldest, at.BEFORE]:
        return False
    take(limits, state, blocks)
    count[at.BUDGET] = left
    if limits.caching:
        for place in range(count[at.PARTIALS]):
            request = int(state.lists[at.PARTLY, place])
            held = state.of[request, at.COMPUTED] + state.of[request, at.CHUNK]
            name_blocks(limits, trace, state, request, min(trace.prompt[request], held))
    return True


@compiled_apart
def schedule_one_by_one(limits: Limits, trace: Trace, state: State, whose: int) -> None:
    """Give each running request that is where `whose` says, in order, what it still has to compute; preempt where blocks run out."""
    count = state.tally
    node = int(count[at.FIRST])
    while node >= 0:
        state.of[node, at.CHUNK] = 0
        node = int(state.of[node, at.NEXT])
    left = limits.budget
    node = int(count[at.FIRST])
    while node >= 0 and left > 0:
        if whose != at.ANYWHERE and state.status[node] != whose:
            node = int(state.of[node, at.NEXT])
            continue
        held = tokens_held(state, node)
        asked = 1
        if state.status[node] == at.PARTIAL:
            asked = trace.prompt[node] + state.of[node, at.GENERATED] - held
        elif state.status[node] == at.CHECKING:
            asked = 1 + min(limits.drafts, trace.output[node] - state.of[node, at.GENERATED] - 1)
        tokens = min(asked, min(limits.chunk, left))
        blocks = (held + tokens + limits.block - 1) // limits.block - (held + limits.block - 1) // limits.block
        gone = False
        while blocks > count[at.FREE] and not gone:
            victim = _least_urgent(trace, state) if limits.by_priority else int(count[at.LAST])
            left += state.of[victim, at.CHUNK]
            preempt(limits, trace, state, victim)
            state.of[victim, at.CHUNK] = 0
            gone = victim == node
        if gone:
            break
        take(limits, state, blocks)
        state.of[node, at.CHUNK] = tokens
        left -= tokens
        if limits.caching:
            name_blocks(limits, trace, state, node, min(trace.prompt[node], held + tokens))
        node = int(state.of[node, at.NEXT])
    count[at.BUDGET] = left
    count[at.SKIPPED] = 0
    if whose == at.PARTIAL or limits.drafts > 0:
        return
    node = int(count[at.FIRST])
    while node >= 0:
        if state.status[node] == at.DECODING and state.of[node, at.CHUNK] == 0:
            count[at.SKIPPED] += 1
        node = int(state.of[node, at.NEXT])


@compiled_apart
def _least_urgent(trace: Trace, state: State) -> int:
    found = int(state.tally[at.FIRST])
    node = int(state.of[found, at.NEXT])
    while node >= 0:
        ours, best = urgency(trace, node), urgency(trace, found)
        if ours > best or (ours == best and state.of[node, at.RANK] > state.of[found, at.RANK]):
            found = node
        node = int(state.of[node, at.NEXT])
    return found


@compiled
def admit(limits: Limits, trace: Trace, state: State) -> None:
    """Start waiting requests, in order, while tokens, places and blocks last.

    Who finds no room finds none before an end or an arrival: what others take meanwhile, and the blocks with names that go for it, need
    no fewer blocks than before.
    """
    count = state.tally
    while count[at.WAITING] > 0 and count[at.BUDGET] > 0 and count[at.RUNNING] < limits.sequences:
        request = next_waiting(limits, state)
        target = trace.prompt[request] + state.of[request, at.GENERATED]
        named, unheld, start = 0, 0, 0
        if limits.caching:
            # The last token is computed anew even where all of its block is there, for what follows it.
            most = min(trace.start[request + 1] - trace.start[request], (target - 1) // limits.block)
            while named < most:
                holders = state.names[trace.name[trace.start[request] + named], at.HOLDERS]
                if holders == at.ABSENT:
                    break
                unheld += holders == 0
                named += 1
            start = named * limits.block
        kept = state.of[request, at.KEPT] if limits.swaps or limits.takes_over else 0
        if kept > 0:
            start = kept
        tokens = min(target - start, min(limits.chunk, count[at.BUDGET]))
        blocks = (start + tokens + limits.block - 1) // limits.block - named
        needed = blocks if limits.by_chunk else (target + limits.block - 1) // limits.block - named
        if needed + unheld > count[at.FREE]:
            return
        leave_queue(limits, state)
        for place in range(named):
            hold(state, trace.name[trace.start[request] + place])
        take(limits, state, blocks)
        if kept > 0:
            if state.status[request] != at.BROUGHT:
                count[at.SWAPPED] += (kept + limits.block - 1) // limits.block
            state.of[request, at.KEPT] = 0
        append(limits, state, request)
        state.of[request, at.COMPUTED] = start
        state.of[request, at.CHUNK] = tokens
        count[at.BUDGET] -= tokens
        first = state.when[request, at.SCHEDULED] < 0
        if first:
            state.when[request, at.SCHEDULED] = state.clock[at.NOW]
        if limits.caching:
            state.of[request, at.NAMED] = named
            if first:
                state.of[request, at.FOUND] = start
            name_blocks(limits, trace, state, request, min(trace.prompt[request], start + tokens))
