"""What is known in a quarter: prices held, contracts to come, and a world that goes on as its mean from what was seen."""

import dataclasses

import numpy as np
import pytest

from tapeout.outlook.processes import combine, draw, expectation
from tapeout.scenario.document import parse_document
from tapeout.scenario.hardware import chips_of
from tapeout.scenario.known import NOTICE, expected_in, known_in
from tapeout.scenario.outlook import on_scenarios, processes
from tapeout.scenario.reader import scenario_of
from tests.scenario.test_outlook import UNCERTAIN, base_of

LATE = """\
  later:
    kind: on-demand
    chip: nvidia-vr200
    from: 2028Q2
    price: {value: 9 USD/h, low: 5 USD/h, high: 15 USD/h, source: guess, why: new}
    allocation: {value: 100, low: 10, high: 200, source: guess, why: small}
sites:
"""


@pytest.fixture
def world(small):
    scenario = scenario_of(parse_document(small.replace("sites:\n  cage", LATE + "  cage") + UNCERTAIN, "f.yaml"))
    return scenario, chips_of(scenario), base_of(scenario)


def test_prices_of_the_catalogue_stay_at_what_is_quoted(world):
    scenario, chips, base = world
    rents = np.linspace(4.0, 2.0, 8)
    moving = tuple(dataclasses.replace(offer, rent=rents, unit_price=rents * 1e4, upkeep=rents / 9) for offer in base.offers)
    sites = tuple(dataclasses.replace(site, energy=rents) for site in base.sites)
    seen = known_in(scenario, chips, dataclasses.replace(base, offers=moving, sites=sites), 3)
    assert seen.offers[0].rent.tolist() == [*rents[:4], *[rents[3]] * 4]
    assert seen.offers[1].unit_price.tolist() == [*rents[:4] * 1e4, *[rents[3] * 1e4] * 4]
    assert seen.offers[1].upkeep.tolist() == [*rents[:4] / 9, *[rents[3] / 9] * 4]
    assert seen.sites[0].energy.tolist() == [*rents[:4], *[rents[3]] * 4]


def test_what_the_scenario_states_is_known_from_the_start(small):
    stated = small.replace(
        "    term: 1 year\n",
        "    term: 1 year\n    price: {value: 2 USD/h, low: 1 USD/h, high: 3 USD/h, source: guess, why: x, grow: -5 %}\n",
    )
    scenario = scenario_of(parse_document(stated, "f.yaml"))
    base = base_of(scenario)
    assert base.offers[0].rent[7] < base.offers[0].rent[0]
    assert known_in(scenario, chips_of(scenario), base, 2).offers[0].rent.tolist() == base.offers[0].rent.tolist()


def test_a_contract_with_a_chip_that_is_not_out_is_known_a_year_before(world):
    scenario, chips, base = world
    place = [offer.id for offer in base.offers].index("later")
    first = int(np.flatnonzero(base.offers[place].allocation > 0)[0])
    chips = dataclasses.replace(
        chips, by_name=chips.by_name | {"nvidia-vr200": dataclasses.replace(chips.by_name["nvidia-vr200"], released="2028-04-01")}
    )
    told = [bool(known_in(scenario, chips, base, quarter).offers[place].allocation.max() > 0) for quarter in range(8)]
    assert told == [quarter >= first - NOTICE for quarter in range(8)]
    assert not all(told)
    out = dataclasses.replace(
        chips, by_name=chips.by_name | {"nvidia-vr200": dataclasses.replace(chips.by_name["nvidia-vr200"], released="2026-10-01")}
    )
    assert known_in(scenario, out, base, 0).offers[place].allocation.max() > 0


def test_the_world_is_the_one_that_was_seen_and_then_its_mean(world):
    scenario, _, base = world
    told = processes(scenario)
    path = draw(told, 8, 1, seed=5)
    actual = on_scenarios(base, path)
    before, after = expected_in(scenario, base, path, 1, 1), expected_in(scenario, base, path, 2, 1)
    mean = expectation(combine(told, 8))["models.chat.demand"]
    assert before.demand[0] == pytest.approx(base.demand[0] * mean)
    assert after.demand == pytest.approx(actual.demand)  # the second quarter shows it
    assert not np.allclose(before.demand, actual.demand)


def test_what_may_still_happen_branches_after_what_was_seen(world):
    scenario, _, base = world
    path = draw(processes(scenario), 8, 1, seed=5)
    seen = expected_in(scenario, base, path, 1, 8)
    assert (seen.tree.quarter < 2).sum() == 2
    assert (seen.tree.quarter == 2).sum() == 2
    assert expected_in(scenario, base, path, 2, 8).tree.size == 8
