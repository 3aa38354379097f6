"""Policies followed: a plan on its own tree costs what it says, the ledger agrees with all that is followed, nothing foresees."""

import dataclasses

import numpy as np
import pytest

from tapeout.appraisal.policies import buy_ahead, drawn, follow_plan, rent_everything
from tapeout.sourcing.accounts import cash_by_node
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.futures import futures, windows
from tapeout.sourcing.problem import ContractKind, Debt
from tapeout.sourcing.search import solve
from tests.sourcing.everything import everything
from tests.sourcing.instances import random_problem
from tests.sourcing.optimum import optimum

MAY_BREAK = {"budget", "largest share", "concentration", "debt"}
"""Laws that futures for which a policy was not made can break."""


def own_nodes(problem):
    return np.arange(problem.tree.size)


@pytest.mark.parametrize("seed", [1, 4, 7, 11, 13, 19, 20])
def test_a_plan_on_its_own_tree_costs_what_it_says(make, seed):
    problem = random_problem(make, seed)
    plan = optimum(problem)
    followed = follow_plan(problem, plan, own_nodes(problem))
    certify(followed).check()
    assert followed.cost == pytest.approx(plan.cost, rel=1e-6)
    assert followed.goal == pytest.approx(plan.goal, rel=1e-6)
    np.testing.assert_allclose(followed.installed, plan.installed, rtol=1e-6, atol=1e-5)


