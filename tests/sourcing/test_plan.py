import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.errors import CancelledError, LimitNotMetError
from tapeout.sourcing import plan as plan_module
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.finance import HOURS, cash_by_quarter, fleet_by_chip, supplier_share_by_quarter
from tapeout.sourcing.plan import solve
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.solver import Outcome, Solution
from tapeout.units import QUARTER

TIGHT = 1e-9


def optimum(problem):
    plan = solve(problem, gap=TIGHT)
    certify(plan).check()
    assert plan.status == "optimal"
    assert plan.gap <= 1e-6
    return plan


def without(problem, **fields):
    return dataclasses.replace(problem, **fields)


def with_offer(problem, identifier, **fields):
    return without(problem, offers=tuple(dataclasses.replace(each, **fields) if each.id == identifier else each for each in problem.offers))


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


# Each constraint binds, and the plan moves by as much as it must.


def test_allocation_binds(make):
    offers = [make.offer("cheap", 3, rent=1.0, allocation=(4.0, 2.0, 0.0)), make.offer("dear", 3, rent=3.0)]
    plan = optimum(make.problem(offers, np.full(3, 5.0)))
    assert plan.fleet[:, 0].tolist() == [pytest.approx([4, 2, 0]), pytest.approx([1, 3, 5])]
    assert plan.cost == pytest.approx(HOURS * (6 * 1 + 9 * 3))


def test_lead_makes_the_first_quarters_dear(make):
    offers = [make.offer("cloud", 4, rent=3.0), make.offer("reserved", 4, kind=ContractKind.RESERVED, rent=1.0, lead=2, term=2)]
    plan = optimum(make.problem(offers, np.full(4, 5.0)))
    assert plan.fleet[1, 0].tolist() == pytest.approx([0, 0, 5, 5])
    assert plan.cost == pytest.approx(HOURS * 5 * (2 * 3 + 2 * 1))


def test_a_commitment_is_paid_to_its_end(make):
    """Demand for one quarter only: a three-quarter contract at 1 USD/h costs three, on demand at 2.9 less, at 3.1 more."""
    for rent, committed in ((2.9, 0.0), (3.1, 7.0)):
        offers = [make.offer("cloud", 3, rent=rent), make.offer("lease", 3, kind=ContractKind.LEASE, rent=1.0, term=3)]
        assert optimum(make.problem(offers, (7.0, 0.0, 0.0))).fleet[1, 0, 2] == pytest.approx(committed)


def test_a_contract_pays_the_price_of_its_order(make):
    offers = [make.offer("lease", 3, kind=ContractKind.LEASE, rent=(1.0, 5.0, 5.0), term=3), make.offer("cloud", 3, rent=(9.0, 1.5, 1.5))]
    assert optimum(make.problem(offers, np.full(3, 2.0))).spend["rent"].tolist() == pytest.approx([2 * HOURS] * 3)


def test_initial_chips_serve_until_their_term_ends(make):
    offers = [
        make.offer("old", 4, kind=ContractKind.LEASE, rent=(1.0, 8.0, 8.0, 8.0), term=4, initial=6.0, initial_term=2, allocation=0.0),
        make.offer("cloud", 4, rent=2.0),
    ]
    plan = optimum(make.problem(offers, np.full(4, 6.0)))
    assert plan.fleet[0, 0].tolist() == pytest.approx([6, 6, 0, 0])
    assert plan.retired[0, 0].tolist() == pytest.approx([0, 0, 6, 0])
    assert plan.spend["rent"].tolist() == pytest.approx([6 * HOURS, 6 * HOURS, 12 * HOURS, 12 * HOURS])


def test_owned_chips_retire_when_running_them_no_longer_pays(make):
    offers = [
        make.offer("old", 4, kind=ContractKind.PURCHASE, price=1e9, upkeep=2.0, initial=5.0, allocation=0.0),
        make.offer("cloud", 4, rent=(3.0, 3.0, 1.0, 1.0)),
    ]
    hall = make.site("hall", 4, initial=5e3, available=5e3)
    plan = optimum(make.problem(offers, np.full(4, 5.0), sites=[hall]))
    assert plan.fleet[0, 1].tolist() == pytest.approx([5, 5, 0, 0])


