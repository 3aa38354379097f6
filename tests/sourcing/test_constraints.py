"""Each physical constraint binds somewhere, and the plan moves by as much as it must."""

import numpy as np
import pytest

from tapeout.sourcing.accounts import cash_by_node, fleet_by_chip, supplier_shares
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind
from tapeout.units import QUARTER
from tests.sourcing.optimum import optimum


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
    assert cash_by_node(plan)[0] == pytest.approx(budget)
    assert fleet_by_chip(plan)["bought"][0] < 10
    assert plan.cost > optimum(make.problem(offers, demand)).cost * 1.01


def test_the_largest_share_binds_from_its_quarter_on(make):
    offers = [make.offer("one", 3, rent=1.0), make.offer("two", 3, rent=3.0)]
    plan = optimum(make.problem(offers, np.full(3, 10.0), largest_share=0.6, share_from=1))
    assert supplier_shares(plan)["one"].tolist() == pytest.approx([1.0, 0.6, 0.6])


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


@pytest.mark.parametrize(("last", "starts"), [(2, 1), (1, 0)])
def test_a_programme_cannot_start_after_its_window(make, last, starts):
    """Its chips pay from quarter 4 on alone, and cost rent from the start on: it starts in quarter 2, or not at all."""
    offers = [make.offer("cloud", 6, rent=np.r_[1, 1, 1, 1, 9, 9.0]), make.offer("own", 6, rent=2.0, programme="tapeout")]
    spend = [0.0, 0.0, 0.0, 0.0, 1e9]
    plan = optimum(make.problem(offers, np.full(6, 5.0), programmes=[make.programme("tapeout", spend, lead=2, last_start=last)]))
    assert plan.starts.sum() == starts
    if starts:
        assert plan.starts[0, 2] == 1


def test_the_allocation_of_a_future_binds_in_it_alone(make):
    tree = make.branching(3, q1=(0.5, 0.5))
    offers = [make.offer("cheap", 5, rent=1.0, allocation=np.array([9, 3, 9, 3, 9.0])), make.offer("dear", 5, rent=3.0)]
    plan = optimum(make.problem(offers, np.full(5, 8.0), tree=tree))
    assert plan.orders[1].tolist() == pytest.approx([0, 5, 0, 5, 0])
    assert plan.cost == pytest.approx(HOURS * (8 + 2 * (0.5 * (3 + 15) + 0.5 * 8)))


@pytest.mark.parametrize(("limit", "cheap"), [(1.0, 10.0), (0.58, 7.0), (0.5, 5.0)])
def test_the_concentration_of_suppliers_binds(make, limit, cheap):
    """Of two suppliers one has a share s where s^2 + (1 - s)^2 is the limit: 0.7 at 0.58, a half at 0.5."""
    offers = [make.offer("one", 2, rent=1.0), make.offer("two", 2, rent=3.0)]
    plan = optimum(make.problem(offers, np.full(2, 10.0), concentration=limit))
    assert plan.served[0, 0].tolist() == pytest.approx([cheap, cheap])


def test_the_concentration_between_its_chords_is_on_the_safe_side(make):
    """At shares between twentieths the chord lies above the square: what the plan allows is less than the limit, and not much less."""
    offers = [make.offer("one", 1, rent=1.0), make.offer("two", 1, rent=3.0)]
    plan = optimum(make.problem(offers, np.full(1, 10.0), concentration=0.55))
    index = sum(share[0] ** 2 for share in supplier_shares(plan).values())
    assert 0.55 - 2 * (1 / 40) ** 2 <= index <= 0.55 + 1e-9


def test_chips_of_one_order_can_run_at_any_of_their_sites(make):
    """Two halls of 3 and 4 kW hold seven chips of 1 kW, and one supplier's chips fill what the others leave."""
    offers = [
        make.offer("cloud", 2, rent=9.0),
        make.offer("bought", 2, kind=ContractKind.PURCHASE, price=1.0, sites=("hall", "barn")),
        make.offer("odd", 2, kind=ContractKind.PURCHASE, price=2.0, sites=("barn",), allocation=1.0),
    ]
    halls = [make.site(name, 2, initial=power, available=power) for name, power in (("hall", 3e3), ("barn", 4e3))]
    plan = optimum(make.problem(offers, np.full(2, 10.0), sites=halls))
    assert plan.fleet[0, 0].tolist() == pytest.approx([3, 3])
    assert plan.fleet[1:, 1:].sum(axis=0).tolist() == [pytest.approx([3, 3]), pytest.approx([4, 4])]


# What there is little of.


def test_nothing_is_asked_for(make):
    plan = optimum(make.problem([make.offer("cloud", 3, rent=1.0)], np.zeros(3), programmes=[make.programme("tapeout", [1e3])]))
    assert (plan.cost, plan.starts.sum(), plan.orders.sum()) == (0.0, 0.0, 0.0)


def test_a_model_that_is_never_asked_for_changes_nothing(make):
    one = make.problem([make.offer("cloud", 3, rent=1.0)], np.full(3, 5.0), sites=())
    both = make.problem([make.offer("cloud", 3, rent=1.0, throughput=(1.0, 2.0))], [np.full(3, 5.0), np.zeros(3)], sites=())
    assert optimum(both).cost == pytest.approx(optimum(one).cost)


def test_one_quarter(make):
    tree = make.branching(1)
    assert optimum(make.problem([make.offer("cloud", 1, rent=1.0)], [4.0], tree=tree, sites=())).cost == pytest.approx(4 * HOURS)


def test_a_future_of_no_probability_costs_nothing(make):
    tree = make.branching(2, q1=(1.0, 0.0))
    plan = optimum(make.problem([make.offer("cloud", 3, rent=1.0)], (1.0, 2.0, 1e3), tree=tree))
    assert plan.cost == pytest.approx(3 * HOURS)
