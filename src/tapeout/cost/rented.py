"""A rented hour as a distribution: what clouds ask for a chip on demand, and for one that is taken for three years."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.draws import Draws
from tapeout.cost.installed import within_band
from tapeout.cost.prices import rent, reserved
from tapeout.errors import InputError
from tapeout.units import Dimensionless, Unit

Array = NDArray[np.float64]
UsdPerHourArray = Annotated[Array, Unit("USD/h")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RentedHourDraws:
    """Rent of one chip-hour in USD, arrays of shape (draws,): on demand, and `committed` for three years.

    Host, network, hosting and electricity are in it. `useful` is the share of the hours that are used, `rule` says in words where the
    rent comes from.
    """

    rent: UsdPerHourArray
    committed: UsdPerHourArray
    useful: Dimensionless
    rule: str

    @property
    def owned(self) -> UsdPerHourArray:
        """Cost of an hour on demand, whether the chip serves in it or not."""
        return self.rent

    @property
    def idle(self) -> UsdPerHourArray:
        """What hours without use add to the useful ones."""
        return self.total - self.rent

    @property
    def total(self) -> UsdPerHourArray:
        """Cost of a useful hour on demand."""
        return np.asarray(self.rent / self.useful)


def rented_hour_draws(chip: str, date: str, draws: Draws, *, utilisation: Dimensionless = 1.0) -> RentedHourDraws:
    """The hour of a chip (an id) in a cloud at `date` (ISO), inside the 80 % bands of its quotes.

    Both rents take one draw, so that who is dear is so under either contract. Raises UnknownNameError or InputError for a chip that
    nobody rents out, and InputError for a utilisation outside (0, 1].
    """
    if not 0 < utilisation <= 1:
        raise InputError("utilisation must lie in (0, 1]", given=utilisation)
    asked, luck = rent(chip, date), draws.normal("rent of the chip")
    return RentedHourDraws(
        rent=within_band(asked, luck), committed=within_band(reserved(chip, date), luck), useful=utilisation, rule=asked.rule
    )
