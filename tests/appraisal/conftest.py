from functools import cache

import pytest

from tapeout.sourcing.search import solve
from tests.sourcing import conftest as sourcing
from tests.sourcing.instances import random_problem

make = sourcing.make


@pytest.fixture(scope="session")
def planned(make):
    """The plan of a small random problem, by its seed; solved once."""
    return cache(lambda seed: solve(random_problem(make, seed), gap=1e-6))
