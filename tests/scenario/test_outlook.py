"""The uncertainty of a scenario as processes, and a problem whose forecasts move on their tree."""

from dataclasses import replace

import numpy as np
import pytest

from tapeout.outlook.processes import combine, draw, to_tree
from tapeout.outlook.tree import single, tree_of
from tapeout.scenario.document import parse_document
from tapeout.scenario.hardware import chips_of
from tapeout.scenario.offers import offers
from tapeout.scenario.outlook import on_scenarios, outlook, problem_on, processes, weights
from tapeout.scenario.places import matching, places
from tapeout.scenario.reader import scenario_of
from tapeout.scenario.supply_side import sites
from tapeout.sourcing.problem import Debt, Prepayment, Problem
from tapeout.sourcing.validation import validate
from tapeout.units import QUARTER

UNCERTAIN = """\
uncertainty:
  scenarios: 3
  processes:
    growth:
      moves: models.*.demand
      source: guess
      why: nobody knows
      steps:
        2027Q2:
          high: {probability: 40 %, factor: 150 %}
          low:
            probability: 60 %
            factor: 70 %
            also: {contracts.*.price: {factor: 90 %}}
    cage:
      moves: sites.cage.available
      source: guess
      why: nobody knows
      steps:
        2027Q1:
          in time: {probability: 50 %}
          late: {probability: 50 %, delay: 2 quarter}
"""
FORK = tree_of([0, 1, 1, 2, 2, 3, 3], [-1, 0, 0, 1, 2, 3, 4], [1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
"""Four quarters; the second node of each later quarter is the other branch, known in quarter 1."""


@pytest.fixture
def uncertain(small):
    return scenario_of(parse_document(small + UNCERTAIN, "f.yaml"))


def base_of(scenario):
    """The problem on one path, with chips that serve a query a second each."""
    demand = np.array([model.demand.over(scenario.start, scenario.quarters) for model in scenario.models.values()])
    chips = chips_of(scenario)
    return Problem(
        quarters=scenario.quarter_labels,
        tree=single(scenario.quarters),
        models=tuple(scenario.models),
        demand=2 * demand,
        volume=demand * QUARTER,
        unmet_penalty=np.array([0.03]),
        offers=offers(scenario, chips, {name: np.ones(1) for name in chips.by_name}),
        sites=sites(scenario),
        programmes=(),
        budget=scenario.finance.budget.over(scenario.start, scenario.quarters),
        discount=0.1,
    )


def four_quarters(base):
    """The problem cut to four quarters, its power rising by one megawatt a quarter and its orders by ten chips."""
    cut = base.on(single(4), np.arange(4))
    rising = np.arange(1.0, 5.0)
    return replace(
        cut,
        quarters=base.quarters[:4],
        sites=(replace(cut.sites[0], available=1e6 * rising),),
        offers=tuple(replace(offer, allocation=10 * rising) for offer in cut.offers),
    )


def test_places_are_those_of_the_file(uncertain):
    assert places(uncertain) == (
        "models.chat.demand", "contracts.rented.price", "contracts.rented.allocation", "contracts.bought.price",
        "contracts.bought.allocation", "sites.cage.available", "sites.cage.electricity", "sites.cage.rent", "sites.cage.capital",
        "finance.budget",
    )  # fmt: skip
    assert matching(uncertain, "contracts.*.price") == ("contracts.rented.price", "contracts.bought.price")
    assert matching(uncertain, "contracts.b*.price") == ("contracts.bought.price",)
    assert matching(uncertain, "contracts.*") == ()


def test_processes_are_as_the_file_says(uncertain):
    growth, cage = processes(uncertain)
    stage = growth.stages[0]
    assert (growth.name, stage.quarter, [branch.name for branch in stage.branches]) == ("growth", 2, ["high", "low"])
    assert [(one.target, one.factor) for one in stage.branches[0].effects] == [("models.chat.demand", 1.5)]
    low = {one.target: one.factor for one in stage.branches[1].effects}
    assert low == pytest.approx({"models.chat.demand": 0.7, "contracts.rented.price": 0.9, "contracts.bought.price": 0.9})
    assert [(one.target, one.delay) for one in cage.stages[0].branches[1].effects] == [("sites.cage.available", 2)]


def test_a_scenario_without_uncertainty_stays_on_one_path(small):
    scenario = scenario_of(parse_document(small, "f.yaml"))
    base = base_of(scenario)
    assert processes(scenario) == ()
    found = outlook(scenario, base)
    assert found.problem is base
    assert found.reduced is None


def test_the_tree_has_all_combinations_or_as_many_as_are_wanted(uncertain):
    base = base_of(uncertain)
    assert 1 < outlook(uncertain, base).problem.tree.leaves.size <= 3
    everything = outlook(uncertain, base, 4)
    assert everything.reduced.distance == pytest.approx(0, abs=1e-12)
    tree = everything.problem.tree
    assert {tree.words(leaf): round(float(tree.probability[leaf]), 6) for leaf in tree.leaves} == {
        "cage in time, growth high": 0.2, "cage in time, growth low": 0.3, "cage late, growth high": 0.2, "cage late, growth low": 0.3,
    }  # fmt: skip
    validate(everything.problem)


def test_each_forecast_moves_from_its_quarter_on_and_no_other(uncertain):
    base = base_of(uncertain)
    problem = outlook(uncertain, base, 4).problem
    tree = problem.tree
    high = next(leaf for leaf in tree.leaves if tree.words(leaf) == "cage in time, growth high")
    low = next(leaf for leaf in tree.leaves if tree.words(leaf) == "cage late, growth low")
    for leaf, demand, price in ((high, 1.5, 1.0), (low, 0.7, 0.9)):
        path = problem.along(leaf)
        later = np.arange(8) >= 2
        np.testing.assert_allclose(path.demand, base.demand * np.where(later, demand, 1))
        np.testing.assert_allclose(path.volume, base.volume * np.where(later, demand, 1))
        for offer, before in zip(path.offers, base.offers, strict=True):
            np.testing.assert_allclose(offer.rent, before.rent * np.where(later, price, 1))
            np.testing.assert_allclose(offer.unit_price, before.unit_price * np.where(later, price, 1))
            np.testing.assert_array_equal(offer.allocation, before.allocation)
            np.testing.assert_array_equal(offer.upkeep, before.upkeep)
        np.testing.assert_array_equal(path.budget, base.budget)


def test_the_mean_over_the_tree_is_the_mean_of_the_processes(uncertain):
    base = base_of(uncertain)
    problem = outlook(uncertain, base, 3).problem
    tree = problem.tree
    mean = np.bincount(tree.quarter, weights=tree.probability * problem.demand[0])
    np.testing.assert_allclose(mean, base.demand[0] * np.where(np.arange(8) >= 2, 0.4 * 1.5 + 0.6 * 0.7, 1))


def test_a_sure_branch_that_changes_nothing_changes_nothing(small):
    sure = UNCERTAIN.replace("high: {probability: 40 %, factor: 150 %}", "same: {probability: 100 %}")
    start, end = sure.index("          low:"), sure.index("    cage:")
    scenario = scenario_of(parse_document(small + sure[:start], "f.yaml"))
    assert end > start
    base = base_of(scenario)
    problem = outlook(scenario, base).problem
    np.testing.assert_array_equal(problem.demand, base.demand)
    np.testing.assert_array_equal(problem.sites[0].available, base.sites[0].available)
    np.testing.assert_array_equal(problem.tree.parent, base.tree.parent)


def test_a_delay_holds_what_is_there_until_it_is_made_up(uncertain):
    base = four_quarters(base_of(uncertain))
    late = np.where(np.isin(np.arange(7), (2, 4, 6)), 2, 0)
    problem = problem_on(base, FORK, {"contracts.bought.allocation": np.ones(7)}, {"contracts.bought.allocation": late})
    sure, slipped = problem.offers[1].allocation[[0, 1, 3, 5]], problem.offers[1].allocation[[0, 2, 4, 6]]
    np.testing.assert_array_equal(sure, [10, 20, 30, 40])
    np.testing.assert_array_equal(slipped, [10, 10, 10, 20])
    np.testing.assert_array_equal(problem.offers[0].allocation[[0, 2, 4, 6]], [10, 20, 30, 40])
    learnt = np.where(np.isin(np.arange(7), (4, 6)), 2, 0)  # a quarter later, when 20 have come
    problem = problem_on(base, FORK, {"contracts.bought.allocation": np.ones(7)}, {"contracts.bought.allocation": learnt})
    np.testing.assert_array_equal(problem.offers[1].allocation[[0, 2, 4, 6]], [10, 20, 20, 20])


def test_power_that_can_be_held_is_not_taken_back(uncertain):
    base = four_quarters(base_of(uncertain))
    factor = np.where(np.isin(np.arange(7), (2, 4, 6)), 0.4, 1.0)
    problem = problem_on(base, FORK, {"sites.cage.available": factor}, {"sites.cage.available": np.zeros(7, dtype=int)})
    np.testing.assert_allclose(problem.sites[0].available[[0, 2, 4, 6]], [1e6, 1e6, 1.2e6, 1.6e6])
    falling = replace(base, sites=(replace(base.sites[0], available=np.array([4e6, 3e6, 2e6, 1e6])),))
    kept = problem_on(falling, FORK, {"sites.cage.available": np.ones(7)}, {"sites.cage.available": np.zeros(7, dtype=int)})
    np.testing.assert_allclose(kept.sites[0].available[[0, 1, 3, 5]], [4e6, 3e6, 2e6, 1e6])


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("sites.cage.electricity", lambda problem: problem.sites[0].energy),
        ("sites.cage.rent", lambda problem: problem.sites[0].rent),
        ("sites.cage.capital", lambda problem: problem.sites[0].capex),
        ("finance.budget", lambda problem: problem.budget),
        ("finance.debt.limit", lambda problem: problem.debt.limit),
        ("prepayments.line.price", lambda problem: problem.prepayments[0].price),
        ("contracts.rented.allocation", lambda problem: problem.offers[0].allocation),
    ],
)
def test_every_kind_of_target_moves_its_own_values(uncertain, target, value):
    line = Prepayment(id="line", offers=("bought",), price=np.full(8, 1e6), lead=1, chips=1.0, offtake=0.0, shortfall=0.0, first=0, last=7)
    base = replace(base_of(uncertain), prepayments=(line,), debt=Debt(limit=np.full(8, 1e6), interest=0.1))
    base = replace(base, sites=(replace(base.sites[0], capex=np.full(8, 9.0)),))
    halves = np.where(np.arange(8) >= 3, 0.5, 1.0)
    moved = problem_on(base, base.tree, {target: halves}, {target: np.zeros(8, dtype=int)})
    assert np.all(value(base) > 0)
    np.testing.assert_allclose(value(moved), value(base) * halves)
    assert problem_on(base, base.tree, {}, {}).along(7).budget.tolist() == base.budget.tolist()


def test_fresh_draws_give_a_problem_on_their_own_tree(uncertain):
    base = base_of(uncertain)
    drawn = draw(processes(uncertain), uncertain.quarters, 50, seed=3)
    problem = on_scenarios(base, drawn)
    assert problem.tree.leaves.size == drawn.size
    assert problem.tree.size == to_tree(drawn)[0].size
    assert problem.tree.leaves.size <= combine(processes(uncertain), uncertain.quarters).size


def test_demand_weighs_most_and_many_targets_of_a_kind_share_one_weight():
    targets = ["models.a.demand", "models.b.demand", "contracts.c.price", "sites.d.available", "finance.budget", "finance.debt.limit"]
    found = weights(targets)
    assert sum(found.values()) == pytest.approx(4 + 4)
    assert found["models.a.demand"] == 2
    assert found["contracts.c.price"] == found["finance.budget"] == found["finance.debt.limit"] == 1
