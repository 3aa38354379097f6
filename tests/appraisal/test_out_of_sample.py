"""The plan beside the simple policies in fresh futures: what each costs by hand, percentiles, and what goes wrong is counted."""

import numpy as np
import pytest

from tapeout.appraisal.information import information
from tapeout.appraisal.matching import matching
from tapeout.appraisal.out_of_sample import BUY, MEAN, PLAN, RENT, Fresh, fared, out_of_sample
from tapeout.appraisal.policies import rent_everything
from tapeout.outlook.processes import combine, draw, to_tree, values
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind
from tests.outlook.worlds import branch, process
from tests.sourcing.instances import random_problem
from tests.sourcing.optimum import optimum


def growing(make, scenarios, **fields):
    """Demand of 10 that is multiplied as the scenarios say; chips a quarter ahead at 1, at once at 1.5."""
    tree, node_of = to_tree(scenarios)
    size = tree.size
    early = make.offer("early", size, kind=ContractKind.RESERVED, rent=1.0, lead=1, supplier="one")
    late = make.offer("late", size, rent=1.5, supplier="two")
    return make.problem([late, early], 10 * values(scenarios, node_of)[0]["demand"], tree=tree, **fields)


WORLD = [process("demand", q1=[branch("low", 0.5, demand=1.0), branch("high", 0.5, demand=3.0)])]


def test_each_policy_costs_what_it_does_by_hand(make):
    known, fresh = combine(WORLD, 2), draw(WORLD, 2, 40, seed=3)
    problem, met = growing(make, known), growing(make, fresh)
    plan = optimum(problem)
    mean = information(problem, plan, gap=1e-9).mean
    found = out_of_sample(Fresh(problem=met, matched=matching(known, fresh)), plan, mean)
    high = fresh.probability[fresh.factor["demand"][:, 1] > 2].sum()
    now = 15.0
    expected = {
        PLAN: now + 10 + high * 20 * 1.5,
        RENT: now + (10 + high * 20) * 1.0 + high * (20 - high * 20) * 1.5,
        MEAN: now + 20 + high * 10 * 1.5,
    }
    by_name = {one.policy: one for one in found}
    assert set(by_name) == {PLAN, RENT, BUY, MEAN}
    for name, cost in expected.items():
        assert by_name[name].cost == pytest.approx(cost * HOURS, rel=1e-6)
    assert by_name[BUY] == by_name[RENT].__class__(**{**_fields(by_name[RENT]), "policy": BUY})
    assert by_name[PLAN].low == pytest.approx((now + 10) * HOURS, rel=1e-6)
    assert by_name[PLAN].high == pytest.approx((now + 40) * HOURS, rel=1e-6)
    assert by_name[PLAN].unmet == pytest.approx(0.0, abs=1e-9)


def _fields(one):
    return {name: getattr(one, name) for name in one.__slots__}


def test_in_the_futures_that_it_was_made_for_the_plan_is_the_cheapest(make):
    for seed in (6, 14):
        problem = random_problem(make, seed)
        plan = optimum(problem)
        found = out_of_sample(Fresh(problem=problem, matched=np.arange(problem.tree.size)), plan, None)
        assert [one.policy for one in found] == [PLAN, RENT, BUY]
        if problem.risk is None:
            assert all(one.cost >= plan.cost * (1 - 1e-6) for one in found)
        assert found[0].cost == pytest.approx(plan.cost, rel=1e-6)


def test_processes_change_nothing(make):
    problem = random_problem(make, 6)
    fresh = Fresh(problem=problem, matched=np.arange(problem.tree.size), seed=1)
    plan = optimum(problem)
    assert out_of_sample(fresh, plan, None, workers=1) == out_of_sample(fresh, plan, None, workers=2)


def test_what_goes_wrong_is_counted(make):
    """Two quarters of four in which commitments are above the budget, and three in which one supplier serves all."""
    early = make.offer("early", 4, kind=ContractKind.RESERVED, rent=1.0, lead=1, term=4)
    budget = np.array([0.0, 20.0, 5.0, 5.0]) * HOURS
    problem = make.problem([early], [0.0, 10.0, 10.0, 10.0], penalty=1e-2, budget=budget, largest_share=0.6)
    found = fared(RENT, rent_everything(make.problem([early], [1.0, 10.0, 10.0, 10.0], penalty=1e-2, budget=budget, largest_share=0.6)))
    assert problem.offers[0].term == 4
    assert found.over_budget == pytest.approx(0.5)
    assert found.shares_broken == pytest.approx(0.75)
    assert found.unmet == pytest.approx(1 / 31)
