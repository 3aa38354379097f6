"""Share of dies that work: rival models of one signature, and what spare units save. Pure functions over arrays in SI units."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import InputError

Array = NDArray[np.float64]


class YieldModel(Protocol):
    """Share of dies without a defect, from die area (m2), defect density (1/m2) and clustering alpha (1)."""

    def __call__(self, area: ArrayLike, defect_density: ArrayLike, clustering: ArrayLike) -> Array:
        """Yield, of the broadcast shape of the arguments."""
        ...


def negative_binomial(area: ArrayLike, defect_density: ArrayLike, clustering: ArrayLike) -> Array:
    """Yield with clustered defects: Y = (1 + D a / alpha)^-alpha [chiplet-actuary; ttm-cas].

    >>> [round(float(negative_binomial(814e-6, 1100, alpha)), 3) for alpha in (10, 3, 2)]
    [0.424, 0.457, 0.477]
    """
    defects, alpha = _defects(area, defect_density), np.asarray(clustering, dtype=np.float64)
    if np.any(alpha <= 0):
        raise InputError("clustering must be positive", given=float(np.min(alpha)))
    return np.asarray((1 + defects / alpha) ** -alpha, dtype=np.float64)


def poisson(area: ArrayLike, defect_density: ArrayLike, clustering: ArrayLike = np.inf) -> Array:
    """Yield with independent defects: Y = exp(-D a), the limit of `negative_binomial`; `clustering` is not used.

    >>> round(float(poisson(814e-6, 1100)), 3)
    0.408
    """
    return np.asarray(np.exp(-_defects(area, defect_density)), dtype=np.float64)


def murphy(area: ArrayLike, defect_density: ArrayLike, clustering: ArrayLike = np.inf) -> Array:
    """Yield with a triangular spread of defect density: Y = ((1 - exp(-D a)) / (D a))^2; `clustering` is not used.

    >>> round(float(murphy(814e-6, 1100)), 3)
    0.436
    """
    defects = _defects(area, defect_density)
    safe = np.where(defects > 0, defects, 1.0)
    return np.asarray(np.where(defects > 0, (-np.expm1(-safe) / safe) ** 2, 1.0), dtype=np.float64)


def seeds(area: ArrayLike, defect_density: ArrayLike, clustering: ArrayLike = np.inf) -> Array:
    """Yield with an exponential spread of defect density: Y = 1 / (1 + D a); `clustering` is not used.

    >>> round(float(seeds(814e-6, 1100)), 3)
    0.528
    """
    return np.asarray(1 / (1 + _defects(area, defect_density)), dtype=np.float64)


def harvested(good: ArrayLike, harvest: ArrayLike) -> Array:
    """Share of dies sold when a share `harvest` of the defective ones is saved by spare units: Y' = Y + h (1 - Y).

    >>> float(harvested(0.5, 0.6))
    0.8
    """
    y, h = np.asarray(good, dtype=np.float64), np.asarray(harvest, dtype=np.float64)
    for name, share in (("yield", y), ("harvest", h)):
        if np.any((share < 0) | (share > 1)):
            raise InputError(f"{name} must lie between 0 and 1", given=str(share))
    return np.asarray(y + h * (1 - y), dtype=np.float64)


def _defects(area: ArrayLike, defect_density: ArrayLike) -> Array:
    a, density = np.asarray(area, dtype=np.float64), np.asarray(defect_density, dtype=np.float64)
    for name, numbers in (("die area", a), ("defect density", density)):
        if np.any(~(numbers >= 0)):
            raise InputError(f"{name} must not be negative", given=float(np.min(numbers)))
    return np.asarray(a * density, dtype=np.float64)
