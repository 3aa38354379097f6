"""All engines of a cluster as arrays: the limits and tables of each pool, where its replicas stand, and what is about to happen."""

from __future__ import annotations

import math
from typing import NamedTuple

from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled
from tapeout.serving.kernel import has_work, next_ready
from tapeout.serving.kernel_state import Floats, Limits, Small, State, Tables, Whole
from tapeout.serving.step_law import StepTables

OFF, STARTING, ALIVE, DRAINING, DOWN = range(5)
"""Where a replica stands."""
ARRIVES, DELIVERED, COMES_UP, FAILS, TICKS, FROM_TRACE, NOTHING = range(7)
"""What an event is, beside the request, replica or pool that it is about; the last two are never noted."""
EVENTS, SERIAL, ARRIVED, UNSENT = range(4)
"""Size of the heap of events; number of the next; how many of the trace have arrived; the next that a closed loop sends."""
ROUND_ROBIN, LEAST_LOADED, PREFIX = range(3)
POOL, ENGINE, RANKS, MAKES, STATUS, EPOCH, STEPPED = range(7)
"""Of a replica: its pool, its first engine and how many, whether it makes events, where it stands, how often it was emptied, steps."""
AWAITED, ON_SINCE, DRAINED_AT, POWERED, ACTION = range(5)
"""Times of a replica: when it is to come up, since when it is on or to go, for how long it was on, and when it has something to do next."""
REPLICA, TAKES_PART = range(2)
"""Of an engine: its replica, and whether it takes part in the step under way."""
CLASS, LEAST, MOST = range(3)
TARGET, INTERVAL, START_UP, PATIENCE, CALM, WEIGHT = range(6)
"""Of a pool: its class and its bounds; then what it is scaled by, for how long it has had too much, and its weight."""
HEAD, TAIL, LENGTH, POINTER = range(4)
"""Of a class of pools that take the same requests: the line of those that found no engine, and the engine chosen last."""
NUMBER, KIND, ITEM = range(3)
"""Of an event."""
DONE, PAUSED, STUCK = range(3)
"""Why the loop came back."""
SEQUENCES, BLOCK, CACHING, FIRST_ONLY = 1, 3, 8, 11
"""Places of those limits in a row of them."""


class Fleet(NamedTuple):
    """What does not belong to one engine. A first axis of `limits` to `drafts` is the pool.

    What is named by number above is the last axis of `replicas`, `moments`, `engines`, `pools`, `pool_times`, `classes` and `events`.
    `upper` are limits of prompts by class, decode last; `failed` and `restart` are by failure. `makers` is how many replicas make events,
    `most_records` and `most_gaps` what may have to be noted in one step.
    """

    limits: Whole
    limit_times: Floats
    tokens: Floats
    sequences: Floats
    decode: Floats
    prefill: Floats
    recurrent: Floats
    host: Floats
    drafts: Floats
    accepted: Small
    noise: Floats
    replicas: Whole
    moments: Floats
    engines: Whole
    pools: Whole
    pool_times: Floats
    upper: Floats
    classes: Whole
    tally: Whole
    event_time: Floats
    events: Whole
    failed: Whole
    restart: Floats
    rule: int
    slack: float
    decode_class: int
    users: int
    makers: int
    most_records: int
    most_gaps: int
    link_token: float
    link_latency: float


@compiled
def limits_of(fleet: Fleet, engine: int) -> Limits:
    """The limits of one engine."""
    pool = fleet.replicas[fleet.engines[engine, REPLICA], POOL]
    row, times = fleet.limits[pool], fleet.limit_times[pool]
    return Limits(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11], row[12], row[13], row[14],
        row[15], row[16], engine, times[0], times[1],
    )  # fmt: skip


@compiled
def tables_of(fleet: Fleet, engine: int) -> Tables:
    """The tables of one engine."""
    replica = fleet.engines[engine, REPLICA]
    pool = fleet.replicas[replica, POOL]
    steps = StepTables(
        fleet.tokens[pool], fleet.sequences[pool], fleet.decode[pool], fleet.prefill[pool], fleet.recurrent[pool], fleet.host[pool]
    )
    return Tables(steps, fleet.drafts[pool], fleet.accepted[pool], fleet.noise, NOISE_STRIDE * replica)


