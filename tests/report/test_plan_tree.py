"""The decision tree: its costs to go add up, and it shows every branch and every lump, and nothing else."""

import numpy as np
import pytest

from tapeout.report.plan_decisions import decisions
from tapeout.report.plan_tree import cost_to_go, points, tree_figure
from tests.report.plan_case import HIGH, one_path, plan


def test_the_cost_to_go_is_the_cost_at_the_root_and_the_mean_over_the_children_elsewhere() -> None:
    found, tree = cost_to_go(plan()), plan().problem.tree
    assert found[0] == pytest.approx(plan().cost, rel=1e-12)
    own = np.sum(list(plan().spend.values()), axis=0) * (1.1) ** -((tree.quarter + 0.5) / 4)
    for node in range(tree.size):
        children = np.flatnonzero(tree.parent == node)
        later = tree.probability[children] @ found[children] / tree.probability[node]
        assert found[node] == pytest.approx(own[node] + later, rel=1e-9, abs=1e-6)


def test_points_are_the_branches_and_the_lumps_and_their_stretches_cover_the_tree_once() -> None:
    tree, lumps = plan().problem.tree, [one for one in decisions(plan()) if one.lumpy]
    found = points(tree, lumps)
    assert sorted(node for point in found for node in point.stretch) == list(range(tree.size))
    lumpy = {int(node) for one in lumps for node in np.flatnonzero(one.amount > 0)}
    branching = {int(node) for node in range(1, tree.size) if (tree.parent == tree.parent[node]).sum() > 1}
    assert {point.node for point in found} == {0} | lumpy | branching
    for point in found[1:]:
        assert tree.parent[point.node] in found[point.parent].stretch


def test_the_chart_nests_the_points_and_says_chance_and_decision() -> None:
    root = tree_figure(plan()).option["series"][0]["data"][0]
    names = [child["name"] for child in root["children"]]
    assert names == ["Q1: demand high, 40 %\nstart tapeout", "Q1: demand low, 60 %"]
    (power,) = root["children"][0]["children"]
    assert power["name"] == "Q2\n0.1 MW at hall"
    assert [child["name"].split(", ")[1] for child in power["children"]] == ["75 %", "25 %"]


def test_its_table_has_the_same_points() -> None:
    rows = tree_figure(plan()).table.rows
    assert [row["parent"] for row in rows][:2] == [None, 0]
    chances = {row["branch"]: row["chance"] for row in rows if row["branch"]}
    assert chances["demand high"] == pytest.approx(HIGH)
    assert chances["tapeout on time"] == pytest.approx(0.75)
    assert rows[0]["cost_to_go_usd"] == pytest.approx(plan().cost)


def test_one_path_is_a_line() -> None:
    found = points(one_path().problem.tree, [one for one in decisions(one_path()) if one.lumpy])
    assert [point.parent for point in found] == list(range(-1, len(found) - 1))
