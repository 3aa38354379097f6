"""Traces that are refused."""

import dataclasses
import math

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.traffic.requests import Names, Requests


@pytest.mark.parametrize(
    ("arrival", "prompt", "output", "users", "message"),
    [
        ([], [], [], None, "the trace is empty"),
        ([0.0, 1.0], [1, 1], [1], None, "differ in length"),
        ([0.0], [1, 1], [1, 1], None, "wrong number of arrival times"),
        ([0.0], [1], [1], 0, "wrong number of arrival times"),
        ([0.0, 0.0], [1, 1], [1, 1], 3, "wrong number of arrival times"),
        ([0.0, math.nan], [1, 1], [1, 1], None, "an arrival time, at request 1"),
        ([0.0, math.inf], [1, 1], [1, 1], None, "an arrival time, at request 1"),
        ([-1.0, 0.0], [1, 1], [1, 1], None, "an arrival time, at request 0"),
        ([0.0, 2.0, 1.0], [1, 1, 1], [1, 1, 1], None, "arrival times, at request 2"),
        ([0.0], [0], [1], None, "prompt of a request, at request 0"),
        ([0.0], [1], [0], None, "output of a request, at request 0"),
        ([0.0], [1.5], [1], None, "whole numbers of tokens"),
    ],
)
def test_a_bad_trace_is_refused(arrival: list[float], prompt: list[int], output: list[int], users: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Requests(arrival=np.array(arrival), prompt=np.array(prompt), output=np.array(output), users=users)


def test_bad_names_and_priorities_are_refused() -> None:
    one = Requests(arrival=np.zeros(1), prompt=np.array([8]), output=np.array([1]))
    with pytest.raises(InputError, match="bad number of names, at request 0, given 3"):
        dataclasses.replace(one, names=Names(name=np.arange(3), start=np.array([0, 3]), block=4))
    with pytest.raises(InputError, match="names must be given for each request, given 2"):
        dataclasses.replace(one, names=Names(name=np.arange(2), start=np.array([0, 1, 2]), block=4))
    with pytest.raises(InputError, match="starts of names must rise"):
        Names(name=np.arange(3), start=np.array([0, 2]), block=4)
    with pytest.raises(InputError, match="a name is a whole number"):
        Names(name=np.array([-1]), start=np.array([0, 1]), block=4)
    with pytest.raises(InputError, match="a named block holds at least 1 token, given 0"):
        Names(name=np.array([1]), start=np.array([0, 1]), block=0)
    with pytest.raises(InputError, match="priority must hold a whole number for each request"):
        dataclasses.replace(one, priority=np.array([0.5]))
    with pytest.raises(InputError, match="bad priority, at request 0"):
        dataclasses.replace(one, priority=np.array([2**31]))
