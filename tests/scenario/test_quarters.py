import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.provenance import Grade
from tapeout.scenario.quarters import Between, Quarter, Series, quarter
from tapeout.units import Unit

START = Quarter(2023, 4)


def series(points: tuple[tuple[Quarter | None, float], ...], between: Between = Between.HELD, growth: float = 0.0) -> Series[float]:
    return Series(points=points, between=between, growth=growth, source="guess", grade=Grade.GUESS, unit=Unit("1"))


@given(st.integers(2000, 2100), st.integers(1, 4), st.integers(-100, 100))
def test_quarters_count_as_integers_do(year: int, number: int, step: int) -> None:
    at = Quarter(year, number)
    assert (at + step) - at == step
    assert ((at + step) > at) == (step > 0)
    assert quarter(str(at)) == at


@pytest.mark.parametrize("text", ["2023Q5", "2023Q0", "2023-Q4", "Q4 2023", "2023q4", "2023", 2023, None, "2023Q4 "])
def test_other_dates_are_refused(text: object) -> None:
    with pytest.raises(InputError, match="2023Q4"):
        quarter(text)


def test_courses_between_points_agree_with_their_closed_forms() -> None:
    points = ((START, 2.0), (START + 4, 32.0))
    assert series(points).over(START, 6).tolist() == [2, 2, 2, 2, 32, 32]
    assert series(points, Between.LINEAR).over(START, 6).tolist() == [2, 9.5, 17, 24.5, 32, 32]
    np.testing.assert_allclose(series(points, Between.GEOMETRIC).over(START, 6), [2, 4, 8, 16, 32, 32])


def test_growth_begins_after_the_last_point() -> None:
    np.testing.assert_allclose(series(((START, 1.0), (START + 2, 10.0)), growth=0.1).over(START, 5), [1, 1, 10, 11, 12.1])
    np.testing.assert_allclose(series(((None, 4.0),), growth=-0.5).over(START, 4), [4, 2, 1, 0.5])


@given(st.sampled_from(list(Between)), st.integers(-8, 12), st.integers(1, 24))
def test_nothing_before_the_first_point_and_no_overshoot_after(between: Between, first: int, quarters: int) -> None:
    values = series(((START + first, 3.0), (START + first + 5, 7.0)), between).over(START, quarters)
    time = np.arange(quarters)
    assert (values[time < first] == 0).all()
    assert ((values[time >= first] >= 3 - 1e-12) & (values[time >= first] <= 7 + 1e-12)).all()
    assert (np.diff(values) >= -1e-12).all()
