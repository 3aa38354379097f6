"""What is decided and on what it depends: conditions are true where the decision is taken and at no other node of its quarter."""

from dataclasses import replace

import numpy as np
import pytest

from tapeout.report.plan_decisions import Kind, decisions, first_year_table, triggers, triggers_table
from tapeout.report.plan_triggers import condition
from tests.report.plan_case import HIGH, one_path, plan


def start(found):
    return next(one for one in decisions(found) if one.kind is Kind.START)


def test_the_programme_starts_where_demand_is_high_and_the_trigger_says_so() -> None:
    (found,) = triggers(plan(), start(plan()))
    assert found.quarter == 1
    assert found.probability == pytest.approx(HIGH)
    assert found.condition == "peak demand is above 55 query/s (demand high in Q1)"  # halfway between 10 and 100


def test_what_is_sure_has_no_condition() -> None:
    (found,) = triggers(one_path(), start(one_path()))
    assert (found.probability, found.condition) == (1.0, "")
    assert [row["trigger"] for row in triggers_table(one_path()).rows] == ["", ""]


def test_an_outcome_is_a_condition_too() -> None:
    own = next(one for one in decisions(plan()) if one.subject == "own-chip" and one.kind is Kind.ORDER)
    first = next(triggers(plan(), own))
    assert (first.quarter, first.condition) == (3, "tapeout on time in Q3")
    assert first.probability == pytest.approx(0.75 * HIGH)


def test_the_first_year_has_every_decision_of_its_quarters_with_its_amounts() -> None:
    rows = first_year_table(plan()).rows
    assert {row["quarter"] for row in rows} == {"Q0", "Q1", "Q2", "Q3"}
    (rent,) = [row for row in rows if row["quarter"] == "Q1" and row["kind"] == "rent"]
    assert (rent["low"], rent["mean"], rent["high"]) == pytest.approx((10, 10 + 90 * HIGH, 100))
    assert rent["how_much"] == "10 to 100 chips"
    power = next(row for row in rows if row["kind"] == "power")
    assert (power["low"], power["how_much"]) == (1e5, "0.1 MW")  # 100 chips of 1 kW, in whole modules of 50 kW


def test_a_price_tells_branches_apart_where_demand_does_not() -> None:
    known = plan()
    tree = known.problem.tree
    nodes = np.flatnonzero(tree.quarter == 1)
    problem = known.problem
    cloud = replace(problem.offers[0], rent=np.where(np.arange(tree.size) == nodes[0], 2.0, 4.0))
    flat = replace(problem, demand=np.full_like(problem.demand, 10.0), offers=(cloud, *problem.offers[1:]))
    unnamed = replace(flat, tree=replace(tree, names=("",) * tree.size))
    moved = replace(known, futures=replace(known.futures, problem=unnamed))
    assert condition(moved, nodes[:1], nodes[1:]) == "the rent of cloud is below $3 an hour"
    named = replace(known, futures=replace(known.futures, problem=flat))
    assert condition(named, nodes[:1], nodes[1:]) == "demand high in Q1"


def test_two_conditions_are_joined_where_one_does_not_do() -> None:
    known = plan()
    tree = known.problem.tree
    nodes = np.flatnonzero(tree.quarter == 7)  # on time, failed, low and its copies
    words = [tree.words(int(node)) for node in nodes]
    taken = nodes[[word == "demand high, tapeout failed" for word in words]]
    assert condition(known, taken, np.setdiff1d(nodes, taken)) == "tapeout failed in Q3"
    problem = replace(known.problem, tree=replace(tree, names=tuple(name.replace("tapeout ", "") for name in tree.names)))
    other = replace(known, futures=replace(known.futures, problem=problem))
    assert "failed in Q3" in condition(other, taken, np.setdiff1d(nodes, taken))


def test_a_threshold_lies_below_the_least_value_where_it_is_done() -> None:
    known = plan()
    nodes = np.flatnonzero(known.problem.tree.quarter == 3)
    demand = known.problem.demand.copy()
    demand[0, nodes] = [100.0, 200.0, 10.0]
    tree = replace(known.problem.tree, names=("",) * known.problem.tree.size)
    other = replace(known, futures=replace(known.futures, problem=replace(known.problem, demand=demand, tree=tree)))
    assert condition(other, nodes[:2], nodes[2:]) == "peak demand is above 55 query/s"
    assert condition(other, nodes[[0, 2]], nodes[[1]]) == "peak demand is below 150 query/s"


def test_where_a_programme_runs_it_cannot_be_started_again() -> None:
    known = plan()
    tree = known.problem.tree
    starts = known.starts.copy()
    starts[0, [node for node in range(tree.size) if tree.quarter[node] == 2 and tree.words(node) == "demand low"]] = 1.0
    first, second = triggers(known, start(replace(known, starts=starts)))
    assert (first.quarter, second.quarter) == (1, 2)
    assert first.condition
    assert second.condition == ""  # all others have started it before
