"""The mean world: means by quarter by hand, and a world without branches is its own mean."""

import dataclasses

import numpy as np

from tapeout.appraisal.mean import mean_by_quarter, mean_problem
from tapeout.sourcing.problem import Risk
from tests.sourcing.everything import everything
from tests.sourcing.optimum import optimum


def test_the_mean_of_each_quarter(make):
    tree = make.branching(3, q1=(0.25, 0.75))
    np.testing.assert_allclose(mean_by_quarter(tree, np.array([[1.0, 4.0, 8.0, 0.0, 4.0]])), [[1.0, 7.0, 3.0]])


def test_every_value_is_the_mean(make):
    problem = everything(make, seed=2)
    found, tree = mean_problem(problem), problem.tree
    quarter = 5
    nodes = tree.quarter == quarter

    def mean(values):
        return (values[..., nodes] * tree.probability[nodes]).sum(axis=-1)

    assert found.risk is None
    assert found.programmes[0].outcomes == ()
    np.testing.assert_allclose(found.demand[:, quarter], mean(problem.demand))
    np.testing.assert_allclose(found.volume[:, quarter], mean(problem.volume))
    pairs = [(one, other, ("rent", "unit_price", "upkeep", "allocation")) for one, other in zip(problem.offers, found.offers, strict=True)]
    pairs += [(one, other, ("available", "capex", "rent", "energy")) for one, other in zip(problem.sites, found.sites, strict=True)]
    pairs += [
        (problem.prepayments[0], found.prepayments[0], ("price",)),
        (problem.debt, found.debt, ("limit",)),
        (problem, found, ("budget",)),
    ]
    for one, other, fields in pairs:
        for field in fields:
            np.testing.assert_allclose(getattr(other, field)[quarter], mean(getattr(one, field)))


def test_a_sure_world_is_its_own_mean(make):
    problem = dataclasses.replace(make.full_case(), risk=Risk(weight=0.5, tail=0.2))
    assert np.isclose(optimum(mean_problem(problem)).cost, optimum(problem).cost)
