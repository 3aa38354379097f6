"""The program in linopy against the search, and what a user's own constraints do to it."""

import dataclasses

import numpy as np
import pytest

from tapeout.api.program import PlanModel, program
from tapeout.errors import InfeasibleError, InputError, LimitNotMetError
from tapeout.outlook.tree import tree_of
from tapeout.sourcing.problem import Debt, Prepayment, Problem, ProgrammeOutcome, Risk, Tier
from tapeout.sourcing.search import solve
from tests.sourcing.conftest import full_case

EXACT = {"mip_rel_gap": 1e-9, "primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}


def solved(model: PlanModel) -> PlanModel:
    model.solve(solver_name="highs", io_api="direct", output_flag=False, **EXACT)
    return model


def branching(problem: Problem, split: int = 3) -> Problem:
    """The problem with a demand that is higher or lower from quarter `split` on."""
    quarters = len(problem.quarters)
    quarter = np.r_[np.arange(split), np.repeat(np.arange(split, quarters), 2)]
    parent = np.r_[np.arange(split) - 1, [split - 1, split - 1], np.arange(split, split + 2 * (quarters - split - 1))]
    names = tuple("high" if n == split else "low" if n == split + 1 else "" for n in range(len(quarter)))
    tree = tree_of(quarter, parent, np.where(quarter < split, 1.0, 0.5), names)
    factor = np.where(quarter < split, 1.0, np.where((np.arange(len(quarter)) - split) % 2 == 0, 1.3, 0.7))
    grown = problem.on(tree, quarter)
    return dataclasses.replace(grown, demand=grown.demand * factor, volume=grown.volume * factor)


def everything() -> Problem:
    """A case with a tree, tiers, a least order, fees, a prepayment, debt and risk, and no uncertain programme."""
    case = full_case()
    changes = {
        "cloud": {"minimum": 0.0},
        "reserved": {"cancellation": 0.5, "term": 6},
        "bought": {"tiers": (Tier(volume=6.0, factor=0.9), Tier(volume=20.0, factor=0.8)), "minimum": 4.0},
    }
    offers = tuple(dataclasses.replace(offer, **changes.get(offer.id, {})) for offer in case.offers)
    prepaid = Prepayment(
        id="fab", offers=("bought",), price=np.full(8, 1e4), lead=1, chips=10.0, offtake=2.0, shortfall=500.0, first=0, last=4
    )
    limit = Debt(limit=np.full(8, 2e5), interest=0.08)
    risk = Risk(weight=0.3, tail=0.5)
    return branching(dataclasses.replace(case, offers=offers, prepayments=(prepaid,), debt=limit, risk=risk, concentration=0.9))


@pytest.fixture(scope="module")
def full() -> PlanModel:
    return solved(program(full_case()))


@pytest.mark.parametrize("case", [full_case, everything])
def test_linopy_finds_the_cost_that_the_search_finds(case, full):
    problem = case()
    model = full if case is full_case else solved(program(problem))
    ours, theirs = solve(problem, gap=1e-9), model.to_result()
    assert theirs.plan.goal == pytest.approx(ours.goal, rel=1e-6)
    assert theirs.bound <= theirs.plan.goal * (1 + 1e-9)
    assert theirs.bound == pytest.approx(ours.goal, rel=1e-6)
    assert max(theirs.certificate.violations.values()) < 1e-6
    constant = model.source.program.constant * model.source.scale.money
    assert model.objective.value + constant == pytest.approx(theirs.plan.goal, rel=1e-6)


def test_variables_are_in_their_own_units(full):
    model = full
    plan = model.to_result().plan
    assert model.variables["orders"].solution.sel(offer="own").fillna(0.0).values == pytest.approx(plan.orders[4], abs=1e-6)
    served = model.variables["served"].solution.sum("offer").values
    assert served == pytest.approx(plan.served.sum(axis=0), abs=1e-6)
    assert model.variables["cash"].solution.values == pytest.approx(np.sum(list(plan.spend.values())[:10], axis=0), rel=1e-6, abs=1e-3)


def test_a_constraint_of_the_user_is_kept_and_costs(full):
    free, model = full.to_result(), program(full_case())
    orders = model.variables["orders"]
    model.add_constraints(orders.sel(offer="own").sum("node") <= 1.0, name="few own chips")
    held = solved(model).to_result()
    assert free.plan.orders[4].sum() > 2
    assert held.plan.orders[4].sum() <= 1 + 1e-9
    assert held.cost > free.cost * 1.0001
    assert held.bound == pytest.approx(held.cost, rel=1e-6)  # of what was solved, not of the program without the constraint


def test_constraints_carry_the_names_of_what_they_limit():
    model = program(everything())
    assert {"demand", "allocation", "site power", "available power", "largest share", "concentration", "budget"} <= set(model.constraints)
    assert model.constraints["demand"].coords["model"].values.tolist() == ["model-0", "model-1"]
    assert model.constraints["budget"].coords["node"].values[:5].tolist() == ["Q0", "Q1", "Q2", "Q3.1", "Q3.2"]


def test_a_named_constraint_is_in_its_own_unit(full):
    problem, found = full_case(), full.constraints
    assert found["demand"].rhs.values == pytest.approx(problem.demand)
    assert found["budget"].rhs.values == pytest.approx(problem.budget)
    assert found["available power"].rhs.values == pytest.approx(np.array([site.available for site in problem.sites]))


def test_the_solver_is_given_the_numbers_that_our_own_is_given(full):
    """Units of people in the model, scales near one in the solver."""
    ours = full.source.program.to_highs()
    theirs = full.to_highspy().getLp()
    for one, other in ((ours.a_matrix_.value_, theirs.a_matrix_.value_), (ours.col_cost_, theirs.col_cost_)):
        sizes = [np.sort(np.abs(np.array(values)[np.array(values) != 0])) for values in (one, other)]
        assert sizes[0] == pytest.approx(sizes[1], rel=1e-9)


def uncertain() -> Problem:
    case = full_case()
    spend = case.programmes[0].spend
    outcomes = (
        ProgrammeOutcome(name="on time", probability=0.6, spend=spend, lead=2, revealed=2),
        ProgrammeOutcome(name="late", probability=0.4, spend=np.r_[spend, 2e4], lead=3, revealed=2),
    )
    return dataclasses.replace(case, programmes=(dataclasses.replace(case.programmes[0], outcomes=outcomes),))


def test_a_stated_start_gives_the_plan_of_the_search_that_starts_there():
    problem = uncertain()
    found = solve(problem, gap=1e-9)
    start = problem.quarters[int(found.problem.tree.quarter[np.argmax(found.starts[0] > 0.5)])]
    assert solved(program(problem, {"tapeout": start})).to_result().cost == pytest.approx(found.cost, rel=1e-6)
    assert solved(program(problem, {})).to_result().cost > found.cost * 1.001


@pytest.mark.parametrize(
    ("starts", "says"),
    [
        (None, "must be said"),
        ({"tapeouts": "Q0"}, "did you mean tapeout"),
        ({"tapeout": "Q9"}, "not a quarter of the plan"),
        ({"tapeout": "Q6"}, "allowed: Q0, Q1, Q2, Q3"),
    ],
)
def test_a_start_that_cannot_be_is_refused(starts, says):
    with pytest.raises(InputError, match=says):
        program(uncertain(), starts)


def test_a_program_without_a_plan_says_so():
    model = program(full_case())
    with pytest.raises(LimitNotMetError, match="solve the model first"):
        model.to_result()
    model.add_constraints(model.variables["served"].sum() <= 0.0, name="nothing")
    model.add_constraints(model.variables["unmet"].sum() <= 0.0, name="nobody waits")
    solved(model)
    with pytest.raises(InfeasibleError, match="no plan"):
        model.to_result()
