"""Metrics of an outcome worked out by hand, and relations that hold for every run."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving import plain_cluster
from tapeout.serving.cluster import Autoscaling, Cluster, Engine, Failure, Pool, one_engine
from tapeout.serving.metrics import Slo, Summary, attained, end_to_end, inter_token, percentiles, queueing, summary, tpot, ttft
from tapeout.serving.outcome import Outcome
from tapeout.serving.policy import Policy
from tapeout.serving.simulator import simulate
from tapeout.serving.step_model import StepModel
from tapeout.traffic.arrivals import poisson
from tapeout.traffic.requests import Requests
from tapeout.workload.traffic import Lengths

from .simulation import simulated

MODEL = StepModel(token_seconds=np.full(65, 1.0), sequence_seconds=np.zeros(65))


@pytest.fixture
def outcome() -> Outcome:
    """Steps of 1 s from 1 s: A from 1 to 4; B arrives at 1.5, waits for 2, ends at 4; nothing until C at 8, which ends at 9."""
    requests = Requests(arrival=np.array([1.0, 1.5, 8.0]), prompt=np.array([4, 4, 4]), output=np.array([3, 2, 1]))
    return simulated(MODEL, requests, Policy(token_budget=8, most_sequences=8, blocks=10, block_size=4))


def test_latencies_by_request(outcome: Outcome) -> None:
    assert queueing(outcome).tolist() == [0, 0.5, 0]
    assert ttft(outcome).tolist() == [1, 1.5, 1]
    assert tpot(outcome).tolist() == [1, 1, 0]
    assert end_to_end(outcome).tolist() == [3, 2.5, 1]


def test_an_slo_counts_both_limits(outcome: Outcome) -> None:
    assert attained(outcome, Slo()).tolist() == [True, True, True]
    assert attained(outcome, Slo(ttft=1.0)).tolist() == [True, False, True]
    assert attained(outcome, Slo(tpot=0.5)).tolist() == [False, False, True]
    assert attained(outcome, Slo(ttft=1.4, tpot=1.0)).tolist() == [True, False, True]


def test_the_summary_by_hand(outcome: Outcome) -> None:
    found = summary(outcome, Slo(ttft=1.0))
    assert (found.requests, found.steps, found.preemptions, found.duration) == (3, 4, 0, 8.0)
    assert found.utilisation == 4 / 8
    assert (found.request_rate, found.output_rate) == (3 / 8, 6 / 8)
    assert (found.slo_attainment, found.goodput) == (2 / 3, 2 / 8)
    # Blocks of 4 tokens: A alone 1, then A 2 and B 1, then A 2 and B 2, then C 1; a second each.
    assert found.kv_occupancy == pytest.approx((1 + 3 + 4 + 1) / 10 / 8)
    assert found.kv_occupancy_peak == 0.4
    assert found.ttft.mean == pytest.approx(3.5 / 3)
    assert found.tpot is not None
    assert found.tpot.mean == 1.0


def test_rows_choose_the_requests_of_latencies_alone(outcome: Outcome) -> None:
    found = summary(outcome, rows=slice(2, 3))
    assert found.tpot is None
    assert found.ttft.p99 == 1.0
    assert found.requests == 3


def test_times_between_tokens_are_those_of_the_tokens_one_by_one() -> None:
    # Too few blocks for two: who has to go has its next token late.
    requests = Requests(arrival=np.array([0.0, 0.5, 4.0, 4.0]), prompt=np.array([4, 4, 12, 4]), output=np.array([9, 9, 3, 1]))
    policy = Policy(token_budget=8, most_sequences=8, blocks=5, block_size=4)
    model = dataclasses.replace(MODEL, token_seconds=1.0 + 0.1 * np.arange(65))
    plain, fast = plain_cluster.simulate(one_engine(model, policy), requests), simulated(model, requests, policy)
    assert plain.preemptions.any()
    assert len(plain.gaps) == int((requests.output - 1).sum()) > len(fast.late_gaps) > 0
    found = inter_token(fast)
    assert found is not None
    assert (found.p50, found.p90, found.p99) == pytest.approx(tuple(np.percentile(plain.gaps, [50, 90, 99])))
    assert found.mean == pytest.approx(float(plain.gaps.mean()))
    one = Requests(arrival=np.array([0.0]), prompt=np.array([4]), output=np.array([1]))
    assert inter_token(simulated(MODEL, one, policy)) is None


def test_percentiles_interpolate_and_refuse_nothing() -> None:
    found = percentiles(np.arange(101.0))
    assert (found.mean, found.p50, found.p90, found.p99) == (50, 50, 90, 99)
    with pytest.raises(InputError, match="no requests"):
        percentiles(np.array([]))


def test_a_higher_rate_is_slower_on_the_mean_and_a_stricter_slo_has_less_goodput() -> None:
    def run(rate: float) -> Summary:
        policy = Policy(token_budget=64, most_sequences=16, blocks=200)
        requests = poisson(400, rate, Lengths(prompt=40, output=20, shortest=0.5), seed=2)
        return summary(simulated(MODEL, requests, policy), Slo(ttft=3.0))

    calm, busy = run(0.2), run(0.9)
    assert busy.ttft.mean > calm.ttft.mean
    assert busy.utilisation > calm.utilisation
    assert busy.kv_occupancy > calm.kv_occupancy
    assert busy.slo_attainment < calm.slo_attainment
    for found in (calm, busy):
        assert found.ttft.p50 <= found.ttft.p90 <= found.ttft.p99
        assert found.queueing.mean < found.ttft.mean < found.end_to_end.mean
        assert 0 < found.utilisation <= 1
        assert found.goodput <= found.request_rate


def test_several_engines_are_one_by_their_means_and_sums() -> None:
    engine = Engine(step_model=MODEL, policy=Policy(token_budget=8, most_sequences=8, blocks=10, block_size=4))
    requests = Requests(arrival=np.array([1.0, 1.5, 8.0]), prompt=np.array([4, 4, 4]), output=np.array([3, 2, 1]))
    found = summary(simulate(Cluster(pools=(Pool(engine=engine, replicas=2),)), requests))
    # A on the first from 1 to 4, B on the second from 1.5 to 3.5, C on the first from 8 to 9.
    assert (found.steps, found.duration, found.powered) == (6, 8.0, 1.0)
    assert found.utilisation == (3 + 2 + 1) / 16
    assert found.kv_occupancy == pytest.approx((1 + 2 + 2 + 1 + 2 + 1) / 10 / 16)
    assert found.kv_occupancy_peak == 0.2


def test_what_is_off_is_not_powered() -> None:
    engine = Engine(step_model=MODEL, policy=Policy(token_budget=8, most_sequences=8, blocks=10, block_size=4))
    scaling = Autoscaling(least=1, most=2, target=1.0, interval=10.0, start_up=1.0, patience=20.0)
    requests = Requests(arrival=np.array([0.0, 99.0]), prompt=np.array([4, 4]), output=np.array([1, 1]))
    found = summary(simulate(Cluster(pools=(Pool(engine=engine, replicas=2, autoscaling=scaling),)), requests))
    # The second is let go at 20 s; the first serves from 0 to 100 s, two of them.
    assert found.duration == 100.0
    assert found.powered == (100 + 20) / 200
    assert found.utilisation == 2 / 120


def test_requests_sent_again_are_counted() -> None:
    engine = Engine(step_model=MODEL, policy=Policy(token_budget=8, most_sequences=8, blocks=10, block_size=4))
    requests = Requests(arrival=np.array([0.0]), prompt=np.array([4]), output=np.array([3]))
    failed = Failure(pool=0, replica=0, at=1.5, restart=10.0)
    found = summary(simulate(Cluster(pools=(Pool(engine=engine),), failures=(failed,)), requests))
    assert (found.retries, found.ttft.mean, found.end_to_end.mean) == (1, 12.5, 14.5)
