"""`tapeout design`: from a scenario to the chip found for it, and how that stands against the chips on offer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.draws import Draws, quantity_at
from tapeout.cost.nre import one_off_cost
from tapeout.cost.unit import Level, price_with_margin
from tapeout.cost.unit_draws import unit_draws
from tapeout.design.economics import Economics, break_even_volume
from tapeout.design.kin import on_chip_memory_per_peak
from tapeout.design.refine import neighbours, only, refined
from tapeout.design.search import Aim, Design, Found, search
from tapeout.design.space import Space
from tapeout.design.sweep import STAGING
from tapeout.design.throughput import Carried, Workload, carried, chip_seconds, deployments_for
from tapeout.errors import InfeasibleError, InputError
from tapeout.hardware.chip import Chip, NumberFormat
from tapeout.hardware.custom import own_chip, peak
from tapeout.hardware.designs import designs_of
from tapeout.hardware.limits import Built, build, limits_of
from tapeout.hardware.parameters import OwnChip
from tapeout.hardware.process import process
from tapeout.performance.rates import rates
from tapeout.provenance import Grade, Sourced
from tapeout.scenario.designing import Brief, Rival, brief, demand_for
from tapeout.scenario.document import read_document
from tapeout.scenario.reader import scenario_of
from tapeout.scenario.schema import Scenario
from tapeout.sourcing.quotes import Basis, hour_price
from tapeout.units import MIB, Dimensionless, Unit, UsdPerHour, UsdPerToken

Array = NDArray[np.float64]
Say = Callable[[str], None]
DRAWS = 20_000
STEP = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A chip on offer serving the same mix: its token's cost, infinity where it does not serve all of it, and what it carries."""

    rival: Rival
    usd_per_token: UsdPerToken
    carried: tuple[Carried, ...]
    workloads: tuple[Workload, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How far the design is inside a limit, as a share of it; `given` and `allowed` in words."""

    name: str
    margin: Dimensionless
    given: str
    allowed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The token's cost with one thing less and more; where a limit stands against it, None and the limit."""

    name: str
    less: UsdPerToken | None
    more: UsdPerToken | None
    against: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Designed:
    """All that is told of a design. `break_even` are chips: in the middle, and draws of it (infinity where there is none)."""

    scenario: Scenario
    brief: Brief
    found: Found
    best: Design
    looked_at: int
    chip: Chip
    built: Built
    margins: tuple[Margin, ...]
    rivals: tuple[Against, ...]
    break_even: Dimensionless
    break_even_draws: Annotated[Array, Unit("1")]
    moved: tuple[Moved, ...]


def designed(
    path: Path,
    *,
    name: str | None,
    volume: Dimensionless | None,
    aim: Aim,
    workers: int | None,
    keep_in: Path,
    version: str,
    say: Say,
    space: Space | None = None,
) -> Designed:
    """The chip found for the scenario in the file at `path`, on the grid `space` or the usual one; raises as what it calls."""
    document = read_document(path)
    scenario = scenario_of(document)
    asked = brief(document, scenario, name, volume, space)
    found = search(asked.question, aim=aim, workers=workers, keep_in=keep_in, version=version, say=say)
    say("smaller steps around the best")
    best, looked_at = refined(found, say=say)
    named = dataclasses.replace(best.parameters, id=asked.name, name=scenario.own_chips[asked.name].title or asked.name)
    best = dataclasses.replace(best, parameters=named)
    chip = own_chip(named)
    rivals = tuple(sorted((_against(scenario, asked, rival) for rival in asked.rivals), key=lambda one: one.usd_per_token))
    middle, draws = _break_even(scenario, asked, best, chip, rivals[0] if rivals else None)
    built = build(designs_of((named,)))
    return Designed(
        scenario=scenario, brief=asked, found=found, best=best, looked_at=looked_at, chip=chip, built=built, margins=_margins(named, built),
        rivals=rivals, break_even=middle, break_even_draws=draws, moved=(*_moved_parameters(found, best), *_moved_world(asked, best)),
    )  # fmt: skip


def deployment_label(workload: Workload, domain: int, place: int) -> str:
    """The deployment at a position of `deployments_for` in words."""
    return deployments_for(workload, domain)[place].label if place >= 0 else "none"


def _against(scenario: Scenario, asked: Brief, rival: Rival) -> Against:
    liked = {name: scenario.models[name].precision for name in scenario.models}
    workloads = tuple(demand_for(one, rival.chip, liked[one.name]) for one in asked.question.workloads)
    found = tuple(carried(one, rates([(rival.chip, one.numerics)])) for one in workloads)
    cost = rival.hour / 3600 * float(chip_seconds(workloads, found)[0])
    return Against(rival=rival, usd_per_token=cost, carried=found, workloads=workloads)


def _break_even(scenario: Scenario, asked: Brief, best: Design, chip: Chip, rival: Against | None) -> tuple[float, Array]:
    """Chips from which the design is no dearer than the best chip on offer, in the middle and as draws of cost, one-off cost and price."""
    if rival is None or not np.isfinite(rival.usd_per_token):
        return 0.0, np.zeros(1)
    economics, draws = asked.question.economics, Draws(count=DRAWS)

    def chips(cost: Array, one_off: Array, other: Array) -> Array:
        price = price_with_margin(cost, economics.margin)
        recurring = economics.usd_per_hour(price, best.power)
        return break_even_volume(recurring, economics.usd_per_hour(price + one_off, best.power) - recurring, best.seconds, other)

    middle = chips(np.asarray(best.unit_cost), np.asarray(best.one_off), np.asarray(rival.usd_per_token))
    spent = asked.one_off or _one_offs(best, chip)
    drawn = quantity_at(_ranged(spent[1], spent[0], spent[2]), draws.normal("one-off cost")) * (best.one_off / spent[1])
    hour = _ranged(rival.rival.hour, *_ends(rival.rival, scenario))
    other = rival.usd_per_token * quantity_at(hour, draws.normal("price of the rival")) / rival.rival.hour
    return float(middle), chips(unit_draws(chip, draws).unit, drawn, other)


def _one_offs(best: Design, chip: Chip) -> tuple[float, float, float]:
    area = chip.silicon.die_area.value if chip.silicon and chip.silicon.die_area else 0.0
    low, middle, high = (one_off_cost(process(best.parameters.node), area, level).total for level in Level)
    return low, middle, high


def _ends(rival: Rival, scenario: Scenario) -> tuple[UsdPerHour, UsdPerHour]:
    """Low and high of a rival's hour, in proportion to the band of its quotes; no band where none are known."""
    try:
        quoted = hour_price(rival.chip, Basis.RESERVED if rival.rented else Basis.OWN, str(scenario.start))
    except InputError:
        return rival.hour, rival.hour
    return rival.hour * quoted.low / quoted.value, rival.hour * quoted.high / quoted.value


def _ranged(value: float, low: float, high: float) -> Sourced[float]:
    return Sourced(value=value, low=low, high=high, source="", place="", grade=Grade.DERIVED)


def _margins(own: OwnChip, built: Built) -> tuple[Margin, ...]:
    """The limits from the nearest to the farthest, those that some other parameter follows left out: the supply follows the clock."""
    follows = {"lowest supply"} | ({"clock"} if own.voltage is None else set())
    rows = []
    for limit in limits_of(built):
        given, allowed, _ = limit.words(0)
        if np.isfinite(limit.allowed[0]) and limit.name not in follows:
            rows.append(Margin(name=limit.name, margin=float(limit.margin[0]), given=given, allowed=allowed))
    need = float(peak(own)[NumberFormat.BF16]) * on_chip_memory_per_peak(own.formats) if NumberFormat.BF16 in own.formats else 0.0
    if need > 0:
        held, least = (f"{size / MIB:.0f} MiB" for size in (own.on_chip_memory, need))
        rows.append(Margin(name=STAGING, margin=own.on_chip_memory / need - 1, given=held, allowed=f"at least {least}"))
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
        "price of server and network": "host_price",
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
