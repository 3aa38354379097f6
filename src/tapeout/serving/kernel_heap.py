"""A binary heap of whole numbers in an array, least first, in the subset that compiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.compiled import compiled

Whole = NDArray[np.int64]


@compiled
def push(heap: Whole, size: int, key: int) -> None:
    """Add `key` to the first `size` places, which are a heap; one more is then."""
    place = size
    while place > 0:
        above = (place - 1) >> 1
        if heap[above] <= key:
            break
        heap[place] = heap[above]
        place = above
    heap[place] = key


@compiled
def pop(heap: Whole, size: int) -> None:
    """Take the least out of the first `size` places; one fewer is then a heap."""
    key = heap[size - 1]
    place, last = 0, size - 1
    while True:
        below = 2 * place + 1
        if below >= last:
            break
        if below + 1 < last and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= key:
            break
        heap[place] = heap[below]
        place = below
    heap[place] = key
