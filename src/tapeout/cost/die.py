"""Dies: how many a wafer holds, how many of them work, and what a known good die costs.

Pure functions over arrays (NumPy broadcasting) in SI units; the four yield models share one signature.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import InputError
from tapeout.hardware.process import manufacturing
from tapeout.units import SquareMetres

Array = NDArray[np.float64]


class YieldModel(Protocol):
    """Share of dies without a defect, from die area (m2), defect density (1/m2) and clustering alpha (1)."""

    def __call__(self, area: ArrayLike, defect_density: ArrayLike, clustering: ArrayLike) -> Array:
        """Yield, of the broadcast shape of the arguments."""
        ...


def dies_per_wafer(area: ArrayLike, *, diameter: ArrayLike = 0.3, edge_loss: ArrayLike = 0.005, scribe_lane: ArrayLike = 0.0002) -> Array:
    """Gross dies on a wafer, square dies of `area` m2 with a scribe lane around each and an unused edge; lengths in m.

    [chiplet-actuary] a' = a + 2 s sqrt(a) + s^2; N = pi (D/2 - e)^2 / a' - pi (D - 2 e) / sqrt(2 a'). Raises InputError for a die
    that is not positive or above the reticle limit. CSET's table has 71.4 dies of 610 mm2 where this has 80.7: it holds a further loss.

    >>> round(float(dies_per_wafer(814e-6)), 1)
    57.6
    """
    a, width, edge, lane = _areas(area), *(np.asarray(length, dtype=np.float64) for length in (diameter, edge_loss, scribe_lane))
    pitch = a + 2 * lane * np.sqrt(a) + lane**2
    return np.asarray(np.pi * (width / 2 - edge) ** 2 / pitch - np.pi * (width - 2 * edge) / np.sqrt(2 * pitch), dtype=np.float64)


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


def known_good_die(wafer_price: ArrayLike, dies: ArrayLike, sold: ArrayLike, sort: ArrayLike = 0.0) -> Array:
    """Cost in USD of one die that passes: C = (P / N + sort) / Y', as every die is sorted and only the good ones are sold.

    The published form charges `sort` once per good die; charging it per die tested differs by cents.

    >>> round(float(known_good_die(16988, dies_per_wafer(814e-6), negative_binomial(814e-6, 1100, 10))))
    695
    """
    price, gross, tested, share = (np.asarray(number, dtype=np.float64) for number in (wafer_price, dies, sort, sold))
    return np.asarray((price / gross + tested) / share, dtype=np.float64)


def reticle_area() -> SquareMetres:
    """Largest die that one exposure can print, in m2.

    >>> round(reticle_area() * 1e6)
    858
    """
    make = manufacturing()
    return make.reticle_length.value * make.reticle_width.value


def _areas(area: ArrayLike) -> Array:
    a = np.asarray(area, dtype=np.float64)
    if np.any(~(a > 0)):
        raise InputError("a die area must be positive", given=float(np.min(a)))
    limit = reticle_area()
    if np.any(a > limit * (1 + 1e-9)):
        given, allowed = f"{float(np.max(a)) * 1e6:.0f} mm2", f"up to {limit * 1e6:.0f} mm2"
        raise InputError("a die is above the reticle limit", given=given, allowed=allowed, hint="split it into several dies")
    return a


def _defects(area: ArrayLike, defect_density: ArrayLike) -> Array:
    a, density = np.asarray(area, dtype=np.float64), np.asarray(defect_density, dtype=np.float64)
    for name, numbers in (("die area", a), ("defect density", density)):
        if np.any(~(numbers >= 0)):
            raise InputError(f"{name} must not be negative", given=float(np.min(numbers)))
    return np.asarray(a * density, dtype=np.float64)
