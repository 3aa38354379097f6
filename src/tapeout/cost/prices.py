"""What a chip costs to rent or to buy at a date: dated quotes with their sources, and the rule that turns them into a band.

Money is nominal USD of the quote's year; nothing is inflated or deflated.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError, UnknownNameError, did_you_mean
from tapeout.provenance import DATA, Grade, Sourced, load_toml, read_facts
from tapeout.units import DAY, Dimensionless, Seconds, Unit, Usd, UsdPerHour

Array = NDArray[np.float64]

RENT_WINDOW = 183
"""Days before a date within which rent quotes count as current."""

PURCHASE_WINDOW = 366
"""The same for purchase quotes, which are published by year."""

AVERAGED_BY = "Epoch AI"
"""The analyst whose purchase prices are averages over a maker's sales, and so are what buyers of thousands pay."""

ENOUGH = 3
"""Providers below which the window is doubled."""

LONE_SPREAD = 0.25
"""Half width in log price of a band that rests on one quote without a range, unless it is the seller's own list."""

DRIFT_PER_YEAR = 0.30
"""Widening of a band held beyond its window, in log price per year: about what the rents of H100 and A100 moved by in 2023 to 2026."""


class Term(StrEnum):
    """What the money buys: an hour without or with commitment, an owner's hour as published (`tco`), or the chip itself.

    `purchase` is what is asked for a chip, `volume` what buyers of thousands paid, as analysts derive it from revenue.
    """

    ON_DEMAND = "on-demand"
    CAPACITY_BLOCK = "capacity-block"
    MARKETPLACE = "marketplace"
    SPOT = "spot"
    RESERVED_1Y = "reserved-1y"
    RESERVED_3Y = "reserved-3y"
    TCO = "tco"
    PURCHASE = "purchase"
    VOLUME = "volume"


class Seller(StrEnum):
    """Who asks the price; hyperscalers' lists stand two to three times above those of specialised clouds."""

    HYPERSCALER = "hyperscaler"
    NEOCLOUD = "neocloud"
    MARKETPLACE = "marketplace"
    RESELLER = "reseller"
    ANALYST = "analyst"


