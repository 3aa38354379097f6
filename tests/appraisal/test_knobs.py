"""Each place of a problem moves what stands there and nothing else, and a place that there is not says which there are."""

import dataclasses

import numpy as np
import pytest

from tapeout.appraisal.knobs import knob, scaled, targets, throughput_knobs
from tapeout.errors import InputError
from tapeout.sourcing.throughput_range import ThroughputBand
from tests.sourcing.everything import everything


def numbers(value, path=""):
    """All arrays and floats of a problem by their place."""
    if dataclasses.is_dataclass(value):
        return {k: v for field in dataclasses.fields(value) for k, v in numbers(getattr(value, field.name), f"{path}.{field.name}").items()}
    if isinstance(value, tuple):
        return {k: v for place, each in enumerate(value) for k, v in numbers(each, f"{path}[{place}]").items()}
    return {path: np.asarray(value, dtype=float)} if isinstance(value, (float, np.ndarray)) else {}


def moved(before, after):
    known, other = numbers(before), numbers(after)
    assert known.keys() == other.keys()
    return {path for path in known if not np.array_equal(known[path], other[path])}


def test_every_place_moves_something_of_its_own(make):
    problem = everything(make)
    seen = {target: frozenset(moved(problem, scaled(problem, target, 1.25))) for target in targets(problem)}
    still = {target for target, paths in seen.items() if not paths}
    # What is zero stays so, and an unlimited supply unlimited.
    assert all(target.endswith((".rent", ".allocation", ".capital")) for target in still), still
    told = [paths for paths in seen.values() if paths]
    assert sum(map(len, told)) > len(told)


@pytest.mark.parametrize(
    ("target", "paths"),
    [
        ("models.model-0.demand", {".demand", ".volume"}),
        ("models.model-0.peak", {".demand"}),
        ("models.model-1.penalty", {".unmet_penalty"}),
        ("finance.budget", {".budget"}),
        ("finance.discount", {".discount"}),
    ],
)
def test_a_place_moves_what_it_says(make, target, paths):
    problem = everything(make)
    assert moved(problem, scaled(problem, target, 0.5)) == paths


def test_a_price_moves_rent_and_the_price_of_the_chip(make):
    problem = everything(make)
    for index, offer in enumerate(problem.offers):
        changed = scaled(problem, f"contracts.{offer.id}.price", 0.5).offers[index]
        np.testing.assert_allclose(changed.rent, offer.rent / 2)
        np.testing.assert_allclose(changed.unit_price, offer.unit_price / 2)
        np.testing.assert_allclose(changed.upkeep, offer.upkeep)


def test_the_spend_of_a_programme_moves_in_all_outcomes(make):
    problem = everything(make)
    one = problem.programmes[0]
    (changed,) = scaled(problem, f"programmes.{one.id}.spend", 3.0).programmes
    for before, after in zip((one, *one.outcomes), (changed, *changed.outcomes), strict=True):
        np.testing.assert_allclose(after.spend, 3 * before.spend)


def test_a_site_never_offers_less_than_it_holds(make):
    hall = make.site("hall", 3, available=10.0, initial=9.0)
    problem = make.problem([make.offer("cloud", 3, rent=1.0)], np.ones(3), sites=[hall])
    np.testing.assert_allclose(scaled(problem, "sites.hall.available", 0.5).sites[0].available, 9.0)


def test_a_knob_turns_all_its_places(make):
    problem = everything(make)
    one = knob("demand", ["models.model-0.demand", "models.model-1.demand"], 0.5, 2.0)
    np.testing.assert_allclose(one.low(problem).demand, problem.demand / 2)
    np.testing.assert_allclose(one.high(problem).demand, problem.demand * 2)


def test_an_unknown_place_names_the_nearest(make):
    problem = make.problem([make.offer("cloud", 2, rent=1.0)], np.ones(2))
    with pytest.raises(InputError, match=r"contracts\.cloud\.price"):
        scaled(problem, "contracts.clod.price", 2.0)


def test_the_chips_of_a_generation_turn_together(make):
    problem = make.problem([make.offer(name, 2, rent=1.0, throughput=(2.0, 3.0)) for name in "abc"], np.ones((2, 2)))
    band = {"low": np.array([0.5, 0.8]), "high": np.array([2.0, 1.0])}
    bands = {name: ThroughputBand(generation=kin, **band) for name, kin in (("a", "new"), ("b", "old"), ("c", "new"))}
    new, old = throughput_knobs(bands)
    assert (new.name, old.name) == ("throughput of new", "throughput of old")
    slow, fast = new.low(problem), old.high(problem)
    np.testing.assert_allclose([one.throughput for one in slow.offers], [[1.0, 2.4], [2.0, 3.0], [1.0, 2.4]])
    np.testing.assert_allclose([one.throughput for one in fast.offers], [[2.0, 3.0], [4.0, 3.0], [2.0, 3.0]])
