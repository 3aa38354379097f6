"""The ranges that a scenario states as knobs of its problem: the factors of the file, and none where there is no range or no place."""

from dataclasses import replace

import numpy as np
import pytest

from tapeout.scenario.document import parse_document
from tapeout.scenario.programmes import programmes
from tapeout.scenario.ranges import knobs
from tapeout.scenario.reader import scenario_of
from tests.scenario.test_outlook import base_of
from tests.scenario.test_programmes import CONTRACT, REST

DEAL = """{mode: acquisition, price: {value: 900 MUSD, low: 500 MUSD, high: 1000 MUSD, source: guess, why: a wish},
    nre: {value: 100 MUSD, low: 50 MUSD, high: 250 MUSD, source: guess, why: a chip},
    duration: {value: 2 year, low: 1 year, high: 3 year, source: guess, why: a chip}}"""


def factors(found):
    return {one.low.targets[0]: pytest.approx((one.low.factor, one.high.factor)) for one in found}


def test_every_range_of_the_file_is_a_knob(small):
    scenario = scenario_of(parse_document(small, "f.yaml"))
    assert factors(knobs(scenario, base_of(scenario))) == {
        "models.chat.demand": (0.5, 2.0),
        "contracts.rented.allocation": (0.1, 2.0),
        "contracts.bought.allocation": (0.1, 2.0),
        "sites.cage.available": (0.5, 2.0),
        "models.chat.peak": (0.75, 1.5),
        "models.chat.penalty": (1 / 3, 3.0),
        "finance.discount": (0.8, 1.2),
    }


def test_a_knob_turns_the_problem_to_the_end_of_its_range(small):
    scenario = scenario_of(parse_document(small, "f.yaml"))
    base = base_of(scenario)
    found = {one.low.targets[0]: one for one in knobs(scenario, base)}
    np.testing.assert_allclose(found["sites.cage.available"].low(base).sites[0].available, 0.5e6)
    np.testing.assert_allclose(found["finance.discount"].high(base).discount, 0.12)
    np.testing.assert_allclose(found["models.chat.peak"].high(base).demand, 1.5 * base.demand)


def test_what_has_no_range_is_no_knob(small):
    scenario = scenario_of(parse_document(small.replace("low: 50 %\n      high: 200 %", "low: 100 %\n      high: 100 %"), "f.yaml"))
    assert "models.chat.demand" not in factors(knobs(scenario, base_of(scenario)))


def test_a_programme_has_the_range_of_all_that_it_pays(small):
    text = small.replace("sites:\n  cage:", CONTRACT + "sites:\n  cage:") + REST.replace("{ENTRY}", DEAL)
    scenario = scenario_of(parse_document(text, "f.yaml"))
    base = base_of(scenario)
    with_programme = replace(base, programmes=programmes(scenario))
    assert factors(knobs(scenario, with_programme))["programmes.made.spend"] == (0.55, 1.25)
    assert "programmes.made.spend" not in factors(knobs(scenario, base))
