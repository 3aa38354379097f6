"""The step model: how long one step takes, as a few tables and coefficients that `step_table` compiles from `performance`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.units import Seconds, Tokens, Unit

Times = Annotated[NDArray[np.float64], Unit("s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step computes: `decodes` sequences with one new token each on `context` cached tokens in all.

    Its `prefills` sequences bring `prefill_tokens` to `prefill_context` cached tokens, which makes `pairs` of query and key.
    """

    decodes: int = 0
    context: int = 0
    prefills: int = 0
    prefill_tokens: int = 0
    prefill_context: int = 0
    pairs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCost:
    """Seconds of attention over all layers of one kind: a key read in decode; in prefill a pair computed, a key and a token moved.

    `window` is the most keys that a query sees.
    """

    window: Tokens
    decode_key: Seconds
    pair: Seconds
    key: Seconds
    token: Seconds

    def decode(self, step: Step) -> float:
        """Seconds of the decoding sequences, each taken at their mean context; without launch."""
        return self.decode_key * min(step.context + step.decodes, step.decodes * self.window)

    def prefill(self, step: Step) -> float:
        """Seconds of the prefill chunks as one call, the root of the squared sum of compute and memory; without launch."""
        compute = self.pair * min(step.pairs, step.prefill_tokens * self.window)
        keys = min(step.prefill_context, step.prefills * self.window) + step.prefill_tokens
        memory = self.key * keys + self.token * step.prefill_tokens
        return math.sqrt(compute * compute + memory * memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepModel:
    """How long a step takes, as tables: all that the simulator knows of a chip, a model and a deployment.

    `token_seconds[t]` is what a step of `t` tokens takes besides attention, `sequence_seconds[s]` what `s` sequences add to that;
    `request` passes between the arrival of a request and its place in the queue.
    """

    token_seconds: Times
    sequence_seconds: Times
    attention: tuple[AttentionCost, ...] = ()
    decode_launch: Seconds = 0.0
    decode_sequence: Seconds = 0.0
    prefill_launch: Seconds = 0.0
    request: Seconds = 0.0

    def __post_init__(self) -> None:
        for name in ("token_seconds", "sequence_seconds"):
            table = getattr(self, name)
            if not (len(table) > 1 and np.isfinite(table).all() and (table >= 0).all()):
                raise InputError(f"{name} must hold finite times of 0 or more, for 0, 1, 2, ...", given=f"{len(table)} entries")

    def seconds(self, step: Step) -> float:
        """The time of `step`.

        >>> model = StepModel(token_seconds=np.array([0.0, 2.0, 3.0]), sequence_seconds=np.zeros(3))
        >>> model.seconds(Step(decodes=2, context=100))
        3.0
        """
        total = float(self.token_seconds[step.decodes + step.prefill_tokens]) + float(self.sequence_seconds[step.decodes + step.prefills])
        if step.decodes:
            total += self.decode_launch + self.decode_sequence * step.decodes + sum(cost.decode(step) for cost in self.attention)
        if step.prefills:
            total += self.prefill_launch + sum(cost.prefill(step) for cost in self.attention)
        return total
