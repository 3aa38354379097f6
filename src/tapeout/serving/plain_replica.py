"""Replicas of the plain loop: ranks in lockstep, and whether a replica is there to take requests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.plain_engine import PlainEngine, Request
from tapeout.units import Seconds

Factors = NDArray[np.float64]
Span = tuple[Seconds, Seconds]

STRIDE = 7919
"""How far the noise of one replica lies from that of the next in the draws; a prime."""


class State(StrEnum):
    """Whether a replica takes requests: only one that is alive does; one that drains serves those it has, and then is off."""

    OFF = "off"
    STARTING = "starting"
    ALIVE = "alive"
    DRAINING = "draining"
    DOWN = "down"


@dataclass(slots=True, kw_only=True, eq=False)
class Replica:
    """The mutable state of one replica of pool `pool`; its engines share the clock `now`.

    It has had to wait `waits` times until it was up. It is powered since `since`, and was in `spans`; it drains since `drained`.
    """

    number: int
    pool: int
    engines: list[PlainEngine]
    state: State = State.OFF
    now: Seconds = 0.0
    steps: int = 0
    waits: int = 0
    since: Seconds = 0.0
    drained: Seconds = 0.0
    spans: list[Span] = field(default_factory=list)

    @property
    def serves(self) -> bool:
        """Whether it may have requests."""
        return self.state in (State.ALIVE, State.DRAINING)

    @property
    def busy(self) -> bool:
        """Whether any rank has something to schedule."""
        return any(engine.busy for engine in self.engines)

    def load(self, now: Seconds) -> int:
        """Requests delivered to it and not answered by `now`."""
        return sum(engine.load(now) for engine in self.engines)

    def action(self) -> float:
        """When it can begin a step, or infinity."""
        if self.busy:
            return self.now
        return max(self.now, min((engine.inbox[0][0] for engine in self.engines if engine.inbox), default=math.inf))

    def step(self, factors: Factors) -> list[tuple[PlainEngine, Request]]:
        """One step of all ranks that have something to compute, as long as the slowest takes; what it answered, and by whom."""
        self.now = self.action()
        for engine in self.engines:
            engine.receive(self.now)
        busy = [engine for engine in self.engines if engine.busy]
        for engine in busy:
            engine.schedule(self.now)
        taking = [engine for engine in busy if not engine.stalled]
        if not taking:
            return []
        seconds = max(engine.seconds() for engine in taking)
        seconds *= float(factors[(STRIDE * self.number + self.steps) % len(factors)])
        self.steps += 1
        for engine in taking:
            engine.record(self.now, seconds)
        self.now += seconds
        return [(engine, request) for engine in taking for request in engine.emit(self.now)]

    def release(self, engine: PlainEngine, request: Request, now: Seconds) -> None:
        """Give back the blocks of a `request` that has left over the link, for which `engine` may wait."""
        engine.release(request)
        if engine.stalled:
            # Where another rank is busy the clock is past this moment already.
            self.now = max(self.now, now)
            engine.stalled = False

    # ---------------------------------------------------------------- on and off

    def start(self, now: Seconds) -> None:
        """Power an idle slot."""
        self.state, self.since = State.STARTING, now

    def drain(self, now: Seconds) -> None:
        """Take no more requests, and be off with the last of those there."""
        self.state, self.drained = State.DRAINING, now
        self.rest(now)

    def rest(self, now: Seconds) -> None:
        """Be off where it drains and has answered all."""
        if self.state is State.DRAINING and self.load(now) == 0:
            self.off(self._answered())

    def off(self, now: Seconds) -> list[Request]:
        """Lose power and all that is there; the requests lost."""
        self.state = State.OFF
        self.spans.append((self.since, now))
        return self._stop()

    def fail(self, now: Seconds) -> list[Request]:
        """Lose all that is there, and be down, or off where it drained; the requests lost."""
        if self.state is State.DRAINING:
            return self.off(now)
        self.state = State.DOWN
        return self._stop()

    def powered(self, first: Seconds, last: Seconds) -> float:
        """Seconds of power from `first` to `last`, the end of the run."""
        spans = list(self.spans)
        if self.state is not State.OFF:
            spans.append((self.since, self._answered() if self.state is State.DRAINING else math.inf))
        return sum(max(0.0, min(end, last) - max(start, first)) for start, end in spans)

    def _answered(self) -> float:
        """When it began to drain, or its last answer where that is later."""
        return max([self.drained, *(engine.answered[-1] for engine in self.engines if engine.answered)])

    def _stop(self) -> list[Request]:
        return [request for engine in self.engines for request in engine.stop()]
