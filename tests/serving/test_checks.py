"""What no cluster could serve is refused, and what just fits is not."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving.cluster import Cluster, Engine, Link, Phase, Pool
from tapeout.serving.plain_cluster import simulate
from tapeout.serving.policy import Policy
from tapeout.serving.speculation import Speculation

from .schedules import SIZE, alone, flat, trace

SMALL = Policy(token_budget=8, most_sequences=2, blocks=2, block_size=4)


def test_a_request_longer_than_the_cache_is_refused_and_one_that_just_fits_is_not() -> None:
    assert alone(flat(1.0), trace((0, 5, 4)), SMALL).steps[0].blocks.max() == 2
    with pytest.raises(InputError, match=r"request 1 is longer than the KV cache, given '9 tokens', allowed: 8 tokens"):
        alone(flat(1.0), trace((0, 1, 1), (0, 5, 5)), SMALL)


def test_each_pool_is_checked_for_the_requests_that_come_to_it() -> None:
    engine = Engine(step_model=flat(1.0), policy=SMALL)
    large = dataclasses.replace(engine, policy=dataclasses.replace(SMALL, blocks=3))
    # Prompts of up to 4 tokens go to the small pool, others to the large one.
    cluster = Cluster(pools=(Pool(engine=engine, longest=4), Pool(engine=large)))
    assert simulate(cluster, trace((0, 4, 5), (0, 8, 5))).engine.tolist() == [0, 1]
    for first, second in ((6, 5), (5, 6)):
        with pytest.raises(InputError, match="longer than the KV cache"):
            simulate(cluster, trace((0, 4, first), (0, 8, second)))


def test_prefill_needs_room_for_prompts_and_decode_for_all() -> None:
    engine = Engine(step_model=flat(1.0), policy=SMALL)
    large = dataclasses.replace(engine, policy=dataclasses.replace(SMALL, blocks=3))
    cluster = Cluster(pools=(Pool(engine=engine, phase=Phase.PREFILL), Pool(engine=large, phase=Phase.DECODE)), link=Link(token=0.0))
    assert (simulate(cluster, trace((0, 8, 5), (0, 8, 1))).completion > 0).all()
    with pytest.raises(InputError, match=r"request 0 is longer than the KV cache.*, given '9 tokens', allowed: 8 tokens"):
        simulate(cluster, trace((0, 9, 1)))
    with pytest.raises(InputError, match=r"request 1 is longer than the KV cache.*, given '13 tokens', allowed: 12 tokens"):
        simulate(cluster, trace((0, 1, 1), (0, 8, 6)))


def test_a_policy_beyond_the_tables_is_refused() -> None:
    for name in ("token_budget", "most_sequences"):
        policy = dataclasses.replace(Policy(token_budget=8, most_sequences=2, blocks=9), **{name: SIZE + 1})
        with pytest.raises(InputError, match=f"{name} exceeds the step model, given 65, allowed: at most 64"):
            alone(flat(1.0), trace((0, 1, 1)), policy)
    speculation = Speculation(acceptance=(0.5,), draft_seconds=np.zeros(3))
    for most in (2, 3):
        policy = Policy(token_budget=8, most_sequences=most, blocks=9, speculation=speculation)
        if most == 2:
            assert alone(flat(1.0), trace((0, 1, 1)), policy).totals[0].steps == 1
        else:
            with pytest.raises(InputError, match="most_sequences exceeds the times of drafts, given 3, allowed: at most 2"):
                alone(flat(1.0), trace((0, 1, 1)), policy)
