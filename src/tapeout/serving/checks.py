"""What no engine could serve, found before it is simulated."""

from __future__ import annotations

import numpy as np

from tapeout.errors import InputError
from tapeout.serving.policy import Policy
from tapeout.serving.requests import Requests
from tapeout.serving.step_model import StepModel


def check(step_model: StepModel, requests: Requests, policy: Policy) -> None:
    """Raise InputError for what no engine could serve."""
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
