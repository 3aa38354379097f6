"""Memory beside the compute dies: how many stacks or devices a chip carries."""

from __future__ import annotations

import math

from tapeout.hardware.chip import Chip
from tapeout.hardware.process import MemoryGeneration

BINARY = 2**30 / 1e9
"""Bytes of a gibibyte over those of a gigabyte."""


def memory_units(chip: Chip, memory: MemoryGeneration) -> int:
    """Stacks or devices that hold the chip's capacity and carry its bandwidth.

    The fewest units with the largest capacity of the generation and its usual bandwidth, at least one; a unit of 8 GB holds 8 GiB.
    On chips shipped up to 2025 it is exact to one unit; stacks run faster than usual, as announced for Vera Rubin, are counted as more.
    """
    needed = max(chip.memory.capacity.value / (memory.capacity.high * BINARY), chip.memory.bandwidth.value / memory.bandwidth.value)
    return max(1, math.ceil(needed - 0.1))
