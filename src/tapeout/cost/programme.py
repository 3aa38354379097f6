"""A chip programme as draws: what it costs by phase and by quarter, and when it reaches volume, for each way to come to a chip.

The ways are data (`[mode.*]` of `data/programmes.toml`) and a function each with one signature; `MODES` maps the word to the function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from tapeout.cost.calendar import CalendarDraws, calendar_draws, quarter_ends
from tapeout.cost.die import reticle_area
from tapeout.cost.draws import Draws, quantity_at
from tapeout.cost.nre import Deal, ProgrammeFacts, acquisitions, programme_facts
from tapeout.errors import InputError, UnknownNameError, did_you_mean
from tapeout.hardware.process import Process
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import DAY, QUARTER, Dimensionless, Seconds, SquareMetres, Unit, Usd

Array = NDArray[np.float64]
UsdArray = Annotated[Array, Unit("USD")]
SecondsArray = Annotated[Array, Unit("s")]
ShareArray = Annotated[Array, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A way to come to a chip: shares of an own team's design time and cost (all where none), how often it stops, what others take.

    `margin` is the share of a chip's price that goes to another; `fee` is paid at the start; `integration`, `retention` (a share of
    the price of the firm) and `retention_time` come with a purchase.
    """

    id: str
    name: str
    time_share: Sourced[Dimensionless]
    cancellation: Sourced[Dimensionless]
    design_share: Sourced[Dimensionless] | None = None
    margin: Sourced[Dimensionless] | None = None
    fee: Sourced[Usd] | None = None
    integration: Sourced[Seconds] | None = None
    retention: Sourced[Dimensionless] | None = None
    retention_time: Sourced[Seconds] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Money paid evenly between two times after the start, arrays of shape (draws,)."""

    amount: UsdArray
    begin: SecondsArray
    end: SecondsArray

    def until(self, time: ArrayLike) -> UsdArray:
        """What is paid by `time` (s), which broadcasts against the draws."""
        passed = (np.asarray(time, dtype=np.float64) - self.begin) / np.maximum(self.end - self.begin, 1.0)
        return self.amount * np.clip(passed, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeDraws:
    """A programme: its calendar, its payments by phase, `margin` on each chip, and `stopped`, the time (s) of its end, infinite if none."""

    mode: Mode
    calendar: CalendarDraws
    payments: dict[str, Payment]
    margin: ShareArray
    stopped: SecondsArray

    @property
    def volume(self) -> SecondsArray:
        """Start to volume, of shape (draws,); infinite where the programme is stopped before."""
        return np.where(np.isfinite(self.stopped), np.inf, self.calendar.volume)

    @property
    def failure(self) -> Dimensionless:
        """Share of the draws that never reach volume."""
        return float(np.mean(np.isfinite(self.stopped)))

    @property
    def one_off(self) -> UsdArray:
        """All payments if nothing stops the programme, of shape (draws,): what the chips that are made must bear."""
        return np.asarray(sum(self.planned().values()), dtype=np.float64)

    @property
    def quarters(self) -> int:
        """Quarters until the last payment and the last arrival at volume of all draws."""
        last = max(float(np.max(self.calendar.volume)), *(float(np.max(payment.end)) for payment in self.payments.values()))
        return math.ceil(last / QUARTER)

    def planned(self) -> dict[str, UsdArray]:
        """One-off cost by phase if nothing stops the programme, of shape (draws,)."""
        return {name: payment.amount for name, payment in self.payments.items()}

    def paid(self) -> dict[str, UsdArray]:
        """What is paid by phase before the programme is stopped or done, of shape (draws,)."""
        return {name: payment.until(self.stopped) for name, payment in self.payments.items()}

    def cash(self, quarters: int) -> Annotated[Array, Unit("USD")]:
        """Cash of each of the first `quarters` quarters, of shape (draws, quarters)."""
        ends = np.minimum(np.concatenate(([0.0], quarter_ends(quarters)))[:, np.newaxis], self.stopped)
        return np.diff(sum(payment.until(ends) for payment in self.payments.values()), axis=0).T

    def in_volume(self, quarters: int) -> ShareArray:
        """Probability of being in volume at the end of each of the first `quarters` quarters, of shape (quarters,)."""
        return np.asarray(np.searchsorted(np.sort(self.volume), quarter_ends(quarters), side="right") / self.volume.size)


DEAL = frozenset({"fee", "price", "retention"})
"""Payments that come with a firm or a licence, beside those for the chip itself."""

Programme = Callable[[Process, SquareMetres, Draws], ProgrammeDraws]


@cache
def modes() -> dict[str, Mode]:
    """The facts of all modes by id."""
    table = load_toml(DATA / "programmes.toml")["mode"]
    return {key: read_facts(Mode, entry, "programmes.toml", f"mode.{key}", {"id": key}) for key, entry in table.items()}


def own_team(node: Process, die_area: SquareMetres, draws: Draws) -> ProgrammeDraws:
    """A programme of the company's own people: all of the design cost, no margin."""
    return _programme(modes()["own-team"], node, die_area, draws)


def design_partner(node: Process, die_area: SquareMetres, draws: Draws) -> ProgrammeDraws:
    """A programme with a design partner, who bears part of the design and takes a margin on each chip."""
    return _programme(modes()["design-partner"], node, die_area, draws)


