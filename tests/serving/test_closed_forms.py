"""Simulations against queues that have a formula, within five standard errors over independent runs; laws that hold to the bit."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from tapeout.serving.compiled import COMPILES
from tapeout.serving.outcome import Outcome
from tapeout.serving.policy import Policy
from tapeout.serving.requests import Requests
from tapeout.serving.simulator import simulate
from tapeout.serving.step_model import AttentionCost, DecodeCost, StepModel

RUNS, REQUESTS, WARM = 24, 16_000, 2000
LONGEST = 20_000
many_requests = pytest.mark.skipif(not COMPILES, reason="takes minutes without numba, which the package depends on")


def by_token(seconds: float, longest: int = LONGEST) -> StepModel:
    """A step takes so long for each of its tokens."""
    return StepModel(token_seconds=seconds * np.arange(longest + 1.0), sequence_seconds=np.zeros(longest + 1))


def steady(
    rate: float, model: StepModel, policy: Policy, lengths: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]], seed: int
) -> Outcome:
    generator = np.random.default_rng(seed)
    prompt, output = lengths(generator)
    requests = Requests(arrival=np.cumsum(generator.exponential(1 / rate, REQUESTS)), prompt=prompt, output=output)
    return simulate(model, requests, policy, records=False)


def agrees(samples: list[float], theory: float, error: float = 0.0) -> bool:
    """Whether the mean is the theory's within five standard errors and a known `error` of the theory itself."""
    mean, spread = float(np.mean(samples)), float(np.std(samples, ddof=1)) / math.sqrt(len(samples))
    assert spread < 0.05 * theory, "too few runs for the test to mean anything"
    return abs(mean - theory) < 5 * spread + error


ONE_AT_A_TIME = Policy(token_budget=LONGEST, most_sequences=1, blocks=LONGEST)


