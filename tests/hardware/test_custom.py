import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import OwnChip, broken_limits, die_area, memory_edge, own_chip, power_draw
from tapeout.hardware.process import memory_generation, process
from tapeout.provenance import Grade, facts_within, sources
from tapeout.units import GB, MIB

BF16, FP8, FP4, INT8 = NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4, NumberFormat.INT8

DESIGN = OwnChip(
    id="own-test",
    name="Own test chip",
    node="tsmc-3",
    dies=1,
    matrix_units=16,
    rows=128,
    columns=128,
    formats=(BF16, FP8, FP4),
    clock=1.6e9,
    on_chip_memory=128 * MIB,
    memory="HBM3e",
    stacks=4,
    link_bandwidth=400 * GB,
    domain=64,
    topology=Topology.TORUS_3D,
    released="2028",
)


def public(**parameters):
    return dataclasses.replace(DESIGN, **({"dies": 1, "spare": 0.0, "scale_out": 0.0} | parameters))


# Public parameters of shipped chips: SRAM with register files; matrix units are tensor cores or systolic arrays; spare is what the
# full die has over the product (A100 128 of 108 multiprocessors used, H100 144 of 132, L40S 144 of 142, B200 160 of 148).
A100 = public(
    node="tsmc-7",
    matrix_units=432,
    rows=16,
    columns=16,
    formats=(BF16, INT8),
    clock=1.41e9,
    on_chip_memory=104 * MIB,
    memory="HBM2e",
    stacks=5,
    link_bandwidth=300 * GB,
    spare=80 / 432,
)
H100 = public(
    node="tsmc-4",
    matrix_units=528,
    rows=16,
    columns=32,
    formats=(BF16, FP8, INT8),
    clock=1.83e9,
    on_chip_memory=132 * MIB,
    memory="HBM3",
    stacks=5,
    link_bandwidth=450 * GB,
    spare=48 / 528,
)
TPU_V4I = public(
    node="tsmc-7",
    matrix_units=4,
    formats=(BF16,),
    clock=1.05e9,
    on_chip_memory=148 * MIB,
    memory="HBM2",
    stacks=2,
    link_bandwidth=100 * GB,
)
TPU_V4 = public(
    node="tsmc-7",
    matrix_units=8,
    formats=(BF16,),
    clock=1.05e9,
    on_chip_memory=170 * MIB,
    memory="HBM2",
    stacks=4,
    link_bandwidth=270 * GB,
)
L40S = public(
    node="tsmc-4",
    matrix_units=568,
    rows=4,
    columns=32,
    formats=(BF16, FP8),
    clock=2.52e9,
    on_chip_memory=150 * MIB,
    memory="GDDR6",
    stacks=12,
    link_bandwidth=0.0,
    spare=8 / 568,
)
B200 = public(
    node="tsmc-4",
    dies=2,
    matrix_units=592,
    rows=32,
    columns=32,
    formats=(BF16, FP8, FP4),
    clock=1.86e9,
    on_chip_memory=208 * MIB,
    memory="HBM3e",
    stacks=8,
    link_bandwidth=900 * GB,
    spare=48 / 592,
)


# Bf16 peaks as published, in TFLOP/s: the parameters are right if they give these.
@pytest.mark.parametrize(("design", "peak"), [(A100, 312), (H100, 989), (TPU_V4I, 138), (TPU_V4, 275), (L40S, 362), (B200, 2250)])
def test_public_parameters_give_the_published_peak(design, peak):
    assert 2 * design.multipliers * design.clock / 1e12 == pytest.approx(peak, rel=0.015)


# Die areas in mm2: A100 826, H100 814, TPU v4i 400 set two of the constants; L40S 609 and B200 2 x 800 were held out.
# Found: A100 -13 %, H100 +11 %, TPU v4i +1 %, L40S +10 %, B200 -9 %. The H100 comes out above the reticle.
@pytest.mark.parametrize(("design", "area"), [(A100, 826), (H100, 814), (TPU_V4I, 400), (L40S, 609), (B200, 800)])
def test_area_is_within_the_stated_band(design, area):
    assert die_area(design).total * 1e6 == pytest.approx(area, rel=0.15)


# Power in W: A100 400, TPU v4 192 (highest measured) set two energies; H100 700, L40S 350, B200 1,000 were held out.
# Found: A100 -4 %, TPU v4 +17 %, H100 -10 %, L40S +16 %, B200 +21 %. The TPU v4i, rated 175 W, comes out at 120 W (-31 %): its
# rating is for the cooling, so it is outside the claim.
@pytest.mark.parametrize(("design", "power"), [(A100, 400), (TPU_V4, 192), (H100, 700), (L40S, 350), (B200, 1000)])
def test_power_is_within_the_stated_band(design, power):
    assert power_draw(design).total == pytest.approx(power, rel=0.25)


def test_shipped_memory_systems_fit_their_beachfront_and_one_more_stack_on_each_edge_does_not():
    for design, area, sites in ((A100, 826e-6, 6), (H100, 814e-6, 6), (B200, 800e-6, 4)):
        memory = memory_generation(design.memory)
        edge = memory_edge(area, design.dies, memory)
        assert sites * memory.beachfront.value <= edge < (sites + 2) * memory.beachfront.value


