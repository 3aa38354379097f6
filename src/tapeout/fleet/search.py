"""The fleet that carries most inside a service level, among many, in parallel processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tapeout.errors import CancelledError, InputError
from tapeout.fleet.engines import Fleet, simulated
from tapeout.fleet.goodput import Goodput, goodput
from tapeout.fleet.highest_rate import PILOT, highest_rate, keeps
from tapeout.fleet.parallel import Crew, crew
from tapeout.fleet.service_level import ServiceLevel
from tapeout.serving.compiled import waiting_for_translation
from tapeout.traffic.requests import Requests, some_of
from tapeout.units import QueriesPerSecond

LEADERS = 4
"""Fleets searched first, the best by a short trace; what they reach is what the others must beat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A fleet with the rate that it carries."""

    fleet: Fleet
    goodput: Goodput

    @property
    def chip_rate(self) -> QueriesPerSecond:
        """Requests a second of a chip."""
        return self.goodput.rate / self.fleet.chips


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Fleets with most requests a second of a chip first, then those of which only a bound is known.

    `partial` says that the search was interrupted: of the fleets that are missing nothing is known.
    """

    rated: tuple[Rated, ...]
    partial: bool

    @property
    def best(self) -> Rated:
        """The first; raises CancelledError where the search was interrupted before it found one."""
        if not self.rated:
            raise CancelledError("stopped before the first fleet was searched")
        return self.rated[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    traces: tuple[Requests, ...]
    level: ServiceLevel


def search(
    fleets: Sequence[Fleet], traces: Sequence[Requests], level: ServiceLevel, *, every: bool = False, workers: int | None = None
) -> Search:
    """The goodput of each of `fleets` on `traces`, in so many processes, as many as there are processors where None.

    Those that do best on the start of the first trace are searched first. Of the others those that do not keep `level` on the first trace
    at the rate of the best, at the low end of its interval, get that rate as a bound, unless `every` is to be searched. The result
    depends neither on the processes nor on time. An interrupt ends the search with what it has found.
    """
    if not fleets:
        raise InputError("no fleet to search among")
    if not traces:
        raise InputError("no trace to search with")
    found: dict[int, Rated] = {}
    partial = False
    if waiting_for_translation():
        # One process translates, for all.
        simulated(fleets[0], some_of(traces[0], slice(1)))
    try:
        with crew(_Question(traces=tuple(traces), level=level), workers if len(fleets) > 1 else 1) as run:
            for place, rated in _searched(run, fleets, every):
                found[place] = rated
    except KeyboardInterrupt:
        partial = True
    order = sorted(found, key=lambda place: (found[place].goodput.bound, -found[place].chip_rate, place))
    return Search(rated=tuple(found[place] for place in order), partial=partial)


def _searched(run: Crew, fleets: Sequence[Fleet], every: bool) -> Iterator[tuple[int, Rated]]:
    """Places in `fleets` with what each carries, as they become known."""
    estimates = dict(run(_estimate, fleets))
    order = sorted(estimates, key=lambda place: (-estimates[place] / fleets[place].chips, place))
    leaders, others = (order, []) if every else (order[:LEADERS], order[LEADERS:])
    worth = 0.0
    for place, rated in _places(run, _full, leaders, [(fleets[place], estimates[place]) for place in leaders]):
        reached = rated.goodput.rate if rated.goodput.low is None else rated.goodput.low
        worth = max(worth, reached / rated.fleet.chips)
        yield place, rated
    yield from _places(run, _beating, others, [(fleets[place], estimates[place], worth) for place in others])


def _places(run: Crew, function: Callable[[Any, Any], Rated], places: Sequence[int], jobs: Sequence[Any]) -> Iterator[tuple[int, Rated]]:
    return ((places[index], rated) for index, rated in run(function, jobs))


def _estimate(question: _Question, fleet: Fleet) -> QueriesPerSecond:
    return highest_rate(fleet, some_of(question.traces[0], slice(PILOT)), question.level)


def _full(question: _Question, job: tuple[Fleet, QueriesPerSecond]) -> Rated:
    fleet, estimate = job
    return Rated(fleet=fleet, goodput=goodput(fleet, question.traces, question.level, estimate or None))


def _beating(question: _Question, job: tuple[Fleet, QueriesPerSecond, QueriesPerSecond]) -> Rated:
    fleet, estimate, worth = job
    rate = worth * fleet.chips
    if worth == 0 or keeps(fleet, question.traces[0], question.level, rate):
        return _full(question, (fleet, estimate))
    return Rated(fleet=fleet, goodput=Goodput(rate=rate, low=None, high=None, runs=1, bound=True))
