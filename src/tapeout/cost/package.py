"""The package: carrier, bonding and the good parts that a failed bond wastes."""

from __future__ import annotations

from dataclasses import dataclass

from tapeout.errors import InputError
from tapeout.units import Dimensionless, Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCost:
    """Cost of one good package: the carrier and substrate as bought, what failed carriers and bonds waste, and wasted parts."""

    raw: Usd
    failed: Usd
    wasted_parts: Usd

    @property
    def total(self) -> Usd:
        """All that packaging adds to the cost of the parts."""
        return self.raw + self.failed + self.wasted_parts


def chip_last_package(
    *,
    parts: Usd,
    count: int,
    carrier: Usd,
    substrate: Usd = 0.0,
    carrier_yield: Dimensionless = 1.0,
    bonding_yield: Dimensionless,
    substrate_yield: Dimensionless,
) -> PackageCost:
    """Cost of a chip-last package of `count` good dies and stacks worth `parts` together.

    [chiplet-actuary] raw = carrier + substrate; failed = carrier (1 / (y1 y2^n y3) - 1) + substrate (1 / y3 - 1);
    wasted = parts (1 / (y2^n y3) - 1), with y1, y2, y3 the carrier, bonding and substrate yields. The memory stacks are in `parts`
    and in `count`, so a failed bond also loses the memory, which public tools leave out. Raises InputError for a yield outside
    0 to 1, or no part.

    >>> chip_last_package(parts=5000.0, count=10, carrier=1100.0, bonding_yield=0.98, substrate_yield=1.0).wasted_parts > 1000
    True
    """
    for name, share in (("carrier_yield", carrier_yield), ("bonding_yield", bonding_yield), ("substrate_yield", substrate_yield)):
        if not 0 < share <= 1:
            raise InputError(f"{name} must be above 0 and at most 1", given=share)
    if count < 1:
        raise InputError("a package holds at least one die", given=count)
    bonded = bonding_yield**count * substrate_yield
    return PackageCost(
        raw=carrier + substrate,
        failed=carrier * (1 / (carrier_yield * bonded) - 1) + substrate * (1 / substrate_yield - 1),
        wasted_parts=parts * (1 / bonded - 1),
    )
