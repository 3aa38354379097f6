import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.hardware.catalog import chip
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import broken_limits, own_chip
from tapeout.hardware.designs import designs_of
from tapeout.hardware.limits import LIMITS, beachfront, binding, build, feasible, limits_of, reticle, stacks_per_side
from tapeout.hardware.parameters import OwnChip
from tapeout.units import GB, MIB

DESIGN = OwnChip(
    id="own",
    name="Own",
    node="tsmc-4",
    dies=1,
    matrix_units=24,
    rows=128,
    columns=128,
    formats=(NumberFormat.BF16, NumberFormat.FP8),
    clock=1.6e9,
    on_chip_memory=160 * MIB,
    memory="hbm3",
    stacks=4,
    link_bandwidth=400 * GB,
    domain=8,
    topology=Topology.SWITCH,
)


def built(**change):
    return build(designs_of([dataclasses.replace(DESIGN, **change)]))


def test_every_limit_says_what_is_needed_and_allowed_and_cites_a_source():
    limits = limits_of(built(power_limit=900.0))
    assert len(limits) == len(LIMITS) == 9
    assert len({limit.name for limit in limits}) == 9
    for limit in limits:
        given, allowed, source = limit.words(0)
        assert any(sign.isdigit() for sign in given)
        assert allowed.startswith(("up to", "at least"))
        assert ", " in source or source == "power_limit of the design"


def test_the_margin_is_the_share_of_the_limit_that_is_left():
    limit = reticle(built())
    assert limit.margin[0] == pytest.approx(1 - limit.need[0] / (33e-3 * 26e-3))
    assert limit.holds[0]
    large = reticle(built(on_chip_memory=4000 * MIB))
    assert large.margin[0] < 0
    assert not large.holds[0]


def test_the_binding_limit_is_the_one_with_the_least_margin():
    for change, name in (({"on_chip_memory": 500 * MIB}, "reticle"), ({"power_limit": 410.0}, "power"), ({"clock": 2.6e9}, "clock")):
        limits = limits_of(built(**change))
        nearest, margin = binding(limits)
        assert limits[nearest[0]].name == name or limits[nearest[0]].margin[0] == margin[0]
        assert margin[0] == min(limit.margin[0] for limit in limits)


def test_more_stacks_need_more_beachfront():
    needs = [beachfront(built(stacks=stacks)).need[0] for stacks in range(1, 9)]
    assert np.diff(needs) == pytest.approx([10e-3] * 7)
    assert [stacks_per_side(built(stacks=stacks)).need[0] for stacks in (1, 8)] == [1, 8]


def test_a_die_holds_whole_stacks_on_each_long_side():
    # A die at the reticle has two sides of 33 mm: three stacks of 10 mm each, six in all, as on GA100 and GH100.
    full = limits_of(built(on_chip_memory=420 * MIB, stacks=6))
    by_name = {limit.name: limit for limit in full}
    assert by_name["reticle"].need[0] * 1e6 > 760
    assert by_name["stacks per side"].allowed[0] == 6
    assert by_name["stacks per side"].holds[0]
    assert not stacks_per_side(built(on_chip_memory=420 * MIB, stacks=7)).holds[0]


def test_two_dies_of_the_b200_hold_its_eight_stacks():
    area = chip("nvidia-b200").silicon.die_area.value
    pair = built(dies=2, stacks=8, memory="hbm3e", on_chip_memory=300 * MIB, matrix_units=48)
    assert pair.dies.total[0] < area
    assert stacks_per_side(pair).holds[0]


@given(
    units=st.integers(1, 80),
    clock=st.floats(0.5e9, 3.5e9),
    memory=st.floats(1.0, 900.0),
    stacks=st.integers(1, 10),
    links=st.floats(0.0, 3e12),
    limit=st.floats(50.0, 2000.0),
    voltage=st.one_of(st.none(), st.floats(0.4, 1.2)),
)
def test_a_design_that_breaks_a_limit_is_never_returned(units, clock, memory, stacks, links, limit, voltage):
    design = dataclasses.replace(
        DESIGN, matrix_units=units, clock=clock, on_chip_memory=memory * MIB, stacks=stacks, link_bandwidth=links,
        power_limit=limit, voltage=voltage,
    )  # fmt: skip
    if broken_limits(design):
        with pytest.raises(InputError, match="limit"):
            own_chip(design)
        return
    made, model = own_chip(design), built(**{field.name: getattr(design, field.name) for field in dataclasses.fields(design)})
    assert feasible(model)[0]
    assert made.power.value <= limit * (1 + 1e-6)
    assert made.silicon.die_area.value <= 858e-6 * (1 + 1e-6)
    assert clock <= 2.62e9 * (1 + 1e-6)
    assert made.power.value / made.silicon.die_area.value <= 1.2e6 * (1 + 1e-6)
