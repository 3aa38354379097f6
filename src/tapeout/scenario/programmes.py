"""Programmes of a scenario as the plan takes them: what each spends by quarter, how long it takes, and how it may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.draws import Draws
from tapeout.cost.outcomes import Middle, Plan, against, outcomes, planned
from tapeout.cost.programme import DEAL, programme
from tapeout.hardware.custom import die_area
from tapeout.hardware.process import Process, process
from tapeout.scenario.assumption import COST_MODEL
from tapeout.scenario.contracts import Own
from tapeout.scenario.offers import quarters_of, window
from tapeout.scenario.schema import Scenario
from tapeout.scenario.supply import Acquisition, AnyProgramme, Licence
from tapeout.scenario.uncertainty import StatedOutcome
from tapeout.sourcing.problem import Programme, ProgrammeOutcome
from tapeout.units import QUARTER, Dimensionless, SquareMetres, Unit, Usd

Array = NDArray[np.float64]

DRAWS = 20_000
MODES = {"own-team": "own-team", "partner": "design-partner", "acquisition": "acquisition", "licence": "licence"}
"""The cost model's word for each mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """An outcome in quarters since the start: first orders after `lead` (None: never), known after `shows`; `cost` is all it costs."""

    name: str
    probability: Dimensionless
    cost: Usd
    lead: int | None
    shows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chip:
    """What the cost of a programme depends on."""

    mode: str
    node: Process
    area: SquareMetres

    @property
    def plan(self) -> Plan:
        return planned(self.mode, self.node, self.area)


def programmes(scenario: Scenario) -> tuple[Programme, ...]:
    """All programmes, in the scenario's order."""
    return tuple(_programme(scenario, name, entry) for name, entry in scenario.programmes.items())


def _programme(scenario: Scenario, name: str, entry: AnyProgramme) -> Programme:
    first, last = window(scenario, entry.starts_from, entry.starts_until)
    chip = _chip(scenario, name, entry)
    spend = _spend(entry, chip)
    deal = entry.price.value if isinstance(entry, (Acquisition, Licence)) else 0.0
    return Programme(
        id=name,
        spend=_with_deal(spend, deal),
        lead=len(spend),
        first_start=first,
        last_start=last,
        outcomes=tuple(_outcome(case, spend, deal) for case in _cases(entry, chip, spend)),
        gates=entry.gates,
    )


def _chip(scenario: Scenario, name: str, entry: AnyProgramme) -> _Chip:
    chip = next(contract.chip for contract in scenario.contracts.values() if isinstance(contract, Own) and contract.programme == name)
    own = scenario.own_chips[chip].parameters(chip)
    return _Chip(mode=MODES[entry.mode], node=process(own.node), area=die_area(own).total)


def _spend(entry: AnyProgramme, chip: _Chip) -> Array:
    """Planned one-off spend of each quarter from the start until chips can be ordered, without the price of a deal."""
    if entry.nre is None and entry.duration is None:
        middle = programme(chip.mode)(chip.node, chip.area, Middle())
        of_chip = {name: payment for name, payment in middle.payments.items() if name not in DEAL}
        return np.asarray(replace(middle, payments=of_chip).cash(quarters_of(chip.plan.duration))[0], dtype=np.float64)
    duration = entry.duration.value if entry.duration else chip.plan.duration
    return _profiled(entry.profile, quarters_of(duration)) * (entry.nre.value if entry.nre else chip.plan.cost)


def _profiled(profile: tuple[float, ...], quarters: int) -> Annotated[Array, Unit("1")]:
    """Shares of each of `quarters` quarters, from shares of equal parts of the whole time."""
    edges = np.concatenate(([0.0], np.cumsum(profile)))
    shares = np.diff(np.interp(np.linspace(0, len(profile), quarters + 1), np.arange(len(profile) + 1), edges))
    return np.asarray(shares, dtype=np.float64)


def _with_deal(spend: Array, deal: Usd) -> Array:
    return spend + np.where(np.arange(len(spend)) == 0, deal, 0.0)


def _cases(entry: AnyProgramme, chip: _Chip, spend: Array) -> Iterable[_Case]:
    if entry.outcomes is None:
        return ()
    if entry.outcomes.source == COST_MODEL:
        return _drawn(entry, chip, spend)
    return (_stated(name, outcome, spend) for name, outcome in entry.outcomes.cases.items())


def _stated(name: str, outcome: StatedOutcome, spend: Array) -> _Case:
    lead = None if outcome.failed else max(1, len(spend) + round(outcome.delay / QUARTER))
    shows = len(spend) if outcome.shows is None else quarters_of(outcome.shows)
    cost = float(spend[: shows if outcome.failed else None].sum()) + outcome.extra
    return _Case(name=name, probability=outcome.probability, cost=cost, lead=lead, shows=shows)


def _drawn(entry: AnyProgramme, chip: _Chip, spend: Array) -> Iterable[_Case]:
    """What the cost model draws for the chip, scaled to the duration and the cost that the scenario states."""
    drawn = outcomes(programme(chip.mode)(chip.node, chip.area, Draws(count=DRAWS)), chip.plan)
    duration = entry.duration.value if entry.duration else chip.plan.duration
    total = float(spend.sum())
    for one in against(drawn, chip.plan, Plan(duration=duration, cost=total, spins=chip.plan.spins)):
        lead = None if one.delay_quarters is None else max(1, len(spend) + one.delay_quarters)
        yield _Case(
            name=one.kind.value, probability=one.probability, cost=total + one.extra_cost, lead=lead, shows=round(one.known / QUARTER)
        )


def _outcome(case: _Case, spend: Array, deal: Usd) -> ProgrammeOutcome:
    """Until an outcome shows it spends as planned; what it costs beyond that is spent evenly until it ends, and no money comes back."""
    shows = max(1, case.shows if case.lead is None else min(case.shows, case.lead))
    end = shows if case.lead is None else case.lead
    before = np.zeros(shows)
    before[: len(spend)] = spend[:shows]
    rest = np.full(max(end - shows, 1), max(case.cost - float(before.sum()), 0.0) / max(end - shows, 1))
    return ProgrammeOutcome(
        name=case.name,
        probability=case.probability,
        spend=_with_deal(np.concatenate([before, rest]), deal),
        lead=case.lead,
        revealed=shows,
    )
