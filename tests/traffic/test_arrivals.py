"""Traffic made by rule: distributions within five standard errors, seeds, and common random numbers."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats

from tapeout.errors import InputError
from tapeout.traffic.arrivals import closed_loop, diurnal, diurnal_sharpness, faster, gamma, mean_rate, poisson, weibull, weibull_shape
from tapeout.traffic.requests import Requests
from tapeout.workload.traffic import Lengths

COUNT = 20_000
FIXED = Lengths(prompt=10, output=10)


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


@pytest.mark.parametrize("variation", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("made", [gamma, weibull])
def test_bursts_have_the_rate_and_the_variation(made: Callable[..., Requests], variation: float) -> None:
    gaps = np.diff(made(COUNT, 4.0, variation, FIXED, seed=3).arrival)
    assert abs(gaps.mean() - 0.25) < 5 * 0.25 * variation / math.sqrt(COUNT)
    # Fourth moments of these shapes stay below 60 times the square of the variance.
    assert abs(gaps.var() / (0.25 * variation) ** 2 - 1) < 5 * math.sqrt(60 / COUNT)


def test_gamma_gaps_are_gamma_and_weibull_gaps_weibull() -> None:
    """Kolmogorov-Smirnov against SciPy's own distributions, at one in ten thousand."""
    gamma_gaps = np.diff(gamma(COUNT, 1.0, 2.0, FIXED, seed=3).arrival)
    weibull_gaps = np.diff(weibull(COUNT, 1.0, 2.0, FIXED, seed=3).arrival)
    shape = weibull_shape(2.0)
    assert stats.kstest(gamma_gaps, stats.gamma(0.25, scale=4.0).cdf).pvalue > 1e-4
    assert stats.kstest(weibull_gaps, stats.weibull_min(shape, scale=1 / math.gamma(1 + 1 / shape)).cdf).pvalue > 1e-4
    assert stats.kstest(gamma_gaps, stats.weibull_min(shape, scale=1 / math.gamma(1 + 1 / shape)).cdf).pvalue < 1e-4


@pytest.mark.parametrize("variation", [0.02, 0.3, 1.0, 5.0, 20.0])
def test_the_weibull_shape_gives_its_variation(variation: float) -> None:
    mean, variance = stats.weibull_min(weibull_shape(variation)).stats("mv")
    assert math.sqrt(variance) / mean == pytest.approx(variation, rel=1e-6)


def test_a_day_has_its_mean_its_peak_and_its_trough() -> None:
    rate, period, peak = 10.0, 1000.0, 2.5
    arrival = diurnal(COUNT, rate, period, peak, FIXED, seed=5).arrival
    whole = arrival[arrival < 2 * period]
    # Two whole periods: the count of a Poisson process scatters by its root.
    assert abs(len(whole) - 2 * period * rate) < 5 * math.sqrt(2 * period * rate)
    near = np.abs(whole % period - period / 2) < period / 50
    seen, expected = near.sum(), 2 * period / 25 * rate * peak
    assert abs(seen - expected) < 5 * math.sqrt(expected) + 0.02 * expected
    assert np.histogram(whole % period, bins=10)[0].argmin() in (0, 9)


def test_a_flat_day_is_poisson() -> None:
    gaps = np.diff(diurnal(COUNT, 1.0, 500.0, 1.0, FIXED, seed=5).arrival)
    assert stats.kstest(gaps, stats.expon.cdf).pvalue > 1e-4


def test_faster_scales_times_alone() -> None:
    slow = poisson(50, 1.0, FIXED, seed=1)
    fast = faster(slow, 4.0)
    assert (fast.arrival * 4 == slow.arrival).all()
    assert mean_rate(fast) == pytest.approx(4 * mean_rate(slow))
    assert (fast.prompt == slow.prompt).all()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: gamma(5, 1.0, 0.0, FIXED, seed=1), "coefficient of variation"),
        (lambda: weibull(5, 1.0, math.nan, FIXED, seed=1), "coefficient of variation"),
        (lambda: diurnal(5, 1.0, 0.0, 2.0, FIXED, seed=1), "period"),
        (lambda: diurnal(5, 1.0, 10.0, 0.5, FIXED, seed=1), "peak over the mean"),
        (lambda: faster(poisson(5, 1.0, FIXED, seed=1), math.inf), "factor"),
        (lambda: mean_rate(closed_loop(5, 2, FIXED, seed=1)), "closed loop"),
    ],
)
def test_impossible_traffic_is_refused(make: Callable[[], object], what: str) -> None:
    with pytest.raises(InputError, match=what):
        make()


@pytest.mark.parametrize("peak", [1.001, 1.5, 3.0, 20.0])
def test_the_sharpness_of_a_day_is_that_of_a_bessel_function(peak: float) -> None:
    """exp(k cos) has the mean I0(k), so its peak over its mean is exp(k) / I0(k)."""
    assert 1 / special.i0e(diurnal_sharpness(peak)) == pytest.approx(peak, rel=1e-9)
