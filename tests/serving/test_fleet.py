"""Fleets, saturation and goodput: against one engine alone, against capacity known in closed form, and against their own definition."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.hardware import catalog
from tapeout.performance.deployment import Deployment
from tapeout.serving.arrivals import closed_loop, poisson
from tapeout.serving.cluster import Engine
from tapeout.serving.engines import Fleet, best_fleet, fleet, fleets, policy_changes
from tapeout.serving.fleet import dealt, simulate_fleet
from tapeout.serving.goodput import frontier, goodput, keeps
from tapeout.serving.metrics import Slo, inter_token, summary
from tapeout.serving.policy import Policy
from tapeout.serving.requests import Names, Requests
from tapeout.serving.saturation import saturation
from tapeout.serving.service_level import ServiceLevel, service_level
from tapeout.serving.simulator import simulate
from tapeout.serving.step_model import StepModel
from tapeout.serving.traffic import traffic
from tapeout.workload.catalog import model
from tapeout.workload.traffic import Lengths

# One request at a time, a step of 0.1 s for its only token: a queue with constant service, whose capacity is 10 requests/s.
SERVER = Engine(
    step_model=StepModel(token_seconds=np.array([0.0, 0.1]), sequence_seconds=np.zeros(2)),
    policy=Policy(token_budget=1, most_sequences=1, blocks=4),
)
ONE = Lengths(prompt=1, output=1)
CHIP = catalog.chip("nvidia-h100-sxm")
LLAMA = model("meta-llama/Llama-3.1-8B")


def of(engines: int) -> Fleet:
    return Fleet(chip=CHIP, chips=engines, deployment=Deployment(tensor=1), engine=SERVER, engines=engines)


def test_a_fleet_of_one_is_its_engine() -> None:
    requests = poisson(200, 8.0, ONE, seed=1)
    assert (simulate_fleet(SERVER, requests, 1).completion == simulate(SERVER.step_model, requests, SERVER.policy).completion).all()


def test_engines_do_not_meet() -> None:
    """Requests dealt in turn are those of each engine alone; rates and occupancy are those of all."""
    requests = poisson(301, 20.0, ONE, seed=1)
    found = simulate_fleet(SERVER, requests, 3)
    parts = [simulate(SERVER.step_model, dealt(requests, slice(place, None, 3), None), SERVER.policy) for place in range(3)]
    for place, part in enumerate(parts):
        assert (found.completion[place::3] == part.completion).all()
    assert found.totals.busy == pytest.approx(0.1 * 301 / 3)
    assert found.totals.steps == 301
    assert found.policy.blocks == 12
    assert summary(found).utilisation <= 1


def test_times_between_tokens_are_those_of_all_engines() -> None:
    case = fleet(CHIP, 2, LLAMA, "fp8", Deployment(tensor=1), poisson(40, 50.0, Lengths(prompt=64, output=8), seed=2))
    requests = poisson(40, 50.0, Lengths(prompt=64, output=8), seed=2)
    found = simulate_fleet(case.engine, requests, 2)
    between = inter_token(found, case.engine.step_model)
    spent = (found.completion - found.first_token).sum() / (requests.output - 1).sum()
    assert between is not None
    assert between.mean == pytest.approx(spent)


def test_users_stay_with_their_engine() -> None:
    found = simulate_fleet(SERVER, closed_loop(30, 5, ONE, seed=1), 2)
    # Three users share one engine and two the other; each request takes a tenth of a second of its engine.
    assert found.completion[0::2].max() == pytest.approx(1.5)
    assert found.completion[1::2].max() == pytest.approx(1.5)
    with pytest.raises(InputError, match="fewer users than engines"):
        simulate_fleet(SERVER, closed_loop(30, 1, ONE, seed=1), 2)


def test_dealing_keeps_names_with_their_requests() -> None:
    names = Names(name=np.array([1, 2, 3, 4, 5, 6]), start=np.array([0, 1, 3, 6]), block=1)
    requests = Requests(arrival=np.arange(3.0), prompt=np.array([3, 3, 3]), output=np.array([1, 1, 1]), names=names)
    second = dealt(requests, slice(0, None, 2), None).names
    assert second is not None
    assert (second.name.tolist(), second.start.tolist()) == ([1, 4, 5, 6], [0, 1, 4])


@pytest.mark.parametrize("seed", range(5))
def test_a_stable_queue_is_not_saturated_and_an_overload_grows_by_its_excess(seed: int) -> None:
    assert not saturation(simulate_fleet(SERVER, poisson(3000, 8.0, ONE, seed=seed), 1)).saturated
    for count in (1500, 3000):
        found = saturation(simulate_fleet(SERVER, poisson(count, 15.0, ONE, seed=seed), 1))
        assert found.saturated
        # Arrivals less the capacity, whatever the length of the run; arrivals scatter by the root of their number.
        assert found.growth == pytest.approx(5.0, abs=5 * 15 / np.sqrt(0.75 * count))
        assert found.output_rate == pytest.approx(10.0, rel=0.01)


def test_a_closed_loop_is_never_saturated() -> None:
    assert not saturation(simulate_fleet(SERVER, closed_loop(500, 50, ONE, seed=1), 1)).saturated


def test_goodput_is_the_edge_of_what_keeps_the_level() -> None:
    level = ServiceLevel(name="half a second", slo=Slo(ttft=0.5), attainment=0.9)
    trace = poisson(1500, 1.0, ONE, seed=1)
    single = goodput(of(1), [trace], level)
    assert (single.low, single.high, single.runs) == (None, None, 1)
    assert keeps(of(1), dataclasses.replace(trace, arrival=trace.arrival / _relative(trace, single.rate)), level)
    assert not keeps(of(1), dataclasses.replace(trace, arrival=trace.arrival / _relative(trace, 1.02 * single.rate)), level)
    assert 5 < single.rate < 10


def _relative(trace: Requests, rate: float) -> float:
    return rate * float(trace.arrival[-1] - trace.arrival[0]) / (len(trace) - 1)


def test_goodput_has_an_interval_over_seeds_and_grows_with_the_fleet() -> None:
    level = ServiceLevel(name="half a second", slo=Slo(ttft=0.5), attainment=0.9)
    traces = [poisson(800, 1.0, ONE, seed=seed) for seed in range(4)]
    one, two = goodput(of(1), traces, level), goodput(of(2), traces, level)
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.rate < one.high
    assert two.rate > 2 * one.rate, "gaps dealt in turn are more regular than those of a lone engine"
    assert goodput(of(1), traces[:1], dataclasses.replace(level, attainment=0.5)).rate > goodput(of(1), traces[:1], level).rate
    impossible = ServiceLevel(name="at once", slo=Slo(ttft=0.01), attainment=0.9)
    assert goodput(of(1), traces[:1], impossible).rate < 1e-6


def test_the_frontier_marks_exactly_what_no_point_beats() -> None:
    lengths = Lengths(prompt=128, output=16)
    found = fleets(CHIP, 2, LLAMA, "fp8", closed_loop(1, 1, lengths, seed=1), ["most_sequences=8"])
    points = frontier(found, lengths, service_level("2s/50ms", LLAMA), count=40, seed=1, workers=1)
    assert len(points) == 8
    assert any(point.best for point in points)
    for point in points:
        beaten = any(other.chip_rate >= point.chip_rate and other.user_rate >= point.user_rate and other is not point for other in points)
        assert point.best != beaten


def test_a_request_longer_than_the_cache_is_refused() -> None:
    huge = closed_loop(1, 1, Lengths(prompt=4_000_000, output=10), seed=1)
    with pytest.raises(InputError, match="does not fit: no room for one request of full length"):
        fleets(CHIP, 2, LLAMA, "fp8", huge)


def test_the_best_fleet_keeps_more_limits_than_the_others() -> None:
    requests = poisson(200, 2.0, Lengths(prompt=512, output=32), seed=1)
    found = fleets(CHIP, 2, LLAMA, "bf16", requests)
    assert best_fleet(found, requests, Slo(tpot=0.0055)).deployment.tensor == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [("chunks=4", "did you mean chunk"), ("chunk=four", "whole number"), ("prefix_caching=maybe", "yes or no"), ("swap=4", "a time")],
)
def test_a_bad_policy_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        policy_changes([text])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("poison:5", "did you mean poisson"),
        ("poisson:fast", "no rate"),
        ("poisson:0", "above 0 requests/s"),
        ("poisson:nan", "above 0 requests/s"),
        ("gamma:5:vc=2", "unknown setting 'vc' of gamma"),
        ("gamma:5:cv=x", "bad cv"),
        ("diurnal:5:period=3", "bad period"),
        ("synthetic-conversations", "a trace has lengths of its own"),
    ],
)
def test_bad_traffic_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        traffic(text, ONE, count=10, seed=1)


def test_traffic_words_are_the_rules() -> None:
    assert (traffic("poisson:5", ONE, count=10, seed=1).requests.arrival == poisson(10, 5.0, ONE, seed=1).arrival).all()
    fast = traffic("synthetic-conversations", None, count=10, seed=1, speed=2.0).requests
    assert len(fast) == 10
    assert (2 * fast.arrival == traffic("synthetic-conversations", None, count=10, seed=1).requests.arrival).all()


@pytest.mark.parametrize("text", ["2s", "2s/", "-2s/50ms", "2s/50", "common-level"])
def test_bad_limits_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"bad limits|unknown service level"):
        service_level(text, LLAMA)


def test_a_preset_without_limits_for_the_model_names_those_with() -> None:
    with pytest.raises(InputError, match=r"no limits for Qwen/Qwen3-8B, allowed: meta-llama/Llama-2-70b-hf"):
        service_level("mlperf-server", model("Qwen/Qwen3-8B"))
