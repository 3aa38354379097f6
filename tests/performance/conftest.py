"""Small chips and models for the laws: plain numbers, so that a law can change one at a time."""

from dataclasses import replace

import pytest

from tapeout.hardware.chip import Chip, Link, Memory, NumberFormat, Topology
from tapeout.provenance import Grade, Sourced
from tapeout.units import Unit
from tapeout.workload.architecture import Architecture, Attention, FeedForward, LayerGroup


def number(value: float) -> Sourced[float]:
    return Sourced(value=value, low=value, high=value, source="tapeout-estimate", place="test", grade=Grade.GUESS, unit=Unit("1"))


@pytest.fixture
def hopper() -> Chip:
    return Chip(
        id="test-hopper",
        name="Test",
        vendor="test",
        generation="hopper",
        released="2022-10-01",
        peak={NumberFormat.BF16: number(989e12), NumberFormat.FP8: number(1979e12)},
        memory=Memory(kind="HBM3", capacity=number(80e9), bandwidth=number(3.35e12)),
        scale_up=Link(bandwidth=number(450e9), topology=Topology.SWITCH, domain=8),
        power=number(700.0),
    )


@pytest.fixture
def dense() -> Architecture:
    attention = Attention(heads=32, kv_heads=8, head_size=128, value_size=128)
    group = LayerGroup(count=32, attention=attention, feed_forward=FeedForward(size=14336))
    return Architecture(name="dense-8b", family="llama", hidden=4096, vocabulary=128256, max_context=131072, groups=(group,))


@pytest.fixture
def mixture(dense: Architecture) -> Architecture:
    feed_forward = FeedForward(size=1536, experts=64, experts_per_token=4, shared_size=1536)
    return replace(dense, name="mixture", groups=(replace(dense.groups[0], feed_forward=feed_forward),))
