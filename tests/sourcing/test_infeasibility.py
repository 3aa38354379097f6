"""Problems that have no plan: the constraints named are a smallest set in conflict, and what it would take is enough and needed."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from tapeout.errors import CancelledError, Conflict, InfeasibleError, Place
from tapeout.sourcing import infeasibility
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import solve
from tapeout.sourcing.solver import Outcome, Solution


def failure(problem):
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, gap=1e-3)
    return caught.value


def named(error):
    return {str(conflict) for conflict in error.conflicts}


def cloud(make, size=2, name="cloud", **fields):
    return make.offer(name, size, **({"rent": 1.0} | fields))


def test_a_budget_that_excludes_everything(make):
    error = failure(make.problem([cloud(make)], np.full(2, 10.0), budget=1.0))
    assert named(error) == {"demand of model-0", "budget"}
    assert "21.91 kUSD more budget in Q0" in str(error)  # 10 chips for 2191.5 hours, less 1 USD


def test_what_it_would_take_is_enough_and_no_less_is(make):
    problem = make.problem([cloud(make, allocation=(3.0, 30.0))], np.full(2, 10.0))
    error = failure(problem)
    assert named(error) == {"demand of model-0", "allocation of cloud"}
    assert "7 more chips allocated of cloud in Q0" in str(error)
    assert "Q1" not in str(error)
    for chips, feasible in ((10.0, True), (9.9, False)):
        better = dataclasses.replace(problem, offers=(cloud(make, allocation=(chips, 30.0)),))
        if feasible:
            assert solve(better).cost > 0
        else:
            failure(better)


def test_demand_that_no_chip_can_serve_is_found_without_a_solver(make, monkeypatch):
    monkeypatch.delattr(infeasibility, "run")
    problem = make.problem([cloud(make, throughput=(1.0, 0.0))], [[1.0, 1.0], [1.0, 1.0]])
    error = failure(problem)
    assert error.conflicts == (Conflict(kind="demand", item="model-1"),)
    assert "no chip on offer can serve model-1" in str(error)
    assert solve(dataclasses.replace(problem, unmet_penalty=np.array([np.inf, 1.0]))).unmet[1] == pytest.approx([1.0, 1.0])


def test_one_supplier_cannot_have_less_than_all(make):
    assert named(failure(make.problem([cloud(make)], np.full(2, 10.0), largest_share=0.5))) == {
        "demand of model-0",
        "largest share of cloud",
    }
    assert named(failure(make.problem([cloud(make)], np.full(2, 10.0), concentration=0.5))) == {"demand of model-0", "concentration"}


@pytest.mark.parametrize("module", [0.0, 8e3])
def test_power_that_is_not_there(make, module):
    """In modules of 8 kW, 15 kW hold one: the relaxation has a plan for 12 chips of 1 kW, and whole modules have none."""
    offers = [make.offer("bought", 2, kind=ContractKind.PURCHASE, price=1.0)]
    hall = make.site("hall", 2, available=15e3 if module else 2e3, module=module)
    error = failure(make.problem(offers, np.full(2, 12.0), sites=[hall]))
    assert named(error) == {"demand of model-0", "site power of hall", "available power of hall"}
    assert ("1 kW more available at hall" if module else "10 kW more available at hall") in str(error)


def test_a_branch_is_named_by_what_leads_to_it(make):
    tree = make.branching(2, q1=(0.5, 0.5))
    error = failure(make.problem([cloud(make, 3, allocation=10.0)], [5.0, 8.0, 12.0], tree=tree))
    assert "2 more chips allocated of cloud in Q1 (branch 1)" in str(error)
    assert "Q0" not in str(error)


def test_two_conflicts_take_two_things(make):
    """Ten leased chips draw more than the hall holds, whatever is served; and the cloud is too small, whatever the hall holds."""
    fields = {"kind": ContractKind.LEASE, "hosted": False, "sites": ("hall",), "power": 1e3, "initial": 10.0, "term": 2, "allocation": 0.0}
    leased = make.offer("leased", 2, throughput=(0.0,), **fields)
    hall = make.site("hall", 2, available=4e3, initial=4e3)
    error = failure(make.problem([leased, cloud(make, allocation=6.0)], np.full(2, 10.0), sites=[hall]))
    assert named(error) in ({"demand of model-0", "allocation of cloud"}, {"site power of hall", "available power of hall"})
    assert "no single constraint is to blame; it would take" in str(error)
    assert re.search(r"(4 more chips allocated of cloud|capacity for 4 query/s more) .*and 6 kW more (held|available) at hall", str(error))


def sure_to_fail(make, **fields):
    own = make.offer("own", 4, kind=ContractKind.OWN, price=1.0, programme="tapeout", allocation=1e3)
    outcomes = (make.outcome("good", 0.5, [10.0], lead=1, revealed=1), make.outcome("bad", 0.5, [10.0], lead=None, revealed=1))
    return make.problem(
        [own, cloud(make, 4, allocation=5.0)], [0.0, 0.0, 0.0, 10.0], programmes=[make.programme("tapeout", [10.0], outcomes=outcomes)],
        **fields,
    )  # fmt: skip


def test_a_programme_that_may_fail_serves_nobody_for_sure(make):
    error = failure(sure_to_fail(make))
    assert "no plan can meet demand of model-0 and allocation of cloud together" in str(error)
    assert "with tapeout it fails on demand of model-0, allocation of cloud and programme of own" in str(error)
    assert named(error) == {"demand of model-0", "allocation of cloud", "programme of own"}
    assert solve(sure_to_fail(make, penalty=1.0)).cost > 0


def toggled(problem, kept):
    """The problem with only some of its constraints: what is not kept can be had at will."""
    offers = tuple(
        offer if f"allocation of {offer.id}" in kept else dataclasses.replace(offer, allocation=np.full_like(offer.allocation, np.inf))
        for offer in problem.offers
    )
    penalty = np.array([np.inf if f"demand of {model}" in kept else 1e-3 for model in problem.models])
    budget = problem.budget if "budget" in kept else np.full_like(problem.budget, np.inf)
    concentration = problem.concentration if "concentration" in kept else 1.0
    return dataclasses.replace(problem, offers=offers, unmet_penalty=penalty, budget=budget, concentration=concentration)


@pytest.mark.parametrize("seed", range(5))
def test_the_conflict_is_one_of_the_smallest_by_enumeration(make, seed):
    draw = np.random.default_rng(seed)
    offers = [
        cloud(make, 3, name="one", allocation=draw.uniform(2, 8), throughput=(1.0, 0.5)),
        cloud(make, 3, name="two", allocation=draw.uniform(2, 8), throughput=(0.0, 1.0), rent=3.0),
    ]
    fields = {"tree": make.branching(2, q1=(0.5, 0.5)), "budget": draw.uniform(1e4, 1e5), "concentration": draw.uniform(0.55, 1.0)}
    problem = make.problem(offers, draw.uniform(3, 9, (2, 3)), **fields)
    everything = ["demand of model-0", "demand of model-1", "allocation of one", "allocation of two", "budget", "concentration"]
    smallest = list[set[str]]()
    for size in range(1, len(everything) + 1):
        for kept in itertools.combinations(everything, size):
            if any(found <= set(kept) for found in smallest):
                continue
            try:
                solve(toggled(problem, set(kept)))
            except InfeasibleError:
                smallest.append(set(kept))
    assert smallest
    assert named(failure(problem)) in smallest


def test_the_conflict_stays_with_the_error_wherever_it_is_said(make):
    error = failure(make.problem([cloud(make)], np.full(2, 10.0), budget=1.0))
    placed = error.at(Place(file="plan.yaml", line=3))
    assert placed.conflicts == error.conflicts
    assert str(placed).startswith("plan.yaml:3: no plan can meet")
    assert placed.exit_code == 2


def test_the_keyboard_stops_the_search_for_the_cause(make, monkeypatch):
    stopped = Solution(outcome=Outcome.CANCELLED, values=None, objective=np.inf, bound=-np.inf)
    monkeypatch.setattr(infeasibility, "run", lambda *args, **kwargs: stopped)
    with pytest.raises(CancelledError, match="conflict"):
        infeasibility.explain((make.problem([cloud(make)], np.full(2, 10.0), budget=1.0),), 10.0)


def test_out_of_time_the_error_says_so(make, monkeypatch):
    late = Solution(outcome=Outcome.LIMIT, values=None, objective=np.inf, bound=-np.inf)
    monkeypatch.setattr(infeasibility, "run", lambda *args, **kwargs: late)
    error = infeasibility.explain((make.problem([cloud(make)], np.full(2, 10.0), budget=1.0),), 10.0)
    assert "10 s were not enough" in str(error)
