"""Step models and traces that can be followed by hand, and the plain loop on one engine."""

import dataclasses
import math

import numpy as np

from tapeout.serving import plain_cluster
from tapeout.serving.cluster import one_engine
from tapeout.serving.plain_outcome import PlainOutcome
from tapeout.serving.policy import Policy
from tapeout.serving.step_model import AttentionCost, DecodeCost, StepModel
from tapeout.traffic.requests import Requests

SIZE = 64


def flat(seconds: float, request: float = 0.0) -> StepModel:
    """Each step takes so long."""
    return StepModel(token_seconds=np.full(SIZE + 1, seconds), sequence_seconds=np.zeros(SIZE + 1), request=request)


def curved(scale: float = 1.0, request: float = 0.0) -> StepModel:
    """Every term of the model at work."""
    cost = AttentionCost(window=9.0, pair=0.003 * scale, key=0.007 * scale, token=0.002 * scale, launch=0.035 * scale)
    return StepModel(
        token_seconds=(0.3 + 0.1 * np.arange(SIZE + 1)) * scale,
        sequence_seconds=0.013 * np.arange(SIZE + 1) * scale,
        decode=(DecodeCost(key=0.01 * scale), DecodeCost(key=0.01 * scale, full=0.09 * scale, entry=0.001 * scale, longest=10.0)),
        prefill=(cost, dataclasses.replace(cost, window=math.inf)),
        decode_launch=0.05 * scale,
        decode_sequence=0.004 * scale,
        host_step=0.02 * scale,
        host_sequence=0.3 * scale,
        dispatch=0.6 * scale,
        request=request * scale,
    )


def trace(*requests: tuple[float, int, int]) -> Requests:
    """Requests as (arrival, prompt, output)."""
    arrival, prompt, output = zip(*requests, strict=True)
    return Requests(arrival=np.array(arrival, dtype=float), prompt=np.array(prompt), output=np.array(output))


def alone(step_model: StepModel, requests: Requests, policy: Policy) -> PlainOutcome:
    """`requests` served by one engine, step by step."""
    return plain_cluster.simulate(one_engine(step_model, policy), requests)
