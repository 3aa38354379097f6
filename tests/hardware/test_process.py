import itertools

import pytest

from tapeout.errors import UnknownNameError
from tapeout.hardware.chip import NumberFormat
from tapeout.hardware.process import (
    blocks,
    manufacturing,
    memories,
    memory_generation,
    packaging,
    packagings,
    process,
    processes,
)
from tapeout.provenance import Grade, facts_within

NODES = ("tsmc-28", "tsmc-16", "tsmc-7", "tsmc-6", "tsmc-5", "tsmc-4", "tsmc-3", "tsmc-2")
MEMORIES = ("hbm2", "hbm2e", "hbm3", "hbm3e", "hbm4", "gddr6", "gddr7", "lpddr5", "lpddr5x")


def test_all_nodes_memories_and_packages_are_there():
    assert tuple(processes()) == NODES
    assert tuple(memories()) == MEMORIES
    assert set(packagings()) == {"organic", "cowos-s", "cowos-l", "fan-out", "emib"}


def test_published_wafer_prices_lie_in_the_ranges():
    # DigiTimes at introduction: 28 nm 3,000, 7 nm 10,000, 5 nm 16,000, 3 nm 20,000; Creative Strategies 2025: 28 nm 5,000, 3 nm 18,000;
    # The Information Network: 5 nm 13,495, 2 nm 24,570; Chiplet Actuary after CSET: 5 nm 16,988.
    for node, price in (
        ("28", 3000),
        ("28", 5000),
        ("7", 10000),
        ("5", 16000),
        ("5", 13495),
        ("5", 16988),
        ("3", 20000),
        ("3", 18000),
        ("2", 24570),
    ):
        fact = process(f"tsmc-{node}").wafer_price
        assert fact.low <= price <= fact.high, node


def test_published_defect_densities_lie_in_the_ranges():
    # AnandTech on TSMC: 0.09 per cm2 for N7 in 2019, 0.10 to 0.11 for N5 in 2020; ttm-cas: 0.15 and 0.20; Google's last year: 0.05.
    for node, density in (("7", 0.09), ("7", 0.15), ("5", 0.10), ("5", 0.11), ("5", 0.20), ("5", 0.05)):
        fact = process(f"tsmc-{node}").defect_density
        assert fact.low <= density * 1e4 * (1 + 1e-9), node
        assert density * 1e4 <= fact.high * (1 + 1e-9), node


def test_newer_nodes_are_denser_dearer_and_thriftier():
    main = [process(f"tsmc-{node}") for node in ("28", "16", "7", "5", "3", "2")]
    for older, newer in itertools.pairwise(main):
        assert newer.wafer_price.value > older.wafer_price.value
        assert newer.transistor_density.value > older.transistor_density.value
        assert newer.sram_cell.value <= older.sram_cell.value
        assert newer.energy_per_flop.value < older.energy_per_flop.value
        assert newer.mask_set.value > older.mask_set.value


def test_bandwidth_per_beachfront_rises_with_each_stack_generation():
    stacks = [memory_generation(name) for name in ("HBM2", "HBM2e", "HBM3", "HBM3e", "HBM4")]
    edge = [each.bandwidth.value / each.beachfront.value for each in stacks]
    assert edge == sorted(edge)
    assert all(each.stacked and each.package_area > 90e-6 for each in stacks)
    assert memory_generation("GDDR7").package_area == 0.0


def test_shipped_memory_systems_lie_in_the_ranges():
    # Per stack: A100 16 GB at 408 GB/s, H100 16 GB at 670, MI300X 24 GB at 662, H200 24 GB at 800, B300 36 GB at 1,000.
    for kind, capacity, bandwidth in (("HBM2e", 16, 408), ("HBM3", 16, 670), ("HBM3", 24, 662), ("HBM3e", 24, 800), ("HBM3e", 36, 1000)):
        memory = memory_generation(kind)
        assert memory.capacity.low <= capacity * 1e9 <= memory.capacity.high
        assert memory.bandwidth.low <= bandwidth * 1e9 <= memory.bandwidth.high


def test_formats_add_area_and_yields_are_shares():
    assert blocks().area_of_formats((NumberFormat.BF16,)) == 1.0
    assert blocks().area_of_formats((NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4)) == pytest.approx(1.5)
    for box in packagings().values():
        for share in (box.carrier_yield, box.bonding_yield, box.substrate_yield):
            assert 0.9 < share.low <= share.high <= 1


def test_reticle_is_that_of_a_lithography_scanner():
    assert manufacturing().reticle_length.value * manufacturing().reticle_width.value == pytest.approx(858e-6)


def test_guesses_have_a_range():
    facts = [manufacturing(), blocks(), *processes().values(), *memories().values(), *packagings().values()]
    for path, fact in (pair for each in facts for pair in facts_within(each)):
        if fact.grade is Grade.GUESS:
            assert fact.low < fact.high, path


def test_unknown_names_are_refused_with_the_closest():
    with pytest.raises(UnknownNameError, match="did you mean tsmc-5"):
        process("tsmc5")
    with pytest.raises(UnknownNameError, match="unknown memory generation"):
        memory_generation("DDR4")
    with pytest.raises(UnknownNameError, match="did you mean cowos-s"):
        packaging("cowos")
