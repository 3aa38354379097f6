"""Where owned chips stand, and how own chips come about: sites, programmes and the parameters of an own chip."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tapeout.hardware import parameters as hardware
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.scenario.assumption import CATALOGUE, COST_MODEL, Assumed, Assumption, Forecast
from tapeout.scenario.entry import AQuarter, Entry, Line, Name
from tapeout.scenario.quantity import Quantity, Whole
from tapeout.scenario.quarters import Series
from tapeout.scenario.uncertainty import Outcomes, worded
from tapeout.units import Bytes, BytesPerSecond, Dimensionless, Hertz, Seconds, Unit, Usd, UsdPerJoule, UsdPerWatt, Volts, Watts

UsdPerWattHour = Annotated[float, Unit("USD/W/h")]


class Site(Entry):
    """A place with power for chips that the company owns; what is not said here comes from the catalogue's place of that kind."""

    title: Line = Field("", description="A line for tables and charts; the name unless said.", validate_default=False)
    place: Line = Field(description="Id of a place of the catalogue, such as colocation-us, abilene-lease or own-build-us.")
    available: Annotated[Series[Watts], Forecast("W")] = Field(
        description="IT power that can be held from each quarter on, such as 200 MW."
    )
    module: Annotated[Watts, Quantity("W")] = Field(0.0, description="Step in which power is ordered; any amount unless said.")
    initial: Annotated[Watts, Quantity("W")] = Field(0.0, description="IT power held when the plan starts.")
    lead: Annotated[Assumption[Seconds] | None, Assumed("s")] = Field(
        None, description="From ordering power to using it; rounded up to whole quarters."
    )
    rent: Annotated[Series[UsdPerWattHour] | None, Forecast("USD/W/h")] = Field(
        None, description="Rent of IT power while it is held, such as 190 USD/kW/month."
    )
    capital: Annotated[Series[UsdPerWatt] | None, Forecast("USD/W")] = Field(
        None, description="Paid once per IT power ordered, such as 11.7 USD/W."
    )
    electricity: Annotated[Series[UsdPerJoule] | str | None, Forecast("USD/J", names=True)] = Field(
        None, description="Price such as 0.066 USD/kWh, or the id of a region of the catalogue, such as texas."
    )
    pue: Annotated[Assumption[Dimensionless] | None, Assumed("1", positive=True)] = Field(None, description="Facility power over IT power.")
    load: Annotated[Assumption[Dimensionless] | None, Assumed("1", share=True)] = Field(
        None, description="Power drawn over rated power, on average."
    )


class Programme(Entry):
    """A programme that ends, if it succeeds, in chips that can be ordered."""

    title: Line = Field("", description="A line for tables and charts; the name unless said.", validate_default=False)
    starts_from: AQuarter | None = Field(None, alias="from", description="First quarter in which it can start; the start unless said.")
    starts_until: AQuarter | None = Field(None, alias="until", description="Last quarter in which it can start; the end unless said.")
    nre: Annotated[Assumption[Usd] | None, Assumed("USD", positive=True, word=COST_MODEL)] = Field(
        None, description="All one-off cost: team, tools, IP, masks, respin, software; or cost model (the default)."
    )
    duration: Annotated[Assumption[Seconds] | None, Assumed("s", positive=True, word=COST_MODEL)] = Field(
        None, description="From the start to the first order of chips, a respin included, rounded up to whole quarters; or cost model."
    )
    profile: tuple[Annotated[Dimensionless, Quantity("1", share=True)], ...] = Field(
        (1.0,), min_length=1, description="Shares of the one-off cost in equal parts of the duration; they sum to 100 %. Even unless said."
    )
    outcomes: Annotated[Outcomes | None, BeforeValidator(worded, json_schema_input_type=Outcomes | Literal["cost model"])] = Field(
        None, description="How it may go, or the words cost model for the outcomes that the cost model draws; as planned unless said."
    )
    gates: tuple[Annotated[int, Whole(1, 80, quarters=True)], ...] = Field(
        (), description="Times from the start at which it can be stopped for good, such as [1 year, 2 year]."
    )


class OwnTeam(Programme):
    """The company designs the chip and deals with foundry and packaging itself."""

    mode: Literal["own-team"]


class DesignPartner(Programme):
    """A design house does the physical design and supplies the chips at its margin."""

    mode: Literal["partner"]
    margin: Annotated[Assumption[Dimensionless] | None, Assumed("1", share=True, word=CATALOGUE)] = Field(
        None, description="Gross margin of the partner on each chip, or catalogue (the default)."
    )


class Acquisition(Programme):
    """The company buys a chip maker and its team."""

    mode: Literal["acquisition"]
    price: Annotated[Assumption[Usd], Assumed("USD")] = Field(description="Price of the company bought, paid in the quarter of the start.")


class Licence(Programme):
    """The company licenses a finished design."""

    mode: Literal["licence"]
    price: Annotated[Assumption[Usd], Assumed("USD")] = Field(description="Licence fee, paid in the quarter of the start.")
    margin: Annotated[Assumption[Dimensionless], Assumed("1", share=True)] = Field(
        description="Royalty as a share of the price of each chip."
    )


AnyProgramme = Annotated[OwnTeam | DesignPartner | Acquisition | Licence, Field(discriminator="mode")]


