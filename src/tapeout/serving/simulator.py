"""A cluster under traffic, fast: the steps of `plain_cluster` by the compiled loop."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tapeout.serving import kernel_fleet as fl
from tapeout.serving import kernel_state as at
from tapeout.serving.checks import check
from tapeout.serving.cluster import Cluster
from tapeout.serving.kernel_cluster import run
from tapeout.serving.kernel_fleet import Fleet
from tapeout.serving.kernel_setup import fleet_of, states_of, trace_of
from tapeout.serving.kernel_state import State
from tapeout.serving.outcome import Outcome, Steps, Totals
from tapeout.traffic.requests import Requests, some_of

Array = TypeVar("Array", bound=np.ndarray)
TURNS = 200_000
"""Turns of the compiled loop, which hears nobody, before it comes back: some tenths of a second."""


def simulate(cluster: Cluster, requests: Requests, *, records: bool = True, jumps: bool = True) -> Outcome:
    """`requests` served by `cluster` until the last is complete: the outcome of `plain_cluster.simulate`, to the bit.

    Equal steps in a row are one record; `records` and `jumps` turn that off, to save memory or to see each step. After Ctrl-C the outcome
    holds the requests that were complete. Raises InputError for what the cluster could never serve.
    """
    check(cluster, requests)
    trace = trace_of(cluster, requests)
    fleet = fleet_of(cluster, requests, jumps=jumps, keeps=records)
    states = states_of(cluster, requests, trace, keeps=records, records=5 * len(requests) // 2 + 64 if records else 1)
    interrupted = False
    try:
        while True:
            states.shared[at.WORK] = TURNS
            why = run(fleet, trace, states)
            if why == fl.STUCK:
                raise AssertionError("requests are left, and nothing will happen")
            if why == fl.DONE:
                break
            states = _with_room(fleet, states)
    except KeyboardInterrupt:
        interrupted = True
    return _outcome(cluster, requests, fleet, states, records=records, interrupted=interrupted)


def _with_room(fleet: Fleet, states: State) -> State:
    """The states with twice the room for records or gaps, where it was short."""
    shared = states.shared
    if shared[at.RECORDS] + fleet.most_records > len(states.times):
        states = states._replace(times=_doubled(states.times), counts=_doubled(states.counts))
    if shared[at.NOTED] + fleet.most_gaps > len(states.gaps):
        states = states._replace(gaps=_doubled(states.gaps))
    return states


def _doubled(rows: Array) -> Array:
    found: Array = np.concatenate([rows, np.zeros_like(rows)])  # type: ignore[assignment]
    return found


def _outcome(cluster: Cluster, requests: Requests, fleet: Fleet, states: State, *, records: bool, interrupted: bool) -> Outcome:
    chosen: NDArray[np.intp] | slice = slice(None)
    if interrupted:
        rows = np.flatnonzero(states.status == at.COMPLETE)
        if len(rows) == 0:
            raise KeyboardInterrupt
        chosen, requests = rows, some_of(requests, rows)
    when, of = states.when[chosen], states.of[chosen]
    unused = np.broadcast_to(np.int32(0), len(requests))
    noted = states.gaps[: states.shared[at.NOTED]] if records else np.zeros(0)
    begin, end = float(states.arrival[0]), float(when[:, at.COMPLETION].max())
    return Outcome(
        requests=requests, cluster=cluster, arrival=states.arrival[chosen], scheduled=when[:, at.SCHEDULED],
        first_token=when[:, at.FIRST_TOKEN], completion=when[:, at.COMPLETION], preemptions=of[:, at.PREEMPTIONS],
        found=of[:, at.FOUND] if of.shape[1] > at.FOUND else unused, retries=of[:, at.RETRIES] if of.shape[1] > at.RETRIES else unused,
        engine=states.engine[chosen] if len(states.engine) else unused, totals=_totals(fleet, states, begin, end),
        records=_steps(cluster, states) if records else None, late_gaps=noted, interrupted=interrupted,
    )  # fmt: skip


def _totals(fleet: Fleet, states: State, begin: float, end: float) -> tuple[Totals, ...]:
    """By engine; a replica that still waits for its end to come has it with the last answer."""
    powered = fleet.moments[:, fl.POWERED].copy()
    for replica in np.flatnonzero(fleet.replicas[:, fl.STATUS] != fl.OFF):
        engine, moments = fleet.replicas[replica, fl.ENGINE], fleet.moments[replica]
        off = end
        if fleet.replicas[replica, fl.STATUS] == fl.DRAINING:
            own = slice(engine, engine + fleet.replicas[replica, fl.RANKS])
            off = min(end, max(float(moments[fl.DRAINED_AT]), float(states.clock[own, at.ANSWERED_AT].max())))
        powered[replica] += max(off - max(float(moments[fl.ON_SINCE]), begin), 0.0)
    return tuple(
        Totals(
            busy=float(clock[at.BUSY]), block_seconds=float(clock[at.BLOCK_SECONDS]), powered=float(powered[replica]),
            most_blocks=int(count[at.MOST_BLOCKS]), steps=int(count[at.STEPS]), preemptions=int(count[at.PREEMPTED]),
        )
        for count, clock, replica in zip(states.tally, states.clock, fleet.engines[:, fl.REPLICA], strict=True)
    )  # fmt: skip


def _steps(cluster: Cluster, states: State) -> tuple[Steps, ...]:
    rows = int(states.shared[at.RECORDS])
    times, counts = states.times[:rows], states.counts[:rows]
    found = []
    for engine in range(cluster.engines):
        own = counts[:, at.COLUMNS] == engine if cluster.engines > 1 else slice(None)
        start, seconds = times[own].T
        steps, tokens, decodes, context, running, waiting, blocks, preempted, gaps = counts[own, : at.COLUMNS].T
        found.append(
            Steps(
                start=start, seconds=seconds, count=steps, tokens=tokens, decodes=decodes, context=context, running=running,
                waiting=waiting, blocks=blocks, preempted=preempted, gaps=gaps,
            )
        )  # fmt: skip
    return tuple(found)
