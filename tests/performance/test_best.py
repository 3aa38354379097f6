"""The best serving in steady state, and the list of those that come near: against brute force, and by what must hold."""

from dataclasses import replace

import pytest

from tapeout.hardware.catalog import chip
from tapeout.performance.best import NEAR, USERS_PER_RANK, WORTH, Demand, NotServed, Serving, best_servings, shortlists
from tapeout.performance.deployment import Deployment
from tapeout.performance.predict import Case, Kind, Prediction, predict
from tapeout.workload.catalog import model

DEMAND = Demand(model=model("meta-llama/Llama-3.1-8B"), precision="fp8", prompt=1024, output=256, ttft=2.0, tpot=0.02)


def test_the_best_serving_equals_brute_force_on_single_chips() -> None:
    one = chip("nvidia-h100-pcie")
    tried = [
        (users, predict([Case(kind=Kind.ONLINE, chip=one, chips=size, model=DEMAND.model, precision="fp8", prompt=1024, output=256,
                              concurrency=float(users * stages), deployments=(Deployment(tensor=tensor, pipeline=stages),))])[0])
        for size in (1, 2, 4, 8, 16)
        for tensor in (1, 2, 4, 8)
        for stages in (1, 2, 4)
        if tensor * stages == size
        for users in USERS_PER_RANK
    ]  # fmt: skip
    inside = [found for _, found in tried if isinstance(found, Prediction) and found.ttft.value <= 2.0 and found.tpot.value <= 0.02]
    (best,) = best_servings(DEMAND, [one])
    assert isinstance(best, Serving)
    assert best.prediction.output_rate_per_chip.value == max(found.output_rate_per_chip.value for found in inside)


def test_tighter_limits_never_serve_more() -> None:
    one = chip("nvidia-h100-sxm")
    rates = []
    for tpot in (0.1, 0.03, 0.015, 0.01):
        demand = Demand(model=DEMAND.model, precision="fp8", prompt=1024, output=256, ttft=2.0, tpot=tpot)
        (found,) = best_servings(demand, [one])
        rates.append(found.prediction.output_rate_per_chip.value if isinstance(found, Serving) else 0.0)
    assert rates == sorted(rates, reverse=True)


def test_the_rate_of_a_serving_is_that_of_its_prediction() -> None:
    (best,) = best_servings(DEMAND, [chip("nvidia-h100-sxm")])
    assert isinstance(best, Serving)
    assert best.rate == best.prediction.output_rate_per_chip
    assert best.label == best.prediction.deployment.label


@pytest.mark.parametrize("name", ["nvidia-h100-sxm", "nvidia-b200", "google-tpu-v5e", "nvidia-l4"])
def test_a_shortlist_holds_the_best_and_what_comes_near(name: str) -> None:
    wanted = replace(DEMAND, model=model("meta-llama/Llama-3.1-70B"), tpot=0.05)
    (found,) = shortlists(wanted, [chip(name)], 3)
    (best,) = best_servings(wanted, [chip(name)])
    assert isinstance(best, Serving)
    assert not isinstance(found, NotServed)
    assert len(found) <= 4
    rates = [one.rate.value for one in found]
    assert rates == sorted(rates, reverse=True)
    assert any(one.prediction.deployment.pipeline == 1 for one in found)
    assert all(one.rate.value >= NEAR * rates[0] for one in found if one.prediction.deployment.pipeline > 1)
    assert rates[0] * WORTH >= best.rate.value, "a larger replica must gain what makes it worth its size"
    assert len({one.prediction.deployment for one in found}) == len(found)
    for one in found:
        assert one.prediction.ttft.value <= 2.0
        assert one.prediction.tpot.value <= 0.05


def test_the_rate_at_the_limit_lies_between_the_loads_around_it() -> None:
    (found,) = shortlists(DEMAND, [chip("nvidia-h100-sxm")], 3)
    assert not isinstance(found, NotServed)
    for one in found:
        case = Case(
            kind=Kind.ONLINE, chip=one.chip, chips=one.chips, model=DEMAND.model, precision="fp8", prompt=1024, output=256,
            concurrency=2 * one.users, deployments=(one.prediction.deployment,),
        )  # fmt: skip
        (beyond,) = predict([case])
        assert isinstance(beyond, Prediction)
        assert beyond.tpot.value > 0.02 or beyond.ttft.value > 2.0
        inside = one.prediction.output_rate_per_chip.value
        assert inside <= one.rate.value <= max(inside, beyond.output_rate_per_chip.value)
        # A finer load just where the limit binds gives what the line between the two says.
        share = (one.rate.value / inside - 1) / (beyond.output_rate_per_chip.value / inside - 1)
        (near,) = predict([replace(case, concurrency=one.users * (1 + share))])
        assert isinstance(near, Prediction)
        assert near.output_rate_per_chip.value == pytest.approx(one.rate.value, rel=0.1)


def test_a_chip_that_cannot_serve_has_no_shortlist() -> None:
    (found,) = shortlists(replace(DEMAND, tpot=1e-6), [chip("nvidia-l4")], 3)
    assert isinstance(found, NotServed)
    assert "too slow" in found.reason