def licence(node: Process, die_area: SquareMetres, draws: Draws) -> ProgrammeDraws:
    """A programme on a licensed architecture: a fee at the start, part of the design, a royalty on each chip."""
    mode = modes()["licence"]
    fee = mode.fee
    assert fee is not None  # noqa: S101 (the mode's facts state it)
    return _programme(mode, node, die_area, draws, {"fee": _at_once(draws.of(fee, "fee of the licence"))})


def acquisition(node: Process, die_area: SquareMetres, draws: Draws) -> ProgrammeDraws:
    """A programme of a firm that is bought: the price of one of the known purchases, integration, and retention over years.

    Each draw takes one deal of `nre.acquisitions` that is no licence, since their prices differ twentyfold without a pattern.
    """
    mode, deals = modes()["acquisition"], [deal for deal in acquisitions() if deal.deal is not Deal.LICENCE]
    which = np.minimum((ndtr(draws.normal("which firm is bought")) * len(deals)).astype(np.intp), len(deals) - 1)
    luck = draws.normal("price of the firm")
    price = np.choose(which, [quantity_at(deal.price, luck) for deal in deals])
    integration, kept, held = mode.integration, mode.retention, mode.retention_time
    assert integration is not None and kept is not None and held is not None  # noqa: S101, PT018 (the mode's facts state them)
    joined = draws.of(integration, "integration of the firm")
    retention = Payment(
        amount=price * draws.share_of(kept, "retention"), begin=np.zeros(draws.count), end=draws.of(held, "time of retention")
    )
    return _programme(mode, node, die_area, draws, {"price": _at_once(price), "retention": retention}, joined)


MODES: Mapping[str, Programme] = {
    "own-team": own_team,
    "design-partner": design_partner,
    "acquisition": acquisition,
    "licence": licence,
}


def programme(mode: str) -> Programme:
    """The function of a mode; raises UnknownNameError with the closest one.

    >>> programme("own-team") is own_team
    True
    """
    if mode not in MODES:
        raise UnknownNameError("unknown programme mode", given=mode, allowed=sorted(MODES), hint=did_you_mean(mode, MODES))
    return MODES[mode]


def design_cost_draws(
    node: Process, die_area: SquareMetres, draws: Draws, facts: ProgrammeFacts | None = None
) -> Annotated[Array, Unit("USD")]:
    """Design cost of a chip of `die_area` in `node`, of shape (draws,): D (f + (1 - f) u A / A0) [chiplet-actuary], as in `nre`."""
    known = facts or programme_facts()
    unique = draws.share_of(known.unique_share, "share of the die designed once") * die_area / known.reference_area.value
    fixed = known.fixed_share.value
    return draws.of(node.design_cost, "design cost of the node") * (fixed + (1 - fixed) * unique)


def _at_once(amount: Array) -> Payment:
    """A payment at the start, within a day."""
    return Payment(amount=amount, begin=np.zeros(amount.size), end=np.full(amount.size, DAY))


def _programme(
    mode: Mode,
    node: Process,
    die_area: SquareMetres,
    draws: Draws,
    entry: Mapping[str, Payment] | None = None,
    integration: ArrayLike = 0.0,
) -> ProgrammeDraws:
    """The common part, `entry` beside it and after the time of an `integration`.

    The team (design, verification, software) is paid from its integration to volume, licences over the design, masks and package as
    they are made.
    """
    if not 0 < die_area <= reticle_area():
        limit = f"above 0 and at most {reticle_area() * 1e6:.0f} mm2, the reticle limit [catch-layer-definitions]"
        raise InputError("no such die", given=f"{die_area * 1e6:.4g} mm2", allowed=limit)
    known = programme_facts()
    plan = calendar_draws(node, draws, time_share=draws.of(mode.time_share, "share of the design time"), integration=integration)
    begin, masks_out, good = plan.integration, plan.masks_out, plan.first_silicon + plan.bring_up
    mask_set = draws.of(node.mask_set, "price of a mask set")
    made = masks_out + plan.foundry_queue + plan.fabrication
    design = design_cost_draws(node, die_area, draws, known)
    if mode.design_share is not None:
        design = design * draws.share_of(mode.design_share, "share of the design")
    software = draws.share_of(known.software_share, "software in the design cost")
    verification = draws.share_of(known.verification_share, "verification in the design cost")
    team = {"design": design * (1 - software - verification), "verification": design * verification, "software": design * software}
    payments = {
        **(entry or {}),
        **{name: Payment(amount=amount, begin=begin, end=plan.volume) for name, amount in team.items()},
        "licences": Payment(amount=draws.of(known.licences, "licences"), begin=begin, end=masks_out),
        "package": Payment(amount=draws.of(known.package_design, "package design"), begin=masks_out, end=made),
        "masks": Payment(amount=mask_set, begin=masks_out, end=made),
        "respins": Payment(amount=mask_set * (plan.spins - 1), begin=good, end=good + plan.respins),
    }
    cancelled = ndtr(draws.normal("whether it is cancelled")) < draws.share_of(mode.cancellation, "how often programmes are cancelled")
    when = ndtr(draws.normal("when it is cancelled")) * plan.volume
    margin = draws.share_of(mode.margin, "margin of the partner") if mode.margin else np.zeros(draws.count)
    return ProgrammeDraws(mode=mode, calendar=plan, payments=payments, margin=margin, stopped=np.where(cancelled, when, np.inf))
