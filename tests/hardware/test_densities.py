import pytest

from tapeout.hardware.chip import NumberFormat
from tapeout.hardware.densities import densities, supplies
from tapeout.hardware.process import process, processes
from tapeout.provenance import facts_within


def test_every_node_has_a_supply_range_around_its_nominal_one():
    assert set(supplies()) == set(processes())
    for fact in supplies().values():
        assert densities().threshold_voltage.high < fact.low < fact.value < fact.high


def test_published_figures_lie_in_the_ranges():
    facts = densities()
    # NVLink-C2C against serial links: 1.3 pJ per bit, 281 Gbit/s per mm of edge, 552 Gbit/s per mm2; UCIe in 2.5D 0.25 to 0.3 pJ per bit.
    assert facts.die_to_die_energy.low <= 0.25e-12 * 8 <= 0.3e-12 * 8 <= 1.3e-12 * 8 <= facts.die_to_die_energy.high * (1 + 1e-9)
    assert facts.die_to_die_beachfront.value <= 1e-3 / (281e9 / 8) <= facts.die_to_die_beachfront.high * 1.02
    assert facts.die_to_die_area.value <= 1e-6 / (552e9 / 8) <= facts.die_to_die_area.high * (1 + 1e-9)
    # Serial links: 304 Gbit/s per mm.
    assert facts.link_beachfront.low <= 1e-3 / (304e9 / 8) <= facts.link_beachfront.high
    # Interposers of 3.3, 5.5 and 9.5 reticles of 858 mm2; Rubin Ultra's package was reported at 7,470 mm2.
    for reticles in (3.3, 5.5, 9.5):
        assert facts.interposer.low <= reticles * 858e-6 <= facts.interposer.high * (1 + 1e-9)


def test_a_product_takes_at_least_what_a_narrow_multiplier_and_a_wide_adder_take():
    # Published for 7 nm: int8 multiply 0.07 and fp32 add 0.38 pJ; a bf16 product has exponents beside. One product and sum are two FLOP.
    energy = process("tsmc-7").energy_per_flop
    assert energy.low <= (0.07e-12 + 0.38e-12) / 2 <= energy.value
    # fp32 multiply 1.31 pJ: a lane takes (1.31 + 0.38) over a bf16 product and sum.
    assert densities().vector_products.value == pytest.approx((1.31 + 0.38) * 1e-12 / (2 * energy.value), rel=0.02)
    # int8 multiply and add 0.077 pJ.
    assert densities().format_energy[NumberFormat.INT8].value == pytest.approx(0.077e-12 / (2 * energy.value), rel=0.02)


def test_every_number_states_its_range():
    for path, fact in facts_within(densities()):
        assert fact.low <= fact.value <= fact.high, path
