import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import (
    base_die_area,
    broken_limits,
    die_area,
    idle_power_draw,
    kin_generation,
    limit_margins,
    own_chip,
    peak,
    power_draw,
    supply_voltage,
)
from tapeout.hardware.parameters import BaseLayer, OwnChip
from tapeout.hardware.process import process, processes
from tapeout.performance.efficiency import efficiencies, efficiency
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


def test_own_chip_is_a_chip_of_vendor_own_with_sourced_numbers():
    chip = own_chip(DESIGN)
    assert (chip.vendor, chip.generation, chip.silicon.node) == ("own", "own-fp4", "tsmc-3")
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
        ({"clock": 3e9, "matrix_units": 4, "stacks": 2}, "clock", r"3 GHz in TSMC N3.*up to 2.9 GHz in TSMC N3.*tomshardware-tsmc-n2"),
        ({"voltage": 0.65, "clock": 2e9}, "clock", r"2 GHz in TSMC N3.*up to 1.81 GHz in TSMC N3"),
        ({"voltage": 1.1, "matrix_units": 4, "stacks": 2}, "supply", r"1.1 V.*up to 1 V.*tapeout-estimate"),
        ({"voltage": 0.5, "clock": 0.4e9}, "lowest supply", r"0.5 V.*at least 0.65 V"),
        ({"on_chip_memory": 2048 * MIB}, "reticle", r"a die of \d+ mm2.*up to a die of 858 mm2.*catch-layer-definitions"),
        ({"stacks": 6, "link_bandwidth": 100 * GB}, "stacks per side", r"6 stacks on the sides of a die.*up to 4 stacks"),
        (
            {"link_bandwidth": 2e12, "matrix_units": 4},
            "beachfront",
            r"\d+ mm of die edge.*up to \d+ mm.*besthub-nvlink-c2c",
        ),
        ({"power_limit": 200.0}, "power", r"up to 200 W; .*clock.*power_limit of the design"),
        ({"matrix_units": 40, "clock": 2.4e9, "on_chip_memory": 1 * MIB}, "power density", r"W/mm2.*up to 1.20 W/mm2"),
        (
            {"dies": 12, "matrix_units": 12 * 40, "clock": 1e9, "stacks": 24},
            "package size",
            r"a carrier of \d+ mm2.*up to a carrier of 4719 mm2",
        ),
    ],
)
def test_a_broken_limit_is_named_with_its_source(change, limit, message):
    design = dataclasses.replace(DESIGN, **change)
    assert [each.name for each in broken_limits(design)] == [limit]
    with pytest.raises(InputError, match=message):
        own_chip(design)


def test_the_nearest_limit_comes_first_with_what_is_left_of_it():
    margins = limit_margins(dataclasses.replace(DESIGN, power_limit=1.1 * power_draw(DESIGN).total))
    assert len(margins) == 9
    assert list(margins.values()) == sorted(margins.values())
    assert margins["power"] == pytest.approx(1 - 1 / 1.1)
    assert margins["stacks per side"] == 0
    assert margins["reticle"] == pytest.approx(1 - die_area(DESIGN).total / 858e-6)
    assert limit_margins(dataclasses.replace(DESIGN, stacks=8))["stacks per side"] == -1


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
        ({"voltage": 0.0}, "voltage must be positive"),
        ({"vector_lanes": -1}, "vector_lanes must not be negative"),
        ({"die_to_die": -1.0}, "die_to_die must not be negative"),
        ({"spare": -0.1}, "spare must not be negative"),
        ({"power_limit": 0.0}, "power_limit must be positive"),
        ({"formats": ()}, "needs number formats"),
        ({"formats": (NumberFormat.FP32,)}, "given 'fp32', allowed: bf16"),
        ({"dies": 3}, "matrix_units must divide into the dies"),
        ({"dies": 2, "stacks": 3}, "stacks must divide into the dies"),
        ({"node": "tsmc-9"}, "unknown process node, given 'tsmc-9', allowed: tsmc-28, tsmc-16, tsmc-7"),
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


def test_two_dies_share_the_blocks_and_pay_for_what_joins_them():
    alone = dataclasses.replace(DESIGN, dies=2, die_to_die=0.0)
    assert 2 * die_area(alone).total == pytest.approx(die_area(DESIGN).total)
    assert power_draw(alone).total == pytest.approx(power_draw(DESIGN).total)
    # Unless said, each die reads the memory of the other at the full rate of its own: two stacks of 1 TB/s.
    joined = dataclasses.replace(DESIGN, dies=2)
    assert joined.bandwidth_between_dies == 2e12
    # 1.54 mm2 per TB/s, grown by the share of the die that has no name; 0.3 pJ per bit on both dies.
    unnamed = die_area(DESIGN).unnamed / die_area(DESIGN).total
    assert (die_area(joined).total - die_area(alone).total) * 1e6 == pytest.approx(2 * 1.54 / (1 - unnamed))
    assert power_draw(joined).die_to_die == pytest.approx(2 * 2e12 * 8 * 0.3e-12)


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
    # Two operands of two bytes per product, at 1.6e-12 J/B in 3 nm: 4 x 1.6e-12 / 128 J on a square array of 128, at nominal supply.
    nominal = dataclasses.replace(DESIGN, voltage=0.75)
    products = DESIGN.multipliers * DESIGN.clock
    assert power_draw(nominal).operands == pytest.approx(products * 2 * 2 * 1.6e-12 / 128)


