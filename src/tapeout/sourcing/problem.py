"""What the plan decides over: quarters, demand, offers, sites and programmes, as plain values and NumPy arrays.

Arrays run over `quarters` (index 0 is the first) unless said otherwise. Money is in USD of the scenario's currency year.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.units import PerYear, Unit

Array = NDArray[np.float64]
WattsByQuarter = Annotated[Array, Unit("W")]
UsdByQuarter = Annotated[Array, Unit("USD")]
UsdPerHourByQuarter = Annotated[Array, Unit("USD/h")]
QueriesPerSecondArray = Annotated[Array, Unit("query/s")]
Count = Annotated[float, Unit("1")]


class ContractKind(StrEnum):
    """How chips come to the company."""

    ON_DEMAND = "on-demand"
    RESERVED = "reserved"
    LEASE = "lease"
    PURCHASE = "purchase"
    PARTNER = "partner"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way to get one chip.

    An order of quarter t serves in quarters t + lead to t + lead + term - 1; a purchased or own chip may be retired before.
    `rent` is paid per chip-hour of service at the price of the order's quarter (for on-demand, of the quarter of service),
    `unit_price` once at the order (chip with its share of server and network). `hosted` offers need no site of the company;
    others draw `power` per chip (with its share of the host, before PUE) at one of `sites`. `throughput` is queries/s per
    chip on each model of the problem, 0 where it cannot serve the model. `allocation` caps the chips ordered in a quarter;
    0 before the offer exists. `programme` names the programme whose start must precede the first order by its lead.
    `initial` chips serve from quarter 0, hosted or at the first of `sites`, for `initial_term` quarters (`term` where None), at
    the rent of quarter 0. An owned chip is worth `residual` x its price x the unexpired share of its term after the last quarter;
    one that is retired early is switched off, not scrapped, and keeps that value.
    """

    id: str
    supplier: str
    kind: ContractKind
    chip: str
    lead: int
    term: int
    rent: UsdPerHourByQuarter
    unit_price: UsdByQuarter
    upkeep: UsdPerHourByQuarter
    allocation: Annotated[Array, Unit("1")]
    hosted: bool
    power: Annotated[float, Unit("W")]
    throughput: QueriesPerSecondArray
    sites: tuple[str, ...] = ()
    programme: str | None = None
    initial: Count = 0.0
    residual: Annotated[float, Unit("1")] = 0.0
    source: str = ""
    initial_term: int | None = None

    @property
    def owned(self) -> bool:
        """Whether the company owns the chip (and may retire it early)."""
        return self.kind in (ContractKind.PURCHASE, ContractKind.PARTNER, ContractKind.OWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place for chips that are not hosted.

    `available` is the IT power that can be held from each quarter on (cumulative cap), in steps of `module` watts; power
    ordered in quarter t can be used from t + lead. `capex` is paid per watt at the order, `rent` per watt and hour while held,
    `energy` per joule drawn; a chip in the fleet draws `load` times its rated power times `pue`. After the last quarter a site
    is worth `residual` x its capex x the unexpired share of `term` quarters since its delivery; 0 quarters: nothing.
    """

    id: str
    available: WattsByQuarter
    lead: int
    capex: Annotated[Array, Unit("USD/W")]
    rent: Annotated[Array, Unit("USD/W/h")]
    energy: Annotated[Array, Unit("USD/J")]
    pue: Annotated[float, Unit("1")]
    load: Annotated[float, Unit("1")]
    module: Annotated[float, Unit("W")] = 0.0
    initial: Annotated[float, Unit("W")] = 0.0
    term: int = 0
    residual: Annotated[float, Unit("1")] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """An own-chip programme, started at most once: `spend` by quarter since its start, first orders `lead` quarters after it.

    The start lies in quarters `first_start` to `last_start`, both included; spend after the last quarter is not counted.
    """

    id: str
    spend: UsdByQuarter
    lead: int
    first_start: int
    last_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """All of it. `demand` is (models, quarters) in queries/s at the provisioned peak, `volume` the queries of each quarter.

    `largest_share` caps one supplier's share of the queries delivered in every quarter from `share_from` on, a query of model m
    counting `share_weights[m]` (its tokens or FLOPs, say; all alike where None). `budget` caps the cash of each quarter.
    `unmet_penalty` is USD per query not served, by model; an infinite one forbids unmet demand. `discount` is the yearly rate,
    compounded by quarter, with all of a quarter's cash at its middle.
    """

    quarters: tuple[str, ...]
    models: tuple[str, ...]
    demand: QueriesPerSecondArray
    volume: Annotated[Array, Unit("query")]
    unmet_penalty: Annotated[Array, Unit("USD/query")]
    offers: tuple[Offer, ...]
    sites: tuple[Site, ...]
    programmes: tuple[Programme, ...]
    budget: UsdByQuarter
    discount: PerYear
    largest_share: Annotated[float, Unit("1")] = 1.0
    share_from: int = 0
    share_weights: Annotated[Array, Unit("1")] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan. Shapes: O offers, K places (index 0 is hosted, then the sites), M models, Q quarters, P programmes.

    `orders`, `fleet` and `retired` are (O, K, Q) chips: ordered in the quarter, in service in it, and gone from service at its
    start (at the end of their term or, if owned, before). `served` is (O, M, Q), `unmet` (M, Q), both at the provisioned peak;
    `site_orders` and `site_power` are (K - 1, Q), `starts` is (P, Q) of 0 and 1. `spend` has the undiscounted USD of each quarter
    by category: rent, chips, upkeep, sites, energy, programme; then penalty, which is no cash, and residual, which is negative and
    booked in the last quarter. `cost` is their discounted sum. `status` is optimal (within the gap asked for), limit or cancelled.
    """

    problem: Problem
    orders: Annotated[Array, Unit("1")]
    fleet: Annotated[Array, Unit("1")]
    retired: Annotated[Array, Unit("1")]
    served: QueriesPerSecondArray
    unmet: QueriesPerSecondArray
    site_orders: WattsByQuarter
    site_power: WattsByQuarter
    starts: Annotated[Array, Unit("1")]
    spend: dict[str, UsdByQuarter]
    cost: Annotated[float, Unit("USD")]
    bound: Annotated[float, Unit("USD")]
    status: str = "optimal"
    notes: tuple[str, ...] = field(default=())

    @property
    def gap(self) -> float:
        """Relative distance of the cost from the dual bound."""
        return (self.cost - self.bound) / abs(self.cost) if self.cost else 0.0
