"""Steady state of one replica rank under continuous batching: a closed loop at a concurrency, or saturation.

In steady state each of `S` decoding sequences ends after `O` tokens, so a step must admit S / O prompts of `I` tokens. Prompts
enter whole (or in chunks of the token budget), which makes some steps mixed and the others pure decode; the mean step weighs both.
Queueing for memory and for the token budget follows from Little's law. Bursts and percentiles need the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.performance.step import Layout, step_time
from tapeout.units import Unit
from tapeout.workload.operators import Batch

Array = NDArray[np.float64]
Times = Annotated[Array, Unit("s")]
Numbers = Annotated[Array, Unit("1")]
TokenNumbers = Annotated[Array, Unit("token")]

ITERATIONS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """By case: mean time to first token and per output token, output tokens/s of the rank, sequences decoding, resource shares."""

    ttft: Times
    tpot: Times
    output_rate: Annotated[Array, Unit("token/s")]
    decoding: Numbers
    prefill_share: Numbers
    shares: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mean:
    """A mean step at `decoding` sequences: its seconds, those of a mixed step, what a prompt adds, prompts per step, resource shares."""

    seconds: Times
    mixed: Times
    prompt_seconds: Times
    admitted: Numbers
    decoding: Numbers
    prefill_share: Numbers
    shares: Times


def closed_loop(cases: Layout, prompt: TokenNumbers, output: TokenNumbers, sequences: Numbers, admitted: Numbers) -> Steady:
    """The steady state of `sequences` users who each send the next request when the last is answered.

    `admitted` caps the sequences in the replica at once (memory, scheduler); the others wait for a place.
    """
    stages = cases.sharding.pipeline
    users, places = sequences / stages, np.minimum(sequences, admitted) / stages
    # A busy replica decodes at least one sequence; ranks that share experts count it once.
    least = 1 / cases.sharding.ranks_joined
    decoding = np.maximum(places, least)
    for _ in range(ITERATIONS):
        mean = _mean_step(cases, prompt, output, decoding)
        chunks = np.maximum(1.0, prompt / cases.rates.token_budget)
        # A new prompt waits for the end of the running step, half a mean step away, then for its own; what is left of the first burst adds.
        burst = cases.rates.burst * users * mean.prompt_seconds
        first = cases.rates.host_request + mean.seconds / 2 + chunks * mean.mixed + burst
        rest = np.maximum(output - 1, 0.0) * mean.seconds
        decoding = np.maximum(places * rest / np.maximum(first + rest, 1e-30), least)
    served = mean.admitted / mean.seconds
    # Little's law: users in the loop = rate x (waiting + first token + the rest).
    queue = (users > places * 1.0001) | (mean.decoding < decoding * 0.999)
    ttft = np.where(queue, np.maximum(first, users / np.maximum(served, 1e-30) - rest), first)
    rate = users * output / (ttft + rest) * stages
    return Steady(
        ttft=ttft, tpot=mean.seconds, output_rate=rate, decoding=mean.decoding, prefill_share=mean.prefill_share, shares=mean.shares
    )


def saturated(cases: Layout, prompt: TokenNumbers, output: TokenNumbers, admitted: Numbers) -> Steady:
    """The steady state when requests never run out: every place is taken."""
    stages = cases.sharding.pipeline
    mean = _mean_step(cases, prompt, output, admitted / stages)
    chunks = np.maximum(1.0, prompt / cases.rates.token_budget)
    first = cases.rates.host_request + mean.seconds / 2 + chunks * mean.mixed
    rate = mean.decoding / mean.seconds * stages
    return Steady(
        ttft=first, tpot=mean.seconds, output_rate=rate, decoding=mean.decoding, prefill_share=mean.prefill_share, shares=mean.shares
    )


def _mean_step(cases: Layout, prompt: Array, output: Array, decoding: Array) -> _Mean:
    budget = cases.rates.token_budget
    # The budget caps the prompts of a step, and with them the sequences that can be kept decoding.
    kept = np.minimum(decoding, budget / (1 + prompt / output))
    needed = kept / output * prompt
    chunk = np.minimum(prompt, budget)
    prefill = np.minimum(np.maximum(needed, chunk), budget)
    share = np.minimum(1.0, needed / prefill)
    decode_batch = Batch(sequences=kept, new_tokens=np.asarray(1.0), context=prompt + output / 2)
    prefill_batch = Batch(sequences=prefill / chunk, new_tokens=chunk, context=(prompt - chunk) / 2)
    plain = step_time(cases, [decode_batch])
    mixed = step_time(cases, [decode_batch, prefill_batch])
    return _Mean(
        seconds=(1 - share) * plain.seconds + share * mixed.seconds,
        mixed=mixed.seconds,
        prompt_seconds=(mixed.seconds - plain.seconds) * prompt / prefill,
        admitted=kept / output,
        decoding=kept,
        prefill_share=share * (mixed.seconds - plain.seconds) / ((1 - share) * plain.seconds + share * mixed.seconds),
        shares=(1 - share) * plain.shares + share * mixed.shares,
    )
