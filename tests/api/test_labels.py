"""A plan on a tree as labelled arrays."""

import dataclasses

import numpy as np
import pytest

from tapeout.api.labels import dataset, node_names
from tapeout.outlook.tree import single, tree_of
from tapeout.sourcing.search import solve
from tests.sourcing.conftest import full_case

TREE = tree_of(
    [0, 1, 1, *np.repeat(np.arange(2, 8), 2)], [-1, 0, 0, *range(1, 13)], [1.0, *[0.25, 0.75] * 7], ("", "high", "low", *[""] * 12)
)


@pytest.fixture(scope="module")
def plan():
    case = full_case().on(TREE, TREE.quarter)
    high = np.where(np.arange(15) % 2 == 1, 1.2, 0.9)
    high[0] = 1.0
    return solve(dataclasses.replace(case, demand=case.demand * high, volume=case.volume * high), gap=1e-3)


def test_nodes_are_named_after_their_quarters():
    assert node_names(TREE, tuple(f"Q{q}" for q in range(8)))[:5] == ("Q0", "Q1.1", "Q1.2", "Q2.1", "Q2.2")
    assert node_names(single(2), ("2026Q4", "2027Q1")) == ("2026Q4", "2027Q1")


def test_by_node_all_is_there_and_the_tree_can_be_told(plan):
    found = dataset(plan, "node")
    assert found.orders.values == pytest.approx(plan.orders)
    assert found.branch.sel(node="Q1.1").item() == "high"
    assert found.parent.sel(node="Q2.2").item() == "Q1.2"
    assert found.quarter.sel(node="Q7.1").item() == "Q7"
    assert float((found.probability * found.spend.sum("category")).sum()) == pytest.approx(plan.expected(sum(plan.spend.values())).sum())


def test_by_scenario_each_future_is_a_path(plan):
    found = dataset(plan, "scenario")
    for place, leaf in enumerate(TREE.leaves.tolist()):
        path = plan.along(leaf)
        one = found.sel(scenario=place + 1)
        assert one.served.values == pytest.approx(path.served)
        assert one.probability.item() == TREE.probability[leaf]
    assert found.branch.values.tolist() == ["high", "low"]


def test_expected_is_the_mean_of_the_scenarios(plan):
    scenarios, expected = dataset(plan, "scenario"), dataset(plan, "expected")
    for name in ("orders", "fleet", "demand", "spend", "site_power"):
        mean = (scenarios[name] * scenarios.probability).sum("scenario")
        assert expected[name].transpose(*mean.dims).values == pytest.approx(mean.values)
