"""Routing in the plain loop: who may take a request, and who of them does."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tapeout.serving.cluster import Cluster, Phase, Routing
from tapeout.serving.plain_engine import PlainEngine, Request
from tapeout.serving.plain_replica import Replica, State
from tapeout.units import Seconds, Tokens


@dataclass(slots=True, kw_only=True, eq=False)
class Group:
    """Replicas among which requests are routed: those of entry pools with one limit of prompts, or those that decode.

    `line` holds the requests that found none alive, in order; `last` is the engine that round robin chose last.
    """

    entry: bool
    longest: Tokens
    replicas: list[Replica]
    line: deque[Request] = field(default_factory=deque)
    last: int = -1

    def taken(self) -> list[Request]:
        """The requests of the line, which is empty then."""
        line = list(self.line)
        self.line.clear()
        return line

    def choose(self, cluster: Cluster, request: Request, now: Seconds) -> PlainEngine | None:
        """The engine that takes `request` by the rules of `cluster`, or None where no replica is alive."""
        alive = [(replica, engine) for replica in self.replicas if replica.state is State.ALIVE for engine in replica.engines]
        if not alive:
            return None
        if cluster.routing is Routing.ROUND_ROBIN:
            chosen = next((engine for _, engine in alive if engine.number > self.last), alive[0][1])
            self.last = chosen.number
            return chosen
        loads = [engine.load(now) / cluster.pools[replica.pool].weight for replica, engine in alive]
        if cluster.routing is Routing.PREFIX and self.entry:
            most = min(loads) + cluster.slack
            ranked = [
                (-engine.cached(request), load, engine.number) for (_, engine), load in zip(alive, loads, strict=True) if load <= most
            ]
        else:
            ranked = [(0, load, engine.number) for (_, engine), load in zip(alive, loads, strict=True)]
        number = min(ranked)[2]
        return next(engine for _, engine in alive if engine.number == number)


def groups(cluster: Cluster, replicas: list[Replica]) -> list[Group]:
    """The groups of entry pools by their limit, the least first, and that of the decode pools where there are any."""

    def of(pools: list[int]) -> list[Replica]:
        return [replica for replica in replicas if replica.pool in pools]

    entry = {pool.longest for pool in cluster.pools if pool.phase is not Phase.DECODE}
    found = [
        Group(
            entry=True, longest=longest,
            replicas=of([at for at, pool in enumerate(cluster.pools) if pool.phase is not Phase.DECODE and pool.longest == longest]),
        )
        for longest in sorted(entry)
    ]  # fmt: skip
    decode = of([at for at, pool in enumerate(cluster.pools) if pool.phase is Phase.DECODE])
    return found + ([Group(entry=False, longest=0.0, replicas=decode)] if decode else [])
