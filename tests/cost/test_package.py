import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.die import dies_per_wafer, known_good_die
from tapeout.cost.package import chip_last_package
from tapeout.cost.yields import negative_binomial
from tapeout.errors import InputError


def test_chiplet_actuary_interposer_package_is_reproduced():
    # Chiplet Actuary, 814 mm2 in 5 nm on a silicon interposer: 303 raw + 400 defects + 60 package + 33 package defects + 45 wasted
    # dies = 841 USD. Its parameters: 55 nm wafer, 0.06 defects/cm2 and alpha 6 for the interposer of 1.1 x the die, bumps 0.005 and
    # 0.01 USD/mm2, substrate of 4 x the interposer at 0.005 USD/mm2, bonding yields 0.95 and 0.99.
    interposer = 814 * 1.1
    parts = float(known_good_die(16988, dies_per_wafer(814e-6), negative_binomial(814e-6, 1100, 10))) + 814 * 0.01
    cost = chip_last_package(
        parts=parts,
        count=1,
        carrier=1937 / _interposers_per_wafer(interposer) + interposer * 0.005,
        substrate=interposer * 4 * 0.005,
        carrier_yield=float(negative_binomial(interposer * 1e-6, 600, 6)),
        bonding_yield=0.95,
        substrate_yield=0.99,
    )
    assert cost.raw == pytest.approx(60, abs=1)
    assert cost.failed == pytest.approx(33, abs=1)
    assert cost.wasted_parts == pytest.approx(45, abs=1)
    assert parts + cost.total == pytest.approx(841, abs=2)


def _interposers_per_wafer(area):
    # An interposer may exceed the reticle, which dies_per_wafer refuses: the same equation in mm.
    pitch = area + 2 * 0.2 * area**0.5 + 0.2**2
    return 3.14159265 * 145**2 / pitch - 3.14159265 * 290 / (2 * pitch) ** 0.5


def test_published_packaging_loss_of_a_b200():
    # Epoch AI: two dies (900) and 192 GB HBM3e (2,900) on a CoWoS-L of 1,100 lose 1,000 to 1,100 USD to packaging yield.
    cost = chip_last_package(parts=3800.0, count=10, carrier=1100.0, bonding_yield=0.98, substrate_yield=0.99)
    assert 1000 <= cost.failed + cost.wasted_parts <= 1200


@given(count=st.integers(1, 20), bonding=st.floats(0.8, 0.999), parts=st.floats(10, 1e4))
def test_more_parts_or_a_worse_bond_waste_more(count, bonding, parts):
    def wasted(count, bonding):
        return chip_last_package(parts=parts, count=count, carrier=100.0, bonding_yield=bonding, substrate_yield=0.99).wasted_parts

    assert wasted(count + 1, bonding) > wasted(count, bonding) > wasted(count, bonding + (1 - bonding) / 2)


def test_nothing_is_wasted_at_perfect_yield():
    cost = chip_last_package(parts=5000.0, count=9, carrier=700.0, substrate=20.0, bonding_yield=1.0, substrate_yield=1.0)
    assert (cost.raw, cost.failed, cost.wasted_parts) == (720.0, 0.0, 0.0)


def test_impossible_packages_are_refused():
    with pytest.raises(InputError, match="bonding_yield must be above 0 and at most 1"):
        chip_last_package(parts=1.0, count=1, carrier=1.0, bonding_yield=0.0, substrate_yield=1.0)
    with pytest.raises(InputError, match="at least one die"):
        chip_last_package(parts=1.0, count=0, carrier=1.0, bonding_yield=1.0, substrate_yield=1.0)
