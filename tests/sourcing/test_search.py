"""The search: small cases enumerated, break-even in closed form, and how a run can end."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.errors import CancelledError, LimitNotMetError
from tapeout.sourcing import branches
from tapeout.sourcing.accounts import fleet_by_chip
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.futures import futures
from tapeout.sourcing.model import build
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import solve
from tapeout.sourcing.solver import Outcome, Solution, run
from tests.sourcing.optimum import TIGHT, optimum

# Enumeration. With one model and throughput 1 the fleets are sums of orders over intervals of quarters: a totally unimodular
# system, so the least cost over fractional chips is reached at whole ones and a search over whole orders finds it.


@settings(max_examples=30, deadline=None)
@given(
    demand=st.lists(st.integers(0, 6), min_size=4, max_size=4),
    rent=st.lists(st.integers(1, 5), min_size=4, max_size=4),
    price=st.lists(st.integers(1, 20), min_size=4, max_size=4),
)
def test_rent_or_buy_equals_enumeration(make, demand, rent, price):
    offers = [
        make.offer("cloud", 4, rent=rent),
        make.offer("bought", 4, kind=ContractKind.PURCHASE, price=[1e3 * each for each in price], lead=1, term=2, allocation=3),
    ]
    best = math.inf
    for bought in itertools.product(range(4), repeat=3):
        fleet = [sum(bought[order] for order in range(min(quarter, 3)) if quarter - order <= 2) for quarter in range(4)]
        cost = sum(
            1.1 ** (-(quarter + 0.5) / 4)
            * (1e3 * price[quarter] * (bought[quarter] if quarter < 3 else 0) + max(0, wanted - running) * rent[quarter] * HOURS)
            for quarter, (wanted, running) in enumerate(zip(demand, fleet, strict=True))
        )
        best = min(best, cost)
    assert optimum(make.problem(offers, demand, discount=0.1)).cost == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize(
    ("capex", "spend", "price", "expected_starts", "expected_modules"),
    [(1.0, 4e3, 4e3, 1, 2), (1.0, 1e6, 4e3, 0, 0), (12.0, 1e3, 4e3, 1, 1), (40.0, 4e3, 4e3, 0, 0)],
)
def test_programme_and_modules_equal_enumeration(make, capex, spend, price, expected_starts, expected_modules):
    quarters, rent, demand, module = 5, 2.0, (3, 3, 4, 4, 5), 2
    offers = [
        make.offer("cloud", quarters, rent=rent),
        make.offer("own", quarters, kind=ContractKind.OWN, price=price, allocation=3, programme="tapeout", power=1e3),
    ]
    hall = make.site("hall", quarters, capex=capex, module=module * 1e3, lead=1)
    problem = make.problem(offers, demand, sites=[hall], programmes=[make.programme("tapeout", [spend], lead=1, last_start=1)])
    best = math.inf
    for start, bought, built in itertools.product(
        (None, 0, 1), itertools.product(range(4), repeat=quarters), itertools.product(range(3), repeat=quarters - 1)
    ):
        held = [module * sum(built[:quarter]) for quarter in range(quarters)]
        fleet = list(itertools.accumulate(bought))
        early = any(bought[: quarters if start is None else start + 1])
        if early or any(running > power for running, power in zip(fleet, held, strict=True)):
            continue
        cost = spend * (start is not None) + price * sum(bought) + capex * 1e3 * module * sum(built)
        cost += sum(max(0, wanted - running) * rent * HOURS for wanted, running in zip(demand, fleet, strict=True))
        best = min(best, cost)
    plan = optimum(problem)
    assert plan.cost == pytest.approx(best, rel=1e-7)
    assert plan.starts.sum() == expected_starts
    assert plan.site_orders.sum() == pytest.approx(expected_modules * module * 1e3)


# Break-even in closed form.


def rent_to_match(price, upkeep, quarters, discount):
    """The hourly rent at which renting one chip for all quarters costs what buying it does."""
    factors = [(1 + discount) ** (-(quarter + 0.5) / 4) for quarter in range(quarters)]
    return price * factors[0] / (HOURS * sum(factors)) + upkeep


@pytest.mark.parametrize(("ratio", "buys"), [(0.99, False), (1.01, True)])
def test_break_even_of_buying(make, ratio, buys):
    rent = ratio * rent_to_match(30e3, 0.3, 12, 0.12)
    offers = [make.offer("cloud", 12, rent=rent), make.offer("bought", 12, kind=ContractKind.PURCHASE, price=30e3, upkeep=0.3)]
    plan = optimum(make.problem(offers, np.full(12, 1000.0), discount=0.12))
    assert fleet_by_chip(plan)["bought"][0] == pytest.approx(1000 if buys else 0)


@pytest.mark.parametrize(("ratio", "starts"), [(0.99, 1), (1.01, 0)])
def test_break_even_of_the_programme(make, ratio, starts):
    quarters, lead, chips, rent, price, discount = 12, 4, 500.0, 2.5, 9e3, 0.08
    factors = [(1 + discount) ** (-(quarter + 0.5) / 4) for quarter in range(quarters)]
    saved = chips * (rent * HOURS * sum(factors[lead:]) - price * factors[lead])
    spend = ratio * saved / (factors[0] + factors[1]) * np.ones(2)
    offers = [
        make.offer("cloud", quarters, rent=rent),
        make.offer("own", quarters, kind=ContractKind.OWN, price=price, programme="tapeout", allocation=1e4),
    ]
    plan = optimum(
        make.problem(
            offers, np.full(quarters, chips), programmes=[make.programme("tapeout", spend, lead=lead, last_start=0)], discount=discount
        )
    )
    assert plan.starts.sum() == starts


@pytest.mark.parametrize(("ratio", "buys"), [(0.99, False), (1.01, True)])
def test_break_even_with_a_residual_value(make, ratio, buys):
    """Over half its term, a chip that keeps its book value costs half its price."""
    rent = ratio * 16e3 / 2 / (4 * HOURS)
    offers = [
        make.offer("cloud", 4, rent=rent),
        make.offer("bought", 4, kind=ContractKind.PURCHASE, price=16e3, term=8, residual=1.0, allocation=np.r_[10, 0, 0, 0]),
    ]
    assert fleet_by_chip(optimum(make.problem(offers, np.full(4, 10.0))))["bought"][0] == pytest.approx(10 if buys else 0)


def test_a_site_is_worth_its_unexpired_share(make):
    offers = [make.offer("bought", 4, kind=ContractKind.PURCHASE, price=1.0, power=1e3)]
    hall = make.site("hall", 4, capex=2.0, term=16, residual=0.5)
    assert optimum(make.problem(offers, np.ones(4), sites=[hall])).cost == pytest.approx(1.0 + 2e3 * (1 - 0.5 * 12 / 16))


# How a run can end.


def test_progress_tells_a_falling_cost_above_a_bound(make):
    model = build(futures(make.full_case()))
    seen = []
    found = run(model.program, gap=TIGHT, time_limit=60.0, watch=seen.append)
    assert seen
    assert all(one.best >= found.objective * (1 - 1e-6) and one.bound <= found.objective * (1 + 1e-6) for one in seen)


def test_no_time_no_plan(make):
    with pytest.raises(LimitNotMetError, match="no plan found within 0 s"):
        solve(make.full_case(), time_limit=0.0)


def test_stopped_before_any_plan(make, monkeypatch):
    nothing = Solution(outcome=Outcome.CANCELLED, values=None, objective=math.inf, bound=-math.inf)
    monkeypatch.setattr(branches, "run", lambda *_, **__: nothing)
    with pytest.raises(CancelledError):
        solve(make.full_case())


def test_out_of_time_with_a_plan_in_hand(make, monkeypatch):
    real = branches.run

    def out_of_time(program, **options):
        found = real(program, **options)
        return dataclasses.replace(found, outcome=Outcome.LIMIT, bound=found.bound * 0.9) if "fixed" not in options else found

    monkeypatch.setattr(branches, "run", out_of_time)
    plan = solve(make.full_case(), gap=TIGHT)
    assert plan.status == "limit"
    assert plan.gap == pytest.approx(0.1, rel=1e-3)
    certify(plan).check()
