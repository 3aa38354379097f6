"""Blocks of the fast loop. Without names free blocks are a number; with them, those that are free stand in a list by age.

A block with a name is its name. Free blocks without one are alike, so only how many stand before each named one is kept.
"""

from __future__ import annotations

from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled
from tapeout.serving.kernel_state import Limits, State, Trace


@compiled
def take(limits: Limits, state: State, blocks: int) -> None:
    """Use `blocks` free blocks, those free for longest; named ones among them are found no more."""
    count = state.tally
    count[at.FREE] -= blocks
    if not limits.caching:
        return
    left = blocks
    while left > 0:
        oldest = count[at.OLDEST]
        if oldest < 0:
            count[at.NAMELESS] -= left
            return
        here = state.before[oldest]
        if here >= left:
            state.before[oldest] = here - left
            return
        left -= here + 1
        state.holders[oldest] = at.ABSENT
        count[at.OLDEST] = state.younger[oldest]
        if count[at.OLDEST] < 0:
            count[at.YOUNGEST] = -1
        else:
            state.older[count[at.OLDEST]] = -1


@compiled
def give(state: State, blocks: int) -> None:
    """`blocks` held blocks without a name come free."""
    state.tally[at.NAMELESS] += blocks
    state.tally[at.FREE] += blocks


@compiled
def hold(state: State, name: int) -> None:
    """One more holder of a block that is in the cache."""
    count = state.tally
    if state.holders[name] == 0:
        older, younger, here = state.older[name], state.younger[name], state.before[name]
        if older >= 0:
            state.younger[older] = younger
        else:
            count[at.OLDEST] = younger
        if younger >= 0:
            state.older[younger] = older
            state.before[younger] += here
        else:
            count[at.YOUNGEST] = older
            count[at.NAMELESS] += here
        count[at.FREE] -= 1
    state.holders[name] += 1


@compiled
def release(state: State, name: int) -> None:
    """One holder fewer; the last one leaves the block free, the youngest of those with a name."""
    count = state.tally
    state.holders[name] -= 1
    if state.holders[name] == 0:
        youngest = count[at.YOUNGEST]
        state.before[name] = count[at.NAMELESS]
        count[at.NAMELESS] = 0
        state.older[name], state.younger[name] = youngest, -1
        if youngest >= 0:
            state.younger[youngest] = name
        else:
            count[at.OLDEST] = name
        count[at.YOUNGEST] = name
        count[at.FREE] += 1


@compiled
def name_blocks(limits: Limits, trace: Trace, state: State, request: int, tokens: int) -> None:
    """Give the full blocks of the first `tokens` tokens of `request` their names; where one is there already, share it."""
    first = trace.start[request]
    full = min(trace.start[request + 1] - first, tokens // limits.block)
    for place in range(state.named[request], full):
        name = trace.name[first + place]
        if state.holders[name] == at.ABSENT:
            state.holders[name] = 1
        else:
            hold(state, name)
            give(state, 1)
        state.named[request] = place + 1


@compiled
def give_back(limits: Limits, trace: Trace, state: State, request: int, tokens: int) -> None:
    """Free the blocks of `request`, which hold `tokens` tokens, from the last to the first."""
    blocks = (tokens + limits.block - 1) // limits.block
    if not limits.caching:
        state.tally[at.FREE] += blocks
        return
    named, first = state.named[request], trace.start[request]
    give(state, blocks - named)
    for place in range(named - 1, -1, -1):
        release(state, trace.name[first + place])
    state.named[request] = 0
