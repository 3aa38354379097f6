"""Laws of what a change of the input does to the output, to the bit, on random clusters with all options mixed.

8. All times by two give all times by two.
9. Prefix caching where nothing is shared changes nothing.
10. Urgency alike for all is none; and a limit that never binds is none.
"""

import dataclasses
import typing
from typing import Any

import numpy as np
import pytest

from tapeout.serving.cluster import Cluster, Pool
from tapeout.serving.outcome import Outcome
from tapeout.serving.policy import Order
from tapeout.traffic.requests import Names, Requests
from tapeout.units import Unit

from .configurations import random_run
from .simulation import RUNS, clustered

TIMES = ("arrival", "scheduled", "first_token", "completion")
COUNTS = ("preemptions", "retries", "found", "engine")
STEP_COUNTS = ("tokens", "decodes", "context", "running", "waiting", "blocks", "preempted")


def _counts_seconds(hint: Any) -> bool:
    """Whether a type is one of seconds, in all or by token."""
    if any(isinstance(part, Unit) and part.symbol in ("s", "s/token") for part in getattr(hint, "__metadata__", ())):
        return True
    return any(_counts_seconds(part) for part in typing.get_args(hint))


def scaled(value: Any, factor: float) -> Any:
    """Whatever `value` holds in seconds, as the types of its fields say, by `factor`."""
    if isinstance(value, tuple):
        return tuple(scaled(one, factor) for one in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    hints, changes = typing.get_type_hints(type(value), include_extras=True), {}
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        seconds = held is not None and not isinstance(held, tuple) and _counts_seconds(hints[field.name])
        changes[field.name] = factor * held if seconds and not dataclasses.is_dataclass(held) else scaled(held, factor)
    return type(value)(**changes)


def differences(one: Outcome, other: Outcome, factor: float = 1.0) -> list[str]:
    """The names of what differs between two runs, of which the times of the second are to be `factor` times those of the first."""
    found = [name for name in TIMES if not np.array_equal(factor * getattr(one, name), getattr(other, name))]
    found += [name for name in COUNTS if not np.array_equal(getattr(one, name), getattr(other, name))]
    for ours, theirs in zip(one.steps, other.steps, strict=True):
        found += [name for name in STEP_COUNTS if not np.array_equal(getattr(ours, name), getattr(theirs, name))]
        found += [name for name in ("start", "seconds") if not np.array_equal(factor * getattr(ours, name), getattr(theirs, name))]
    return found


def with_policies(cluster: Cluster, **changes: Any) -> Cluster:
    def changed(pool: Pool) -> Pool:
        policy = dataclasses.replace(pool.engine.policy, **changes)
        return dataclasses.replace(pool, engine=dataclasses.replace(pool.engine, policy=policy))

    return dataclasses.replace(cluster, pools=tuple(changed(pool) for pool in cluster.pools))


@pytest.mark.parametrize("factor", [2.0, 0.125])
def test_8_all_times_by_two_give_all_times_by_two(factor: float) -> None:
    busy = 0
    for seed in RUNS:
        cluster, requests = random_run(seed)
        once, changed = clustered(cluster, requests), clustered(scaled(cluster, factor), scaled(requests, factor))
        assert differences(once, changed, factor) == []
        busy += bool(cluster.failures) and cluster.link is not None
    assert busy > len(RUNS) / 15


def test_8_all_that_takes_time_is_scaled() -> None:
    """What the law above rests on: nothing in seconds is forgotten, and nothing else is touched."""
    cluster, _ = random_run(next(seed for seed in RUNS if random_run(seed)[0].failures and random_run(seed)[0].link))
    changed = scaled(cluster, 2.0)
    assert changed.link.token == 2 * cluster.link.token
    assert changed.failures[0].restart == 2 * cluster.failures[0].restart
    model, twice = cluster.pools[0].engine.step_model, changed.pools[0].engine.step_model
    assert (twice.token_seconds == 2 * model.token_seconds).all()
    assert twice.request == 2 * model.request
    assert [cost.key for cost in twice.decode] == [2 * cost.key for cost in model.decode]
    assert [cost.longest for cost in twice.decode] == [cost.longest for cost in model.decode]
    assert [cost.window for cost in twice.prefill] == [cost.window for cost in model.prefill]


def test_9_prefix_caching_where_nothing_is_shared_changes_nothing() -> None:
    """But where a request lost its place: it may find again what it had computed."""
    same = 0
    for seed in RUNS:
        cluster, requests = random_run(seed)
        size = next(pool.engine.policy.block_size for pool in cluster.pools)
        counts = requests.prompt // size
        start = np.concatenate(([0], np.cumsum(counts)))
        own = dataclasses.replace(requests, names=Names(name=np.arange(start[-1]), start=start, block=size))
        plain = with_policies(cluster, swap=None, prefix_caching=False, block_size=size, blocks=4000)
        cached = with_policies(plain, prefix_caching=True)
        without, having = clustered(plain, own), clustered(cached, own)
        if without.preemptions.any() or without.retries.any():
            continue
        assert having.found.sum() == 0
        assert differences(without, having) == []
        same += 1
    assert same > 0.4 * len(RUNS)


def test_10_urgency_alike_for_all_is_none() -> None:
    for seed in RUNS:
        cluster, requests = random_run(seed)
        first = with_policies(cluster, order=Order.FIRST_COME)
        alike = dataclasses.replace(requests, priority=np.full(len(requests), 7))
        assert differences(clustered(first, alike), clustered(with_policies(cluster, order=Order.PRIORITY), alike)) == []


def test_10_a_chunk_as_long_as_the_budget_is_no_limit() -> None:
    for seed in RUNS:
        cluster, requests = random_run(seed)
        largest = max(pool.engine.policy.token_budget for pool in cluster.pools)
        without, with_limit = with_policies(cluster, chunk=None), with_policies(cluster, chunk=largest)
        assert differences(clustered(without, requests), clustered(with_limit, requests)) == []


def test_a_difference_is_found() -> None:
    found = 0
    for seed in RUNS[:20]:
        cluster, requests = random_run(seed)
        other = Requests(
            arrival=requests.arrival, prompt=requests.prompt, output=np.maximum(requests.output - 1, 1), users=requests.users,
            priority=requests.priority,
        )  # fmt: skip
        found += differences(clustered(cluster, requests), clustered(cluster, other)) != []
    assert found > 10
