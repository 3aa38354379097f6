"""Step models compiled from `performance`: the step of one deployment taken apart into tables that the simulator adds up again.

Besides attention and states a step depends on its tokens and on its sequences, each alone; attention depends on keys and pairs. All
are read off the operators and their times once, so the simulator never calls back.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment, capacity
from tapeout.performance.efficiency import Table
from tapeout.performance.rates import rates
from tapeout.performance.roofline import operator_time
from tapeout.performance.step import Layout, layout
from tapeout.serving.cluster import Engine
from tapeout.serving.policy import Policy
from tapeout.serving.probes import BATCHED, decode_costs, decode_launches, prefill_costs, recurrence_costs, repeated
from tapeout.serving.step_model import StepModel
from tapeout.units import Unit
from tapeout.workload.architecture import Architecture
from tapeout.workload.numerics import numerics
from tapeout.workload.operators import Batch, Sharding, operators
from tapeout.workload.shapes import shapes

Floats = NDArray[np.float64]
Times = Annotated[Floats, Unit("s")]


def engine(
    chip: Chip,
    architecture: Architecture,
    precision: str,
    deployment: Deployment,
    *,
    prompt: int,
    output: int,
    block_size: int = 16,
    efficiencies: Table | None = None,
) -> Engine:
    """The engine of one rank of `deployment`, or of one micro-batch of its pipeline, with the KV blocks that the memory leaves.

    `prompt` and `output` are the longest request: a model whose layers look back on a window, or keep a state, takes less cache a
    token, the longer the sequence. A pipeline of n stages has n micro-batches, each with its part of the cache and of the sequences,
    whose step is a pass through all stages. Ranks of one replica are taken as equally loaded. Coefficients as in `predict`. Raises
    InputError where the deployment is impossible or such a request does not fit.
    """
    refusal = deployment.refusal(architecture, chip, deployment.chips)
    if refusal:
        raise InputError(refusal, given=architecture.name)
    case = one_case(chip, architecture, precision, deployment, efficiencies)
    longest = float(prompt + output)
    room = capacity(case, [numerics(architecture, precision)], np.array([float(prompt)]), np.array([float(output)]))
    sequences = float(room.full_sequences[0]) / deployment.pipeline
    if sequences < 1:
        free = room.free[0] / 1e9
        raise InputError(
            "does not fit: no room for one request of full length" + (" in each micro-batch" if deployment.pipeline > 1 else ""),
            given=f"{free:.1f} GB left beside the weights" if free > 0 else f"weights {-free:.1f} GB above the memory",
            hint=f"{architecture.name} needs more than {deployment.chips} x {chip.id} at {precision}, or shorter requests",
        )  # fmt: skip
    policy = Policy(
        token_budget=int(case.rates.token_budget[0]),
        most_sequences=max(int(case.rates.most_sequences[0]) // deployment.pipeline, 1),
        blocks=int(sequences * longest / block_size),
        block_size=block_size,
    )
    return Engine(step_model=step_model(case, policy.token_budget, policy.most_sequences), policy=policy)


def one_case(chip: Chip, architecture: Architecture, precision: str, deployment: Deployment, efficiencies: Table | None = None) -> Layout:
    """The layout of one deployment alone."""
    parts = (deployment.tensor, deployment.pipeline, deployment.expert)
    tensor, pipeline, expert = (np.array([float(part)]) for part in parts)
    sharding = Sharding(tensor=tensor, pipeline=pipeline, expert=expert)
    found = rates([(chip, numerics(architecture, precision))], efficiencies)
    return layout(shapes(architecture), np.array([len(architecture.groups)]), sharding, found)


def step_model(case: Layout, token_budget: int, most_sequences: int) -> StepModel:
    """The tables of the one case in `case`, for steps of up to `token_budget` tokens and `most_sequences` sequences.

    Equal to `step_time` for steps whose prompts are equal and whose decoding sequences are equal. Where they differ, decoding under full
    attention stays exact; windows, choices of the context and states are taken at the mean sequence, and prompts as one call.
    """
    tokens = np.arange(1.0, max(token_budget, most_sequences) + 1)
    one_sequence = _beside(case, sequences=np.ones_like(tokens), new_tokens=tokens)
    decodes = tokens[:most_sequences]
    # The same tokens as one sequence and as many: the difference is what sequences cost.
    sequences = _beside(case, sequences=decodes, new_tokens=np.ones_like(decodes)) - one_sequence[:most_sequences]
    launch, each = decode_launches(case)
    prompts, with_decode = _calls(case, (2.0,)), _calls(case, (1.0, 2.0))
    found = case.rates
    return StepModel(
        token_seconds=np.concatenate(([0.0], one_sequence)),
        # Rounding may leave a difference of equal times a hair below zero.
        sequence_seconds=np.concatenate(([0.0], np.maximum(sequences, 0.0))),
        decode=decode_costs(case),
        prefill=prefill_costs(case),
        recurrent=recurrence_costs(case),
        decode_launch=launch,
        decode_sequence=each,
        host_step=float(found.host_step[0]),
        host_sequence=float(found.host_sequence[0]),
        dispatch=float(found.host_dispatch[0]) * prompts,
        decode_dispatch=float(found.host_dispatch[0]) * (with_decode - prompts),
        request=float(found.host_request[0]),
    )


def _beside(case: Layout, *, sequences: Floats, new_tokens: Floats) -> Times:
    """Seconds of the operators of steps of one batch each, without those of single batches and without the host."""
    many = repeated(case, len(sequences))
    row = Batch(sequences=sequences[many.case], new_tokens=new_tokens[many.case], context=np.zeros(len(many.case)))
    parts = [part for part in operators(many.shapes, [row], many.row_sharding) if part.role not in BATCHED]
    seconds = sum((part.calls * operator_time(part, many.row_rates).seconds for part in parts), np.zeros(len(many.case)))
    return np.add.reduceat(seconds, many.starts)


def _calls(case: Layout, new_tokens: tuple[float, ...]) -> float:
    """Operators that a step launches whose batches bring these tokens each."""
    batches = [Batch(sequences=np.ones(()), new_tokens=np.array(new), context=np.zeros(())) for new in new_tokens]
    return float(sum(np.sum(np.broadcast_to(part.calls, case.case.shape)) for part in operators(case.shapes, batches, case.row_sharding)))
