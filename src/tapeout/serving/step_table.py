"""Step models compiled from `performance`: the step of one deployment taken apart into tables that the simulator adds up again.

Besides attention a step depends on its tokens and on its sequences, each alone; attention depends on keys and pairs. Both are
read off `step_time` and the operators once, so the simulator never calls back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment, capacity
from tapeout.performance.rates import rates
from tapeout.performance.roofline import OperatorTime, operator_time
from tapeout.performance.step import Layout, layout, step_time
from tapeout.serving.scheduler import Policy
from tapeout.serving.step_model import AttentionCost, StepModel
from tapeout.units import Unit
from tapeout.workload.architecture import Architecture
from tapeout.workload.numerics import numerics
from tapeout.workload.operators import Batch, Operator, Role, Sharding, operators
from tapeout.workload.shapes import shapes

Floats = NDArray[np.float64]
Times = Annotated[Floats, Unit("s")]
ATTENTION = (Role.PREFILL_ATTENTION, Role.DECODE_ATTENTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One attention rank of a deployment: how long its steps take and the limits of its scheduler."""

    step_model: StepModel
    policy: Policy


def engine(
    chip: Chip, architecture: Architecture, precision: str, deployment: Deployment, *, prompt: int, output: int, block_size: int = 16
) -> Engine:
    """The engine of one rank of `deployment`, with the KV blocks that the memory leaves beside the weights.

    `prompt` and `output` are the longest request: a model whose layers look back on a window takes less cache a token, the longer
    the sequence. Ranks of one replica are taken as equally loaded. Raises InputError where the deployment is impossible, where
    such a request does not fit, and for pipelines, whose micro-batches this simulator does not follow.
    """
    if deployment.pipeline > 1:
        raise InputError("the simulator does not follow the micro-batches of a pipeline", given=f"pp {deployment.pipeline}", allowed="pp 1")
    refusal = deployment.refusal(architecture, chip, deployment.chips)
    if refusal:
        raise InputError(refusal, given=architecture.name)
    case = _layout(chip, architecture, precision, deployment)
    longest = float(prompt + output)
    room = capacity(case, [numerics(architecture, precision)], np.array([float(prompt)]), np.array([float(output)]))
    if not room.fits[0]:
        raise InputError(
            "does not fit: no room for one request of full length", given=f"{room.free[0] / 1e9:.1f} GB left beside the weights",
            hint=f"{architecture.name} needs more than {deployment.chips} x {chip.id} at {precision}, or shorter requests",
        )  # fmt: skip
    policy = Policy(
        token_budget=int(case.rates.token_budget[0]),
        most_sequences=int(case.rates.most_sequences[0]),
        blocks=int(room.full_sequences[0] * longest / block_size),
        block_size=block_size,
    )
    return Engine(step_model=step_model(case, policy.token_budget, policy.most_sequences), policy=policy)


def _layout(chip: Chip, architecture: Architecture, precision: str, deployment: Deployment) -> Layout:
    parts = (deployment.tensor, deployment.pipeline, deployment.expert)
    tensor, pipeline, expert = (np.array([float(part)]) for part in parts)
    sharding = Sharding(tensor=tensor, pipeline=pipeline, expert=expert)
    found = rates([(chip, numerics(architecture, precision))])
    return layout(shapes(architecture), np.array([len(architecture.groups)]), sharding, found)


def step_model(case: Layout, token_budget: int, most_sequences: int) -> StepModel:
    """The tables of the one case in `case`, for steps of up to `token_budget` tokens and `most_sequences` sequences.

    Equal to `step_time` for steps of equal sequences, but for layers with a window, whose pairs are bounded, not counted.
    """
    tokens = np.arange(1.0, max(token_budget, most_sequences) + 1)
    one_sequence = _beside_attention(case, sequences=np.ones_like(tokens), new_tokens=tokens)
    decodes = tokens[:most_sequences]
    # The same tokens as one sequence and as many: the difference is what sequences cost.
    sequences = _beside_attention(case, sequences=decodes, new_tokens=np.ones_like(decodes)) - one_sequence[:most_sequences]
    decode_once, decode_twice = (_attention_rows(case, sequences=count, new_tokens=1.0, context=0.0) for count in (1.0, 2.0))
    prefill, prefill_later = (_attention_rows(case, sequences=1.0, new_tokens=2.0, context=context) for context in (0.0, 1.0))
    key = prefill_later.memory - prefill.memory
    terms = zip(
        case.shapes.window, decode_once.seconds - decode_once.launch, prefill.compute / 3, key, prefill.memory / 2 - key, strict=True
    )
    decode_sequence = float(np.sum(decode_twice.launch - decode_once.launch))
    return StepModel(
        token_seconds=np.concatenate(([0.0], one_sequence)),
        # Rounding may leave a difference of equal times a hair below zero.
        sequence_seconds=np.concatenate(([0.0], np.maximum(sequences, 0.0))),
        attention=tuple(
            AttentionCost(window=float(window), decode_key=float(decode), pair=float(pair), key=float(read), token=float(moved))
            for window, decode, pair, read, moved in terms
        ),
        decode_launch=float(np.sum(decode_once.launch)) - decode_sequence,
        decode_sequence=decode_sequence,
        prefill_launch=float(np.sum(prefill.launch)),
        request=float(case.rates.host_request[0]),
    )


def _beside_attention(case: Layout, *, sequences: Floats, new_tokens: Floats) -> Times:
    """Seconds of steps of one batch each, without attention and with the host."""
    many = _repeated(case, len(sequences))
    batch = Batch(sequences=sequences, new_tokens=new_tokens, context=np.zeros_like(sequences))
    row = Batch(sequences=sequences[many.case], new_tokens=new_tokens[many.case], context=np.zeros(len(many.case)))
    attention = sum((part.calls * operator_time(part, many.row_rates).seconds for part in _attention(many, [row])), np.zeros(()))
    return step_time(many, [batch]).seconds - np.add.reduceat(attention, many.starts)


def _repeated(case: Layout, count: int) -> Layout:
    rows, first = np.tile(np.arange(len(case.case)), count), np.zeros(count, dtype=np.int64)
    sharding = Sharding(tensor=case.sharding.tensor[first], pipeline=case.sharding.pipeline[first], expert=case.sharding.expert[first])
    return layout(case.shapes.take(rows), np.full(count, len(case.case)), sharding, case.rates.take(first))


def _attention(case: Layout, batches: Sequence[Batch]) -> list[Operator]:
    return [part for part in operators(case.shapes, batches, case.row_sharding) if part.role in ATTENTION]


def _attention_rows(case: Layout, *, sequences: float, new_tokens: float, context: float) -> OperatorTime:
    """Attention of one batch by layer group, all its calls together."""
    batch = Batch(sequences=np.array(sequences), new_tokens=np.array(new_tokens), context=np.array(context))
    (part,) = _attention(case, [batch])
    time = operator_time(part, case.row_rates)
    seconds, compute, memory, launch = (
        np.broadcast_to(part.calls * value, case.case.shape) for value in (time.seconds, time.compute, time.memory, time.launch)
    )
    return OperatorTime(seconds=seconds, compute=compute, memory=memory, network=time.network, launch=launch)
