"""Work in several processes: the same results as alone, in whatever order they come."""

import operator

import pytest

from tapeout.fleet.parallel import crew


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_gets_the_shared_value_and_keeps_its_place(workers: int) -> None:
    with crew(10, workers) as run:
        assert sorted(run(operator.mul, [3, 1, 2])) == [(0, 30), (1, 10), (2, 20)]
        assert dict(run(operator.mul, [])) == {}
        assert dict(run(operator.mul, [7])) == {0: 70}, "a crew works more than once"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_job_is_that_of_the_caller(workers: int) -> None:
    with pytest.raises(ZeroDivisionError), crew(1, workers) as run:
        list(run(operator.truediv, [1, 0]))
