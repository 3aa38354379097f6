"""Schedules of one engine worked out by hand."""

import dataclasses

import numpy as np
import pytest

from tapeout.serving.policy import Policy
from tapeout.serving.speculation import Speculation
from tapeout.serving.step_model import AttentionCost, DecodeCost
from tapeout.traffic.requests import Requests

from .schedules import alone, flat, trace


def test_chunked_prefill_shares_the_budget_by_hand() -> None:
    outcome = alone(flat(1.0), trace((0, 6, 2), (0, 3, 1)), Policy(token_budget=4, most_sequences=2, blocks=100))
    # 4 of A; the rest of A and 2 of B; the second token of A and the rest of B.
    assert outcome.steps[0].tokens.tolist() == [4, 4, 2]
    assert outcome.steps[0].running.tolist() == [1, 2, 2]
    assert outcome.first_token.tolist() == [2, 3]
    assert outcome.completion.tolist() == [3, 3]


def test_prompts_first_makes_decodes_wait_by_hand() -> None:
    mixed = Policy(token_budget=8, most_sequences=4, blocks=100)
    requests = trace((0, 4, 3), (0.5, 12, 1))
    outcome = alone(flat(1.0), requests, dataclasses.replace(mixed, prompts_first=True))
    # The first has one token when the prompt of the second comes; its two chunks go alone, and then it decodes.
    assert outcome.steps[0].tokens.tolist() == [4, 8, 4, 1, 1]
    assert outcome.steps[0].decodes.tolist() == [0, 0, 0, 1, 1]
    assert outcome.completion.tolist() == [5, 3]
    assert sorted(outcome.gaps.tolist()) == [1, 3]
    # Mixed, nobody waits: the prompt goes beside the decodes.
    assert alone(flat(1.0), requests, mixed).steps[0].tokens.tolist() == [4, 8, 6]


def test_a_prompt_that_finds_no_room_lets_decodes_go_on_by_hand() -> None:
    policy = Policy(token_budget=8, most_sequences=4, blocks=6, block_size=1, prompts_first=True)
    outcome = alone(flat(1.0), trace((0, 2, 3), (0.5, 5, 1)), policy)
    assert outcome.steps[0].tokens.tolist() == [2, 1, 1, 5]
    assert outcome.completion.tolist() == [3, 4]


def test_preemption_of_the_tail_by_hand() -> None:
    policy = Policy(token_budget=10, most_sequences=4, blocks=6, block_size=1)
    outcome = alone(flat(1.0), trace((0, 2, 4), (0, 2, 3)), policy)
    # In the third step A needs a block and takes those of B, which later computes its 2 + 2 tokens again.
    assert outcome.steps[0].tokens.tolist() == [4, 2, 1, 1, 4]
    assert outcome.steps[0].preempted.tolist() == [0, 0, 1, 0, 0]
    assert outcome.steps[0].waiting.tolist() == [0, 0, 1, 1, 0]
    assert outcome.steps[0].blocks.tolist() == [4, 6, 4, 5, 4]
    assert outcome.completion.tolist() == [4, 5]
    assert outcome.first_token.tolist() == [1, 1]
    assert outcome.preemptions.tolist() == [0, 1]


def test_a_tail_without_room_goes_itself_by_hand() -> None:
    policy = Policy(token_budget=10, most_sequences=4, blocks=6, block_size=1)
    outcome = alone(flat(1.0), trace((0, 3, 2), (0, 2, 3)), policy)
    # A gets the last free block in the second step; B has to go for want of one, and the blocks it frees stay unused.
    assert outcome.steps[0].preempted.tolist() == [0, 1, 0, 0]
    assert outcome.steps[0].tokens.tolist() == [5, 1, 3, 1]
    assert outcome.steps[0].blocks.tolist() == [5, 4, 3, 4]
    assert outcome.completion.tolist() == [2, 4]


def test_a_preempted_request_returns_to_the_head_of_the_queue_by_hand() -> None:
    policy = Policy(token_budget=10, most_sequences=4, blocks=6, block_size=1)
    outcome = alone(flat(1.0), trace((0, 2, 4), (0, 2, 3), (0, 3, 1)), policy)
    # C waits from the start for want of three blocks; B, sent away in the third step, still comes first.
    assert outcome.preemptions.tolist() == [0, 1, 0]
    assert outcome.completion.tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"prefill": (AttentionCost(pair=1.0),)}, [4 * 5 / 2, 2 * 4 + 3, 0, 0]),
        ({"prefill": (AttentionCost(key=1.0),)}, [4, 6, 0, 0]),
        ({"prefill": (AttentionCost(token=1.0),)}, [4, 2, 0, 0]),
        ({"decode": (DecodeCost(key=1.0),)}, [0, 0, 7, 8]),
        ({"decode": (DecodeCost(key=1.0, full=7.5),)}, [0, 0, 7, 7.5]),
        ({"host_step": 0.5, "dispatch": 2.0}, [2.5, 2.5, 0.5, 0.5]),
    ],
)
def test_what_a_step_is_charged_for_by_hand(change: dict[str, object], expected: list[float]) -> None:
    model = dataclasses.replace(flat(0.0), **change)  # type: ignore[arg-type]
    # A prompt of 6 in chunks of 4 and 2, then two tokens, the first of which joins 6 cached ones.
    outcome = alone(model, trace((0, 6, 3)), Policy(token_budget=4, most_sequences=1, blocks=9))
    assert outcome.steps[0].seconds.tolist() == expected