def test_with_everything_only_shares_are_broken_and_only_to_serve_more(make):
    problem = everything(make, seed=9)
    plan = solve(problem, gap=0.05)
    followed = follow_plan(problem, plan, own_nodes(problem))
    broken = {law for law, size in certify(followed).violations.items() if size > 1e-6}
    assert broken == {"largest share"}
    assert followed.unmet.sum() < plan.unmet.sum()
    np.testing.assert_allclose(followed.orders[2:], plan.orders[2:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", [6, 7, 13, 20])
@pytest.mark.parametrize("policy", ["plan", "rent", "buy"])
def test_the_ledger_agrees_in_fresh_futures(make, seed, policy):
    problem = random_problem(make, seed)
    draw = np.random.default_rng(seed)
    size = problem.tree.size
    offers = tuple(
        dataclasses.replace(
            offer, rent=offer.rent * draw.uniform(0.7, 1.5, size), allocation=offer.allocation * draw.uniform(0.3, 1.2, size)
        )
        for offer in problem.offers
    )
    level = draw.uniform(0.6, 1.5, size)
    fresh = dataclasses.replace(problem, offers=offers, demand=problem.demand * level, volume=problem.volume * level)
    if policy == "plan":
        followed = follow_plan(fresh, solve(problem, gap=0.02), own_nodes(problem))
    else:
        followed = (rent_everything if policy == "rent" else buy_ahead)(fresh)
    certificate = certify(followed)
    assert {law for law, size in certificate.violations.items() if size > 1e-6} <= MAY_BREAK
    assert certificate.disagreement < 1e-9


@pytest.mark.parametrize("policy", ["plan", "rent", "buy"])
def test_nothing_is_decided_for_what_is_not_yet_known(make, policy):
    problem = random_problem(make, 13)
    plan, time = optimum(problem), problem.tree.quarter
    later = time >= 3
    offers = tuple(dataclasses.replace(offer, rent=np.where(later, 3 * offer.rent, offer.rent)) for offer in problem.offers)
    changed = dataclasses.replace(problem, offers=offers, budget=np.where(later, problem.budget / 2, problem.budget))
    run = {"rent": rent_everything, "buy": buy_ahead, "plan": lambda one: follow_plan(one, plan, own_nodes(one))}[policy]
    one, other = run(problem), run(changed)
    before = one.problem.tree.quarter < 3
    for name in ("orders", "site_orders", "fleet", "unmet"):
        np.testing.assert_allclose(getattr(one, name)[..., before], getattr(other, name)[..., before], rtol=1e-9, atol=1e-9)
    assert not np.allclose(one.spend["rent"], other.spend["rent"])


def test_more_demand_than_planned_is_rented_at_its_price(make):
    cloud = make.offer("cloud", 3, rent=[4.0, 4.0, 4.0])
    early = make.offer("early", 3, kind=ContractKind.RESERVED, rent=1.0, lead=1, allocation=[10.0, 10.0, 10.0])
    known = make.problem([cloud, early], [10.0, 10.0, 10.0])
    plan = optimum(known)
    dear = dataclasses.replace(cloud, rent=np.array([4.0, 4.0, 6.0]))
    fresh = make.problem([dear, early], [10.0, 10.0, 15.0])
    followed = follow_plan(fresh, plan, own_nodes(fresh))
    assert plan.cost == pytest.approx((40 + 10 + 10) * HOURS)
    assert followed.cost == pytest.approx((40 + 10 + 10 + 5 * 6) * HOURS)


def test_more_demand_than_planned_is_met_by_contracts_once_it_is_seen(make):
    cloud = make.offer("cloud", 3, rent=4.0)
    early = make.offer("early", 3, kind=ContractKind.RESERVED, rent=1.0, lead=1)
    plan = optimum(make.problem([cloud, early], [10.0, 10.0, 10.0]))
    fresh = make.problem([cloud, early], [10.0, 15.0, 15.0])
    followed = follow_plan(fresh, plan, own_nodes(fresh))
    np.testing.assert_allclose(followed.orders, [[10.0, 5.0, 0.0], [10.0, 15.0, 0.0]], atol=1e-6)


def test_orders_are_cut_to_the_allocation_and_what_is_missing_stays_unmet(make):
    early = make.offer("early", 2, kind=ContractKind.RESERVED, rent=1.0, lead=1)
    plan = optimum(make.problem([early], [0.0, 10.0], penalty=1e-2))
    fresh = make.problem([dataclasses.replace(early, allocation=np.array([4.0, 0.0]))], [0.0, 10.0], penalty=1e-2)
    followed = follow_plan(fresh, plan, own_nodes(fresh))
    assert followed.orders[0, 0] == 4.0
    assert followed.unmet[0, 1] == pytest.approx(6.0)
    assert followed.cost == pytest.approx(4 * HOURS + 0.6 * 1e-2 * fresh.volume[0, 1])


def test_orders_wait_for_no_money_and_all_get_the_same_part(make):
    offers = [make.offer(name, 2, kind=ContractKind.RESERVED, price=price, lead=1) for name, price in (("one", 1e3), ("two", 3e3))]
    offers = [dataclasses.replace(offer, throughput=speed) for offer, speed in zip(offers, np.eye(2), strict=True)]
    demand = [[0.0, 10.0], [0.0, 10.0]]
    plan = optimum(make.problem(offers, demand, penalty=1e-2))
    followed = follow_plan(make.problem(offers, demand, penalty=1e-2, budget=[20e3, 0.0]), plan, np.arange(2))
    np.testing.assert_allclose(followed.orders[:, 0], [5.0, 5.0])
    assert cash_by_node(followed)[0] == pytest.approx(20e3)


def test_what_a_late_programme_does_not_bring_is_rented(make):
    own = make.offer("own", 4, kind=ContractKind.OWN, price=100.0, programme="tapeout")
    sure = make.programme("tapeout", [5e3], lead=1)
    outcomes = (make.outcome("on time", 0.5, [5e3], lead=1, revealed=1), make.outcome("late", 0.5, [5e3, 2e3], lead=2, revealed=1))
    cloud, demand = make.offer("cloud", 4, rent=2.0), [10.0] * 4
    plan = optimum(make.problem([cloud, own], demand, programmes=[sure]))
    fresh = make.problem([cloud, own], demand, programmes=[dataclasses.replace(sure, outcomes=outcomes)])
    followed = follow_plan(fresh, plan, own_nodes(fresh))
    assert plan.starts[0, 0] == 1.0
    assert plan.cost == pytest.approx(5e3 + 10 * 2 * HOURS + 10 * 100)
    late = 5e3 + 2e3 + 4 * 10 * 2 * HOURS  # the plan ordered once, when the late chips were not there yet
    assert followed.cost == pytest.approx(0.5 * plan.cost + 0.5 * late)


def test_rent_everything_orders_each_contract_its_lead_before(make):
    cloud = make.offer("cloud", 4, rent=3.0)
    early = make.offer("early", 4, kind=ContractKind.RESERVED, rent=1.0, lead=1)
    bought = make.offer("bought", 4, kind=ContractKind.PURCHASE, price=1.0)
    followed = rent_everything(make.problem([cloud, early, bought], [10.0, 20.0, 30.0, 30.0]))
    np.testing.assert_allclose(followed.orders, [[10, 0, 0, 0], [20, 30, 30, 0], [0, 0, 0, 0]], atol=1e-6)
    assert followed.cost == pytest.approx((30 + 20 + 30 + 30) * HOURS)


def test_buy_ahead_buys_for_the_demand_of_a_year_later(make):
    quarters = 8
    cloud = make.offer("cloud", quarters, rent=3.0)
    bought = make.offer("bought", quarters, kind=ContractKind.PURCHASE, price=1e3, lead=1)
    hall = make.site("hall", quarters, available=1e9, module=4e3, lead=0)
    demand = np.array([10.0, 11.0, 12.0, 13.0, 14.0, 14.0, 14.0, 14.0])
    followed = buy_ahead(make.problem([cloud, bought], demand, sites=[hall]))
    np.testing.assert_allclose(followed.orders[1], [14, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(followed.orders[0], [10, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)
    assert np.all(followed.site_power[0] >= 1000 * followed.fleet[1, 1] - 1e-6)
    assert np.all(followed.site_power[0] % 4e3 == 0)


def test_rules_borrow_nothing(make):
    cloud = make.offer("cloud", 2, rent=1.0)
    problem = make.problem([cloud], [10.0, 10.0], penalty=1e-2, budget=5 * HOURS, debt=Debt(limit=np.full(2, 9 * HOURS), interest=0.1))
    followed = rent_everything(problem)
    assert not followed.debt.any()
    np.testing.assert_allclose(followed.unmet[0], [5.0, 5.0], rtol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_outcome_is_drawn_for_each_future_of_the_world(make, seed):
    problem = random_problem(make, 1)
    allowed = windows(problem)
    allowed[:, 1:] = False
    every = futures(problem, allowed)
    found = drawn(every, seed)
    tree = found.problem.tree
    np.testing.assert_array_equal(found.origin[tree.leaves], problem.tree.leaves)
    np.testing.assert_allclose(tree.probability[tree.leaves], problem.tree.probability[problem.tree.leaves])
    assert every.problem.tree.leaves.size > tree.leaves.size
    np.testing.assert_array_equal(found.origin[tree.parent[1:]], problem.tree.parent[found.origin[1:]])


def test_outcomes_are_drawn_in_their_proportions(make):
    outcomes = (make.outcome("on time", 0.7, [1.0], lead=1, revealed=1), make.outcome("failed", 0.3, [1.0], lead=None, revealed=1))
    tree = make.branching(3, q1=(0.5, 0.5), q2=(0.1,) * 10)
    own = make.offer("own", tree.size, kind=ContractKind.OWN, programme="tapeout")
    tapeout = make.programme("tapeout", [1.0], outcomes=outcomes, last_start=0)
    every = futures(make.problem([own], np.ones(tree.size), tree=tree, programmes=[tapeout]))
    for seed in range(3):
        found = drawn(every, seed)
        assert (found.case[0, found.problem.tree.leaves] == 1).sum() == 6


def test_what_is_not_to_be_had_is_rented_once_that_is_seen(make) -> None:
    """Chips that the plan buys and that are not allotted in the world met are missing in the quarter in which they were to serve."""
    offers = [
        make.offer("bought", 6, kind=ContractKind.PURCHASE, price=1e3, lead=1, term=6, allocation=100.0),
        make.offer("rented", 6, kind=ContractKind.RESERVED, rent=3.0, lead=1, term=6, allocation=100.0),
    ]
    known = make.problem(offers, [0, 10, 10, 10, 10, 10], penalty=1e-3)
    plan = optimum(known)
    assert plan.installed[:, 1].tolist() == [10.0, 0.0]
    dry = dataclasses.replace(offers[0], allocation=np.zeros(6))
    met = dataclasses.replace(known, offers=(dry, offers[1]))
    walked = follow_plan(met, plan, np.arange(6))
    assert walked.unmet[0].tolist() == pytest.approx([0, 10, 0, 0, 0, 0], abs=1e-6)
    assert walked.installed[1].tolist() == pytest.approx([0, 0, 10, 10, 10, 10], abs=1e-6)
