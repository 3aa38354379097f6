"""Earlier silicon in closed form, its programme's copies, and plans carried to where outcomes show sooner."""

import dataclasses

import numpy as np
import pytest

from tapeout.appraisal.acceleration import carried, counterparts, earlier_silicon, faster, with_programme
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import solve
from tapeout.units import QUARTER, WEEK


def case(make, **programme):
    offers = [
        make.offer("cloud", 6, rent=2.0),
        make.offer("own", 6, kind=ContractKind.OWN, price=1e3, programme="tapeout", allocation=1e4),
    ]
    fields = {"lead": 3, "last_start": 0} | programme
    return make.problem(offers, np.full(6, 100.0), programmes=[make.programme("tapeout", [1e4], **fields)])


def test_a_quarter_sooner_saves_a_quarter_of_rent(make):
    plan = solve(case(make), gap=1e-9)
    (found,) = earlier_silicon(plan)
    # The chips of the first order are the same and last to the end; one more quarter of rent falls away.
    assert found.quarter == pytest.approx(100 * 2.0 * HOURS, rel=1e-6)
    assert found.week == pytest.approx(found.quarter * WEEK / QUARTER)
    assert 12.9 < found.quarter / found.week < 13.1


def test_an_outcome_that_delivers_counts_by_its_probability(make):
    spend = [1e4]
    outcomes = (
        make.outcome("on time", 0.75, spend, lead=3, revealed=2),
        make.outcome("failed", 0.25, spend, lead=None, revealed=2),
    )
    (found,) = earlier_silicon(solve(case(make, outcomes=outcomes), gap=1e-9))
    assert found.quarter == pytest.approx(0.75 * 100 * 2.0 * HOURS, rel=1e-6)


def test_what_is_not_started_has_no_worth_here(make):
    problem = case(make)
    dear = dataclasses.replace(problem.programmes[0], spend=np.full(1, 1e12))
    assert earlier_silicon(solve(with_programme(problem, dear))) == ()


def test_what_is_as_fast_as_can_be_is_not_accelerated(make):
    assert faster(make.programme("a", [1.0], lead=0)) is None
    at_once = (make.outcome("x", 0.5, [1.0], lead=1, revealed=1), make.outcome("y", 0.5, [2.0], lead=2, revealed=1))
    assert faster(make.programme("b", [1.0], lead=1, outcomes=at_once)) is None


def test_faster_is_a_quarter_less_of_lead_and_of_waiting(make):
    outcomes = (make.outcome("x", 0.5, [1.0], lead=4, revealed=3), make.outcome("y", 0.5, [1.0], lead=None, revealed=3))
    found = faster(make.programme("a", [1.0], lead=4, outcomes=outcomes))
    assert found is not None
    assert found.lead == 3
    assert [(one.lead, one.revealed) for one in found.outcomes] == [(3, 2), (None, 2)]


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_plan_is_carried_to_its_own_futures_unchanged(planned, seed):
    plan = planned(seed)
    same = carried(plan, plan.futures.world)
    np.testing.assert_array_equal(counterparts(plan.futures, same.futures), np.arange(plan.problem.tree.size))
    for name in ("starts", "stops", "site_orders", "prepaid"):
        np.testing.assert_array_equal(getattr(same, name), getattr(plan, name))


def test_a_node_whose_outcome_shows_sooner_does_what_all_hidden_ones_did(make):
    outcomes = tuple(
        make.outcome(name, chance, [1e4], lead=lead, revealed=3) for name, chance, lead in (("a", 0.5, 3), ("b", 0.3, 4), ("c", 0.2, None))
    )
    plan = solve(case(make, outcomes=outcomes), gap=1e-9)
    assert plan.starts.sum() == 1
    sooner = carried(plan, with_programme(plan.futures.world, faster(plan.problem.programmes[0])))
    nodes = counterparts(plan.futures, sooner.futures)
    assert sooner.problem.tree.size == plan.problem.tree.size + 2
    np.testing.assert_array_equal(plan.futures.origin[nodes], sooner.futures.origin)
    shown = sooner.problem.tree.quarter >= 3
    np.testing.assert_array_equal(plan.futures.case[:, nodes[shown]], sooner.futures.case[:, shown])
    assert len(set(nodes[sooner.problem.tree.quarter == 2].tolist())) == 1


def test_a_node_beside_one_that_shows_does_what_the_hidden_ones_did(make):
    outcomes = tuple(
        make.outcome(name, chance, [1e4], lead=lead, revealed=shows)
        for name, chance, lead, shows in (("a", 0.5, 3, 2), ("b", 0.3, 4, 3), ("c", 0.2, 5, 3))
    )
    plan = solve(case(make, outcomes=outcomes), gap=1e-9)
    sooner = carried(plan, with_programme(plan.futures.world, faster(plan.problem.programmes[0])))
    nodes = counterparts(plan.futures, sooner.futures)
    at_two = np.flatnonzero(sooner.problem.tree.quarter == 2)
    assert sooner.futures.case[0, at_two].tolist() == [0, 1, 2]
    shown, *hidden = nodes[at_two].tolist()
    assert plan.futures.case[0, shown] == 0
    assert len(set(hidden)) == 1
    assert plan.futures.case[0, hidden[0]] == 1
