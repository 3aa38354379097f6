"""A plan's program with its whole decisions fixed: the plan again, and for other numbers what a program built anew finds."""

import dataclasses
import math

import numpy as np
import pytest

from tapeout.appraisal.decided import decided, least_goal
from tapeout.appraisal.knobs import scaled
from tapeout.appraisal.worth import without_offer
from tapeout.errors import InfeasibleError
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.reordering import reordered
from tapeout.sourcing.search import solve
from tests.sourcing.instances import random_problem

SEEDS = range(1, 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_plan_is_found_again(planned, seed):
    plan = planned(seed)
    assert decided(plan).goal == pytest.approx(plan.goal, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("target", "factor"), [("contracts.cloud.price", 0.8), ("models.model-0.demand", 1.1), ("finance.discount", 2.0)])
def test_from_the_plan_and_from_nothing_the_same_is_found(planned, seed, target, factor):
    known = decided(planned(seed))
    problem = scaled(known.problem, target, factor)
    try:
        anew = reordered(known.plan, problem).goal
    except InfeasibleError:
        anew = math.inf
    found = least_goal(known, problem)
    # Least orders and tiers stay as planned in the one, and are decided anew in the other.
    assert found >= anew * (1 - 1e-6)
    if not any(offer.minimum or offer.tiers for offer in problem.offers):
        assert found == pytest.approx(anew, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_whole_decisions_are_better_than_those_decided_anew(make, planned, seed):
    problem = random_problem(make, seed)
    known = decided(planned(seed))
    dearer = scaled(problem, "contracts.cloud.price", 1.2)
    kept = scaled(known.problem, "contracts.cloud.price", 1.2)
    assert least_goal(known, kept) >= solve(dearer, gap=1e-6).bound * (1 - 1e-6)


def test_what_no_orders_can_do_costs_infinitely_much(make):
    problem = make.problem([make.offer("cloud", 3, rent=1.0)], np.full(3, 5.0))
    known = decided(solve(problem))
    assert least_goal(known, dataclasses.replace(problem, budget=np.full(3, 1.0))) == math.inf
    assert least_goal(known, without_offer(problem, "cloud")) == math.inf


def test_modules_stay_as_planned(make, planned):
    hall = make.site("hall", 4, capex=1.0, module=5e3)
    bought = make.offer("bought", 4, kind=ContractKind.PURCHASE, price=100.0)
    problem = make.problem([make.offer("cloud", 4, rent=10.0), bought], np.full(4, 4.0), sites=[hall])
    known = decided(solve(problem, gap=1e-9))
    more = scaled(problem, "models.model-0.demand", 2.0)
    # The one module holds five chips of 1 kW; the other three queries are rented, where a second module would do it for less.
    assert least_goal(known, more) > solve(more, gap=1e-9).goal * 1.5
