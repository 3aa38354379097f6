import dataclasses

import pytest

from tapeout.cost.memory import memory_units
from tapeout.cost.unit import Level, cheap, dear, price_with_margin, unit_cost
from tapeout.cost.yields import poisson
from tapeout.errors import InputError, UnknownNameError
from tapeout.hardware.chip import Silicon
from tapeout.hardware.process import memory_generation, packaging
from tests.cost.made_chips import B200, H100, H200, L40S, TPU_V4, TPU_V4I, fact


# Published totals and their intervals: Raymond James for the H100 (3,320; Epoch about 3,000; 5,875 with the switch board), Silicon
# Analysts for the H200, Epoch AI for the B200 (5,700 to 7,300) and, by Monte Carlo at 90 %, TPU v4 (1,100 to 1,500) and v4i (700 to
# 1,100). The area of the TPU v4 is 600 mm2 at most.
@pytest.mark.parametrize(
    ("target", "published", "interval"),
    [
        (H100, 3320, (3000, 5875)),
        (H200, 4250, (4000, 4800)),
        (B200, 6400, (5700, 7300)),
        (TPU_V4, 1285, (1100, 1500)),
        (TPU_V4I, 877, (700, 1100)),
    ],
)
def test_unit_cost_is_within_a_sixth_of_the_published_total_and_inside_its_interval(target, published, interval):
    cost = unit_cost(target)
    assert cost.mid.total == pytest.approx(published, rel=1 / 6)
    assert interval[0] <= cost.mid.total <= interval[1]
    assert cost.low.total < published < cost.high.total


def test_parts_of_the_b200_meet_epoch():
    # Epoch AI: dies 720 to 1,200, memory 2,800 to 3,100, CoWoS-L 1,000 to 1,200, packaging yield loss 1,000 to 1,100, auxiliary 480.
    cost = unit_cost(B200).mid
    assert 720 <= cost.dies <= 1200
    assert 2800 <= cost.memory <= 3100
    assert 1000 <= cost.package <= 1200
    assert cost.loss == pytest.approx(1050, rel=0.1)
    assert cost.module == pytest.approx(480, rel=0.02)


def test_parts_of_the_h100_meet_the_cost_bridge():
    # Silicon Analysts: logic 300 (a raw die), memory 1,350, packaging 750, test, assembly and other 920.
    cost = unit_cost(H100).mid
    assert cost.dies == pytest.approx(300, rel=0.3)
    assert cost.memory == pytest.approx(1350, rel=0.15)
    assert cost.package == pytest.approx(750, rel=0.15)
    assert cost.loss + cost.test + cost.module == pytest.approx(920, rel=0.25)


def test_memory_takes_more_than_the_logic_as_epoch_finds_across_chips():
    # Epoch AI, fourth quarter of 2025: memory 63 % (60 to 67) of component spend and logic 13 %; a B200 alone is near that.
    cost = unit_cost(B200).mid
    assert 3 < cost.memory / cost.dies < 6


def test_stacks_of_shipped_chips():
    shipped = {H100.id: 5, H200.id: 6, B200.id: 8, TPU_V4.id: 4}
    for each in (H100, H200, B200, TPU_V4):
        assert abs(memory_units(each, memory_generation(each.memory.kind)) - shipped[each.id]) <= 1


def test_package_follows_the_memory_and_the_dies_unless_given():
    assert [unit_cost(each).packaging for each in (H100, B200, L40S)] == ["cowos-s", "cowos-l", "organic"]
    assert unit_cost(B200, package=packaging("emib")).mid.package < unit_cost(B200).mid.package


def test_every_part_is_ordered_from_low_to_high():
    for each in (H100, B200, TPU_V4I, L40S):
        cost = unit_cost(each)
        for name in ("dies", "base_dies", "memory", "package", "substrate", "loss", "escapes", "test", "module"):
            low, mid, high = (getattr(part, name) for part in (cost.low, cost.mid, cost.high))
            assert 0 <= low <= mid <= high, name


def test_currency_years_are_those_of_the_facts():
    assert unit_cost(H100).currency_years == (2022, 2024, 2025, 2026)


def test_a_harsher_yield_model_costs_more():
    assert unit_cost(H100, yield_model=poisson).mid.dies > unit_cost(H100).mid.dies


def test_levels_take_the_right_end():
    known = fact(2.0, "1", 1.0, 4.0)
    assert [dear(known, level) for level in Level] == [1.0, 2.0, 4.0]
    assert [cheap(known, level) for level in Level] == [4.0, 2.0, 1.0]


def test_price_of_the_tpu_v5e_from_its_cost_and_the_partners_margin():
    # Epoch AI: 1,153 USD to make, 2,691 (2,099 to 3,569) from Broadcom to Google at a margin of 50 to 65 %.
    assert price_with_margin(1153.0, 0.575) == pytest.approx(2691, rel=0.02)
    with pytest.raises(InputError, match="below 1"):
        price_with_margin(1.0, 1.0)


def test_chips_that_cannot_be_priced_say_why():
    with pytest.raises(InputError, match="no silicon facts"):
        unit_cost(dataclasses.replace(H100, silicon=None))
    with pytest.raises(UnknownNameError, match="did you mean tsmc-4"):
        unit_cost(dataclasses.replace(H100, silicon=Silicon(node="tsmc4", dies=1, die_area=fact(1e-4, "m2"))))
    with pytest.raises(InputError, match="reticle limit"):
        unit_cost(dataclasses.replace(H100, silicon=Silicon(node="tsmc-4", dies=1, die_area=fact(1.6e-3, "m2"))))
