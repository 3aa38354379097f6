"""What tests let through: a test finds a share of the bad dies, and what it misses is lost with all that was built around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import InputError

Array = NDArray[np.float64]


def passing(good: ArrayLike, coverage: ArrayLike) -> Array:
    """Share of parts that pass a test which finds the share `coverage` of the bad ones: P = 1 - (1 - Y) k [catch-layer-definitions].

    Broadcasts; raises InputError for a share outside 0 to 1.

    >>> round(float(passing(0.8, 0.95)), 3)
    0.81
    """
    y, k = np.asarray(good, dtype=np.float64), np.asarray(coverage, dtype=np.float64)
    for name, share in (("yield", y), ("test coverage", k)):
        if np.any(~((share >= 0) & (share <= 1))):
            raise InputError(f"{name} must lie between 0 and 1", given=float(share.min()) if np.any(share < 0) else float(share.max()))
    return np.asarray(1 - (1 - y) * k)


def quality(good: ArrayLike, coverage: ArrayLike) -> Array:
    """Share of the parts that passed and do work: Q = Y / P [catch-layer-definitions]; broadcasts, errors as `passing`.

    >>> round(float(quality(0.8, 0.95)), 4)
    0.9877
    """
    return np.minimum(np.asarray(good, dtype=np.float64) / passing(good, coverage), 1.0)  # a full test's quotient may round above 1
