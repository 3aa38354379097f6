import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.nre import one_off_cost
from tapeout.cost.unit import price_with_margin, unit_cost
from tapeout.design.economics import break_even_volume, unit_costs
from tapeout.errors import InputError
from tapeout.hardware.custom import die_area, own_chip, power_draw
from tapeout.hardware.designs import designs_of
from tapeout.hardware.limits import build
from tapeout.hardware.process import process

from .questions import ECONOMICS, SPACE


def buildable():
    return [own for own in SPACE.designs() if own is not None and (own.node, own.memory, own.stacks, own.dies) == ("tsmc-3", "hbm3e", 4, 2)]


def test_unit_costs_of_arrays_are_those_of_the_chips():
    found = []
    for own in buildable():
        try:
            found.append((own, own_chip(own)))
        except InputError:
            continue
    built = build(designs_of([own for own, _ in found]))
    costs = unit_costs(found[0][1], built.dies.total, built.power.total)
    assert len(found) > 5
    assert costs == pytest.approx([unit_cost(chip).mid.total for _, chip in found], rel=1e-12)


def test_one_off_costs_follow_node_and_die():
    owns = [next(own for own in SPACE.designs() if own is not None and own.node == node) for node in SPACE.nodes]
    areas = np.array([die_area(own).total for own in owns])
    expected = [one_off_cost(process(own.node), area).total for own, area in zip(owns, areas, strict=True)]
    assert ECONOMICS.one_off_costs(designs_of(owns), areas) == pytest.approx(expected, rel=1e-12)
    fixed = dataclasses.replace(ECONOMICS, one_off=5e8)
    assert fixed.one_off_costs(designs_of(owns), areas).tolist() == [5e8, 5e8]


def test_a_chip_with_its_share_of_the_one_off_cost_is_as_dear_as_one_bought_at_that_price():
    price = float(price_with_margin(5000.0, ECONOMICS.margin)) + 1e8 / ECONOMICS.volume
    assert ECONOMICS.own_usd_per_hour(5000.0, 1e8, 700.0) == pytest.approx(ECONOMICS.usd_per_hour(price, 700.0))


@given(cost=st.floats(500, 20_000), one_off=st.floats(1e7, 2e9), seconds=st.floats(1e-5, 1e-2), dearer=st.floats(1.001, 5.0))
def test_at_the_break_even_volume_both_tokens_cost_the_same(cost, one_off, seconds, dearer):
    price = float(price_with_margin(cost, ECONOMICS.margin))
    recurring = float(ECONOMICS.usd_per_hour(price, 700.0))
    rival = dearer * recurring / 3600 * seconds
    volume = float(break_even_volume(recurring, float(ECONOMICS.usd_per_hour(price + one_off, 700.0)) - recurring, seconds, rival))
    at = dataclasses.replace(ECONOMICS, volume=volume)
    assert float(at.own_usd_per_hour(cost, one_off, 700.0)) / 3600 * seconds == pytest.approx(rival, rel=1e-9, abs=0)


def test_what_is_dearer_without_its_one_off_cost_never_breaks_even():
    assert np.isinf(break_even_volume(2.0, 1e5, 3.6e-3, 1e-6))


@pytest.mark.parametrize("volume", [0.0, -1.0, 0.5, float("nan"), float("inf")])
def test_no_volume_is_refused(volume):
    with pytest.raises(InputError, match="volume must be positive"):
        dataclasses.replace(ECONOMICS, volume=volume)


def test_watts_at_the_meter_are_those_of_chip_and_host_under_load():
    assert ECONOMICS.watts_at_meter(750.0) == pytest.approx((750 + 250) * 0.8 * 1.2)


def test_power_of_the_arrays_is_that_of_the_chip():
    own = buildable()[0]
    assert build(designs_of([own])).power.total[0] == pytest.approx(power_draw(own).total)
