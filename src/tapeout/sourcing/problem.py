"""What the plan decides over: quarters, what may happen, demand, offers, sites and programmes, as plain values and NumPy arrays.

Arrays "by node" run over the nodes of the problem's tree; where the tree is one path, a node is a quarter. Money is in USD of the
scenario's currency year.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.outlook.tree import Nodes, Tree, single
from tapeout.units import Dimensionless, PerYear, Unit, Usd

Array = NDArray[np.float64]
WattsByNode = Annotated[Array, Unit("W")]
UsdByNode = Annotated[Array, Unit("USD")]
UsdByAge = Annotated[Array, Unit("USD")]
UsdPerHourByNode = Annotated[Array, Unit("USD/h")]
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
class Tier:
    """Chips ordered once `volume` of them have been ordered before cost `factor` times the price; reached in quarters of decision."""

    volume: Count
    factor: Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One way to get one chip; arrays by node.

    An order of quarter t serves in quarters t + lead to t + lead + term - 1; what is owned may also stand idle or be sold before.
    `rent` is paid per chip-hour of service at the price of the order's node (for on-demand, of the node of service),
    `unit_price` once at the order (chip with its share of server and network). `hosted` offers need no site of the company;
    others draw `power` per chip (with its share of the host, before PUE) at one of `sites`. `throughput` is queries/s per
    chip on each model of the problem, 0 where it cannot serve the model. `allocation` caps the chips ordered in a quarter;
    0 before the offer exists. `programme` names the programme whose start must precede the first order by its lead.
    `initial` chips serve from quarter 0, hosted or at the first of `sites`, for `initial_term` quarters (`term` where None), at
    the rent of quarter 0. An owned chip is worth `residual` x its price x the unexpired share of its term, when it is sold (after whole
    years of service) or after the last quarter. A commitment can be ended after whole years for `cancellation` x the rent still owed,
    not at all where that is None. An order is at least `minimum` chips, and then placed only in quarters of decision.
    """

    id: str
    supplier: str
    kind: ContractKind
    chip: str
    lead: int
    term: int
    rent: UsdPerHourByNode
    unit_price: UsdByNode
    upkeep: UsdPerHourByNode
    allocation: Annotated[Array, Unit("1")]
    hosted: bool
    power: Annotated[float, Unit("W")]
    throughput: QueriesPerSecondArray
    sites: tuple[str, ...] = ()
    programme: str | None = None
    initial: Count = 0.0
    residual: Dimensionless = 0.0
    source: str = ""
    initial_term: int | None = None
    cancellation: Dimensionless | None = None
    minimum: Count = 0.0
    tiers: tuple[Tier, ...] = ()

    @property
    def owned(self) -> bool:
        """Whether the company owns the chip (and may let it stand idle, or sell it)."""
        return self.kind in (ContractKind.PURCHASE, ContractKind.PARTNER, ContractKind.OWN)

    def at(self, nodes: Nodes) -> Offer:
        """The offer with its arrays at these nodes."""
        return replace(
            self, rent=self.rent[nodes], unit_price=self.unit_price[nodes], upkeep=self.upkeep[nodes], allocation=self.allocation[nodes]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place for chips that are not hosted; arrays by node.

    `available` is the IT power that can be held from each quarter on (cumulative cap), in steps of `module` watts, ordered in
    quarters of decision; power ordered in quarter t can be used from t + lead. `capex` is paid per watt at the order, `rent` per watt
    and hour while held, `energy` per joule drawn; a chip that runs draws `load` times its rated power times `pue`. After the last
    quarter a site is worth `residual` x its capex x the unexpired share of `term` quarters since its delivery; 0 quarters: nothing.
    """

    id: str
    available: WattsByNode
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

    def at(self, nodes: Nodes) -> Site:
        """The site with its arrays at these nodes."""
        return replace(self, available=self.available[nodes], capex=self.capex[nodes], rent=self.rent[nodes], energy=self.energy[nodes])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeOutcome:
    """How a programme may go: `spend` by quarter since its start, first orders `lead` quarters after it (None: never).

    `revealed` is the quarter since the start in which it shows; until then its spend is that of the other outcomes not yet seen.
    """

    name: str
    probability: Dimensionless
    spend: UsdByAge
    lead: int | None
    revealed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """An own-chip programme, started at most once, in a quarter of decision: `spend` by quarter since its start, `lead` to first orders.

    The start lies in quarters `first_start` to `last_start`, both included; spend after the last quarter is not counted. With
    `outcomes` it goes as one of them, which nobody knows before it has been started. At each of its `gates` (quarters since the
    start) it can be stopped for good, which saves what it would have spent from then on.
    """

    id: str
    spend: UsdByAge
    lead: int
    first_start: int
    last_start: int
    outcomes: tuple[ProgrammeOutcome, ...] = ()
    gates: tuple[int, ...] = ()

    @property
    def cases(self) -> tuple[ProgrammeOutcome, ...]:
        """Its outcomes; the planned one where it is sure."""
        return self.outcomes or (ProgrammeOutcome(name="as planned", probability=1.0, spend=self.spend, lead=self.lead, revealed=0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepayment:
    """Money for capacity, once, in a quarter of decision: `price` (by node) buys `chips` more of each of `offers` a quarter, `lead` later.

    In return at least `offtake` chips of them are ordered each quarter from then on; each that is not costs `shortfall`.
    """

    id: str
    offers: tuple[str, ...]
    price: UsdByNode
    lead: int
    chips: Count
    offtake: Count
    shortfall: Usd
    first: int
    last: int

    def at(self, nodes: Nodes) -> Prepayment:
        """The prepayment with its price at these nodes."""
        return replace(self, price=self.price[nodes])


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """Money that may be drawn beyond the budget, up to `limit` (by node), at `interest`; all of it is repaid in the last quarter."""

    limit: UsdByNode
    interest: PerYear


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The objective is (1 - weight) x expected cost + weight x the mean cost of the worst `tail` share of the futures."""

    weight: Dimensionless
    tail: Dimensionless


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """All of it. `demand` is (models, nodes) in queries/s at the provisioned peak, `volume` the queries of each quarter.

    `largest_share` caps one supplier's share of the queries delivered in every quarter from `share_from` on, a query of model m
    counting `share_weights[m]` (its tokens or FLOPs, say; all alike where None), and `concentration` the Herfindahl-Hirschman index of
    those shares. `budget` caps the cash of each quarter.
    `unmet_penalty` is USD per query not served, by model; an infinite one forbids unmet demand. `discount` is the yearly rate,
    compounded by quarter, with all of a quarter's cash at its middle. What is lumpy (a start, a module of power, a prepayment, a tier)
    is decided every `every` quarters.
    """

    quarters: tuple[str, ...]
    tree: Tree
    models: tuple[str, ...]
    demand: QueriesPerSecondArray
    volume: Annotated[Array, Unit("query")]
    unmet_penalty: Annotated[Array, Unit("USD/query")]
    offers: tuple[Offer, ...]
    sites: tuple[Site, ...]
    programmes: tuple[Programme, ...]
    budget: UsdByNode
    discount: PerYear
    largest_share: Dimensionless = 1.0
    concentration: Dimensionless = 1.0
    share_from: int = 0
    share_weights: Annotated[Array, Unit("1")] | None = None
    prepayments: tuple[Prepayment, ...] = ()
    debt: Debt | None = None
    risk: Risk | None = None
    every: int = 1

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Whether a node's quarter is one of decision, (nodes,)."""
        return np.asarray(self.tree.quarter % self.every == 0)

    def on(self, tree: Tree, nodes: Nodes) -> Problem:
        """The problem on another tree, whose node i has the values of node `nodes[i]`."""
        return replace(
            self,
            tree=tree,
            demand=self.demand[:, nodes],
            volume=self.volume[:, nodes],
            offers=tuple(offer.at(nodes) for offer in self.offers),
            sites=tuple(site.at(nodes) for site in self.sites),
            budget=self.budget[nodes],
            prepayments=tuple(one.at(nodes) for one in self.prepayments),
            debt=replace(self.debt, limit=self.debt.limit[nodes]) if self.debt else None,
        )

    def along(self, leaf: int) -> Problem:
        """The problem as if the future that ends in node `leaf` were sure."""
        return self.on(single(len(self.quarters)), self.tree.above[leaf, ::-1])

    def without(self, programmes: frozenset[str]) -> Problem:
        """The problem without these programmes, the offers that need them and what is prepaid for those alone."""
        offers = tuple(offer for offer in self.offers if offer.programme not in programmes)
        left = {offer.id for offer in offers}
        prepayments = (replace(one, offers=tuple(name for name in one.offers if name in left)) for one in self.prepayments)
        return replace(
            self,
            programmes=tuple(programme for programme in self.programmes if programme.id not in programmes),
            offers=offers,
            prepayments=tuple(one for one in prepayments if one.offers),
        )
