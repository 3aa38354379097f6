"""`tapeout design`: from a scenario to the chip found for it, and how that stands against the chips on offer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tapeout.design.economics import Economics
from tapeout.design.kin import on_chip_memory_per_peak
from tapeout.design.refine import neighbours, only, refined
from tapeout.design.search import Aim, Design, Found, JoulesPerToken, search
from tapeout.design.space import Space
from tapeout.design.sweep import STAGING
from tapeout.design.throughput import Workload, carried, chip_seconds, deployments_for
from tapeout.design.under_traffic import Goodput, goodput
from tapeout.errors import InfeasibleError
from tapeout.fleet.parallel import Cluster
from tapeout.hardware.chip import Chip, NumberFormat
from tapeout.hardware.custom import kin_generation, own_chip, peak
from tapeout.hardware.designs import designs_of
from tapeout.hardware.limits import Built, build, limits_of
from tapeout.hardware.parameters import OwnChip
from tapeout.performance.rates import rates
from tapeout.report.design_break_even import BreakEven, break_even
from tapeout.scenario.designing import Brief, Rival, brief, demand_for
from tapeout.scenario.document import read_document
from tapeout.scenario.reader import scenario_of
from tapeout.scenario.schema import Scenario
from tapeout.units import HOUR, MIB, Dimensionless, SecondsPerToken, UsdPerToken

Say = Callable[[str], None]
STEP = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A chip on offer serving the same mix: what it carries under traffic, and in the steady state that the search looks at."""

    rival: Rival
    workloads: tuple[Workload, ...]
    goodput: Goodput
    steady_seconds: SecondsPerToken

    @property
    def usd_per_token(self) -> UsdPerToken:
        """Cost of an output token under traffic, infinity where it does not serve all of the mix."""
        return self.rival.hour / HOUR * self.goodput.seconds

    @property
    def steady_usd_per_token(self) -> UsdPerToken:
        """The same where only mean latencies must keep the limits."""
        return self.rival.hour / HOUR * self.steady_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How far the design is inside a limit, as a share of it; `given` and `allowed` in words, and where the limit is from."""

    name: str
    margin: Dimensionless
    given: str
    allowed: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The token's cost with one thing less and more; where a limit stands against it, None and the limit."""

    name: str
    less: UsdPerToken | None
    more: UsdPerToken | None
    against: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Designed:
    """All that is told of a design; `rivals` with the cheapest token under traffic first, `even` against the first of them.

    `even` is None where no rival or not the design serves all workloads.
    """

    scenario: Scenario
    brief: Brief
    found: Found
    best: Design
    goodput: Goodput
    looked_at: int
    chip: Chip
    built: Built
    margins: tuple[Margin, ...]
    rivals: tuple[Against, ...]
    even: BreakEven | None
    moved: tuple[Moved, ...]

    @property
    def usd_per_token(self) -> UsdPerToken:
        """Cost of an output token of the design under traffic."""
        return self.best.hour / HOUR * self.goodput.seconds

    @property
    def joules_per_token(self) -> JoulesPerToken:
        """Energy of an output token of the design at the meter, under traffic."""
        return float(self.brief.question.economics.watts_at_meter(self.best.power)) * self.goodput.seconds

    @property
    def steady_rival(self) -> Against | None:
        """The rival with the cheapest token in steady state."""
        return min(self.rivals, key=lambda one: one.steady_usd_per_token, default=None)


def designed(
    path: Path,
    *,
    name: str | None,
    volume: Dimensionless | None,
    aim: Aim,
    workers: int | None,
    cluster: Cluster | None = None,
    keep_in: Path,
    version: str,
    say: Say,
    space: Space | None = None,
) -> Designed:
    """The chip found for the scenario in the file at `path`, on the grid `space` or the usual one; raises as what it calls."""
    document = read_document(path)
    scenario = scenario_of(document)
    asked = brief(document, scenario, name, volume, space)
    found = search(asked.question, aim=aim, workers=workers, cluster=cluster, keep_in=keep_in, version=version, say=say)
    say("smaller steps around the best")
    best, looked_at = refined(found, say=say)
    named = dataclasses.replace(best.parameters, id=asked.name, name=scenario.own_chips[asked.name].title or asked.name)
    best = dataclasses.replace(best, parameters=named)
    chip = own_chip(named)
    say("the design and the chips on offer under traffic")
    own = goodput(asked.question.workloads, chip)
    rivals = tuple(sorted((_against(scenario, asked, rival) for rival in asked.rivals), key=lambda one: one.usd_per_token))
    even = None
    if rivals and math.isfinite(rivals[0].goodput.seconds) and math.isfinite(own.seconds):
        even = break_even(scenario, asked, best, own, rivals[0].rival, rivals[0].goodput)
    built = build(designs_of((named,)))
    return Designed(
        scenario=scenario, brief=asked, found=found, best=best, goodput=own, looked_at=looked_at, chip=chip, built=built,
        margins=_margins(named, built), rivals=rivals, even=even, moved=(*_moved_parameters(found, best), *_moved_world(asked, best)),
    )  # fmt: skip


