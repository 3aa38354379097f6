"""Which engine takes a request: those of its class, one of them by the rule, or the line where there is none."""

from __future__ import annotations

import math

from tapeout.serving import kernel_fleet as fl
from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled
from tapeout.serving.kernel_fleet import Fleet, deliver, load
from tapeout.serving.kernel_state import State, Trace


@compiled
def class_of(fleet: Fleet, trace: Trace, request: int) -> int:
    """The class of pools that take a new request: those with the least limit that its prompt keeps."""
    found = 0
    while fleet.upper[found] < trace.prompt[request]:
        found += 1
    return found


@compiled
def route(fleet: Fleet, trace: Trace, states: State, klass: int, request: int, now: float) -> None:
    """Send a request to an engine of its class, or into the line where none is there."""
    engine = _chosen(fleet, trace, states, klass, request, now)
    if engine >= 0:
        fleet.classes[klass, fl.POINTER] = engine
        pool = fleet.replicas[fleet.engines[engine, fl.REPLICA], fl.POOL]
        deliver(fleet, states, request, engine, now if klass == fleet.decode_class else now + fleet.limit_times[pool, 1])
        return
    states.of[request, at.NEXT] = -1
    if fleet.classes[klass, fl.HEAD] < 0:
        fleet.classes[klass, fl.HEAD] = request
    else:
        states.of[fleet.classes[klass, fl.TAIL], at.NEXT] = request
    fleet.classes[klass, fl.TAIL] = request
    fleet.classes[klass, fl.LENGTH] += 1


@compiled
def route_line(fleet: Fleet, trace: Trace, states: State, klass: int, now: float) -> None:
    """Send those in the line of a class to its engines, in order."""
    request = fleet.classes[klass, fl.HEAD]
    fleet.classes[klass, fl.HEAD] = fleet.classes[klass, fl.TAIL] = -1
    fleet.classes[klass, fl.LENGTH] = 0
    while request >= 0:
        after = int(states.of[request, at.NEXT])
        route(fleet, trace, states, klass, request, now)
        request = after


@compiled
def _takes(fleet: Fleet, engine: int, klass: int) -> bool:
    replica = fleet.engines[engine, fl.REPLICA]
    return bool(fleet.replicas[replica, fl.STATUS] == fl.ALIVE and fleet.pools[fleet.replicas[replica, fl.POOL], fl.CLASS] == klass)


@compiled
def _weight(fleet: Fleet, engine: int) -> float:
    return float(fleet.pool_times[fleet.replicas[fleet.engines[engine, fl.REPLICA], fl.POOL], fl.WEIGHT])


@compiled
def _chosen(fleet: Fleet, trace: Trace, states: State, klass: int, request: int, now: float) -> int:
    engines = len(fleet.engines)
    if fleet.rule == fl.ROUND_ROBIN:
        for turn in range(1, engines + 1):
            engine = int(fleet.classes[klass, fl.POINTER] + turn) % engines
            if _takes(fleet, engine, klass):
                return engine
        return -1
    least, found = math.inf, -1
    for engine in range(engines):
        if _takes(fleet, engine, klass):
            burden = load(fleet, states, engine, now) / _weight(fleet, engine)
            if burden < least:
                least, found = burden, engine
    if fleet.rule == fl.LEAST_LOADED or klass == fleet.decode_class:
        return found
    most, lightest = -1, math.inf
    for engine in range(engines):
        if _takes(fleet, engine, klass):
            burden = load(fleet, states, engine, now) / _weight(fleet, engine)
            if burden <= least + fleet.slack:
                there = _found(fleet, trace, states, engine, request)
                if there > most or (there == most and burden < lightest):
                    most, lightest, found = there, burden, engine
    return found


@compiled
def _found(fleet: Fleet, trace: Trace, states: State, engine: int, request: int) -> int:
    """Blocks of a prompt that an engine has in its cache, from the first on."""
    row = fleet.limits[fleet.replicas[fleet.engines[engine, fl.REPLICA], fl.POOL]]
    if not row[fl.CACHING]:
        return 0
    first = trace.start[request]
    most = min(trace.start[request + 1] - first, (trace.prompt[request] - 1) // row[fl.BLOCK])
    names, found = states.names[engine], 0
    while found < most and names[trace.name[first + found], at.HOLDERS] != at.ABSENT:
        found += 1
    return int(found)
