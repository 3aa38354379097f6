"""Policies that are refused."""

import dataclasses
import math

import pytest

from tapeout.errors import InputError
from tapeout.serving.policy import Policy


@pytest.mark.parametrize("name", ["token_budget", "most_sequences", "blocks", "block_size", "chunk"])
def test_a_limit_below_one_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least 1, given 0"):
        dataclasses.replace(Policy(token_budget=1, most_sequences=1, blocks=1), **{name: 0})


def test_bad_policies_are_refused() -> None:
    with pytest.raises(InputError, match="exclude each other"):
        Policy(token_budget=8, most_sequences=2, blocks=9, swap=0.1, prefix_caching=True)
    for swap in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="the time to swap a block must be finite"):
            Policy(token_budget=8, most_sequences=2, blocks=9, swap=swap)
