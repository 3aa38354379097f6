"""A plan by scenario: the mean over the paths is the plan's own, and quantiles are those of a sample with weights as counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.report.plan_paths import paths, quantiles
from tapeout.sourcing.accounts import cash_by_node, cost_per_query_by_quarter, levelised_cost_per_query
from tests.report.plan_case import HIGH, one_path, plan


def test_the_mean_over_the_paths_is_the_expected_cost() -> None:
    found = paths(plan())
    assert found.probability.sum() == pytest.approx(1)
    assert found.probability @ found.cost == pytest.approx(plan().cost, rel=1e-12)
    np.testing.assert_allclose(found.probability @ found.cash, plan().expected(cash_by_node(plan())), rtol=1e-12)
    assert sorted(found.probability) == pytest.approx(sorted([HIGH * 0.75, HIGH * 0.25, 1 - HIGH]))


def test_scenarios_are_named_after_their_branches_and_costs_differ_as_they_should() -> None:
    found = dict(zip(paths(plan()).names, paths(plan()).cost, strict=True))
    assert set(found) == {"demand high, tapeout on time", "demand high, tapeout failed", "demand low"}
    assert found["demand low"] < found["demand high, tapeout on time"] < found["demand high, tapeout failed"]


def test_the_mean_of_the_worst_is_at_least_any_quantile_below() -> None:
    found = paths(plan())
    assert found.worst_cost == pytest.approx(found.cost.max())  # the worst future has 10 % and the tail 5 %


def test_one_path_is_the_plan_itself() -> None:
    found = paths(one_path())
    assert found.size == 1
    np.testing.assert_allclose(found.mean_cost_per_query, cost_per_query_by_quarter(one_path()), rtol=1e-12)
    assert found.mean_levelised == pytest.approx(levelised_cost_per_query(one_path()))
    assert all(np.array_equal(band, found.cash[0]) for band in found.bands(found.cash).values())


def test_the_mean_of_a_querys_cost_is_expected_cost_over_expected_queries() -> None:
    found = paths(plan())
    expected = (found.probability @ found.economic) / (found.probability @ found.queries)
    np.testing.assert_allclose(found.mean_cost_per_query, expected)
    assert not np.allclose(found.mean_cost_per_query, found.probability @ found.cost_per_query)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 6)), min_size=1, max_size=12), st.floats(0.01, 0.99))
def test_a_quantile_is_that_of_the_repeated_sample(rows: list[tuple[int, int]], level: float) -> None:
    values, counts = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    repeated = np.repeat(values, counts.astype(int))
    expected = np.quantile(repeated, level, method="inverted_cdf")
    assert quantiles(values, counts / counts.sum(), [level])[0] == expected


def test_quantiles_leave_out_what_is_not_known() -> None:
    values = np.array([[np.nan, np.nan], [1.0, np.nan], [2.0, np.nan]])
    found = quantiles(values, np.array([0.8, 0.1, 0.1]), [0.05, 0.95])
    np.testing.assert_array_equal(found, [[1.0, np.nan], [2.0, np.nan]])
