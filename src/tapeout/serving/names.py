"""Names of blocks as an engine of some block size sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.traffic.requests import Requests

Integers = NDArray[np.int64]


def block_names(requests: Requests, block_size: int) -> tuple[Integers, Integers]:
    """Names of blocks of `block_size` tokens, counted from 0, and by request the start of its own (one more at the end).

    Names that one request alone has count too: after a preemption it may find its own blocks again. Raises InputError where the named
    blocks of the trace are no multiple of `block_size`.
    """
    if requests.names is None:
        return np.zeros(0, dtype=np.int64), np.zeros(len(requests) + 1, dtype=np.int64)
    names = requests.names
    if names.block % block_size:
        raise InputError(
            "named blocks must be a multiple of the engine's blocks", given=f"{names.block} tokens", allowed=f"{block_size} x n"
        )
    dense, parts = _counted(names.name), names.block // block_size
    fine = dense if parts == 1 else (dense[:, None] * parts + np.arange(parts)).ravel()
    return fine, names.start.astype(np.int64) * parts


def _counted(name: Integers) -> Integers:
    """Names in their order as 0, 1, 2, ..."""
    if len(name) == 0 or name.max() > SPARSE * len(name):
        return np.unique(name, return_inverse=True)[1].ravel().astype(np.int64)
    # A table is faster than sorting where names are not much more than there are of them.
    present = np.zeros(int(name.max()) + 1, dtype=bool)
    present[name] = True
    found: Integers = (np.cumsum(present) - 1)[name]
    return found


SPARSE = 8
