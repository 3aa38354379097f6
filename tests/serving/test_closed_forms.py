"""Simulations against queues that have a formula, within five standard errors over independent runs."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from tapeout.serving.compiled import COMPILES
from tapeout.serving.outcome import Outcome
from tapeout.serving.policy import Policy
from tapeout.serving.step_model import AttentionCost, DecodeCost, Step, StepModel
from tapeout.traffic.requests import Requests
from tapeout.traffic.synthetic import shipped_trace
from tapeout.traffic.traces import read_trace

from .closeness import agrees
from .simulation import simulated

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
    return simulated(model, requests, policy, records=False)


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
def test_equal_prompts_one_at_a_time_are_an_m_d_1_queue(load: float) -> None:
    def lengths(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.full(REQUESTS, 1000), np.ones(REQUESTS, dtype=np.int64)

    runs = [steady(load, by_token(1e-3), ONE_AT_A_TIME, lengths, seed) for seed in range(RUNS)]
    waits = [(run.scheduled - run.arrival)[WARM:] for run in runs]
    assert agrees([float(wait.mean()) for wait in waits], load / (2 * (1 - load)))
    # Nobody is there with 1 - load, and at most one with (1 - load) exp(load): then a wait is shorter than a service.
    assert agrees([float((wait == 0).mean()) for wait in waits], 1 - load)
    assert agrees([float((wait < 1).mean()) for wait in waits], (1 - load) * math.exp(load))


@many_requests
@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_real_lengths_and_steps_one_at_a_time_follow_pollaczek_and_khinchine(load: float) -> None:
    """Prompts and answers of conversations, on steps with attention; how long each takes alone is added up from its steps."""
    model = StepModel(
        token_seconds=5e-3 + 2e-6 * np.arange(LONGEST + 1), sequence_seconds=np.zeros(2), decode=(DecodeCost(key=2e-8),),
        prefill=(AttentionCost(pair=1e-10),), host_step=1e-4,
    )  # fmt: skip
    seen = read_trace(shipped_trace("synthetic-conversations"), most=300).requests
    needs = np.array([alone(model, prompt, output) for prompt, output in zip(seen.prompt.tolist(), seen.output.tolist(), strict=True)])

    def lengths(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        rows = generator.integers(0, len(needs), REQUESTS)
        return seen.prompt[rows], seen.output[rows]

    rate = load / needs.mean()
    runs = [steady(rate, model, ONE_AT_A_TIME, lengths, seed) for seed in range(RUNS)]
    waits = [float((run.scheduled - run.arrival)[WARM:].mean()) for run in runs]
    assert agrees(waits, rate * (needs**2).mean() / (2 * (1 - load)))


def alone(model: StepModel, prompt: int, output: int) -> float:
    """Seconds of a request that is alone: its prompt in one step, then a token a step."""
    first = model.seconds(Step(prefills=1, prefill_tokens=prompt, prefill_context=prompt, pairs=prompt * (prompt + 1) // 2))
    # All that a step of one more token adds is the same, so a sum of them is that of an arithmetic series.
    second, last = (model.seconds(Step(decodes=1, context=prompt + place)) for place in (1, output - 1))
    return first + (output - 1) * (second + last) / 2 if output > 1 else first


@many_requests
@pytest.mark.parametrize("places", [2, 8])
def test_places_of_an_engine_are_the_servers_of_erlangs_queue(places: int) -> None:
    """A step takes the same whatever is in it, so each place is a server; who comes waits for the end of a step, half of one more."""
    step, mean, load = 1e-3, 400, 0.8

    def lengths(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(REQUESTS, dtype=np.int64), generator.geometric(1 / mean, REQUESTS)

    model = StepModel(token_seconds=np.full(places + 1, step), sequence_seconds=np.zeros(places + 1))
    policy = Policy(token_budget=places, most_sequences=places, blocks=10**6)
    offered = load * places
    terms = [offered**count / math.factorial(count) for count in range(places)]
    all_busy = offered**places / math.factorial(places) / (1 - load)
    waiting = all_busy / (sum(terms) + all_busy) * mean * step / (places * (1 - load))
    runs = [steady(offered / (mean * step), model, policy, lengths, seed) for seed in range(RUNS)]
    waits = [float((run.scheduled - run.arrival)[WARM:].mean()) for run in runs]
    assert agrees(waits, waiting, error=2 * step)


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
    outcome = simulated(model, requests, Policy(token_budget=count * prompt, most_sequences=count, blocks=10**6))
    first = 1e-4 + 5e-3 + 1e-6 * count * prompt + 1e-9 * count * prompt * (prompt + 1) / 2
    rest = sum(1e-4 + 5e-3 + 1e-6 * count + 4e-8 * count * (prompt + step) for step in range(1, output))
    assert outcome.first_token == pytest.approx(np.full(count, first), rel=1e-12)
    assert outcome.completion == pytest.approx(np.full(count, first + rest), rel=1e-12)
    assert len(outcome.steps[0].count) == 2
