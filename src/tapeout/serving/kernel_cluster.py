"""The fast loop of a cluster: events in order of time, and between them every replica on its own.

A replica that makes events itself (it hands requests over, or its completions send new ones) goes on only up to where another one
might meet it. The others go on when somebody asks how they stand, or at the end.
"""

from __future__ import annotations

import math

import numpy as np

from tapeout.serving import kernel_fleet as fl
from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled, compiled_apart, compiled_openly
from tapeout.serving.kernel import advance
from tapeout.serving.kernel_blocks import give_back
from tapeout.serving.kernel_fleet import Fleet, end_of, is_short, limits_of, look_again, pop_event, push_event, set_clocks, tables_of
from tapeout.serving.kernel_ranks import step_together
from tapeout.serving.kernel_replicas import come_up, fail, scale
from tapeout.serving.kernel_routing import class_of, route
from tapeout.serving.kernel_state import State, Trace, of_engine


@compiled_openly
def run(fleet: Fleet, trace: Trace, states: State) -> int:
    """Go on until all requests are complete, or a pause is due; says which."""
    shared = states.shared
    while shared[at.COMPLETED] < len(trace.prompt):
        if is_short(fleet, states):
            return fl.PAUSED
        shared[at.WORK] -= 1
        until = _next_time(fleet, states)
        kind, item = _next_event(fleet, states, until)
        maker, meeting = _first_maker(fleet, until)
        asked = _asked(fleet, trace, kind, item)
        first, last = 0, len(fleet.replicas)
        if maker >= 0:
            until, asked, first, last = meeting, EVERYBODY, maker, maker + 1
        elif asked == NOBODY:
            last = 0
        # All that is compiled into this function is optimised once more; so it calls engines itself, at one place.
        stand = True
        for replica in range(first, last):
            mine = asked == EVERYBODY or fleet.pools[fleet.replicas[replica, fl.POOL], fl.CLASS] == asked
            if stand and mine and fleet.moments[replica, fl.ACTION] < until:
                engine = fleet.replicas[replica, fl.ENGINE]
                if fleet.replicas[replica, fl.RANKS] == 1:
                    advance(tables_of(fleet, engine), limits_of(fleet, engine), trace, of_engine(states, engine), until)
                else:
                    step_together(fleet, trace, states, replica, until)
                look_again(fleet, states, replica)
                stand = fleet.moments[replica, fl.ACTION] >= until
        if maker >= 0:
            _report(fleet, trace, states, maker)
        elif stand and shared[at.COMPLETED] < len(trace.prompt):
            if kind == fl.NOTHING:
                return fl.STUCK
            _happen(fleet, trace, states, kind, item, until)
    return fl.DONE


@compiled
def _next_time(fleet: Fleet, states: State) -> float:
    """When something happens next; infinite where nothing will."""
    found = fleet.event_time[0] if fleet.tally[fl.EVENTS] > 0 else math.inf
    if fleet.tally[fl.ARRIVED] < fleet.users:
        found = min(found, states.arrival[fleet.tally[fl.ARRIVED]])
    return float(found)


@compiled
def _first_maker(fleet: Fleet, time: float) -> tuple[int, float]:
    """The replica that makes events and has to go on first, if before `time`, else -1; and how far it may."""
    if fleet.makers == 0:
        return -1, time
    found, first, second = -1, math.inf, math.inf
    for replica in range(len(fleet.replicas)):
        if fleet.replicas[replica, fl.MAKES]:
            action = fleet.moments[replica, fl.ACTION]
            if action < first:
                found, first, second = replica, action, first
            else:
                second = min(second, action)
    if first >= time:
        return -1, time
    # Of two at one time the first takes a step.
    return found, min(time, second if second > first else float(np.nextafter(second, math.inf)))