def deployment_label(workload: Workload, domain: int, place: int) -> str:
    """The deployment at a position of `deployments_for` in words."""
    return deployments_for(workload, domain)[place].label if place >= 0 else "none"


def _against(scenario: Scenario, asked: Brief, rival: Rival) -> Against:
    liked = {name: scenario.models[name].precision for name in scenario.models}
    workloads = tuple(demand_for(one, rival.chip, liked[one.name]) for one in asked.question.workloads)
    found = tuple(carried(one, rates([(rival.chip, one.numerics)])) for one in workloads)
    seconds = float(chip_seconds(workloads, found)[0])
    return Against(rival=rival, workloads=workloads, goodput=goodput(workloads, rival.chip), steady_seconds=seconds)


def _margins(own: OwnChip, built: Built) -> tuple[Margin, ...]:
    """The limits from the nearest to the farthest, those that some other parameter follows left out: the supply follows the clock."""
    follows = {"lowest supply"} | ({"clock"} if own.voltage is None else set())
    rows = []
    for limit in limits_of(built):
        given, allowed, source = limit.words(0)
        if np.isfinite(limit.allowed[0]) and limit.name not in follows:
            rows.append(Margin(name=limit.name, margin=float(limit.margin[0]), given=given, allowed=allowed, source=source))
    need = float(peak(own)[NumberFormat.BF16]) * on_chip_memory_per_peak(own.formats) if NumberFormat.BF16 in own.formats else 0.0
    if need > 0:
        held, least = (f"{size / MIB:.0f} MiB" for size in (own.on_chip_memory, need))
        source = f"the least of {kin_generation(own.formats)}'s kin for its peak"
        rows.append(Margin(name=STAGING, margin=own.on_chip_memory / need - 1, given=held, allowed=f"at least {least}", source=source))
    return tuple(sorted(rows, key=lambda one: one.margin))


def _moved_parameters(found: Found, best: Design) -> list[Moved]:
    """Each parameter alone a fifth less and more, all else as it is."""
    names = neighbours(found.question.space, best.parameters, 1 + STEP) | neighbours(found.question.space, best.parameters, 1 - STEP)
    rows = []
    for name in names:
        costs: list[UsdPerToken | None] = []
        reasons: list[str] = []
        for share in (1 - STEP, 1 + STEP):
            space = neighbours(found.question.space, best.parameters, share).get(name, only(found.question.space, best.parameters))
            try:
                costs.append(search(dataclasses.replace(found.question, space=space), workers=1).best.usd_per_token)
            except InfeasibleError as error:
                costs.append(None)
                reasons.append(f"{'less' if share < 1 else 'more'}: {_limits(error)}")
        rows.append(Moved(name=f"{name}, a fifth", less=costs[0], more=costs[1], against="; ".join(reasons)))
    return rows


def _limits(error: InfeasibleError) -> str:
    words = str(error.given).partition("dropped by ")[2].split(", ")
    return ", ".join(word.rpartition(" ")[0] for word in words)


def _moved_world(asked: Brief, best: Design) -> list[Moved]:
    """What the design costs where the world is another: half and twice of each."""
    economics = asked.question.economics

    def cost(other: Economics, unit_cost: float = best.unit_cost, one_off: float = best.one_off) -> UsdPerToken:
        return float(other.own_usd_per_hour(unit_cost, one_off, best.power)) / 3600 * best.seconds

    def scaled(field: str, share: float) -> UsdPerToken:
        return cost(dataclasses.replace(economics, **{field: getattr(economics, field) * share}))

    named = {
        "volume": "volume", "price of electricity": "energy_price", "cost of the place": "hosting", "cost of capital": "rate",
        "server and network": "host_price",
    }  # fmt: skip
    rows = [Moved(name=f"{name}, half and twice", less=scaled(field, 0.5), more=scaled(field, 2.0)) for name, field in named.items()]
    rows.append(
        Moved(
            name="one-off cost, half and twice",
            less=cost(economics, one_off=best.one_off / 2),
            more=cost(economics, one_off=best.one_off * 2),
        )
    )
    rows.append(
        Moved(
            name="unit cost, half and twice",
            less=cost(economics, unit_cost=best.unit_cost / 2),
            more=cost(economics, unit_cost=best.unit_cost * 2),
        )
    )
    return rows