class Prepayment(Entry):
    """Money paid ahead, once, for a share of a fab or of a supplier's capacity, against a promise to take chips."""

    title: Line = Field("", description="A line for tables and charts; the name unless said.", validate_default=False)
    contracts: tuple[Name, ...] = Field(min_length=1, description="Names of the contracts under which its chips are ordered.")
    pays_from: AQuarter | None = Field(None, alias="from", description="First quarter in which it can be made; the start unless said.")
    pays_until: AQuarter | None = Field(None, alias="until", description="Last quarter in which it can be made; the end unless said.")
    price: Annotated[Series[Usd], Forecast("USD")] = Field(description="What is paid, in the quarter in which it is made.")
    lead: Annotated[Assumption[Seconds], Assumed("s")] = Field(description="From the payment to the first order of its chips.")
    chips: Annotated[Assumption[Dimensionless], Assumed("1", positive=True)] = Field(
        description="Chips a quarter that can be ordered beyond the allocations."
    )
    offtake: Annotated[Assumption[Dimensionless], Assumed("1")] = Field(
        description="Chips of these contracts that must be ordered in each quarter from then on."
    )
    shortfall: Annotated[Assumption[Usd], Assumed("USD")] = Field(description="Paid for each chip by which an offtake is missed.")


class OwnMemory(Entry):
    """Memory beside the dies."""

    generation: Line = Field(description="Id of a memory generation, such as hbm3e.")
    stacks: Annotated[int, Whole(1, 64)] = Field(description="Number of stacks or devices of the whole chip.")


class OwnLink(Entry):
    """The scale-up fabric."""

    bandwidth: Annotated[BytesPerSecond, Quantity("B/s", positive=True)] = Field(description="Out of one chip in one direction, all links.")
    topology: Topology = Field(description="How the chips of one domain are joined.")
    domain: Annotated[int, Whole(1)] = Field(description="Chips in one domain.")


class OwnBase(Entry):
    """Dies below the compute dies, which hold the interfaces to memory, links and host, and memory of their own."""

    node: Line = Field(description="Id of a process node, such as tsmc-6.")
    dies: Annotated[int, Whole(1, 64)] = Field(description="Base dies in the package; compute dies and stacks divide into them.")
    on_chip_memory: Annotated[Bytes, Quantity("B", positive=True)] = Field(description="SRAM of all base dies, such as 256 MiB.")

    def layer(self) -> hardware.BaseLayer:
        """The same as the hardware model takes it."""
        return hardware.BaseLayer(node=self.node, dies=self.dies, on_chip_memory=self.on_chip_memory)


class OwnChip(Entry):
    """Parameters of a chip of the company's own design, counted over the whole chip; its peak, power, area and cost follow from them."""

    title: Line = Field("", description="A line for tables and charts; the name unless said.", validate_default=False)
    node: Line = Field(description="Id of a process node, such as tsmc-3.")
    package: Line = Field(description="Id of a package technology, such as cowos-l.")
    dies: Annotated[int, Whole(1, 64)] = Field(1, description="Equal compute dies in the package.")
    matrix_units: Annotated[int, Whole(1)] = Field(description="Matrix units.")
    rows: Annotated[int, Whole(1)] = Field(description="Rows of one matrix unit.")
    columns: Annotated[int, Whole(1)] = Field(description="Columns of one matrix unit.")
    formats: tuple[NumberFormat, ...] = Field(min_length=1, description="Number formats of the matrix units.")
    clock: Annotated[Hertz, Quantity("1/s", positive=True)] = Field(description="Clock of the matrix units, such as 1.6 GHz.")
    on_chip_memory: Annotated[Bytes, Quantity("B", positive=True)] = Field(description="SRAM, such as 128 MiB.")
    memory: OwnMemory = Field(description="Memory beside the dies.")
    link: OwnLink = Field(description="The scale-up fabric.")
    scale_out: Annotated[BytesPerSecond, Quantity("B/s")] = Field(0.0, description="Network bandwidth of one chip in one direction.")
    spare: Annotated[Dimensionless, Quantity("1", share=True)] = Field(0.08, description="Further matrix units, built to replace bad ones.")
    power_limit: Annotated[Watts | None, Quantity("W", positive=True)] = Field(None, description="Most power that the chip may draw.")
    vector_lanes: Annotated[int | None, Whole()] = Field(None, description="Vector lanes of one matrix unit; its columns unless said.")
    voltage: Annotated[Volts | None, Quantity("V", positive=True)] = Field(
        None, description="Supply, such as 0.75 V; the lowest that reaches the clock unless said."
    )
    die_to_die: Annotated[BytesPerSecond | None, Quantity("B/s")] = Field(
        None, description="Bandwidth out of one die to its neighbours in one direction; that of the memory at the die unless said."
    )
    base: OwnBase | None = Field(None, description="Dies of an older node below the compute dies; none unless said.")

    def parameters(self, name: str) -> hardware.OwnChip:
        """The parameters of this chip, named `name`, as the hardware model takes them."""
        return hardware.OwnChip(
            id=name, name=self.title or name, node=self.node, dies=self.dies, matrix_units=self.matrix_units, rows=self.rows,
            columns=self.columns, formats=self.formats, clock=self.clock, on_chip_memory=self.on_chip_memory, memory=self.memory.generation,
            stacks=self.memory.stacks, link_bandwidth=self.link.bandwidth, domain=self.link.domain, topology=self.link.topology,
            scale_out=self.scale_out, spare=self.spare, power_limit=self.power_limit, vector_lanes=self.vector_lanes,
            voltage=self.voltage, die_to_die=self.die_to_die, base=self.base.layer() if self.base else None,
        )  # fmt: skip
