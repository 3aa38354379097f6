"""Collectives: zero bytes cost latency only, large messages the bandwidth of the algorithm, and topology and domains show."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.hardware.catalog import chip
from tapeout.hardware.chip import Chip, Topology
from tapeout.performance.collectives import LAWS, all_gather, all_reduce, all_to_all, send
from tapeout.performance.rates import Rates, rates
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model
from tapeout.workload.numerics import Numerics, numerics
from tapeout.workload.operators import Role


@pytest.fixture
def found(hopper: Chip, dense: Architecture) -> Rates:
    return rates([(hopper, numerics(dense, "bf16"))])


def one(value: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([value])


def test_large_messages_run_at_the_algorithm_bandwidth(found: Rates) -> None:
    message, peers = one(1e13), one(8.0)
    assert all_reduce(message, peers, found) == pytest.approx(2 * 7 / 8 * 1e13 / found.all_reduce_bytes, rel=1e-2)
    assert all_gather(message, peers, found) == pytest.approx(7 / 8 * 1e13 / found.gather_bytes, rel=1e-2)
    assert all_to_all(message, peers, found) == pytest.approx(1e13 / found.all_to_all_bytes, rel=1e-2)
    assert send(message, one(2.0), found) == pytest.approx(1e13 / found.gather_bytes, rel=1e-2)


def test_no_bytes_take_the_latency(found: Rates) -> None:
    latency = found.all_reduce_launch + 8 * found.all_reduce_peer
    assert all_reduce(one(0.0), one(8.0), found) == pytest.approx(latency)


@given(message=st.floats(1e3, 1e10), peers=st.integers(2, 8))
def test_chunks_are_as_good_as_the_best_number_of_them(message: float, peers: int) -> None:
    """An independent count: n chunks take the first chunk's time alone, then all of them, each `chunk` late."""
    known = rates([(chip("nvidia-h100-sxm"), numerics_of("bf16"))])
    busy = float((peers - 1) / peers * message / known.gather_bytes[0])
    delay = float(known.gather_chunk[0])
    latency = float(known.gather_launch[0] + peers * known.gather_peer[0])
    best = latency + min(busy + busy / n + n * delay for n in np.geomspace(1e-4, 1e7, 20_000))
    assert all_gather(one(message), one(float(peers)), known)[0] == pytest.approx(best, rel=1e-4)


def numerics_of(precision: str) -> Numerics:

    return numerics(model("meta-llama/Llama-3.1-8B"), precision)


@pytest.mark.parametrize("role", LAWS)
def test_crossing_the_domain_is_never_faster(found: Rates, role: Role) -> None:
    rack = dataclasses.replace(found, domain=one(72.0))
    for message in (1e3, 1e6, 1e9):
        inside = LAWS[role](one(message), one(16.0), rack)
        assert LAWS[role](one(message), one(16.0), found) >= inside


def test_across_nodes_each_chip_sends_its_part_of_the_sum(found: Rates) -> None:
    """16 chips in two nodes of eight: 2 x 7/8 of the message inside, then 2 x 1/2 of an eighth of it over the network."""
    message = 1e13
    expected = 2 * 7 / 8 * message / found.all_reduce_bytes + message / 8 / found.all_reduce_out_bytes
    assert all_reduce(one(message), one(16.0), found) == pytest.approx(expected, rel=1e-2)
    # Of the 15 others 8 are in the other node.
    sent = message * (7 / 15 / found.all_to_all_bytes + 8 / 15 / found.all_to_all_out_bytes)
    assert all_to_all(one(message), one(16.0), found) == pytest.approx(sent, rel=1e-2)


def test_a_ring_pays_latency_for_every_peer(hopper: Chip, dense: Architecture) -> None:
    ring = dataclasses.replace(hopper, scale_up=dataclasses.replace(hopper.scale_up, topology=Topology.RING))
    small, peers = one(256.0), one(8.0)
    times = [all_reduce(small, peers, rates([(chip, numerics(dense, "bf16"))])) for chip in (hopper, ring)]
    assert times[1] > 3 * times[0]
