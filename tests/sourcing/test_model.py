"""The model against another one: all futures written out, with rows that keep decisions from foreseeing, solved by SciPy."""

import pytest

from tests.sourcing.explicit import least_cost
from tests.sourcing.instances import random_problem
from tests.sourcing.optimum import optimum


@pytest.mark.parametrize("seed", [*range(200, 205), *range(206, 235)])
def test_the_cost_is_that_of_the_futures_written_out(make, seed):
    problem = random_problem(make, seed)
    assert optimum(problem).goal == pytest.approx(least_cost(problem), rel=1e-6)
