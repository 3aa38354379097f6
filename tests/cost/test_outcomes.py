import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.cost.draws import Draws
from tapeout.cost.nre import programme_facts
from tapeout.cost.outcomes import OutcomeKind, Plan, against, outcomes, planned
from tapeout.cost.programme import DEAL, MODES
from tapeout.errors import InputError, UnknownNameError
from tapeout.hardware.process import process
from tapeout.units import MONTH, QUARTER

DRAWS = Draws(count=20_000, seed=5)
NODE, AREA = process("tsmc-3"), 800e-6
KINDS = list(OutcomeKind)


@pytest.fixture(scope="module", params=sorted(MODES))
def case(request):
    drawn, plan = MODES[request.param](NODE, AREA, DRAWS), planned(request.param, NODE, AREA)
    return drawn, plan, {one.kind: one for one in outcomes(drawn, plan)}


def test_probabilities_sum_to_one_and_failure_is_that_of_the_draws(case):
    drawn, _, found = case
    assert list(found) == KINDS
    assert sum(one.probability for one in found.values()) == pytest.approx(1, abs=1e-12)
    assert found[OutcomeKind.FAILED].probability == pytest.approx(drawn.failure, abs=1e-12)


def test_mean_time_and_mean_cash_of_the_chip_are_those_of_the_draws(case):
    drawn, plan, found = case
    volume = drawn.volume[np.isfinite(drawn.volume)]
    reached = [one for one in found.values() if one.kind is not OutcomeKind.FAILED]
    mean_delay = sum(one.probability * one.delay for one in reached) / sum(one.probability for one in reached)
    assert plan.duration + mean_delay == pytest.approx(float(volume.mean()), rel=1e-9)
    deal = sum(drawn.paid()[name] for name in DEAL & set(drawn.payments))
    cash = drawn.cash(drawn.quarters).sum(axis=1) - deal
    assert plan.cost + sum(one.probability * one.extra_cost for one in found.values()) == pytest.approx(float(cash.mean()), rel=1e-9)


def test_a_failure_ends_when_the_stopped_draws_do_and_is_the_cheapest(case):
    drawn, _, found = case
    failed = found[OutcomeKind.FAILED]
    assert failed.delay == math.inf
    assert failed.delay_quarters is None
    assert failed.end == failed.known == pytest.approx(float(drawn.stopped[np.isfinite(drawn.stopped)].mean()))
    assert failed.extra_cost == min(one.extra_cost for one in found.values())


def test_outcomes_come_in_the_order_of_their_names(case):
    _, plan, found = case
    on_time, respin, late = (found[kind] for kind in KINDS[:3])
    assert on_time.delay < 0 < late.delay
    assert respin.delay > 0
    assert respin.extra_cost > on_time.extra_cost  # further masks, and a longer team
    for one in (on_time, respin, late):
        assert 0 < one.known <= one.end == pytest.approx(plan.duration + one.delay)
        assert one.delay_quarters == round(one.delay / QUARTER)
    assert late.known < respin.known < on_time.known + 12 * MONTH


def test_the_plan_takes_one_respin_and_agrees_with_what_was_published():
    # 18 to 36 months for custom silicon [aidatacenterguide-custom-silicon]
    for mode in MODES:
        plan = planned(mode, process("tsmc-5"), 600e-6)
        assert plan.spins == 2
        assert programme_facts().published_lead_time.low < plan.duration < programme_facts().published_lead_time.high


def test_the_cost_of_a_firm_stays_outside():
    # an acquisition costs 0.35 to 20 billion; its chip costs less than that of an own team, which starts from nothing
    assert planned("acquisition", NODE, AREA).cost < planned("own-team", NODE, AREA).cost < 1e9


@settings(max_examples=10, deadline=None)
@given(success=st.floats(0.05, 0.95))
def test_a_plan_that_nothing_exceeds_has_no_late_outcome(success):
    drawn = MODES["own-team"](NODE, AREA, Draws(count=200, seed=int(success * 1000)))
    longest = Plan(duration=float(drawn.calendar.volume.max()), cost=1e9, spins=2)
    assert {one.kind for one in outcomes(drawn, longest)} <= {OutcomeKind.ON_TIME, OutcomeKind.FAILED}


def test_against_another_plan_time_and_cost_scale(case):
    _, plan, found = case
    other = Plan(duration=2 * plan.duration, cost=plan.cost / 4, spins=plan.spins)
    for one, scaled in zip(found.values(), against(found.values(), plan, other), strict=True):
        assert scaled.probability == one.probability
        assert (scaled.end, scaled.delay, scaled.known) == (2 * one.end, 2 * one.delay, 2 * one.known)
        assert scaled.extra_cost == one.extra_cost / 4
    with pytest.raises(InputError, match="a plan takes time and costs money"):
        against(found.values(), plan, Plan(duration=0.0, cost=1.0, spins=1))


def test_unknown_mode_and_impossible_die_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean own-team"):
        planned("own-teem", NODE, AREA)
    with pytest.raises(InputError, match="reticle limit"):
        planned("own-team", NODE, 900e-6)
