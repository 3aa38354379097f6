"""The tree of nodes against a plain walk from node to parent, and what is no tree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.outlook.tree import single, tree_of

QUARTER, PARENT, PROBABILITY = [0, 1, 1, 2, 2, 2], [-1, 0, 0, 1, 1, 2], [1.0, 0.4, 0.6, 0.1, 0.3, 0.6]


@st.composite
def trees(draw):
    """Any tree of up to five quarters: each node has one to three children, whose shares of it are drawn."""
    quarter, parent, probability, begun = [0], [-1], [1.0], [0]
    for depth in range(1, draw(st.integers(1, 5))):
        born = []
        for node in begun:
            shares = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3).filter(any))
            for share in shares:
                born.append(len(quarter))
                quarter.append(depth)
                parent.append(node)
                probability.append(probability[node] * share / sum(shares))
        begun = born
    return tree_of(quarter, parent, probability, tuple(f"node {node}" if node % 2 else "" for node in range(len(quarter))))


def walk(tree, node):
    """A node and its ancestors, the root last."""
    found = [node]
    while tree.parent[found[-1]] >= 0:
        found.append(int(tree.parent[found[-1]]))
    return found


@settings(max_examples=60)
@given(trees())
def test_ancestors_are_those_of_a_walk(tree):
    for node in range(tree.size):
        steps = walk(tree, node)
        assert tree.above[node].tolist() == steps + [-1] * (tree.quarters - len(steps))
        assert tree.words(node) == ", ".join(tree.names[step] for step in reversed(steps) if tree.names[step])


@settings(max_examples=60)
@given(trees())
def test_each_path_leads_from_the_root_to_a_leaf_and_their_probabilities_sum_to_one(tree):
    assert tree.paths.shape == (len(tree.leaves), tree.quarters)
    assert set(range(tree.size)) - set(tree.parent.tolist()) == set(tree.leaves.tolist())
    for leaf, path in zip(tree.leaves, tree.paths, strict=True):
        assert path.tolist() == walk(tree, int(leaf))[::-1]
    for quarter in range(tree.quarters):
        assert tree.probability[tree.quarter == quarter].sum() == pytest.approx(1)


@settings(max_examples=60)
@given(trees(), st.data())
def test_an_earlier_entry_is_that_of_the_ancestor(tree, data):
    index = np.arange(2 * tree.size).reshape(2, -1) + 100
    lags = data.draw(st.lists(st.integers(0, 6), min_size=tree.size, max_size=tree.size))
    for lag in (lags[0], np.array(lags)):
        found = tree.earlier(index, lag)
        for node, back in enumerate(np.broadcast_to(lag, tree.size)):
            steps = walk(tree, node)
            expected = index[:, steps[back]].tolist() if back < len(steps) else [-1, -1]
            assert found[:, node].tolist() == expected


def test_the_tree_of_one_path():
    tree = single(4)
    assert (tree.size, tree.quarters, tree.names) == (4, 4, ("",) * 4)
    assert tree.paths.tolist() == [[0, 1, 2, 3]]
    assert tree.probability.tolist() == [1, 1, 1, 1]


def test_a_tree_by_hand():
    tree = tree_of(QUARTER, PARENT, PROBABILITY, ("", "low", "high", "cheap", "dear", ""))
    assert tree.leaves.tolist() == [3, 4, 5]
    assert tree.paths.tolist() == [[0, 1, 3], [0, 1, 4], [0, 2, 5]]
    assert [tree.words(leaf) for leaf in tree.leaves] == ["low, cheap", "low, dear", "high"]


@pytest.mark.parametrize(
    ("field", "node", "value", "said"),
    [
        (0, 0, 1, "a tree starts with its root"),
        (1, 0, 0, "a tree starts with its root"),
        (1, 2, -1, "a tree starts with its root"),
        (1, 1, 2, "parents stand before children"),
        (0, 5, 1, "one quarter after its parent"),
        (1, 5, 0, "one quarter after its parent"),
        (1, 5, 1, "every path of a tree ends in the last quarter"),
        (2, 0, 0.9, "probabilities of a tree start at 1"),
        (2, 3, -0.1, "probabilities of a tree start at 1 and are not negative, given '-0.1 to 1'"),
        (2, 4, 0.2, "sum to its own, given 'off by 0.1'"),
        (2, 3, np.nan, "are not negative, given 'nan"),
    ],
)
def test_what_is_no_tree_says_why(field, node, value, said):
    columns = [list(QUARTER), list(PARENT), list(PROBABILITY)]
    columns[field][node] = value
    with pytest.raises(InputError, match=said):
        tree_of(*columns)


@pytest.mark.parametrize("columns", [([], [], []), ([0, 1], [-1], [1.0, 1.0]), ([0], [-1], [1.0, 1.0]), ([[0]], [[-1]], [[1.0]])])
def test_a_tree_has_one_entry_a_node(columns):
    with pytest.raises(InputError, match="one quarter, parent and probability a node"):
        tree_of(*columns)
