"""Replicas that come and go: failures, with the requests that have to begin again, and autoscaling."""

from __future__ import annotations

import math

from tapeout.serving import kernel_fleet as fl
from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled, compiled_apart
from tapeout.serving.kernel_fleet import Fleet, end_of, limits_of, load, look_again, push_event
from tapeout.serving.kernel_lists import leave_queue, next_waiting
from tapeout.serving.kernel_routing import route_line
from tapeout.serving.kernel_state import Limits, State, Trace, of_engine


@compiled_apart
def come_up(fleet: Fleet, trace: Trace, states: State, replica: int, now: float) -> None:
    """A replica is there, if it is still waited for; it and its like take those in the line."""
    awaited = fleet.replicas[replica, fl.STATUS] == fl.STARTING or fleet.replicas[replica, fl.STATUS] == fl.DOWN
    if awaited and fleet.moments[replica, fl.AWAITED] == now:
        fleet.replicas[replica, fl.STATUS] = fl.ALIVE
        route_line(fleet, trace, states, fleet.pools[fleet.replicas[replica, fl.POOL], fl.CLASS], now)


@compiled_apart
def fail(fleet: Fleet, trace: Trace, states: State, failure: int, now: float) -> None:
    """A replica loses all that it has; its requests begin again elsewhere, and it is back later unless it was to go anyway."""
    replica = int(fleet.failed[failure])
    if fleet.replicas[replica, fl.STATUS] != fl.ALIVE and fleet.replicas[replica, fl.STATUS] != fl.DRAINING:
        return
    drained = fleet.replicas[replica, fl.STATUS] == fl.DRAINING
    for engine in range(fleet.replicas[replica, fl.ENGINE], end_of(fleet, replica)):
        _lose_all(fleet, limits_of(fleet, engine), of_engine(states, engine), now)
    _empty(fleet, states, replica)
    if drained:
        _switch_off(fleet, states, replica, now)
    else:
        fleet.replicas[replica, fl.STATUS] = fl.DOWN
        fleet.moments[replica, fl.AWAITED] = now + fleet.restart[failure]
        push_event(fleet, now + fleet.restart[failure], fl.COMES_UP, replica)


@compiled
def _lose_all(fleet: Fleet, limits: Limits, state: State, now: float) -> None:
    """Every request of an engine begins again: those running, in order, those waiting, those on their way."""
    count, again = state.tally, max(now, state.clock[at.NOW])
    request = int(count[at.FIRST])
    while request >= 0:
        after = int(state.of[request, at.NEXT])
        _begin_again(fleet, limits, state, request, again)
        request = after
    while count[at.WAITING] > 0:
        request = next_waiting(limits, state)
        leave_queue(limits, state)
        _begin_again(fleet, limits, state, request, again)
    request = int(count[at.INBOX])
    while request >= 0:
        after = int(state.of[request, at.NEXT])
        _begin_again(fleet, limits, state, request, again)
        request = after


@compiled
def _begin_again(fleet: Fleet, limits: Limits, state: State, request: int, again: float) -> None:
    state.tally[at.DELIVERED] -= 1
    state.of[request, at.RETRIES] += 1
    state.when[request, at.SCHEDULED] = state.when[request, at.FIRST_TOKEN] = state.when[request, at.COMPLETION] = -1.0
    state.of[request, at.COMPUTED] = state.of[request, at.GENERATED] = state.of[request, at.CHUNK] = 0
    state.status[request] = at.GONE
    if limits.caching:
        state.of[request, at.NAMED] = 0
    if state.of.shape[1] > at.FOUND:
        state.of[request, at.FOUND] = 0
    if state.of.shape[1] > at.KEPT:
        state.of[request, at.KEPT] = 0
    push_event(fleet, again, fl.ARRIVES, request)


@compiled
def _empty(fleet: Fleet, states: State, replica: int) -> None:
    """Empty the engines of a replica and their caches; what others fetch from it is theirs."""
    fleet.replicas[replica, fl.EPOCH] += 1
    for engine in range(fleet.replicas[replica, fl.ENGINE], end_of(fleet, replica)):
        limits, state = limits_of(fleet, engine), of_engine(states, engine)
        count = state.tally
        count[at.FREE] = count[at.EMPTY] = limits.blocks
        count[at.NAMELESS] = 0
        count[at.DECODES] = count[at.CONTEXT] = count[at.PARTIALS] = count[at.RUNNING] = 0
        count[at.WAITING] = count[at.ENDS] = count[at.LATE] = count[at.STALLED] = 0
        count[at.FIRST] = count[at.LAST] = count[at.HEAD] = count[at.TAIL] = count[at.INBOX] = -1
        count[at.OLDEST] = count[at.YOUNGEST] = -1
        for place in range(len(state.phases)):
            state.phases[place] = 0
        for name in range(len(state.names)):
            state.names[name, at.HOLDERS] = at.ABSENT
    look_again(fleet, states, replica)


