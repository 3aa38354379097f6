"""When a chip programme reaches volume, as draws: phase after phase, with queues, respins and packaging booked beside them.

[equation 10 of the cost model, after ttm-cas]: T = design + queue + fabrication + assembly + bring-up + respins + ramp, and not before
the packaging that was booked at tape-out is there. Each spin after a failed one takes the time of a respin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from tapeout.cost.draws import Draws, Percentiles, percentiles
from tapeout.cost.nre import ProgrammeFacts, programme_facts
from tapeout.errors import InputError
from tapeout.hardware.process import Process
from tapeout.units import QUARTER, Seconds, Unit

Array = NDArray[np.float64]
SecondsArray = Annotated[Array, Unit("s")]
CountArray = Annotated[Array, Unit("1")]

PHASES = (
    "integration",
    "architecture",
    "tape_out",
    "foundry_queue",
    "fabrication",
    "assembly",
    "bring_up",
    "respins",
    "ramp",
    "packaging_wait",
)
"""The phases in order; each begins where the one before ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDraws:
    """Durations of the phases in seconds, arrays of shape (draws,); `spins` counts all tape-outs, the first included.

    `architecture` goes to the register-transfer level and its verification, `tape_out` from there to the masks; `packaging_wait` is
    what is left of the lead of packaging when all else is ready.
    """

    integration: SecondsArray
    architecture: SecondsArray
    tape_out: SecondsArray
    foundry_queue: SecondsArray
    fabrication: SecondsArray
    assembly: SecondsArray
    bring_up: SecondsArray
    respins: SecondsArray
    ramp: SecondsArray
    packaging_wait: SecondsArray
    spins: CountArray

    @property
    def masks_out(self) -> SecondsArray:
        """Start to the first tape-out."""
        return self.integration + self.architecture + self.tape_out

    @property
    def first_silicon(self) -> SecondsArray:
        """Start to the first packaged chips."""
        return self.masks_out + self.foundry_queue + self.fabrication + self.assembly

    @property
    def volume(self) -> SecondsArray:
        """Start to volume, if nothing stops the programme."""
        return self.first_silicon + self.bring_up + self.respins + self.ramp + self.packaging_wait

    def phases(self) -> dict[str, Percentiles[Seconds]]:
        """Percentiles of each phase by name, in the order of `PHASES`."""
        return {name: percentiles(getattr(self, name)) for name in PHASES}


def calendar_draws(
    node: Process,
    draws: Draws,
    *,
    time_share: ArrayLike = 1.0,
    integration: ArrayLike = 0.0,
    facts: ProgrammeFacts | None = None,
) -> CalendarDraws:
    """The calendar of a programme in `node`: `time_share` of the usual design time, after `integration` (s) of a firm that was bought.

    Both are numbers or of shape (draws,). Physical design takes the tape-out effort, at most half of the design. Raises InputError
    for a share that is not positive and for a negative time.
    """
    known = facts or programme_facts()
    share, joined = (np.broadcast_to(np.asarray(each, dtype=np.float64), (draws.count,)) for each in (time_share, integration))
    if not (np.all(share > 0) and np.all(joined >= 0)):
        raise InputError(
            "a design takes a positive share of the usual time, and integration no negative one",
            given=f"{float(share.min()):.3g}, {float(joined.min()):.3g} s",
        )
    design = draws.of(known.design_time, "design time") * share
    effort = np.minimum(draws.of(known.tape_out_effort, "tape-out effort"), design / 2)
    queue, fabrication = draws.of(known.foundry_queue, "queue at the foundry"), draws.of(node.fab_time, "fabrication time")
    assembly, bring_up = draws.of(known.assembly_time, "assembly time"), draws.of(known.bring_up_time, "bring-up time")
    respun = respins_drawn(draws, known)
    respins, ramp = draws.of(known.respin_time, "respin time") * respun, draws.of(known.ramp_time, "ramp time")
    since_masks = queue + fabrication + assembly + bring_up + respins + ramp
    return CalendarDraws(
        integration=joined,
        architecture=design - effort,
        tape_out=effort,
        foundry_queue=queue,
        fabrication=fabrication,
        assembly=assembly,
        bring_up=bring_up,
        respins=respins,
        ramp=ramp,
        packaging_wait=np.maximum(draws.of(known.packaging_lead, "lead of packaging") - since_masks, 0.0),
        spins=1 + respun,
    )


def respins_drawn(draws: Draws, facts: ProgrammeFacts) -> CountArray:
    """Spins after the first, of shape (draws,): none with p1, else geometric, each good with p2; p1 and p2 are drawn themselves.

    Their mean at fixed p1 and p2 is (1 - p1) / p2, as in `nre.expected_respins`.
    """
    first = draws.share_of(facts.first_silicon_success, "success of first silicon")
    later = np.clip(draws.share_of(facts.later_spin_success, "success of later spins"), 1e-6, 1 - 1e-9)
    luck, further = ndtr(draws.normal("luck of first silicon")), ndtr(draws.normal("luck of later spins"))
    further_spins = 1.0 + np.floor(np.log1p(-np.minimum(further, 1 - 1e-12)) / np.log1p(-later))
    return np.asarray(np.where(luck < first, 0.0, further_spins), dtype=np.float64)


def quarter_ends(quarters: int) -> SecondsArray:
    """Times of the ends of the first `quarters` quarters, of shape (quarters,); raises InputError for less than one."""
    if quarters < 1:
        raise InputError("at least one quarter is needed", given=quarters)
    return np.asarray(np.arange(1, quarters + 1) * QUARTER, dtype=np.float64)
