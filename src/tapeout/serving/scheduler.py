"""Continuous batching, step by step: the plain loop that says what the simulator means.

It follows the scheduler of vLLM's V1 engine: one token budget for a step, running requests before waiting ones, chunked prefill,
first come first served, a paged KV cache, preemption of the tail with recompute, and no admission in a step that preempted.
Clear before fast: a faster kernel has to equal this loop, step for step.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.step_model import Step, StepModel
from tapeout.units import Seconds, Unit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Times = Annotated[Floats, Unit("s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits of one engine: tokens and sequences of a step, and `blocks` of `block_size` tokens in the KV cache."""

    token_budget: int
    most_sequences: int
    blocks: int
    block_size: int = 16

    def __post_init__(self) -> None:
        for name in ("token_budget", "most_sequences", "blocks", "block_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1", given=getattr(self, name))

    def blocks_for(self, tokens: int) -> int:
        """Blocks that hold `tokens` tokens of one sequence.

        >>> Policy(token_budget=8, most_sequences=2, blocks=9, block_size=16).blocks_for(17)
        2
        """
        return -(-tokens // self.block_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """A trace: `prompt` and `output` tokens of each request, and `arrival` times in order.

    With `users` it is a closed loop: `arrival` holds the times of the first `users` requests, and each completion sends the next.
    """

    arrival: Times
    prompt: Annotated[Integers, Unit("token")]
    output: Annotated[Integers, Unit("token")]
    users: int | None = None

    def __post_init__(self) -> None:
        count, timed = len(self.prompt), len(self.prompt) if self.users is None else self.users
        if count == 0:
            raise InputError("the trace is empty")
        if len(self.output) != count:
            raise InputError("prompt and output differ in length", given=f"{count} prompts, {len(self.output)} outputs")
        if not 1 <= timed <= count or len(self.arrival) != timed:
            raise InputError("wrong number of arrival times", given=len(self.arrival), allowed=f"{timed}, between 1 and {count}")
        _reject(~np.isfinite(self.arrival) | (self.arrival < 0), self.arrival, "an arrival time", "a finite time of 0 s or more")
        _reject(np.diff(self.arrival, prepend=0.0) < 0, self.arrival, "arrival times", "times in order")
        for name, tokens in (("prompt", self.prompt), ("output", self.output)):
            if not np.issubdtype(tokens.dtype, np.integer):
                raise InputError(f"{name} must hold whole numbers of tokens", given=str(tokens.dtype))
            _reject(tokens < 1, tokens, f"{name} of a request", "1 token or more")

    def __len__(self) -> int:
        return len(self.prompt)


def _reject(bad: NDArray[np.bool_], values: NDArray[np.generic], what: str, allowed: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"bad {what}, at request {row}", given=values[row], allowed=allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps in order: what each started with, how long it took, what it held. `waiting` and `blocks` stand after scheduling."""

    start: Times
    seconds: Times
    tokens: Integers
    running: Integers
    waiting: Integers
    blocks: Integers
    preempted: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened: by request its arrival, first scheduling, first token, completion and preemptions; and the steps."""

    requests: Requests
    policy: Policy
    arrival: Times
    scheduled: Times
    first_token: Times
    completion: Times
    preemptions: Integers
    steps: Steps


def simulate(step_model: StepModel, requests: Requests, policy: Policy) -> Outcome:
    """`requests` served by one engine until the last is complete; deterministic.

    Raises InputError where a request can never fit the KV cache, or where `policy` goes beyond the tables of `step_model`.
    """
    _check(step_model, requests, policy)
    engine = _Engine(step_model=step_model, requests=requests, policy=policy)
    while engine.completed < len(requests):
        engine.receive()
        if not engine.running and not engine.waiting:
            engine.now = engine.coming[0][0]
            continue
        engine.schedule_running()
        if engine.preempted == 0:
            engine.admit()
        engine.run()
    return engine.outcome()


def _check(step_model: StepModel, requests: Requests, policy: Policy) -> None:
    for name, limit, table in (
        ("token_budget", policy.token_budget, step_model.token_seconds),
        ("most_sequences", policy.most_sequences, step_model.sequence_seconds),
    ):
        if limit >= len(table):
            raise InputError(f"{name} exceeds the step model", given=limit, allowed=f"at most {len(table) - 1}")
    # The last output token is never fed back, so it needs no place.
    longest = requests.prompt + requests.output - 1
    row = int(np.argmax(longest))
    if policy.blocks_for(int(longest[row])) > policy.blocks:
        raise InputError(
            f"request {row} is longer than the KV cache",
            given=f"{longest[row]} tokens",
            allowed=f"{policy.blocks * policy.block_size} tokens",
        )


@dataclass(slots=True, kw_only=True)
class _Engine:
    """The mutable state of one simulation. `chunks` holds (request, tokens) of the step being scheduled."""

    step_model: StepModel
    requests: Requests
    policy: Policy
    now: Seconds = 0.0
    completed: int = 0
    preempted: int = 0
    budget: int = 0
    free: int = field(init=False)
    unsent: int = field(init=False)
    coming: list[tuple[Annotated[float, Unit("s")], int]] = field(default_factory=list)
    waiting: deque[int] = field(default_factory=deque)
    running: list[int] = field(default_factory=list)
    chunks: list[tuple[int, int]] = field(default_factory=list)
    prompt: list[int] = field(init=False)
    output: list[int] = field(init=False)
    computed: list[int] = field(init=False)
    generated: list[int] = field(init=False)
    held: list[int] = field(init=False)
    preemptions: list[int] = field(init=False)
    times: Times = field(init=False)
    records: list[tuple[Annotated[float, Unit("s")], Annotated[float, Unit("s")], int, int, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        count, arrival = len(self.requests), self.requests.arrival.tolist()
        self.prompt, self.output = self.requests.prompt.tolist(), self.requests.output.tolist()
        self.computed, self.generated, self.held, self.preemptions = ([0] * count for _ in range(4))
        self.times = np.full((4, count), -1.0)  # arrival, first scheduling, first token, completion
        self.free, self.unsent = self.policy.blocks, 0
        for moment in arrival:
            self._send(moment)

    def _send(self, moment: float) -> None:
        self.times[0, self.unsent] = moment
        heapq.heappush(self.coming, (moment + self.step_model.request, self.unsent))
        self.unsent += 1

    def receive(self) -> None:
        """Queue the requests that are there by now."""
        while self.coming and self.coming[0][0] <= self.now:
            self.waiting.append(heapq.heappop(self.coming)[1])

    def schedule_running(self) -> None:
        """Give each running request, in order, what it still has to compute; preempt from the tail where blocks run out."""
        self.budget, self.preempted, self.chunks = self.policy.token_budget, 0, []
        while len(self.chunks) < len(self.running) and self.budget > 0:
            request = self.running[len(self.chunks)]
            tokens = min(self._remaining(request), self.budget)
            if not self._make_room(request, tokens):
                break
            self._schedule(request, tokens)

    def admit(self) -> None:
        """Start waiting requests, in order, while tokens, places and blocks last."""
        while self.waiting and self.budget > 0 and len(self.running) < self.policy.most_sequences:
            request = self.waiting[0]
            tokens = min(self._remaining(request), self.budget)
            if self._missing(request, tokens) > self.free:
                break
            self.running.append(self.waiting.popleft())
            if self.times[1, request] < 0:
                self.times[1, request] = self.now
            self._schedule(request, tokens)

    def run(self) -> None:
        """Let the step take its time, then give its tokens to the requests that are up to date."""
        step = self._step()
        seconds = self.step_model.seconds(step)
        tokens, blocks = step.decodes + step.prefill_tokens, self.policy.blocks - self.free
        self.records.append((self.now, seconds, tokens, len(self.running), len(self.waiting), blocks, self.preempted))
        self.now += seconds
        for request, count in self.chunks:
            self.computed[request] += count
            if self._remaining(request) == 0:
                self._emit(request)
        self.running = [request for request in self.running if self.generated[request] < self.output[request]]

    def outcome(self) -> Outcome:
        """The records as arrays."""
        start, seconds, *counts = zip(*self.records, strict=True)
        tokens, running, waiting, blocks, preempted = (np.array(column, dtype=np.int64) for column in counts)
        steps = Steps(
            start=np.array(start), seconds=np.array(seconds), tokens=tokens, running=running, waiting=waiting, blocks=blocks,
            preempted=preempted,
        )  # fmt: skip
        arrival, scheduled, first_token, completion = self.times
        return Outcome(
            requests=self.requests, policy=self.policy, arrival=arrival, scheduled=scheduled, first_token=first_token,
            completion=completion, preemptions=np.array(self.preemptions, dtype=np.int64), steps=steps,
        )  # fmt: skip

    def _remaining(self, request: int) -> int:
        return self.prompt[request] + self.generated[request] - self.computed[request]

    def _missing(self, request: int, tokens: int) -> int:
        return self.policy.blocks_for(self.computed[request] + tokens) - self.held[request]

    def _schedule(self, request: int, tokens: int) -> None:
        missing = self._missing(request, tokens)
        self.held[request] += missing
        self.free -= missing
        self.budget -= tokens
        self.chunks.append((request, tokens))

    def _make_room(self, request: int, tokens: int) -> bool:
        """Preempt from the tail until `tokens` more fit; False where `request` itself had to go."""
        while self._missing(request, tokens) > self.free:
            if self._preempt_tail() == request:
                return False
        return True

    def _preempt_tail(self) -> int:
        """Put the request that started last back at the head of the queue; what it computed is lost, what it generated is not."""
        request = self.running.pop()
        self._release(request)
        self.computed[request] = 0
        self.waiting.appendleft(request)
        self.preemptions[request] += 1
        self.preempted += 1
        return request

    def _release(self, request: int) -> None:
        self.free += self.held[request]
        self.held[request] = 0

    def _emit(self, request: int) -> None:
        self.generated[request] += 1
        if self.generated[request] == 1:
            self.times[2, request] = self.now
        if self.generated[request] == self.output[request]:
            self.times[3, request] = self.now
            self._release(request)
            self.completed += 1
            if self.unsent < len(self.requests):
                self._send(self.now)

    def _step(self) -> Step:
        decodes = [self.computed[request] for request, tokens in self.chunks if tokens == 1]
        prefills = [(self.computed[request], tokens) for request, tokens in self.chunks if tokens > 1]
        return Step(
            decodes=len(decodes),
            context=sum(decodes),
            prefills=len(prefills),
            prefill_tokens=sum(tokens for _, tokens in prefills),
            prefill_context=sum(context for context, _ in prefills),
            pairs=sum(tokens * context + tokens * (tokens + 1) // 2 for context, tokens in prefills),
        )
