"""Laws of one engine in the plain loop, on small traces under tight limits that shrink to the least that breaks one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.serving.plain_outcome import PlainOutcome
from tapeout.serving.policy import Policy
from tapeout.serving.step_model import StepModel
from tapeout.traffic.arrivals import closed_loop
from tapeout.traffic.requests import Requests
from tapeout.workload.traffic import Lengths

from .schedules import alone, curved


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


def ends(outcome: PlainOutcome) -> set[float]:
    return set((outcome.steps[0].start + outcome.steps[0].seconds).tolist())


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_requests_and_tokens_are_conserved(run: tuple[StepModel, Requests, Policy]) -> None:
    outcome = alone(*run)
    requests = outcome.requests
    for times in (outcome.arrival, outcome.scheduled, outcome.first_token, outcome.completion):
        assert (times >= 0).all()
    needed = int((requests.prompt + requests.output - 1).sum())
    computed = int(outcome.steps[0].tokens.sum())
    assert outcome.preemptions.sum() == outcome.steps[0].preempted.sum()
    if outcome.preemptions.any():
        # A preempted request had computed a token at least and at most all but its last.
        lost = outcome.preemptions * (requests.prompt + requests.output - 1)
        assert needed + outcome.preemptions.sum() <= computed <= needed + int(lost.sum())
    else:
        assert computed == needed


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_blocks_are_conserved(run: tuple[StepModel, Requests, Policy]) -> None:
    _, requests, policy = run
    outcome = alone(*run)
    assert ((outcome.steps[0].blocks > 0) & (outcome.steps[0].blocks <= policy.blocks)).all()
    # Whoever ends with the last step was all that ran in it: a block lost or given twice on the way would show here.
    last = outcome.completion == outcome.completion.max()
    held = [policy.blocks_for(int(tokens)) for tokens in (requests.prompt + requests.output - 1)[last]]
    assert outcome.steps[0].blocks[-1] == sum(held)


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_the_clock_is_monotone_and_no_token_comes_before_its_request(run: tuple[StepModel, Requests, Policy]) -> None:
    model, requests, _ = run
    outcome = alone(*run)
    start, seconds = outcome.steps[0].start, outcome.steps[0].seconds
    assert (seconds > 0).all()
    assert (start[1:] >= start[:-1] + seconds[:-1]).all()
    assert (outcome.scheduled >= outcome.arrival + model.request).all()
    assert (outcome.first_token > outcome.scheduled).all()
    assert (outcome.completion >= outcome.first_token + (requests.output - 1) * seconds.min() * (1 - 1e-12)).all()
    assert set(outcome.scheduled.tolist()) <= set(start.tolist())
    assert set(outcome.first_token.tolist()) | set(outcome.completion.tolist()) <= ends(outcome)


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_work_is_conserved(run: tuple[StepModel, Requests, Policy]) -> None:
    model, requests, policy = run
    outcome = alone(*run)
    steps = outcome.steps[0]
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
        | (policy.blocks - steps.blocks < policy.blocks_for(most))
    )
    assert kept_out[steps.waiting > 0].all()


@settings(max_examples=150, deadline=None)
@given(run=runs())
def test_limits_hold(run: tuple[StepModel, Requests, Policy]) -> None:
    _, _, policy = run
    steps = alone(*run).steps[0]
    assert ((steps.tokens >= 1) & (steps.tokens <= policy.token_budget)).all()
    assert (steps.running <= policy.most_sequences).all()
    # No admission in a step that preempted.
    held_back = steps.preempted[1:] > 0
    assert (steps.running[1:] <= steps.running[:-1] - steps.preempted[1:])[held_back].all()


@settings(max_examples=100, deadline=None)
@given(run=runs())
def test_first_come_is_first_scheduled(run: tuple[StepModel, Requests, Policy]) -> None:
    outcome = alone(*run)
    order = np.argsort(outcome.arrival, kind="stable")
    if not outcome.preemptions.any():
        assert (np.diff(outcome.scheduled[order]) >= 0).all()


@settings(max_examples=100, deadline=None)
@given(run=runs())
def test_running_sequences_over_time_are_time_over_requests(run: tuple[StepModel, Requests, Policy]) -> None:
    """Little's law where it is an identity: seconds of running by step and by request agree, as long as nobody is preempted."""
    outcome = alone(*run)
    by_step = float(outcome.steps[0].running @ outcome.steps[0].seconds)
    by_request = float((outcome.completion - outcome.scheduled).sum())
    if outcome.preemptions.any():
        assert by_step <= by_request * (1 + 1e-12)
    else:
        assert by_step == pytest.approx(by_request, rel=1e-9)


def test_a_closed_loop_keeps_its_users_busy() -> None:
    outcome = alone(curved(), closed_loop(60, 6, Lengths(prompt=12, output=9), seed=1), Policy(token_budget=32, most_sequences=4, blocks=9))
    last_sent = outcome.arrival.max()
    moments = np.linspace(0, last_sent, 500, endpoint=False)
    arrived, left = (np.searchsorted(np.sort(times), moments, side="right") for times in (outcome.arrival, outcome.completion))
    assert (arrived - left == 6).all()
