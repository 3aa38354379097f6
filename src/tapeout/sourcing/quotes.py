"""What a token costs on each chip: the price of a chip-hour over what its best serving carries inside the latency limits.

`price` prints quotes; the plan takes its throughputs from the same servings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tapeout.cost.datacenter import energy_price, site
from tapeout.cost.margins import sellers
from tapeout.cost.prices import PriceBand, PurchaseBand, Scope, purchase, rent, reserved
from tapeout.cost.tco import owner, owner_hour_band
from tapeout.cost.token import shared_cost, token_cost_band
from tapeout.cost.unit import price_with_margin, unit_cost
from tapeout.errors import InputError
from tapeout.fleet.best import best_under_traffic
from tapeout.fleet.service_level import ATTAINMENT
from tapeout.hardware.chip import Chip
from tapeout.hardware.custom import SOURCE, VENDOR
from tapeout.hardware.system import Server, server_of
from tapeout.performance.best import Demand, NotServed, Serving, best_servings
from tapeout.performance.efficiency import Table
from tapeout.provenance import Grade
from tapeout.units import Dimensionless, Usd, UsdPerHour, UsdPerQuery, UsdPerToken, Watts

OWNED_AT = "colocation-us"
OWNED_BY = "neocloud"
MADE_BY = "design-partner"
"""Where and by whom chips of the price basis `own` are run: hired space, capital at the rate of a specialised cloud; who makes own ones."""


class Basis(StrEnum):
    """Whose price of a chip-hour: rented on demand, reserved for a year, or owned and placed in colocation."""

    RENT = "rent"
    RESERVED = "reserved"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class HourPrice:
    """Price of one chip-hour with its 80 % band; `rule` says in words how it follows from `sources`."""

    value: UsdPerHour
    low: UsdPerHour
    high: UsdPerHour
    grade: Grade
    rule: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One chip's offer for a demand: how it is served, what the hour costs, what tokens and queries cost (5, 50, 95 %)."""

    serving: Serving
    hour: HourPrice
    output_token: UsdPerToken
    output_token_p5: UsdPerToken
    output_token_p95: UsdPerToken
    input_token: UsdPerToken
    blended_token: UsdPerToken
    query: UsdPerQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class NoQuote:
    """A chip without an offer, and why."""

    chip: Chip
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One chip with its share of server and network: capital (USD) as value, low, high, and power (W) before PUE."""

    capital: Usd
    capital_low: Usd
    capital_high: Usd
    power: Watts
    power_low: Watts
    power_high: Watts


def quotes(
    demand: Demand,
    chips: Sequence[Chip],
    basis: Basis,
    date: str,
    *,
    attainment: Dimensionless | None = ATTAINMENT,
    efficiencies: Table | None = None,
) -> list[Quote | NoQuote]:
    """The offers of `chips` for `demand` at `date`, cheapest output token first, then the chips without one.

    The share `attainment` of the requests must keep the limits, under traffic; where None, their means in steady state. All of a query's
    cost is charged to its output tokens in `output_token`, as published dollars per million output tokens do; `input_token` and the
    blended token split it by chip time. `efficiencies` are the coefficients, those that ship where None.
    """
    if attainment is None:
        servings = best_servings(demand, chips, efficiencies)
    else:
        servings = best_under_traffic(demand, chips, attainment, efficiencies)
    found = [_quote(demand, serving, basis, date) for serving in servings]
    return sorted(found, key=lambda one: (isinstance(one, NoQuote), one.output_token if isinstance(one, Quote) else 0.0))


def _quote(demand: Demand, serving: Serving | NotServed, basis: Basis, date: str) -> Quote | NoQuote:
    if isinstance(serving, NotServed):
        return NoQuote(chip=serving.chip, reason=serving.reason)
    try:
        hour = hour_price(serving.chip, basis, date)
    except InputError as error:
        return NoQuote(chip=serving.chip, reason=f"no price: {error.what}")
    rate = serving.rate
    band = token_cost_band((hour.value, hour.low, hour.high), (rate.value, rate.low, rate.high))
    split = shared_cost(hour.value, rate.value, serving.prediction.prefill_share, demand.prompt, demand.output)
    return Quote(
        serving=serving,
        hour=hour,
        output_token=float(band.value),
        output_token_p5=float(band.p5),
        output_token_p95=float(band.p95),
        input_token=float(split.input),
        blended_token=float(split.blended),
        query=float(split.query),
    )


def hour_price(chip: Chip, basis: Basis, date: str) -> HourPrice:
    """The price of one hour of `chip` on `basis` at `date`; raises InputError where no price is known."""
    return _HOURS[basis](chip, date)


def _rent(chip: Chip, date: str) -> HourPrice:
    return _quoted(rent(chip.id, date))


def _reserved(chip: Chip, date: str) -> HourPrice:
    return _quoted(reserved(chip.id, date, years=1))


def _quoted(band: PriceBand) -> HourPrice:
    names = tuple(dict.fromkeys(quote.price.source for quote in band.quotes))
    return HourPrice(value=band.value, low=band.low, high=band.high, grade=band.grade, rule=band.rule, sources=names)


def _own(chip: Chip, date: str) -> HourPrice:
    bought = made(chip, date) if chip.vendor == VENDOR else purchase(chip.id, date)
    whole = installed(chip, server_of(chip.id), bought)
    place = site(OWNED_AT)
    band = owner_hour_band(
        capital=(whole.capital, whole.capital_low, whole.capital_high),
        power=(whole.power, whole.power_low, whole.power_high),
        owned_by=owner(OWNED_BY),
        place=place,
        energy=energy_price(place.electricity, int(date[:4])),
    )
    rule = f"bought at {bought.value:,.0f} USD ({bought.rule}), {place.name}, owner: {OWNED_BY}"
    names = tuple(dict.fromkeys(quote.price.source for quote in bought.quotes)) or (SOURCE, sellers()[MADE_BY].margin.source)
    return HourPrice(value=band.value, low=band.low, high=band.high, grade=bought.grade, rule=rule, sources=names)


def made(chip: Chip, date: str) -> PurchaseBand:
    """What an own chip costs its owner: its unit cost at the year of `date` with the margin of the design partner, development apart.

    Raises InputError for a chip without silicon facts.
    """
    cost, margin = unit_cost(chip, year=int(date[:4])), sellers()[MADE_BY].margin
    pairs = ((cost.mid, margin.value), (cost.low, margin.low), (cost.high, margin.high))
    value, low, high = (float(price_with_margin(part.total, share)) for part, share in pairs)
    return PurchaseBand(
        chip=chip.id, scope=Scope.CHIP, date=date, value=value, low=low, high=high, age=0.0, grade=margin.grade, quotes=(),
        rule=f"unit cost of {cost.mid.total:,.0f} USD and the margin of a design partner, development apart",
    )  # fmt: skip


def installed(chip: Chip, host: Server, bought: PurchaseBand) -> Installed:
    """`chip` at the price `bought`, with its share of the host and the network unless the price holds them already."""
    share = 0.0 if bought.scope is Scope.SERVER else 1.0
    sides = (host.host_price, host.network_price)
    value, low, high = (
        share * (getattr(sides[0], end) / host.chips + getattr(sides[1], end)) + getattr(bought, end) for end in ("value", "low", "high")
    )
    power, power_low, power_high = (
        getattr(chip.power, end) + getattr(host.host_power, end) / host.chips for end in ("value", "low", "high")
    )
    return Installed(capital=value, capital_low=low, capital_high=high, power=power, power_low=power_low, power_high=power_high)


_HOURS = {Basis.RENT: _rent, Basis.RESERVED: _reserved, Basis.OWN: _own}
