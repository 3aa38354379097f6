"""A rolling horizon: as good as foresight where all is known, never better, and what cannot be had is not ordered."""

import dataclasses

import numpy as np
import pytest

from tapeout.appraisal.rolling import as_seen, possible, rolling, sure
from tapeout.errors import InputError
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind, Prepayment, ProgrammeOutcome
from tapeout.sourcing.search import solve
from tapeout.sourcing.settled import nothing
from tests.sourcing.conftest import full_case, offer, problem, programme, site


def test_who_knows_everything_pays_what_the_best_plan_costs():
    case = full_case()
    found = rolling(case, lambda quarter, decided: case, (0, 2, 5), 1e-9, 60.0)
    assert found.cost == pytest.approx(solve(case, gap=1e-9).cost, rel=1e-8)
    assert [step.quarter for step in found.steps] == [0, 2, 5]
    assert found.over_budget.max() == 0


def renting(rents):
    """One chip for four quarters, rented by the quarter at these rents, or at 2 for two quarters."""
    offers = [offer("spot", 4, rent=rents), offer("term", 4, kind=ContractKind.RESERVED, rent=2.0, term=2)]
    return problem(offers, [1.0, 1.0, 1.0, 1.0])


def test_who_does_not_know_that_rents_fall_commits_too_early():
    actual = renting([3.0, 0.5, 0.5, 0.5])

    def known(quarter, decided):
        rents = np.where(np.arange(4) > quarter, actual.offers[0].rent[quarter], actual.offers[0].rent)  # held at what was seen last
        return renting(rents)

    found = rolling(actual, known, (0, 1, 2, 3), 1e-9, 60.0)
    assert found.cost == pytest.approx((2 + 2 + 0.5 + 0.5) * HOURS, rel=1e-6)
    assert solve(actual, gap=1e-9).cost == pytest.approx((3 + 0.5 + 0.5 + 0.5) * HOURS, rel=1e-6)


def test_a_plan_made_once_is_kept_and_chips_by_the_quarter_follow_demand():
    few = problem([offer("spot", 3, rent=5.0), offer("term", 3, kind=ContractKind.RESERVED, rent=1.0, term=3)], [2.0, 2.0, 2.0])
    many = dataclasses.replace(few, demand=few.demand * 2, volume=few.volume * 2)
    found = rolling(many, lambda quarter, decided: few, (0,), 1e-9, 60.0)
    assert found.paid.orders[1].tolist() == [2.0, 0.0, 0.0]
    assert found.paid.orders[0] == pytest.approx([2.0, 2.0, 2.0])


def test_orders_above_what_there_is_are_not_placed():
    def case(allocation):
        return problem(
            [offer("spot", 3, rent=5.0), offer("term", 3, kind=ContractKind.RESERVED, rent=1.0, term=3, allocation=allocation)], [9.0] * 3
        )

    found = rolling(case(4.0), lambda quarter, decided: case(9.0), (0,), 1e-9, 60.0)
    assert found.steps[0].plan.orders[1, 0] == pytest.approx(9.0)
    assert found.paid.orders[:, 0] == pytest.approx([5.0, 4.0])


def test_what_is_paid_above_the_budget_is_told():
    cheap, dear = (problem([offer("spot", 2, rent=rent)], [1.0, 1.0], budget=3000.0, penalty=1e3) for rent in (1.0, 2.0))
    found = rolling(dear, lambda quarter, decided: cheap, (0,), 1e-9, 60.0)
    assert found.over_budget == pytest.approx([2 * HOURS - 3000] * 2)


@pytest.mark.parametrize("dates", [(), (1, 2), (0, 2, 1), (0, 8), (0, 0)])
def test_dates_out_of_order_are_refused(dates):
    case = full_case()
    with pytest.raises(InputError, match="dates of planning"):
        rolling(case, lambda quarter, decided: case, dates, 1e-3, 60.0)


def test_what_is_not_there_is_not_ordered():
    bought = {"kind": ContractKind.PURCHASE, "price": 1.0}
    case = problem(
        [
            offer("bought", 4, allocation=[1, 2, 3, 4], **bought),
            offer("own", 4, kind=ContractKind.OWN, price=1.0, programme="tapeout"),
        ],
        [1.0] * 4, sites=[site("hall", 4, available=[0, 5, 15, 25], module=10, lead=1)],
        programmes=[programme("tapeout", [1.0, 1.0], lead=2)],
        prepayments=(
            Prepayment(
                id="fab", offers=("bought",), price=np.ones(4), lead=1, chips=10.0, offtake=0.0, shortfall=0.0, first=0, last=3
            ),
        ),
    )  # fmt: skip
    wanted = dataclasses.replace(
        nothing(case),
        orders=np.full((2, 4), 9.0),
        starts=np.array([[0.0, 1.0, 0.0, 0.0]]),
        prepaid=np.array([[0.0, 1.0, 0.0, 0.0]]),
        site_orders=np.array([[10.0, 10.0, 10.0, 0.0]]),
    )
    found = possible(case, wanted)
    assert found.orders[0].tolist() == [1.0, 2.0, 9.0, 9.0]  # the prepayment of the second quarter adds ten from the third on
    assert found.orders[1].tolist() == [0.0, 0.0, 0.0, 9.0]  # two quarters after the start
    assert found.site_orders[0].tolist() == [0.0, 10.0, 10.0, 0.0]  # 5, 15 and 25 W in the quarters after


def test_an_outcome_is_known_from_when_it_shows():
    planned = programme("tapeout", [1.0, 1.0, 1.0], lead=3)
    outcomes = (
        ProgrammeOutcome(name="on time", probability=0.5, spend=planned.spend, lead=3, revealed=2),
        ProgrammeOutcome(name="failed", probability=0.5, spend=np.array([1.0, 1.0]), lead=None, revealed=2),
    )
    unsure, starts = dataclasses.replace(planned, outcomes=outcomes, gates=(1, 2)), np.array([0.0, 1.0, 0.0, 0.0])
    assert [as_seen(unsure, 9, 1, starts, quarter).lead for quarter in range(4)] == [3, 3, 3, 9]
    assert as_seen(unsure, 9, None, starts, 3).lead == 3
    assert sure(unsure, 9, 1).spend.tolist() == [1.0, 1.0]
    assert sure(unsure, 9, 1).gates == (1,)  # it has ended before the second