@many_requests
@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_exponential_prompts_one_at_a_time_are_an_m_m_1_queue(load: float) -> None:
    def lengths(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        drawn = np.clip(np.rint(generator.exponential(1000, REQUESTS)), 1, LONGEST)
        return drawn.astype(np.int64), np.ones(REQUESTS, dtype=np.int64)

    runs = [steady(load, by_token(1e-3), ONE_AT_A_TIME, lengths, seed) for seed in range(RUNS)]
    stays = [(run.completion - run.arrival)[WARM:] for run in runs]
    assert agrees([float(stay.mean()) for stay in stays], 1 / (1 - load))
    assert agrees([float(np.percentile(stay, 90)) for stay in stays], math.log(10) / (1 - load))


@many_requests
@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_long_tailed_prompts_one_at_a_time_follow_pollaczek_and_khinchine(load: float) -> None:
    known = np.clip(np.rint(np.random.default_rng(99).lognormal(6.5, 1.0, 500)), 1, LONGEST).astype(np.int64)
    mean, square = 1e-3 * known.mean(), 1e-6 * (known.astype(float) ** 2).mean()

    def lengths(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return generator.choice(known, REQUESTS), np.ones(REQUESTS, dtype=np.int64)

    rate = load / mean
    runs = [steady(rate, by_token(1e-3), ONE_AT_A_TIME, lengths, seed) for seed in range(RUNS)]
    waits = [float((run.scheduled - run.arrival)[WARM:].mean()) for run in runs]
    assert agrees(waits, rate * square / (2 * (1 - load)))


@many_requests
@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_steps_that_take_a_time_a_token_share_the_processor(load: float) -> None:
    """Whatever the lengths, a request that needs x alone takes x / (1 - load); a token is the least that is shared."""
    seconds, mean = 1e-3, 150

    def lengths(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(REQUESTS, dtype=np.int64), generator.geometric(1 / mean, REQUESTS)

    policy = Policy(token_budget=2000, most_sequences=2000, blocks=10**7)
    runs = [steady(load / (seconds * mean), by_token(seconds, 2000), policy, lengths, seed) for seed in range(RUNS)]
    stretch = [float((run.completion - run.first_token)[WARM:].sum() / (seconds * (run.requests.output[WARM:] - 1).sum())) for run in runs]
    assert agrees(stretch, 1 / (1 - load), error=1 / (mean * (1 - load)))


@many_requests
def test_requests_that_never_wait_are_a_poisson_number_and_keep_to_littles_law() -> None:
    seconds, rate, mean = 0.01, 30.0, 50

    def lengths(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(REQUESTS, dtype=np.int64), generator.geometric(1 / mean, REQUESTS)

    model = StepModel(token_seconds=np.full(2001, seconds), sequence_seconds=np.zeros(2001))
    policy = Policy(token_budget=2000, most_sequences=2000, blocks=10**7)
    means, spreads, littles = [], [], []
    for seed in range(RUNS):
        run = steady(rate, model, policy, lengths, seed)
        moments = np.linspace(run.arrival[WARM], run.arrival[-1], 5000)
        present = np.searchsorted(run.arrival, moments, side="right") - np.searchsorted(np.sort(run.completion), moments, side="right")
        means.append(float(present.mean()))
        spreads.append(float(present.var() / present.mean()))
        littles.append(float((run.completion - run.arrival)[WARM:].mean()) * (REQUESTS - WARM) / float(run.arrival[-1] - run.arrival[WARM]))
    # Half a step until the first begins, then one a token.
    assert agrees(means, rate * (mean + 0.5) * seconds)
    assert agrees(littles, rate * (mean + 0.5) * seconds)
    assert agrees(spreads, 1.0)


def test_a_closed_batch_takes_the_sum_of_its_steps() -> None:
    count, prompt, output = 64, 128, 300
    model = StepModel(
        token_seconds=5e-3 + 1e-6 * np.arange(count * prompt + 1), sequence_seconds=np.zeros(count + 1), decode=(DecodeCost(key=4e-8),),
        prefill=(AttentionCost(pair=1e-9),), host_step=1e-4,
    )  # fmt: skip
    requests = Requests(arrival=np.zeros(count), prompt=np.full(count, prompt), output=np.full(count, output))
    outcome = simulate(model, requests, Policy(token_budget=count * prompt, most_sequences=count, blocks=10**6))
    first = 1e-4 + 5e-3 + 1e-6 * count * prompt + 1e-9 * count * prompt * (prompt + 1) / 2
    rest = sum(1e-4 + 5e-3 + 1e-6 * count + 4e-8 * count * (prompt + step) for step in range(1, output))
    assert outcome.first_token == pytest.approx(np.full(count, first), rel=1e-12)
    assert outcome.completion == pytest.approx(np.full(count, first + rest), rel=1e-12)
    assert len(outcome.steps.count) == 2


def scaled(model: StepModel, factor: float) -> StepModel:
    """All times of a model by `factor`, which none of its counts of tokens follow."""
    found = {}
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if isinstance(value, tuple):
            times = [one.name for cost in value[:1] for one in dataclasses.fields(cost) if one.name not in TOKENS]
            value = tuple(dataclasses.replace(cost, **{name: factor * getattr(cost, name) for name in times}) for cost in value)
        else:
            value = factor * value
        found[field.name] = value
    return StepModel(**found)


TOKENS = ("window", "above", "below", "reach", "chunk", "longest")


def test_all_times_by_two_give_results_by_two_to_the_bit() -> None:
    generator = np.random.default_rng(4)
    model = StepModel(
        token_seconds=1e-3 + 1e-5 * generator.random(257), sequence_seconds=1e-5 * generator.random(257),
        decode=(DecodeCost(key=3e-7, full=2e-5, entry=1e-7, longest=40.0),), prefill=(AttentionCost(pair=1e-7, key=1e-7, window=30.0),),
        host_step=1e-4, host_sequence=3e-5, dispatch=2e-3, request=0.003,
    )  # fmt: skip
    requests = Requests(
        arrival=np.cumsum(generator.exponential(0.003, 500)), prompt=generator.integers(1, 100, 500), output=generator.integers(1, 80, 500)
    )
    policy = Policy(token_budget=256, most_sequences=32, blocks=120, swap=1e-4)
    once = simulate(model, requests, policy)
    twice = simulate(
        scaled(model, 2.0), dataclasses.replace(requests, arrival=2 * requests.arrival), dataclasses.replace(policy, swap=2e-4)
    )
    assert once.totals.preemptions > 0
    for name in ("arrival", "scheduled", "first_token", "completion"):
        assert (getattr(twice, name) == 2 * getattr(once, name)).all()
    assert (twice.steps.count == once.steps.count).all()
