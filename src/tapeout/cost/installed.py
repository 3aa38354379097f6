"""What a chip costs its owner until it runs: the chip, its share of the server and of the network, and the power of all three, as draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.draws import TAIL, Draws, quantity_at
from tapeout.cost.prices import PriceBand, PurchaseBand, Scope, volume_price
from tapeout.cost.tco import Operation, Owner, finance
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.system import Server, server_of
from tapeout.provenance import Sourced
from tapeout.units import Unit

Array = NDArray[np.float64]
UsdArray = Annotated[Array, Unit("USD")]
WattsArray = Annotated[Array, Unit("W")]

BAND_TAIL = 1.2815515655446004
"""Standard normal at the 90th percentile, where the band of a price ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledDraws:
    """One chip in service, arrays of shape (draws,): USD by part and `power` (W) before the site's own.

    `causes` are the draws behind it by name; `rule` says in words where the price of the chip comes from, `sources` whose it is.
    """

    chip: UsdArray
    host: UsdArray
    network: UsdArray
    power: WattsArray
    causes: dict[str, Array]
    rule: str
    sources: tuple[str, ...]

    @property
    def capital(self) -> UsdArray:
        """All that is bought for one chip."""
        return self.chip + self.host + self.network


def installed_draws(
    chip: Chip, *, owned_by: Owner, date: str, draws: Draws, price: UsdArray | None = None, operation: Operation | None = None
) -> InstalledDraws:
    """`chip` as `owned_by` installs it at `date` (ISO): price + host share x host + network; power of chip, host and network.

    `price` are draws of the chip's price in USD, such as what its maker pays for it; by default what buyers of thousands pay, or
    what is asked where no more is known. Raises UnknownNameError or InputError for a chip without any price, and InputError for
    prices of another shape or below 0.
    """
    server, run = server_of(chip.id), operation or finance().operation
    if price is None:
        bought = volume_price(chip.id, date, server.host_price.low / server.chips)
        standard = draws.normal("price of the chip")
        paid, rule = within_band(bought, standard), bought.rule
        names = tuple(dict.fromkeys(quote.price.source for quote in bought.quotes))
    else:
        paid, rule, names = np.asarray(price, dtype=np.float64), "what its maker pays", ()
        if paid.shape != (draws.count,) or not np.all(paid >= 0):
            raise InputError("a price needs one draw each, none below 0", given=f"shape {paid.shape}", allowed=f"shape ({draws.count},)")
    host, network = draws.of(server.host_price, "price of the host"), draws.of(server.network_price, "price of the network")
    share = draws.share_of(owned_by.host_share, "what the owner pays of it")
    beside = price is None and bought.scope is Scope.SERVER  # a rack's price per chip holds its host and network already
    none = np.zeros(draws.count)
    power, more = _power(chip, server, run.network_power, draws)
    return InstalledDraws(
        chip=paid,
        host=none if beside else host * share / server.chips,
        network=none if beside else network,
        power=power,
        causes={"price of the chip": paid, "price of the host": host * share, "price of the network": network} | more,
        rule=rule,
        sources=names,
    )


def within_band(band: PriceBand | PurchaseBand, standard: Array) -> Array:
    """A price (USD, or USD an hour) inside its 80 % band, whose ends stand nearer than those of a fact, of the shape of `standard`."""
    fact = Sourced(value=band.value, low=band.low, high=band.high, source="", place="", grade=band.grade)
    return quantity_at(fact, standard * (TAIL / BAND_TAIL))


def _power(chip: Chip, server: Server, network: Sourced[float], draws: Draws) -> tuple[Array, dict[str, Array]]:
    own, host = draws.of(chip.power, "power of the chip"), draws.of(server.host_power, "power of the host") / server.chips
    share = draws.share_of(network, "power of the network")
    return (own + host) * (1 + share), {"power of the chip": own, "power of the host": host, "power of the network": share}
