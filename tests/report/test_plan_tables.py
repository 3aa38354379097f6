"""The tables of a plan: means over the futures are those of its arrays, and every node has its rows."""

from dataclasses import replace

import numpy as np
import pytest

from tapeout.report.plan_paths import paths
from tapeout.report.plan_scenarios import nodes_table, quarters_table, scenarios_table
from tapeout.report.plan_tables import mean_tables, plan_tables
from tapeout.sourcing.accounts import fleet_by_chip, supplier_shares
from tests.report.plan_case import one_path, plan


def by(table, label, value):
    found = {}
    for row in table.rows:
        key = (row["quarter"], row[label])
        found[key] = found.get(key, 0.0) + row[value]
    return found


def test_means_are_the_expectation_of_the_arrays() -> None:
    known, tables = plan(), mean_tables(plan_tables(plan()))
    quarters = known.problem.quarters
    for chip, count in fleet_by_chip(known).items():
        for place, mean in enumerate(known.expected(count)):
            assert by(tables["fleet"], "chip", "chips").get((quarters[place], chip), 0.0) == pytest.approx(mean)
    for name, usd in known.spend.items():
        for place, mean in enumerate(known.expected(usd)):
            assert by(tables["spend"], "category", "usd").get((quarters[place], name), 0.0) == pytest.approx(mean, abs=1e-4)
    for supplier, share in supplier_shares(known).items():
        for place, mean in enumerate(known.expected(share)):
            assert by(tables["suppliers"], "supplier", "share").get((quarters[place], supplier), 0.0) == pytest.approx(mean)
    assert not any("node" in row for table in tables.values() for row in table.rows)


def test_rows_by_node_say_where_they_stand() -> None:
    tree = plan().problem.tree
    for table in plan_tables(plan()).values():
        for row in table.rows:
            assert row["quarter"] == plan().problem.quarters[tree.quarter[row["node"]]]
            assert row["probability"] == tree.probability[row["node"]]
    service = plan_tables(plan())["service"].rows
    assert {row["node"] for row in service} == set(range(tree.size))


def test_one_path_has_rows_by_quarter_alone() -> None:
    for table in plan_tables(one_path()).values():
        assert not any("node" in row or "probability" in row for row in table.rows)
    orders = [row for row in plan_tables(one_path())["orders"].rows if row["offer"] == "own"]
    assert [(row["quarter"], row["serves_from"], row["unit_price_usd"]) for row in orders] == [("Q3", "Q3", 1000.0)]


def test_chips_that_stand_idle_are_told() -> None:
    known = one_path()
    idle = replace(known, fleet=known.fleet * 0.75)
    rows = [row for row in plan_tables(idle)["installed"].rows if row["offer"] == "own"]
    assert all(row["idle"] == pytest.approx(0.25 * row["installed"]) and row["installed"] == pytest.approx(100) for row in rows)


def test_chips_sold_or_given_back_are_told_with_what_they_bring() -> None:
    known = one_path()
    offers = tuple(replace(offer, residual=0.5, term=8) if offer.id == "own" else offer for offer in known.problem.offers)
    problem = replace(known.problem, offers=offers)
    ended = np.zeros((len(offers), 1, len(problem.quarters)))
    ended[1, 0, 7] = 40.0
    sold = replace(known, futures=replace(known.futures, problem=problem), ended=ended)
    (row,) = plan_tables(sold)["ended"].rows
    assert (row["quarter"], row["how"], row["years"], row["chips"]) == ("Q7", "sold", 1, 40.0)
    assert row["usd"] == pytest.approx(-40 * 1000 * 0.5 * 4 / 8)  # half of the price, half of whose term is left


def test_scenarios_quarters_and_nodes_agree() -> None:
    found = paths(plan())
    scenarios = {row["scenario"]: row for row in scenarios_table(plan(), found).rows}
    assert scenarios["demand low"]["programmes"] == "none"
    assert scenarios["demand high, tapeout failed"]["programmes"] == "tapeout from Q1: failed"
    assert sum(row["probability"] * row["cost_usd"] for row in scenarios.values()) == pytest.approx(plan().cost)
    nodes = {row["node"]: row for row in nodes_table(plan()).rows}
    for row in quarters_table(plan(), found).rows:
        assert nodes[row["node"]]["quarter"] == row["quarter"]
        assert nodes[row["node"]]["probability"] >= row["probability"] - 1e-12
