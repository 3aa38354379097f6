"""Engines that decode with drafts: what the draft model takes of each step, and of the memory."""

from __future__ import annotations

import dataclasses

import numpy as np

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Capacity, Deployment, capacity
from tapeout.performance.efficiency import Table
from tapeout.serving.cluster import Engine
from tapeout.serving.speculation import Speculation
from tapeout.serving.step_table import one_case, step_model
from tapeout.units import Dimensionless
from tapeout.workload.architecture import Architecture
from tapeout.workload.numerics import numerics


def drafted(engine: Engine, tokens: int, chance: Dimensionless) -> Engine:
    """`engine` with drafts of `tokens` tokens that take no time and no memory, as those looked up in the prompt nearly do."""
    free = np.zeros(engine.policy.most_sequences + 1)
    return _with(engine, Speculation(acceptance=(chance,) * tokens, draft_seconds=free))


def drafted_by(
    engine: Engine,
    draft: Architecture,
    tokens: int,
    chance: Dimensionless,
    *,
    chip: Chip,
    architecture: Architecture,
    precision: str,
    deployment: Deployment,
    prompt: int,
    output: int,
    efficiencies: Table | None = None,
) -> Engine:
    """`engine` of `deployment` with drafts of the model `draft` on the same chips.

    A draft of k tokens is k steps of the draft model after one another, at the mean context of requests of `prompt` and `output` tokens;
    its weights and its own KV cache leave fewer blocks. Raises InputError where the draft model cannot be split as `architecture` is, or
    leaves no room for such a request.
    """
    parts = Deployment(tensor=deployment.tensor, pipeline=deployment.pipeline)
    refusal = parts.refusal(draft, chip, parts.chips)
    if refusal:
        raise InputError(f"the draft model cannot be split like the model it drafts for: {refusal}", given=draft.name)
    case = one_case(chip, draft, precision, parts, efficiencies)
    sequences = np.arange(engine.policy.most_sequences + 1)
    model = step_model(case, engine.policy.most_sequences, engine.policy.most_sequences)
    seconds = tokens * model.decode_seconds(sequences, sequences * (prompt + output // 2))
    seconds[0] = 0.0
    lengths = (np.array([float(prompt)]), np.array([float(output)]))
    formats = [numerics(architecture, precision)], [numerics(draft, precision)]
    own = capacity(one_case(chip, architecture, precision, deployment, efficiencies), formats[0], *lengths)
    beside = capacity(case, formats[1], *lengths)
    blocks = int(engine.policy.blocks * _share(own, beside))
    if engine.policy.blocks_for(prompt + output) > blocks:
        raise InputError(
            "does not fit: no room for one request of full length beside the draft model",
            given=f"{beside.weights[0] / 1e9:.1f} GB of weights on each chip of {own.free[0] / 1e9:.1f} GB free", allowed="a smaller model",
        )  # fmt: skip
    changed = dataclasses.replace(engine, policy=dataclasses.replace(engine.policy, blocks=blocks))
    return _with(changed, Speculation(acceptance=(chance,) * tokens, draft_seconds=seconds))


def _share(own: Capacity, beside: Capacity) -> Dimensionless:
    """The share of the sequences that still fit where each has its place in both caches, beside the weights of both models."""
    alone, sequences = own.full_sequences[0], beside.full_sequences[0]
    if sequences <= 0:
        return 0.0
    cache = own.free[0] / alone + beside.free[0] / sequences
    return float(max(own.free[0] - beside.weights[0], 0.0) / cache / alone)


def _with(engine: Engine, speculation: Speculation) -> Engine:
    return dataclasses.replace(engine, policy=dataclasses.replace(engine.policy, speculation=speculation))
