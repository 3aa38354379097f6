"""Prefix caching by hand: what is found, what is lost, and in which order it comes free."""

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving import plain_cluster
from tapeout.serving.cluster import one_engine
from tapeout.serving.policy import Order, Policy
from tapeout.serving.step_model import StepModel
from tapeout.traffic.requests import Names, Requests

from .simulation import simulated

STEADY = StepModel(token_seconds=np.full(65, 1.0), sequence_seconds=np.zeros(65))


def test_shared_prefixes_by_hand() -> None:
    # Two prompts of ten tokens share the first two blocks of four; the third block of each is not full.
    names = Names(name=np.array([7, 8, 7, 8]), start=np.array([0, 2, 4]), block=4)
    requests = Requests(arrival=np.array([0.0, 5.0]), prompt=np.array([10, 10]), output=np.array([2, 2]), names=names)
    policy = Policy(token_budget=64, most_sequences=4, blocks=3, block_size=4, prefix_caching=True)
    outcome = simulated(STEADY, requests, policy)
    assert outcome.found.tolist() == [0, 8]
    assert outcome.steps[0].tokens.tolist() == [10, 1, 2, 1]


def test_a_whole_prompt_that_is_there_computes_its_last_block_again() -> None:
    names = Names(name=np.array([7, 8, 7, 8]), start=np.array([0, 2, 4]), block=4)
    requests = Requests(arrival=np.array([0.0, 5.0]), prompt=np.array([8, 8]), output=np.array([1, 1]), names=names)
    outcome = simulated(STEADY, requests, Policy(token_budget=64, most_sequences=4, blocks=9, block_size=4, prefix_caching=True))
    assert outcome.found.tolist() == [0, 4]


def test_what_is_used_anew_is_lost_from_its_end() -> None:
    # The second request takes one block too many of the four; what goes is the last that the first one freed.
    names = Names(name=np.array([7, 8, 9, 7, 8, 9]), start=np.array([0, 3, 3, 6]), block=4)
    requests = Requests(arrival=np.array([0.0, 5.0, 9.0]), prompt=np.array([12, 8, 13]), output=np.array([1, 1, 1]), names=names)
    outcome = simulated(STEADY, requests, Policy(token_budget=64, most_sequences=4, blocks=4, block_size=4, prefix_caching=True))
    assert outcome.found.tolist() == [0, 0, 8]


def test_those_who_end_together_come_free_in_the_order_in_which_they_started() -> None:
    # The second is more urgent, so its blocks come free first; of seven the third takes five, which leaves those of the first.
    names = Names(name=np.array([1, 2, 3, 4, 1, 2, 3, 4]), start=np.array([0, 2, 4, 4, 6, 8]), block=4)
    requests = Requests(
        arrival=np.array([0.0, 0.0, 5.0, 9.0, 9.0]), prompt=np.array([8, 8, 20, 9, 9]), output=np.array([2, 2, 1, 1, 1]),
        priority=np.array([1, 0, 0, 0, 0]), names=names,
    )  # fmt: skip
    policy = Policy(token_budget=64, most_sequences=4, blocks=7, block_size=4, order=Order.PRIORITY, prefix_caching=True)
    for outcome in (plain_cluster.simulate(one_engine(STEADY, policy), requests), simulated(STEADY, requests, policy)):
        assert outcome.completion[:2].tolist() == [2, 2]
        assert outcome.found.tolist() == [0, 0, 0, 8, 0]


def test_an_answer_is_found_by_the_next_turn() -> None:
    # The first answers 5 tokens to 8, so 12 are computed; the second asks with all of it.
    names = Names(name=np.array([7, 8, 9, 7, 8, 9, 10]), start=np.array([0, 3, 7]), block=4)
    requests = Requests(arrival=np.array([0.0, 20.0]), prompt=np.array([8, 17]), output=np.array([5, 1]), names=names)
    outcome = simulated(STEADY, requests, Policy(token_budget=64, most_sequences=4, blocks=9, block_size=4, prefix_caching=True))
    assert outcome.found.tolist() == [0, 12]


def test_named_blocks_are_whole_blocks_of_the_engine() -> None:
    names = Names(name=np.arange(2), start=np.array([0, 2]), block=4)
    requests = Requests(arrival=np.zeros(1), prompt=np.array([8]), output=np.array([1]), names=names)
    with pytest.raises(InputError, match="named blocks must be a multiple of the engine's blocks, given '4 tokens', allowed: 16 x n"):
        simulated(STEADY, requests, Policy(token_budget=8, most_sequences=2, blocks=9, prefix_caching=True))
