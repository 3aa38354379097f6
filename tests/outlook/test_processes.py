"""Processes and their scenarios: the product spelt out path by path, frequencies of draws, and the tree of what is known when."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

from tapeout.errors import InputError
from tapeout.outlook.processes import Process, Stage, combine, draw, expectation, to_tree, values
from tests.outlook.worlds import QUARTERS, branch, every_path, process, value_of, worlds

DEMAND = process(
    "demand",
    q2=[branch("low", 0.25, demand=0.5), branch("high", 0.75, demand=2.0)],
    q4=[branch("low", 0.5, demand=0.8), branch("high", 0.5, demand=1.2, rent=1.5)],
)
SITE = process("site", q2=[branch("on time", 0.6), branch("late", 0.4, available=(1.0, 2))])


def told(scenarios):
    """What each path does, whatever the order of processes, branches and paths: its branches, probability and values."""
    return {
        frozenset((point.process, point.quarter, point.names[taken]) for point, taken in zip(scenarios.points, choice, strict=True)): (
            scenarios.probability[index],
            {target: values[index].tolist() for target, values in (*scenarios.factor.items(), *_late(scenarios))},
        )
        for index, choice in enumerate(scenarios.choice)
    }


def _late(scenarios):
    return ((f"delay of {target}", delay) for target, delay in scenarios.delay.items())


def test_effects_start_in_their_quarter_multiply_and_add():
    scenarios = combine([DEMAND, SITE], QUARTERS)
    late = process("site", q1=[branch("late", 1.0, available=(1.0, 2))], q3=[branch("later", 1.0, available=(1.0, 1))])
    assert scenarios.size == 8
    assert scenarios.factor["demand"][-1].tolist() == [1, 1, 2, 2, 2.4, 2.4]
    assert scenarios.delay["available"][-1].tolist() == [0, 0, 2, 2, 2, 2]
    assert scenarios.probability[-1] == pytest.approx(0.75 * 0.4 * 0.5)
    assert combine([late], QUARTERS).delay["available"].tolist() == [[0, 2, 2, 3, 3, 3]]


@settings(max_examples=60)
@given(worlds())
def test_all_combinations_are_those_of_a_plain_product(processes):
    scenarios = combine(processes, QUARTERS)
    paths = list(every_path(processes))
    found = told(scenarios)
    assert scenarios.size == len(paths) == len(found)
    assert not scenarios.drawn
    assert math.fsum(scenarios.probability) == pytest.approx(1, abs=1e-12)
    for probability, path in paths:
        chance, by_target = found[frozenset((name, quarter, one.name) for quarter, name, one in path)]
        assert chance == pytest.approx(probability, rel=1e-12)
        for target in scenarios.targets:
            expected = [value_of(path, target, quarter) for quarter in range(QUARTERS)]
            assert by_target[target] == pytest.approx([factor for factor, _ in expected], rel=1e-12)
            assert by_target[f"delay of {target}"] == [delay for _, delay in expected]


@settings(max_examples=30)
@given(worlds())
def test_the_order_of_processes_and_branches_changes_nothing(processes):
    turned = [
        Process(name=one.name, stages=tuple(Stage(quarter=stage.quarter, branches=stage.branches[::-1]) for stage in one.stages))
        for one in reversed(processes)
    ]
    assert told(combine(processes, QUARTERS)) == told(combine(turned, QUARTERS))
    assert told(draw(processes, QUARTERS, 50, seed=1)) == told(draw(turned, QUARTERS, 50, seed=1))


@settings(max_examples=60)
@given(worlds())
def test_scenarios_share_a_node_until_their_choices_differ(processes):
    scenarios = combine(processes, QUARTERS)
    tree, node_of = to_tree(scenarios)
    assert node_of[:, -1].tolist() == tree.leaves.tolist()
    assert np.array_equal(tree.paths, node_of)
    assert np.bincount(node_of[:, -1], scenarios.probability)[tree.leaves] == pytest.approx(tree.probability[tree.leaves])
    for quarter in range(QUARTERS):
        known = [tuple(row[index] for index, point in enumerate(scenarios.points) if point.quarter <= quarter) for row in scenarios.choice]
        assert len(set(known)) == len(set(zip(known, node_of[:, quarter], strict=True))) == len(set(node_of[:, quarter]))


@settings(max_examples=30)
@given(worlds())
def test_a_node_has_the_values_of_all_that_pass_it(processes):
    scenarios = combine(processes, QUARTERS)
    tree, node_of = to_tree(scenarios)
    factor, delay = values(scenarios, node_of)
    for target in scenarios.targets:
        assert factor[target].shape == delay[target].shape == (tree.size,)
        assert np.array_equal(factor[target][node_of], scenarios.factor[target])
        assert np.array_equal(delay[target][node_of], scenarios.delay[target])


def test_nodes_are_named_after_the_branches_that_begin_there():
    tree, _ = to_tree(combine([SITE, DEMAND], QUARTERS))
    second = [name for name, quarter in zip(tree.names, tree.quarter, strict=True) if quarter == 2]
    assert second == ["demand low, site on time", "demand low, site late", "demand high, site on time", "demand high, site late"]
    assert {name for name, quarter in zip(tree.names, tree.quarter, strict=True) if quarter in (0, 1, 3, 5)} == {""}
    assert tree.words(tree.leaves[-1]) == "demand high, site late, demand high"


def test_without_processes_there_is_one_path():
    for scenarios in (combine([], QUARTERS), draw([], QUARTERS, 10, seed=0)):
        tree, node_of = to_tree(scenarios)
        assert (scenarios.size, scenarios.targets, tree.size) == (1, (), QUARTERS)
        assert node_of.tolist() == [list(range(QUARTERS))]


def test_a_sure_outcome_leaves_the_tree_as_it_is():
    sure = process("site", q3=[branch("on time", 1.0)])
    (alone, _), (beside, _) = to_tree(combine([DEMAND], QUARTERS)), to_tree(combine([DEMAND, sure], QUARTERS))
    for field in ("quarter", "parent", "probability", "above"):
        assert np.array_equal(getattr(alone, field), getattr(beside, field))


def test_a_branch_that_cannot_happen_is_left_out():
    never = process("demand", q2=[branch("low", 0.5, demand=0.5), branch("never", 0.0, demand=9.0), branch("high", 0.5, demand=2.0)])
    assert combine([never], QUARTERS).factor["demand"][:, -1].tolist() == [0.5, 2.0]


def test_rounded_probabilities_are_made_to_sum_to_one():
    thirds = process("demand", q2=[branch(name, 0.3333333) for name in "abc"])
    assert combine([thirds], QUARTERS).probability.sum() == pytest.approx(1, abs=1e-15)


def test_draws_come_as_often_as_they_are_probable():
    """Each of the eight paths within five standard deviations of its share."""
    count = 20_000
    drawn, exact = draw([DEMAND, SITE], QUARTERS, count, seed=3), combine([DEMAND, SITE], QUARTERS)
    assert np.array_equal(drawn.choice, exact.choice)
    assert drawn.drawn
    assert np.all(np.abs(drawn.probability - exact.probability) < 5 * np.sqrt(exact.probability * (1 - exact.probability) / count))
    for target, mean in expectation(exact).items():
        assert expectation(drawn)[target] == pytest.approx(mean, rel=0.03)


def test_other_seeds_draw_other_paths_and_the_same_seed_the_same():
    first, again, other = (draw([DEMAND, SITE], QUARTERS, 100, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.probability, again.probability)
    assert not np.array_equal(first.probability, other.probability)


def test_stages_and_processes_are_drawn_independently():
    """Under equal shares, two stages and two processes agree half of the time."""
    coin = [branch("a", 0.5), branch("b", 0.5)]
    count = 10_000
    drawn = draw([process("one", q1=coin, q2=coin), process("other", q1=coin)], QUARTERS, count, seed=0)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        agree = drawn.probability @ (drawn.choice[:, first] == drawn.choice[:, second])
        assert abs(agree - 0.5) < 5 * 0.5 / math.sqrt(count)


def test_too_many_combinations_are_drawn_and_it_is_said():
    whole, drawn = combine([DEMAND, SITE], QUARTERS, most=8), combine([DEMAND, SITE], QUARTERS, most=7)
    assert (whole.drawn, drawn.drawn) == (False, True)
    assert drawn.size <= 7
    assert drawn.probability * 7 == pytest.approx(np.round(drawn.probability * 7))
    many = [process(f"process {index}", q1=[branch(name, 0.1) for name in "abcdefghij"]) for index in range(30)]
    assert combine(many, QUARTERS).size == 4096


def stage(quarter=2, **branches):
    return [process("demand", **{f"q{quarter}": [branch(name, share) for name, share in branches.items()]})]


@pytest.mark.parametrize(
    ("processes", "said"),
    [
        (stage(low=0.5, high=0.6), r"process demand, quarter 2: the probabilities .* sum to 1, given 'low 0.5 \+ high 0.6 = 1.1'"),
        (stage(), "process demand, quarter 2: .*no branch"),
        (stage(low=-0.5, high=1.5), "process demand, quarter 2, branch low: a probability is a number from 0 to 1, given -0.5"),
        (stage(low=math.nan, high=1.0), "branch low: a probability is a number"),
        (stage(quarter=0, low=1.0), "after the first quarter and within the plan, given 0, allowed: 1 to 5"),
        (stage(quarter=6, low=1.0), "within the plan, given 6, allowed: 1 to 5"),
        ([process("demand", q3=[branch("a", 1.0)], q2=[branch("a", 1.0)])], "quarter 2: .* in order of time, .*given '2 after 3'"),
        (
            [process("demand", q2=[branch("a", 0.5), branch("a", 0.5)])],
            "branches of process demand, quarter 2 have different names, given 'a'",
        ),
        ([DEMAND, DEMAND], "processes have different names, given 'demand'"),
        ([process("demand", q2=[branch("a", 1.0, rent=-1.0)])], "branch a, rent: a factor is a number that is not negative, given -1"),
        ([process("demand", q2=[branch("a", 1.0, rent=math.inf)])], "branch a, rent: a factor is a number that is not negative, given inf"),
        ([process("demand", q2=[branch("a", 1.0, rent=(1.0, -1))])], "branch a, rent: a delay is not negative, given -1"),
    ],
)
def test_what_cannot_be_says_where(processes, said):
    for build in (lambda: combine(processes, QUARTERS), lambda: draw(processes, QUARTERS, 10, seed=0)):
        with pytest.raises(InputError, match=said):
            build()


def test_a_draw_has_at_least_one_path():
    with pytest.raises(InputError, match="at least one path"):
        draw([DEMAND], QUARTERS, 0, seed=0)
