import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.testing import passing, quality
from tapeout.errors import InputError

shares = st.floats(0.01, 1.0)


@given(good=shares, coverage=st.floats(0.0, 1.0))
def test_what_passes_is_the_good_parts_and_the_bad_ones_that_were_missed(good, coverage):
    missed = (1 - good) * (1 - coverage)
    assert float(passing(good, coverage)) == pytest.approx(good + missed)
    assert float(quality(good, coverage)) == pytest.approx(good / (good + missed))


@given(good=shares)
def test_a_full_test_lets_only_good_parts_through_and_no_test_lets_all_through(good):
    assert 1 - 1e-12 < float(quality(good, 1.0)) <= 1.0
    assert float(quality(good, 0.0)) == pytest.approx(good)


@given(good=st.floats(0.1, 0.99), coverage=st.floats(0.1, 0.9))
def test_a_better_test_or_a_better_yield_ships_better_parts(good, coverage):
    assert float(quality(good, coverage + 0.1)) > float(quality(good, coverage))
    assert float(quality(good + 0.01, coverage)) > float(quality(good, coverage))


def test_shares_outside_0_to_1_are_refused():
    with pytest.raises(InputError, match=r"test coverage must lie between 0 and 1, given 1.2"):
        passing(0.5, 1.2)
    with pytest.raises(InputError, match="yield must lie between 0 and 1"):
        passing(-0.1, 0.9)
