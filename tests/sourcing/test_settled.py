"""A plan that carries on from decisions that stand."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import InfeasibleError, InputError
from tapeout.outlook.tree import tree_of
from tapeout.sourcing.problem import ContractKind, ProgrammeOutcome
from tapeout.sourcing.search import solve
from tapeout.sourcing.settled import carry_on, nothing
from tests.sourcing.conftest import full_case, offer, problem


@pytest.fixture(scope="module")
def best():
    return solve(full_case(), gap=1e-9)


@pytest.mark.parametrize("until", [0, 3, 8])
def test_the_rest_of_the_best_plan_is_the_best_rest(best, until):
    """The principle of optimality: what is left of an optimal plan is optimal for what is left."""
    decided = nothing(full_case()).then(best, 0, 8)
    assert carry_on(full_case(), decided, until, 1e-9, 60.0).cost == pytest.approx(best.cost, rel=1e-9)


def test_what_was_decided_stands_and_what_was_not_is_free(best):
    other = solve(full_case().without(frozenset({"tapeout"})), gap=1e-9)
    assert best.starts.sum() == 1
    assert other.cost > best.cost
    decided = nothing(full_case()).then(best, 0, 8)
    idle = dataclasses.replace(decided, orders=np.zeros_like(decided.orders), site_orders=np.zeros_like(decided.site_orders))
    held = carry_on(full_case(), idle, 2, 1e-9, 60.0)
    assert held.orders[1:, :2].max() == 0  # the first offer is rented by the quarter and follows demand
    assert held.orders[1:, 2:].max() > 0
    assert held.cost > best.cost


def test_what_is_past_is_paid_above_the_budget():
    bought = offer("bought", 4, kind=ContractKind.PURCHASE, price=100.0, throughput=(1.0,))
    case = problem([offer("cloud", 4, rent=1e6), bought], [1.0, 1.0, 1.0, 1.0], budget=1e3)
    decided = dataclasses.replace(nothing(case), orders=np.array([[0.0] * 4, [20.0, 0, 0, 0]]))
    assert carry_on(case, decided, 1, 1e-9, 60.0).spend["chips"][0] == pytest.approx(2000.0)


def test_power_that_was_ordered_comes_though_less_is_there_now():
    case = full_case()
    decided = dataclasses.replace(nothing(case), site_orders=np.array([[0.0] * 8, [20e3, 0, 0, 0, 0, 0, 0, 0]]))
    cut = dataclasses.replace(case, sites=(case.sites[0], dataclasses.replace(case.sites[1], available=np.zeros(8))))
    assert carry_on(cut, decided, 1, 1e-9, 60.0).site_power[1].tolist() == [0, 0, 20e3, 20e3, 20e3, 20e3, 20e3, 20e3]


def test_what_was_never_on_offer_cannot_have_been_decided():
    case = full_case()
    orders = np.zeros((5, 8))
    orders[3, 1] = 1.0  # bought chips are on offer from the third quarter on
    with pytest.raises(InfeasibleError, match="not on offer"):
        carry_on(case, dataclasses.replace(nothing(case), orders=orders), 2, 1e-9, 60.0)


def test_more_than_there_was_cannot_have_been_decided():
    case = full_case()
    orders = np.zeros((5, 8))
    orders[1, 0] = 7.0  # six at most
    with pytest.raises(InfeasibleError, match="leaves no plan"):
        carry_on(case, dataclasses.replace(nothing(case), orders=orders), 1, 1e-9, 60.0)


def test_a_tree_may_branch_only_after_what_is_past():
    case = full_case()
    quarter = np.r_[0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    tree = tree_of(quarter, np.r_[-1, 0, 0, np.arange(1, 13)], np.where(quarter == 0, 1.0, 0.5))
    branching = case.on(tree, quarter)
    assert carry_on(branching, nothing(case), 1, 1e-6, 60.0).cost > 0
    with pytest.raises(InputError, match="one path"):
        carry_on(branching, nothing(case), 2, 1e-6, 60.0)
    with pytest.raises(InputError, match="branches before"):
        nothing(case).then(solve(branching, gap=1e-3), 0, 2)


def test_an_uncertain_programme_is_refused():
    case = full_case()
    spend = case.programmes[0].spend
    outcomes = tuple(ProgrammeOutcome(name=name, probability=0.5, spend=spend, lead=2, revealed=2) for name in ("a", "b"))
    unsure = dataclasses.replace(case, programmes=(dataclasses.replace(case.programmes[0], outcomes=outcomes),))
    with pytest.raises(InputError, match="sure"):
        carry_on(unsure, nothing(case), 0, 1e-3, 60.0)


def test_shares_of_suppliers_bind_from_now_on():
    offers = [offer("a", 2, rent=1.0, supplier="a"), offer("b", 2, rent=9.0, supplier="b", allocation=[0.0, np.inf])]
    case = problem(offers, [10.0, 10.0], largest_share=0.6)
    with pytest.raises(InfeasibleError):
        carry_on(case, nothing(case), 0, 1e-9, 60.0)
    found = carry_on(case, nothing(case), 1, 1e-9, 60.0)
    assert found.served[:, 0] == pytest.approx(np.array([[10.0, 6.0], [0.0, 4.0]]))