class Scope(StrEnum):
    """What a purchase price covers: the chip, or the chip with its share of the server or rack."""

    CHIP = "chip"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceQuote:
    """One published price: `rent` per chip-hour, or `unit_price` per chip where the term is `purchase` or `volume`.

    `date` is ISO; without a day or a month it means the middle of that month or year. `region` is empty where none is stated;
    `scope` matters to purchases only.
    """

    chip: str
    date: str
    provider: str
    seller: Seller
    term: Term
    rent: Sourced[UsdPerHour] | None = None
    unit_price: Sourced[Usd] | None = None
    region: str = ""
    scope: Scope = Scope.CHIP
    note: str = ""

    def __post_init__(self) -> None:
        day_number(self.date)
        bought = self.term in (Term.PURCHASE, Term.VOLUME)
        if (self.rent is None) == (self.unit_price is None) or bought != (self.unit_price is not None):
            said = f"{self.chip} {self.date} {self.term}"
            raise InputError("a quote has a rent, or a unit_price where its term is purchase or volume", given=said)
        if self.price.low <= 0:
            raise InputError("a price must be positive", given=self.price.low)

    @property
    def price(self) -> Sourced[float]:
        """The rent or the unit price, whichever the quote has."""
        price = self.unit_price if self.rent is None else self.rent
        assert price is not None  # noqa: S101 (checked on construction)
        return price


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBand:
    """Rent of a chip at a date: median with an 80 % band, the quotes behind it, and the rule used.

    `age` is that of the newest quote used; it is negative where the first known quote is later than the date.
    """

    chip: str
    term: Term
    date: str
    value: UsdPerHour
    low: UsdPerHour
    high: UsdPerHour
    age: Seconds
    grade: Grade
    quotes: tuple[PriceQuote, ...]
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseBand:
    """Purchase price of one chip at a date, with the fields of `PriceBand`; `scope` says whether its share of the server is in it."""

    chip: str
    scope: Scope
    date: str
    value: Usd
    low: Usd
    high: Usd
    age: Seconds
    grade: Grade
    quotes: tuple[PriceQuote, ...]
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RentPath:
    """Rents at several dates; arrays have the shape of `dates`, `bands` holds the evidence of each."""

    dates: tuple[str, ...]
    value: Annotated[Array, Unit("USD/h")]
    low: Annotated[Array, Unit("USD/h")]
    high: Annotated[Array, Unit("USD/h")]
    bands: tuple[PriceBand, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A dimensionless ratio with its 80 % band and the number of observations."""

    value: Dimensionless
    low: Dimensionless
    high: Dimensionless
    observations: int


@cache
def quotes() -> tuple[PriceQuote, ...]:
    """All quotes of `data/prices`, by chip, term and date."""
    found = [
        read_facts(PriceQuote, entry, path.name, f"quotes[{index}]")
        for path in sorted((DATA / "prices").glob("*.toml"))
        for index, entry in enumerate(load_toml(path).get("quotes", ()))
    ]
    return tuple(sorted(found, key=lambda quote: (quote.chip, quote.term, day_number(quote.date), quote.provider)))


@cache
def quotes_of(chip: str) -> tuple[PriceQuote, ...]:
    """All quotes of one chip; raises UnknownNameError where there is none."""
    known = sorted({quote.chip for quote in quotes()})
    if chip not in known:
        raise UnknownNameError("no price of this chip is known", given=chip, hint=did_you_mean(chip, known))
    return tuple(quote for quote in quotes() if quote.chip == chip)


_QUARTER = re.compile(r"(\d{4})-?Q([1-4])")
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")


@cache
def day_number(date: str) -> int:
    """The proleptic day number of an ISO date; the middle of the period for a year, a month or a quarter such as 2025Q3.

    Raises InputError for anything else.

    >>> day_number("2025Q3") - day_number("2025-08-15")
    0
    """
    try:
        if quarter := _QUARTER.fullmatch(date):
            return datetime.date(int(quarter[1]), 3 * int(quarter[2]) - 1, 15).toordinal()
        if match := _DATE.fullmatch(date):
            month, day = int(match[2] or 7), int(match[3] or (15 if match[2] else 1))
            return datetime.date(int(match[1]), month, day).toordinal()
    except ValueError as error:
        raise InputError(f"no such date: {error}", given=date) from error
    raise InputError("not a date", given=date, allowed="2025, 2025-08, 2025-08-31 or 2025Q3")


def rent(chip: str, date: str, *, term: Term = Term.ON_DEMAND, region: str | None = None, seller: Seller | None = None) -> PriceBand:
    """Rent per chip-hour at `date`.

    Rule: of each provider the newest quote of the half year before the date (of the year, where the half year has fewer than
    `ENOUGH`); the value is their median, low and high are the 10th and 90th percentile over the quotes' own ranges, and one quote
    alone is widened by `LONE_SPREAD`. Where that half year has none, the newest quotes before it are held; where
    there is none before the date, the first ones after it are taken back. The band then widens by `DRIFT_PER_YEAR`, the grade
    falls, and `age` and `rule` say so. A chip without on-demand quotes is priced by its capacity blocks, then its marketplaces.
    With `region`, quotes of that region and those that state none; with `seller`, only that kind of seller's.
    Raises UnknownNameError for a chip without quotes, InputError where none fits, with those that exist.
    """
    order = (Term.ON_DEMAND, Term.CAPACITY_BLOCK, Term.MARKETPLACE) if term is Term.ON_DEMAND else (term,)
    for candidate in order:
        fitting = [quote for quote in quotes_of(chip) if quote.term is candidate and _fits(quote, region, seller)]
        if fitting:
            return _rent_band(chip, date, candidate, fitting)
    raise _missing(chip, f"no {term} price fits", region, seller)


def reserved(chip: str, date: str, *, years: int = 3, region: str | None = None, seller: Seller | None = None) -> PriceBand:
    """Rent per chip-hour under a commitment of one or three years.

    The rule of `rent` over the reserved quotes; a chip without any is priced at its on-demand rent times `commitment_ratio`.
    """
    if years not in (1, 3):
        raise InputError("no such commitment", given=years, allowed="1 or 3 years")
    term = Term.RESERVED_1Y if years == 1 else Term.RESERVED_3Y
    fitting = [quote for quote in quotes_of(chip) if quote.term is term and _fits(quote, region, seller)]
    if fitting:
        return _rent_band(chip, date, term, fitting)
    base, ratio = rent(chip, date, region=region, seller=seller), commitment_ratio(term)
    return PriceBand(
        chip=chip,
        term=term,
        date=date,
        value=base.value * ratio.value,
        low=base.low * ratio.low,
        high=base.high * ratio.high,
        age=base.age,
        grade=_worse(base.grade, Grade.ESTIMATE),
        quotes=base.quotes,
        rule=f"{base.rule}; {base.term} times {ratio.value:.2f}, the median of {ratio.observations} pairs of {term} and on-demand quotes",
    )


def purchase(chip: str, date: str) -> PurchaseBand:
    """Purchase price of one chip at `date`, by the rule of `rent` with a window of a year; resellers' and analysts' figures mixed.

    Prices of bare chips; where only servers or racks are priced, their price per chip, and `scope` says so.
    """
    priced = [quote for quote in quotes_of(chip) if quote.term is Term.PURCHASE]
    if not priced:
        raise _missing(chip, "no purchase price is known", None, None)
    return _purchase_band(chip, date, [quote for quote in priced if quote.scope is Scope.CHIP] or priced)


def volume_price(chip: str, date: str, host: Usd) -> PurchaseBand:
    """What a buyer of thousands pays for one bare chip at `date`, by the rule of `purchase` over averages and volume prices.

    A price of a server's share is taken less `host` (USD per chip). Where neither is known it is the price that is asked.
    """
    paid = [quote for quote in quotes_of(chip) if quote.term is Term.VOLUME or (quote.unit_price and quote.provider == AVERAGED_BY)]
    return _purchase_band(chip, date, [_bare(quote, host) for quote in paid]) if paid else purchase(chip, date)


def _bare(quote: PriceQuote, host: Usd) -> PriceQuote:
    if quote.scope is Scope.CHIP:
        return quote
    price = quote.price
    less = replace(price, value=price.value - host, low=price.low - host, high=price.high - host)
    return replace(quote, scope=Scope.CHIP, unit_price=less)


def _purchase_band(chip: str, date: str, fitting: list[PriceQuote]) -> PurchaseBand:
    used, age, rule, beyond = _nearest(fitting, day_number(date), PURCHASE_WINDOW)
    value, low, high = _band(used, beyond)
    return PurchaseBand(
        chip=chip,
        scope=fitting[0].scope,
        date=date,
        value=value,
        low=low,
        high=high,
        age=age * DAY,
        grade=_grade(used, beyond),
        quotes=used,
        rule=rule,
    )


def rent_by_quarter(
    chip: str, dates: Sequence[str], *, term: Term = Term.ON_DEMAND, region: str | None = None, seller: Seller | None = None
) -> RentPath:
    """Rents at each of `dates` (ISO dates or quarters such as 2025Q3), reserved terms by `reserved`, the others by `rent`."""
    if term in (Term.RESERVED_1Y, Term.RESERVED_3Y):
        years = 1 if term is Term.RESERVED_1Y else 3
        bands = tuple(reserved(chip, date, years=years, region=region, seller=seller) for date in dates)
    else:
        bands = tuple(rent(chip, date, term=term, region=region, seller=seller) for date in dates)
    value, low, high = (np.array([getattr(band, name) for band in bands], dtype=np.float64) for name in ("value", "low", "high"))
    return RentPath(dates=tuple(dates), value=value, low=low, high=high, bands=bands)


@cache
def commitment_ratio(term: Term) -> Ratio:
    """Ratio of a committed rent to the on-demand rent of the same chip, provider, region and day, over all pairs of quotes."""
    lists = {_offer(quote): quote.price.value for quote in quotes() if quote.term is Term.ON_DEMAND}
    pairs = [quote.price.value / lists[_offer(quote)] for quote in quotes() if quote.term is term and _offer(quote) in lists]
    if not pairs:
        raise InputError("no pair of quotes for this commitment", given=term, allowed="reserved-1y or reserved-3y")
    low, value, high = np.percentile(pairs, [10, 50, 90])
    return Ratio(value=float(value), low=float(low), high=float(high), observations=len(pairs))


def _offer(quote: PriceQuote) -> tuple[str, str, str, str]:
    return quote.chip, quote.provider, quote.region, quote.date


def _fits(quote: PriceQuote, region: str | None, seller: Seller | None) -> bool:
    return (region is None or quote.region in ("", region)) and (seller is None or quote.seller is seller)


def _missing(chip: str, what: str, region: str | None, seller: Seller | None) -> InputError:
    asked = " ".join(str(part) for part in (chip, region, seller) if part)
    return InputError(what, given=asked, allowed=sorted({f"{quote.term} ({quote.seller})" for quote in quotes_of(chip)}))


def _rent_band(chip: str, date: str, term: Term, fitting: list[PriceQuote]) -> PriceBand:
    used, age, rule, beyond = _nearest(fitting, day_number(date), RENT_WINDOW)
    value, low, high = _band(used, beyond)
    return PriceBand(
        chip=chip, term=term, date=date, value=value, low=low, high=high, age=age * DAY, grade=_grade(used, beyond), quotes=used, rule=rule
    )


def _nearest(fitting: list[PriceQuote], day: int, window: int) -> tuple[tuple[PriceQuote, ...], int, str, float]:
    """The quotes to use, their age in days, the rule in words, and the years by which the band is held beyond its window."""
    days = [day_number(quote.date) for quote in fitting]
    past = [number for number in days if number <= day]
    anchor = max(past) if past else min(days)
    for reach in (window, 2 * window):
        newest = day if day - anchor <= window else anchor
        start, end = (newest - reach, anchor) if past else (anchor, anchor + reach)
        used = _newest_by_provider(quote for quote, number in zip(fitting, days, strict=True) if start <= number <= end)
        if len(used) >= ENOUGH:
            break
    count = f"median of {len(used)} quote{'s' if len(used) > 1 else ''}"
    if not past:
        return used, day - anchor, f"{count}, the first known, taken back", (anchor - day) / 365.25
    beyond = max(0, day - anchor - window) / 365.25
    return used, day - anchor, f"{count}, {'held beyond the last' if beyond else 'current'}", beyond


def _newest_by_provider(found: Iterable[PriceQuote]) -> tuple[PriceQuote, ...]:
    newest: dict[tuple[str, str], PriceQuote] = {}
    for quote in sorted(found, key=lambda quote: day_number(quote.date)):
        newest[quote.provider, quote.region] = quote
    return tuple(newest.values())


def _band(used: tuple[PriceQuote, ...], beyond: float) -> tuple[float, float, float]:
    value = float(np.median([quote.price.value for quote in used]))
    low = float(np.percentile([quote.price.low for quote in used], 10))
    high = float(np.percentile([quote.price.high for quote in used], 90))
    lone = len(used) == 1 and used[0].price.low == used[0].price.high and used[0].price.grade is not Grade.VENDOR
    widening = float(np.exp(DRIFT_PER_YEAR * beyond + LONE_SPREAD * lone))
    return value, min(low, value) / widening, max(high, value) * widening


def _worse(first: Grade, second: Grade) -> Grade:
    return max(first, second, key=list(Grade).index)


def _grade(used: tuple[PriceQuote, ...], beyond: float) -> Grade:
    """The middle grade of the quotes, no better than an estimate once held beyond the window and a guess after two more years."""
    ranks = sorted(list(Grade).index(quote.price.grade) for quote in used)
    grade = list(Grade)[ranks[len(ranks) // 2]]
    if beyond <= 0:
        return grade
    return _worse(grade, Grade.GUESS if beyond > 2 else Grade.ESTIMATE)