@compiled
def _switch_off(fleet: Fleet, states: State, replica: int, moment: float) -> None:
    """What is on before the first request counts from there."""
    fleet.replicas[replica, fl.STATUS] = fl.OFF
    fleet.moments[replica, fl.POWERED] += max(moment - max(fleet.moments[replica, fl.ON_SINCE], states.arrival[0]), 0.0)


@compiled
def _replica_load(fleet: Fleet, states: State, replica: int, now: float) -> int:
    total = 0
    for engine in range(fleet.replicas[replica, fl.ENGINE], end_of(fleet, replica)):
        total += load(fleet, states, engine, now)
    return total


@compiled
def _stop_if_idle(fleet: Fleet, states: State, replica: int, now: float) -> None:
    """A replica that takes no more requests and has none left stops; it has been idle since its last answer."""
    if _replica_load(fleet, states, replica, now) > 0:
        return
    moment = fleet.moments[replica, fl.DRAINED_AT]
    for engine in range(fleet.replicas[replica, fl.ENGINE], end_of(fleet, replica)):
        moment = max(moment, states.clock[engine, at.ANSWERED_AT])
    _switch_off(fleet, states, replica, moment)
    _empty(fleet, states, replica)


@compiled_apart
def scale(fleet: Fleet, states: State, pool: int, now: float) -> None:
    """Count the requests in a pool, start what it lacks, and let go what has been too much for long enough."""
    times = fleet.pool_times[pool]
    outstanding, serving = int(fleet.classes[fleet.pools[pool, fl.CLASS], fl.LENGTH]), 0
    for replica in range(len(fleet.replicas)):
        if fleet.replicas[replica, fl.POOL] == pool:
            outstanding += _replica_load(fleet, states, replica, now)
            if fleet.replicas[replica, fl.STATUS] == fl.DRAINING:
                _stop_if_idle(fleet, states, replica, now)
            serving += fleet.replicas[replica, fl.STATUS] != fl.OFF and fleet.replicas[replica, fl.STATUS] != fl.DRAINING
    desired = math.ceil(outstanding / times[fl.TARGET])
    desired = min(max(desired, fleet.pools[pool, fl.LEAST]), fleet.pools[pool, fl.MOST])
    times[fl.CALM] = times[fl.CALM] + times[fl.INTERVAL] if desired < serving else 0.0
    if desired > serving:
        _start(fleet, states, pool, desired - serving, now)
    elif desired < serving and times[fl.CALM] >= times[fl.PATIENCE]:
        _let_go(fleet, states, pool, serving - desired, now)
        times[fl.CALM] = 0.0
    push_event(fleet, now + times[fl.INTERVAL], fl.TICKS, pool)


@compiled
def _start(fleet: Fleet, states: State, pool: int, lacking: int, now: float) -> None:
    for replica in range(len(fleet.replicas)):
        if lacking > 0 and fleet.replicas[replica, fl.POOL] == pool and fleet.replicas[replica, fl.STATUS] == fl.OFF:
            fleet.replicas[replica, fl.STATUS] = fl.STARTING
            fleet.moments[replica, fl.ON_SINCE] = now
            fleet.moments[replica, fl.AWAITED] = now + fleet.pool_times[pool, fl.START_UP]
            push_event(fleet, fleet.moments[replica, fl.AWAITED], fl.COMES_UP, replica)
            lacking -= 1


@compiled
def _let_go(fleet: Fleet, states: State, pool: int, surplus: int, now: float) -> None:
    """First those that only start, then those that serve, the last of each first."""
    for status in (fl.STARTING, fl.ALIVE):
        for replica in range(len(fleet.replicas) - 1, -1, -1):
            if surplus > 0 and fleet.replicas[replica, fl.POOL] == pool and fleet.replicas[replica, fl.STATUS] == status:
                surplus -= 1
                if status == fl.STARTING:
                    _switch_off(fleet, states, replica, now)
                else:
                    fleet.replicas[replica, fl.STATUS] = fl.DRAINING
                    fleet.moments[replica, fl.DRAINED_AT] = now
                    _stop_if_idle(fleet, states, replica, now)