def test_an_arrival_waits_for_the_running_step_by_hand() -> None:
    outcome = alone(flat(1.0, request=0.25), trace((0, 1, 2), (0.5, 1, 1), (9, 1, 1)), Policy(token_budget=9, most_sequences=9, blocks=9))
    assert outcome.scheduled.tolist() == [0.25, 1.25, 9.25]
    assert outcome.completion.tolist() == [2.25, 2.25, 10.25]


def test_a_completion_sends_the_next_request_by_hand() -> None:
    requests = Requests(arrival=np.array([0.0, 5.5]), prompt=np.array([4, 4, 4, 4]), output=np.array([2, 1, 1, 1]), users=2)
    outcome = alone(flat(1.0), requests, Policy(token_budget=8, most_sequences=8, blocks=8))
    # The user who starts late does not hold up the one whose answer came first.
    assert outcome.arrival.tolist() == [0, 5.5, 2, 3]
    assert outcome.completion.tolist() == [2, 6.5, 3, 4]


# ---------------------------------------------------------------- drafts


def drafts(*acceptance: float, seconds: tuple[float, ...] = (0.0,) * 65) -> Speculation:
    return Speculation(acceptance=acceptance, draft_seconds=np.array(seconds))


def test_drafts_that_are_all_right_by_hand() -> None:
    policy = Policy(token_budget=64, most_sequences=4, blocks=9, block_size=1, speculation=drafts(1.0, 1.0))
    outcome = alone(flat(1.0), trace((0, 4, 6)), policy)
    # The prompt gives the first token; then three of three, and for the last two only one draft is asked.
    assert outcome.steps[0].tokens.tolist() == [4, 3, 2]
    assert outcome.steps[0].decodes.tolist() == [0, 1, 1]
    assert outcome.steps[0].context.tolist() == [0, 4, 7]
    assert outcome.completion.tolist() == [3]
    assert outcome.gaps.tolist() == [1, 1]


def test_drafts_that_are_all_wrong_give_their_blocks_back_by_hand() -> None:
    policy = Policy(token_budget=64, most_sequences=4, blocks=9, block_size=1, speculation=drafts(0.0, 1.0))
    outcome = alone(flat(1.0), trace((0, 4, 6)), policy)
    # Each step gives one token; towards the end fewer drafts would be of use.
    assert outcome.steps[0].tokens.tolist() == [4, 3, 3, 3, 2, 1]
    assert outcome.steps[0].context.tolist() == [0, 4, 5, 6, 7, 8]
    # What is computed and what is checked; so the 9 blocks are enough.
    assert outcome.steps[0].blocks.tolist() == [4, 7, 8, 9, 9, 9]
    assert outcome.completion.tolist() == [6]


def test_budget_and_chunk_cut_drafts_by_hand() -> None:
    policy = Policy(token_budget=4, most_sequences=4, blocks=99, block_size=1, speculation=drafts(1.0, 1.0))
    outcome = alone(flat(1.0), trace((0, 2, 9), (0, 2, 9)), policy)
    # Three tokens for the first and one for the second, until the first needs but two and the second gets two.
    assert outcome.steps[0].tokens.tolist() == [4, 4, 4, 4, 3, 1]
    assert outcome.completion.tolist() == [4, 6]
    cut = alone(flat(1.0), trace((0, 2, 9)), dataclasses.replace(policy, chunk=2))
    assert cut.steps[0].tokens.tolist() == [2, 2, 2, 2, 2]


def test_drafts_are_charged_for_those_who_get_a_token_by_hand() -> None:
    charged = drafts(0.0, seconds=(0.25, 0.5, 4.0, *(99.0,) * 62))
    policy = Policy(token_budget=5, most_sequences=4, blocks=99, speculation=charged)
    outcome = alone(flat(1.0), trace((0, 6, 2), (0.5, 3, 1)), policy)
    # Five of six; the last, and the second request; then the second token of the first alone.
    assert outcome.steps[0].tokens.tolist() == [5, 4, 1]
    assert outcome.steps[0].seconds.tolist() == [1.25, 5, 1.5]


def test_what_is_preempted_first_computes_all_again_without_drafts_by_hand() -> None:
    policy = Policy(token_budget=10, most_sequences=4, blocks=7, block_size=1, speculation=drafts(1.0))
    outcome = alone(flat(1.0), trace((0, 2, 4), (0, 2, 4)), policy)
    # The first checks a draft on the fourth block; the second finds one block, needs two, and goes. It has one token, so it computes 2 + 1.
    assert outcome.steps[0].preempted.tolist() == [0, 1, 0, 0, 0]
    assert outcome.steps[0].tokens.tolist() == [4, 2, 1, 3, 2]
    assert outcome.completion.tolist() == [3, 5]


def test_tokens_of_a_step_are_on_the_mean_what_the_chances_say() -> None:
    speculation = drafts(0.7, 0.4, 0.9)
    outcome = alone(flat(1.0), trace((0, 1, 12_001)), Policy(token_budget=64, most_sequences=1, blocks=800, speculation=speculation))
    # Chances of 1, 2, 3 and 4 tokens; steps until 12,000 are there are a renewal process.
    chance = np.array([0.3, 0.7 * 0.6, 0.28 * 0.1, 0.28 * 0.9])
    mean = float(chance @ np.arange(1, 5))
    spread = float(chance @ (np.arange(1, 5) - mean) ** 2) ** 0.5
    assert speculation.mean_tokens == pytest.approx(mean)
    steps = 12_000 / mean
    assert abs(outcome.totals[0].steps - 1 - steps) < 5 * spread / mean * steps**0.5
