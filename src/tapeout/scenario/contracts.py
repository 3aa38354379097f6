"""How chips come to the company, one class a kind: what is rented stands with the supplier, what is owned needs a site."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tapeout.cost.prices import Seller
from tapeout.scenario.assumption import CATALOGUE, COST_MODEL, Assumed, Assumption, Forecast
from tapeout.scenario.entry import AQuarter, Entry, Line, Name
from tapeout.scenario.quantity import Whole
from tapeout.scenario.quarters import Series
from tapeout.units import Dimensionless, Seconds, Usd, UsdPerHour


class Tier(Entry):
    """A lower price from a volume on."""

    volume: Annotated[int, Whole(1)] = Field(description="Chips that have been ordered before.")
    factor: Annotated[Assumption[Dimensionless], Assumed("1", share=True)] = Field(
        description="What further chips cost over the price, server and network included."
    )


class Contract(Entry):
    """What all kinds share."""

    title: Line = Field("", description="A line for tables and charts; the name unless said.", validate_default=False)
    chip: Line = Field(
        description="Id of a chip of the catalogue, such as nvidia-h100-sxm; for kind own, the name of an entry of own_chips."
    )
    supplier: Line | None = Field(
        None, description="On whom these chips depend; the chip's vendor unless said. largest_supplier_share counts by supplier."
    )
    orders_from: AQuarter | None = Field(None, alias="from", description="First quarter in which it can be ordered; the start unless said.")
    orders_until: AQuarter | None = Field(None, alias="until", description="Last quarter in which it can be ordered; the end unless said.")
    allocation: Annotated[Series[Dimensionless], Forecast("1")] = Field(description="Most chips that can be ordered in each quarter.")
    initial: Annotated[int, Whole()] = Field(0, description="Chips in service when the plan starts.")
    lead: Annotated[Assumption[Seconds] | None, Assumed("s")] = Field(
        None, description="From the order to service, such as 39 week; rounded up to whole quarters. None for rented chips unless said."
    )
    minimum: Annotated[int, Whole()] = Field(0, description="Fewest chips of one order, which is then placed in quarters of decision.")


class Rented(Contract):
    """Chips in the supplier's data centre, paid by the hour."""

    price: Annotated[Series[UsdPerHour] | None, Forecast("USD/h", positive=True, word=CATALOGUE)] = Field(
        None, description="Rent per chip-hour, or catalogue for the dated quotes of the price catalogue (the default)."
    )
    seller: Seller | None = Field(None, description="Whose quotes of the catalogue count, such as hyperscaler; all unless said.")


class OnDemand(Rented):
    """Rented from quarter to quarter at the price of the quarter of service."""

    kind: Literal["on-demand"]


class Committed(Rented):
    """What commitments share."""

    cancellation: Annotated[Assumption[Dimensionless] | None, Assumed("1", share=True)] = Field(
        None, description="Share of the rent still owed that ends it after whole years; it cannot be ended unless said."
    )


class Reserved(Committed):
    """Rented for a term at the price of the quarter of the order."""

    kind: Literal["reserved"]
    term: Annotated[int, Whole(1, 80, quarters=True)] = Field(description="Length of the commitment, such as 1 year.")


class Lease(Committed):
    """Another company's in-house chips, leased in its data centre for a term."""

    kind: Literal["lease"]
    term: Annotated[int, Whole(1, 80, quarters=True)] = Field(description="Length of the commitment, such as 1 year.")


class Owned(Contract):
    """Chips that the company owns; they stand at one of its sites until retired or worn out."""

    sites: tuple[Name, ...] = Field(min_length=1, description="Names of the sites at which they may stand.")
    lead: Annotated[Assumption[Seconds], Assumed("s")] = Field(
        description="From the order to service, such as 39 week; rounded up to whole quarters."
    )
    term: Annotated[int, Whole(1, 80, quarters=True)] = Field(description="Useful life, such as 5 year.")
    upkeep: Annotated[Assumption[UsdPerHour] | None, Assumed("USD/h")] = Field(
        None, description="Maintenance and staff per chip-hour, beside power and site; that of the cost model unless said."
    )
    residual: Annotated[Assumption[Dimensionless] | None, Assumed("1", share=True)] = Field(
        None, description="Share of the price that a chip with life left is worth at the end of the plan; nothing unless said."
    )
    learning: tuple[Tier, ...] = Field((), description="Lower prices once many have been ordered, with rising volume.")


class Purchase(Owned):
    """Chips bought on the market."""

    kind: Literal["purchase"]
    price: Annotated[Series[Usd] | None, Forecast("USD", positive=True, word=CATALOGUE)] = Field(
        None, description="Price of one chip without server and network, or catalogue for the dated quotes (the default)."
    )


class Partner(Owned):
    """Another company's in-house chips, bought from it."""

    kind: Literal["partner"]
    price: Annotated[Series[Usd] | None, Forecast("USD", positive=True, word=CATALOGUE)] = Field(
        None, description="Price of one chip without server and network, or catalogue for the dated quotes (the default)."
    )


class Own(Owned):
    """Chips of the company's own design, which a programme must have brought to production."""

    kind: Literal["own"]
    programme: Name = Field(description="Name of the programme that designs it.")
    price: Annotated[Series[Usd] | None, Forecast("USD", positive=True, word=COST_MODEL)] = Field(
        None, description="Cost of one packaged, tested chip before the partner's margin, or cost model (the default)."
    )


AnyContract = Annotated[OnDemand | Reserved | Lease | Purchase | Partner | Own, Field(discriminator="kind")]
