"""Scores: the numbers of small cases by hand, the order of groups, and what has no answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.calibration.measurements import Measurement, Quantity
from tapeout.calibration.scores import ALL, score, scores
from tapeout.calibration.validation import Comparison, Group
from tapeout.performance.predict import Kind


def comparison(ratio: float | None, *, quantity: Quantity = Quantity.TPOT, chip: str = "a", spread: float = 1.2) -> Comparison:
    measurement = Measurement(name="x", kind=Kind.ONLINE, chip=chip, model="m", precision="fp8", cells={}, case=None)
    if ratio is None:
        return Comparison(measurement=measurement, quantity=quantity, status="not known")
    return Comparison(measurement=measurement, quantity=quantity, status="ok", ratio=ratio, low=ratio / spread, high=ratio * spread)


def test_a_score_by_hand() -> None:
    found = score("a", Quantity.TPOT, [comparison(ratio) for ratio in (0.5, 0.9, 1.1, 1.3, 2.0)])
    assert found.median == pytest.approx(0.3)
    assert found.mean == pytest.approx((0.5 + 0.1 + 0.1 + 0.3 + 1.0) / 5)
    assert found.p90 == pytest.approx(0.8)
    assert found.bias == pytest.approx(0.1)
    assert found.coverage == pytest.approx(2 / 5)
    assert (found.lower, found.upper) == (pytest.approx(-0.1), pytest.approx(0.3))
    assert (found.least, found.most) == (pytest.approx(-0.34), pytest.approx(0.72))


def test_what_has_no_answer_counts_in_the_share_and_nowhere_else() -> None:
    found = score("a", Quantity.TPOT, [comparison(1.1), comparison(None), comparison(None), comparison(None)])
    assert (found.rows, found.answered, found.answered_share) == (4, 1, 0.25)
    assert (found.median, found.coverage) == (pytest.approx(0.1), 1.0)
    nothing = score("a", Quantity.TPOT, [comparison(None)])
    assert (nothing.answered, nothing.median, nothing.coverage) == (0, None, None)


def test_groups_stand_by_size_and_quantities_in_order() -> None:
    rows = [comparison(1.0, chip="a"), *(comparison(1.0, chip="b", quantity=quantity) for quantity in reversed(Quantity))]
    found = [(one.group, one.quantity) for one in scores(rows, Group.CHIP)]
    assert found == [("b", Quantity.TTFT), ("b", Quantity.TPOT), ("b", Quantity.RATE), ("a", Quantity.TPOT)]
    assert [(one.group, one.rows) for one in scores(rows)] == [(ALL, 1), (ALL, 2), (ALL, 1)]


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=40), st.floats(1.01, 3))
def test_laws_of_scores(ratios: list[float], spread: float) -> None:
    """No bias exceeds the median error, coverage counts, order does not matter, and the quantiles stand in order."""
    rows = [comparison(ratio, spread=spread) for ratio in ratios]
    found = score("a", Quantity.TPOT, rows)
    turned = score("a", Quantity.TPOT, rows[::-1])
    assert (found.median, found.p90, found.bias, found.coverage) == (turned.median, turned.p90, turned.bias, turned.coverage)
    assert found.median is not None
    assert found.bias is not None
    assert found.p90 is not None
    assert found.coverage == np.mean([ratio / spread <= 1 <= ratio * spread for ratio in ratios])
    assert 0 <= found.median <= found.p90 + 1e-12
    quantiles = (found.least, found.lower, found.bias, found.upper, found.most)
    assert list(quantiles) == sorted(quantiles, key=lambda value: value or 0.0)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=20), st.floats(0.5, 2))
def test_scaling_every_prediction_moves_the_bias_with_it(ratios: list[float], factor: float) -> None:
    first = score("a", Quantity.TPOT, [comparison(ratio) for ratio in ratios])
    second = score("a", Quantity.TPOT, [comparison(ratio * factor) for ratio in ratios])
    assert first.bias is not None
    assert second.bias is not None
    assert second.bias + 1 == pytest.approx(factor * (first.bias + 1))