def test_own_chip_is_a_chip_of_vendor_own_with_sourced_numbers():
    chip = own_chip(DESIGN)
    assert (chip.vendor, chip.generation, chip.silicon.node) == ("own", "own", "tsmc-3")
    assert chip.peak[FP8].value == 2 * chip.peak[BF16].value
    assert chip.peak[FP4].value == 4 * chip.peak[BF16].value == pytest.approx(4 * 2 * 16 * 128 * 128 * 1.6e9)
    assert chip.memory.capacity.value == 4 * 36 * GB
    assert chip.memory.bandwidth.value == 4e12
    assert chip.scale_up.domain == 64
    assert chip.silicon.die_area.low == pytest.approx(0.75 * chip.silicon.die_area.value)
    for path, fact in facts_within(chip):
        assert (fact.source, fact.grade) == ("tapeout-own-chip", Grade.DERIVED), path
    assert "tapeout-own-chip" in sources()


def test_int8_and_a_single_format_are_allowed():
    assert set(own_chip(dataclasses.replace(DESIGN, formats=(INT8,))).peak) == {INT8}


# Each limit, met by a design that breaks it and nothing else.
@pytest.mark.parametrize(
    ("change", "limit", "message"),
    [
        ({"clock": 3e9}, "clock", r"3 GHz.*up to 2.4 GHz in TSMC N3.*tapeout-estimate"),
        ({"on_chip_memory": 2048 * MIB}, "reticle", r"a die of \d+ mm2.*up to 858 mm2.*catch-layer-definitions"),
        ({"stacks": 8}, "beachfront", r"88 mm of die edge for HBM3e.*up to"),
        ({"power_limit": 200.0}, "power", r"up to 200 W; .*clock.*power_limit of the design"),
        ({"matrix_units": 48, "clock": 2.4e9, "node": "tsmc-3", "on_chip_memory": 1 * MIB}, "power density", r"W/mm2.*up to 1.20 W/mm2"),
    ],
)
def test_a_broken_limit_is_named_with_its_source(change, limit, message):
    design = dataclasses.replace(DESIGN, **change)
    assert [each.name for each in broken_limits(design)] == [limit]
    with pytest.raises(InputError, match=message):
        own_chip(design)


def test_the_clock_advised_for_a_power_limit_meets_it():
    limit = 0.8 * power_draw(DESIGN).total
    (broken,) = broken_limits(dataclasses.replace(DESIGN, power_limit=limit))
    clock = float(broken.allowed.split("a clock of ")[1].split(" GHz")[0]) * 1e9
    assert power_draw(dataclasses.replace(DESIGN, clock=clock)).total == pytest.approx(limit, rel=0.01)
    assert not broken_limits(dataclasses.replace(DESIGN, clock=clock * 0.99, power_limit=limit))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 0}, "rows must be positive"),
        ({"clock": float("nan")}, "clock must be positive"),
        ({"spare": -0.1}, "spare must not be negative"),
        ({"power_limit": 0.0}, "power_limit must be positive"),
        ({"formats": ()}, "needs number formats"),
        ({"formats": (NumberFormat.FP32,)}, "given 'fp32', allowed: bf16"),
        ({"dies": 3}, "matrix_units must divide into the dies"),
        ({"dies": 2, "stacks": 3}, "stacks must divide into the dies"),
        ({"node": "tsmc-9"}, "unknown process node"),
        ({"memory": "HBM9"}, "unknown memory generation"),
    ],
)
def test_impossible_parameters_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        own_chip(dataclasses.replace(DESIGN, **change))


@given(units=st.integers(1, 64), size=st.sampled_from([16, 64, 128, 256]), memory=st.floats(1.0, 512.0), links=st.floats(0.0, 2e12))
def test_area_and_power_rise_with_every_resource(units, size, memory, links):
    design = dataclasses.replace(DESIGN, matrix_units=units, rows=size, columns=size, on_chip_memory=memory * MIB, link_bandwidth=links)
    area, power = die_area(design).total, power_draw(design).total
    for change in ({"matrix_units": units + 1}, {"stacks": 5}, {"on_chip_memory": memory * 2 * MIB}, {"link_bandwidth": links + 1e11}):
        more = dataclasses.replace(design, **change)
        assert die_area(more).total > area
        assert power_draw(more).total > power


def test_two_dies_share_the_blocks():
    pair = dataclasses.replace(DESIGN, dies=2)
    assert 2 * die_area(pair).total == pytest.approx(die_area(DESIGN).total)
    assert power_draw(pair).total == pytest.approx(power_draw(DESIGN).total)


def test_larger_arrays_spend_less_on_operands_per_product():
    wide = dataclasses.replace(DESIGN, matrix_units=4, rows=256, columns=256)
    assert wide.multipliers == DESIGN.multipliers
    assert power_draw(wide).operands == pytest.approx(power_draw(DESIGN).operands / 2)
    assert power_draw(wide).matrix == power_draw(DESIGN).matrix


def test_a_newer_node_shrinks_the_die_and_its_power():
    older = dataclasses.replace(DESIGN, node="tsmc-7", clock=1.4e9)
    newer = dataclasses.replace(DESIGN, clock=1.4e9)
    assert process("tsmc-3").year > process("tsmc-7").year
    assert die_area(newer).total < die_area(older).total
    assert power_draw(newer).total < power_draw(older).total


def test_operands_of_a_product_are_read_once_per_row_and_per_column():
    tall = dataclasses.replace(DESIGN, rows=256, columns=64)
    wide = dataclasses.replace(DESIGN, rows=64, columns=256)
    assert power_draw(tall).operands == pytest.approx(power_draw(wide).operands)
    # Two operands of two bytes per product, at 1.6e-12 J/B in 3 nm: 4 x 1.6e-12 / 128 J on a square array of 128.
    products = DESIGN.multipliers * DESIGN.clock
    assert power_draw(DESIGN).operands == pytest.approx(products * 2 * 2 * 1.6e-12 / 128)
