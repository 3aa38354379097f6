"""The most to pay in closed form: programmes at their break-even, contracts, discounts, accelerations; nothing where nothing is saved."""

import dataclasses
import math

import numpy as np
import pytest

from tapeout.appraisal.decided import decided
from tapeout.appraisal.worth import acceleration_worths, contract_worths, discount_worths, present_spend, programme_worths
from tapeout.sourcing.finance import HOURS, discount_factors
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import solve
from tests.sourcing.instances import random_problem

SURE = {"lead": 2, "last_start": 0}


def case(make, rent=2.0, **programme):
    offers = [
        make.offer("cloud", 6, rent=rent),
        make.offer("own", 6, kind=ContractKind.OWN, price=4e3, programme="tapeout", allocation=1e4),
    ]
    return make.problem(offers, np.full(6, 100.0), programmes=[make.programme("tapeout", [3e5, 2e5], **(SURE | programme))])


def risky(make, chance):
    spend = [3e5, 2e5]
    outcomes = (
        make.outcome("on time", chance, spend, lead=2, revealed=2),
        make.outcome("failed", 1 - chance, spend, lead=None, revealed=2),
    )
    return {"outcomes": outcomes}


SAVED = 100 * (2.0 * HOURS * 4 - 4e3)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("chance", [None, 0.7])
def test_the_most_to_pay_is_what_the_chips_save(make, quick, chance):
    problem = case(make, **(risky(make, chance) if chance else {}))
    (worth,) = programme_worths(problem, gap=1e-9, time_limit=60.0, quick=quick)
    assert worth.most_to_pay == pytest.approx(SAVED * (chance or 1.0), rel=1e-6)
    assert worth.spend == pytest.approx(5e5)
    assert worth.low <= worth.most_to_pay <= worth.high == pytest.approx(worth.most_to_pay, rel=1e-4)


@pytest.mark.parametrize("quick", [False, True])
def test_a_programme_that_saves_nothing_is_worth_nothing(make, quick):
    (worth,) = programme_worths(case(make, rent=0.1), gap=1e-9, time_limit=60.0, quick=quick)
    assert worth.most_to_pay == pytest.approx(0.0, abs=1.0)


def test_no_programme_no_worth(make):
    problem = make.problem([make.offer("cloud", 2, rent=1.0)], np.ones(2))
    assert programme_worths(problem, gap=1e-3, time_limit=10.0) == ()


@pytest.mark.parametrize("chance", [None, 0.7])
@pytest.mark.parametrize(("ratio", "starts"), [(0.99, 1), (1.01, 0)])
def test_a_programme_starts_below_its_break_even_and_not_above(make, ratio, starts, chance):
    problem = case(make, **(risky(make, chance) if chance else {}))
    (one,) = problem.programmes
    scale = ratio * SAVED * (chance or 1.0) / 5e5
    outcomes = tuple(dataclasses.replace(each, spend=each.spend * scale) for each in one.outcomes)
    dear = dataclasses.replace(problem, programmes=(dataclasses.replace(one, spend=one.spend * scale, outcomes=outcomes),))
    assert solve(dear, gap=1e-9).starts.sum() == starts


def test_each_programme_is_judged_alone(make):
    problem = case(make)
    twin = dataclasses.replace(problem.programmes[0], id="twin")
    own = dataclasses.replace(problem.offers[1], id="own twin", programme="twin")
    both = dataclasses.replace(problem, programmes=(*problem.programmes, twin), offers=(*problem.offers, own))
    worths = programme_worths(both, gap=1e-9, time_limit=60.0)
    assert [one.programme for one in worths] == ["tapeout", "twin"]
    assert worths[0].most_to_pay == pytest.approx(worths[1].most_to_pay) == pytest.approx(SAVED, rel=1e-6)
    together = programme_worths(both, gap=1e-9, time_limit=60.0, workers=2)
    assert together == worths


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_quick_band_holds_the_exact_worth(make, seed):
    problem = random_problem(make, seed)
    (exact,), (quick,) = (programme_worths(problem, gap=1e-6, time_limit=60.0, quick=quick) for quick in (False, True))
    tolerance = 1e-5 * max(1.0, exact.high)
    assert quick.low <= exact.high + tolerance
    assert quick.high >= exact.low - tolerance


