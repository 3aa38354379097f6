"""A chip programme before its first sale: one-off cost, calendar with expected respins, spend by quarter, and purchases of chip firms.

Published one-off costs differ up to tenfold, so each figure comes at a low, a middle and a high.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.unit import Level, cheap, dear
from tapeout.errors import InputError
from tapeout.hardware.process import Process
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import QUARTER, Dimensionless, Seconds, SquareMetres, Usd


class Deal(StrEnum):
    """What was agreed on: a purchase, an offer that was declined, or a licence."""

    PURCHASE = "purchase"
    OFFER = "offer"
    LICENCE = "licence"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeFacts:
    """Times, success rates and one-off costs of chip programmes, the design partner's margin, and the published lead time.

    `software_share` and `verification_share` are parts of the design cost.
    """

    design_time: Sourced[Seconds]
    tape_out_effort: Sourced[Seconds]
    foundry_queue: Sourced[Seconds]
    packaging_lead: Sourced[Seconds]
    assembly_time: Sourced[Seconds]
    bring_up_time: Sourced[Seconds]
    respin_time: Sourced[Seconds]
    ramp_time: Sourced[Seconds]
    first_silicon_success: Sourced[Dimensionless]
    later_spin_success: Sourced[Dimensionless]
    cancellation: Sourced[Dimensionless]
    unique_share: Sourced[Dimensionless]
    fixed_share: Sourced[Dimensionless]
    reference_area: Sourced[SquareMetres]
    software_share: Sourced[Dimensionless]
    verification_share: Sourced[Dimensionless]
    licences: Sourced[Usd]
    package_design: Sourced[Usd]
    partner_margin: Sourced[Dimensionless]
    published_lead_time: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """A purchase of a chip firm, an offer for one or a licence from one, with its price and what became of it."""

    id: str
    acquirer: str
    target: str
    year: int
    price: Sourced[Usd]
    outcome: str
    deal: Deal = Deal.PURCHASE


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOffCost:
    """One-off cost of a programme; `masks` are those of the first tape-out, `respin_masks` the expected further sets."""

    design: Usd
    licences: Usd
    package_design: Usd
    masks: Usd
    respin_masks: Usd

    @property
    def total(self) -> Usd:
        """All of it."""
        return self.design + self.licences + self.package_design + self.masks + self.respin_masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Durations of a programme's phases in order; `respins` is the expected time of all further spins."""

    design: Seconds
    fabrication: Seconds
    assembly: Seconds
    bring_up: Seconds
    respins: Seconds
    ramp: Seconds

    @property
    def total(self) -> Seconds:
        """Start to volume."""
        return self.design + self.fabrication + self.assembly + self.bring_up + self.respins + self.ramp

    @property
    def quarters(self) -> int:
        """Quarters from the start until volume can be ordered."""
        return math.ceil(self.total / QUARTER - 1e-9)


@cache
def programme_facts() -> ProgrammeFacts:
    """Facts of chip programmes, from `data/programmes.toml`."""
    return read_facts(ProgrammeFacts, load_toml(DATA / "programmes.toml")["programme"], "programmes.toml", "programme")


@cache
def acquisitions() -> tuple[Acquisition, ...]:
    """Purchases of chip firms, oldest first."""
    table = load_toml(DATA / "programmes.toml")["acquisition"]
    found = [read_facts(Acquisition, entry, "programmes.toml", f"acquisition.{key}", {"id": key}) for key, entry in table.items()]
    return tuple(sorted(found, key=lambda deal: deal.year))


def expected_respins(first_success: Dimensionless, later_success: Dimensionless) -> Dimensionless:
    """Expected spins after the first: (1 - p1) / p2, where each later spin succeeds with p2 whatever came before.

    Raises InputError for a probability outside 0 to 1, or a p2 of 0.

    >>> round(expected_respins(0.14, 0.65), 2)
    1.32
    """
    for name, share in (("first_success", first_success), ("later_success", later_success)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} must lie between 0 and 1", given=share)
    if later_success == 0:
        raise InputError("later_success must be above 0, or the programme never ends", given=later_success)
    return (1 - first_success) / later_success


def respins_at(facts: ProgrammeFacts, level: Level) -> Dimensionless:
    """Expected respins at `level`: success rates high where costs are low."""
    return expected_respins(cheap(facts.first_silicon_success, level), cheap(facts.later_spin_success, level))


def one_off_cost(node: Process, die_area: SquareMetres, level: Level = Level.MID, facts: ProgrammeFacts | None = None) -> OneOffCost:
    """One-off cost of a chip with dies of `die_area` in `node`, its expected respins included.

    design = D (f + (1 - f) u A / A0) [chiplet-actuary], with D the node's design cost for the reference area A0, f the fixed share and
    u the share of the die that is designed once; masks are paid once per spin. Software beyond that in D is left out: Reuters
    has it as much again.
    """
    known = facts or programme_facts()
    unique = dear(known.unique_share, level) * die_area / known.reference_area.value
    fixed = known.fixed_share.value
    masks = dear(node.mask_set, level)
    return OneOffCost(
        design=dear(node.design_cost, level) * (fixed + (1 - fixed) * unique),
        licences=dear(known.licences, level),
        package_design=dear(known.package_design, level),
        masks=masks,
        respin_masks=masks * respins_at(known, level),
    )


def calendar(node: Process, level: Level = Level.MID, facts: ProgrammeFacts | None = None) -> Calendar:
    """Time from the start of a programme to volume in `node`, expected respins included; the level is taken for time as for cost."""
    known = facts or programme_facts()
    return Calendar(
        design=dear(known.design_time, level),
        fabrication=dear(node.fab_time, level),
        assembly=dear(known.assembly_time, level),
        bring_up=dear(known.bring_up_time, level),
        respins=dear(known.respin_time, level) * respins_at(known, level),
        ramp=dear(known.ramp_time, level),
    )


def spend_by_quarter(cost: OneOffCost, plan: Calendar) -> NDArray[np.float64]:
    """One-off spend in USD of each quarter from the start, of shape (plan.quarters,); it sums to `cost.total`.

    The design team is paid evenly until volume, as it moves on to bring-up and software; licences over the design; masks and
    package at tape-out; further masks evenly over bring-up and respins.
    """
    tape_out = plan.design
    first_silicon = tape_out + plan.fabrication + plan.assembly
    spans = (
        (cost.design, 0.0, plan.total),
        (cost.licences, 0.0, plan.design),
        (cost.package_design + cost.masks, tape_out, tape_out + plan.fabrication),
        (cost.respin_masks, first_silicon, first_silicon + plan.bring_up + plan.respins),
    )
    edges = np.arange(plan.quarters + 1) * QUARTER
    spend = np.zeros(plan.quarters)
    for amount, begin, end in spans:
        spend += amount * np.diff(np.clip((edges - begin) / (end - begin), 0.0, 1.0))
    return spend


def cost_at_volume(unit: Usd, one_off: Usd, volume: Dimensionless) -> Usd:
    """Cost of a chip when `one_off` is shared by `volume` chips: C = RE + NRE / V. Raises InputError for no volume.

    >>> cost_at_volume(3000.0, 500e6, 100_000)
    8000.0
    """
    if not volume > 0:
        raise InputError("volume must be positive", given=volume)
    return unit + one_off / volume
