"""Traffic made by rule: distributions within five standard errors, seeds, and common random numbers."""

import math

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving.arrivals import closed_loop, poisson
from tapeout.workload.traffic import Lengths

COUNT = 20_000


def test_gaps_are_exponential() -> None:
    gaps = np.diff(poisson(COUNT, 4.0, Lengths(prompt=10, output=10), seed=7).arrival)
    assert abs(gaps.mean() - 0.25) < 5 * 0.25 / math.sqrt(COUNT)
    # The variance of a sample variance of exponential gaps is 8 times the fourth power of the mean, over the count.
    assert abs(gaps.var() - 0.25**2) < 5 * 0.25**2 * math.sqrt(8 / COUNT)
    assert abs((gaps > 0.5).mean() - math.exp(-2)) < 5 * math.sqrt(math.exp(-2) / COUNT)


def test_lengths_are_uniform_from_the_share_of_the_longest() -> None:
    requests = poisson(COUNT, 1.0, Lengths(prompt=1000, output=5, shortest=0.8), seed=7)
    assert (requests.prompt.min(), requests.prompt.max()) == (800, 1000)
    assert abs(requests.prompt.mean() - 900) < 5 * (200 / math.sqrt(12)) / math.sqrt(COUNT)
    assert set(requests.output.tolist()) == {4, 5}
    assert abs((requests.output == 4).mean() - 0.5) < 5 * 0.5 / math.sqrt(COUNT)
    assert abs(np.corrcoef(requests.prompt, requests.output)[0, 1]) < 5 / math.sqrt(COUNT)


def test_a_seed_decides_everything_and_seeds_differ() -> None:
    lengths = Lengths(prompt=1000, output=500, shortest=0.1)
    first, again, other = (poisson(50, 2.0, lengths, seed=seed) for seed in (1, 1, 2))
    for name in ("arrival", "prompt", "output"):
        assert (getattr(first, name) == getattr(again, name)).all()
        assert not (getattr(first, name) == getattr(other, name)).all()


def test_rates_share_their_random_numbers() -> None:
    lengths = Lengths(prompt=1000, output=500, shortest=0.1)
    slow, fast = poisson(50, 1.0, lengths, seed=1), poisson(50, 4.0, lengths, seed=1)
    assert (slow.arrival == 4 * fast.arrival).all()
    assert (slow.prompt == fast.prompt).all()


def test_a_closed_loop_of_more_users_than_requests_starts_them_all() -> None:
    requests = closed_loop(3, 8, Lengths(prompt=10, output=10), seed=1)
    assert requests.users == 3
    assert requests.arrival.tolist() == [0, 0, 0]


@pytest.mark.parametrize("shortest", [0.0, -0.5, 1.01, math.nan])
def test_a_share_outside_its_range_is_refused(shortest: float) -> None:
    with pytest.raises(InputError, match="shortest is a share of the nominal length"):
        Lengths(prompt=10, output=10, shortest=shortest)


def test_other_bad_traffic_is_refused() -> None:
    lengths = Lengths(prompt=10, output=10)
    with pytest.raises(InputError, match="the prompt length must be at least 1 token"):
        Lengths(prompt=0, output=10)
    for rate in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="the rate must be finite and above 0"):
            poisson(5, rate, lengths, seed=1)
    with pytest.raises(InputError, match="at least one request"):
        poisson(0, 1.0, lengths, seed=1)
    with pytest.raises(InputError, match="at least one user"):
        closed_loop(5, 0, lengths, seed=1)
