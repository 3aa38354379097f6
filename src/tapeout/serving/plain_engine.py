"""One engine, step by step and request by request: the plain loop that says what the simulator means.

It follows the scheduler of vLLM's V1 engine: one token budget for a step, running requests before waiting ones, chunked prefill,
first come first served or by priority, a paged KV cache whose blocks are found again by what they hold, preemption with recompute
or swap, no admission in a step that preempted, and drafts that are checked beside the token they follow; or, prompts first, the order of
SGLang, whose steps hold either prompts or decodes. Clear before fast: `simulator` has to equal this, step for step.
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tapeout.serving.cluster import DRAWS, Engine, Phase
from tapeout.serving.plain_blocks import BlockPool
from tapeout.serving.policy import Order, Policy
from tapeout.serving.speculation import accepted_draws, draw_at
from tapeout.serving.step_law import StepTables, step_seconds
from tapeout.units import Seconds


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """A request on its way: what it asks, what it has got, and what it holds where it is now.

    `computed` tokens of it are in the KV cache; `kept` ones wait on the host after a swap, `carried` ones have come over the link. It
    holds `held` blocks, of which the first `named` have names. `rank` is its place among all that its engine has received.
    """

    number: int
    prompt: int
    output: int
    priority: int = 0
    names: tuple[int, ...] = ()
    arrival: Seconds = -1.0
    scheduled: Seconds = -1.0
    first_token: Seconds = -1.0
    last_token: Seconds = -1.0
    completion: Seconds = -1.0
    engine: int = -1
    preemptions: int = 0
    retries: int = 0
    found: int = 0
    rank: int = 0
    computed: int = 0
    generated: int = 0
    held: int = 0
    named: int = 0
    kept: int = 0
    carried: int = 0
    decoding: bool = False

    @property
    def remaining(self) -> int:
        """Tokens to compute before the next token is given."""
        return self.prompt + self.generated - self.computed

    def forget(self) -> None:
        """Lose all that was computed and given, to begin anew."""
        self.computed = self.generated = self.held = self.named = self.kept = self.carried = self.found = 0
        self.scheduled = self.first_token = -1.0
        self.decoding = False


class Record(NamedTuple):
    """One step of an engine; `waiting` and `blocks` stand after scheduling, `tokens` are all that were scheduled."""

    start: float
    seconds: float
    tokens: int
    decodes: int
    context: int
    running: int
    waiting: int
    blocks: int
    preempted: int


@dataclass(slots=True, kw_only=True, eq=False)
class PlainEngine:
    """The mutable state of one engine. `chunks` are the requests of the step being scheduled, each with its tokens.

    `inbox` holds what was delivered and the time from which it can be received, `answered` the time of each answer so far. An engine that
    is `stalled` has requests waiting and no blocks for the first, because all are held by prompts on the link.
    """

    number: int
    engine: Engine
    phase: Phase
    seed: int
    tables: StepTables = field(init=False)
    draws: list[int] = field(init=False)
    blocks: BlockPool = field(init=False)
    inbox: deque[tuple[Seconds, Request]] = field(default_factory=deque)
    waiting: list[Request] = field(default_factory=list)
    running: list[Request] = field(default_factory=list)
    chunks: list[tuple[Request, int]] = field(default_factory=list)
    answered: list[Seconds] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    gaps: list[Seconds] = field(default_factory=list)
    received: int = 0
    budget: int = 0
    preempted: int = 0
    swapped: int = 0
    stalled: bool = False

    def __post_init__(self) -> None:
        speculation = self.policy.speculation
        self.tables = self.engine.step_model.tables()
        self.draws = [] if speculation is None else accepted_draws(speculation, DRAWS, self.seed).tolist()
        self.blocks = BlockPool(size=self.policy.blocks)

    @property
    def policy(self) -> Policy:
        """The limits and rules of this engine."""
        return self.engine.policy

    @property
    def busy(self) -> bool:
        """Whether it has something to schedule."""
        return bool(self.running) or (bool(self.waiting) and not self.stalled)

    # ---------------------------------------------------------------- what routing sees

    def load(self, now: Seconds) -> int:
        """Requests delivered and not answered by `now`; a step under way may already have answered some later than that."""
        return len(self.inbox) + len(self.waiting) + len(self.running) + len(self.answered) - bisect.bisect_right(self.answered, now)

    def cached(self, request: Request) -> int:
        """Leading blocks of a new `request` that are in the cache."""
        return len(self.blocks.found(self._names(request)[: (request.prompt - 1) // self.policy.block_size]))

    # ---------------------------------------------------------------- one step: receive, schedule, seconds, record, emit

    def receive(self, now: Seconds) -> None:
        """Queue the requests that are there by `now`."""
        while self.inbox and self.inbox[0][0] <= now:
            request = self.inbox.popleft()[1]
            request.rank = self.received
            self.received += 1
            self.stalled = False
            self._queue(request)

    def schedule(self, now: Seconds) -> None:
        """Fill a step: running requests before waiting ones, and where the policy says so, prompts of either before those who decode."""
        self.budget, self.preempted, self.swapped, self.chunks = self.policy.token_budget, 0, 0, []
        first = self.policy.prompts_first
        self._schedule_running([request for request in self.running if not (first and request.decoding)])
        if self.preempted == 0:
            self._admit(now)
        if first and not self.chunks:
            self._schedule_running([request for request in self.running if request.decoding])
        self.stalled = self.phase is Phase.PREFILL and not self.running and self.preempted == 0

    def seconds(self) -> float:
        """The time of the scheduled step, were this engine alone."""
        decodes = self._decodes()
        drafts = sum(tokens - 1 for _, tokens in decodes)
        prefills = [(request.computed, tokens) for request, tokens in self.chunks if (request, tokens) not in decodes]
        prefill_tokens = sum(tokens for _, tokens in prefills)
        prefill_context = sum(context for context, _ in prefills)
        pairs = sum(tokens * context + tokens * (tokens + 1) // 2 for context, tokens in prefills)
        context = sum(request.computed for request, _ in decodes)
        seconds = step_seconds(self.tables, len(decodes), drafts, context, len(prefills), prefill_tokens, prefill_context, pairs)
        seconds += (self.policy.swap or 0.0) * self.swapped
        if self.policy.speculation is not None:
            emitting = sum(tokens >= request.remaining for request, tokens in self.chunks)
            seconds += float(self.policy.speculation.draft_seconds[emitting])
        return seconds

    def record(self, start: Seconds, seconds: Seconds) -> None:
        """Note the scheduled step, which takes as long as that of the slowest rank."""
        decodes = self._decodes()
        self.records.append(
            Record(
                start=start, seconds=seconds, tokens=sum(tokens for _, tokens in self.chunks), decodes=len(decodes),
                context=sum(request.computed for request, _ in decodes), running=len(self.running), waiting=len(self.waiting),
                blocks=self.policy.blocks - len(self.blocks.free), preempted=self.preempted,
            )
        )  # fmt: skip

    def emit(self, now: Seconds) -> list[Request]:
        """Give the tokens of the step that ends `now`; the requests answered, complete or for the link, in the order of their start."""
        answered = []
        for request, tokens in self.chunks:
            drafts = tokens - 1 if request.decoding else 0
            accepted = min(self.draws[draw_at(request.number, request.generated, DRAWS)], drafts) if drafts else 0
            request.computed += tokens - drafts + accepted
            if request.remaining <= 0:
                self._emit(request, 1 + accepted, now)
                if request.generated == (1 if self.phase is Phase.PREFILL else request.output):
                    self._answer(request, now)
                    answered.append(request)
        self.running = [request for request in self.running if request not in answered]
        return answered

    # ---------------------------------------------------------------- when it goes

    def stop(self) -> list[Request]:
        """Lose the cache and all requests that are not answered: those running, waiting and to be received, in this order."""
        lost = [*self.running, *self.waiting, *(request for _, request in self.inbox)]
        self.running, self.waiting, self.inbox, self.blocks = [], [], deque(), BlockPool(size=self.policy.blocks)
        self.stalled = False
        return lost

    def release(self, request: Request) -> None:
        """Give back the blocks of `request`."""
        # Full blocks of an answer have content that another engine would name, even where the trace does not.
        full = max(request.computed // self.policy.block_size - request.named, 0)
        self.blocks.give(full)
        self.blocks.give(request.held - request.named - full, empty=True)
        self.blocks.release(self._names(request)[: request.named])
        request.held = request.named = 0

    # ---------------------------------------------------------------- scheduling

    def _queue(self, request: Request) -> None:
        if self.policy.order is Order.PRIORITY:
            bisect.insort(self.waiting, request, key=_urgency)
        else:
            self.waiting.append(request)

    def _schedule_running(self, requests: list[Request]) -> None:
        """Give each of `requests`, in order, what it still has to compute; preempt where blocks run out."""
        for request in requests:
            if request not in self.running:
                continue
            if self.budget == 0:
                break
            tokens = self._chunk(request)
            if not self._make_room(request, tokens):
                break
            self._schedule(request, tokens)

    def _admit(self, now: Seconds) -> None:
        """Start waiting requests, in order, while tokens, places and blocks last."""
        while self.waiting and self.budget > 0 and len(self.running) < self.policy.most_sequences:
            request = self.waiting[0]
            # The last token is computed anew even where all of its block is there, for what follows it.
            most = (request.prompt + request.generated - 1) // self.policy.block_size
            names = self.blocks.found(self._names(request)[:most])
            request.computed = request.carried or request.kept or len(names) * self.policy.block_size
            tokens = self._chunk(request)
            asked = request.computed + tokens if self.policy.admits_by_chunk else request.prompt + request.generated
            missing = self.policy.blocks_for(asked) - len(names)
            if missing + self.blocks.unheld(names) > len(self.blocks.free):
                request.computed = 0
                break
            self.blocks.hold(names)
            request.held = request.named = len(names)
            self.swapped += self.policy.blocks_for(request.kept)
            request.kept = request.carried = 0
            self.running.append(self.waiting.pop(0))
            if request.scheduled < 0:
                request.scheduled = now
                request.found = len(names) * self.policy.block_size
            self._schedule(request, tokens)

    def _chunk(self, request: Request) -> int:
        asked = request.remaining
        if self.policy.speculation is not None and request.decoding:
            asked += min(self.policy.speculation.tokens, request.output - request.generated - 1)
        return min(asked, self.policy.chunk or self.policy.token_budget, self.budget)

    def _schedule(self, request: Request, tokens: int) -> None:
        missing = self._missing(request, tokens)
        self.blocks.take(missing)
        request.held += missing
        self.budget -= tokens
        self.chunks.append((request, tokens))
        # Blocks are findable from the step on that fills them; those of an answer once it is complete.
        self._name(request, min(request.prompt, request.computed + tokens))

    def _missing(self, request: Request, tokens: int) -> int:
        return self.policy.blocks_for(request.computed + tokens) - request.held

    def _make_room(self, request: Request, tokens: int) -> bool:
        """Preempt until `tokens` more fit; False where `request` itself had to go."""
        while self._missing(request, tokens) > len(self.blocks.free):
            if self._preempt() is request:
                return False
        return True

    def _preempt(self) -> Request:
        """Put one request back in the queue: the one that started last, or the least urgent.

        What it computed is lost or swapped, what it generated is not.
        """
        by_priority = self.policy.order is Order.PRIORITY
        request = max(self.running, key=_urgency) if by_priority else self.running[-1]
        self.running.remove(request)
        request.decoding = False
        # By priority it may be one that this step had scheduled already.
        self.budget += sum(tokens for other, tokens in self.chunks if other is request)
        self.chunks = [(other, tokens) for other, tokens in self.chunks if other is not request]
        if self.policy.swap is not None:
            request.kept = request.computed
            self.swapped += self.policy.blocks_for(request.computed)
        self.release(request)
        request.computed = 0
        if by_priority:
            self._queue(request)
        else:
            self.waiting.insert(0, request)
        request.preemptions += 1
        self.preempted += 1
        return request

    # ---------------------------------------------------------------- tokens and names

    def _decodes(self) -> list[tuple[Request, int]]:
        """Of the scheduled requests those with one token, and those that decode with drafts."""
        return [(request, tokens) for request, tokens in self.chunks if tokens == 1 or request.decoding]

    def _emit(self, request: Request, tokens: int, now: Seconds) -> None:
        if request.generated == 0:
            request.first_token = now
        else:
            self.gaps.append(now - request.last_token)
        request.generated += tokens
        request.last_token = now
        request.decoding = True
        surplus = request.held - self.policy.blocks_for(request.computed)
        self.blocks.give(surplus, empty=True)
        request.held -= surplus

    def _answer(self, request: Request, now: Seconds) -> None:
        request.decoding = False
        self._name(request, request.computed)
        self.answered.append(now)
        if request.generated == request.output:
            self.release(request)
            request.completion = now
            request.engine = self.number

    def _names(self, request: Request) -> tuple[int, ...]:
        return request.names if self.policy.prefix_caching else ()

    def _name(self, request: Request, tokens: int) -> None:
        names = self._names(request)
        for name in names[request.named : min(len(names), tokens // self.policy.block_size)]:
            self.blocks.name(name)
            request.named += 1


def _urgency(request: Request) -> tuple[int, int]:
    return request.priority, request.rank
