"""Laws of every simulation, on random clusters with all options mixed.

1. Every request is completed, once, by an engine that may do so.
2. Tokens are conserved: an engine computes what its requests hold, and what was lost again.
3. Blocks are conserved: an engine never uses more than it has, exactly what its tokens fill, and none when all is done.
4. The clock never goes back: steps of an engine follow one another, and ranks of a replica step together.
5. Nothing comes before its cause: arrival, first step, first token, completion; answers come at ends of steps.
6. No engine idles while a request that it could serve is there.
7. The same input gives the same output to the bit, and a seed decides what is left to chance.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving.cluster import Cluster, Phase
from tapeout.serving.outcome import Outcome
from tapeout.serving.step_model import Step
from tapeout.traffic.requests import Requests

from .configurations import random_run
from .simulation import RUNS, clustered, ends, pools_by_engine

TIMES = ("arrival", "scheduled", "first_token", "completion")


@pytest.fixture(scope="module")
def runs() -> list[tuple[Cluster, Requests, Outcome]]:
    found = []
    for seed in RUNS:
        cluster, requests = random_run(seed)
        found.append((cluster, requests, clustered(cluster, requests)))
    return found


def alone(plainly: bool) -> Iterator[tuple[Cluster, Requests, Outcome]]:
    """Runs of single engines; `plainly` without what computes tokens twice or not at all."""
    for seed in RUNS:
        cluster, requests = random_run(seed)
        pool = dataclasses.replace(cluster.pools[0], replicas=1, ranks=1, phase=Phase.BOTH, longest=math.inf, autoscaling=None)
        if plainly:
            policy = dataclasses.replace(pool.engine.policy, prefix_caching=False, speculation=None, block_size=1, swap=None)
            pool = dataclasses.replace(pool, engine=dataclasses.replace(pool.engine, policy=policy))
        cluster = dataclasses.replace(cluster, pools=(pool,), link=None, failures=())
        try:
            yield cluster, requests, clustered(cluster, requests)
        except InputError:
            # Its cache is too small for requests that another pool took.
            continue


def test_1_every_request_is_completed_once_by_an_engine_that_may(runs: list[tuple[Cluster, Requests, Outcome]]) -> None:
    phases = set()
    for cluster, requests, run in runs:
        pools = pools_by_engine(cluster)
        assert len(run.completion) == len(requests)
        assert np.isfinite(run.completion).all()
        for row, number in enumerate(run.engine.tolist()):
            pool = pools[number]
            # A first token alone is complete where it was computed.
            assert pool.phase is not (Phase.PREFILL if requests.output[row] > 1 else Phase.DECODE)
            assert pool.phase is Phase.DECODE or requests.prompt[row] <= pool.longest
            phases.add(pool.phase)
    assert phases == set(Phase)
    assert sum((run.retries > 0).any() for _, _, run in runs) > len(RUNS) / 15


def test_2_an_engine_computes_the_tokens_of_its_requests() -> None:
    """Each token but the last of an answer is computed once, and again after a preemption."""
    once = again = 0
    for _, requests, run in alone(plainly=True):
        computed, needed = int(run.steps[0].tokens.sum()), int((requests.prompt + requests.output - 1).sum())
        if run.totals[0].preemptions:
            assert computed > needed
            again += 1
        else:
            assert computed == needed
            once += 1
    assert min(once, again) > len(RUNS) / 8


def test_3_blocks_in_use_are_what_tokens_fill_and_never_more_than_there_are(runs: list[tuple[Cluster, Requests, Outcome]]) -> None:
    full = 0
    for cluster, _, run in runs:
        for pool, steps in zip(pools_by_engine(cluster), run.steps, strict=True):
            if len(steps.blocks):
                assert steps.blocks.min() >= 0
                assert steps.blocks.max() <= pool.engine.policy.blocks
                full += int(steps.blocks.max() == pool.engine.policy.blocks)
    assert full > len(RUNS) / 6
    exact = 0
    for _, requests, run in alone(plainly=True):
        if run.totals[0].preemptions == 0:
            steps, held = run.steps[0], requests.prompt + requests.output - 1
            gone = np.array([held[run.completion <= start].sum() for start in steps.start])
            assert (steps.blocks == np.cumsum(steps.tokens) - gone).all()
            exact += 1
    assert exact > len(RUNS) / 8


def test_3_an_engine_that_is_done_is_as_it_was() -> None:
    """The same requests once more, long after, see what they saw the first time: nothing is left of the first."""
    seen = 0
    for cluster, requests, run in alone(plainly=False):
        if requests.users is not None or cluster.noise or cluster.pools[0].engine.policy.prefix_caching:
            continue
        policy = dataclasses.replace(cluster.pools[0].engine.policy, speculation=None)
        engine = dataclasses.replace(cluster.pools[0].engine, policy=policy)
        cluster = dataclasses.replace(cluster, pools=(dataclasses.replace(cluster.pools[0], engine=engine),))
        later = 2.0 ** math.ceil(math.log2(run.completion.max() + 1) + 2)
        twice = Requests(
            arrival=np.concatenate([requests.arrival, requests.arrival + later]),
            prompt=np.tile(requests.prompt, 2), output=np.tile(requests.output, 2),
            priority=None if requests.priority is None else np.tile(requests.priority, 2),
        )  # fmt: skip
        both, count = clustered(cluster, twice), len(requests)
        for name in TIMES:
            times = getattr(both, name)
            assert times[count:] - later == pytest.approx(times[:count], abs=1e-9 * later)
        assert both.preemptions[count:].tolist() == both.preemptions[:count].tolist()
        seen += int(both.preemptions.any())
    assert seen > len(RUNS) / 15


def test_4_the_clock_never_goes_back_and_ranks_step_together(runs: list[tuple[Cluster, Requests, Outcome]]) -> None:
    together = 0
    for cluster, _, run in runs:
        for steps in run.steps:
            assert (steps.start[1:] >= ends(steps)[:-1]).all()
            assert (steps.seconds >= 0).all()
        first = 0
        for pool in cluster.pools:
            for _ in range(pool.slots):
                spans = dict[float, float]()
                for steps in run.steps[first : first + pool.ranks]:
                    for start, seconds in zip(steps.start.tolist(), steps.seconds.tolist(), strict=True):
                        together += start in spans
                        assert spans.setdefault(start, seconds) == seconds
                order = sorted(spans)
                assert all(one + spans[one] <= other for one, other in itertools.pairwise(order))
                first += pool.ranks
    assert together > 3 * len(RUNS)


def test_4_a_step_of_ranks_takes_as_long_as_the_slowest_needs(runs: list[tuple[Cluster, Requests, Outcome]]) -> None:
    """Where all of them decode alone, what each needs is known from outside."""
    slower = 0
    for cluster, _, run in runs:
        first = 0
        for pool in cluster.pools:
            plain = pool.engine.policy.speculation is None and pool.engine.policy.swap is None and cluster.noise == 0
            if not plain or pool.ranks == 1:
                first += pool.slots * pool.ranks
                continue
            for _ in range(pool.slots):
                needs = dict[float, list[float]]()
                taken = dict[float, float]()
                for steps in run.steps[first : first + pool.ranks]:
                    columns = (steps.start, steps.seconds, steps.tokens, steps.decodes, steps.context)
                    for start, seconds, tokens, decodes, context in zip(*(column.tolist() for column in columns), strict=True):
                        alone = pool.engine.step_model.seconds(Step(decodes=decodes, context=context)) if tokens == decodes else math.inf
                        needs.setdefault(start, []).append(alone)
                        taken[start] = seconds
                first += pool.ranks
                for start, each in needs.items():
                    if max(each) < math.inf:
                        assert taken[start] == pytest.approx(max(each), rel=1e-12)
                        slower += min(each) < max(each)
    assert slower > len(RUNS) / 3


def test_5_nothing_comes_before_its_cause(runs: list[tuple[Cluster, Requests, Outcome]]) -> None:
    handed = 0
    for cluster, requests, run in runs:
        pools = pools_by_engine(cluster)
        assert (run.arrival >= 0).all()
        if requests.users is None:
            assert (run.arrival == requests.arrival).all()
        assert (run.scheduled >= run.arrival).all()
        assert (run.first_token >= run.scheduled).all()
        assert (run.completion >= run.first_token).all()
        for row, number in enumerate(run.engine.tolist()):
            steps = run.steps[number]
            assert run.completion[row] in ends(steps)
            if pools[number].phase is Phase.DECODE:
                assert cluster.link is not None
                travel = requests.prompt[row] * cluster.link.token + cluster.link.latency
                assert run.completion[row] >= run.first_token[row] + travel * (1 - 1e-9)
                handed += 1
            elif run.retries[row] == 0:
                assert run.scheduled[row] >= run.arrival[row] + pools[number].engine.step_model.request
                assert run.first_token[row] in ends(steps)
                assert run.scheduled[row] in steps.start
    assert handed > 1.5 * len(RUNS)


def test_6_no_engine_idles_while_a_request_waits() -> None:
    idle = 0
    for cluster, _, run in alone(plainly=False):
        steps, overhead = run.steps[0], cluster.pools[0].engine.step_model.request
        for end, start in zip(ends(steps)[:-1], steps.start[1:], strict=True):
            if start > end:
                there = run.arrival + overhead <= end
                assert (run.completion[there] <= end).all()
                # It wakes for the first that comes.
                assert start == (run.arrival + overhead)[~there].min()
                idle += 1
    assert idle > len(RUNS)


def test_7_the_same_input_gives_the_same_output_and_a_seed_decides_chance() -> None:
    noisy = 0
    for seed in RUNS:
        cluster, requests = random_run(seed)
        first, again = clustered(cluster, requests), clustered(cluster, requests)
        other = clustered(dataclasses.replace(cluster, seed=cluster.seed + 1), requests)
        for name in TIMES:
            assert (getattr(first, name) == getattr(again, name)).all()
        chance = cluster.noise > 0 or any(pool.engine.policy.speculation for pool in cluster.pools)
        noisy += int((first.completion != other.completion).any())
        assert chance or (first.completion == other.completion).all()
    assert noisy > len(RUNS) / 8
