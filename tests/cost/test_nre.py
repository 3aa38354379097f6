import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.nre import (
    acquisitions,
    calendar,
    cost_at_volume,
    expected_respins,
    one_off_cost,
    programme_facts,
    respins_at,
    spend_by_quarter,
)
from tapeout.cost.unit import Level
from tapeout.errors import InputError
from tapeout.hardware.process import process, processes
from tapeout.units import MONTH


def test_three_nanometre_programme_agrees_with_reuters_on_openai():
    # Reuters 2025: 500 million USD for one version, up to twice that with software and peripherals.
    assert 500e6 <= one_off_cost(process("tsmc-3"), 800e-6).total <= 1000e6


def test_five_nanometre_programme_agrees_with_published_nre():
    # SemiconductorX: 300 to 500 million USD at 5 nm.
    assert 300e6 <= one_off_cost(process("tsmc-5"), 700e-6).total <= 500e6


def test_expected_spins_match_the_closed_form_and_a_direct_sum():
    # 2.0 to 2.4 spins in all at a first-silicon success of 14 to 30 % and 0.65 afterwards.
    assert 1 + expected_respins(0.30, 0.65) == pytest.approx(2.08, abs=0.01)
    assert 1 + expected_respins(0.14, 0.65) == pytest.approx(2.32, abs=0.01)
    direct = sum(spins * 0.86 * 0.65 * 0.35 ** (spins - 1) for spins in range(1, 200))
    assert expected_respins(0.14, 0.65) == pytest.approx(direct)


def test_certain_success_needs_no_respin_and_hopeless_ones_are_refused():
    assert expected_respins(1.0, 0.5) == 0.0
    with pytest.raises(InputError, match="never ends"):
        expected_respins(0.5, 0.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        expected_respins(1.4, 0.5)


def test_lead_time_agrees_with_the_published_range():
    # AI Datacenter Guide: 27 months, 18 to 36, for custom silicon.
    published, node = programme_facts().published_lead_time, process("tsmc-5")
    assert published.low <= calendar(node, Level.MID).total <= published.high
    assert calendar(node, Level.LOW).total < published.value < calendar(node, Level.HIGH).total


def test_a_28_nanometre_chip_with_luck_takes_about_as_long_as_the_first_tpu():
    # TPU v1: 15 months from start to deployment, without a published respin.
    lucky = dataclasses.replace(calendar(process("tsmc-28"), Level.LOW), respins=0.0)
    assert lucky.total == pytest.approx(15 * MONTH, rel=0.15)


def test_quarters_cover_the_calendar():
    plan = calendar(process("tsmc-3"))
    assert (plan.quarters - 1) * 3 * MONTH < plan.total <= plan.quarters * 3 * MONTH


@given(node=st.sampled_from(sorted(processes())), level=st.sampled_from(list(Level)), area=st.floats(50e-6, 858e-6))
def test_spend_adds_up_and_is_never_negative(node, level, area):
    cost, plan = one_off_cost(process(node), area, level), calendar(process(node), level)
    spend = spend_by_quarter(cost, plan)
    assert spend.shape == (plan.quarters,)
    assert np.all(spend >= 0)
    assert float(spend.sum()) == pytest.approx(cost.total)


def test_masks_are_paid_in_the_quarters_of_the_tape_out():
    cost, plan = one_off_cost(process("tsmc-3"), 800e-6), calendar(process("tsmc-3"))
    without = dataclasses.replace(cost, masks=0.0)
    paid = spend_by_quarter(cost, plan) - spend_by_quarter(without, plan)
    assert np.flatnonzero(paid > 1.0).tolist() == [6, 7]
    assert float(paid.sum()) == pytest.approx(cost.masks)


def test_cost_and_time_rise_with_the_level_and_cost_with_the_area():
    node = process("tsmc-3")
    totals = [one_off_cost(node, 600e-6, level).total for level in Level]
    assert totals == sorted(totals)
    assert [calendar(node, level).total for level in Level] == sorted(calendar(node, level).total for level in Level)
    assert respins_at(programme_facts(), Level.LOW) < respins_at(programme_facts(), Level.HIGH)
    assert one_off_cost(node, 800e-6).design > one_off_cost(node, 400e-6).design


def test_newer_nodes_cost_more_to_design_for():
    totals = [one_off_cost(process(node), 500e-6).total for node in ("tsmc-28", "tsmc-16", "tsmc-7", "tsmc-5", "tsmc-3", "tsmc-2")]
    assert totals == sorted(totals)


def test_volume_shares_the_one_off_cost():
    assert cost_at_volume(3000.0, 400e6, 1e6) == 3400.0
    with pytest.raises(InputError, match="volume must be positive"):
        cost_at_volume(1.0, 1.0, 0.0)


def test_acquisitions_are_dated_and_priced():
    deals = acquisitions()
    assert [deal.year for deal in deals] == sorted(deal.year for deal in deals)
    annapurna = next(deal for deal in deals if deal.target == "Annapurna Labs")
    assert (annapurna.acquirer, annapurna.price.low, annapurna.price.high) == ("Amazon", 350e6, 370e6)
