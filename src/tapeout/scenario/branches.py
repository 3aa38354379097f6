"""What can be wrong with the uncertainty of a scenario: places that do not move, dates outside the plan, odd probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from tapeout.errors import InputError, did_you_mean
from tapeout.outlook.processes import TOLERANCE
from tapeout.provenance import sources
from tapeout.scenario.assumption import COST_MODEL, GUESS
from tapeout.scenario.contracts import Owned
from tapeout.scenario.document import Document, Location
from tapeout.scenario.offers import quarters_of
from tapeout.scenario.places import forms, matching, places
from tapeout.scenario.quarters import Quarter
from tapeout.scenario.schema import Scenario
from tapeout.scenario.uncertainty import Branch, Evidenced, Outcomes, Process, StatedOutcome

Fault = tuple[Location, InputError]


def branch_faults(scenario: Scenario, document: Document) -> Iterator[Fault]:
    """Every fault in processes, outcomes, gates, price tiers and prepayments, with its location in the document."""
    for name, entry in scenario.uncertainty.processes.items() if scenario.uncertainty else ():
        location: Location = ("uncertainty", "processes", name)
        yield from _evidence(entry, location, (GUESS,))
        yield from _moves(scenario, document, entry, location)
        yield from _steps(scenario, document, entry, (*location, "steps"))
    for name, programme in scenario.programmes.items():
        if programme.outcomes is not None:
            yield from _outcomes(programme.outcomes, ("programmes", name, "outcomes"))
        yield from _rising(programme.gates, ("programmes", name, "gates"), "gates out of order", lambda index: (index,))
        if programme.duration is not None:
            yield from _late_gates(programme.gates, quarters_of(programme.duration.value), ("programmes", name, "gates"))
    checks: tuple[Callable[[Scenario], Iterator[Fault]], ...] = (_tiers, _prepayments)
    for check in checks:
        yield from check(scenario)


def _evidence(part: Evidenced, location: Location, words: tuple[str, ...]) -> Iterator[Fault]:
    if part.source not in (*words, *sources()):
        allowed = f"{' or '.join(words)}, or the id of a source"
        hint = did_you_mean(part.source, [*words, *sources()]) or "tapeout catalog sources lists them"
        yield (*location, "source"), InputError("unknown source", given=part.source, allowed=allowed, hint=hint)
    if part.source == GUESS and not part.why:
        yield (*location, "why"), InputError("missing key", hint="a guess says why")


def _moves(scenario: Scenario, document: Document, entry: Process, location: Location) -> Iterator[Fault]:
    given: list[tuple[str, Location]] = []
    for index, pattern in enumerate(entry.moves):
        at = (*location, "moves", index)
        given.append((pattern, at if at in document.values else (*location, "moves")))
    for step, branches in entry.steps.items():
        given += [
            (pattern, (*location, "steps", str(step), name, "also", pattern))
            for name, branch in branches.items()
            for pattern in branch.also
        ]
    for pattern, at in given:
        if not matching(scenario, pattern):
            yield at, _no_forecast(scenario, document, pattern)


def _no_forecast(scenario: Scenario, document: Document, pattern: str) -> InputError:
    if tuple(pattern.split(".")) in document.values:
        return InputError("not a forecast that can move", given=pattern, allowed=forms())
    return InputError("no such forecast", given=pattern, allowed=forms(), hint=did_you_mean(pattern, places(scenario)))


def _steps(scenario: Scenario, document: Document, entry: Process, location: Location) -> Iterator[Fault]:
    first, last = scenario.start + 1, scenario.start + (scenario.quarters - 1)
    before: Quarter | None = None
    for at, branches in entry.steps.items():
        here: Location = (*location, str(at))
        if not first <= at <= last:
            allowed = f"{first} to {last}, after the first quarter of the plan and within it"
            yield here, InputError("a step outside the plan", given=str(at), allowed=allowed)
        elif before is not None and at <= before:
            yield here, InputError("a date out of order", given=str(at), allowed=f"a quarter after {before}")
        before = at
        yield from _probabilities(branches, here)


def _probabilities(branches: Mapping[str, Branch] | Mapping[str, StatedOutcome], location: Location) -> Iterator[Fault]:
    total = math.fsum(branch.probability for branch in branches.values())
    if abs(total - 1) > TOLERANCE:
        given = f"{' + '.join(f'{100 * branch.probability:.4g} %' for branch in branches.values())} = {100 * total:.6g} %"
        yield location, InputError("the probabilities do not sum to 100 %", given=given, allowed="100 % in all")


def _outcomes(part: Outcomes, location: Location) -> Iterator[Fault]:
    yield from _evidence(part, location, (GUESS, COST_MODEL))
    if part.source == COST_MODEL:
        if part.cases:
            hint = f"write outcomes: {COST_MODEL}, or give the cases a source of their own"
            yield (*location, "cases"), InputError("outcomes that are stated and drawn", given=", ".join(part.cases), hint=hint)
    elif not part.cases:
        yield (*location, "cases"), InputError("missing key", hint="outcomes have cases, each with its probability")
    else:
        yield from _probabilities(part.cases, (*location, "cases"))
    for name, case in part.cases.items():
        if case.failed and case.delay:
            error = InputError("a programme that fails is not late", given=name, hint="take failed or delay out")
            yield (*location, "cases", name, "delay"), error


def _rising(values: Iterable[float], location: Location, what: str, below: Callable[[int], Location]) -> Iterator[Fault]:
    for index, (one, other) in enumerate(pairwise(values), start=1):
        if other <= one:
            yield (*location, *below(index)), InputError(what, given=f"{other:g} after {one:g}", allowed="rising values")


def _late_gates(gates: tuple[int, ...], lead: int, location: Location) -> Iterator[Fault]:
    for index, gate in enumerate(gates):
        if gate >= lead:
            error = InputError("a gate after the end", given=f"{gate} quarters", allowed=f"less than the {lead} quarters of its duration")
            yield (*location, index), error


def _tiers(scenario: Scenario) -> Iterator[Fault]:
    for name, contract in scenario.contracts.items():
        tiers = contract.learning if isinstance(contract, Owned) else ()
        location: Location = ("contracts", name, "learning")
        yield from _rising((tier.volume for tier in tiers), location, "tiers out of order", lambda index: (index, "volume"))
        factors = [-tier.factor.value for tier in tiers]
        for index, (one, other) in enumerate(pairwise(factors), start=1):
            if other <= one:
                error = InputError("a price that does not fall with volume", given=f"{-other:g} after {-one:g}", allowed="falling factors")
                yield (*location, index, "factor"), error


def _prepayments(scenario: Scenario) -> Iterator[Fault]:
    for name, entry in scenario.prepayments.items():
        for index, contract in enumerate(entry.contracts):
            if contract not in scenario.contracts:
                hint = did_you_mean(contract, scenario.contracts)
                yield ("prepayments", name, "contracts", index), InputError("unknown contract", given=contract, hint=hint)
        if entry.offtake.value > entry.chips.value:
            known = [scenario.contracts[contract].allocation for contract in entry.contracts if contract in scenario.contracts]
            least = sum(float(series.over(scenario.start, scenario.quarters).max()) for series in known) + entry.chips.value
            if entry.offtake.value > least:
                error = InputError("an offtake that cannot be met", given=f"{entry.offtake.value:g} chips", allowed=f"at most {least:g}")
                yield ("prepayments", name, "offtake"), error
