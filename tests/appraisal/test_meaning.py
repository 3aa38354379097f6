"""All parts together are what each is alone, by one process or by several."""

import pytest

from tapeout.appraisal.acceleration import earlier_silicon
from tapeout.appraisal.alternatives import SLACKS
from tapeout.appraisal.decided import decided
from tapeout.appraisal.knobs import knob, targets
from tapeout.appraisal.meaning import meaning
from tapeout.appraisal.prices import shadow_prices
from tapeout.appraisal.tornado import tornado
from tapeout.appraisal.worth import acceleration_worths, contract_worths, programme_worths
from tests.sourcing.instances import random_problem

LIMITS = {"gap": 1e-6, "time_limit": 60.0}


@pytest.mark.parametrize("seed", [1, 7])
def test_the_parts_are_what_each_is_alone(make, planned, seed):
    problem, plan = random_problem(make, seed), planned(seed)
    known = decided(plan)
    knobs = [knob(place, [place], 0.8, 1.2) for place in targets(plan.futures.world)]
    found = meaning(problem, plan, knobs, **LIMITS)
    assert found.tornado == tornado(known, knobs)
    assert [bar.name for bar in found.tornado.bars] != sorted(one.name for one in knobs)
    assert found.contracts == contract_worths(known)
    assert found.worths == programme_worths(problem, **LIMITS, quick=True)
    assert found.earlier == earlier_silicon(plan)
    assert [one.slack for one in found.alternatives] == list(SLACKS)
    assert [bool(one.ranges) for one in found.alternatives] == [False, True, False]
    assert [one.supplier for one in found.discounts] == list(dict.fromkeys(one.supplier for one in problem.offers if not one.programme))
    assert [one.subject for one in found.prices.prices] == [one.subject for one in shadow_prices(known).prices]
    assert found.accelerations == ()


def test_several_processes_find_the_same(make, planned):
    problem, plan = random_problem(make, 3), planned(3)
    knobs = [knob(place, [place], 0.8, 1.2) for place in targets(plan.futures.world)[:7]]
    one, two = (meaning(problem, plan, knobs, **LIMITS, workers=workers) for workers in (1, 2))
    assert (one.tornado, one.worths, one.contracts) == (two.tornado, two.worths, two.contracts)
    assert [near.ranges for near in one.alternatives] == [near.ranges for near in two.alternatives]


def test_thorough_searches_and_accelerates(make, planned):
    problem, plan = random_problem(make, 7), planned(7)
    found = meaning(problem, plan, **LIMITS, thorough=True)
    assert found.worths == programme_worths(problem, **LIMITS)
    assert found.accelerations == acceleration_worths(problem, plan, **LIMITS) != ()
    assert found.tornado.bars == ()
    assert all(one.ranges for one in found.alternatives)