def test_energy_of_switching_grows_with_the_square_of_the_supply():
    low, high = (power_draw(dataclasses.replace(DESIGN, voltage=voltage)) for voltage in (0.75, 0.9))
    for consumer in ("matrix", "vector", "operands", "clock"):
        assert getattr(high, consumer) == pytest.approx(getattr(low, consumer) * (0.9 / 0.75) ** 2), consumer
    assert high.leakage == pytest.approx(low.leakage * (0.9 / 0.75) ** 3)
    assert (high.memory, high.links) == (low.memory, low.links)


def test_the_supply_is_the_lowest_that_reaches_the_clock():
    for clock in (1.9e9, 2.2e9, 2.6e9):
        found = supply_voltage(dataclasses.replace(DESIGN, clock=clock))
        # The alpha-power law with Vt 0.3 V and alpha 1.3, through 2.9 GHz at 1 V.
        assert 2.9e9 * ((found - 0.3) / 0.7) ** 1.3 / found == pytest.approx(clock, rel=1e-6)
    assert supply_voltage(dataclasses.replace(DESIGN, clock=2.9e9)) == pytest.approx(1.0)
    assert supply_voltage(dataclasses.replace(DESIGN, clock=0.5e9)) == 0.65


def test_at_rest_the_arithmetic_stops_and_the_clock_does_not():
    load, rest = power_draw(DESIGN), idle_power_draw(DESIGN)
    assert (rest.matrix, rest.vector, rest.operands) == (0, 0, 0)
    assert (rest.clock, rest.leakage, rest.links) == (load.clock, load.leakage, load.links)
    assert rest.memory == pytest.approx(0.2 * load.memory)


def test_a_base_layer_takes_the_interfaces_and_is_as_large_as_what_stands_on_it():
    parted = dataclasses.replace(DESIGN, dies=4, stacks=2, base=BaseLayer(node="tsmc-6", dies=1, on_chip_memory=64 * MIB))
    above, below = die_area(parted), base_die_area(parted)
    assert (above.memory_interface, above.links, above.host, above.die_to_die) == (0, 0, 0, 0)
    assert min(below.memory_interface, below.links, below.host, below.on_chip_memory) > 0
    assert (below.matrix, below.vector) == (0, 0)
    wide = dataclasses.replace(parted, matrix_units=64)
    assert base_die_area(wide).total == pytest.approx(4 * die_area(wide).total)
    silicon = own_chip(parted).silicon
    assert (silicon.base.node, silicon.base.dies) == ("tsmc-6", 1)
    assert silicon.base.die_area.value == pytest.approx(below.total)
    assert own_chip(parted).on_chip_memory.value == (128 + 64) * MIB
    assert base_die_area(DESIGN).total == 0


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (BaseLayer(node="tsmc-6", dies=3, on_chip_memory=1 * MIB), "must divide into the dies"),
        (BaseLayer(node="tsmc-9", dies=1, on_chip_memory=1 * MIB), "unknown process node"),
    ],
)
def test_an_impossible_base_layer_is_refused(base, message):
    with pytest.raises(InputError, match=message):
        own_chip(dataclasses.replace(DESIGN, base=base))
    with pytest.raises(InputError, match=r"base\.dies must be positive"):
        dataclasses.replace(base, dies=0)


@given(factor=st.sampled_from([2, 3, 4]), units=st.integers(1, 8), clock=st.floats(0.8e9, 1.5e9))
def test_peak_is_linear_in_units_and_clock(factor, units, clock):
    design = dataclasses.replace(DESIGN, matrix_units=units, clock=clock)
    for change in ({"matrix_units": units * factor}, {"clock": clock * factor}, {"rows": 128 * factor}):
        more = peak(dataclasses.replace(design, **change))
        assert more == {name: pytest.approx(factor * value) for name, value in peak(design).items()}


@given(clock=st.floats(0.8e9, 2.5e9), more=st.floats(1.01, 1.15))
def test_power_rises_with_the_clock_and_faster_than_it_above_the_lowest_supply(clock, more):
    slow, fast = (power_draw(dataclasses.replace(DESIGN, clock=each)) for each in (clock, clock * more))
    assert fast.total > slow.total
    assert fast.matrix / slow.matrix >= more * (1 - 1e-9)


def test_kin_are_those_whose_formats_were_measured():
    table = efficiencies()
    for formats, generation, kin, measured in (
        ((BF16, FP8, FP4), "own-fp4", "blackwell", "fp4"),
        ((BF16, FP8), "own", "hopper", "fp8"),
        ((BF16, INT8), "own-bf16", "ampere", "bf16"),
    ):
        assert kin_generation(formats) == generation
        assert table[generation].kin == kin
        assert measured in table[kin].products
        assert efficiency(generation, table).distance == efficiency(kin, table).distance + 1


def test_every_node_has_a_supply_and_builds_a_chip():
    for node in processes().values():
        small = dataclasses.replace(
            DESIGN, node=node.id, matrix_units=1, rows=64, columns=64, clock=node.clock.value, on_chip_memory=8 * MIB,
            memory="gddr6", stacks=4, link_bandwidth=32 * GB,
        )  # fmt: skip
        assert own_chip(small).silicon.node == node.id
