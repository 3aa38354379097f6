import dataclasses
import math

import numpy as np
import pytest

from tapeout.cost.tco import finance
from tapeout.design.refine import refined
from tapeout.design.search import search
from tapeout.errors import InputError, UnknownNameError
from tapeout.fleet.best import best_under_traffic
from tapeout.hardware.catalog import chip
from tapeout.hardware.custom import own_chip
from tapeout.scenario.designing import brief, demand_for
from tapeout.scenario.document import read_document
from tapeout.scenario.hardware import chips_of
from tapeout.scenario.offers import offers
from tapeout.scenario.reader import scenario_of
from tapeout.units import HOUR, KWH, QUARTER


@pytest.fixture(scope="module")
def lab(request):
    path = request.path.parents[2] / "scenarios" / "lab-2026.yaml"
    document = read_document(path)
    return document, scenario_of(document)


def seconds_of_own_chip(lab, asked):
    """Chip time of an output token of the mix on the scenario's own chip under traffic."""
    own = own_chip(lab[1].own_chips["decoder"].parameters("decoder"))
    return sum(one.weight / best_under_traffic(one.demand, [own], 0.9)[0].rate.value for one in asked.question.workloads)


def test_the_peak_is_that_of_the_busiest_quarter(lab):
    scenario = lab[1]
    asked = [
        model.demand.over(scenario.start, 20)[-1] * model.answer.value * model.peak_to_mean.value for model in scenario.models.values()
    ]
    assert brief(*lab, volume=1.0).peak == pytest.approx(sum(asked))


def test_the_economics_are_those_of_the_contract_its_programme_and_its_site(lab):
    asked = brief(*lab)
    economics = asked.question.economics
    assert (asked.name, asked.programme, asked.arrives) == ("decoder", "design-partner", "2029Q4")
    assert economics.one_off == pytest.approx(500e6)
    assert asked.one_off == (300e6, 500e6, 1000e6)
    assert economics.rate == pytest.approx(0.13)
    assert economics.life == 20 * QUARTER
    # 27 months from the start are nine quarters, after which orders of 10,000 a quarter fill the eleven that are left.
    booked = 110_000
    assert economics.volume == math.ceil(min(booked, asked.peak * seconds_of_own_chip(lab, asked)))
    assert brief(*lab, volume=12_345.0).question.economics.volume == 12_345
    assert economics.availability == finance().operation.availability.value
    assert 0.03 < economics.energy_price * KWH < 0.2


def test_workloads_weigh_what_is_asked_for_once_the_chip_is_there(lab):
    workloads = brief(*lab, volume=1.0).question.workloads
    assert sum(one.weight for one in workloads) == pytest.approx(1)
    _, scenario = lab
    tokens = {
        name: float(np.sum(model.demand.over(scenario.start, scenario.quarters)[12:])) * model.answer.value
        for name, model in scenario.models.items()
    }
    assert {one.name: one.weight for one in workloads} == pytest.approx(
        {name: part / sum(tokens.values()) for name, part in tokens.items()}
    )
    assert {one.name: str(one.demand.precision) for one in workloads} == {"chat": "fp8", "reasoning": "fp4", "enterprise": "fp8"}


def test_each_rival_stands_once_with_its_cheapest_contract_and_no_own_chip(lab):
    document, scenario = lab
    asked = brief(document, scenario, volume=1.0)
    names = [rival.chip.id for rival in asked.rivals]
    assert len(names) == len(set(names))
    assert "decoder" not in names
    assert {"nvidia-b200", "nvidia-vr200"} <= set(names)
    by_contract = {rival.contract: rival for rival in asked.rivals}
    # Rented for a year, a B200 is cheaper than on demand.
    assert "b200-rented" in by_contract
    assert "b200-on-demand" not in by_contract
    chips = chips_of(scenario)
    found = {offer.id: offer for offer in offers(scenario, chips, {name: np.zeros(3) for name in chips.by_name})}
    rented, bought = by_contract["b200-rented"], by_contract["b300"]
    assert rented.hour == found["b200-rented"].rent[12]
    economics = asked.question.economics
    bare = dataclasses.replace(economics, host_price=0.0, host_power=0.0)
    assert bought.hour == pytest.approx(float(bare.usd_per_hour(found["b300"].unit_price[12], found["b300"].power)))
    assert bought.hour * HOUR > 0


def test_a_chip_is_asked_in_the_first_precision_that_it_computes(lab):
    one = next(each for each in brief(*lab, volume=1.0).question.workloads if each.name == "reasoning")
    liked = ("fp4", "fp8", "bf16")
    found = [demand_for(one, chip(name), liked).demand.precision for name in ("nvidia-b200", "nvidia-h100-sxm", "nvidia-a100-sxm-80gb")]
    assert found == ["fp4", "fp8", "bf16"]


def test_an_unknown_chip_a_late_one_and_no_volume_are_refused(lab):
    document, scenario = lab
    with pytest.raises(UnknownNameError, match="unknown own chip"):
        brief(document, scenario, "decode")
    with pytest.raises(InputError, match="arrives after the end of the plan"):
        brief(document, scenario.model_copy(update={"quarters": 12}), volume=1.0)
    with pytest.raises(InputError, match="volume must be positive"):
        brief(document, scenario, volume=0.0)
    with pytest.raises(InputError, match="no own chip to design"):
        brief(document, scenario.model_copy(update={"own_chips": {}}))


@pytest.mark.parametrize("name", ["lab-2026", "openai-2023"])
def test_the_own_chip_of_a_shipped_scenario_is_the_design_that_is_found(scenarios, name):
    document = read_document(scenarios / f"{name}.yaml")
    scenario = scenario_of(document)
    own = next(iter(scenario.own_chips.values())).parameters("own")
    best, _ = refined(search(brief(document, scenario).question, workers=1))
    assert dataclasses.replace(best.parameters, id=own.id, name=own.name) == own