@compiled_apart
def _report(fleet: Fleet, trace: Trace, states: State, replica: int) -> None:
    """What the last step of a replica causes: requests handed over, and the next of users who have their answer."""
    first_only = fleet.limits[fleet.replicas[replica, fl.POOL], fl.FIRST_ONLY]
    for engine in range(fleet.replicas[replica, fl.ENGINE], end_of(fleet, replica)):
        count, now = states.tally[engine], states.clock[engine, at.NOW]
        request = int(count[at.OUTBOX])
        count[at.OUTBOX] = -1
        while request >= 0:
            after = int(states.of[request, at.NEXT])
            if first_only and trace.output[request] > 1:
                begin = max(now, states.clock[engine, at.LINK_FREE])
                end = begin + trace.prompt[request] * fleet.link_token
                states.clock[engine, at.LINK_FREE] = end
                states.engine[request] = engine
                states.of[request, at.JOINED] = fleet.replicas[replica, fl.EPOCH]
                push_event(fleet, end + fleet.link_latency, fl.DELIVERED, request)
            elif fleet.tally[fl.UNSENT] < len(trace.prompt):
                sent = int(fleet.tally[fl.UNSENT])
                fleet.tally[fl.UNSENT] += 1
                states.arrival[sent] = now
                push_event(fleet, now, fl.ARRIVES, sent)
            request = after
    look_again(fleet, states, replica)


@compiled
def _next_event(fleet: Fleet, states: State, time: float) -> tuple[int, int]:
    """What happens at `time`, and to whom; the trace's own arrivals come first."""
    arrived = fleet.tally[fl.ARRIVED]
    if arrived < fleet.users and states.arrival[arrived] <= time:
        return fl.FROM_TRACE, int(arrived)
    if fleet.tally[fl.EVENTS] > 0:
        return int(fleet.events[0, fl.KIND]), int(fleet.events[0, fl.ITEM])
    return fl.NOTHING, -1


NOBODY, EVERYBODY = -1, -2


@compiled
def _asked(fleet: Fleet, trace: Trace, kind: int, item: int) -> int:
    """The class of pools that an event asks how they stand, or nobody, or everybody."""
    if kind == fl.NOTHING or kind == fl.FAILS or kind == fl.TICKS:
        return EVERYBODY
    if fleet.rule == fl.ROUND_ROBIN:
        return NOBODY
    if kind == fl.DELIVERED:
        return fleet.decode_class
    return int(fleet.pools[fleet.replicas[item, fl.POOL], fl.CLASS] if kind == fl.COMES_UP else class_of(fleet, trace, item))


@compiled_apart
def _happen(fleet: Fleet, trace: Trace, states: State, kind: int, item: int, time: float) -> None:
    """An event takes place; of arrivals that ask nobody all up to the next other event do."""
    if kind == fl.FROM_TRACE:
        last = fleet.users if fleet.rule == fl.ROUND_ROBIN and fleet.makers == 0 else item + 1
        until = fleet.event_time[0] if fleet.tally[fl.EVENTS] > 0 else math.inf
        while item < last and states.arrival[item] <= until:
            route(fleet, trace, states, class_of(fleet, trace, item), item, float(states.arrival[item]))
            item += 1
        fleet.tally[fl.ARRIVED] = item
        return
    pop_event(fleet)
    klass = fleet.decode_class
    if kind == fl.COMES_UP:
        come_up(fleet, trace, states, item, time)
        return
    if kind == fl.FAILS:
        fail(fleet, trace, states, item, time)
        return
    if kind == fl.TICKS:
        scale(fleet, states, item, time)
        return
    if kind == fl.DELIVERED:
        _take_over(fleet, trace, states, item, time)
    else:
        klass = class_of(fleet, trace, item)
    route(fleet, trace, states, klass, item, time)


@compiled_apart
def _take_over(fleet: Fleet, trace: Trace, states: State, request: int, now: float) -> None:
    """The cache of a prompt has arrived: its blocks come free where it was made."""
    sender = int(states.engine[request])
    replica = fleet.engines[sender, fl.REPLICA]
    state = of_engine(states, sender)
    if states.of[request, at.JOINED] == fleet.replicas[replica, fl.EPOCH]:
        give_back(limits_of(fleet, sender), trace, state, request, state.of[request, at.COMPUTED])
        if state.tally[at.STALLED] > 0:
            state.tally[at.STALLED] = 0
            set_clocks(fleet, states, replica, max(now, state.clock[at.NOW]))
            look_again(fleet, states, replica)
    elif limits_of(fleet, sender).caching:
        states.of[request, at.NAMED] = 0
    states.of[request, at.KEPT] = states.of[request, at.COMPUTED]
    states.of[request, at.COMPUTED] = 0
    states.status[request] = at.BROUGHT
    if limits_of(fleet, sender).keeps:
        states.when[request, at.LAST_TOKEN] = states.when[request, at.FIRST_TOKEN]
