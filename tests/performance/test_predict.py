"""Predictions: what fits, what is refused, which deployment is chosen, and how load moves the answer."""

import math
from dataclasses import replace

import pytest

from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment, deployments
from tapeout.performance.predict import BAND_80, Case, Kind, Prediction, Refusal, predict
from tapeout.workload.architecture import Architecture


@pytest.fixture
def case(hopper: Chip, dense: Architecture) -> Case:
    deployment = Deployment(tensor=1)
    return Case(
        kind=Kind.ONLINE,
        chip=hopper,
        chips=1,
        model=dense,
        precision="bf16",
        prompt=1024,
        output=256,
        concurrency=16.0,
        deployments=(deployment,),
    )


def answer(case: Case) -> Prediction:
    (found,) = predict([case])
    assert isinstance(found, Prediction)
    return found


def refusal(case: Case) -> Refusal:
    (found,) = predict([case])
    assert isinstance(found, Refusal)
    return found


def test_an_8b_model_on_one_chip_is_in_the_known_range(case: Case) -> None:
    """Weights of 16 GB at 3.35 TB/s bound a decode step below 4.8 ms; published closed loops at 16 users show about 9 ms."""
    found = answer(case)
    assert 16.06e9 / 3.35e12 < found.tpot.value < 15e-3
    assert found.binding == "memory bandwidth"


def test_bands_are_log_symmetric_and_positive(case: Case) -> None:
    found = answer(case)
    for band in (found.ttft, found.tpot, found.output_rate_per_chip):
        assert 0 < band.low < band.value < band.high < math.inf
        assert band.value / band.low == pytest.approx(band.high / band.value)
    assert pytest.approx(1.2816, abs=1e-4) == BAND_80


def test_more_users_give_more_tokens_and_slower_ones_up_to_saturation(case: Case) -> None:
    found = predict([replace(case, concurrency=float(users)) for users in (1, 4, 16, 64, 256)])
    rates = [one.output_rate_per_chip.value for one in found if isinstance(one, Prediction)]
    tpots = [one.tpot.value for one in found if isinstance(one, Prediction)]
    assert rates == sorted(rates)
    assert tpots == sorted(tpots)
    saturated = answer(replace(case, kind=Kind.OFFLINE, concurrency=None))
    assert saturated.output_rate_per_chip.value >= 0.98 * max(rates)


def test_users_beyond_memory_wait_for_a_place(case: Case) -> None:
    crowded, full = (answer(replace(case, prompt=30_000, concurrency=users)) for users in (400.0, 10.0))
    assert crowded.ttft.value > 10 * full.ttft.value
    assert crowded.output_rate_per_chip.value < 400 * 256 / (256 * full.tpot.value)


def test_a_model_too_large_is_said_with_the_shortfall(case: Case, dense: Architecture) -> None:
    large = replace(dense, groups=(replace(dense.groups[0], count=400),))
    found = refusal(replace(case, model=large))
    assert found.status == "does not fit"
    assert "GB" in found.detail


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"deployments": (Deployment(tensor=3),), "chips": 3}, "tp 3 does not divide 32 heads"),
        ({"deployments": (Deployment(tensor=2),), "chips": 1}, "exceeds 1 chips"),
        ({"deployments": (Deployment(tensor=16),), "chips": 16}, "scale-up domain of 8"),
        ({"deployments": (Deployment(tensor=2, expert=2),), "chips": 2}, "has no experts"),
        ({"prompt": 131_000.0}, "exceeds the model's context"),
    ],
)
def test_impossible_deployments_say_why(case: Case, change: dict[str, object], part: str) -> None:
    found = refusal(replace(case, **change))  # type: ignore[arg-type]
    assert found.status.startswith("bad value: ")
    assert part in found.status


def test_the_chosen_deployment_is_the_best_of_all(case: Case, mixture: Architecture) -> None:
    free = replace(case, kind=Kind.OFFLINE, concurrency=None, model=mixture, chips=8, deployments=())
    options = [replace(free, deployments=(deployment,)) for deployment in deployments(mixture, case.chip, 8)]
    assert len(options) > 8
    rates = [found.output_rate_per_chip.value for found in predict(options) if isinstance(found, Prediction)]
    assert answer(free).output_rate_per_chip.value == max(rates)


def test_replicas_share_the_users(case: Case) -> None:
    pair = answer(replace(case, chips=2, concurrency=32.0))
    assert pair.tpot.value == pytest.approx(answer(case).tpot.value)
    assert pair.output_rate_per_chip.value == pytest.approx(answer(case).output_rate_per_chip.value)


def test_answers_do_not_depend_on_their_company(case: Case, mixture: Architecture) -> None:
    others = [replace(case, concurrency=float(users), model=mixture) for users in range(1, 40)]
    assert predict([*others, case])[-1] == predict([case])[0]


def test_a_wider_band_follows_from_kinship(case: Case) -> None:
    def width(generation: str) -> float:
        found = answer(replace(case, chip=replace(case.chip, id=generation, generation=generation)))
        return found.tpot.high / found.tpot.value

    assert width("hopper") < width("tpu-v4") < width("tpu-v6e")


def test_no_cases_give_no_answers() -> None:
    assert predict([]) == []
