"""Shadow prices: finite differences of the program solved again agree with them, on one path and on trees, and a closed form does."""

import dataclasses

import numpy as np
import pytest

from tapeout.appraisal.decided import decided, least_goal
from tapeout.appraisal.prices import shadow_prices
from tapeout.sourcing.finance import HOURS, discount_factors
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import solve
from tapeout.units import QUARTER


def with_more(problem, constraint, subject, nodes, step):
    """The problem with this much more of a limit at these nodes."""
    more = np.where(nodes, step, 0.0)
    if constraint == "allocation":
        offers = (replace_array(one, "allocation", more) if one.id == subject else one for one in problem.offers)
        return dataclasses.replace(problem, offers=tuple(offers))
    if constraint == "available power":
        sites = (replace_array(one, "available", more) if one.id == subject else one for one in problem.sites)
        return dataclasses.replace(problem, sites=tuple(sites))
    return replace_array(problem, "budget", more)


def replace_array(one, field, more):
    return dataclasses.replace(one, **{field: getattr(one, field) + more})


def scarce_case(make, tree=None):
    """Rented chips are scarce, power is, and money is in one quarter."""
    size = tree.size if tree else 4
    cloud = make.offer("cloud", size, rent=3.0, allocation=12.0)
    spot = make.offer("spot", size, rent=9.0)
    bought = make.offer("bought", size, kind=ContractKind.PURCHASE, price=4e3, allocation=6.0, term=4, upkeep=0.1)
    hall = make.site("hall", size, available=9e3, capex=0.5, energy=1e-8)
    level = np.array([14.0, 22.0, 31.0, 40.0])[tree.quarter if tree else np.arange(4)]
    budget = np.full(size, 3e5)
    return make.problem(
        [cloud, spot, bought], level, tree=tree, sites=[hall], penalty=1e-2, budget=budget, discount=0.1
    )  # fmt: skip


def check_slopes(known, constraint, subject, price, step):
    """The cost is convex in a limit, so its dual lies between the slopes on both sides."""
    problem = known.problem
    for quarter in range(problem.tree.quarters):
        nodes = problem.tree.quarter == quarter
        tolerance = 1e-7 * abs(known.goal)
        more = least_goal(known, with_more(problem, constraint, subject, nodes, step)) - known.goal
        less = least_goal(known, with_more(problem, constraint, subject, nodes, -step)) - known.goal
        assert more >= -price[quarter] * step - tolerance
        assert less >= price[quarter] * step - tolerance


@pytest.mark.parametrize("branches", [None, {"q1": (0.3, 0.7)}, {"q1": (0.5, 0.5), "q2": (0.2, 0.8)}])
def test_duals_are_slopes_of_the_cost(make, branches):
    tree = make.branching(4, **branches) if branches else None
    known = decided(solve(scarce_case(make, tree), gap=1e-9))
    found = {(one.constraint, one.subject): one for one in shadow_prices(known).prices}
    assert {("allocation", "cloud"), ("available power", "hall")} <= set(found)
    for constraint, subject, step in (
        ("allocation", "cloud", 0.01),
        ("allocation", "bought", 0.01),
        ("available power", "hall", 1.0),
        ("budget", "", 10.0),
    ):
        price = found[constraint, subject].present if (constraint, subject) in found else np.zeros(4)
        check_slopes(known, constraint, subject, price, step)


@pytest.mark.parametrize("seed", range(1, 8))
def test_duals_are_slopes_in_any_problem(planned, seed):
    known = decided(planned(seed))
    quarters = known.problem.tree.quarters
    found = {(one.constraint, one.subject): one.present for one in shadow_prices(known).prices}
    for site in known.problem.sites:
        check_slopes(known, "available power", site.id, found.get(("available power", site.id), np.zeros(quarters)), 5.0)
    if np.isfinite(known.problem.budget).all():
        check_slopes(known, "budget", "", found.get(("budget", ""), np.zeros(quarters)), 20.0)


@pytest.mark.parametrize("branches", [None, {"q1": (0.3, 0.7)}])
def test_the_cost_of_a_query_is_the_slope_in_demand(make, branches):
    tree = make.branching(4, **branches) if branches else None
    problem = scarce_case(make, tree)
    known = decided(solve(problem, gap=1e-9))
    cost, factors = shadow_prices(known).query_cost[0], discount_factors(problem)
    for quarter in range(4):
        nodes = problem.tree.quarter == quarter
        for step in (0.01, -0.01):
            more = np.where(nodes, step, 0.0)
            other = dataclasses.replace(problem, demand=problem.demand + more, volume=problem.volume + more * QUARTER)
            rise = least_goal(known, other) - known.goal
            assert rise >= cost[quarter] * step * QUARTER * factors[quarter] - 1e-7 * known.goal


def test_an_allocated_chip_is_worth_the_difference_of_two_rents(make):
    offers = [make.offer("cheap", 2, rent=1.0, allocation=5.0), make.offer("dear", 2, rent=3.0)]
    problem = make.problem(offers, np.full(2, 8.0), discount=0.21)
    found = {(one.constraint, one.subject): one for one in shadow_prices(decided(solve(problem))).prices}
    scarce = found["allocation", "cheap"]
    np.testing.assert_allclose(scarce.nominal, 2.0 * HOURS)
    np.testing.assert_allclose(scarce.present, 2.0 * HOURS * discount_factors(problem))
    np.testing.assert_allclose(found["chip", "dear"].nominal, 3.0 * HOURS)
    assert ("allocation", "dear") not in found
    assert "may be ordered" in scarce.meaning


def test_the_cost_of_a_query_is_that_of_the_dearest_chip_in_use(make):
    offers = [make.offer("cheap", 2, rent=1.0, allocation=5.0), make.offer("dear", 2, rent=3.0, throughput=(0.5,))]
    problem = make.problem(offers, [8.0, 4.0], discount=0.1)
    np.testing.assert_allclose(shadow_prices(decided(solve(problem))).query_cost[0], [3.0 * HOURS / 0.5 / QUARTER, HOURS / QUARTER])


def test_no_demand_has_no_cost_of_a_query(make):
    problem = make.problem([make.offer("cloud", 2, rent=1.0)], [[1.0, 0.0]])
    cost = shadow_prices(decided(solve(problem))).query_cost[0]
    assert np.isnan(cost[1])
    assert cost[0] > 0


def test_shares_are_priced_in_the_quarters_in_which_they_count(make):
    offers = [make.offer("a", 3, rent=1.0), make.offer("b", 3, rent=2.0)]
    problem = make.problem(offers, np.full(3, 10.0), largest_share=0.6, share_from=1)
    found = {(one.constraint, one.subject): one for one in shadow_prices(decided(solve(problem))).prices}
    # A share more for a of ten chips' queries moves so many of them to half the rent.
    np.testing.assert_allclose(found["largest share", "a"].nominal, [0.0, 10 * HOURS, 10 * HOURS], rtol=1e-6)
