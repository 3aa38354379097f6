"""Limits by the peaks alone: published numbers stay below them, a dense model's follow from its size, and faster than that is found."""

import math

import numpy as np
import pytest

from tapeout.calibration.bounds import limit_shares
from tapeout.calibration.measurements import Quantity, published, scored

from .conftest import OFFLINE, Read


def test_no_scored_result_beats_the_peaks_of_its_chip() -> None:
    rows = scored(published())
    for quantity, shares in limit_shares(rows).items():
        beaten = [row.name for row, share in zip(rows, shares, strict=True) if share > 1]
        assert beaten == [], quantity


def test_the_limits_are_near_enough_to_find_a_mislabelled_row() -> None:
    """Doubled tokens/s, as of two chips written for one, pass the limit in the fastest rows; the A100 rows of Mixtral are such."""
    rows = published()
    shares = limit_shares(rows)[Quantity.RATE]
    kept = np.array([not row.excluded for row in rows])
    assert np.nanmax(shares[kept]) > 0.6
    assert [rows[index].model for index in np.flatnonzero(shares > 1)] == ["mistralai/Mixtral-8x7B-v0.1"]


def test_a_token_takes_at_least_the_weights_over_the_bandwidth(read: Read) -> None:
    """Llama 3.1 8B in bf16 on one H100: 7.50e9 weights of 2 bytes outside the embedding over 3.35 TB/s are 4.48 ms."""
    (row,) = read({"precision": "bf16", "concurrency": "1", "isl": "1", "osl": "2", "tpot_ms": "4.48", "ttft_ms": "1e9"})
    shares = limit_shares([row])
    assert shares[Quantity.TPOT][0] == pytest.approx(1.0, rel=0.01)


def test_a_long_context_is_read_at_every_token(read: Read) -> None:
    """32 layers x 2 x 8 heads x 128 bytes a token in fp8, 0.8 of 100,000 of them, and 8.03e9 bytes of weights: 13.5e9 over 3.35 TB/s."""
    (row,) = read({"concurrency": "1", "isl": "100000", "osl": "10000", "tpot_ms": "4.04", "ttft_ms": "1e9"})
    assert limit_shares([row])[Quantity.TPOT][0] == pytest.approx(1.0, rel=0.01)


def test_a_prompt_takes_at_least_its_flops_over_the_peak(read: Read) -> None:
    """2 x 7.0e9 FLOPs a token of the layers alone, 0.8 of 8192 tokens, 1979 TFLOP/s in fp8: 46 ms, and attention adds a little."""
    (row,) = read({"isl": "8192", "ttft_ms": "46"})
    assert limit_shares([row])[Quantity.TTFT][0] == pytest.approx(1.1, abs=0.1)


def test_saturation_is_capped_by_compute_and_by_the_requests_in_flight(read: Read) -> None:
    """At 128 in and out a token costs 4 x 8e9 FLOPs: 62,000 tokens/s at the peak; one request reads 7.5e9 bytes a token: 446/s."""
    many, one = read(OFFLINE | {"isl": "128", "osl": "128"}, OFFLINE | {"isl": "128", "osl": "128", "concurrency": "1"})
    found = limit_shares([many, one])[Quantity.RATE]
    assert 5000 / found[0] == pytest.approx(65_000, rel=0.1)
    assert 5000 / found[1] == pytest.approx(420, rel=0.1)


def test_faster_shares_more_and_more_chips_share_less(read: Read) -> None:
    rows = read(
        OFFLINE, OFFLINE | {"output_tokens_per_s_per_chip": "10000"}, {"tpot_ms": "5"}, {"tpot_ms": "10"}, {"chips": "2", "tp": "2"}
    )
    shares = limit_shares(rows)
    assert shares[Quantity.RATE][1] == pytest.approx(2 * shares[Quantity.RATE][0])
    assert shares[Quantity.TPOT][2] > shares[Quantity.TPOT][3] > shares[Quantity.TPOT][4]


def test_what_is_not_measured_or_not_known_has_no_share(read: Read) -> None:
    rows = read(OFFLINE, {"chip": "nvidia-h100-smx"}, {"ttft_ms": ""})
    shares = limit_shares(rows)
    assert math.isnan(shares[Quantity.TTFT][0])
    assert all(math.isnan(found[1]) for found in shares.values())
    assert math.isnan(shares[Quantity.TTFT][2])
    assert shares[Quantity.TPOT][2] > 0
    assert all(math.isnan(found[0]) for found in limit_shares(rows[1:2]).values())
