"""The search over fleets: equal to searching each, bounds that hold, the same in any number of processes, partial when interrupted."""

from collections.abc import Iterator, Sequence

import pytest

from tapeout.errors import CancelledError, InputError
from tapeout.fleet.engines import Fleet
from tapeout.fleet.goodput import goodput
from tapeout.fleet.search import LEADERS, Search, search
from tapeout.fleet.service_level import ServiceLevel
from tapeout.serving.metrics import Slo
from tapeout.traffic.arrivals import poisson
from tests.serving.queues import ONE, queue

LEVEL = ServiceLevel(name="half a second", slo=Slo(ttft=0.5), attainment=0.9)
TRACES = [poisson(1200, 1.0, ONE, seed=seed) for seed in range(3)]
# From 0.1 to 0.19 s of service, not in order.
FLEETS = [queue(2, service=0.1 + 0.01 * (7 * place % 10)) for place in range(10)]


def test_the_best_is_the_best_of_all_and_bounds_hold() -> None:
    found = search(FLEETS, TRACES, LEVEL, workers=1)
    each = {id(fleet): goodput(fleet, TRACES, LEVEL) for fleet in FLEETS}
    best = max(FLEETS, key=lambda fleet: each[id(fleet)].rate)
    assert found.best.fleet is best
    assert not found.partial
    assert len(found.rated) == len(FLEETS)
    bounds = [one for one in found.rated if one.goodput.bound]
    assert len(bounds) >= len(FLEETS) - 2 * LEADERS
    assert all(each[id(one.fleet)].rate < one.goodput.rate for one in bounds)
    # What they are shown not to reach is the low end of the best one's interval.
    assert found.best.goodput.low is not None
    assert {one.chip_rate for one in bounds} == {found.best.goodput.low / 2}
    for one in found.rated:
        if not one.goodput.bound:
            assert one.goodput.rate == pytest.approx(each[id(one.fleet)].rate, rel=0.011)
    rates = [one.chip_rate for one in found.rated if not one.goodput.bound]
    assert rates == sorted(rates, reverse=True)
    assert [one.goodput.bound for one in found.rated] == sorted(one.goodput.bound for one in found.rated)


def test_every_fleet_is_searched_where_that_is_asked() -> None:
    found = search(FLEETS[:6], TRACES[:1], LEVEL, every=True, workers=1)
    assert not any(one.goodput.bound for one in found.rated)
    assert len(found.rated) == 6


def test_processes_change_nothing() -> None:
    def told(found: Search) -> list[tuple[float, float, bool]]:
        return [(one.fleet.engine.step_model.token_seconds[1], one.goodput.rate, one.goodput.bound) for one in found.rated]

    assert told(search(FLEETS, TRACES, LEVEL, workers=2)) == told(search(FLEETS, TRACES, LEVEL, workers=1))


class _Interrupted(Sequence[Fleet]):
    """Fleets whose reader is interrupted after a number of looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __len__(self) -> int:
        return len(FLEETS)

    def __iter__(self) -> Iterator[Fleet]:
        return iter(FLEETS)

    def __getitem__(self, place: int) -> Fleet:  # type: ignore[override]
        self.looks -= 1
        if self.looks < 0:
            raise KeyboardInterrupt
        return FLEETS[place]


def test_an_interrupt_keeps_what_was_found_and_says_so() -> None:
    # One look at each fleet to order them and one for each leader to search it; the next is for the others.
    stopped = search(_Interrupted(len(FLEETS) + LEADERS), TRACES, LEVEL, workers=1)
    whole = search(FLEETS, TRACES, LEVEL, workers=1)
    assert stopped.partial
    assert len(stopped.rated) == LEADERS
    assert [one.goodput for one in stopped.rated] == [one.goodput for one in whole.rated[:LEADERS]]
    at_once = search(_Interrupted(0), TRACES, LEVEL, workers=1)
    assert at_once.partial
    with pytest.raises(CancelledError):
        _ = at_once.best


def test_nothing_to_search_is_refused() -> None:
    with pytest.raises(InputError, match="no fleet"):
        search([], TRACES, LEVEL)
    with pytest.raises(InputError, match="no trace"):
        search(FLEETS, [], LEVEL)
