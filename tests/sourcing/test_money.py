"""Commitments that end early, chips that are sold, money that is lent: each in closed form, and each limit binds."""

import dataclasses

import numpy as np
import pytest

from tapeout.sourcing.accounts import cash_by_node
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind, Debt, Risk
from tests.sourcing.optimum import optimum, with_offer


def leased(make, fee):
    """Ten chips are needed for a year and none after it; a lease over two years at a third of the price on demand."""
    fields = {"kind": ContractKind.LEASE, "rent": 1.0, "term": 8, "cancellation": fee}
    offers = [make.offer("cloud", 8, rent=3.0), make.offer("lease", 8, **fields)]
    return make.problem(offers, np.r_[np.full(4, 10.0), np.zeros(4)])


@pytest.mark.parametrize(("fee", "cost"), [(None, 8.0), (0.0, 4.0), (0.5, 6.0), (1.0, 8.0)])
def test_a_commitment_ends_after_a_year_for_its_fee(make, fee, cost):
    plan = optimum(leased(make, fee))
    assert plan.cost == pytest.approx(10 * HOURS * cost)
    if fee == 0.5:
        assert plan.ended[1, 0].tolist() == pytest.approx([0, 0, 0, 0, 10, 0, 0, 0])
        assert plan.spend["fees"].tolist() == pytest.approx([0, 0, 0, 0, 10 * HOURS * 4 * 0.5, 0, 0, 0])
        assert plan.installed[1].tolist() == pytest.approx([10, 10, 10, 10, 0, 0, 0, 0])


@pytest.mark.parametrize(("fee", "held"), [(0.3, 10.0), (0.4, 0.0)])
def test_a_fee_can_make_a_commitment_dearer_than_renting_by_the_quarter(make, fee, held):
    """A year at 1 USD/h and a fee on eight quarters left, against a year at 1.7: the fee at which they meet is 2.8 / 8."""
    problem = with_offer(leased(make, fee), "lease", term=12)
    plan = optimum(with_offer(problem, "cloud", rent=np.full(8, 1.7)))
    assert plan.installed[1, 0] == pytest.approx(held)


def test_chips_are_sold_for_the_unexpired_share_of_their_price(make):
    offers = [make.offer("cloud", 8, rent=9.0), make.offer("bought", 8, kind=ContractKind.PURCHASE, price=16e3, term=8, residual=0.5)]
    plan = optimum(make.problem(offers, np.r_[np.full(4, 10.0), np.full(4, 2.0)]))
    assert plan.ended[1, 0].tolist() == pytest.approx([0, 0, 0, 0, 8, 0, 0, 0])
    assert plan.spend["resale"][4] == pytest.approx(-8 * 16e3 * 0.5 * 4 / 8)
    assert plan.cost == pytest.approx(10 * 16e3 - 8 * 4e3)


def test_what_is_sold_has_no_value_left_at_the_end(make):
    """A term of 16 quarters: sold after 4 brings 12/16, kept to the end of 8 is worth 8/16; without a discount selling first pays."""
    offers = [make.offer("bought", 8, kind=ContractKind.PURCHASE, price=16e3, term=16, residual=1.0, allocation=np.r_[10, np.zeros(7)])]
    plan = optimum(make.problem(offers, np.r_[np.full(4, 10.0), np.full(4, 4.0)]))
    assert plan.ended[0, 0, 4] == pytest.approx(6)
    assert plan.spend["residual"][-1] == pytest.approx(-4 * 8e3)
    assert plan.cost == pytest.approx(10 * 16e3 - 6 * 12e3 - 4 * 8e3)


def bought_on_credit(make, limit, *, interest=0.1):
    offers = [make.offer("cloud", 4, rent=6.0), make.offer("bought", 4, kind=ContractKind.PURCHASE, price=20e3)]
    debt = None if limit is None else Debt(limit=np.full(4, limit), interest=interest)
    return make.problem(offers, np.full(4, 10.0), budget=131.5e3, debt=debt)


def test_debt_is_drawn_for_what_the_budget_does_not_allow_and_is_repaid(make):
    """All ten at once cost 200,000 USD: 68,500 are lent for one quarter, and the next one has money enough."""
    plan = optimum(bought_on_credit(make, 1e6))
    assert plan.orders[1].tolist() == pytest.approx([10, 0, 0, 0])
    assert plan.debt.tolist() == pytest.approx([68.5e3, 0, 0, 0])
    assert plan.spend["interest"][1] == pytest.approx(68.5e3 * (1.1**0.25 - 1))
    assert plan.cost == pytest.approx(200e3 + plan.spend["interest"][1])


def test_the_limit_of_the_debt_binds(make):
    without, little, enough = (optimum(bought_on_credit(make, limit)) for limit in (None, 20e3, 1e6))
    assert enough.cost < little.cost < without.cost
    assert little.debt.max() == pytest.approx(20e3)
    assert cash_by_node(little)[0] == pytest.approx(131.5e3 + 20e3)


def test_debt_is_repaid_by_the_last_quarter(make):
    """Chips for the second of three quarters can be paid with its budget, the one before and the loan that the last one can repay."""
    offers = [make.offer("bought", 3, kind=ContractKind.PURCHASE, price=20e3)]
    debt = Debt(limit=np.full(3, 1e6), interest=0.1)
    plan = optimum(make.problem(offers, (0.0, 10.0, 0.0), budget=60e3, debt=debt, penalty=1.0))
    assert plan.orders[0].sum() * 20e3 == pytest.approx(60e3 + 60e3 + 60e3 / 1.1**0.25)
    assert plan.debt[-1] == 0


def test_the_budget_of_a_future_binds_in_it_alone(make):
    tree = make.branching(3, q1=(0.5, 0.5))
    offers = [
        make.offer("cloud", 5, rent=4.0),
        make.offer("bought", 5, kind=ContractKind.PURCHASE, price=8e3, term=3, allocation=np.r_[0, np.full(4, 99.0)]),
    ]
    budget = np.where(np.arange(5) == 1, 45e3, 1e9)
    plan = optimum(make.problem(offers, np.r_[0.0, np.full(4, 10.0)], tree=tree, budget=budget, penalty=1.0))
    assert cash_by_node(plan)[1] == pytest.approx(45e3)
    assert plan.orders[1, 1] < plan.orders[1, 2] - 1


def test_a_budget_for_risk_is_no_part_of_it(make):
    """Where all futures are alike, risk changes neither the plan nor what it costs."""
    problem = make.full_case()
    risky = optimum(dataclasses.replace(problem, risk=Risk(weight=0.7, tail=0.1)))
    assert risky.goal == pytest.approx(optimum(problem).cost, rel=1e-7)
