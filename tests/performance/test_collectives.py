"""Collectives: zero bytes cost latency only, large messages the bandwidth of the algorithm, and topology shows."""

import dataclasses

import numpy as np
import pytest

from tapeout.hardware.chip import Chip, Topology
from tapeout.performance.collectives import all_reduce, all_to_all, send
from tapeout.performance.rates import rates
from tapeout.workload.architecture import Architecture
from tapeout.workload.numerics import numerics


def test_large_messages_run_at_the_algorithm_bandwidth(hopper: Chip, dense: Architecture) -> None:
    found = rates([(hopper, numerics(dense, "bf16"))])
    message, peers = np.array([1e10]), np.array([8.0])
    assert all_reduce(message, peers, found) == pytest.approx(2 * 7 / 8 * 1e10 / found.link_bytes, rel=1e-2)
    assert all_to_all(message, peers, found) == pytest.approx(1e10 / found.all_to_all_bytes, rel=1e-2)
    assert send(message, peers, found) == pytest.approx(1e10 / found.link_bytes, rel=1e-2)


def test_crossing_the_domain_is_never_faster(hopper: Chip, dense: Architecture) -> None:
    found = rates([(hopper, numerics(dense, "bf16"))])
    rack = dataclasses.replace(found, domain=np.array([72.0]))
    for message in (1e3, 1e6, 1e9):
        inside = all_reduce(np.array([message]), np.array([16.0]), rack)
        assert all_reduce(np.array([message]), np.array([16.0]), found) >= inside


def test_a_ring_pays_latency_for_every_peer(hopper: Chip, dense: Architecture) -> None:
    ring = dataclasses.replace(hopper, scale_up=dataclasses.replace(hopper.scale_up, topology=Topology.RING))
    small, peers = np.array([256.0]), np.array([8.0])
    times = [all_reduce(small, peers, rates([(chip, numerics(dense, "bf16"))])) for chip in (hopper, ring)]
    assert times[1] > 3 * times[0]
