"""Problems that make no sense are refused with the name of what is wrong, before anything is solved."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.outlook.tree import single
from tapeout.sourcing.problem import Debt, Prepayment, Risk, Tier
from tapeout.sourcing.validation import validate
from tests.sourcing.everything import everything

SIZE = 13  # nodes of `everything`: three quarters on one path, five on two


@pytest.fixture(scope="module")
def whole(make):
    problem = everything(make)
    validate(problem)
    assert problem.tree.size == SIZE
    return problem


def edited(problem, part, identifier, **fields):
    items = tuple(dataclasses.replace(each, **fields) if each.id == identifier else each for each in getattr(problem, part))
    return dataclasses.replace(problem, **{part: items})


@pytest.mark.parametrize(
    ("part", "identifier", "fields"),
    [
        ("offers", "cloud", {"term": 0}),
        ("offers", "cloud", {"lead": -1}),
        ("offers", "cloud", {"lead": 1.5}),
        ("offers", "cloud", {"rent": np.full(SIZE, -1.0)}),
        ("offers", "cloud", {"rent": np.full(SIZE, np.nan)}),
        ("offers", "cloud", {"rent": np.full(8, 1.0)}),
        ("offers", "cloud", {"allocation": np.full(SIZE, -1.0)}),
        ("offers", "cloud", {"throughput": np.ones(3)}),
        ("offers", "cloud", {"sites": ("hall",)}),
        ("offers", "cloud", {"initial_term": 9}),
        ("offers", "bought", {"sites": ()}),
        ("offers", "bought", {"sites": ("nowhere",)}),
        ("offers", "bought", {"hosted": True}),
        ("offers", "bought", {"residual": 2.0}),
        ("offers", "bought", {"cancellation": 0.2}),
        ("offers", "bought", {"residual": 0.7}),
        ("offers", "bought", {"tiers": (Tier(volume=10.0, factor=0.8), Tier(volume=10.0, factor=0.6))}),
        ("offers", "bought", {"tiers": (Tier(volume=10.0, factor=0.8), Tier(volume=20.0, factor=0.9))}),
        ("offers", "bought", {"tiers": (Tier(volume=10.0, factor=1.2),)}),
        ("offers", "bought", {"tiers": (Tier(volume=0.0, factor=0.8),)}),
        ("offers", "own", {"programme": "nothing"}),
        ("offers", "reserved", {"cancellation": -0.1}),
        ("offers", "lease", {"residual": 0.5}),
        ("offers", "lease", {"minimum": -1.0}),
        ("offers", "lease", {"minimum": 1e3}),
        ("sites", "hall", {"pue": 0.5}),
        ("sites", "hall", {"load": -0.1}),
        ("sites", "hall", {"available": np.full(SIZE, -1.0)}),
        ("sites", "hall", {"available": np.full(8, 60e3)}),
        ("sites", "hall", {"initial": 90e3}),
        ("programmes", "tapeout", {"first_start": 5, "last_start": 2}),
        ("programmes", "tapeout", {"lead": -1}),
        ("programmes", "tapeout", {"spend": np.array([-1.0])}),
        ("programmes", "tapeout", {"gates": (0,)}),
        ("programmes", "tapeout", {"gates": (5,)}),
        ("programmes", "tapeout", {"gates": (2, 1)}),
        ("programmes", "tapeout", {"gates": (1, 1)}),
        ("prepayments", "fab", {"price": np.ones(8)}),
        ("prepayments", "fab", {"offers": ()}),
        ("prepayments", "fab", {"offers": ("bougth",)}),
        ("prepayments", "fab", {"offers": ("bought", "bought")}),
        ("prepayments", "fab", {"first": 3, "last": 2}),
        ("prepayments", "fab", {"lead": -1}),
        ("prepayments", "fab", {"chips": -1.0}),
        ("prepayments", "fab", {"offtake": np.inf}),
        ("prepayments", "fab", {"shortfall": -1.0}),
    ],
)
def test_parts_that_make_no_sense_are_named(whole, part, identifier, fields):
    with pytest.raises(InputError, match=identifier):
        validate(edited(whole, part, identifier, **fields))


def outcomes(whole, **changes):
    """The outcomes of the programme, some with other fields."""
    found = [dataclasses.replace(one, **changes.get(one.name, {})) for one in whole.programmes[0].outcomes]
    return edited(whole, "programmes", "tapeout", outcomes=tuple(found))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"late": {"probability": 0.3}}, r"probabilities do not sum to 1, given '1\.1'"),
        ({"late": {"probability": -0.2}}, r"outcomes\.late\.probability"),
        ({"late": {"name": "failed"}}, "used twice"),
        ({"late": {"revealed": 4}}, r"outcomes\.late\.revealed.*at most 3"),
        ({"late": {"revealed": 0}}, r"outcomes\.late\.revealed.*at least 1"),
        ({"late": {"lead": -1}}, r"outcomes\.late\.lead"),
        ({"late": {"spend": np.array([21e3])}}, "late and failed differ in spend before either shows.*20000, 21000 in quarter 0"),
        ({"late": {"revealed": 2}, "failed": {"revealed": 2}}, "late and failed differ in spend before either shows.*in quarter 1"),
    ],
)
def test_outcomes_that_make_no_sense_are_named(whole, changes, message):
    with pytest.raises(InputError, match=message):
        validate(outcomes(whole, **{name.replace("_", " "): fields for name, fields in changes.items()}))


def test_outcomes_that_may_differ_are_accepted(whole):
    """Rounded probabilities, a spend that differs once an outcome shows, and one that never delivers but shows late."""
    validate(outcomes(whole, late={"probability": 0.2000001}, failed={"spend": np.array([20e3, 99e3])}))
    validate(outcomes(whole, late={"revealed": 2, "spend": np.array([20e3, 20e3, 15e3])}, failed={"revealed": 9}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"demand": np.full((2, SIZE), -1.0)}, "demand"),
        ({"demand": np.full((2, 8), 1.0)}, r"demand: wrong shape.*\(2, 13\)"),
        ({"volume": np.zeros((2, SIZE))}, "demand and volume"),
        ({"unmet_penalty": np.full(2, np.nan)}, "unmet_penalty"),
        ({"budget": np.full(SIZE, -1.0)}, "budget"),
        ({"discount": -0.1}, "discount"),
        ({"largest_share": 1.5}, "largest_share"),
        ({"concentration": 1.5}, "concentration"),
        ({"share_from": -1}, "share_from"),
        ({"share_weights": np.ones(3)}, "share_weights"),
        ({"every": 0}, "every"),
        ({"tree": single(13)}, "quarters"),
        ({"offers": ()}, "at least one"),
        ({"debt": Debt(limit=np.full(8, 1.0), interest=0.1)}, r"debt\.limit"),
        ({"debt": Debt(limit=np.full(SIZE, 1.0), interest=-0.1)}, r"debt\.interest"),
        ({"risk": Risk(weight=1.1, tail=0.2)}, r"risk\.weight"),
        ({"risk": Risk(weight=0.5, tail=0.0)}, r"risk\.tail"),
        ({"risk": Risk(weight=0.5, tail=1.1)}, r"risk\.tail"),
    ],
)
def test_a_problem_that_makes_no_sense_is_refused(whole, fields, message):
    with pytest.raises(InputError, match=message):
        validate(dataclasses.replace(whole, **fields))


@pytest.mark.parametrize("part", ["offers", "sites", "programmes", "prepayments"])
def test_a_name_used_twice_is_refused(whole, part):
    items = getattr(whole, part)
    with pytest.raises(InputError, match=f"{part}: a name is used twice"):
        validate(dataclasses.replace(whole, **{part: (*items, items[0])}))


def test_a_misspelt_name_is_proposed(whole):
    with pytest.raises(InputError, match="did you mean bought"):
        validate(edited(whole, "prepayments", "fab", offers=("bougth",)))


def test_a_least_order_may_need_a_prepayment(make):
    """Of four chips allocated and six prepaid, ten can be ordered and eleven cannot; an offer that is never there may have any least."""
    size = 4
    one = Prepayment(
        id="fab", offers=("cloud",), price=np.ones(size), lead=0, chips=6.0, offtake=0.0, shortfall=0.0, first=0, last=3
    )  # fmt: skip
    offers = [make.offer("cloud", size, rent=1.0, allocation=4.0, minimum=10.0), make.offer("later", size, allocation=0.0, minimum=5.0)]
    problem = make.problem(offers, np.ones(size), prepayments=(one,))
    validate(problem)
    with pytest.raises(InputError, match=r"offers\.cloud\.minimum"):
        validate(edited(problem, "offers", "cloud", minimum=11.0))
