"""The laws of the simulator, numbered, and schedules worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.serving.arrivals import closed_loop, poisson
from tapeout.serving.outcome import Outcome
from tapeout.serving.policy import Policy
from tapeout.serving.requests import Requests
from tapeout.serving.scheduler import simulate
from tapeout.serving.step_model import AttentionCost, DecodeCost, StepModel
from tapeout.workload.traffic import Lengths

SIZE = 64


def flat(seconds: float, request: float = 0.0) -> StepModel:
    return StepModel(token_seconds=np.full(SIZE + 1, seconds), sequence_seconds=np.zeros(SIZE + 1), request=request)


def curved(scale: float = 1.0, request: float = 0.0) -> StepModel:
    """Every term of the model at work."""
    cost = AttentionCost(window=9.0, pair=0.003 * scale, key=0.007 * scale, token=0.002 * scale, launch=0.035 * scale)
    return StepModel(
        token_seconds=(0.3 + 0.1 * np.arange(SIZE + 1)) * scale,
        sequence_seconds=0.013 * np.arange(SIZE + 1) * scale,
        decode=(DecodeCost(key=0.01 * scale), DecodeCost(key=0.01 * scale, full=0.09 * scale, entry=0.001 * scale, longest=10.0)),
        prefill=(cost, dataclasses.replace(cost, window=math.inf)),
        decode_launch=0.05 * scale,
        decode_sequence=0.004 * scale,
        host_step=0.02 * scale,
        host_sequence=0.3 * scale,
        dispatch=0.6 * scale,
        request=request * scale,
    )


def trace(*requests: tuple[float, int, int]) -> Requests:
    arrival, prompt, output = zip(*requests, strict=True)
    return Requests(arrival=np.array(arrival, dtype=float), prompt=np.array(prompt), output=np.array(output))


@st.composite
def runs(draw: st.DrawFn) -> tuple[StepModel, Requests, Policy]:
    """Small traces under tight limits, so that every limit binds somewhere; times on a grid of 1/8 s so that ties happen."""
    count = draw(st.integers(1, 14))
    whole = st.lists(st.integers(1, 24), min_size=count, max_size=count)
    prompt, output = np.array(draw(whole)), np.array(draw(whole))
    users = draw(st.none() | st.integers(1, count))
    gaps = draw(st.lists(st.integers(0, 12), min_size=users or count, max_size=users or count))
    block_size = draw(st.sampled_from([1, 2, 4, 16]))
    longest = -(-int((prompt + output - 1).max()) // block_size)
    policy = Policy(
        token_budget=draw(st.integers(1, 40)),
        most_sequences=draw(st.integers(1, 10)),
        blocks=draw(st.integers(longest, 2 * longest)),
        block_size=block_size,
    )
    requests = Requests(arrival=np.cumsum(gaps) / 8, prompt=prompt, output=output, users=users)
    return curved(request=draw(st.sampled_from([0.0, 0.25]))), requests, policy


def ends(outcome: Outcome) -> set[float]:
    return set((outcome.steps.start + outcome.steps.seconds).tolist())


# ---------------------------------------------------------------- schedules by hand


def test_chunked_prefill_shares_the_budget_by_hand() -> None:
    outcome = simulate(flat(1.0), trace((0, 6, 2), (0, 3, 1)), Policy(token_budget=4, most_sequences=2, blocks=100))
    # 4 of A; the rest of A and 2 of B; the second token of A and the rest of B.
    assert outcome.steps.tokens.tolist() == [4, 4, 2]
    assert outcome.steps.running.tolist() == [1, 2, 2]
    assert outcome.first_token.tolist() == [2, 3]
    assert outcome.completion.tolist() == [3, 3]


def test_prompts_first_makes_decodes_wait_by_hand() -> None:
    mixed = Policy(token_budget=8, most_sequences=4, blocks=100)
    requests = trace((0, 4, 3), (0.5, 12, 1))
    outcome = simulate(flat(1.0), requests, dataclasses.replace(mixed, prompts_first=True))
    # The first has one token when the prompt of the second comes; its two chunks go alone, and then it decodes.
    assert outcome.steps.tokens.tolist() == [4, 8, 4, 1, 1]
    assert outcome.steps.decodes.tolist() == [0, 0, 0, 1, 1]
    assert outcome.completion.tolist() == [5, 3]
    assert sorted(outcome.late_gaps.tolist()) == [1, 3]
    # Mixed, nobody waits: the prompt goes beside the decodes.
    assert simulate(flat(1.0), requests, mixed).steps.tokens.tolist() == [4, 8, 6]


def test_a_prompt_that_finds_no_room_lets_decodes_go_on_by_hand() -> None:
    policy = Policy(token_budget=8, most_sequences=4, blocks=6, block_size=1, prompts_first=True)
    outcome = simulate(flat(1.0), trace((0, 2, 3), (0.5, 5, 1)), policy)
    assert outcome.steps.tokens.tolist() == [2, 1, 1, 5]
    assert outcome.completion.tolist() == [3, 4]


def test_preemption_of_the_tail_by_hand() -> None:
    policy = Policy(token_budget=10, most_sequences=4, blocks=6, block_size=1)
    outcome = simulate(flat(1.0), trace((0, 2, 4), (0, 2, 3)), policy)
    # In the third step A needs a block and takes those of B, which later computes its 2 + 2 tokens again.
    assert outcome.steps.tokens.tolist() == [4, 2, 1, 1, 4]
    assert outcome.steps.preempted.tolist() == [0, 0, 1, 0, 0]
    assert outcome.steps.waiting.tolist() == [0, 0, 1, 1, 0]
    assert outcome.steps.blocks.tolist() == [4, 6, 4, 5, 4]
    assert outcome.completion.tolist() == [4, 5]
    assert outcome.first_token.tolist() == [1, 1]
    assert outcome.preemptions.tolist() == [0, 1]


def test_a_tail_without_room_goes_itself_by_hand() -> None:
    policy = Policy(token_budget=10, most_sequences=4, blocks=6, block_size=1)
    outcome = simulate(flat(1.0), trace((0, 3, 2), (0, 2, 3)), policy)
    # A gets the last free block in the second step; B has to go for want of one, and the blocks it frees stay unused.
    assert outcome.steps.preempted.tolist() == [0, 1, 0, 0]
    assert outcome.steps.tokens.tolist() == [5, 1, 3, 1]
    assert outcome.steps.blocks.tolist() == [5, 4, 3, 4]
    assert outcome.completion.tolist() == [2, 4]


def test_a_preempted_request_returns_to_the_head_of_the_queue_by_hand() -> None:
    policy = Policy(token_budget=10, most_sequences=4, blocks=6, block_size=1)
    outcome = simulate(flat(1.0), trace((0, 2, 4), (0, 2, 3), (0, 3, 1)), policy)
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
    outcome = simulate(model, trace((0, 6, 3)), Policy(token_budget=4, most_sequences=1, blocks=9))
    assert outcome.steps.seconds.tolist() == expected


def test_an_arrival_waits_for_the_running_step_by_hand() -> None:
    outcome = simulate(
        flat(1.0, request=0.25), trace((0, 1, 2), (0.5, 1, 1), (9, 1, 1)), Policy(token_budget=9, most_sequences=9, blocks=9)
    )
    assert outcome.scheduled.tolist() == [0.25, 1.25, 9.25]
    assert outcome.completion.tolist() == [2.25, 2.25, 10.25]


def test_a_completion_sends_the_next_request_by_hand() -> None:
    requests = Requests(arrival=np.array([0.0, 5.5]), prompt=np.array([4, 4, 4, 4]), output=np.array([2, 1, 1, 1]), users=2)
    outcome = simulate(flat(1.0), requests, Policy(token_budget=8, most_sequences=8, blocks=8))
    # The user who starts late does not hold up the one whose answer came first.
    assert outcome.arrival.tolist() == [0, 5.5, 2, 3]
    assert outcome.completion.tolist() == [2, 6.5, 3, 4]


# ---------------------------------------------------------------- laws


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_law_1_requests_and_tokens_are_conserved(run: tuple[StepModel, Requests, Policy]) -> None:
    outcome = simulate(*run)
    requests = outcome.requests
    for times in (outcome.arrival, outcome.scheduled, outcome.first_token, outcome.completion):
        assert (times >= 0).all()
    needed = int((requests.prompt + requests.output - 1).sum())
    computed = int(outcome.steps.tokens.sum())
    assert outcome.preemptions.sum() == outcome.steps.preempted.sum()
    if outcome.preemptions.any():
        # A preempted request had computed a token at least and at most all but its last.
        lost = outcome.preemptions * (requests.prompt + requests.output - 1)
        assert needed + outcome.preemptions.sum() <= computed <= needed + int(lost.sum())
    else:
        assert computed == needed


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_law_2_blocks_are_conserved(run: tuple[StepModel, Requests, Policy]) -> None:
    _, requests, policy = run
    outcome = simulate(*run)
    assert ((outcome.steps.blocks > 0) & (outcome.steps.blocks <= policy.blocks)).all()
    # Whoever ends with the last step was all that ran in it: a block lost or given twice on the way would show here.
    last = outcome.completion == outcome.completion.max()
    held = [policy.blocks_for(int(tokens)) for tokens in (requests.prompt + requests.output - 1)[last]]
    assert outcome.steps.blocks[-1] == sum(held)


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_law_3_the_clock_is_monotone_and_law_4_no_token_comes_before_its_request(run: tuple[StepModel, Requests, Policy]) -> None:
    model, requests, _ = run
    outcome = simulate(*run)
    start, seconds = outcome.steps.start, outcome.steps.seconds
    assert (seconds > 0).all()
    assert (start[1:] >= start[:-1] + seconds[:-1]).all()
    assert (outcome.scheduled >= outcome.arrival + model.request).all()
    assert (outcome.first_token > outcome.scheduled).all()
    assert (outcome.completion >= outcome.first_token + (requests.output - 1) * seconds.min() * (1 - 1e-12)).all()
    assert set(outcome.scheduled.tolist()) <= set(start.tolist())
    assert set(outcome.first_token.tolist()) | set(outcome.completion.tolist()) <= ends(outcome)


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_law_5_work_is_conserved(run: tuple[StepModel, Requests, Policy]) -> None:
    model, requests, policy = run
    outcome = simulate(*run)
    steps = outcome.steps
    ready = outcome.arrival + model.request
    # The engine pauses only while no request is there, and wakes up for the first.
    for before, after in zip(steps.start[:-1] + steps.seconds[:-1], steps.start[1:], strict=True):
        if after != before:
            assert after in ready
            assert not ((ready < after) & (outcome.completion > before)).any()
    # A request waits only where a limit keeps it out.
    most = int((requests.prompt + requests.output).max())
    kept_out = (
        (steps.preempted > 0)
        | (steps.tokens == policy.token_budget)
        | (steps.running == policy.most_sequences)
        | (policy.blocks - steps.blocks < [policy.blocks_for(min(most, left)) for left in policy.token_budget - steps.tokens])
    )
    assert kept_out[steps.waiting > 0].all()


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_law_6_limits_hold(run: tuple[StepModel, Requests, Policy]) -> None:
    _, _, policy = run
    steps = simulate(*run).steps
    assert ((steps.tokens >= 1) & (steps.tokens <= policy.token_budget)).all()
    assert (steps.running <= policy.most_sequences).all()
    # No admission in a step that preempted.
    held_back = steps.preempted[1:] > 0
    assert (steps.running[1:] <= steps.running[:-1] - steps.preempted[1:])[held_back].all()


@settings(max_examples=100, deadline=None)
@given(run=runs())
def test_law_7_first_come_is_first_scheduled(run: tuple[StepModel, Requests, Policy]) -> None:
    outcome = simulate(*run)
    order = np.argsort(outcome.arrival, kind="stable")
    if not outcome.preemptions.any():
        assert (np.diff(outcome.scheduled[order]) >= 0).all()


@settings(max_examples=50, deadline=None)
@given(run=runs())
def test_law_8_times_scale_by_two_bit_for_bit(run: tuple[StepModel, Requests, Policy]) -> None:
    model, requests, policy = run
    once = simulate(model, requests, policy)
    twice = simulate(curved(2.0, model.request), dataclasses.replace(requests, arrival=2 * requests.arrival), policy)
    for name in ("arrival", "scheduled", "first_token", "completion"):
        assert (getattr(twice, name) == 2 * getattr(once, name)).all()
    assert (twice.steps.seconds == 2 * once.steps.seconds).all()
    assert (twice.steps.tokens == once.steps.tokens).all()


def test_law_9_a_seed_decides_everything() -> None:
    lengths, policy = Lengths(prompt=30, output=20, shortest=0.5), Policy(token_budget=32, most_sequences=8, blocks=16, block_size=4)
    runs = [simulate(curved(), poisson(60, 0.2, lengths, seed=seed), policy) for seed in (3, 3, 4)]
    assert (runs[0].completion == runs[1].completion).all()
    assert not (runs[0].completion == runs[2].completion).all()
    assert runs[0].preemptions.sum() > 0


# ---------------------------------------------------------------- closed forms, within five standard errors over independent runs


def agrees(samples: list[float], theory: float) -> bool:
    mean, error = float(np.mean(samples)), float(np.std(samples, ddof=1)) / math.sqrt(len(samples))
    assert error < 0.05 * theory, "too few runs for the test to mean anything"
    return abs(mean - theory) < 5 * error


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_law_10_one_token_outputs_one_at_a_time_are_an_m_d_1_queue(load: float) -> None:
    policy = Policy(token_budget=8, most_sequences=1, blocks=4)
    waits = []
    for seed in range(30):
        outcome = simulate(flat(1.0), poisson(1200, load, Lengths(prompt=8, output=1), seed=seed), policy)
        waits.append(float((outcome.scheduled - outcome.arrival)[200:].mean()))
    # Pollaczek and Khinchine with a fixed service time of 1 s.
    assert agrees(waits, load / (2 * (1 - load)))


def test_law_11_requests_without_limits_are_an_m_g_infinity_queue_and_keep_to_littles_law() -> None:
    seconds, rate, longest = 0.01, 40.0, 24
    policy = Policy(token_budget=SIZE, most_sequences=SIZE, blocks=10_000)
    in_system = []
    for seed in range(15):
        outcome = simulate(flat(seconds), poisson(600, rate, Lengths(prompt=1, output=longest, shortest=0.5), seed=seed), policy)
        moments = np.linspace(outcome.arrival[50], outcome.arrival[-1], 2000)
        arrived, left = (np.searchsorted(np.sort(times), moments, side="right") for times in (outcome.arrival, outcome.completion))
        in_system.append(float(np.mean(arrived - left)))
    # A request waits half a step for its first, then takes a step a token.
    assert agrees(in_system, rate * (np.arange(12, longest + 1).mean() + 0.5) * seconds)


@settings(max_examples=100, deadline=None)
@given(run=runs())
def test_law_12_running_sequences_over_time_are_time_over_requests(run: tuple[StepModel, Requests, Policy]) -> None:
    """Little's law where it is an identity: seconds of running by step and by request agree, as long as nobody is preempted."""
    outcome = simulate(*run)
    by_step = float(outcome.steps.running @ outcome.steps.seconds)
    by_request = float((outcome.completion - outcome.scheduled).sum())
    if outcome.preemptions.any():
        assert by_step <= by_request * (1 + 1e-12)
    else:
        assert by_step == pytest.approx(by_request, rel=1e-9)


