"""Laws of pools, links, failures and autoscaling, against closed forms and by what each promises.

11. Prefill and decode apart, one engine each over an infinite link, are two queues in a row.
12. A link delays by its latency and by what each prompt weighs, one after the other.
13. Replicas in turn are so many engines alone, each with its share of the requests.
14. A replica that is down computes nothing; what it had is computed again elsewhere or later, once.
15. Autoscaling keeps between its bounds, and pays for no more than it may.
"""

import dataclasses
import math

import numpy as np
import pytest

from tapeout.serving.cluster import Autoscaling, Cluster, Engine, Failure, Link, Phase, Pool, Routing, failures
from tapeout.serving.compiled import COMPILES
from tapeout.serving.policy import Policy
from tapeout.serving.step_model import StepModel
from tapeout.traffic.requests import Requests, some_of

from .closeness import agrees
from .configurations import random_run
from .simulation import RUNS, clustered, served, simulated

# A prompt of any length takes a second alone, and a token after it ten milliseconds whatever else is decoded. Ten tokens in a step, of
# which a prompt has as many and decodes hardly ever, would take a second.
PREFILL = Engine(
    step_model=StepModel(token_seconds=np.full(101, 1.0), sequence_seconds=np.zeros(2)),
    policy=Policy(token_budget=100, most_sequences=1, blocks=10_000),
)
DECODE = Engine(
    step_model=StepModel(token_seconds=np.where(np.arange(2001) < 10, 0.01, 1.0), sequence_seconds=np.zeros(2001)),
    policy=Policy(token_budget=2000, most_sequences=2000, blocks=100_000),
)
COUNT = 8000


def apart(link: Link, prefill: int = 1, decode: int = 1) -> Cluster:
    pools = (Pool(engine=PREFILL, replicas=prefill, phase=Phase.PREFILL), Pool(engine=DECODE, replicas=decode, phase=Phase.DECODE))
    return Cluster(pools=pools, link=link)


def poisson(rate: float, seed: int, count: int = COUNT, mean: int = 40) -> Requests:
    generator = np.random.default_rng(seed)
    return Requests(
        arrival=np.cumsum(generator.exponential(1 / rate, count)), prompt=generator.integers(10, 100, count),
        output=1 + generator.geometric(1 / mean, count),
    )  # fmt: skip


@pytest.mark.skipif(not COMPILES, reason="takes minutes without numba, which the package depends on")
@pytest.mark.parametrize("load", [0.3, 0.8])
def test_11_one_engine_each_over_an_infinite_link_are_two_queues_in_a_row(load: float) -> None:
    """The first is M/D/1, whatever the second does; in the second nobody waits but for a step to end, so each stays its own time."""
    waits, starts, present = [], [], []
    for seed in range(16):
        requests = poisson(load, seed)
        run = served(apart(Link(token=0.0)), requests)
        waits.append(float((run.scheduled - run.arrival)[1000:].mean()))
        assert run.first_token == pytest.approx(run.scheduled + 1.0, rel=1e-12)
        # From the first token to the end of the first step that decodes, then a step for each token that is left.
        first = run.completion - run.first_token - 0.01 * (requests.output - 2)
        assert first.min() > 0.01 - 1e-9
        assert first.max() < 0.02 + 1e-9
        starts.append(float(first[1000:].mean()) - 0.01)
        moments = np.linspace(run.first_token[1000], run.arrival[-1], 4000)
        there = np.searchsorted(np.sort(run.first_token), moments) - np.searchsorted(np.sort(run.completion), moments)
        present.append(float(there.mean()))
    assert agrees(waits, load / (2 * (1 - load)))
    # Little's law for the second queue, of a mean stay that the steps give.
    assert agrees(present, load * (np.mean(starts) + 0.01 * 40))


def test_11_apart_is_the_prefill_engine_alone_up_to_the_first_token() -> None:
    requests = poisson(0.7, 5, count=500)
    run = clustered(apart(Link(token=0.0)), requests)
    alone = simulated(PREFILL.step_model, dataclasses.replace(requests, output=np.ones_like(requests.output)), PREFILL.policy)
    assert (run.first_token == alone.completion).all()
    # And from there the decode engine alone, of requests that come as prompts of a token with all the rest computed.
    later = dataclasses.replace(requests, arrival=run.first_token, prompt=np.ones_like(requests.prompt), output=requests.output - 1)
    rest = simulated(DECODE.step_model, later, DECODE.policy)
    assert (run.completion == rest.completion).all()


