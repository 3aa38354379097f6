"""The link over which prefill hands its KV cache to decode, from what a token holds and how fast chips reach beyond their domain."""

from __future__ import annotations

import numpy as np

from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.performance.efficiency import Table
from tapeout.serving.cluster import Link
from tapeout.serving.step_table import one_case
from tapeout.units import Bytes, Tokens
from tapeout.workload.architecture import Architecture
from tapeout.workload.footprint import kv_bytes_per_sequence
from tapeout.workload.numerics import numerics


def link(
    chip: Chip,
    architecture: Architecture,
    precision: str,
    sender: Deployment,
    receiver: Deployment,
    *,
    prompt: Tokens,
    efficiencies: Table | None = None,
) -> Link:
    """The link from an engine of `sender` to one of `receiver` for prompts of about `prompt` tokens.

    All chips of an engine send their part at once, at the rate that an all-gather reaches between scale-up domains; micro-batches of
    a pipeline share it. The end whose chips hold more of a sequence sets the pace. A state that no context makes larger is part of
    the latency, with the start of a message. Where layers look back on a window, a token counts as much as it does on the mean of the
    prompt.
    """
    ends = [_held(chip, architecture, precision, one, prompt, efficiencies) for one in (sender, receiver)]
    constant, growing = (max(end[part] for end in ends) for part in (0, 1))
    found = one_case(chip, architecture, precision, sender, efficiencies).rates
    bandwidth = float(found.gather_out_bytes[0]) / sender.pipeline
    return Link(token=growing / prompt / bandwidth, latency=float(found.gather_launch[0]) + constant / bandwidth)


def _held(
    chip: Chip, architecture: Architecture, precision: str, deployment: Deployment, prompt: Tokens, efficiencies: Table | None
) -> tuple[Bytes, Bytes]:
    """Bytes of a sequence on one chip that no context makes larger, and those that `prompt` tokens add."""
    case = one_case(chip, architecture, precision, deployment, efficiencies)
    cache = np.full(len(case.case), numerics(architecture, precision).kv_cache)
    constant, whole = (
        float(kv_bytes_per_sequence(case.shapes, case.row_sharding, np.full(len(case.case), tokens), cache).sum())
        for tokens in (0.0, prompt)
    )
    return constant, whole - constant