NOISE_STRIDE = 7919
"""Steps between the noise of two replicas."""


@compiled
def load(fleet: Fleet, states: State, engine: int, now: float) -> int:
    """Requests sent to an engine that it has not answered by `now`."""
    count = states.tally[engine]
    late = states.clock[engine, at.NOW] > now
    return int(count[at.DELIVERED] - (count[at.ANSWERED_BEFORE] if late else count[at.ANSWERED]))


@compiled
def end_of(fleet: Fleet, replica: int) -> int:
    """The engine after the last of a replica."""
    return int(fleet.replicas[replica, ENGINE] + fleet.replicas[replica, RANKS])


@compiled
def look_again(fleet: Fleet, states: State, replica: int) -> None:
    """Note when a replica has something to do next."""
    found = math.inf
    for engine in range(fleet.replicas[replica, ENGINE], end_of(fleet, replica)):
        count, now = states.tally[engine], states.clock[engine, at.NOW]
        found = min(found, now if has_work(count) else max(now, next_ready(count, states.when)))
    fleet.moments[replica, ACTION] = found


@compiled
def set_clocks(fleet: Fleet, states: State, replica: int, now: float) -> None:
    """All engines of a replica stand at `now`."""
    for engine in range(fleet.replicas[replica, ENGINE], end_of(fleet, replica)):
        states.clock[engine, at.NOW] = now


@compiled
def is_short(fleet: Fleet, states: State) -> bool:
    """Whether the loop has to go back to its caller, as `must_pause`, whoever takes the next step."""
    shared = states.shared
    full = shared[at.RECORDS] + fleet.most_records > len(states.times) or shared[at.NOTED] + fleet.most_gaps > len(states.gaps)
    return bool(full or shared[at.WORK] <= 0)


@compiled
def deliver(fleet: Fleet, states: State, request: int, engine: int, ready: float) -> None:
    """Put a request on its way into an engine."""
    count = states.tally[engine]
    states.when[request, at.READY] = ready
    states.of[request, at.NEXT] = -1
    if count[at.INBOX] < 0:
        count[at.INBOX] = request
    else:
        states.of[count[at.INBOX_TAIL], at.NEXT] = request
    count[at.INBOX_TAIL] = request
    count[at.DELIVERED] += 1
    look_again(fleet, states, fleet.engines[engine, REPLICA])


@compiled
def push_event(fleet: Fleet, time: float, kind: int, item: int) -> None:
    """Something happens at `time`; of what happens at once the first noted comes first."""
    count = fleet.tally
    place, serial = count[EVENTS], count[SERIAL]
    count[EVENTS] += 1
    count[SERIAL] += 1
    while place > 0:
        above = (place - 1) >> 1
        if fleet.event_time[above] <= time:
            break
        _move(fleet, above, place)
        place = above
    fleet.event_time[place], fleet.events[place, NUMBER] = time, serial
    fleet.events[place, KIND], fleet.events[place, ITEM] = kind, item


@compiled
def pop_event(fleet: Fleet) -> None:
    """Take the next event off the heap."""
    count = fleet.tally
    last = count[EVENTS] - 1
    count[EVENTS] = last
    time, serial, kind, item = fleet.event_time[last], fleet.events[last, NUMBER], fleet.events[last, KIND], fleet.events[last, ITEM]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= last:
            break
        if below + 1 < last and _before(fleet, below + 1, fleet.event_time[below], fleet.events[below, NUMBER]):
            below += 1
        if not _before(fleet, below, time, serial):
            break
        _move(fleet, below, place)
        place = below
    fleet.event_time[place], fleet.events[place, NUMBER] = time, serial
    fleet.events[place, KIND], fleet.events[place, ITEM] = kind, item


@compiled
def _before(fleet: Fleet, place: int, time: float, serial: int) -> bool:
    other = fleet.event_time[place]
    return bool(other < time or (other == time and fleet.events[place, NUMBER] < serial))


@compiled
def _move(fleet: Fleet, here: int, there: int) -> None:
    fleet.event_time[there], fleet.events[there, NUMBER] = fleet.event_time[here], fleet.events[here, NUMBER]
    fleet.events[there, KIND], fleet.events[there, ITEM] = fleet.events[here, KIND], fleet.events[here, ITEM]
