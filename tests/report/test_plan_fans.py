"""Bands over the futures and the distribution of the cost."""

import numpy as np
import pytest

from tapeout.report.plan_fans import concentration_figure, cost_figure, fan_figures
from tapeout.report.plan_paths import paths
from tests.report.plan_case import HIGH, plan


def test_bands_lie_within_each_other_and_are_drawn_as_in_the_table() -> None:
    found, quarters = paths(plan()), plan().problem.quarters
    for figure in (*fan_figures(quarters, found), concentration_figure(quarters, found)):
        rows = figure.table.rows
        assert [row["quarter"] for row in rows] == list(quarters)
        for row in rows:
            assert row["p5"] <= row["p25"] <= row["p50"] <= row["p75"] <= row["p95"]
            assert row["p5"] <= row["mean"] * (1 + 1e-12)
        wide, half = figure.option["series"][:2]
        assert [point[1:] for point in wide["data"]] == [[row["p5"], row["p95"]] for row in rows]
        assert [point[1:] for point in half["data"]] == [[row["p25"], row["p75"]] for row in rows]
    demand = fan_figures(quarters, found)[1].table.rows
    assert (demand[0]["p5"], demand[0]["p95"]) == (10, 10)
    assert (demand[1]["p5"], demand[1]["p50"], demand[1]["p95"]) == (10, 10, 100)
    assert demand[1]["mean"] == pytest.approx(10 + 90 * HIGH)


def test_the_reference_is_drawn_where_it_is_given() -> None:
    found, quarters = paths(plan()), plan().problem.quarters
    plain, marked = fan_figures(quarters, found)[0], fan_figures(quarters, found, 0.04, "4 cents")[0]
    assert len(marked.option["series"]) == len(plain.option["series"]) + 1
    assert marked.keys[-1].name == "4 cents"


def test_the_distribution_reaches_each_future_at_its_cost() -> None:
    found = paths(plan())
    rows = cost_figure(found).table.rows
    shares = {row["cost_usd"]: row["share"] for row in rows}
    order = np.argsort(found.cost)
    assert list(shares) == pytest.approx(found.cost[order].tolist())
    assert list(shares.values()) == pytest.approx(np.cumsum(found.probability[order]).tolist())
    assert "mean of the worst 5 %" in cost_figure(found).keys[-1].name
