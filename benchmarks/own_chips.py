"""Area, power and limits of a million own chips."""

from __future__ import annotations

import numpy as np

from tapeout.hardware.designs import NO_BASE, Designs
from tapeout.hardware.limits import build, feasible
from tapeout.hardware.process import memories, processes

DESIGNS, PART = 1_000_000, 50_000


def designs(count: int) -> Designs:
    """So many designs over all nodes from 7 nm on, all memories, one to four dies; the seed is fixed."""
    draw = np.random.default_rng(0)
    dies, columns = draw.choice([1, 2, 4], count), draw.choice([16, 32, 64, 128], count)
    units = dies * draw.choice([8, 16, 32, 64, 128], count)
    return Designs(
        node=draw.integers(list(processes()).index("tsmc-7"), len(processes()), count),
        dies=dies,
        matrix_units=units,
        rows=draw.choice([16, 32, 64, 128], count),
        columns=columns,
        lanes=units * columns,
        formats=draw.choice([1, 3, 11, 15], count),
        clock=draw.uniform(0.8e9, 2.6e9, count),
        voltage=np.full(count, np.nan),
        on_chip_memory=draw.uniform(16, 400, count) * 2**20,
        memory=draw.integers(0, len(memories()), count),
        stacks=dies * draw.integers(1, 5, count),
        link_bandwidth=draw.uniform(0, 1e12, count),
        scale_out=np.full(count, 50e9),
        die_to_die=np.where(dies > 1, 1e12, 0.0),
        spare=np.full(count, 0.08),
        power_limit=np.full(count, 1500.0),
        base_node=np.full(count, NO_BASE),
        base_dies=np.zeros(count, dtype=np.int64),
        base_memory=np.zeros(count),
    )


def buildable(many: Designs) -> int:
    """How many of the designs keep all limits, in parts that fit the caches."""
    parts = (np.arange(begin, min(begin + PART, many.size)) for begin in range(0, many.size, PART))
    return sum(int(feasible(build(many.take(part))).sum()) for part in parts)
