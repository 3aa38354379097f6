"""Lengths: means in closed form against samples, and faults."""

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.workload.traffic import Lengths, RequestKind, RequestMix


def test_fixed_lengths_do_not_vary() -> None:
    inputs, outputs = Lengths(prompt=1024, output=128).sample(50, np.random.default_rng(1))
    assert set(inputs.tolist()) == {1024}
    assert set(outputs.tolist()) == {128}


def test_spread_lengths_fill_their_range_and_keep_their_mean() -> None:
    lengths, requests = Lengths(prompt=1000, output=500, shortest=0.8), 40_000
    inputs, outputs = lengths.sample(requests, np.random.default_rng(2))
    assert (inputs.min(), inputs.max()) == (800, 1000)
    # Five standard errors of a uniform distribution of this width.
    assert inputs.mean() == pytest.approx(lengths.mean_prompt, abs=5 * 200 / np.sqrt(12 * requests))
    assert outputs.mean() == pytest.approx(lengths.mean_output, abs=5 * 100 / np.sqrt(12 * requests))
    assert abs(np.corrcoef(inputs, outputs)[0, 1]) < 5 / np.sqrt(requests)


def test_a_mix_draws_its_kinds_by_share() -> None:
    short, long = Lengths(prompt=10, output=20), Lengths(prompt=1000, output=2000)
    mix = RequestMix(kinds=(RequestKind(share=0.7, lengths=short), RequestKind(share=0.3, lengths=long)))
    requests = 40_000
    inputs, outputs = mix.sample(requests, np.random.default_rng(3))
    assert np.mean(inputs == 1000) == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / requests))
    assert np.array_equal(inputs == 1000, outputs == 2000)
    assert inputs.mean() == pytest.approx(mix.mean_prompt, abs=5 * 990 * np.sqrt(0.21 / requests))


@pytest.mark.parametrize(
    "change",
    [{"prompt": 0}, {"output": float("nan")}, {"prompt": float("inf")}, {"shortest": 0.0}, {"shortest": 1.1}, {"shortest": float("nan")}],
)
def test_impossible_lengths_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Lengths(**({"prompt": 10.0, "output": 10.0} | change))


@pytest.mark.parametrize("shares", [(), (0.5,), (0.5, 0.6), (1.0, 0.0), (1.5, -0.5)])
def test_shares_that_make_no_whole_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="sum to 1"):
        RequestMix(kinds=tuple(RequestKind(share=share, lengths=Lengths(prompt=1, output=1)) for share in shares))
