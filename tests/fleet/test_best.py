"""The best serving under traffic: what it claims is what a run of its fleet shows, and no other deployment does better."""

from dataclasses import replace

import numpy as np
import pytest

from tapeout.fleet.best import ENGINES, Carried, best_listed, best_under_traffic
from tapeout.fleet.engines import fleet, simulated
from tapeout.fleet.highest_rate import highest_rate
from tapeout.fleet.service_level import ServiceLevel
from tapeout.hardware.catalog import chip
from tapeout.performance.best import Demand, NotServed, Serving, best_servings, shortlists
from tapeout.performance.deployment import Deployment, deployments
from tapeout.performance.predict import Case, Kind, Prediction, predict
from tapeout.serving.metrics import Slo, attained, tpot, ttft
from tapeout.traffic.arrivals import poisson
from tapeout.workload.catalog import model
from tapeout.workload.traffic import Lengths

DEMAND = Demand(model=model("meta-llama/Llama-3.1-8B"), precision="fp8", prompt=1024, output=128, ttft=1.0, tpot=0.02)
H100 = chip("nvidia-h100-sxm")
LENGTHS = Lengths(prompt=1024, output=128)


def carried(demand: Demand = DEMAND, wanted: float = 0.9) -> Carried:
    (found,) = best_under_traffic(demand, [H100], wanted)
    assert isinstance(found, Carried)
    return found


@pytest.mark.parametrize("seed", [11, 12])
def test_a_long_run_at_the_rate_keeps_what_is_claimed(seed: int) -> None:
    """Other arrivals than those of the search, and ten times as many: the rate is that of the fleet and not of the sample."""
    found = carried()
    assert found.attainment >= 0.9
    for factor, kept in ((0.95, True), (1.05, False)):
        outcome = simulated(found.fleet, poisson(60_000, factor * found.request_rate, LENGTHS, seed=seed))
        assert (attained(outcome, found.level.slo).mean() >= 0.9) == kept
        # What nine of ten stay below rises steeply there.
        assert (np.quantile(tpot(outcome), 0.9) <= 0.02) == kept
        assert np.quantile(ttft(outcome), 0.9) < found.level.slo.ttft


def test_a_replica_of_many_ranks_is_known_by_some_of_them() -> None:
    """What each of 32 engines of eight-fold expert parallelism carries, each of four does, but for bursts that more share better."""
    sparse = replace(DEMAND, model=model("Qwen/Qwen3-30B-A3B"), tpot=0.03)
    wide = Deployment(tensor=1, expert=8, data=8)
    case = Case(
        kind=Kind.ONLINE, chip=H100, chips=8, model=sparse.model, precision="fp8", prompt=1024, output=128, concurrency=512.0,
        deployments=(wide,),
    )  # fmt: skip
    (predicted,) = predict([case])
    assert isinstance(predicted, Prediction)
    level = ServiceLevel(name="", slo=Slo(ttft=1.0, tpot=0.03), attainment=0.9)
    few = best_listed(sparse, level, [Serving(chip=H100, prediction=predicted, users=512.0, rate=predicted.output_rate_per_chip)])
    assert isinstance(few, Carried)
    requests = poisson(40_000, 1.0, LENGTHS, seed=3)
    many = fleet(H100, 32, sparse.model, "fp8", wide, requests)
    assert (few.fleet.engines, many.engines) == (4, 32)
    assert few.rate.value == pytest.approx(highest_rate(many, requests, level, warm_up=0.2) * 128 / 32, rel=0.08)


def test_its_numbers_belong_together() -> None:
    found = carried()
    assert found.rate.value == pytest.approx(found.request_rate * DEMAND.output / found.fleet.chips)
    steady = found.prediction.output_rate_per_chip
    assert (found.rate.low / found.rate.value, found.rate.high / found.rate.value) == pytest.approx(
        (steady.low / steady.value, steady.high / steady.value)
    )
    assert found.fleet.engines >= ENGINES
    assert found.replica_rate == pytest.approx(found.request_rate / found.fleet.chips * found.chips)
    assert found.fleet.deployment == found.prediction.deployment


def test_no_deployment_of_a_server_does_better() -> None:
    """Every deployment on up to eight chips, searched to the end, in fleets of as many engines."""
    found = carried()
    requests = poisson(6000, 1.0, LENGTHS, seed=1)
    others = []
    for deployment in dict.fromkeys(one for size in (1, 2, 4, 8) for one in deployments(DEMAND.model, H100, size) if one.chips == size):
        made = fleet(H100, 4 * deployment.chips, DEMAND.model, "fp8", deployment, requests)
        others.append(highest_rate(made, requests, found.level) * DEMAND.output / made.chips)
    assert len(others) > 6
    assert max(others) <= 1.03 * found.rate.value


def test_more_is_carried_where_fewer_requests_must_keep_the_limits() -> None:
    rates = [carried(wanted=share).rate.value for share in (0.5, 0.9, 0.99)]
    assert rates == sorted(rates, reverse=True)
    assert carried(replace(DEMAND, tpot=0.01)).rate.value < rates[1]


def test_without_limits_it_is_the_steady_state() -> None:
    free = replace(DEMAND, ttft=None, tpot=None)
    assert best_under_traffic(free, [H100], 0.9) == best_servings(free, [H100])


def test_chips_stand_in_order_and_those_that_cannot_say_why() -> None:
    chips = [chip(name) for name in ("nvidia-l4", "nvidia-h100-sxm", "nvidia-b200")]
    found = best_under_traffic(DEMAND, chips, 0.9)
    assert [one.chip for one in found] == chips
    assert isinstance(found[0], NotServed) == isinstance(shortlists(DEMAND, chips[:1], 3)[0], NotServed)
    large = replace(DEMAND, model=model("meta-llama/Llama-3.1-405B"))
    (refused,) = best_under_traffic(large, chips[:1], 0.9)
    assert isinstance(refused, NotServed)
    assert "does not fit" in refused.reason


def test_what_keeps_its_means_and_carries_nothing_under_traffic_says_so() -> None:
    """Servings listed for one demand, under limits that no request keeps."""
    (listed,) = shortlists(DEMAND, [H100], 2)
    assert not isinstance(listed, NotServed)
    found = best_listed(DEMAND, ServiceLevel(name="", slo=Slo(ttft=1e-3), attainment=0.999), listed)
    assert isinstance(found, NotServed)
    assert found.reason == "too slow under traffic: means keep the limits, but at no rate do 99.9 % of the requests"
    huge = replace(DEMAND, prompt=2_000_000.0)
    full = best_listed(huge, ServiceLevel(name="", slo=Slo(ttft=1e9), attainment=0.9), listed)
    assert isinstance(full, NotServed)
    assert "no room for one request of full length" in full.reason
