import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tapeout.cost.draws import TAIL, Draws, percentiles, quantity_at, share_at, variance_shares
from tapeout.errors import InputError
from tapeout.provenance import Grade, Sourced

COUNT = 100_000


def fact(low, value, high):
    return Sourced(value=value, low=low, high=high, source="tapeout-estimate", place="test", grade=Grade.GUESS)


def test_tail_is_the_95th_percentile_of_a_standard_normal():
    assert pytest.approx(stats.norm.ppf(0.95), abs=1e-12) == TAIL


@given(value=st.floats(1e-9, 1e12), down=st.floats(1.0, 50.0), up=st.floats(1.0, 50.0))
def test_a_quantity_stands_at_its_low_value_and_high(value, down, up):
    known = fact(value / down, value, value * up)
    assert quantity_at(known, [-TAIL, 0.0, TAIL]) == pytest.approx([known.low, known.value, known.high], rel=1e-9)
    assert np.all(np.diff(quantity_at(known, np.linspace(-4, 4, 41))) >= -1e-12 * known.high)


@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).map(sorted))
def test_a_share_stands_at_its_low_value_and_high_and_never_leaves_0_to_1(ends):
    known = fact(*ends)
    assert share_at(known, [-TAIL, 0.0, TAIL]) == pytest.approx(ends, abs=1e-12)
    everywhere = share_at(known, np.linspace(-6, 6, 61))
    assert np.all((everywhere >= 0) & (everywhere <= 1))


def test_drawn_percentiles_are_the_range_of_the_fact():
    draws = Draws(count=COUNT, seed=3)
    found = percentiles(draws.of(fact(7.0, 10.0, 15.0), "memory"))
    assert (found.p5, found.p50, found.p95) == pytest.approx((7.0, 10.0, 15.0), rel=0.01)
    found = percentiles(draws.share_of(fact(0.3, 0.65, 0.8), "harvest"))
    assert (found.p5, found.p50, found.p95) == pytest.approx((0.3, 0.65, 0.8), abs=0.01)


def test_a_range_from_zero_on_is_cut_at_zero_and_a_range_of_nothing_is_a_constant():
    drawn = Draws(count=COUNT).of(fact(0.0, 200.0, 400.0), "module")
    assert drawn.min() == 0.0
    assert float(np.median(drawn)) == pytest.approx(200.0, rel=0.01)
    assert np.all(Draws(count=10).of(fact(3.0, 3.0, 3.0), "wafer") == pytest.approx(3.0))


def test_half_of_the_draws_of_a_range_that_ends_at_its_value_stand_there():
    drawn = Draws(count=COUNT).share_of(fact(0.99, 1.0, 1.0), "carrier")
    assert float(np.mean(drawn == 1.0)) == pytest.approx(0.5, abs=0.01)


def test_equal_causes_are_equal_in_any_order_and_other_causes_and_seeds_are_independent():
    draws = Draws(count=COUNT, seed=1)
    first, second = draws.normal("wafer"), draws.normal("memory")
    assert np.array_equal(Draws(count=COUNT, seed=1).normal("wafer"), first)
    assert np.array_equal(Draws(count=10, seed=1).normal("wafer"), first[:10])
    five_sigma = 5 / COUNT**0.5
    for other in (second, Draws(count=COUNT, seed=2).normal("wafer")):
        assert abs(float(np.corrcoef(first, other)[0, 1])) < five_sigma


@pytest.mark.parametrize("wanted", [0.0, 0.5, 1.0])
def test_correlated_causes_have_the_correlation_and_stay_standard_normal(wanted):
    draws = Draws(count=COUNT)
    one, two = (draws.correlated(name, "foundry", wanted) for name in ("wafers", "packages"))
    assert float(np.corrcoef(one, two)[0, 1]) == pytest.approx(wanted, abs=0.02)
    assert float(one.std()) == pytest.approx(1.0, abs=0.02)


def test_variance_shares_are_those_of_a_sum():
    # Var(3 a + 4 b) = 9 + 16, so a explains 0.36 of it, b 0.64 and c nothing; a product of two has no first-order share at all.
    draws = Draws(count=COUNT)
    a, b, c = (draws.normal(name) for name in "abc")
    found = variance_shares({"a": a, "b": b, "c": c}, 3 * a + 4 * b)
    assert [found[name] for name in "abc"] == pytest.approx([0.36, 0.64, 0.0], abs=0.01)
    assert variance_shares({"a": a, "b": b}, a * b) == pytest.approx({"a": 0.0, "b": 0.0}, abs=0.01)
    assert variance_shares({"a": a}, a**2) == pytest.approx(
        {"a": 1.0}, abs=0.1
    )  # less what the bins at the ends hold; a correlation would find nothing
    assert variance_shares({"a": a}, np.ones(COUNT)) == {"a": 0.0}


def test_bad_draws_are_refused():
    with pytest.raises(InputError, match="at least one draw"):
        Draws(count=0)
    with pytest.raises(InputError, match="from 0 on"):
        Draws(seed=-1)
    with pytest.raises(InputError, match="not be negative"):
        quantity_at(fact(-1.0, 0.0, 1.0), 0.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        share_at(fact(0.5, 0.9, 1.1), 0.0)
    with pytest.raises(InputError, match="lies between 0 and 1"):
        Draws(count=1).correlated("a", "b", 1.5)
    with pytest.raises(InputError, match="all of them finite"):
        percentiles([1.0, float("nan")])
