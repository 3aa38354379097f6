"""Dies: how many a wafer holds, and what a known good one costs. Pure functions over arrays (NumPy broadcasting) in SI units."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import InputError
from tapeout.hardware.process import manufacturing
from tapeout.units import SquareMetres

Array = NDArray[np.float64]


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


def known_good_die(wafer_price: ArrayLike, dies: ArrayLike, sold: ArrayLike, sort: ArrayLike = 0.0) -> Array:
    """Cost in USD of one die that passes: C = (P / N + sort) / Y', as every die is sorted and only the good ones are sold.

    The published form charges `sort` once per good die; charging it per die tested differs by cents.

    >>> from tapeout.cost.yields import negative_binomial
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
        source = manufacturing().reticle_length.source
        raise InputError(
            "a die is above the reticle limit", given=given, allowed=f"{allowed} [{source}]", hint="split it into several dies"
        )
    return a
