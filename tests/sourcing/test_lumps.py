"""What comes whole: least orders, tiers of price, prepayments with their offtake, and the quarters in which they can be decided."""

import dataclasses

import numpy as np
import pytest

from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind, Prepayment, Tier
from tests.sourcing.optimum import optimum, with_offer


def bought(make, quarters=4, **fields):
    return make.offer("bought", quarters, kind=ContractKind.PURCHASE, **({"price": 10e3} | fields))


@pytest.mark.parametrize(("minimum", "ordered"), [(5.0, 8.0), (8.0, 8.0), (12.0, 12.0), (30.0, 0.0)])
def test_an_order_is_at_least_its_minimum(make, minimum, ordered):
    """Eight are needed; twelve of them cost less than renting eight for four quarters, thirty cost more."""
    offers = [make.offer("cloud", 4, rent=2.0), bought(make, minimum=minimum)]
    plan = optimum(make.problem(offers, np.full(4, 8.0)))
    assert plan.orders[1].sum() == pytest.approx(ordered)
    assert plan.cost == pytest.approx(ordered * 10e3 + (8 * 4 * 2.0 * HOURS if ordered == 0 else 0.0))


def growing(make, *tiers, **fields):
    """Ten chips more each quarter, for the last time in quarter 3; renting is out of the question."""
    offers = [bought(make, 4, tiers=tiers, **fields)]
    return make.problem(offers, 10 * np.arange(1.0, 5.0))


def test_tiers_make_later_chips_cheaper(make):
    """Ten can be had a quarter: twenty are ordered before quarter 2, and thirty before quarter 3."""
    plan = optimum(growing(make, Tier(volume=15.0, factor=0.7), Tier(volume=25.0, factor=0.6), allocation=10.0))
    assert plan.spend["chips"].tolist() == pytest.approx([100e3, 100e3, 70e3, 60e3])


def test_a_tier_that_is_reached_holds_until_the_next_quarter_of_decision(make):
    """Of two quarters one is of decision: 20 chips are there in quarter 2, whose tier of 15 holds in quarter 3; that of 25 is late."""
    problem = growing(make, Tier(volume=15.0, factor=0.7), Tier(volume=25.0, factor=0.6), allocation=10.0)
    plan = optimum(dataclasses.replace(problem, every=2))
    assert plan.spend["chips"].tolist() == pytest.approx([100e3, 100e3, 70e3, 70e3])


def test_a_tier_is_worth_ordering_early(make):
    """Half price from 11 chips on: one chip that is not needed before quarter 1 is ordered in quarter 0, and 29 cost half."""
    plan = optimum(growing(make, Tier(volume=11.0, factor=0.5)))
    assert plan.orders[0, 0] == pytest.approx(11)
    assert plan.cost == pytest.approx(11 * 10e3 + 29 * 5e3)


def test_a_tier_that_is_not_reached_changes_nothing(make):
    assert optimum(growing(make, Tier(volume=41.0, factor=0.5))).cost == pytest.approx(40 * 10e3)


def capacity(**fields):
    price = np.full(4, 30e3)
    given = {"id": "capacity", "offers": ("bought",), "price": price, "lead": 1, "chips": 6.0, "offtake": 0.0, "shortfall": 0.0}
    return Prepayment(**(given | {"first": 0, "last": 3} | fields))


def scarce(make, *prepayments):
    """Two of ten chips can be bought a quarter, the others are rented at nearly four times their price."""
    offers = [make.offer("cloud", 4, rent=4.0), bought(make, allocation=2.0, term=4)]
    return make.problem(offers, np.full(4, 10.0), prepayments=prepayments)


def test_a_prepayment_opens_its_chips_after_its_lead(make):
    plan = optimum(scarce(make, capacity()))
    assert plan.prepaid[0].tolist() == [1, 0, 0, 0]
    assert plan.orders[1].tolist() == pytest.approx([2, 8, 0, 0])
    assert plan.spend["prepayment"].tolist() == pytest.approx([30e3, 0, 0, 0])
    assert plan.cost < optimum(scarce(make)).cost


def test_a_prepayment_is_made_where_it_costs_less_than_it_saves(make):
    saved = optimum(scarce(make)).cost - optimum(scarce(make, capacity(price=np.zeros(4)))).cost
    for ratio, made in ((0.99, 1), (1.01, 0)):
        assert optimum(scarce(make, capacity(price=np.full(4, ratio * saved)))).prepaid.sum() == made


def test_a_prepayment_waits_for_its_window_and_its_quarter_of_decision(make):
    assert optimum(scarce(make, capacity(first=1))).prepaid[0].tolist() == [0, 1, 0, 0]
    later = dataclasses.replace(scarce(make, capacity(first=1, price=np.full(4, 1e3))), every=2)
    assert optimum(with_offer(later, "cloud", rent=np.full(4, 6.0))).prepaid[0].tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(("shortfall", "ordered"), [(9.9e3, 0.0), (10.1e3, 3.0)])
def test_an_offtake_is_met_where_its_shortfall_costs_more_than_a_chip(make, shortfall, ordered):
    """Prepaid in quarter 0, the chips of quarter 3 are needed for nothing."""
    offers = [make.offer("cloud", 4, rent=9.0), bought(make, allocation=0.0, term=1)]
    problem = make.problem(
        offers, (0.0, 6.0, 6.0, 0.0), prepayments=(capacity(offtake=3.0, shortfall=shortfall, price=np.full(4, 1e3), last=0),)
    )
    plan = optimum(problem)
    assert plan.orders[1].tolist() == pytest.approx([0, 6, 6, ordered])
    assert plan.short[0, 3] == pytest.approx(3 - ordered)
    assert plan.spend["prepayment"][3] == pytest.approx((3 - ordered) * shortfall)


@pytest.mark.parametrize("programme", [None, "tapeout"])
def test_an_offtake_beyond_all_need_is_met_where_it_must_be(make, programme):
    """Twelve chips are due each quarter where six are of use, and a missing one costs five."""
    fields = {"price": 10e3, "programme": programme, "allocation": 0.0, "term": 1}
    offers = [make.offer("cloud", 4, rent=99.0), make.offer("own", 4, kind=ContractKind.OWN, **fields)]
    prepaid = capacity(offers=("own",), offtake=12.0, chips=20.0, shortfall=50e3, last=0)
    programmes = [make.programme("tapeout", [0.0], lead=0)] if programme else []
    plan = optimum(make.problem(offers, (0.0, 6.0, 6.0, 6.0), prepayments=(prepaid,), programmes=programmes))
    assert plan.orders[1].tolist() == pytest.approx([0, 12, 12, 12])
    assert plan.cost == pytest.approx(30e3 + 36 * 10e3)


def test_modules_and_starts_are_decided_every_so_many_quarters(make):
    offers = [make.offer("cloud", 4, rent=9.0), bought(make, price=1.0, power=1e3)]
    hall = make.site("hall", 4, capex=0.001, module=10e3)
    problem = make.problem(offers, np.r_[0.0, np.full(3, 10.0)], sites=[hall], every=2)
    plan = optimum(problem)
    assert plan.site_orders[0].tolist() == pytest.approx([10e3, 0, 0, 0])
    odd = [make.offer("cloud", 4, rent=9.0), make.offer("own", 4, rent=1.0, programme="tapeout")]
    programme = make.programme("tapeout", [10.0], lead=0, first_start=1)
    started = optimum(make.problem(odd, np.full(4, 10.0), programmes=[programme], every=2))
    assert started.starts[0].tolist() == [0, 0, 1, 0]
