"""Local refinement: smaller and smaller grids around the best design of a search, as long as one of them holds a better one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from tapeout.design.kin import on_chip_memory_per_peak
from tapeout.design.search import Aim, Design, Found, search
from tapeout.design.space import MatrixUnits, MemoryChoice, ScaleUp, Space
from tapeout.hardware.parameters import OwnChip
from tapeout.units import MIB, Bytes, Dimensionless

Say = Callable[[str], None]

STEPS: tuple[Dimensionless, ...] = (0.08, 0.04, 0.02, 0.01)
"""Relative steps of clock, links and units, from coarse to fine."""
MOST_ROUNDS = 12
"""Grids tried at one step, and passes over all steps."""
LEAST: Dimensionless = 1e-9
"""Gain for which a step is taken."""
CLOCK_STEP, LINK_STEP = 1e7, 1e9


def refined(found: Found, *, say: Say = lambda text: None) -> tuple[Design, int]:
    """The best design reached from `found.best` by steps off the grid, never worse than it, and how many designs were looked at.

    Node, dies, formats and fabric stay; units, clock, on-chip memory, stacks and the links' bandwidth move within the limits,
    the last no farther than on the grid.
    """
    best, looked_at = found.best, 0
    for _ in range(MOST_ROUNDS):
        begun = _value(best, found.aim)
        for step in STEPS:
            best, more = _stepped(found, best, step)
            looked_at += more
        say(f"  ${best.usd_per_token * 1e6:.4f} for a million output tokens, {best.joules_per_token:.4f} J a token")
        if _value(best, found.aim) >= begun * (1 - LEAST):
            break
    return best, looked_at


def _stepped(found: Found, best: Design, step: Dimensionless) -> tuple[Design, int]:
    """The best design reached from `best` by steps of one size, and how many were looked at."""
    looked_at = 0
    for _ in range(MOST_ROUNDS):
        question = replace(found.question, space=around(found.question.space, best.parameters, step))
        here = search(question, aim=found.aim, workers=1)
        looked_at += here.certificate.combinations
        if _value(here.best, found.aim) >= _value(best, found.aim) * (1 - LEAST):
            break
        best = here.best
    return best, looked_at


def around(space: Space, own: OwnChip, step: Dimensionless) -> Space:
    """The designs within one `step` of `own`, itself included; memory on chip is its own, and the least that each of their peaks needs."""
    shares = (1 - step, 1.0, 1 + step)
    clocks = _distinct(CLOCK_STEP * round(own.clock * share / CLOCK_STEP) for share in shares)
    more = max(1, round(own.matrix_units / own.dies * step)) * own.dies
    numbers = [number for number in (own.matrix_units - more, own.matrix_units, own.matrix_units + more) if number > 0]
    stacks = [count for count in (own.stacks - own.dies, own.stacks, own.stacks + own.dies) if count > 0]
    per_peak = on_chip_memory_per_peak(space.formats)
    needed = (_mebibytes(2.0 * number * own.rows * own.columns * clock * per_peak) for number in numbers for clock in (*clocks, own.clock))
    fabric = next(one for one in space.scale_ups if (one.domain, one.topology) == (own.domain, own.topology))
    ends = (min(one.bandwidth for one in space.scale_ups), max(one.bandwidth for one in space.scale_ups))
    steps = (min(max(own.link_bandwidth * share, ends[0]), ends[1]) for share in shares)
    links = _distinct(LINK_STEP * round(link / LINK_STEP) for link in steps)
    return replace(
        space,
        nodes=(own.node,),
        dies=(own.dies,),
        matrix_units=tuple(MatrixUnits(number=number, rows=own.rows, columns=own.columns) for number in numbers),
        clocks=_distinct([*clocks, own.clock]),
        on_chip_memories=_distinct([*needed, own.on_chip_memory]),
        memories=tuple(MemoryChoice(generation=own.memory, stacks=count) for count in stacks),
        scale_ups=tuple(
            ScaleUp(bandwidth=link, domain=fabric.domain, topology=fabric.topology) for link in _distinct([*links, own.link_bandwidth])
        ),
    )


def only(space: Space, own: OwnChip) -> Space:
    """The space of this one design."""
    return replace(
        space,
        nodes=(own.node,),
        dies=(own.dies,),
        matrix_units=(MatrixUnits(number=own.matrix_units, rows=own.rows, columns=own.columns),),
        clocks=(own.clock,),
        on_chip_memories=(own.on_chip_memory,),
        memories=(MemoryChoice(generation=own.memory, stacks=own.stacks),),
        scale_ups=(ScaleUp(bandwidth=own.link_bandwidth, domain=own.domain, topology=own.topology),),
    )


def neighbours(space: Space, own: OwnChip, share: Dimensionless) -> dict[str, Space]:
    """Spaces of one design each, by the parameter of `own` that is times `share` in it; counts stay whole on each die."""

    def counted(number: int) -> int:
        each = number * share / own.dies
        return max(1, math.ceil(each) if share > 1 else math.floor(each)) * own.dies

    changed = {
        "clock": replace(own, clock=own.clock * share),
        "matrix units": replace(own, matrix_units=counted(own.matrix_units)),
        "on-chip memory": replace(own, on_chip_memory=own.on_chip_memory * share),
        "memory stacks": replace(own, stacks=counted(own.stacks)),
        "link bandwidth": replace(own, link_bandwidth=own.link_bandwidth * share),
    }
    return {name: only(space, other) for name, other in changed.items() if other != own}


def _value(design: Design, aim: Aim) -> float:
    return design.usd_per_token if aim is Aim.COST else design.joules_per_token


def _distinct(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(set(values)))


def _mebibytes(size: Bytes) -> Bytes:
    return MIB * -(-size // MIB)
