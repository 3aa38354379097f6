"""Goodput: against its definition, against a queue known in closed form, and by what must hold whatever the fleet."""

import dataclasses

import numpy as np
import pytest
from scipy import optimize, stats

from tapeout.errors import InputError
from tapeout.fleet.goodput import goodput
from tapeout.fleet.highest_rate import at_rate, attainment, highest_rate, keeps
from tapeout.fleet.service_level import ServiceLevel
from tapeout.serving.metrics import Slo
from tapeout.traffic.arrivals import closed_loop, poisson
from tapeout.traffic.requests import Requests
from tests.serving.queues import ONE, SERVICE, queue, waits_at_most

LEVEL = ServiceLevel(name="half a second", slo=Slo(ttft=0.5), attainment=0.9)


def test_the_share_that_waits_at_most_a_time_is_known() -> None:
    """At no time it is 1 - load; and half the requests wait at most so long that half do: Erlang's own table has 0.5 at load 0.5."""
    assert waits_at_most(0.0, 5.0) == pytest.approx(0.5)
    assert waits_at_most(2.0, 5.0) == pytest.approx(1.0, abs=1e-9)


def test_goodput_is_the_edge_of_what_keeps_the_level() -> None:
    trace = poisson(1500, 1.0, ONE, seed=1)
    single = goodput(queue(), [trace], LEVEL)
    assert (single.low, single.high, single.runs, single.bound) == (None, None, 1, False)
    assert keeps(queue(), trace, LEVEL, single.rate)
    assert not keeps(queue(), trace, LEVEL, 1.02 * single.rate)
    assert 5 < single.rate < 10


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_goodput_of_a_queue_is_that_of_its_closed_form(share: float) -> None:
    """The rate at which so many wait at most 0.4 s, since each then takes 0.1 s itself; within the interval that the search gives."""
    expected = optimize.brentq(lambda rate: waits_at_most(0.4, rate) - share, 0.1, 0.999 / SERVICE)
    traces = [poisson(20_000, 1.0, ONE, seed=seed) for seed in range(5)]
    found = goodput(queue(), traces, dataclasses.replace(LEVEL, attainment=share))
    assert found.low is not None
    assert found.high is not None
    # The interval holds it in 95 of 100 cases; its half more on each side in nearly all.
    half = (found.high - found.low) / 2
    assert found.low - half <= expected <= found.high + half
    assert found.high / found.low < 1.1


def test_the_interval_is_that_of_student_over_the_traces() -> None:
    traces = [poisson(800, 1.0, ONE, seed=seed) for seed in range(4)]
    rates: list[float] = []
    for trace in traces:
        rates.append(highest_rate(queue(), trace, LEVEL, rates[-1] if rates else None))
    low, high = stats.t.interval(0.95, len(rates) - 1, loc=np.mean(rates), scale=stats.sem(rates))
    found = goodput(queue(), traces, LEVEL)
    assert (found.rate, found.low, found.high) == pytest.approx((np.mean(rates), low, 1.01 * high))


def test_the_start_of_the_search_moves_the_rate_by_no_more_than_it_leaves_open() -> None:
    trace = poisson(3000, 1.0, ONE, seed=2)
    rates = [highest_rate(queue(), trace, LEVEL, start) for start in (None, 0.3, 7.0, 300.0)]
    assert max(rates) <= 1.01 * min(rates) * 1.005


def test_faster_servers_and_more_of_them_carry_more_and_harder_limits_less() -> None:
    trace = poisson(3000, 1.0, ONE, seed=3)
    alone = highest_rate(queue(), trace, LEVEL)
    assert highest_rate(queue(2), trace, LEVEL) > 2 * alone, "bursts are shared"
    assert highest_rate(queue(), trace, dataclasses.replace(LEVEL, attainment=0.5)) > alone
    assert highest_rate(queue(), trace, dataclasses.replace(LEVEL, slo=Slo(ttft=0.2))) < alone
    # Twice as fast in all, the limit too: twice the rate.
    twice = highest_rate(queue(service=SERVICE / 2), trace, dataclasses.replace(LEVEL, slo=Slo(ttft=0.25)))
    assert twice == pytest.approx(2 * alone, rel=0.011)


def test_what_no_rate_keeps_carries_nothing() -> None:
    trace = poisson(800, 1.0, ONE, seed=1)
    impossible = dataclasses.replace(LEVEL, slo=Slo(ttft=0.01))
    assert highest_rate(queue(), trace, impossible) == 0
    assert goodput(queue(), [trace, trace], impossible).rate == 0


def test_a_growing_queue_keeps_nothing_and_a_warm_up_does_not_count() -> None:
    trace = poisson(2000, 1.0, ONE, seed=4)
    patient = ServiceLevel(name="an hour", slo=Slo(ttft=3600.0), attainment=0.9)
    assert attainment(at_rate(queue(), trace, 15.0), patient) == 0
    assert highest_rate(queue(), trace, patient) == pytest.approx(1 / SERVICE, rel=0.05)
    filling = at_rate(queue(), poisson(200, 1.0, ONE, seed=4), 12.0)
    assert attainment(filling, LEVEL, 0.5) < attainment(filling, LEVEL) < LEVEL.attainment


def test_what_has_no_rate_is_refused() -> None:
    with pytest.raises(InputError, match="closed loop"):
        goodput(queue(), [closed_loop(50, 5, ONE, seed=1)], LEVEL)
    with pytest.raises(InputError, match="no trace"):
        goodput(queue(), [], LEVEL)
    one = poisson(2, 1.0, ONE, seed=1)
    at_once = Requests(arrival=one.arrival * 0, prompt=one.prompt, output=one.output)
    with pytest.raises(InputError, match="all requests arrive at once"):
        at_rate(queue(), at_once, 1.0)
    with pytest.raises(InputError, match="too short to fill the fleet"):
        highest_rate(queue(), one, LEVEL)
