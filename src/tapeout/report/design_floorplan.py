"""A floorplan to scale: dies with their blocks, and memory beside them. Areas are the model's; where a block lies is a drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from tapeout.hardware.limits import Built
from tapeout.hardware.process import manufacturing, memories
from tapeout.units import Metres, SquareMetres

BLOCKS = {
    "matrix": "Matrix units",
    "vector": "Vector lanes",
    "on_chip_memory": "On-chip memory",
    "memory_interface": "Memory interface",
    "links": "Links",
    "die_to_die": "Die to die",
    "host": "Host",
    "unnamed": "Network on chip and rest",
}
MEMORY = "Memory"
GAP: Metres = 5e-4
DEVICE_AREA: SquareMetres = 14e-3 * 12e-3
"""How large a device beside the package is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A block of the drawing, from its corner at the upper left; lengths in metres."""

    name: str
    left: Metres
    top: Metres
    width: Metres
    height: Metres

    @property
    def area(self) -> SquareMetres:
        """Width times height."""
        return self.width * self.height

    def moved(self, right: Metres, down: Metres) -> Rectangle:
        """The same block elsewhere."""
        return Rectangle(name=self.name, left=self.left + right, top=self.top + down, width=self.width, height=self.height)


def floorplan(built: Built) -> list[Rectangle]:
    """The first design of `built`: two dies stand one above the other, four in a square, memory in a column to each side."""
    dies, stacks = int(built.designs.dies[0]), int(built.designs.stacks[0])
    die = _die({field.name: float(getattr(built.dies, field.name)[0]) for field in fields(built.dies)})
    width, height = max(each.left + each.width for each in die), max(each.top + each.height for each in die)
    across = 2 if dies == 4 else 1
    down = math.ceil(dies / across)
    found = [each.moved((place % across) * (width + GAP), (place // across) * (height + GAP)) for place in range(dies) for each in die]
    return found + _memory(built, stacks, across * (width + GAP) - GAP, down * (height + GAP) - GAP)


def _die(areas: dict[str, SquareMetres]) -> list[Rectangle]:
    """One die: memory interfaces along both long edges, links and host at the top, the joint at the bottom, all else in bands between."""
    make = manufacturing()
    total = sum(areas.values())
    height = min(make.reticle_length.value, math.sqrt(total * make.reticle_length.value / make.reticle_width.value))
    width = total / height
    side = areas["memory_interface"] / 2 / height
    found = [Rectangle(name="memory_interface", left=left, top=0.0, width=side, height=height) for left in (0.0, width - side) if side > 0]
    inner, top = width - 2 * side, 0.0
    edge = areas["links"] + areas["host"]
    for name, left in (("links", side), ("host", side + inner * areas["links"] / edge if edge else side)):
        if areas[name] > 0:
            found.append(Rectangle(name=name, left=left, top=0.0, width=inner * areas[name] / edge, height=edge / inner))
    top = edge / inner
    for name in ("matrix", "vector", "on_chip_memory", "unnamed", "die_to_die"):
        if areas[name] > 0:
            found.append(Rectangle(name=name, left=side, top=top, width=inner, height=areas[name] / inner))
            top += areas[name] / inner
    return found


def _memory(built: Built, count: int, width: Metres, height: Metres) -> list[Rectangle]:
    area = list(memories().values())[int(built.designs.memory[0])].package_area or DEVICE_AREA
    beside = math.ceil(count / 2)
    tall = min(math.sqrt(area), max((height - (beside - 1) * GAP) / beside, math.sqrt(area) * 0.75))
    wide = area / tall
    start = (height - beside * (tall + GAP) + GAP) / 2
    found = []
    for place in range(count):
        left = -wide - GAP if place % 2 == 0 else width + GAP
        found.append(Rectangle(name=MEMORY, left=left, top=start + (place // 2) * (tall + GAP), width=wide, height=tall))
    return found
