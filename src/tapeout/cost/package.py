"""The package: carrier, bonding and the good parts that a failed bond wastes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import InputError
from tapeout.units import Unit

Array = NDArray[np.float64]
UsdArray = Annotated[Array, Unit("USD")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCost:
    """Cost of one good package: the carrier and substrate as bought, what failed carriers and bonds waste, and wasted parts."""

    raw: UsdArray
    failed: UsdArray
    wasted_parts: UsdArray

    @property
    def total(self) -> UsdArray:
        """All that packaging adds to the cost of the parts."""
        return self.raw + self.failed + self.wasted_parts


def chip_last_package(
    *,
    parts: ArrayLike,
    count: int,
    carrier: ArrayLike,
    substrate: ArrayLike = 0.0,
    carrier_yield: ArrayLike = 1.0,
    bonding_yield: ArrayLike,
    substrate_yield: ArrayLike,
) -> PackageCost:
    """Cost of a chip-last package of `count` good dies and stacks worth `parts` together; money in USD, arrays broadcast.

    [chiplet-actuary] raw = carrier + substrate; failed = carrier (1 / (y1 y2^n y3) - 1) + substrate (1 / y3 - 1);
    wasted = parts (1 / (y2^n y3) - 1), with y1, y2, y3 the carrier, bonding and substrate yields. The memory stacks are in `parts`
    and in `count`, so a failed bond also loses the memory, which public tools leave out. Raises InputError for a yield outside
    0 to 1, or no part.

    >>> bool(chip_last_package(parts=5000.0, count=10, carrier=1100.0, bonding_yield=0.98, substrate_yield=1.0).wasted_parts > 1000)
    True
    """
    for name, share in (("carrier_yield", carrier_yield), ("bonding_yield", bonding_yield), ("substrate_yield", substrate_yield)):
        if not np.all((np.asarray(share) > 0) & (np.asarray(share) <= 1)):
            raise InputError(
                f"{name} must be above 0 and at most 1", given=float(np.min(share)) if np.min(share) <= 0 else float(np.max(share))
            )
    if count < 1:
        raise InputError("a package holds at least one die", given=count)
    worth, bought, below, first, each, last = (
        np.asarray(number, dtype=np.float64) for number in (parts, carrier, substrate, carrier_yield, bonding_yield, substrate_yield)
    )
    bonded = each**count * last
    return PackageCost(
        raw=np.asarray(bought + below),
        failed=np.asarray(bought * (1 / (first * bonded) - 1) + below * (1 / last - 1)),
        wasted_parts=np.asarray(worth * (1 / bonded - 1)),
    )
