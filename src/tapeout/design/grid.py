"""The grid that a search covers where nothing else is said: some million designs around what has been built."""

from __future__ import annotations

from tapeout.design.kin import LARGEST_TILE
from tapeout.design.space import MatrixUnits, MemoryChoice, ScaleUp, Space
from tapeout.errors import InputError
from tapeout.hardware.parameters import OwnChip
from tapeout.hardware.process import memories, memory_generation, processes
from tapeout.units import GB, MIB

OLDEST = 2018
"""Year of the oldest node searched: what is older needs so much more power that no design of it comes near."""
DIES = (1, 2, 4)
UNITS = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512)
TILES = (64, LARGEST_TILE)
CLOCKS = tuple(step * 1e8 for step in range(8, 20, 2))
ON_CHIP = tuple(size * MIB for size in (32, 64, 128, 192, 256, 384))
STACKED, DEVICES = (2, 4, 6, 8, 12), (8, 16, 24)
LINKS = tuple(size * GB for size in (200, 450, 900, 1800))


def usual_space(like: OwnChip, *, year: int) -> Space:
    """The grid for a design that starts in `year`: formats, fabric, scale-out, spare units and power limit are those of `like`.

    Nodes are those in production by then, memories the generations no faster than that of `like`. Raises InputError where no node is.
    """
    nodes = tuple(node.id for node in processes().values() if OLDEST <= node.year <= year)
    if not nodes:
        first = min(node.year for node in processes().values() if node.year >= OLDEST)
        raise InputError("no process node is in production by then", given=year, allowed=f"{first} or later")
    fastest = memory_generation(like.memory).bandwidth.value
    generations = [one for one in memories().values() if one.bandwidth.value <= fastest]
    newest = [one for one in generations if one.stacked][-2:] + [one for one in generations if not one.stacked and one.id[-1] in "7x"]
    choices = [MemoryChoice(generation=one.id, stacks=count) for one in newest for count in (STACKED if one.stacked else DEVICES)]
    return Space(
        nodes=nodes,
        dies=DIES,
        matrix_units=tuple(MatrixUnits(number=number, rows=tile, columns=tile) for tile in TILES for number in UNITS),
        clocks=CLOCKS,
        on_chip_memories=ON_CHIP,
        memories=tuple(choices),
        scale_ups=tuple(ScaleUp(bandwidth=link, domain=like.domain, topology=like.topology) for link in LINKS),
        formats=like.formats,
        spare=like.spare,
        scale_out=like.scale_out,
        power_limit=like.power_limit,
        released=like.released,
    )
