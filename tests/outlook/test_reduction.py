"""Reduced scenarios: all trees of merged branches tried out, distances by linear program, and what a reduction may never change."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from tapeout.errors import InputError
from tapeout.outlook.processes import Process, Stage, combine, expectation, to_tree, values
from tapeout.outlook.reduction import path_distances, reduce
from tests.outlook.worlds import QUARTERS, branch, process, worlds

DEMAND = process(
    "demand",
    q1=[branch("low", 0.25, demand=0.6), branch("middle", 0.5), branch("high", 0.25, demand=1.7)],
    q3=[branch("low", 0.3, demand=0.7), branch("high", 0.7, demand=1.2)],
)
RENT = process("rent", q2=[branch("falls", 0.4, rent=0.55), branch("stays", 0.6)])
SITE = process("site", q3=[branch("on time", 0.5), branch("late", 0.3, available=(1.0, 1)), branch("very late", 0.2, available=(1.0, 3))])
OFFERED = process("tpu", q3=[branch("not", 0.3, tpu=0.0), branch("some", 0.3, tpu=0.8), branch("many", 0.4, tpu=2.0, rent=0.9)])
WORLD = [DEMAND, RENT, SITE]
SIZES = (1, 2, 3, 5, 8, 13, 21, 36)


def relative(one, other):
    return 0.0 if one == other else abs(one - other) / max(one, other)


def all_pairs(first, second):
    """The distance of each path of one to each of the other, (S, R)."""
    pairs = np.array(list(itertools.product(range(first.size), range(second.size))))
    return path_distances(first, second, pairs).reshape(first.size, second.size)


def transport(costs, one, other):
    """The least mean cost of moving one distribution (S,) to another (R,) at costs (S, R): the Kantorovich distance, by linear program."""
    if min(costs.shape) == 1:
        return float(np.outer(one, other).ravel() @ costs.ravel())
    leaves = sparse.kron(sparse.eye(len(one)), np.ones((1, len(other))))
    arrives = sparse.kron(np.ones((1, len(one))), sparse.eye(len(other)))
    found = linprog(costs.ravel(), A_eq=sparse.vstack([leaves, arrives]).tocsr(), b_eq=np.concatenate([one, other]), method="highs")
    assert found.status == 0
    return found.fun


def nested_distance(first, second):
    """The distance of two trees that minds what is known when: transport problems from the last quarter back, one a pair of nodes.

    Pflug and Pichler, A distance for multistage stochastic optimization models, SIAM J. Optim. 22 (2012).
    """
    (one, _), (other, _) = to_tree(first), to_tree(second)
    apart = {
        (int(a), int(b)): cost
        for a, row in zip(one.leaves, all_pairs(first, second), strict=True)
        for b, cost in zip(other.leaves, row, strict=True)
    }
    for quarter in range(one.quarters - 2, -1, -1):
        for a, b in itertools.product(np.flatnonzero(one.quarter == quarter), np.flatnonzero(other.quarter == quarter)):
            left, right = np.flatnonzero(one.parent == a), np.flatnonzero(other.parent == b)
            costs = np.array([[apart[int(i), int(j)] for j in right] for i in left])
            shares = [tree.probability[kids] / tree.probability[kids].sum() for tree, kids in ((one, left), (other, right))]
            apart[int(a), int(b)] = transport(costs, *shares)
    return apart[0, 0]


def partitions(items):
    """All ways to part a list into sets."""
    if not items:
        yield []
        return
    for others in range(2 ** (len(items) - 1)):
        kept = [item for index, item in enumerate(items[1:]) if others >> index & 1]
        rest = [item for index, item in enumerate(items[1:]) if not others >> index & 1]
        yield from ([[items[0], *kept], *parts] for parts in partitions(rest))


def merged_trees(stages, quarters, targets):
    """Number of leaves and mean sum of distances of every tree of merged branches; stages are (quarter, branches) in order of time."""
    if not stages:
        return [(1, 0.0)]
    (quarter, branches), *later = stages
    below = merged_trees(later, quarters, targets)
    found = []
    for parts in partitions(list(branches)):
        costs = [merging_cost(part, quarters - quarter, targets) / quarters for part in parts]
        shares = [math.fsum(one.probability for one in part) for part in parts]
        for trees in itertools.product(below, repeat=len(parts)):
            leaves = sum(count for count, _ in trees)
            found.append((leaves, math.fsum(cost + share * rest for cost, share, (_, rest) in zip(costs, shares, trees, strict=True))))
    return found


def merging_cost(part, left, targets):
    """What a set of branches adds to the mean distance, times the number of quarters."""
    total = 0.0
    for target in targets:
        effects = [(one.probability, *effect_on(one, target)) for one in part]
        share = math.fsum(p for p, _, _ in effects)
        factor, delay = (math.fsum(each[0] * each[index] for each in effects) / share for index in (1, 2))
        total += math.fsum(p * (left * relative(f, factor) + abs(d - delay)) for p, f, d in effects) / len(targets)
    return total


def effect_on(one, target):
    return next(((effect.factor, effect.delay) for effect in one.effects if effect.target == target), (1.0, 0))


@pytest.mark.parametrize("processes", [[DEMAND, RENT], [RENT, SITE], [SITE, OFFERED]])
def test_no_tree_of_merged_branches_has_a_lower_sum_of_distances(processes):
    scenarios = combine(processes, QUARTERS)
    stages = sorted(((stage.quarter, each.name, stage.branches) for each in processes for stage in each.stages), key=lambda each: each[:2])
    trees = merged_trees([(quarter, branches) for quarter, _, branches in stages], QUARTERS, scenarios.targets)
    for size in range(1, scenarios.size + 2):
        reduced = reduce(scenarios, size)
        assert reduced.scenarios.size <= size
        assert reduced.bound == pytest.approx(min(cost for leaves, cost in trees if leaves <= size), abs=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_the_distance_is_no_less_than_that_of_the_trees_and_that_than_that_of_the_paths(size):
    scenarios = combine(WORLD, QUARTERS)
    reduced = reduce(scenarios, size)
    paths = transport(all_pairs(scenarios, reduced.scenarios), scenarios.probability, reduced.scenarios.probability)
    trees = nested_distance(scenarios, reduced.scenarios)
    assert paths <= trees + 1e-9
    assert trees <= reduced.distance + 1e-9
    if size == 1:
        assert paths == pytest.approx(reduced.distance, rel=1e-9)
    assert reduced.distance <= 1.02 * trees + 1e-9  # measured: 1.012 times at 3 paths, the same at all other sizes
    assert reduced.distance <= 1.06 * paths + 1e-9


@settings(max_examples=25)
@given(worlds(most=12), st.integers(1, 12))
def test_the_distance_bounds_that_of_the_trees_in_any_world(processes, size):
    scenarios = combine(processes, QUARTERS)
    reduced = reduce(scenarios, size)
    assert nested_distance(scenarios, reduced.scenarios) <= reduced.distance + 1e-9


@settings(max_examples=60)
@given(worlds(), st.integers(1, 40))
def test_paths_keep_their_means_at_every_node(processes, size):
    """The mean of all that a node stands for, so in all as well; probabilities sum to 1."""
    scenarios = combine(processes, QUARTERS)
    reduced = reduce(scenarios, size)
    tree, node_of = to_tree(reduced.scenarios)
    factor, _ = values(reduced.scenarios, node_of)
    passed = node_of[reduced.stands_for]
    assert reduced.scenarios.size <= size
    assert reduced.scenarios.probability.sum() == pytest.approx(1, abs=1e-12)
    assert reduced.mean_error < 1e-12
    for quarter in range(QUARTERS):
        weight = np.bincount(passed[:, quarter], scenarios.probability, minlength=tree.size)
        here = np.unique(passed[:, quarter])
        assert weight[here] == pytest.approx(tree.probability[here], rel=1e-9)
        for target in scenarios.targets:
            total = np.bincount(passed[:, quarter], scenarios.probability * scenarios.factor[target][:, quarter], minlength=tree.size)
            assert total[here] / weight[here] == pytest.approx(factor[target][here], rel=1e-9)


@settings(max_examples=60)
@given(worlds(), st.integers(1, 40))
def test_no_reduced_path_knows_more_than_the_paths_it_stands_for(processes, size):
    """Paths that are the same so far stand at the same node of the reduced tree."""
    scenarios = combine(processes, QUARTERS)
    reduced = reduce(scenarios, size)
    (_, before), (_, after) = to_tree(scenarios), to_tree(reduced.scenarios)
    for quarter in range(QUARTERS):
        stands = set(zip(before[:, quarter], after[reduced.stands_for, quarter], strict=True))
        assert len(stands) == len(set(before[:, quarter]))


@settings(max_examples=60)
@given(worlds(delays=False), st.integers(1, 40))
def test_the_bound_is_above_the_distance_and_falls_with_the_size(processes, size):
    scenarios = combine(processes, QUARTERS)
    smaller, larger = reduce(scenarios, size), reduce(scenarios, size + 1)
    assert smaller.distance <= smaller.bound + 1e-12
    assert larger.bound <= smaller.bound + 1e-12


def test_the_distance_falls_with_the_size():
    distances = [reduce(combine(WORLD, QUARTERS), size).distance for size in SIZES]
    assert all(later < earlier for earlier, later in itertools.pairwise(distances))
    assert distances[-1] == 0


@settings(max_examples=40)
@given(worlds())
def test_a_reduction_to_all_paths_is_no_reduction(processes):
    scenarios = combine(processes, QUARTERS)
    reduced = reduce(scenarios, scenarios.size)
    assert reduced.distance == pytest.approx(0, abs=1e-12)
    for target in scenarios.targets:
        assert reduced.scenarios.factor[target][reduced.stands_for] == pytest.approx(scenarios.factor[target], rel=1e-9)
        assert np.array_equal(reduced.scenarios.delay[target][reduced.stands_for], scenarios.delay[target])


def test_all_paths_keep_their_names_and_choices():
    scenarios = combine(WORLD, QUARTERS)
    reduced = reduce(scenarios, scenarios.size)
    assert np.array_equal(reduced.scenarios.choice, scenarios.choice)
    assert np.array_equal(reduced.stands_for, np.arange(scenarios.size))
    assert to_tree(reduced.scenarios)[0].names == to_tree(scenarios)[0].names


def test_one_path_is_the_mean():
    scenarios = combine(WORLD, QUARTERS)
    reduced = reduce(scenarios, 1)
    for target, mean in expectation(scenarios).items():
        assert reduced.scenarios.factor[target][0] == pytest.approx(mean, rel=1e-12)
    assert reduced.scenarios.delay["available"].tolist() == [[0, 0, 0, 1, 1, 1]]  # 0.9 quarters
    assert set(to_tree(reduced.scenarios)[0].names) == {""}


def test_delays_that_were_averaged_are_rounded_once_a_path_and_a_half_upwards():
    """Means of 0.4 and 0.1 quarters: none for each alone, one for both."""
    stages = {
        f"q{quarter}": [branch("late", share, available=(1.0, 1)), branch("on time", 1 - share)] for quarter, share in ((1, 0.4), (3, 0.1))
    }
    reduced = reduce(combine([process("site", **stages)], QUARTERS), 1)
    assert reduced.scenarios.delay["available"].tolist() == [[0, 0, 0, 1, 1, 1]]


def test_merged_branches_are_named_together():
    one = process("demand", q1=[branch("low", 0.2, demand=0.4), branch("middle", 0.4), branch("high", 0.4, demand=1.1)])
    tree, _ = to_tree(reduce(combine([one], QUARTERS), 2).scenarios)
    assert tree.names[1:3] == ("demand low", "demand middle or high")
    assert tree.probability[1:3] == pytest.approx([0.2, 0.8])


@settings(max_examples=40)
@given(worlds(), st.integers(1, 20))
def test_the_order_of_processes_and_branches_changes_nothing(processes, size):
    turned = [
        Process(name=one.name, stages=tuple(Stage(quarter=stage.quarter, branches=stage.branches[::-1]) for stage in one.stages))
        for one in reversed(processes)
    ]
    one, other = (reduce(combine(each, QUARTERS), size) for each in (processes, turned))
    assert one.bound == other.bound
    assert one.distance == pytest.approx(other.distance, abs=1e-12)
    assert lines(one.scenarios) == lines(other.scenarios)


def lines(scenarios):
    """All values of each path and its probability, in order."""
    columns = [*scenarios.factor.values(), *scenarios.delay.values()]
    return (
        sorted(
            (round(p, 12), *np.round(np.concatenate([each[path] for each in columns]), 9)) for path, p in enumerate(scenarios.probability)
        )
        if columns
        else []
    )


def test_drawn_scenarios_are_reduced_to_those_of_their_processes():
    whole, drawn = combine(WORLD, QUARTERS), combine(WORLD, QUARTERS, most=30)
    exact, estimate = reduce(whole, 6), reduce(drawn, 6)
    assert drawn.drawn
    assert lines(exact.scenarios) == lines(estimate.scenarios)
    assert estimate.distance == pytest.approx(exact.distance, rel=0.3)
    assert estimate.mean_error > 0.001


def test_a_distance_by_hand():
    """Demand halves in four quarters of six and rent rises by a quarter in two of them; the site is three quarters late."""
    one = combine([process("demand", q2=[branch("low", 1.0, demand=0.5, rent=1.0, available=(1.0, 3))])], QUARTERS)
    other = combine([process("demand", q4=[branch("dear", 1.0, demand=1.0, rent=1.25, available=1.0)])], QUARTERS)
    expected = {"demand": 4 * 0.5 / 6, "rent": 2 * 0.2 / 6, "available": 3 / 6}
    pair = np.array([[0, 0]])
    assert path_distances(one, other, pair)[0] == pytest.approx(sum(expected.values()) / 3)
    assert path_distances(other, one, pair) == pytest.approx(path_distances(one, other, pair))
    weighted = path_distances(one, other, pair, {"demand": 3.0, "available": 0.0})
    assert weighted[0] == pytest.approx((3 * expected["demand"] + expected["rent"]) / 4)


@settings(max_examples=30)
@given(worlds())
def test_the_distance_of_paths_is_a_metric(processes):
    scenarios = combine(processes, QUARTERS)
    apart = all_pairs(scenarios, scenarios)
    assert np.all(np.diag(apart) == 0)
    assert apart == pytest.approx(apart.T)
    assert np.all(apart <= (apart[:, :, None] + apart[None]).min(axis=1) + 1e-12)


def test_what_counts_most_is_kept_longest():
    scenarios = combine([DEMAND, RENT], QUARTERS)
    for target, process_name in (("rent", "rent"), ("demand", "demand")):
        reduced = reduce(scenarios, 2, {"demand": 0.0, "rent": 0.0} | {target: 1.0})
        begun = {name.split()[0] for name in to_tree(reduced.scenarios)[0].names if name}
        assert begun == {process_name}


def test_many_paths_and_branches_are_reduced_to_a_wanted_size():
    coins = [process(f"coin {index}", q1=[branch("a", 0.5, demand=0.9), branch("b", 0.5, rent=1.1)]) for index in range(40)]
    reduced = reduce(combine(coins, QUARTERS, most=500), 64)
    assert reduced.scenarios.size == 64
    assert reduced.bound > 0


@pytest.mark.parametrize(
    ("size", "weights", "said"),
    [
        (0, None, "at least one scenario is kept, given 0"),
        (2, {"demnd": 1.0}, "no branch changes this target, given 'demnd', allowed: available, demand, rent; did you mean demand"),
        (2, {"rent": -1.0}, "the weight of rent is not negative, given -1"),
        (2, dict.fromkeys(("available", "demand", "rent"), 0.0), "at least one target has a weight above zero"),
    ],
)
def test_what_cannot_be_reduced_says_why(size, weights, said):
    with pytest.raises(InputError, match=said):
        reduce(combine(WORLD, QUARTERS), size, weights)


def test_too_many_branches_and_reduced_scenarios_are_refused():
    many = process("demand", q1=[branch(f"branch {index}", 1 / 9, demand=1.0 + index) for index in range(9)])
    with pytest.raises(InputError, match=r"process demand, quarter 1: .*given 9, allowed: up to 8"):
        reduce(combine([many], QUARTERS), 2)
    with pytest.raises(InputError, match="scenarios that were reduced are not reduced again"):
        reduce(reduce(combine(WORLD, QUARTERS), 9).scenarios, 3)
