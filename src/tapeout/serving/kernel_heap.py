"""Binary heaps in arrays, least first, in the subset that compiles: of whole numbers, and of those with a request beside each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.compiled import compiled

Whole = NDArray[np.int64]
Small = NDArray[np.int32]


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


@compiled
def push_beside(heap: Whole, beside: Small, size: int, key: int, item: int) -> None:
    """The same with an item beside each key."""
    place = size
    while place > 0:
        above = (place - 1) >> 1
        if heap[above] <= key:
            break
        heap[place], beside[place] = heap[above], beside[above]
        place = above
    heap[place], beside[place] = key, item


@compiled
def pop_beside(heap: Whole, beside: Small, size: int) -> None:
    """The same with an item beside each key."""
    key, item = heap[size - 1], beside[size - 1]
    place, last = 0, size - 1
    while True:
        below = 2 * place + 1
        if below >= last:
            break
        if below + 1 < last and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= key:
            break
        heap[place], beside[place] = heap[below], beside[below]
        place = below
    heap[place], beside[place] = key, item