def test_law_13_a_closed_loop_keeps_its_users_busy() -> None:
    outcome = simulate(
        curved(), closed_loop(60, 6, Lengths(prompt=12, output=9), seed=1), Policy(token_budget=32, most_sequences=4, blocks=9)
    )
    last_sent = outcome.arrival.max()
    moments = np.linspace(0, last_sent, 500, endpoint=False)
    arrived, left = (np.searchsorted(np.sort(times), moments, side="right") for times in (outcome.arrival, outcome.completion))
    assert (arrived - left == 6).all()


# ---------------------------------------------------------------- bad input


def test_a_request_longer_than_the_cache_is_refused_and_one_that_just_fits_is_not() -> None:
    policy = Policy(token_budget=8, most_sequences=2, blocks=2, block_size=4)
    assert simulate(flat(1.0), trace((0, 5, 4)), policy).steps.blocks.max() == 2
    with pytest.raises(InputError, match=r"request 1 is longer than the KV cache, given '9 tokens', allowed: 8 tokens"):
        simulate(flat(1.0), trace((0, 1, 1), (0, 5, 5)), policy)


def test_a_policy_beyond_the_tables_is_refused() -> None:
    for name in ("token_budget", "most_sequences"):
        policy = dataclasses.replace(Policy(token_budget=8, most_sequences=2, blocks=9), **{name: SIZE + 1})
        with pytest.raises(InputError, match=f"{name} exceeds the step model, given 65, allowed: at most 64"):
            simulate(flat(1.0), trace((0, 1, 1)), policy)


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


@pytest.mark.parametrize("name", ["token_budget", "most_sequences", "blocks", "block_size", "chunk"])
def test_a_limit_below_one_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least 1, given 0"):
        dataclasses.replace(Policy(token_budget=1, most_sequences=1, blocks=1), **{name: 0})
