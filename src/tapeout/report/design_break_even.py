"""What a design's token costs beside that of the best chip on offer, and from how many chips on it costs less: the middle, and draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.draws import Draws, quantity_at
from tapeout.cost.nre import one_off_cost
from tapeout.cost.unit import Level, price_with_margin
from tapeout.cost.unit_draws import unit_draws
from tapeout.design.economics import Economics, break_even_volume
from tapeout.design.search import Design
from tapeout.design.under_traffic import Goodput
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.process import process
from tapeout.provenance import Grade, Sourced
from tapeout.scenario.designing import Brief, Rival
from tapeout.scenario.schema import Scenario
from tapeout.sourcing.quotes import Basis, hour_price
from tapeout.units import HOUR, Dimensionless, SecondsPerToken, Unit, UsdPerHour

Array = NDArray[np.float64]
DRAWS = 20_000
TO_P95: Dimensionless = NormalDist().inv_cdf(0.95) / NormalDist().inv_cdf(0.9)
"""Logarithm of the 95th percentile over that of the high end of an 80 % band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Chips from which the design's token costs no more than the rival's (infinity where it never does): the middle, and draws.

    `recurring` and `one_off` are the drawn cost of a token that the design's hour makes, and what the whole one-off cost adds to it where
    one chip bears it; `volume` that of the search, `rival` the drawn cost of a token on the rival.
    """

    middle: Dimensionless
    draws: Annotated[Array, Unit("1")]
    volume: Dimensionless
    recurring: Annotated[Array, Unit("USD/token")]
    one_off: Annotated[Array, Unit("USD/token")]
    rival: Annotated[Array, Unit("USD/token")]

    def own_at(self, volume: Dimensionless) -> Annotated[Array, Unit("USD/token")]:
        """Draws of the cost of the design's token where `volume` chips share the one-off cost."""
        return self.recurring + self.one_off / volume

    @property
    def own(self) -> Annotated[Array, Unit("USD/token")]:
        """The same at the volume of the search."""
        return self.own_at(self.volume)


def break_even(scenario: Scenario, asked: Brief, best: Design, own: Goodput, rival: Rival, other: Goodput) -> BreakEven:
    """The break-even of `best`, which carries `own`, against a rival that carries `other`.

    Drawn are the unit cost and the one-off cost of the design, the price of the rival's hour, and how wrong the predicted speed of each
    is. The chips of a generation err together and generations independently, as in `sourcing.throughput_range`.
    """
    economics, draws = asked.question.economics, Draws(count=DRAWS)
    recurring, one_off = own_hours(economics, best)
    middle = break_even_volume(recurring, one_off, own.seconds, rival.hour / HOUR * other.seconds)
    spent = asked.one_off or _one_offs(best, own.chip)
    drawn = _drawn(spent[1], spent[0], spent[2], draws, "one-off cost") * (best.one_off / spent[1])
    recurring, one_off = own_hours(economics, best, unit_draws(own.chip, draws).unit, drawn)
    seconds = _seconds(own, draws)
    costs = _drawn(rival.hour, *_ends(rival, scenario), draws, "price of the rival") / HOUR * _seconds(other, draws)
    return BreakEven(
        middle=float(middle), draws=break_even_volume(recurring, one_off, seconds, costs), volume=economics.volume,
        recurring=recurring / HOUR * seconds, one_off=one_off / HOUR * seconds, rival=costs,
    )  # fmt: skip


def own_hours(economics: Economics, best: Design, cost: Array | None = None, one_off: Array | None = None) -> tuple[Array, Array]:
    """The hour of `best` without its one-off cost, and what that adds where one chip bears all of it (USD/h).

    `cost` and `one_off` (USD) stand in for the unit cost and the one-off cost of the design.
    """
    price = price_with_margin(best.unit_cost if cost is None else cost, economics.margin)
    recurring = economics.usd_per_hour(price, best.power)
    whole = economics.usd_per_hour(np.asarray(price) + (best.one_off if one_off is None else one_off), best.power)
    return recurring, np.asarray(whole - recurring)


def _seconds(found: Goodput, draws: Draws) -> Annotated[Array, Unit("s/token")]:
    """Chip time of a token, drawn from the 80 % band of the prediction."""
    low, high = (found.seconds * (end / found.seconds) ** TO_P95 for end in (found.seconds_low, found.seconds_high))
    return _drawn(found.seconds, low, high, draws, f"speed of {found.chip.generation}")


def _drawn(value: SecondsPerToken | UsdPerHour, low: float, high: float, draws: Draws, cause: str) -> Array:
    """Draws of a quantity by its 5th, 50th and 95th percentile."""
    return quantity_at(Sourced(value=value, low=low, high=high, source="", place="", grade=Grade.DERIVED), draws.normal(cause))


def _one_offs(best: Design, chip: Chip) -> tuple[float, float, float]:
    area = chip.silicon.die_area.value if chip.silicon and chip.silicon.die_area else 0.0
    low, middle, high = (one_off_cost(process(best.parameters.node), area, level).total for level in Level)
    return low, middle, high


def _ends(rival: Rival, scenario: Scenario) -> tuple[UsdPerHour, UsdPerHour]:
    """5th and 95th percentile of a rival's hour, in proportion to the 80 % band of its quotes; no band where none are known."""
    try:
        quoted = hour_price(rival.chip, Basis.RESERVED if rival.rented else Basis.OWN, str(scenario.start))
    except InputError:
        return rival.hour, rival.hour
    low, high = (rival.hour * math.pow(end / quoted.value, TO_P95) for end in (quoted.low, quoted.high))
    return low, high
