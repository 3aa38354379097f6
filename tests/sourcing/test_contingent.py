"""Starts, stops and orders that wait for what happens: every policy tried out by plain arithmetic, break-even, newsvendor, risk."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.outlook.tree import single
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.problem import ContractKind, Risk
from tapeout.units import QUARTER
from tests.sourcing.optimum import optimum

# Chips of the programme are rented by the quarter here, so the cost of a policy is plain arithmetic on each path and outcome.


def rented(make, tree, demand, programme, *, rent=3.0, own=1.0, discount=0.0):
    offers = [make.offer("cloud", tree.size, rent=rent), make.offer("own", tree.size, rent=own, programme="tapeout")]
    return make.problem(offers, demand, tree=tree, programmes=[programme], discount=discount)


def antichains(tree, allowed):
    """Every set of nodes of which no path has two."""
    for chosen in itertools.product((False, True), repeat=len(allowed)):
        nodes = {node for node, taken in zip(allowed, chosen, strict=True) if taken}
        if all(sum(node in nodes for node in path) <= 1 for path in tree.paths.tolist()):
            yield nodes


def cost_of(tree, demand, programme, starts, rent, own, discount):
    """The least expected cost of a policy of starts: at its gate, a programme whose outcome has shown stops if what is left saves less."""
    total = 0.0
    for path in tree.paths.tolist():
        chance = tree.probability[path[-1]]
        factors = [(1 + discount) ** (-(quarter + 0.5) / 4) * HOURS for quarter in range(tree.quarters)]
        renting = sum(factors[quarter] * demand[node] * rent for quarter, node in enumerate(path))
        begun = [quarter for quarter, node in enumerate(path) if node in starts]
        for case in programme.cases:
            total += (
                chance
                * case.probability
                * (renting + (_after(path, demand, programme, case, begun[0], factors, rent - own) if begun else 0.0))
            )
    return total


def _after(path, demand, programme, case, start, factors, saved):
    quarters = len(path)
    spent = [case.spend[age] * factors[start + age] / HOURS if start + age < quarters else 0.0 for age in range(len(case.spend))]
    first = quarters if case.lead is None else start + case.lead
    gains = [factors[quarter] * demand[path[quarter]] * saved if quarter >= first else 0.0 for quarter in range(quarters)]
    (gate,) = programme.gates
    assert case.revealed <= gate
    going = sum(spent[gate:]) - sum(gains[start + gate :])
    return sum(spent[:gate]) - sum(gains[: start + gate]) + min(0.0, going)


@settings(max_examples=25, deadline=None)
@given(
    demand=st.lists(st.integers(1, 20), min_size=7, max_size=7),
    high=st.floats(0.1, 0.9),
    spend=st.lists(st.integers(1, 60), min_size=3, max_size=3),
    chance=st.floats(0.2, 1.0),
)
def test_every_policy_of_starts_on_a_tree(make, demand, high, spend, chance):
    """Demand is known after the first quarter and the outcome after a quarter of work; what follows is never known, so the least
    cost over stops is taken where each path of a policy has one future left."""
    tree = make.branching(4, q1=(high, 1 - high))
    costs = np.array(spend) * 1e3
    outcomes = (
        make.outcome("on time", chance, costs, lead=1, revealed=1),
        make.outcome("failed", 1 - chance, costs, lead=None, revealed=1),
    )
    programme = make.programme("tapeout", costs, outcomes=outcomes, gates=(1,), last_start=2)
    wanted = np.array(demand, dtype=float)
    allowed = [node for node in range(tree.size) if tree.quarter[node] <= 2]
    best = min(cost_of(tree, wanted, programme, starts, 3.0, 1.0, 0.1) for starts in antichains(tree, allowed))
    assert optimum(rented(make, tree, wanted, programme, discount=0.1)).cost == pytest.approx(best, rel=1e-7)


def test_a_start_waits_for_high_demand(make):
    """The programme pays in one branch alone, and there even where it starts late: 6 MUSD spent for sure save 8.8 on average."""
    tree = make.branching(6, q2=(0.5, 0.5))
    path = np.where(tree.quarter < 2, 10.0, np.where(np.arange(tree.size) % 2 == 0, 1000.0, 10.0))
    plan = optimum(rented(make, tree, path, make.programme("tapeout", [3e6, 3e6], lead=1)))
    assert plan.starts[0].tolist() == ((tree.quarter == 2) & (path > 100)).tolist()


# Break-even in closed form.


@pytest.mark.parametrize("ratio", [0.99, 1.01])
@pytest.mark.parametrize("uncertain", [False, True])
def test_a_programme_starts_below_what_it_saves(make, ratio, uncertain):
    """p x saved = (1 + discount factor) x spend a quarter; the outcome shows when all is spent."""
    quarters, lead, chips, discount, success = 8, 2, 100.0, 0.08, 0.4
    factors = [(1 + discount) ** (-(quarter + 0.5) / 4) for quarter in range(quarters)]
    saved = chips * 2.0 * HOURS * sum(factors[lead:]) * (success if uncertain else 1.0)
    spend = ratio * saved / (factors[0] + factors[1]) * np.ones(2)
    outcomes = (
        make.outcome("on time", success, spend, lead=lead, revealed=lead),
        make.outcome("failed", 1 - success, spend, lead=None, revealed=lead),
    )
    programme = make.programme("tapeout", spend, lead=lead, last_start=0, outcomes=outcomes if uncertain else ())
    plan = optimum(rented(make, single(quarters), np.full(quarters, chips), programme, discount=discount))
    assert plan.starts.sum() == (1 if ratio < 1 else 0)


@pytest.mark.parametrize("ratio", [0.99, 1.01])
def test_a_gate_lets_a_programme_start_that_would_not_without_it(make, ratio):
    """With a stop at the gate the second part is spent only where the outcome is good: p x saved = first + p x second."""
    chips, success, quarters, first = 100.0, 0.4, 6, 1e5
    saved = chips * 2.0 * HOURS * (quarters - 2)
    second = ratio * (saved - first / success)
    spend = [first, 0.0, second]
    outcomes = (
        make.outcome("on time", success, spend, lead=2, revealed=1),
        make.outcome("failed", 1 - success, spend, lead=None, revealed=1),
    )
    plans = [
        optimum(
            rented(
                make, single(quarters), np.full(quarters, chips),
                make.programme("tapeout", spend, lead=2, last_start=0, outcomes=outcomes, gates=gates),
            )
        )
        for gates in ((), (2,))
    ]  # fmt: skip
    assert [len(plan.starts) and plan.starts[0, 0] for plan in plans] == [0, ratio < 1]
    if ratio < 1:
        stopped = plans[1].stops[0] > 0.5
        assert plans[1].problem.tree.quarter[stopped].tolist() == [2]
        assert plans[1].futures.case[0, stopped].tolist() == [1]


def test_a_stop_saves_what_is_left_and_keeps_the_chips(make):
    """A programme whose fourth quarter costs more than all else: its chips are ordered before the gate, and serve on after the stop."""
    offers = [
        make.offer("cloud", 6, rent=3.0),
        make.offer("own", 6, kind=ContractKind.OWN, price=1e3, lead=1, programme="tapeout", term=6, allocation=5.0),
    ]
    programme = make.programme("tapeout", [1e3, 2e3, 9e5, 9e5], lead=1, last_start=0, gates=(2,))
    plan = optimum(make.problem(offers, np.full(6, 10.0), programmes=[programme]))
    assert plan.stops[0].tolist() == [0, 0, 1, 0, 0, 0]
    assert plan.spend["programme"].tolist() == pytest.approx([1e3, 2e3, 0, 0, 0, 0])
    assert plan.fleet[1, 1].tolist() == pytest.approx([0, 0, 5, 5, 5, 5])
    assert plan.cost == pytest.approx(3e3 + 5 * 1e3 + 3.0 * HOURS * (20 + 4 * 5))


def test_what_was_stopped_is_not_stopped_again(make):
    """A programme without use is never begun; could it stop at both gates, that would bring back more than all it costs."""
    programme = make.programme("tapeout", [1e3, 1e3, 5e3, 5e3], lead=9, last_start=0, gates=(1, 2))
    plan = optimum(rented(make, single(5), np.full(5, 10.0), programme, own=3.0))
    assert plan.starts.sum() == 0
    assert plan.cost == pytest.approx(5 * 10 * 3.0 * HOURS)


# Newsvendor: chips are bought before demand is known, each unit short costs the penalty.

LEVELS, CHANCES = np.array([10.0, 20.0, 40.0, 70.0]), np.array([0.2, 0.3, 0.4, 0.1])


def newsvendor(make, ratio, *, penalty=8e3, risk=None):
    tree = make.branching(2, q1=tuple(CHANCES))
    offers = [
        make.offer("bought", 5, kind=ContractKind.PURCHASE, price=ratio * penalty, lead=1, allocation=np.r_[1e3, np.zeros(4)], term=1)
    ]
    return make.problem(offers, np.r_[0.0, LEVELS], tree=tree, penalty=penalty / QUARTER, risk=risk)


@pytest.mark.parametrize(("ratio", "ordered"), [(0.05, 70), (0.11, 40), (0.49, 40), (0.51, 20), (0.79, 20), (0.81, 10), (1.01, 0)])
def test_newsvendor(make, ratio, ordered):
    """Order q where P(demand > q) falls below price / penalty."""
    plan = optimum(newsvendor(make, ratio))
    assert plan.orders[0, 0] == pytest.approx(ordered)
    assert plan.cost == pytest.approx(8e3 * (ratio * ordered + CHANCES @ np.maximum(LEVELS - ordered, 0)))


@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("tail", [0.05, 0.25, 0.6])
def test_risk_is_the_mean_of_the_worst_futures(make, weight, tail):
    """Over a fine grid of orders, the mean of the worst share by sorting its costs; at weight 1 the tail alone is minimised."""
    ratio, penalty = 0.6, 8e3
    best = math.inf
    for ordered in np.linspace(0, 70, 1401):
        costs = penalty * (ratio * ordered + np.maximum(LEVELS - ordered, 0))
        left, worst = tail, 0.0
        for cost, chance in sorted(zip(costs, CHANCES, strict=True), reverse=True):
            worst += min(left, chance) * cost
            left -= min(left, chance)
        best = min(best, (1 - weight) * float(CHANCES @ costs) + weight * worst / tail)
    risky = optimum(newsvendor(make, ratio, risk=Risk(weight=weight, tail=tail)))
    assert risky.goal == pytest.approx(best, rel=1e-6)
    assert risky.cost >= optimum(newsvendor(make, ratio)).cost * (1 - 1e-9)


# What the tree must not change.


@pytest.mark.parametrize("chances", [(1.0,), (0.3, 0.7), (0.25, 0.25, 0.5), (1.0, 0.0)])
def test_branches_that_are_alike_are_the_deterministic_plan(make, chances):
    sure = make.full_case()
    tree = make.branching(8, q2=chances, q5=chances)
    assert optimum(sure.on(tree, tree.quarter)).cost == pytest.approx(optimum(sure).cost, rel=1e-7)


def test_waiting_and_seeing_costs_no_more_than_the_plan(make):
    """The mean over the futures of what each would cost if it were sure lies under the plan, and the plan under a blind one."""
    tree = make.branching(6, q2=(0.5, 0.5), q4=(0.3, 0.7))
    level = np.cumprod(np.r_[1.0, np.random.default_rng(1).uniform(0.7, 1.5, tree.size - 1)])[tree.quarter] * (1 + np.arange(tree.size) % 3)
    offers = [
        make.offer("cloud", tree.size, rent=3.0),
        make.offer("bought", tree.size, kind=ContractKind.PURCHASE, price=14e3, lead=1, term=6),
    ]
    problem = make.problem(offers, 10 * level, tree=tree)
    known = sum(tree.probability[leaf] * optimum(problem.along(leaf)).cost for leaf in tree.leaves)
    mean = np.bincount(tree.quarter, weights=problem.demand[0] * tree.probability)
    blind = dataclasses.replace(problem, demand=np.maximum(problem.demand, mean[tree.quarter]))
    cost = optimum(problem).cost
    assert known < cost * 0.9999
    assert cost <= optimum(blind).cost
