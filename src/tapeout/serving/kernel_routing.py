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
        fleet.pointer[klass] = engine
        pool = fleet.pool[fleet.replica[engine]]
        deliver(fleet, states, request, engine, now if klass == fleet.decode_class else now + fleet.limit_times[pool, 1])
        return
    states.of[request, at.NEXT] = -1
    if fleet.line[klass, 0] < 0:
        fleet.line[klass, 0] = request
    else:
        states.of[fleet.line[klass, 1], at.NEXT] = request
    fleet.line[klass, 1] = request
    fleet.line[klass, 2] += 1


@compiled
def route_line(fleet: Fleet, trace: Trace, states: State, klass: int, now: float) -> None:
    """Send those in the line of a class to its engines, in order."""
    request = fleet.line[klass, 0]
    fleet.line[klass, 0] = fleet.line[klass, 1] = -1
    fleet.line[klass, 2] = 0
    while request >= 0:
        after = int(states.of[request, at.NEXT])
        route(fleet, trace, states, klass, request, now)
        request = after


@compiled
def _takes(fleet: Fleet, engine: int, klass: int) -> bool:
    replica = fleet.replica[engine]
    return bool(fleet.status[replica] == fl.ALIVE and fleet.kind[fleet.pool[replica]] == klass)


@compiled
def _chosen(fleet: Fleet, trace: Trace, states: State, klass: int, request: int, now: float) -> int:
    engines = len(fleet.replica)
    if fleet.rule == fl.ROUND_ROBIN:
        for turn in range(1, engines + 1):
            engine = int(fleet.pointer[klass] + turn) % engines
            if _takes(fleet, engine, klass):
                return engine
        return -1
    least, found = math.inf, -1
    for engine in range(engines):
        if _takes(fleet, engine, klass):
            burden = load(fleet, states, engine, now) / fleet.weight[fleet.pool[fleet.replica[engine]]]
            if burden < least:
                least, found = burden, engine
    if fleet.rule == fl.LEAST_LOADED or klass == fleet.decode_class:
        return found
    most, lightest = -1, math.inf
    for engine in range(engines):
        if _takes(fleet, engine, klass):
            burden = load(fleet, states, engine, now) / fleet.weight[fleet.pool[fleet.replica[engine]]]
            if burden <= least + fleet.slack:
                there = _found(fleet, trace, states, engine, request)
                if there > most or (there == most and burden < lightest):
                    most, lightest, found = there, burden, engine
    return found


@compiled
def _found(fleet: Fleet, trace: Trace, states: State, engine: int, request: int) -> int:
    """Blocks of a prompt that an engine has in its cache, from the first on."""
    row = fleet.limits[fleet.pool[fleet.replica[engine]]]
    if not row[fl.CACHING]:
        return 0
    first = trace.start[request]
    most = min(trace.start[request + 1] - first, (trace.prompt[request] - 1) // row[fl.BLOCK])
    names, found = states.names[engine], 0
    while found < most and names[trace.name[first + found], at.HOLDERS] != at.ABSENT:
        found += 1
    return int(found)
