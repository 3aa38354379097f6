"""The unit cost and price of a chip as distributions, by component, and what moves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.cost.breakdown import CostBreakdown, breakdown
from tapeout.cost.draws import TAIL, Draws, quantity_at, share_at, variance_shares
from tapeout.cost.inputs import FOUNDRY_PRICES, SHARES, Build, Inputs, facts_of, mapped, named
from tapeout.cost.margins import Seller, seller_of
from tapeout.cost.unit import price_with_margin, printable
from tapeout.cost.yields import YieldModel, negative_binomial
from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.hardware.process import Packaging, manufacturing
from tapeout.provenance import Sourced
from tapeout.units import Dimensionless, Unit, Usd

Array = NDArray[np.float64]
UsdArray = Annotated[Array, Unit("USD")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """What one fact does to the recurring cost: the cost at both ends of its range with all else at its value, and its variance.

    `variance_share` is the first-order Sobol index over all draws; those of prices that move together overlap.
    """

    name: str
    fact: Sourced[Any]
    at_low: Usd
    at_high: Usd
    variance_share: Dimensionless

    @property
    def swing(self) -> Usd:
        """How far the cost moves between the ends of the fact's range."""
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitDraws:
    """One chip's cost as arrays of shape (draws,) in USD.

    `components` is the recurring cost, `one_off` the share of the programme's one-off cost in each chip (none without a volume),
    `unit` both together; `price` what its buyer pays, none where no margin is known; `middle` is the recurring cost with every fact at
    its value, from which the `influences` depart.
    """

    chip: str
    build: Build
    components: CostBreakdown[Array]
    one_off: UsdArray | None
    unit: UsdArray
    seller: Seller | None
    price: UsdArray | None
    middle: Usd
    influences: tuple[Influence, ...]


def unit_draws(
    chip: Chip,
    draws: Draws,
    *,
    package: Packaging | None = None,
    year: int | None = None,
    one_off: ArrayLike | None = None,
    volume: int | None = None,
    yield_model: YieldModel = negative_binomial,
) -> UnitDraws:
    """Recurring cost, unit cost and price of `chip`, each fact drawn within its range.

    `one_off` (USD, draws of the whole programme) is shared by `volume` chips: C = RE + NRE / V. A gross margin is taken on the recurring
    cost, before development; who has a chip made for himself pays the one-off cost beside it. Facts of one foundry's prices are
    correlated by `Manufacturing.price_correlation`; a fact that all dies share is drawn once. Raises InputError for a volume below 1,
    for one of the two without the other, and as `facts_of` and `breakdown` do.
    """
    build, facts = facts_of(chip, package, year)
    if (one_off is None) != (volume is None):
        raise InputError("a one-off cost needs a volume to be shared by, and a volume a one-off cost", given=volume)
    if volume is not None and volume < 1:
        raise InputError(
            "volume must be positive", given=volume, allowed="1 chip or more", hint="without a volume the recurring cost is given"
        )
    standard = {name: _standard(name, draws) for name in named(facts)}
    inputs: Inputs[ArrayLike] = mapped(facts, lambda name, fact: _at(name, fact, standard[name]))
    components = breakdown(build, inputs, yield_model)
    share = None if one_off is None or volume is None else np.broadcast_to(np.asarray(one_off, dtype=np.float64) / volume, (draws.count,))
    recurring = np.broadcast_to(components.total, (draws.count,))
    unit = recurring if share is None else recurring + share
    seller = seller_of(chip)
    middle, influences = _influences(build, facts, standard, recurring, yield_model)
    price = None if seller is None else price_with_margin(recurring, draws.share_of(seller.margin, "margin of the seller"))
    if price is not None and share is not None and seller is not None and seller.made_for_owner:
        price = price + share
    return UnitDraws(
        chip=chip.id,
        build=build,
        components=components,
        one_off=share,
        unit=unit,
        seller=seller,
        price=price,
        middle=middle,
        influences=influences,
    )


def _standard(name: str, draws: Draws) -> Array:
    if name in FOUNDRY_PRICES:
        return draws.correlated(name, "prices of the foundry", manufacturing().price_correlation.value)
    return draws.normal(name)


def _at(name: str, fact: Sourced[float], standard: ArrayLike) -> Array:
    at = share_at(fact, standard) if name.rpartition(".")[2] in SHARES else quantity_at(fact, standard)
    return printable(at, fact) if name.endswith(".area") else at


def _influences(
    build: Build, facts: Inputs[Sourced[float]], standard: dict[str, Array], recurring: Array, yield_model: YieldModel
) -> tuple[Usd, tuple[Influence, ...]]:
    """The cost with every fact at its value, and each uncertain fact's influence, the widest swing first.

    One pass over arrays with an entry for each end of each fact and a last one for the middle.
    """
    ranged = {name: fact for name, fact in named(facts).items() if fact.low < fact.high}
    ends = {name: (2 * index, 2 * index + 1) for index, name in enumerate(ranged)}

    def one_at_a_time(name: str, fact: Sourced[float]) -> ArrayLike:
        where = np.zeros(2 * len(ranged) + 1)
        if name in ends:
            where[list(ends[name])] = (-TAIL, TAIL)
        return _at(name, fact, where)

    total = np.broadcast_to(breakdown(build, mapped(facts, one_at_a_time), yield_model).total, (2 * len(ranged) + 1,))
    shares = variance_shares({name: standard[name] for name in ranged}, recurring)
    found = (
        Influence(
            name=name, fact=fact, at_low=float(total[ends[name][0]]), at_high=float(total[ends[name][1]]), variance_share=shares[name]
        )
        for name, fact in ranged.items()
    )
    return float(total[-1]), tuple(sorted(found, key=lambda each: -each.swing))
