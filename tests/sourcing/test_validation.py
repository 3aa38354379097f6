"""Problems that make no sense are refused with the name of what is wrong, before anything is solved."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import InfeasibleError, InputError
from tapeout.sourcing.plan import solve
from tapeout.sourcing.problem import ContractKind


def edited(problem, part, identifier, **fields):
    items = tuple(dataclasses.replace(each, **fields) if each.id == identifier else each for each in getattr(problem, part))
    return dataclasses.replace(problem, **{part: items})


@pytest.mark.parametrize(
    ("part", "identifier", "fields"),
    [
        ("offers", "cloud", {"term": 0}),
        ("offers", "cloud", {"lead": -1}),
        ("offers", "cloud", {"rent": np.full(8, -1.0)}),
        ("offers", "cloud", {"rent": np.full(8, np.nan)}),
        ("offers", "cloud", {"rent": np.full(7, 1.0)}),
        ("offers", "cloud", {"allocation": np.full(8, -1.0)}),
        ("offers", "cloud", {"throughput": np.ones(3)}),
        ("offers", "cloud", {"sites": ("hall",)}),
        ("offers", "bought", {"sites": ()}),
        ("offers", "bought", {"sites": ("nowhere",)}),
        ("offers", "bought", {"hosted": True}),
        ("offers", "bought", {"residual": 2.0}),
        ("offers", "own", {"programme": "nothing"}),
        ("offers", "lease", {"residual": 0.5}),
        ("sites", "hall", {"pue": 0.5}),
        ("sites", "hall", {"load": -0.1}),
        ("sites", "hall", {"available": np.full(8, -1.0)}),
        ("programmes", "tapeout", {"first_start": 5, "last_start": 2}),
        ("programmes", "tapeout", {"lead": -1}),
        ("programmes", "tapeout", {"spend": np.array([-1.0])}),
    ],
)
def test_parts_that_make_no_sense_are_named(make, part, identifier, fields):
    with pytest.raises(InputError, match=identifier):
        solve(edited(make.full_case(), part, identifier, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"demand": np.full((2, 8), -1.0)},
        {"demand": np.full((2, 7), 1.0)},
        {"volume": np.zeros((2, 8))},
        {"unmet_penalty": np.full(2, np.nan)},
        {"budget": np.full(8, -1.0)},
        {"discount": -0.1},
        {"largest_share": 0.0},
        {"largest_share": 1.5},
        {"offers": ()},
    ],
)
def test_a_problem_that_makes_no_sense_is_refused(make, fields):
    with pytest.raises(InputError):
        solve(dataclasses.replace(make.full_case(), **fields))


def test_a_name_used_twice_is_refused(make):
    problem = make.full_case()
    with pytest.raises(InputError, match="twice"):
        solve(dataclasses.replace(problem, offers=(*problem.offers, problem.offers[0])))


def test_an_infeasible_budget_is_named_with_what_it_would_take(make):
    offers = [make.offer("cloud", 2, rent=1.0)]
    with pytest.raises(InfeasibleError, match="budget") as caught:
        solve(make.problem(offers, np.full(2, 10.0), budget=1.0))
    assert "USD" in str(caught.value)


def test_demand_that_nobody_can_serve_is_named(make):
    offers = [make.offer("cloud", 2, rent=1.0, throughput=(1.0, 0.0))]
    with pytest.raises(InfeasibleError, match=r"demand|model-1"):
        solve(make.problem(offers, [[1.0, 1.0], [1.0, 1.0]]))


def test_an_allocation_that_is_too_small_is_named(make):
    offers = [make.offer("cloud", 2, rent=1.0, allocation=3.0)]
    with pytest.raises(InfeasibleError, match="allocation"):
        solve(make.problem(offers, np.full(2, 10.0)))


def test_one_supplier_cannot_have_less_than_all(make):
    offers = [make.offer("cloud", 2, rent=1.0)]
    with pytest.raises(InfeasibleError, match="share"):
        solve(make.problem(offers, np.full(2, 10.0), largest_share=0.5))


def test_power_that_is_not_there_is_named(make):
    offers = [make.offer("bought", 2, kind=ContractKind.PURCHASE, price=1.0)]
    with pytest.raises(InfeasibleError, match=r"hall|power"):
        solve(make.problem(offers, np.full(2, 10.0), sites=[make.site("hall", 2, available=2e3)]))
