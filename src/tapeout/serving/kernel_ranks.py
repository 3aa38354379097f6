"""Replicas of several engines in lockstep: the slowest one's step is everybody's."""

from __future__ import annotations

import math

from tapeout.serving import kernel_fleet as fl
from tapeout.serving import kernel_state as at
from tapeout.serving.compiled import compiled, compiled_apart
from tapeout.serving.kernel import carry_out, has_work, is_stalled, next_ready, planned, receive
from tapeout.serving.kernel_fleet import NOISE_STRIDE, Fleet, end_of, is_short, limits_of, set_clocks, tables_of
from tapeout.serving.kernel_schedule import schedule
from tapeout.serving.kernel_state import State, Trace, of_engine


@compiled_apart
def step_together(fleet: Fleet, trace: Trace, states: State, replica: int, until: float) -> None:
    """Go on to the end of the step that runs at `until`, or until there is nothing to do, something to report, or a pause is due."""
    while _takes_turn(fleet, trace, states, replica, until):
        pass


@compiled
def _takes_turn(fleet: Fleet, trace: Trace, states: State, replica: int, until: float) -> bool:
    """One turn of a replica; False where it is not to take another."""
    first, last = fleet.replicas[replica, fl.ENGINE], end_of(fleet, replica)
    now = states.clock[first, at.NOW]
    if now >= until or is_short(fleet, states):
        return False
    states.shared[at.WORK] -= 1
    seconds, ready = _plan(fleet, trace, states, replica)
    if seconds < 0:
        if ready < until:
            set_clocks(fleet, states, replica, max(ready, now))
        return ready < until
    seconds *= fleet.noise[(NOISE_STRIDE * replica + fleet.replicas[replica, fl.STEPPED]) & (len(fleet.noise) - 1)]
    fleet.replicas[replica, fl.STEPPED] += 1
    going = True
    for engine in range(first, last):
        count = states.tally[engine]
        if fleet.engines[engine, fl.TAKES_PART]:
            carry_out(tables_of(fleet, engine), limits_of(fleet, engine), trace, of_engine(states, engine), seconds)
            going = going and count[at.OUTBOX] < 0
        else:
            count[at.ANSWERED_BEFORE] = count[at.ANSWERED]
    set_clocks(fleet, states, replica, now + seconds)
    return going


@compiled
def _plan(fleet: Fleet, trace: Trace, states: State, replica: int) -> tuple[float, float]:
    """Seconds of the longest step of the engines with work, below 0 where there are none, and when the next request is there."""
    seconds, ready = -1.0, math.inf
    for engine in range(fleet.replicas[replica, fl.ENGINE], end_of(fleet, replica)):
        state, limits = of_engine(states, engine), limits_of(fleet, engine)
        receive(limits, trace, state)
        fleet.engines[engine, fl.TAKES_PART] = 0
        ready = min(ready, next_ready(state.tally, state.when))
        if has_work(state.tally):
            schedule(limits, trace, state)
            if not is_stalled(limits, state):
                fleet.engines[engine, fl.TAKES_PART] = 1
                seconds = max(seconds, planned(tables_of(fleet, engine), limits, trace, state))
    return seconds, ready
