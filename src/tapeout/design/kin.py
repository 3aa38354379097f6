"""What an own chip must share with the chips whose efficiencies it inherits, so that they can be expected of it.

How much of its peak a matrix unit reaches was measured where operands wait in so much on-chip memory, on tiles of so many rows. Nothing
in the step law knows either, so without this rule the cheapest design would have almost no memory on chip.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated

import numpy as np

from tapeout.hardware.catalog import chips
from tapeout.hardware.chip import NumberFormat
from tapeout.hardware.custom import kin_generation
from tapeout.hardware.designs import Designs, Flags
from tapeout.performance.efficiency import efficiencies
from tapeout.units import Unit

BytesPerPeak = Annotated[float, Unit("B s/FLOP")]
SLACK = 1e-9
LARGEST_TILE = 128
"""Rows and columns of the largest matrix unit searched: products were measured on tiles of at most so many."""


@cache
def on_chip_memory_per_peak(formats: tuple[NumberFormat, ...]) -> BytesPerPeak:
    """The least on-chip memory over bf16 peak among the catalogue's chips of the generation that is kin.

    >>> round(on_chip_memory_per_peak((NumberFormat.BF16, NumberFormat.FP8)) * 1e12 / 2**20, 1)  # MiB for each TFLOP/s
    0.1
    """
    table, name = efficiencies(), kin_generation(formats)
    while table[name].kin and not any(chip.generation == name and chip.on_chip_memory for chip in chips().values()):
        name = table[name].kin
    kin = [chip for chip in chips().values() if chip.generation == name]
    return min(chip.on_chip_memory.value / chip.peak[NumberFormat.BF16].value for chip in kin if chip.on_chip_memory)


def enough_on_chip_memory(designs: Designs, formats: tuple[NumberFormat, ...]) -> Flags:
    """On-chip memory >= bf16 peak x what the kin has for each FLOP/s."""
    need = 2 * designs.multipliers * designs.clock * on_chip_memory_per_peak(formats)
    return np.asarray(designs.on_chip_memory + designs.base_memory >= need * (1 - SLACK), dtype=np.bool_)
