"""The worth of information: newsvendor in closed form, the order of the three costs, and worlds that leave nothing to know."""

import dataclasses
import math

import numpy as np
import pytest

from tapeout.appraisal.information import information, wait_and_see
from tapeout.appraisal.mean_plan import best_start, mean_plan
from tapeout.fleet.parallel import crew
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import alternatives
from tests.sourcing.instances import random_problem
from tests.sourcing.optimum import optimum


def newsvendor(make, *, ahead, spot, demand=(10.0, 30.0), chance=0.5, penalty=np.inf):
    """Chips for the next quarter at `ahead` USD, or then at `spot`, infinite where there are none."""
    tree = make.branching(2, q1=(1 - chance, chance))
    offers = [make.offer("early", 3, kind=ContractKind.RESERVED, rent=ahead / HOURS, lead=1)]
    offers += [make.offer("late", 3, rent=spot / HOURS)] if math.isfinite(spot) else []
    return make.problem(offers, [0.0, *demand], tree=tree, penalty=penalty)


@pytest.mark.parametrize(
    ("spot", "chance", "cost", "knowing", "with_mean"),
    [
        (1.5, 0.5, 10 + 0.5 * 20 * 1.5, 20.0, 20 + 0.5 * 10 * 1.5),  # low, as 0.5 x 1.5 < 1
        (2.5, 0.5, 30.0, 20.0, 20 + 0.5 * 10 * 2.5),  # high
        (2.5, 0.1, 10 + 0.1 * 20 * 2.5, 12.0, 12 + 0.1 * 18 * 2.5),
    ],
)
def test_newsvendor(make, spot, chance, cost, knowing, with_mean):
    problem = newsvendor(make, ahead=1.0, spot=spot, chance=chance)
    plan = optimum(problem)
    found = information(problem, plan, gap=1e-9)
    assert plan.cost == pytest.approx(cost, rel=1e-6)
    assert found.evpi_at_most == pytest.approx(cost - knowing, rel=1e-6)
    assert found.begun_with_mean == pytest.approx(with_mean, rel=1e-5)
    assert found.vss == pytest.approx(with_mean - cost, rel=1e-4)
    assert found.vss_at_least <= found.vss + 1e-9
    assert found.vss <= found.vss_at_most + 1e-9
    assert found.mean.orders[0, 0] == pytest.approx(10 * (1 - chance) + 30 * chance)


def test_a_beginning_that_leaves_no_plan_is_infinite_and_says_why(make):
    problem = newsvendor(make, ahead=1.0, spot=math.inf)
    found = information(problem, optimum(problem))
    assert found.vss == found.begun_with_mean == math.inf
    assert "demand" in found.reason
    assert found.evpi_at_most == pytest.approx(30 - 20, rel=1e-6)


@pytest.mark.parametrize("seed", [4, 6, 8, 13])
def test_knowing_costs_less_and_beginning_with_the_mean_more(make, seed):
    problem = random_problem(make, seed)
    plan = optimum(problem)
    found = information(problem, plan, gap=1e-9)
    small = 1e-6 * abs(plan.goal)
    assert found.evpi_at_most >= -small
    assert found.begun_with_mean >= plan.goal - small
    assert found.vss_at_least <= found.vss + small
    assert found.vss <= found.vss_at_most + small


@pytest.mark.parametrize("seed", [2, 17])
def test_who_knows_pays_no_less_than_the_bound(make, seed):
    problem = random_problem(make, seed)
    with crew(problem) as run_jobs:
        bound = wait_and_see(problem, run_jobs)
    leaves = problem.tree.leaves
    plans = [optimum(dataclasses.replace(problem.along(leaf), risk=None)) for leaf in leaves]
    knowing = sum(problem.tree.probability[leaf] * plan.cost for leaf, plan in zip(leaves, plans, strict=True))
    assert bound <= knowing * (1 + 1e-6)
    assert bound >= 0.7 * knowing  # no more than what modules, minima and gates can make


@pytest.mark.parametrize("seed", [3, 21, 25])
def test_the_best_start_is_that_of_the_search(make, seed):
    """Without what else comes whole, the starts one by one give the least cost."""
    problem = dataclasses.replace(random_problem(make, seed), prepayments=(), risk=None)
    offers = tuple(dataclasses.replace(offer, minimum=0.0, tiers=()) for offer in problem.offers)
    sites = tuple(dataclasses.replace(site, module=0.0) for site in problem.sites)
    programmes = tuple(dataclasses.replace(programme, gates=()) for programme in problem.programmes)
    problem = dataclasses.replace(problem, offers=offers, sites=sites, programmes=programmes)
    sure = problem.along(int(problem.tree.leaves[0]))
    assert best_start(alternatives(sure))[0] == pytest.approx(optimum(sure).cost, rel=1e-6)


def test_where_all_is_sure_nothing_is_worth_knowing(make):
    problem = make.full_case()
    plan = optimum(problem)
    found = information(problem, plan, gap=1e-9)
    assert found.evpi_at_most <= 0.02 * plan.cost  # the bound of the one future, to a gap
    assert found.vss == pytest.approx(0.0, abs=1e-5 * plan.cost)


def test_the_plan_for_the_mean_takes_a_programme_as_planned(make):
    outcomes = (make.outcome("on time", 0.2, [5e3], lead=1, revealed=1), make.outcome("failed", 0.8, [5e3], lead=None, revealed=1))
    own = make.offer("own", 4, kind=ContractKind.OWN, price=100.0, programme="tapeout")
    tapeout = make.programme("tapeout", [5e3], lead=1, outcomes=outcomes)
    problem = make.problem([make.offer("cloud", 4, rent=2.0), own], [10.0] * 4, programmes=[tapeout])
    mean, plan = mean_plan(problem), optimum(problem)
    assert mean.starts.sum() == 1
    assert mean.cost < plan.cost
    found = information(problem, plan, gap=1e-9)
    assert found.mean.cost == pytest.approx(mean.cost)
    assert found.begun_with_mean >= plan.cost * (1 - 1e-9)


def test_who_begins_with_the_mean_need_not_start_what_it_would_start_later(make):
    """The programme, nearly sure to fail, is worth it as planned only; its window opens after the first branching."""
    tree = make.branching(5, q1=(0.5, 0.5))
    outcomes = (make.outcome("on time", 0.1, [5e4], lead=1, revealed=1), make.outcome("failed", 0.9, [5e4], lead=None, revealed=1))
    own = make.offer("own", tree.size, kind=ContractKind.OWN, programme="tapeout")
    tapeout = make.programme("tapeout", [5e4], lead=1, outcomes=outcomes, first_start=2)
    problem = make.problem([make.offer("cloud", tree.size, rent=2.0), own], np.full(tree.size, 10.0), tree=tree, programmes=[tapeout])
    plan = optimum(problem)
    found = information(problem, plan, gap=1e-9)
    assert found.mean.starts.sum() == 1
    assert plan.starts.sum() == 0
    assert found.vss == pytest.approx(0.0, abs=1e-6 * plan.cost)


def test_workers_change_nothing(make):
    problem = random_problem(make, 4)
    plan = optimum(problem)
    one, two = (information(problem, plan, workers=workers) for workers in (1, 2))
    assert one.evpi_at_most == two.evpi_at_most
    assert one.vss == two.vss
