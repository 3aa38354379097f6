"""What a simulation was of: the chips that served, what happened, and the limits it is held to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tapeout.fleet.engines import Group
from tapeout.fleet.goodput import Goodput
from tapeout.fleet.service_level import ServiceLevel
from tapeout.hardware.chip import Chip
from tapeout.serving.cluster import Engine, Phase
from tapeout.serving.metrics import duration
from tapeout.serving.outcome import Outcome
from tapeout.serving.saturation import Saturation
from tapeout.serving.timeline import Ran, Spans, step_spans
from tapeout.units import Dimensionless, Seconds, UsdPerHour

Switches = NDArray[np.bool_]
WARM_UP = 0.25
"""Share of the time of arrivals that is left out of the numbers of a saturated run, while its engines fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Chips of one kind that do the same, which is a pool of the cluster; `hour` is the price of a chip-hour, None where there is none."""

    chip: Chip
    group: Group
    hour: UsdPerHour | None

    @property
    def chips(self) -> int:
        """Chips of all copies."""
        return self.group.chips

    @property
    def engines(self) -> int:
        """Engines of all copies."""
        return self.group.engines

    @property
    def engine(self) -> Engine:
        """Each of them."""
        return self.group.engine

    @property
    def label(self) -> str:
        """The deployment in words, with its phase where that is not all, and its drafts."""
        phase = "" if self.group.phase is Phase.BOTH else f" for {self.group.phase}"
        drafts = self.engine.policy.speculation
        return f"{self.group.deployment.label}{phase}{f', drafts of {drafts.tokens}' if drafts else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A fleet's parts and what they did with `traffic` (in words); of `asked` requests an interrupted run answered but some."""

    model: str
    precision: str
    traffic: str
    parts: tuple[Part, ...]
    outcome: Outcome
    asked: int
    load: Saturation
    level: ServiceLevel
    interrupted: bool = False
    highest: Goodput | None = None

    @property
    def chips(self) -> int:
        """Chips of all parts."""
        return sum(part.chips for part in self.parts)

    @property
    def engines(self) -> int:
        """Engines of all parts."""
        return sum(part.engines for part in self.parts)

    @property
    def blocks(self) -> int:
        """KV blocks of all engines."""
        return sum(part.engines * part.engine.policy.blocks for part in self.parts)

    @property
    def powered(self) -> tuple[Dimensionless, ...]:
        """By part, the share of its engines that was on, on the mean of the run."""
        ends = np.cumsum([0, *(part.engines for part in self.parts)]).tolist()
        on = np.array([one.powered for one in self.outcome.totals]) / duration(self.outcome)
        return tuple(float(on[first:last].mean()) for first, last in pairwise(ends))

    @property
    def on(self) -> Dimensionless:
        """The share of all engines that was on, on the mean of the run."""
        return sum(share * part.engines for share, part in zip(self.powered, self.parts, strict=True)) / self.engines

    @property
    def hour(self) -> UsdPerHour | None:
        """The price of an hour of the chips that were on, on the mean; None where a part has none."""
        prices = [part.hour * part.chips * on for part, on in zip(self.parts, self.powered, strict=True) if part.hour is not None]
        return sum(prices) if len(prices) == len(self.parts) else None

    @property
    def chip_hour(self) -> UsdPerHour | None:
        """The mean price of an hour of a chip; None where a part has none."""
        prices = [part.hour * part.chips for part in self.parts if part.hour is not None]
        return sum(prices) / self.chips if len(prices) == len(self.parts) else None

    @property
    def fleet(self) -> str:
        """The chips in words, each kind once."""
        kinds = dict.fromkeys(part.chip.id for part in self.parts)
        counts = {kind: sum(part.chips for part in self.parts if part.chip.id == kind) for kind in kinds}
        return " and ".join(f"{count} x {kind}" for kind, count in counts.items())

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.model} at {self.precision} on {self.fleet}, {self.traffic}, limits {self.level.name}"

    @property
    def window(self) -> tuple[Seconds, Seconds]:
        """The time that rates and occupancy are means of: all, or where the run is saturated from the warm-up to the last arrival."""
        first, last = float(self.outcome.arrival.min()), float(self.outcome.arrival.max())
        if self.load.saturated:
            return first + WARM_UP * (last - first), last
        return first, float(self.outcome.completion.max())

    @property
    def rows(self) -> Switches:
        """Which requests percentiles are of: those with their first token in the window, which are all unless the run is saturated."""
        first, last = self.window
        return (self.outcome.first_token >= first) & (self.outcome.first_token <= last)

    def spans(self) -> Spans:
        """The steps of all engines."""
        engines = [part for part in self.parts for _ in range(part.engines)]
        return step_spans(
            [
                Ran(steps=steps, engine=part.engine, power=part.chip.power.value * part.chips / part.engines)
                for steps, part in zip(self.outcome.steps, engines, strict=True)
            ]
        )