def test_the_most_for_a_target_leaves_the_rest_of_the_spend(make):
    (worth,) = programme_worths(case(make), gap=1e-9, time_limit=60.0)
    assert worth.most_for_target(4e5) == pytest.approx(SAVED - 1e5, rel=1e-6)
    assert dataclasses.replace(worth, most_to_pay=5e4).most_for_target(4e5) == 0.0


def test_the_spend_is_expected_over_the_outcomes_and_discounted(make):
    problem = dataclasses.replace(case(make), discount=0.1)
    outcomes = (make.outcome("a", 0.5, [1.0, 1.0], lead=2, revealed=1), make.outcome("b", 0.5, [1.0, 3.0], lead=3, revealed=1))
    one = make.programme("p", [1.0, 1.0], lead=2, first_start=1, outcomes=outcomes)
    assert present_spend(problem, one) == pytest.approx(1.1**-0.375 + 2.0 * 1.1**-0.625)


def leases(make, **fields):
    offers = [make.offer("cloud", 4, rent=3.0), make.offer("lease", 4, kind=ContractKind.LEASE, rent=2.0, allocation=50.0, term=4)]
    budget = np.full(4, fields.pop("budget", np.inf))
    return make.problem(offers, np.full(4, 50.0), budget=budget, **fields)


def test_a_lease_is_worth_the_rent_that_it_saves(make):
    problem = leases(make, discount=0.21)
    known, years = decided(solve(problem, gap=1e-9)), discount_factors(problem).sum()
    cloud, lease = contract_worths(known)
    assert lease.offer == "lease"
    assert lease.most_to_pay == pytest.approx(50 * years * HOURS, rel=1e-6)
    assert lease.chip_hours == pytest.approx(50 * years * HOURS, rel=1e-6)
    assert lease.per_hour == pytest.approx(1.0)
    assert cloud.most_to_pay == cloud.per_hour == 0.0
    assert contract_worths(known, ["cloud"]) == (cloud,)


def test_what_cannot_be_done_without_is_worth_infinitely_much(make):
    # The budget pays for fifty leased chips, and not for fifty rented ones.
    known = decided(solve(leases(make, budget=2.5 * 50 * HOURS), gap=1e-9))
    assert contract_worths(known, ["lease"])[0].most_to_pay == math.inf


def test_a_discount_takes_its_part_off_the_bill_until_others_are_dearer(make):
    offers = [make.offer("cloud", 4, rent=3.0, allocation=30.0), make.offer("spot", 4, rent=4.0)]
    problem = make.problem(offers, np.full(4, 50.0))
    cloud, spot = discount_worths(decided(solve(problem, gap=1e-9)), (0.1, 0.2, 0.3))
    np.testing.assert_allclose(cloud.worth, 30 * 3.0 * HOURS * 4 * np.array([0.1, 0.2, 0.3]), rtol=1e-6)
    assert cloud.kept_until == pytest.approx(0.3)
    assert cloud.changes_from is None
    # At a quarter off, a spot chip is as cheap as one of the cloud; from there on all fifty are spot chips.
    np.testing.assert_allclose(spot.worth, [20 * 0.4 * 4 * HOURS, 20 * 0.8 * 4 * HOURS, (20 * 1.2 + 30 * 0.2) * 4 * HOURS], rtol=1e-6)
    assert (spot.kept_until, spot.changes_from) == (pytest.approx(0.2), pytest.approx(0.3))


@pytest.mark.parametrize("quick", [False, True])
def test_an_acceleration_is_worth_a_quarter_of_rent(make, quick):
    problem = case(make)
    (found,) = acceleration_worths(problem, solve(problem, gap=1e-9), gap=1e-9, time_limit=60.0, quick=quick)
    assert found.most_to_pay == pytest.approx(100 * 2.0 * HOURS, rel=1e-6)
    assert found.low <= found.most_to_pay <= found.high


def test_an_acceleration_that_does_not_save_a_programme_is_worth_nothing(make):
    problem = case(make, rent=0.1)
    (found,) = acceleration_worths(problem, solve(problem, gap=1e-9), gap=1e-9, time_limit=60.0, quick=True)
    assert found.most_to_pay == found.high == 0.0
