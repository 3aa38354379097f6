"""Blocks of the fast loop. Without names free blocks are a number; with them, those free that have one stand in a list by age.

A block with a name is its name. Free blocks without one are alike: those that are not full are only counted, and used first; of the full
ones, which an engine would name where the trace does not, it is kept how many stand before each one with a name.
"""

from __future__ import annotations

from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled
from tapeout.serving.kernel_state import Limits, State, Trace


@compiled
def take(limits: Limits, state: State, blocks: int) -> None:
    """Use `blocks` free blocks, first those that are not full, then those free for longest; what has a name is found no more."""
    count = state.tally
    count[at.FREE] -= blocks
    if not limits.caching:
        return
    empty = min(blocks, count[at.EMPTY])
    count[at.EMPTY] -= empty
    left = blocks - empty
    while left > 0:
        oldest = count[at.OLDEST]
        if oldest < 0:
            count[at.NAMELESS] -= left
            return
        here = state.names[oldest, at.BEFORE]
        if here >= left:
            state.names[oldest, at.BEFORE] = here - left
            return
        left -= here + 1
        state.names[oldest, at.HOLDERS] = at.ABSENT
        count[at.OLDEST] = state.names[oldest, at.YOUNGER]
        if count[at.OLDEST] < 0:
            count[at.YOUNGEST] = -1
        else:
            state.names[count[at.OLDEST], at.OLDER] = -1


@compiled
def give(state: State, blocks: int) -> None:
    """`blocks` held full blocks without a name come free."""
    state.tally[at.NAMELESS] += blocks
    state.tally[at.FREE] += blocks


@compiled
def give_empty(state: State, blocks: int) -> None:
    """`blocks` held blocks that are not full come free."""
    state.tally[at.EMPTY] += blocks
    state.tally[at.FREE] += blocks


@compiled
def hold(state: State, name: int) -> None:
    """One more holder of a block that is in the cache."""
    count = state.tally
    if state.names[name, at.HOLDERS] == 0:
        older, younger, here = state.names[name, at.OLDER], state.names[name, at.YOUNGER], state.names[name, at.BEFORE]
        if older >= 0:
            state.names[older, at.YOUNGER] = younger
        else:
            count[at.OLDEST] = younger
        if younger >= 0:
            state.names[younger, at.OLDER] = older
            state.names[younger, at.BEFORE] += here
        else:
            count[at.YOUNGEST] = older
            count[at.NAMELESS] += here
        count[at.FREE] -= 1
    state.names[name, at.HOLDERS] += 1


@compiled
def release(state: State, name: int) -> None:
    """One holder fewer; the last one leaves the block free, the youngest of those with a name."""
    count = state.tally
    state.names[name, at.HOLDERS] -= 1
    if state.names[name, at.HOLDERS] == 0:
        youngest = count[at.YOUNGEST]
        state.names[name, at.BEFORE] = count[at.NAMELESS]
        count[at.NAMELESS] = 0
        state.names[name, at.OLDER], state.names[name, at.YOUNGER] = youngest, -1
        if youngest >= 0:
            state.names[youngest, at.YOUNGER] = name
        else:
            count[at.OLDEST] = name
        count[at.YOUNGEST] = name
        count[at.FREE] += 1


@compiled
def name_blocks(limits: Limits, trace: Trace, state: State, request: int, tokens: int) -> None:
    """Give the full blocks of the first `tokens` tokens of `request` their names; where one is there already, share it."""
    first = trace.start[request]
    full = min(trace.start[request + 1] - first, tokens // limits.block)
    for place in range(state.of[request, at.NAMED], full):
        name = trace.name[first + place]
        if state.names[name, at.HOLDERS] == at.ABSENT:
            state.names[name, at.HOLDERS] = 1
        else:
            hold(state, name)
            give(state, 1)
        state.of[request, at.NAMED] = place + 1


@compiled
def give_back(limits: Limits, trace: Trace, state: State, request: int, tokens: int) -> None:
    """Free the blocks of `request`, which hold `tokens` tokens, from the last to the first."""
    blocks = (tokens + limits.block - 1) // limits.block
    if not limits.caching:
        state.tally[at.FREE] += blocks
        return
    named, first = state.of[request, at.NAMED], trace.start[request]
    full = max(state.of[request, at.COMPUTED] // limits.block - named, 0)
    give(state, full)
    give_empty(state, blocks - named - full)
    for place in range(named - 1, -1, -1):
        release(state, trace.name[first + place])
    state.of[request, at.NAMED] = 0
