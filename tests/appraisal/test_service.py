"""Service of a quarter in closed form: the cheapest chips run, power and money are kept to, shares are broken only to serve."""

import dataclasses

import numpy as np
import pytest

from tapeout.appraisal.service import Fleet, alone, is_spot, serve
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.variables import scales
from tapeout.units import QUARTER


def served(problem, chips, *, most=0.0, power=np.inf, room=np.inf):
    count = problem.tree.size
    held = np.broadcast_to(np.where(np.isinf(power), 1e9, power), (len(problem.sites), count)).copy()
    there = Fleet(
        chips=np.broadcast_to(np.array(chips, dtype=float)[:, None], (len(problem.offers), count)).copy(),
        most=np.full((len(problem.offers), count), most),
        power=held,
        room=np.full(count, room),
    )
    return serve(alone(problem, np.arange(count)), there, scales(problem))


def test_the_cheaper_of_two_own_chips_runs_first(make):
    offers = [make.offer(name, 2, kind=ContractKind.PURCHASE, upkeep=upkeep) for name, upkeep in (("old", 0.3), ("new", 0.1))]
    found = served(make.problem(offers, [7.0, 12.0], penalty=1e-2), [10.0, 5.0])
    np.testing.assert_allclose(found.fleet[:, 1], [[2.0, 7.0], [5.0, 5.0]], atol=1e-6)
    np.testing.assert_allclose(found.cash, np.array([2 * 0.3 + 5 * 0.1, 7 * 0.3 + 5 * 0.1]) * HOURS)


def test_energy_is_drawn_where_it_is_cheapest(make):
    sites = [make.site("near", 1, energy=4e-8), make.site("far", 1, energy=1e-8, pue=2.0, load=0.5)]
    offers = [make.offer("bought", 1, kind=ContractKind.PURCHASE, sites=("near", "far"))]
    found = served(make.problem(offers, [10.0], sites=sites, penalty=1e-2), [10.0], power=6e3)
    np.testing.assert_allclose(found.fleet[0, :, 0], [0.0, 4.0, 6.0], atol=1e-6)
    assert found.cash[0] == pytest.approx((4e3 * 4e-8 + 6e3 * 1e-8) * QUARTER)


def test_what_has_no_power_does_not_run_and_what_is_rented_is_not_forced_to(make):
    offers = [make.offer("lease", 1, kind=ContractKind.LEASE, hosted=False, power=1e3, sites=("hall",), term=4, upkeep=0.1)]
    problem = make.problem(offers, [10.0], penalty=1e-2)
    short, enough = served(problem, [10.0], power=3e3), served(problem, [12.0], power=20e3)
    assert short.unmet[0, 0] == pytest.approx(7.0)
    assert enough.fleet[0, 1, 0] == pytest.approx(12.0)


@pytest.mark.parametrize(("room", "rented"), [(np.inf, 8.0), (6 * HOURS, 3.0)])
def test_the_rest_is_rented_at_once_as_far_as_the_money_goes(make, room, rented):
    offers = [make.offer("cloud", 1, rent=2.0), make.offer("reserved", 1, kind=ContractKind.RESERVED, rent=1.0, term=4)]
    found = served(make.problem(offers, [10.0], penalty=1e-2), [0.0, 2.0], most=50.0, room=room)
    assert found.rented[0, 0] == pytest.approx(rented)
    assert found.rented[1, 0] == 0.0
    assert found.unmet[0, 0] == pytest.approx(8.0 - rented, abs=1e-9)
    assert found.cash[0] == pytest.approx(2 * HOURS * rented)


def test_a_share_is_kept_where_all_can_be_served_and_broken_where_not(make):
    offers = [make.offer("cheap", 1, rent=1.0), make.offer("dear", 1, rent=3.0)]
    problem = make.problem(offers, [10.0], penalty=1e-2, largest_share=0.6)
    both = served(problem, [0.0, 0.0], most=9.0)
    np.testing.assert_allclose(both.served[:, 0, 0], [6.0, 4.0], rtol=1e-6)
    one = dataclasses.replace(problem, offers=(offers[0],))
    assert served(one, [0.0], most=20.0).unmet[0, 0] == 0.0


def test_a_penalty_without_end_still_leaves_an_answer(make):
    found = served(make.problem([make.offer("cloud", 1, rent=1.0)], [10.0]), [0.0], most=4.0)
    assert found.unmet[0, 0] == pytest.approx(6.0)


def test_spot_is_what_can_be_had_at_once_for_a_quarter(make):
    assert is_spot(make.offer("cloud", 1))
    for fields in ({"lead": 1}, {"term": 2}, {"minimum": 3.0}, {"programme": "tapeout"}, {"kind": ContractKind.PURCHASE, "term": 1}):
        assert not is_spot(make.offer("other", 1, **fields))
