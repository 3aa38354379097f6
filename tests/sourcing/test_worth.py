"""The worth of a programme in closed form: what its chips save against rent, and nothing where they save nothing."""

import dataclasses

import numpy as np
import pytest

from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.plan import solve
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.worth import programme_worths


def case(make, rent):
    offers = [
        make.offer("cloud", 6, rent=rent),
        make.offer("own", 6, kind=ContractKind.OWN, price=4e3, programme="tapeout", allocation=1e4),
    ]
    return make.problem(offers, np.full(6, 100.0), programmes=[make.programme("tapeout", [3e5, 2e5], lead=2, last_start=0)])


def test_the_most_to_pay_is_what_the_chips_save(make):
    (worth,) = programme_worths(case(make, 2.0), gap=1e-9, time_limit=60.0)
    assert worth.most_to_pay == pytest.approx(100 * (2.0 * HOURS * 4 - 4e3), rel=1e-6)
    assert worth.spend == pytest.approx(5e5)


def test_a_programme_that_saves_nothing_is_worth_nothing(make):
    (worth,) = programme_worths(case(make, 0.1), gap=1e-9, time_limit=60.0)
    assert worth.most_to_pay == pytest.approx(0.0, abs=1e-3)


def test_no_programme_no_worth(make):
    problem = make.problem([make.offer("cloud", 2, rent=1.0)], np.ones(2))
    assert programme_worths(problem, gap=1e-3, time_limit=10.0) == ()


@pytest.mark.parametrize(("ratio", "starts"), [(0.99, 1), (1.01, 0)])
def test_the_plan_starts_what_costs_less_than_it_is_worth(make, ratio, starts):
    problem = case(make, 2.0)
    (worth,) = programme_worths(problem, gap=1e-9, time_limit=60.0)
    (one,) = problem.programmes
    spend = one.spend * ratio * worth.most_to_pay / worth.spend
    plan = solve(dataclasses.replace(problem, programmes=(dataclasses.replace(one, spend=spend),)), gap=1e-9)
    assert plan.starts.sum() == starts
