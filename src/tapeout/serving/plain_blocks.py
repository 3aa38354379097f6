"""Paged KV blocks, one entry a block: who holds which, what they hold, and which free one is used next. Plain, for the plain loop.

Free blocks stand in the order in which they came free, those of one sequence from its last to its first, behind those that are not
full. A block whose content has a
name stays findable until it is used anew; a second block of the same content is given back and the first shared.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class BlockPool:
    """`size` blocks; keys of `free` are names where a free block has one and negative numbers where not."""

    size: int
    free: OrderedDict[int, None] = field(init=False)
    holders: dict[int, int] = field(default_factory=dict)
    serial: int = 0

    def __post_init__(self) -> None:
        self.free = OrderedDict.fromkeys(range(-self.size, 0))
        self.serial = -self.size

    def found(self, names: Sequence[int]) -> list[int]:
        """The leading `names` whose blocks are there."""
        present = []
        for name in names:
            if name not in self.holders:
                break
            present.append(name)
        return present

    def unheld(self, names: Sequence[int]) -> int:
        """How many of the blocks with `names` nobody holds."""
        return sum(self.holders[name] == 0 for name in names)

    def hold(self, names: Sequence[int]) -> None:
        """One more holder of each."""
        for name in names:
            if self.holders[name] == 0:
                del self.free[name]
            self.holders[name] += 1

    def take(self, count: int) -> None:
        """`count` blocks, those free for longest; what they held is lost."""
        for _ in range(count):
            key, _ = self.free.popitem(last=False)
            if key >= 0:
                del self.holders[key]

    def name(self, name: int) -> None:
        """A held block without a name gets one, or is given back where another has it, which is held instead."""
        if name in self.holders:
            self.hold([name])
            self.give(1)
        else:
            self.holders[name] = 1

    def give(self, count: int, *, empty: bool = False) -> None:
        """`count` held blocks without a name come free; `empty` ones, which nobody could look for, are used first."""
        for _ in range(count):
            self.serial -= 1
            self.free[self.serial] = None
            if empty:
                self.free.move_to_end(self.serial, last=False)

    def release(self, names: Sequence[int]) -> None:
        """One holder fewer of each, from the last to the first."""
        for name in reversed(names):
            self.holders[name] -= 1
            if self.holders[name] == 0:
                self.free[name] = None
