"""The bracket of a least cost holds the one that a search finds, quick or not."""

import math

import numpy as np
import pytest

from tapeout.appraisal.bracket import Limits, bracket
from tapeout.errors import InfeasibleError
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import solve
from tests.sourcing.instances import random_problem

EXACT = Limits(gap=1e-6, time_limit=60.0)
QUICK = Limits(gap=1e-6, time_limit=60.0, quick=True)


@pytest.mark.parametrize("seed", range(1, 8))
def test_the_quick_bracket_holds_the_least_cost_of_starting(make, seed):
    problem = random_problem(make, seed)
    found = bracket(QUICK, problem)
    assert found.bound <= found.cost * (1 + 1e-6)
    try:
        plan = solve(problem, gap=1e-6)
    except InfeasibleError:
        assert found.cost == math.inf
        return
    # The quick one must start; the best plan need not.
    assert found.cost >= plan.bound * (1 - 1e-6)
    if plan.problem.programmes:
        assert found.bound <= plan.goal * (1 + 1e-6)


def test_without_whole_decisions_the_bracket_is_closed(make):
    problem = make.problem([make.offer("cloud", 3, rent=2.0), make.offer("spot", 3, rent=1.0, allocation=4.0)], np.full(3, 10.0))
    exact, quick = bracket(EXACT, problem), bracket(QUICK, problem)
    assert quick.bound == pytest.approx(quick.cost)
    assert quick.cost == pytest.approx(exact.cost)


def test_modules_are_rounded_to_whole_ones(make):
    hall = make.site("hall", 4, capex=1.0, module=7e3)
    bought = make.offer("bought", 4, kind=ContractKind.PURCHASE, price=100.0)
    problem = make.problem([make.offer("cloud", 4, rent=10.0), bought], np.full(4, 10.0), sites=[hall])
    exact, quick = bracket(EXACT, problem), bracket(QUICK, problem)
    assert quick.bound < exact.cost * (1 - 1e-3)
    assert exact.cost == pytest.approx(quick.cost)


def test_what_cannot_be_met_costs_infinitely_much(make):
    problem = make.problem([make.offer("cloud", 3, rent=1.0, allocation=1.0)], np.full(3, 5.0))
    for limits in (EXACT, QUICK):
        found = bracket(limits, problem)
        assert found.bound == found.cost == math.inf
