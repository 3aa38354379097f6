"""Matching: a tree matches itself, children are matched below their parents' matches, and the nearest is taken."""

import numpy as np
import pytest
from hypothesis import given

from tapeout.appraisal.matching import matching
from tapeout.outlook.processes import combine, draw, to_tree
from tapeout.outlook.reduction import reduce
from tests.outlook.worlds import QUARTERS, branch, process, worlds


@given(processes=worlds())
def test_what_follows_is_matched_below_what_went_before(processes):
    full = combine(processes, QUARTERS)
    small = reduce(full, 3).scenarios
    found = matching(small, full)
    (known, _), (fresh, _) = to_tree(small), to_tree(full)
    assert found[0] == 0
    np.testing.assert_array_equal(known.quarter[found], fresh.quarter)
    np.testing.assert_array_equal(known.parent[found[1:]], found[fresh.parent[1:]])


def test_different_scenarios_match_themselves():
    level = [branch("low", 0.4, demand=0.5), branch("high", 0.6, demand=2.0)]
    demand = process("demand", q1=level, q3=[branch("late", 0.5, rent=(1.0, 2)), branch("now", 0.5)])
    full = combine([demand], QUARTERS)
    np.testing.assert_array_equal(matching(full, full), np.arange(to_tree(full)[0].size))


@pytest.mark.parametrize(("weight", "stands"), [(9.0, "low"), (0.1, "high")])
def test_the_nearest_is_taken_and_weights_say_what_counts(weight, stands):
    known = combine([process("world", q1=[branch("low", 0.5, demand=0.5, rent=0.5), branch("high", 0.5, demand=2.0, rent=2.0)])], 2)
    fresh = combine([process("world", q1=[branch("mixed", 1.0, demand=0.6, rent=1.9)])], 2)
    found = matching(known, fresh, {"demand": weight})
    assert to_tree(known)[0].names[found[1]] == f"world {stands}"


def test_delay_counts():
    known = combine([process("site", q1=[branch("on time", 0.5), branch("late", 0.5, site=(1.0, 3))])], 2)
    fresh = combine([process("site", q1=[branch("a little late", 1.0, site=(1.0, 2))])], 2)
    assert to_tree(known)[0].names[matching(known, fresh)[1]] == "site late"


def test_draws_of_the_same_processes_match_by_their_branches():
    steps = {f"q{quarter}": [branch("low", 0.5, demand=0.8), branch("high", 0.5, demand=1.3)] for quarter in (1, 3)}
    full, fresh = combine([process("demand", **steps)], QUARTERS), draw([process("demand", **steps)], QUARTERS, 20, seed=5)
    found = matching(full, fresh)
    (known, _), (tree, _) = to_tree(full), to_tree(fresh)
    assert [known.words(node) for node in found] == [tree.words(node) for node in range(tree.size)]
