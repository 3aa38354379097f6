from tapeout.hardware.densities import densities, supplies
from tapeout.hardware.process import processes
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


def test_every_number_states_its_range():
    for path, fact in facts_within(densities()):
        assert fact.low <= fact.value <= fact.high, path
