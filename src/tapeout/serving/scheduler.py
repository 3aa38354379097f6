"""Continuous batching, step by step and request by request: the plain loop that says what the simulator means.

It follows the scheduler of vLLM's V1 engine: one token budget for a step, running requests before waiting ones, chunked prefill,
first come first served or by priority, a paged KV cache whose blocks are found again by what they hold, preemption with recompute
or swap, and no admission in a step that preempted; or, prompts first, the order of SGLang, whose steps hold either prompts or decodes.
Clear before fast: `simulator` has to equal this loop, step for step.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.blocks import BlockPool
from tapeout.serving.checks import check
from tapeout.serving.names import block_names
from tapeout.serving.outcome import Outcome, Steps, Totals
from tapeout.serving.policy import Order, Policy
from tapeout.serving.requests import Requests
from tapeout.serving.step_law import StepTables, step_seconds
from tapeout.serving.step_model import StepModel
from tapeout.units import Seconds, Unit

Floats = NDArray[np.float64]
Times = Annotated[Floats, Unit("s")]


def simulate(step_model: StepModel, requests: Requests, policy: Policy) -> Outcome:
    """`requests` served by one engine until the last is complete; deterministic.

    Raises InputError where a request can never fit the KV cache, or where `policy` goes beyond the tables of `step_model`.
    """
    check(step_model, requests, policy)
    engine = _Engine(tables=step_model.tables(), request_seconds=step_model.request, requests=requests, policy=policy)
    while engine.completed < len(requests):
        engine.receive()
        if not engine.running and not engine.waiting:
            engine.now = engine.coming[0][0]
            continue
        engine.schedule()
        engine.run()
    return engine.outcome()


@dataclass(slots=True, kw_only=True)
class _Engine:
    """The mutable state of one simulation. `chunks` holds (request, tokens) of the step being scheduled.

    `rank` is the place in the order of arrival; `kept` are the tokens of a swapped request that wait on the host.
    """

    tables: StepTables
    request_seconds: Seconds
    requests: Requests
    policy: Policy
    pool: BlockPool = field(init=False)
    now: Seconds = 0.0
    completed: int = 0
    preempted: int = 0
    swapped: int = 0
    budget: int = 0
    unsent: int = 0
    received: int = 0
    coming: list[tuple[Annotated[float, Unit("s")], int]] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    decoding: set[int] = field(default_factory=set)
    chunks: list[tuple[int, int]] = field(default_factory=list)
    prompt: list[int] = field(init=False)
    output: list[int] = field(init=False)
    priority: list[int] = field(init=False)
    names: list[list[int]] = field(init=False)
    rank: list[int] = field(init=False)
    computed: list[int] = field(init=False)
    generated: list[int] = field(init=False)
    held: list[int] = field(init=False)
    named: list[int] = field(init=False)
    kept: list[int] = field(init=False)
    found: list[int] = field(init=False)
    preemptions: list[int] = field(init=False)
    since: list[Annotated[float, Unit("s")]] = field(init=False)
    gaps: list[Annotated[float, Unit("s")]] = field(default_factory=list)
    times: Times = field(init=False)
    records: list[tuple[Annotated[float, Unit("s")], Annotated[float, Unit("s")], int, int, int, int, int, int, int]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        count = len(self.requests)
        self.prompt, self.output = self.requests.prompt.tolist(), self.requests.output.tolist()
        priority = self.requests.priority
        self.priority = [0] * count if priority is None or self.policy.order is Order.FIRST_COME else priority.tolist()
        self.names = [[] for _ in range(count)]
        if self.policy.prefix_caching:
            name, start = block_names(self.requests, self.policy.block_size)
            self.names = [name[first:last].tolist() for first, last in itertools.pairwise(start)]
        self.rank, self.computed, self.generated, self.held, self.named, self.kept, self.found, self.preemptions = (
            [0] * count for _ in range(8)
        )
        self.since = [0.0] * count
        self.times = np.full((4, count), -1.0)  # arrival, first scheduling, first token, completion
        self.pool = BlockPool(size=self.policy.blocks)
        for moment in self.requests.arrival.tolist():
            self._send(moment)

    def _send(self, moment: float) -> None:
        self.times[0, self.unsent] = moment
        heapq.heappush(self.coming, (moment + self.request_seconds, self.unsent))
        self.unsent += 1

    def receive(self) -> None:
        """Queue the requests that are there by now."""
        while self.coming and self.coming[0][0] <= self.now:
            request = heapq.heappop(self.coming)[1]
            self.rank[request] = self.received
            self.received += 1
            self._queue(request)

    def _queue(self, request: int) -> None:
        if self.policy.order is Order.PRIORITY:
            bisect.insort(self.waiting, request, key=self._urgency)
        else:
            self.waiting.append(request)

    def _urgency(self, request: int) -> tuple[int, int]:
        return self.priority[request], self.rank[request]

    def schedule(self) -> None:
        """Fill a step: running requests before waiting ones, and where the policy says so, prompts of either before those who decode."""
        self.budget, self.preempted, self.swapped, self.chunks = self.policy.token_budget, 0, 0, []
        first = self.running
        if self.policy.prompts_first:
            first = [request for request in self.running if request not in self.decoding]
        self._schedule_running(first)
        if self.preempted == 0:
            self._admit()
        if self.policy.prompts_first and not self.chunks:
            self._schedule_running([request for request in self.running if request in self.decoding])

    def _schedule_running(self, requests: list[int]) -> None:
        """Give each of `requests`, in order, what it still has to compute; preempt where blocks run out."""
        for request in list(requests):
            if request not in self.running:
                continue
            if self.budget == 0:
                break
            tokens = self._chunk(request)
            if not self._make_room(request, tokens):
                break
            self._schedule(request, tokens)

    def _admit(self) -> None:
        """Start waiting requests, in order, while tokens, places and blocks last."""
        while self.waiting and self.budget > 0 and len(self.running) < self.policy.most_sequences:
            request = self.waiting[0]
            # The last token is computed anew even where all of its block is there, for what follows it.
            most = (self.prompt[request] + self.generated[request] - 1) // self.policy.block_size
            names = self.pool.found(self.names[request][:most])
            self.computed[request] = self.kept[request] or len(names) * self.policy.block_size
            tokens = self._chunk(request)
            missing = self.policy.blocks_for(self.computed[request] + tokens) - len(names)
            if missing + self.pool.unheld(names) > len(self.pool.free):
                self.computed[request] = 0
                break
            self.pool.hold(names)
            self.held[request] = self.named[request] = len(names)
            self.swapped += self.policy.blocks_for(self.kept[request])
            self.kept[request] = 0
            self.running.append(self.waiting.pop(0))
            if self.times[1, request] < 0:
                self.times[1, request] = self.now
                self.found[request] = len(names) * self.policy.block_size
            self._schedule(request, tokens)

    def run(self) -> None:
        """Let the step take its time, then give its tokens to the requests that are up to date."""
        decodes = [self.computed[request] for request, tokens in self.chunks if tokens == 1]
        prefills = [(self.computed[request], tokens) for request, tokens in self.chunks if tokens > 1]
        prefill_tokens = sum(tokens for _, tokens in prefills)
        pairs = sum(tokens * context + tokens * (tokens + 1) // 2 for context, tokens in prefills)
        seconds = step_seconds(
            self.tables, len(decodes), 0, sum(decodes), len(prefills), prefill_tokens, sum(context for context, _ in prefills), pairs
        )
        seconds += (self.policy.swap or 0.0) * self.swapped
        blocks = self.policy.blocks - len(self.pool.free)
        counts = (len(decodes) + prefill_tokens, len(decodes), sum(decodes), len(self.running), len(self.waiting), blocks, self.preempted)
        self.records.append((self.now, seconds, *counts))
        self.now += seconds
        for request, count in self.chunks:
            self.computed[request] += count
            if self._remaining(request) == 0:
                self._emit(request)
        self.running = [request for request in self.running if self.generated[request] < self.output[request]]

    def outcome(self) -> Outcome:
        """The records as arrays."""
        start, seconds, *counts = zip(*self.records, strict=True)
        tokens, decodes, context, running, waiting, blocks, preempted = (np.array(column, dtype=np.int64) for column in counts)
        steps = Steps(
            start=np.array(start), seconds=np.array(seconds), count=np.ones(len(start), dtype=np.int64), tokens=tokens, decodes=decodes,
            context=context, running=running, waiting=waiting, blocks=blocks, preempted=preempted,
            gaps=np.zeros(len(start), dtype=np.int64),
        )  # fmt: skip
        arrival, scheduled, first_token, completion = self.times
        totals = Totals(
            busy=float(sum(seconds)), block_seconds=float(blocks @ steps.seconds), most_blocks=int(blocks.max()), steps=len(start),
            preemptions=sum(self.preemptions), prompt_tokens=sum(self.prompt), found_tokens=sum(self.found),
        )  # fmt: skip
        return Outcome(
            requests=self.requests, policy=self.policy, arrival=arrival, scheduled=scheduled, first_token=first_token,
            completion=completion, preemptions=np.array(self.preemptions, dtype=np.int64), found=np.array(self.found, dtype=np.int64),
            totals=totals, records=steps, late_gaps=np.array(self.gaps),
        )  # fmt: skip

    def _remaining(self, request: int) -> int:
        return self.prompt[request] + self.generated[request] - self.computed[request]

    def _chunk(self, request: int) -> int:
        return min(self._remaining(request), self.policy.chunk or self.policy.token_budget, self.budget)

    def _missing(self, request: int, tokens: int) -> int:
        return self.policy.blocks_for(self.computed[request] + tokens) - self.held[request]

    def _schedule(self, request: int, tokens: int) -> None:
        missing = self._missing(request, tokens)
        self.pool.take(missing)
        self.held[request] += missing
        self.budget -= tokens
        self.chunks.append((request, tokens))
        # Blocks are findable from the step on that fills them; those of an answer once it is complete.
        self._name(request, min(self.prompt[request], self.computed[request] + tokens))

    def _name(self, request: int, tokens: int) -> None:
        full = min(len(self.names[request]), tokens // self.policy.block_size)
        for name in self.names[request][self.named[request] : full]:
            self.pool.name(name)
            self.named[request] += 1

    def _make_room(self, request: int, tokens: int) -> bool:
        """Preempt until `tokens` more fit; False where `request` itself had to go."""
        while self._missing(request, tokens) > len(self.pool.free):
            if self._preempt() == request:
                return False
        return True

    def _preempt(self) -> int:
        """Put one request back in the queue: the one that started last, or the least urgent.

        What it computed is lost or swapped, what it generated is not.
        """
        by_priority = self.policy.order is Order.PRIORITY
        request = max(self.running, key=self._urgency) if by_priority else self.running[-1]
        self.running.remove(request)
        self.decoding.discard(request)
        # By priority it may be one that this step had scheduled already.
        scheduled = [index for index, (other, _) in enumerate(self.chunks) if other == request]
        if scheduled:
            self.budget += self.chunks.pop(scheduled[0])[1]
        if self.policy.swap is not None:
            self.kept[request] = self.computed[request]
            self.swapped += self.policy.blocks_for(self.computed[request])
        self._release(request)
        self.computed[request] = 0
        if by_priority:
            self._queue(request)
        else:
            self.waiting.insert(0, request)
        self.preemptions[request] += 1
        self.preempted += 1
        return request

    def _release(self, request: int) -> None:
        self.pool.give(self.held[request] - self.named[request])
        self.pool.release(self.names[request][: self.named[request]])
        self.held[request] = self.named[request] = 0

    def _emit(self, request: int) -> None:
        self.generated[request] += 1
        self.decoding.add(request)
        if self.generated[request] == 1:
            self.times[2, request] = self.now
        else:
            self.gaps.append(self.now - self.since[request])
        self.since[request] = self.now
        if self.generated[request] == self.output[request]:
            self.times[3, request] = self.now
            self._name(request, self.computed[request])
            self._release(request)
            self.completed += 1
            if self.unsent < len(self.requests):
                self._send(self.now)