def test_power_binds_and_comes_after_its_lead_in_whole_modules(make):
    offers = [make.offer("cloud", 4, rent=9.0), make.offer("bought", 4, kind=ContractKind.PURCHASE, price=1.0, power=1e3)]
    hall = make.site("hall", 4, initial=1e3, available=(1e3, 1e3, 9e3, 5.5e3), capex=0.001, module=2e3, lead=2)
    plan = optimum(make.problem(offers, np.full(4, 10.0), sites=[hall]))
    assert plan.fleet[1, 1].tolist() == pytest.approx([1, 1, 5, 5])
    assert plan.site_orders[0].tolist() == pytest.approx([4e3, 0, 0, 0])


def test_energy_and_site_rent_are_paid(make):
    offers = [make.offer("bought", 2, kind=ContractKind.PURCHASE, price=100.0, upkeep=0.5, power=800.0)]
    hall = make.site("hall", 2, energy=1e-8, pue=1.25, load=0.6, rent=2e-5, capex=3.0)
    plan = optimum(make.problem(offers, np.full(2, 10.0), sites=[hall]))
    assert plan.spend["energy"].tolist() == pytest.approx([10 * 800 * 0.6 * 1.25 * QUARTER * 1e-8] * 2)
    assert plan.spend["upkeep"].tolist() == pytest.approx([10 * 0.5 * HOURS] * 2)
    assert plan.spend["sites"].tolist() == pytest.approx([8e3 * (3.0 + 2e-5 * HOURS), 8e3 * 2e-5 * HOURS])


def test_the_budget_delays_purchases(make):
    offers = [make.offer("cloud", 4, rent=4.0), make.offer("bought", 4, kind=ContractKind.PURCHASE, price=10e3)]
    demand, budget = np.full(4, 10.0), 95e3  # ten chips at once would take 100,000 USD
    plan = optimum(make.problem(offers, demand, budget=budget))
    assert cash_by_quarter(plan)[0] == pytest.approx(budget)
    assert fleet_by_chip(plan)["bought"][0] < 10
    assert plan.cost > optimum(make.problem(offers, demand)).cost * 1.01


def test_the_largest_share_binds_from_its_quarter_on(make):
    offers = [make.offer("one", 3, rent=1.0), make.offer("two", 3, rent=3.0)]
    plan = optimum(make.problem(offers, np.full(3, 10.0), largest_share=0.6, share_from=1))
    assert supplier_share_by_quarter(plan)["one"].tolist() == pytest.approx([1.0, 0.6, 0.6])


def test_share_weights_say_what_a_query_counts(make):
    """Half of all queries from the cheap supplier; if a heavy one counts nine light ones, all light ones and 40/9 heavy ones."""
    offers = [make.offer("one", 1, rent=1.0, throughput=(1.0, 1.0)), make.offer("two", 1, rent=3.0, throughput=(1.0, 1.0))]
    for weights, cheap in ((None, 10), (np.array([1.0, 9.0]), 10 + 40 / 9)):
        plan = optimum(make.problem(offers, [[10.0], [10.0]], largest_share=0.5, share_weights=weights))
        assert plan.cost == pytest.approx(HOURS * (cheap + 3 * (20 - cheap)))


@pytest.mark.parametrize(("penalty", "served"), [(0.99, 0.0), (1.01, 10.0)])
def test_demand_is_dropped_where_serving_costs_more_than_the_penalty(make, penalty, served):
    rent = 2.0
    per_query = rent * HOURS / QUARTER
    plan = optimum(make.problem([make.offer("cloud", 2, rent=rent)], np.full(2, 10.0), penalty=penalty * per_query))
    assert plan.served.sum(axis=0)[0].tolist() == pytest.approx([served, served])
    assert plan.cost == pytest.approx(2 * 10 * min(penalty, 1.0) * rent * HOURS)


def test_chips_serve_the_models_they_are_best_at(make):
    """Two scarce chips, two models: comparative advantage decides, not absolute speed."""
    offers = [
        make.offer("fast", 1, rent=1.0, throughput=(4.0, 4.0), allocation=10.0),
        make.offer("odd", 1, rent=1.0, throughput=(3.0, 1.0)),
    ]
    plan = optimum(make.problem(offers, [[30.0], [40.0]]))
    assert plan.served[0, :, 0].tolist() == pytest.approx([0, 40])
    assert plan.served[1, :, 0].tolist() == pytest.approx([30, 0])


