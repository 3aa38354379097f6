"""The futures: outcomes show when a programme has run for long enough, and nothing may rest on one before."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.sourcing.futures import futures, windows
from tapeout.sourcing.problem import ContractKind
from tests.sourcing.instances import random_problem
from tests.sourcing.optimum import optimum, with_offer


def case(make, *, revealed=2, spend=(1e4, 1e4), tree=None, **fields):
    """Own chips at half the rent for six quarters, on time after 2 quarters, late after 4, or never; purchases for when they are not."""
    tree = make.branching(6) if tree is None else tree
    outcomes = (
        make.outcome("on time", 0.5, spend, lead=2, revealed=revealed),
        make.outcome("late", 0.3, spend, lead=4, revealed=revealed),
        make.outcome("failed", 0.2, spend, lead=None, revealed=revealed),
    )
    offers = [
        make.offer("cloud", tree.size, rent=3.0),
        make.offer("bought", tree.size, kind=ContractKind.PURCHASE, price=20e3, term=6),
        make.offer("own", tree.size, rent=1.0, programme="tapeout"),
    ]
    programmes = [make.programme("tapeout", spend, lead=2, outcomes=outcomes, last_start=1, **fields)]
    return make.problem(offers, np.full(tree.size, 10.0), tree=tree, programmes=programmes)


def at(problem, *nodes):
    allowed = np.zeros_like(windows(problem))
    allowed[:, nodes] = True
    return futures(problem, allowed)


def test_outcomes_part_when_they_show(make):
    found = at(case(make), 1)
    assert found.problem.tree.quarter.tolist() == [0, 1, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert found.problem.tree.probability[-3:] == pytest.approx([0.5, 0.3, 0.2])
    assert found.case[0, -3:].tolist() == [0, 1, 2]
    assert [found.problem.tree.words(leaf) for leaf in found.problem.tree.leaves] == ["tapeout on time", "tapeout late", "tapeout failed"]


def test_outcomes_that_show_one_by_one(make):
    """The first is told from the others at once; then the two that are left part, and the last is known by then."""
    problem = case(make)
    (one,) = problem.programmes
    shown = tuple(dataclasses.replace(each, revealed=when) for each, when in zip(one.outcomes, (2, 3, 5), strict=True))
    found = at(dataclasses.replace(problem, programmes=(dataclasses.replace(one, outcomes=shown),)), 0)
    assert np.bincount(found.problem.tree.quarter).tolist() == [1, 1, 2, 3, 3, 3]
    assert found.problem.tree.probability[[2, 3]] == pytest.approx([0.5, 0.5])


def test_outcomes_that_never_show_part_nothing(make):
    assert at(case(make, revealed=6), 0).problem.tree.size == 6


def test_a_start_in_one_branch_of_the_world_parts_that_branch_alone(make):
    tree = make.branching(6, q1=(0.4, 0.6))
    found = at(case(make, tree=tree), 1)
    assert np.bincount(found.origin[found.problem.tree.quarter == 5]).tolist()[-2:] == [3, 1]


@pytest.mark.parametrize("seed", range(60, 70))
def test_no_future_parts_before_its_programme_has_shown(make, seed):
    problem = random_problem(make, seed)
    plan = optimum(problem, gap=1e-3)
    tree = plan.problem.tree
    paths, cases = tree.paths, plan.futures.case[0] if len(plan.starts) else np.zeros(tree.size, dtype=int)
    for one, other in ((one, other) for one in paths for other in paths):
        if plan.futures.origin[one[-1]] != plan.futures.origin[other[-1]] or cases[one[-1]] == cases[other[-1]]:
            continue
        (start,) = np.flatnonzero(plan.starts[0, one] > 0.5)
        shown = start + min(problem.programmes[0].outcomes[cases[leaf]].revealed for leaf in (one[-1], other[-1]))
        assert (one == other).tolist() == [quarter < shown for quarter in range(tree.quarters)]


def test_chips_are_not_bought_for_an_outcome_that_is_not_known(make):
    """Chips can be bought in quarter 1 alone, which pays unless the programme is on time: who sees that only later buys for all cases."""
    plans = {}
    for revealed in (1, 2):
        problem = with_offer(case(make, revealed=revealed, spend=(1e3, 1e3)), "bought", allocation=np.r_[0, 10.0, 0, 0, 0, 0])
        programme = dataclasses.replace(problem.programmes[0], last_start=0)
        plans[revealed] = optimum(dataclasses.replace(problem, programmes=(programme,)))
    bought = {revealed: plan.orders[1, plan.problem.tree.quarter == 1] for revealed, plan in plans.items()}
    assert bought[1].tolist() == pytest.approx([0, 10, 10])
    assert bought[2].tolist() == pytest.approx([10])
    on_time, bought_chips = 10 * 2191.5 * (3 + 4 * 1), 10 * 20e3
    assert plans[1].cost == pytest.approx(10 * 2191.5 * 3 + 2e3 + 0.5 * on_time + 0.5 * bought_chips)
    assert plans[2].cost == pytest.approx(10 * 2191.5 * 3 + bought_chips)


def test_a_sure_outcome_is_none(make):
    problem = case(make)
    (one,) = problem.programmes
    plain = dataclasses.replace(problem, programmes=(dataclasses.replace(one, outcomes=()),))
    sure = tuple(dataclasses.replace(each, probability=float(each.name == "on time")) for each in one.outcomes)
    cost = optimum(plain).cost
    for outcomes in (sure[:1], sure):
        known = dataclasses.replace(problem, programmes=(dataclasses.replace(one, outcomes=outcomes),))
        assert optimum(known).cost == pytest.approx(cost, rel=1e-9)


def test_one_uncertain_programme_at_a_time(make):
    problem = case(make)
    second = dataclasses.replace(problem.programmes[0], id="another")
    with pytest.raises(InputError, match="one at a time"):
        futures(dataclasses.replace(problem, programmes=(*problem.programmes, second)))
