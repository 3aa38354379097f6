"""The step model: how long one step takes, as a few tables and coefficients that `step_table` compiles from `performance`."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.step_law import StepTables, step_seconds
from tapeout.units import Dimensionless, Seconds, Tokens, Unit

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]
Times = Annotated[Floats, Unit("s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step computes: `decodes` sequences with one new token each, and `drafts` to check, on `context` cached tokens in all.

    Its `prefills` sequences bring `prefill_tokens` to `prefill_context` cached tokens, which makes `pairs` of query and key.
    """

    decodes: int = 0
    drafts: int = 0
    context: int = 0
    prefills: int = 0
    prefill_tokens: int = 0
    prefill_context: int = 0
    pairs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeCost:
    """Seconds of attention in decode over all layers of one kind: a `key` read, no more a sequence than `full`.

    Whatever the number of sequences, `entry` passes for each token of the mean sequence, `longest` of them at most.
    """

    key: Seconds
    full: Seconds = math.inf
    entry: Seconds = 0.0
    longest: Tokens = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCost:
    """Seconds of attention in prefill over all layers of one kind, as one call: launch + sqrt(compute^2 + memory^2) + what is serial.

    Compute is `pair` for each pair of query and key, of which a query meets `window` at most. A sequence spans its end, or the window
    and `reach` for each new token. Memory is `key` for each token spanned, `token` for each new one and `score` for each pair; serial
    are `entry` for each token that the mean sequence spans, `query` for each new token and `sequence` for each sequence. It counts
    where the mean sequence ends `above` a number of tokens and not `below` another.
    """

    window: Tokens = math.inf
    above: Tokens = 0.0
    below: Tokens = math.inf
    pair: Seconds = 0.0
    key: Seconds = 0.0
    token: Seconds = 0.0
    score: Seconds = 0.0
    reach: Dimensionless = 1.0
    launch: Seconds = 0.0
    entry: Seconds = 0.0
    query: Seconds = 0.0
    sequence: Seconds = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrenceCost:
    """Seconds of layers of one kind that keep a state, in prefill: launch + sqrt(compute^2 + turns^2 + memory^2).

    Compute is `alone` for each token and `together` for each token and other of its `chunk`; turns are `serial` for each token of the
    mean sequence; memory is `sequence` for each state and `token` for each token.
    """

    alone: Seconds
    together: Seconds
    chunk: Tokens
    serial: Seconds
    sequence: Seconds
    token: Seconds
    launch: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StepModel:
    """How long a step takes, as tables: all that the simulator knows of a chip, a model and a deployment.

    `token_seconds[t]` is what a step of `t` tokens takes besides attention and states, `sequence_seconds[s]` what `s` sequences add
    to that; decode launches its attention in `decode_launch` and takes `decode_sequence` a sequence. The host takes `host_step`;
    beside the chip, and counted where it is slower, it works `host_sequence` on each sequence, and in a step with prompts `dispatch`
    on the launches of all operators, with decode `decode_dispatch` more. `request` passes between the arrival of a request and its
    place in the queue.
    """

    token_seconds: Times
    sequence_seconds: Times
    decode: tuple[DecodeCost, ...] = ()
    prefill: tuple[AttentionCost, ...] = ()
    recurrent: tuple[RecurrenceCost, ...] = ()
    decode_launch: Seconds = 0.0
    decode_sequence: Seconds = 0.0
    host_step: Seconds = 0.0
    host_sequence: Seconds = 0.0
    dispatch: Seconds = 0.0
    decode_dispatch: Seconds = 0.0
    request: Seconds = 0.0

    def __post_init__(self) -> None:
        for name in ("token_seconds", "sequence_seconds"):
            table = getattr(self, name)
            if not (len(table) > 1 and np.isfinite(table).all() and (table >= 0).all()):
                raise InputError(f"{name} must hold finite times of 0 or more, for 0, 1, 2, ...", given=f"{len(table)} entries")

    def tables(self) -> StepTables:
        """The model as the arrays that `step_law` takes."""
        host = (self.decode_launch, self.decode_sequence, self.host_step, self.host_sequence, self.dispatch, self.decode_dispatch)
        return StepTables(
            tokens=np.asarray(self.token_seconds, dtype=float),
            sequences=np.asarray(self.sequence_seconds, dtype=float),
            decode=_rows(self.decode, DecodeCost),
            prefill=_rows(self.prefill, AttentionCost),
            recurrent=_rows(self.recurrent, RecurrenceCost),
            host=np.array(host, dtype=float),
        )

    def seconds(self, step: Step) -> float:
        """The time of `step`; raises InputError where it goes beyond the tables.

        >>> model = StepModel(token_seconds=np.array([0.0, 2.0, 3.0]), sequence_seconds=np.zeros(3))
        >>> model.seconds(Step(decodes=2, context=100))
        3.0
        """
        tokens, sequences = step.decodes + step.drafts + step.prefill_tokens, step.decodes + step.prefills
        if tokens >= len(self.token_seconds) or sequences >= len(self.sequence_seconds):
            raise InputError("the step exceeds the step model", given=f"{tokens} tokens of {sequences} sequences")
        return step_seconds(self.tables(), *dataclasses.astuple(step))

    def decode_seconds(self, decodes: Integers, context: Integers) -> Times:
        """The times of steps of nothing but `decodes` single tokens on `context` cached tokens in all, as arrays.

        >>> model = StepModel(token_seconds=np.array([0.0, 2.0, 3.0]), sequence_seconds=np.zeros(3), decode=(DecodeCost(key=0.5),))
        >>> model.decode_seconds(np.array([1, 2]), np.array([9, 8]))
        array([7., 8.])
        """
        keys = context + decodes
        work = self.token_seconds[decodes] + self.sequence_seconds[decodes] + (self.decode_launch + self.decode_sequence * decodes)
        for cost in self.decode:
            full = cost.full * decodes if math.isfinite(cost.full) else math.inf
            work = work + np.minimum(cost.key * keys, full) + cost.entry * np.minimum(keys / np.maximum(decodes, 1), cost.longest)
        found: Times = self.host_step + np.maximum(work, self.host_sequence * decodes)
        return found


def _rows(costs: tuple[DecodeCost | AttentionCost | RecurrenceCost, ...], kind: type) -> Floats:
    rows = [dataclasses.astuple(cost) for cost in costs]
    return np.array(rows, dtype=float).reshape(len(rows), len(dataclasses.fields(kind)))
