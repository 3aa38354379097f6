import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.calendar import PHASES, calendar_draws, quarter_ends, respins_drawn
from tapeout.cost.draws import Draws, percentiles
from tapeout.cost.nre import calendar, expected_respins, programme_facts
from tapeout.errors import InputError
from tapeout.hardware.process import process, processes
from tapeout.units import MONTH, QUARTER, WEEK

DRAWS = Draws(count=40_000, seed=3)


def certain(fact, value):
    return dataclasses.replace(fact, value=value, low=value, high=value)


def with_success(first, later):
    facts = programme_facts()
    return dataclasses.replace(
        facts,
        first_silicon_success=certain(facts.first_silicon_success, first),
        later_spin_success=certain(facts.later_spin_success, later),
    )


@pytest.mark.parametrize(("first", "later"), [(0.14, 0.65), (0.24, 0.65), (0.30, 0.5), (0.9, 0.3)])
def test_drawn_respins_have_the_mean_and_the_shares_of_the_closed_form(first, later):
    # first-silicon success of 14 % in 2024 and of 24 % in 2022 [siemens-wilson-2024]
    spins = respins_drawn(DRAWS, with_success(first, later))
    sigma = float(np.std(spins)) / np.sqrt(DRAWS.count)
    assert abs(float(spins.mean()) - expected_respins(first, later)) < 5 * sigma
    for count in (1, 2, 3):
        share = (1 - first) * later * (1 - later) ** (count - 1)
        assert abs(float(np.mean(spins == count)) - share) < 5 * np.sqrt(share * (1 - share) / DRAWS.count)


def test_certain_silicon_is_never_respun():
    assert np.all(respins_drawn(DRAWS, with_success(1.0, 0.5)) == 0)


@pytest.mark.parametrize("node", sorted(processes()))
def test_phases_follow_each_other_and_add_up(node):
    plan = calendar_draws(process(node), DRAWS, time_share=0.8, integration=3 * MONTH)
    phases = [getattr(plan, name) for name in PHASES]
    assert all(np.all(phase >= 0) for phase in phases)
    np.testing.assert_allclose(sum(phases), plan.volume)
    np.testing.assert_array_equal(plan.integration, 3 * MONTH)
    assert np.all(plan.masks_out < plan.first_silicon)
    assert np.all(plan.tape_out <= plan.architecture + 1e-6)
    assert list(plan.phases()) == list(PHASES)


def test_packaging_booked_at_tape_out_binds_exactly_where_the_rest_is_faster():
    plan, lead = calendar_draws(process("tsmc-5"), DRAWS), DRAWS.of(programme_facts().packaging_lead, "lead of packaging")
    since = plan.volume - plan.masks_out
    assert np.all(since >= lead - 1e-6)
    waiting = plan.packaging_wait > 0
    assert 0.05 < waiting.mean() < 0.95
    np.testing.assert_allclose(since[waiting], lead[waiting])


def test_fabrication_and_assembly_of_five_nanometres_take_the_published_weeks():
    # ttm-cas, run for a 5 nm chip: 28 weeks of fabrication and assembly; 18 and 8 at 7 nm
    plan = calendar_draws(process("tsmc-5"), DRAWS)
    assert percentiles(plan.fabrication + plan.assembly).p50 == pytest.approx(28 * WEEK, rel=0.06)


def test_the_published_lead_time_and_the_first_tpu_are_within_the_band():
    # AI Datacenter Guide: 18 to 36 months for custom silicon; Google: 15 months for the first TPU, at 28 nm, without a respin told
    volume = percentiles(calendar_draws(process("tsmc-5"), DRAWS).volume)
    published = programme_facts().published_lead_time
    assert volume.p5 < published.value < volume.p95
    lucky = dataclasses.replace(with_success(1.0, 0.5), packaging_lead=certain(programme_facts().packaging_lead, 0.0))
    fastest = calendar_draws(process("tsmc-28"), DRAWS, facts=lucky).volume
    assert float(fastest.min()) < 15 * MONTH < percentiles(fastest).p5  # faster than 95 of 100, as its makers say of it


def test_the_middle_is_near_the_calendar_of_the_plan():
    # the plan's calendar has no queue, and no packaging that is booked
    facts = dataclasses.replace(
        programme_facts(),
        packaging_lead=certain(programme_facts().packaging_lead, 0.0),
        foundry_queue=certain(programme_facts().foundry_queue, 0.0),
    )
    drawn = percentiles(calendar_draws(process("tsmc-3"), DRAWS, facts=facts).volume).p50
    assert drawn == pytest.approx(calendar(process("tsmc-3")).total, rel=0.08)


@given(share=st.floats(0.2, 1.0), more=st.floats(0.05, 1.0))
def test_a_longer_design_never_ends_earlier(share, more):
    draws = Draws(count=200)
    early, late = (calendar_draws(process("tsmc-3"), draws, time_share=each).volume for each in (share, share + more))
    assert np.all(late > early)


def test_impossible_times_are_refused():
    with pytest.raises(InputError, match="positive share"):
        calendar_draws(process("tsmc-3"), DRAWS, time_share=0.0)
    with pytest.raises(InputError, match="no negative one"):
        calendar_draws(process("tsmc-3"), DRAWS, integration=-1.0)
    with pytest.raises(InputError, match="at least one quarter"):
        quarter_ends(0)
    assert quarter_ends(2).tolist() == [QUARTER, 2 * QUARTER]
