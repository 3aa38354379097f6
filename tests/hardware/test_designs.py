import dataclasses
import itertools

import numpy as np
import pytest

from tapeout.errors import UnknownNameError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import base_die_area, broken_limits, die_area, power_draw, supply_voltage
from tapeout.hardware.designs import FORMATS, codes_of_formats, designs_of, highest_clock, supply
from tapeout.hardware.limits import build, feasible, limits_of
from tapeout.hardware.parameters import BaseLayer, OwnChip
from tapeout.units import GB, MIB

BF16, FP8, FP4, INT8 = NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4, NumberFormat.INT8


def own(**parameters):
    common = {
        "id": "own", "name": "Own", "node": "tsmc-5", "dies": 1, "matrix_units": 16, "rows": 128, "columns": 64, "formats": (BF16, FP8),
        "clock": 1.5e9, "on_chip_memory": 96 * MIB, "memory": "hbm3e", "stacks": 4, "link_bandwidth": 300 * GB, "domain": 8,
        "topology": Topology.SWITCH,
    }  # fmt: skip
    return OwnChip(**(common | parameters))


VARIETY = [
    own(node=node, dies=dies, formats=formats, clock=clock, memory=memory, stacks=8, voltage=voltage, power_limit=limit, base=base)
    for node, dies, formats, clock, memory, voltage, limit, base in itertools.product(
        ("tsmc-7", "tsmc-3"),
        (1, 2, 4),
        ((BF16,), (BF16, FP8, FP4), (INT8,)),
        (1.1e9, 3.1e9),
        ("hbm3e", "gddr6"),
        (None, 0.8),
        (None, 400.0),
        (None, BaseLayer(node="tsmc-6", dies=1, on_chip_memory=64 * MIB)),
    )
]


def test_one_chip_is_a_row_of_many():
    built = build(designs_of(VARIETY))
    limits, kept = limits_of(built), feasible(built)
    assert 0 < kept.sum() < len(VARIETY)
    for row in range(0, len(VARIETY), 7):
        one = VARIETY[row]
        assert die_area(one).total == pytest.approx(built.dies.total[row], rel=1e-12)
        assert base_die_area(one).total == pytest.approx(built.base.total[row], rel=1e-12)
        assert power_draw(one).total == pytest.approx(built.power.total[row], rel=1e-12)
        assert supply_voltage(one) == pytest.approx(built.voltage[row], rel=1e-12)
        assert {limit.name for limit in broken_limits(one)} == {limit.name for limit in limits if not limit.holds[row]}


def test_rows_are_taken_by_number_and_by_mask():
    designs = designs_of(VARIETY)
    mask = designs.dies == 2
    taken = designs.take(mask)
    assert taken.size == mask.sum()
    assert np.array_equal(build(taken).power.total, build(designs).power.total[mask])


def test_formats_are_bits_and_the_hungriest_sets_the_energy():
    designs = designs_of([own(formats=(INT8,)), own(formats=(BF16,)), own(formats=(BF16, FP8, FP4)), own(formats=FORMATS)])
    assert list(designs.formats) == [codes_of_formats(one) for one in ((INT8,), (BF16,), (BF16, FP8, FP4), FORMATS)]
    assert list(designs.format_area()) == pytest.approx([1.1, 1.0, 1.5, 1.6])
    # Two int8 products take a quarter of the energy of a bf16 one; two of fp8 or four of fp4 take the same.
    assert list(designs.format_energy()) == pytest.approx([0.26, 1.0, 1.0, 1.0])


def test_supply_and_clock_are_inverse_of_each_other_inside_the_range():
    designs = designs_of([own(clock=clock) for clock in np.linspace(1.7e9, 2.55e9, 18)])
    assert highest_clock(designs, supply(designs)) == pytest.approx(designs.clock, rel=1e-6)
    beyond = designs_of([own(clock=4e9)])
    assert supply(beyond) == pytest.approx([1.0])


def test_a_design_without_data_is_refused():
    with pytest.raises(UnknownNameError, match=r"unknown process node.*tsmc-28, tsmc-16"):
        designs_of([own(), own(node="intel-18a")])
    with pytest.raises(UnknownNameError, match=r"unknown memory generation.*hbm2"):
        designs_of([dataclasses.replace(own(), memory="hbm5", dies=1)])
