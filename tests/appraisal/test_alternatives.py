"""Near-optimal plans in closed form, nested in the slack, and kept to by the plan that differs most."""

import numpy as np
import pytest

from tapeout.appraisal.alternatives import Aggregate, near_optimal
from tapeout.appraisal.decided import decided
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import solve


def test_a_slack_buys_its_part_of_the_dearer_chips(make):
    problem = make.problem([make.offer("cheap", 4, rent=2.0), make.offer("dear", 4, rent=2.2)], np.full(4, 100.0))
    for found in near_optimal(decided(solve(problem, gap=1e-9)), (0.01, 0.02, 0.2)):
        # A chip costs a tenth more, so a slack of 1 % pays for a tenth of them.
        part = min(1.0, found.slack / 0.1)
        cheap, dear, rented, power = found.ranges
        assert (cheap.subject, dear.subject, rented.subject, power.subject) == ("cheap", "dear", "rented", "hall")
        assert (cheap.planned, cheap.low, cheap.high) == pytest.approx((1.0, 1 - part, 1.0), abs=1e-7)
        assert (dear.planned, dear.low, dear.high) == pytest.approx((0.0, 0.0, part), abs=1e-7)
        assert (rented.low, rented.high) == pytest.approx((1.0, 1.0))
        np.testing.assert_allclose(found.shares, [1 - part, part], atol=1e-7)
        np.testing.assert_allclose(found.planned_shares, [1.0, 0.0], atol=1e-7)
        assert found.distance == pytest.approx(part, abs=1e-7)


def test_power_that_costs_nothing_is_not_cared_about(make):
    bought = make.offer("bought", 4, kind=ContractKind.PURCHASE, price=100.0)
    hall = make.site("hall", 4, capex=0.0, rent=1e-6, available=5e4)
    problem = make.problem([bought], np.full(4, 10.0), sites=[hall])
    plan = solve(problem, gap=1e-9)
    (found,) = near_optimal(decided(plan), (0.05,))
    (power,) = [one for one in found.ranges if one.aggregate is Aggregate.POWER]
    assert power.planned == pytest.approx(1e4)
    assert power.low == pytest.approx(1e4)
    assert power.high > 1.1e4
    extra = (power.high - 1e4) * 4 * plan.spend["sites"].sum() / (1e4 * 4)
    assert extra == pytest.approx(0.05 * plan.goal, rel=1e-5)


@pytest.mark.parametrize("seed", range(1, 6))
def test_ranges_hold_the_plan_and_grow_with_the_slack(planned, seed):
    known = decided(planned(seed))
    found = near_optimal(known, (0.01, 0.05))
    for near in found:
        for one in near.ranges:
            size = 1e-6 * max(1.0, abs(one.planned))
            assert one.low - size <= one.planned <= one.high + size
        assert near.different.goal <= near.most + 1e-6 * abs(known.goal)
        certify(near.different).check()
    for narrow, wide in zip(found[0].ranges, found[1].ranges, strict=True):
        size = 1e-6 * max(1.0, abs(narrow.planned))
        assert wide.low <= narrow.low + size
        assert wide.high >= narrow.high - size
    assert any(one.high - one.low > 1e-4 * max(1.0, one.planned) for one in found[1].ranges)


def test_processes_give_what_one_gives(planned):
    known = decided(planned(1))
    one, two = near_optimal(known, (0.01, 0.02)), near_optimal(known, (0.01, 0.02), workers=2)
    assert [near.ranges for near in one] == [near.ranges for near in two]


def test_shares_are_expected_over_the_futures(make):
    tree = make.branching(2, q1=(0.25, 0.75))
    offers = [make.offer("cheap", 3, rent=1.0, allocation=100.0), make.offer("dear", 3, rent=2.0)]
    problem = make.problem(offers, [100.0, 100.0, 300.0], tree=tree)
    (found,) = near_optimal(decided(solve(problem, gap=1e-9)), (0.0,))
    np.testing.assert_allclose(found.planned_shares, [200 / 350, 150 / 350], rtol=1e-7)
    np.testing.assert_allclose(found.shares, found.planned_shares, rtol=1e-6)


def test_the_different_plan_keeps_whole_modules_and_the_ranges_part_them(make):
    bought = make.offer("bought", 4, kind=ContractKind.PURCHASE, price=100.0)
    hall = make.site("hall", 4, capex=1.0, module=5e3)
    problem = make.problem([make.offer("cloud", 4, rent=10.0), bought], np.full(4, 4.0), sites=[hall])
    plan = solve(problem, gap=1e-9)
    (found,) = near_optimal(decided(plan), (100.0,))
    (power,) = [one for one in found.ranges if one.aggregate is Aggregate.POWER]
    assert (power.planned, power.low) == pytest.approx((5e3, 0.0))
    assert power.high > 5e4
    np.testing.assert_allclose(found.shares, [1.0, 0.0], atol=1e-7)
    np.testing.assert_allclose(found.different.site_orders, plan.site_orders)
    assert near_optimal(decided(plan), (0.01, 0.02), ranges=(0.02,))[0].ranges == ()
