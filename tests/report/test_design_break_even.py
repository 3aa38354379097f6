"""Break-even and its band: the draws against a plain loop, and each cause moves it the way it must."""

import dataclasses

import numpy as np
import pytest

from tapeout.cost.draws import Draws
from tapeout.cost.tco import owner_usd_per_hour
from tapeout.cost.unit_draws import unit_draws
from tapeout.design.search import Design
from tapeout.design.under_traffic import goodput
from tapeout.hardware.custom import own_chip
from tapeout.report.design_break_even import DRAWS, break_even
from tapeout.scenario.designing import brief
from tapeout.scenario.document import read_document
from tapeout.scenario.reader import scenario_of


@pytest.fixture(scope="module")
def asked(request):
    document = read_document(request.path.parents[2] / "scenarios" / "lab-2026.yaml")
    scenario = scenario_of(document)
    return scenario, brief(document, scenario, volume=40_000.0)


@pytest.fixture(scope="module")
def sides(asked):
    """The scenario's own chip as a design, what it carries, and a rival with what that carries, of the dense model alone."""
    scenario, brief_ = asked
    parameters = scenario.own_chips["decoder"].parameters("decoder")
    chip = own_chip(parameters)
    workload = dataclasses.replace(next(one for one in brief_.question.workloads if one.name == "enterprise"), weight=1.0)
    rival = next(one for one in brief_.rivals if one.chip.id == "nvidia-gb300")
    own, other = goodput([workload], chip), goodput([workload], rival.chip)
    design = Design(
        parameters=parameters, unit_cost=5000.0, one_off=5e8, hour=2.0, power=chip.power.value, seconds=own.seconds, usd_per_token=1e-7,
        joules_per_token=0.1, served=(),
    )  # fmt: skip
    return design, own, rival, other


def test_at_the_break_even_of_each_draw_both_tokens_cost_the_same(asked, sides):
    scenario, brief_ = asked
    design, own, rival, other = sides
    found = break_even(scenario, brief_, design, own, rival, other)
    some = np.flatnonzero(np.isfinite(found.draws))[:50]
    assert len(some) == 50
    costs = found.recurring[some] + found.one_off[some] / found.draws[some]
    assert costs == pytest.approx(found.rival[some], rel=1e-9, abs=0)
    never = np.isinf(found.draws)
    assert np.all(found.recurring[never] >= found.rival[never])
    at = dataclasses.replace(brief_.question.economics, volume=found.middle)
    hour = float(at.own_usd_per_hour(design.unit_cost, design.one_off, design.power))
    assert hour * own.seconds == pytest.approx(rival.hour * other.seconds, rel=1e-9, abs=0)


def test_the_cost_of_a_token_of_each_draw_is_that_of_an_owner_who_pays_the_drawn_chip(asked, sides):
    scenario, brief_ = asked
    design, own, rival, other = sides
    exact = dataclasses.replace(own, seconds_low=own.seconds, seconds_high=own.seconds)
    fixed = dataclasses.replace(brief_, one_off=(5e8, 5e8, 5e8))
    found, economics = break_even(scenario, fixed, design, exact, rival, other), brief_.question.economics
    units = unit_draws(own.chip, Draws(count=DRAWS)).unit
    for place in (0, 7, 4321):
        hour = owner_usd_per_hour(
            capital=units[place] / (1 - economics.margin) + 5e8 / 40_000 + economics.host_price, power=design.power + economics.host_power,
            rate=economics.rate, life=economics.life, hosting=economics.hosting, energy_price=economics.energy_price, pue=economics.pue,
            load=economics.load, operations=economics.operations, availability=economics.availability,
        ).total  # fmt: skip
        assert found.own[place] == pytest.approx(float(hour) / 3600 * own.seconds, rel=1e-9, abs=0)
    assert found.own_at(40_000.0) == pytest.approx(found.own)


def test_the_error_of_the_speed_widens_the_band_as_the_prediction_says(asked, sides):
    scenario, brief_ = asked
    design, own, rival, other = sides
    still = [dataclasses.replace(one, seconds_low=one.seconds, seconds_high=one.seconds) for one in (own, other)]
    certain = break_even(scenario, brief_, design, still[0], rival, still[1])
    found = break_even(scenario, brief_, design, own, rival, other)
    assert np.std(np.log(found.own)) > np.std(np.log(certain.own))
    # The factor on each draw is that of the speed alone: nine in ten of an 80 % band's tails.
    factor = found.own / certain.own
    inside = (factor >= own.seconds_low / own.seconds) & (factor <= own.seconds_high / own.seconds)
    assert np.mean(inside) == pytest.approx(0.8, abs=0.01)
    assert found.middle == certain.middle


def test_chips_of_different_generations_err_apart_and_of_one_together(asked, sides):
    scenario, brief_ = asked
    design, own, rival, other = sides
    still = [dataclasses.replace(one, seconds_low=one.seconds, seconds_high=one.seconds) for one in (own, other)]
    certain = break_even(scenario, brief_, design, still[0], rival, still[1])

    def factors(other):
        found = break_even(scenario, brief_, design, own, rival, other)
        return np.corrcoef(np.log(found.own / certain.own), np.log(found.rival / certain.rival))[0, 1]

    assert abs(factors(other)) < 0.03
    kin = dataclasses.replace(other, chip=dataclasses.replace(other.chip, generation=own.chip.generation))
    assert factors(kin) > 0.99