def test_12_a_link_sends_one_prompt_after_the_other_and_takes_its_latency() -> None:
    link = Link(token=0.02, latency=0.5)
    requests = poisson(0.9, 3, count=500)
    run = clustered(apart(link), requests)
    free = 0.0
    for row in np.argsort(run.first_token).tolist():
        free = max(free, float(run.first_token[row])) + float(requests.prompt[row]) * link.token
        there = free + link.latency
        begun = run.completion[row] - 0.01 * (requests.output[row] - 1)
        assert there - 1e-9 <= begun <= there + 0.01 + 1e-9


@pytest.mark.parametrize("engines", [2, 3])
def test_13_replicas_in_turn_are_engines_alone(engines: int) -> None:
    requests = poisson(1.5, 7, count=600)
    run = clustered(Cluster(pools=(Pool(engine=PREFILL, replicas=engines),)), requests)
    assert (run.engine == np.arange(600) % engines).all()
    for place in range(engines):
        rows = np.arange(place, 600, engines)
        alone = simulated(PREFILL.step_model, some_of(requests, rows), PREFILL.policy)
        assert (run.completion[rows] == alone.completion).all()


@pytest.mark.parametrize("routing", list(Routing))
def test_14_a_replica_that_is_down_computes_nothing_and_what_it_had_is_computed_once_more(routing: Routing) -> None:
    cluster = Cluster(pools=(Pool(engine=PREFILL, replicas=2), Pool(engine=PREFILL, replicas=1)), routing=routing)
    broken = dataclasses.replace(cluster, failures=failures(cluster, between=150.0, restart=40.0, until=600.0, seed=3))
    requests = poisson(1.2, 9, count=800, mean=2)
    run = clustered(broken, requests)
    assert len(run.completion) == 800
    lost = int(run.retries.sum())
    assert lost > 5
    numbers = {(0, 0): 0, (0, 1): 1, (1, 0): 2}
    for failure in broken.failures:
        start = run.steps[numbers[failure.pool, failure.replica]].start
        assert not ((start > failure.at) & (start < failure.at + failure.restart)).any()
    # One step at least of each loss is computed in vain, or none where it had not begun.
    needed = int((requests.prompt + requests.output - 1).sum())
    computed = sum(int(steps.tokens.sum()) for steps in run.steps)
    assert needed <= computed <= needed + lost * 100
    unbroken = clustered(cluster, requests)
    assert (run.completion - run.arrival).mean() > (unbroken.completion - unbroken.arrival).mean()


def test_14_one_failure_by_hand() -> None:
    cluster = dataclasses.replace(Cluster(pools=(Pool(engine=PREFILL),)), failures=(Failure(pool=0, replica=0, at=2.5, restart=10.0),))
    requests = Requests(arrival=np.array([0.0, 2.0, 4.0]), prompt=np.array([50, 50, 50]), output=np.array([1, 2, 2]))
    run = clustered(cluster, requests)
    # The second is lost after the step that ends at 3; it and the third, which comes while the replica is down, start when it is up.
    assert run.completion.tolist() == [1.0, 14.5, 16.5]
    assert run.retries.tolist() == [0, 1, 0]


def test_15_autoscaling_keeps_between_its_bounds() -> None:
    grown = 0
    for seed in RUNS:
        cluster, requests = random_run(seed)
        run = clustered(cluster, requests)
        span, number = float(run.completion.max() - run.arrival.min()), 0
        for pool in cluster.pools:
            powered = sum(run.totals[number + slot * pool.ranks].powered for slot in range(pool.slots))
            number += pool.slots * pool.ranks
            least = pool.autoscaling.least if pool.autoscaling else pool.replicas
            # What starts before the first request counts from there, and what ends after the last answer to there.
            assert least * span * (1 - 1e-9) <= powered <= pool.slots * span * (1 + 1e-9)
            grown += pool.autoscaling is not None and least * span * 1.01 < powered < pool.slots * span * 0.99
    assert grown > len(RUNS) / 10


def test_15_autoscaling_follows_a_burst_and_lets_go() -> None:
    scaling = Autoscaling(least=1, most=4, target=2.0, interval=1.0, start_up=3.0, patience=5.0)
    pool = Pool(engine=PREFILL, autoscaling=scaling)
    requests = Requests(arrival=np.concatenate([np.full(30, 10.0), [200.0]]), prompt=np.full(31, 50), output=np.ones(31, dtype=np.int64))
    run = clustered(Cluster(pools=(pool,), routing=Routing.LEAST_LOADED), requests)
    # All go to the one that is there; those that start in answer find no more of them to take.
    assert run.completion[:30].max() == pytest.approx(40.0)
    powered = [totals.powered for totals in run.totals]
    assert powered[0] == pytest.approx(191.0)
    # Started by the tick at 10 or 11, for at least the patience, and off long before the last request.
    assert all(5.0 <= seconds <= 50.0 for seconds in powered[1:])
    assert math.isclose(run.completion[30], 201.0)
