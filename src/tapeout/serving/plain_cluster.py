"""A cluster, event by event and step by step: the plain loop that `simulator` has to equal, to the bit.

Events are arrivals, deliveries over the link, failures, replicas that come up, and the ticks of autoscaling. Whatever replica can begin a
step before the next event does so, the earliest first; so at an event every replica is idle or stands at the end of the step that runs.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from tapeout.serving.checks import check
from tapeout.serving.cluster import Autoscaling, Cluster, Failure, Link, noise_factors
from tapeout.serving.names import block_names
from tapeout.serving.plain_blocks import BlockPool
from tapeout.serving.plain_engine import PlainEngine, Request
from tapeout.serving.plain_outcome import PlainOutcome, outcome
from tapeout.serving.plain_replica import Factors, Replica, State
from tapeout.serving.plain_routing import Group, groups
from tapeout.traffic.requests import Requests
from tapeout.units import Seconds

Event = tuple[Seconds, int, Callable[[Seconds], None]]


def simulate(cluster: Cluster, requests: Requests) -> PlainOutcome:
    """`requests` served by `cluster` until the last is complete; deterministic.

    Raises InputError where no pool takes a request, where one can never fit the KV cache of an engine that it may come to, or where
    a policy goes beyond the tables of its step model.
    """
    check(cluster, requests)
    served, replicas = _requests(cluster, requests), _replicas(cluster)
    run = _Run(
        cluster=cluster, requests=served, replicas=replicas, groups=groups(cluster, replicas), factors=noise_factors(cluster),
        link=cluster.link or Link(token=0.0),
    )  # fmt: skip
    run.begin(requests.arrival.tolist())
    while run.completed < len(requests):
        run.advance()
    return outcome(cluster, requests, served, replicas)


@dataclass(slots=True, kw_only=True)
class _Run:
    """The mutable state of one simulation.

    `sent` requests have a time of arrival. `free` is when the link of an engine can take its next cache, `calm` how long a pool has had
    more replicas than it wants.
    """

    cluster: Cluster
    requests: list[Request]
    replicas: list[Replica]
    groups: list[Group]
    link: Link
    factors: Factors
    events: list[Event] = field(default_factory=list)
    serials: Iterator[int] = field(default_factory=itertools.count)
    sent: int = 0
    completed: int = 0
    free: dict[int, Seconds] = field(default_factory=dict)
    calm: dict[int, Seconds] = field(default_factory=dict)

    def begin(self, arrivals: list[Seconds]) -> None:
        """Push what is known from the start; of events of one time the one pushed first comes first."""
        for moment in arrivals:
            self._send(moment)
        for failure in self.cluster.failures:
            self._push(failure.at, partial(self._fail, failure))
        for place, pool in enumerate(self.cluster.pools):
            if pool.autoscaling:
                self.calm[place] = 0.0
                self._push(pool.autoscaling.interval, partial(self._tick, place, pool.autoscaling))

    def advance(self) -> None:
        """One step of the replica that can begin first, or the next event where that comes no later."""
        moment = self.events[0][0] if self.events else math.inf
        replica = min(self.replicas, key=Replica.action)
        if replica.action() >= moment:
            moment, _, happens = heapq.heappop(self.events)
            happens(moment)
            return
        for engine, request in replica.step(self.factors):
            if request.completion < 0:
                self._hand_over(request, replica, engine)
                continue
            self.completed += 1
            if self.sent < len(self.requests):
                self._send(replica.now)

    def _push(self, moment: Seconds, happens: Callable[[Seconds], None]) -> None:
        heapq.heappush(self.events, (moment, next(self.serials), happens))

    # ---------------------------------------------------------------- requests

    def _send(self, moment: Seconds) -> None:
        request = self.requests[self.sent]
        request.arrival = moment
        self.sent += 1
        self._push(moment, partial(self._arrive, request))

    def _arrive(self, request: Request, now: Seconds) -> None:
        self._route(next(group for group in self.groups if group.entry and group.longest >= request.prompt), request, now)

    def _route(self, group: Group, request: Request, now: Seconds) -> None:
        engine = group.choose(self.cluster, request, now)
        if engine is None:
            group.line.append(request)
        else:
            engine.inbox.append((now + (engine.engine.step_model.request if group.entry else 0.0), request))

    def _hand_over(self, request: Request, replica: Replica, engine: PlainEngine) -> None:
        """Send the cache of a prompt over the link, after those that wait for it."""
        end = max(replica.now, self.free.get(engine.number, 0.0)) + request.prompt * self.link.token
        self.free[engine.number] = end
        self._push(end + self.link.latency, partial(self._deliver, request, replica, engine, engine.blocks))

    def _deliver(self, request: Request, replica: Replica, engine: PlainEngine, blocks: BlockPool, now: Seconds) -> None:
        # A sender that failed since has other blocks, none of them held.
        if engine.blocks is blocks:
            replica.release(engine, request, now)
        request.held = request.named = request.computed = 0
        request.carried = request.prompt
        self._route(self.groups[-1], request, now)

    # ---------------------------------------------------------------- replicas

    def _fail(self, failure: Failure, now: Seconds) -> None:
        replica = [replica for replica in self.replicas if replica.pool == failure.pool][failure.replica]
        if not replica.serves:
            return
        for request in replica.fail(now):
            request.forget()
            request.retries += 1
            self._push(max(now, replica.now), partial(self._arrive, request))
        if replica.state is State.DOWN:
            self._await(replica, now + failure.restart)

    def _await(self, replica: Replica, moment: Seconds) -> None:
        replica.waits += 1
        self._push(moment, partial(self._up, replica, replica.waits))

    def _up(self, replica: Replica, wait: int, now: Seconds) -> None:
        # What it was to come up from may have been called off, or be another failure by now.
        if replica.state not in (State.STARTING, State.DOWN) or wait != replica.waits:
            return
        replica.state = State.ALIVE
        group = self._group(replica.pool)
        for request in group.taken():
            self._route(group, request, now)

    def _group(self, pool: int) -> Group:
        return next(group for group in self.groups if any(replica.pool == pool for replica in group.replicas))

    def _tick(self, pool: int, scaling: Autoscaling, now: Seconds) -> None:
        """Start what a pool lacks, or take away what it has had too much of for long enough."""
        replicas = [replica for replica in self.replicas if replica.pool == pool]
        outstanding = sum(replica.load(now) for replica in replicas) + len(self._group(pool).line)
        for replica in replicas:
            replica.rest(now)
        wanted = min(max(math.ceil(outstanding / scaling.target), scaling.least), scaling.most)
        serving = sum(replica.state in (State.STARTING, State.ALIVE, State.DOWN) for replica in replicas)
        self.calm[pool] = self.calm[pool] + scaling.interval if wanted < serving else 0.0
        for replica in [replica for replica in replicas if replica.state is State.OFF][: max(0, wanted - serving)]:
            replica.start(now)
            self._await(replica, now + scaling.start_up)
        if wanted < serving and self.calm[pool] >= scaling.patience:
            self.calm[pool] = 0.0
            starting, alive = ([replica for replica in replicas[::-1] if replica.state is state] for state in (State.STARTING, State.ALIVE))
            for replica in [*starting, *alive][: serving - wanted]:
                if replica.state is State.STARTING:
                    replica.off(now)
                else:
                    replica.drain(now)
        self._push(now + scaling.interval, partial(self._tick, pool, scaling))


def _requests(cluster: Cluster, requests: Requests) -> list[Request]:
    """The requests of a trace, with the names of their blocks as the engines with prefix caching see them, and none sent yet."""
    names: list[tuple[int, ...]] = [()] * len(requests)
    sizes = {pool.engine.policy.block_size for pool in cluster.pools if pool.engine.policy.prefix_caching}
    for size in sizes:  # one at most
        name, start = block_names(requests, size)
        names = [tuple(name[first:last].tolist()) for first, last in itertools.pairwise(start)]
    prompt, output = requests.prompt.tolist(), requests.output.tolist()
    priority = [0] * len(requests) if requests.priority is None else requests.priority.tolist()
    return [
        Request(number=number, prompt=prompt[number], output=output[number], priority=priority[number], names=names[number])
        for number in range(len(requests))
    ]


def _replicas(cluster: Cluster) -> list[Replica]:
    """All slots of all pools, in order; those that a pool begins with are alive."""
    numbers, found = itertools.count(), list[Replica]()
    for place, pool in enumerate(cluster.pools):
        for slot in range(pool.slots):
            engines = [
                PlainEngine(number=next(numbers), engine=pool.engine, phase=pool.phase, seed=cluster.seed) for _ in range(pool.ranks)
            ]
            state = State.ALIVE if slot < pool.replicas else State.OFF
            found.append(Replica(number=len(found), pool=place, engines=engines, state=state))
    return found