def test_a_programme_opens_its_lead_after_its_start_in_its_window(make):
    offers = [
        make.offer("cloud", 6, rent=9.0),
        make.offer("own", 6, kind=ContractKind.OWN, price=1.0, programme="tapeout", lead=1, allocation=50.0),
    ]
    plan = optimum(make.problem(offers, np.full(6, 5.0), programmes=[make.programme("tapeout", [10.0, 20.0], lead=2, first_start=1)]))
    assert plan.starts[0].tolist() == [0, 1, 0, 0, 0, 0]
    assert plan.fleet[1, 1].tolist() == pytest.approx([0, 0, 0, 0, 5, 5])
    assert plan.spend["programme"].tolist() == pytest.approx([0, 10, 20, 0, 0, 0])


# Properties.


def test_more_room_never_costs_more(make):
    tight = make.full_case()
    cost = optimum(tight).cost
    looser = {
        "budget": without(tight, budget=tight.budget * 1.2),
        "share": without(tight, largest_share=0.9),
        "allocation": with_offer(tight, "lease", allocation=np.full(8, 40.0)),
        "option": without(tight, offers=(*tight.offers, make.offer("new", 8, rent=1.0, throughput=(1.0, 0.5)))),
        "lead": with_offer(tight, "own", lead=0),
    }
    for name, problem in looser.items():
        assert optimum(problem).cost <= cost * (1 + 1e-7), name
    assert optimum(looser["option"]).cost < cost * 0.999


def test_the_order_of_offers_and_sites_does_not_matter(make):
    problem = make.full_case()
    turned = without(problem, offers=problem.offers[::-1], sites=problem.sites[::-1])
    assert optimum(turned).cost == pytest.approx(optimum(problem).cost, rel=1e-7)


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e4])
def test_cost_scales_with_money(make, factor):
    problem = make.full_case()
    scaled = without(
        problem,
        offers=tuple(
            dataclasses.replace(each, rent=each.rent * factor, unit_price=each.unit_price * factor, upkeep=each.upkeep * factor)
            for each in problem.offers
        ),
        sites=tuple(
            dataclasses.replace(each, capex=each.capex * factor, rent=each.rent * factor, energy=each.energy * factor)
            for each in problem.sites
        ),
        programmes=tuple(dataclasses.replace(each, spend=each.spend * factor) for each in problem.programmes),
        budget=problem.budget * factor,
        unmet_penalty=problem.unmet_penalty * factor,
    )
    assert optimum(scaled).cost == pytest.approx(factor * optimum(problem).cost, rel=1e-7)


def test_tiny_and_huge_demand_give_the_same_plan(make):
    """Break-even does not depend on size: a fifth of a chip and ten million chips are bought at the same rent."""
    for chips in (0.2, 1e7):
        offers = [make.offer("cloud", 8, rent=3.0), make.offer("bought", 8, kind=ContractKind.PURCHASE, price=20e3)]
        plan = optimum(make.problem(offers, np.full(8, chips)))
        assert plan.cost == pytest.approx(chips * 20e3)


def test_the_full_case_uses_everything(make):
    plan = optimum(make.full_case())
    assert plan.starts.sum() == 1
    assert plan.site_orders[1].sum() > 0
    assert np.all(plan.orders.sum(axis=(1, 2)) > 0)
    assert plan.retired[3].sum() > 0


# How a run can end.


def test_progress_tells_a_falling_cost_above_a_bound(make):
    seen = []
    plan = solve(make.full_case(), gap=TIGHT, progress=seen.append)
    assert all(one.cost >= plan.cost * (1 - 1e-6) and one.bound <= plan.cost * (1 + 1e-6) for one in seen)


def test_no_time_no_plan(make):
    with pytest.raises(LimitNotMetError, match="no plan found within 0 s"):
        solve(make.full_case(), time_limit=0.0)


def test_stopped_before_any_plan(make, monkeypatch):
    nothing = Solution(outcome=Outcome.CANCELLED, values=None, objective=math.inf, bound=-math.inf)
    monkeypatch.setattr(plan_module, "run", lambda *_, **__: nothing)
    with pytest.raises(CancelledError):
        solve(make.full_case())


def test_out_of_time_with_a_plan_in_hand(make, monkeypatch):
    real = plan_module.run

    def out_of_time(program, **options):
        found = real(program, **options)
        return dataclasses.replace(found, outcome=Outcome.LIMIT, bound=found.bound * 0.9) if "watch" in options else found

    monkeypatch.setattr(plan_module, "run", out_of_time)
    plan = solve(make.full_case(), gap=TIGHT)
    assert plan.status == "limit"
    assert plan.gap == pytest.approx(0.1, rel=1e-3)
    certify(plan).check()
