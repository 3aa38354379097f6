"""What no cluster could serve, found before it is simulated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.cluster import Cluster, Engine, Phase
from tapeout.traffic.requests import Requests


def check(cluster: Cluster, requests: Requests) -> None:
    """Raise InputError for a request that no pool takes or that is too long for an engine it may come to, and for bad engines."""
    limits = np.array(sorted({pool.longest for pool in cluster.pools if pool.phase is not Phase.DECODE}))
    limit = limits[np.minimum(np.searchsorted(limits, requests.prompt), len(limits) - 1)]
    if (requests.prompt > limit).any():
        row = int(np.argmax(requests.prompt > limit))
        raise InputError(
            f"no pool takes request {row}", given=f"a prompt of {requests.prompt[row]} tokens", allowed=f"at most {limits[-1]:g} tokens"
        )
    handed = np.isin(limit, [pool.longest for pool in cluster.pools if pool.phase is Phase.PREFILL]) & (requests.output > 1)
    for place, pool in enumerate(cluster.pools):
        own = handed if pool.phase is Phase.DECODE else limit == pool.longest
        # The last output token is never fed back, so it needs no place.
        held = requests.prompt + (0 if pool.phase is Phase.PREFILL else requests.output - 1)
        _check_engine(pool.engine, np.where(own, held, 0), "" if len(cluster.pools) == 1 else f" of pool {place}")


def _check_engine(engine: Engine, held: NDArray[np.int64], where: str) -> None:
    policy, model = engine.policy, engine.step_model
    tables = [("token_budget", policy.token_budget, model.token_seconds), ("most_sequences", policy.most_sequences, model.sequence_seconds)]
    for name, limit, table in tables:
        if limit >= len(table):
            raise InputError(f"{name}{where} exceeds the step model", given=limit, allowed=f"at most {len(table) - 1}")
    speculation = policy.speculation
    if speculation is not None and policy.most_sequences >= len(speculation.draft_seconds):
        raise InputError(
            f"most_sequences{where} exceeds the times of drafts",
            given=policy.most_sequences, allowed=f"at most {len(speculation.draft_seconds) - 1}",
        )  # fmt: skip
    row = int(np.argmax(held))
    if policy.blocks_for(int(held[row])) > policy.blocks:
        raise InputError(
            f"request {row} is longer than the KV cache{where}",
            given=f"{held[row]} tokens", allowed=f"{policy.blocks * policy.block_size} tokens",
        )  # fmt: skip
