import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.die import dies_per_wafer, known_good_die, reticle_area
from tapeout.cost.yields import harvested, negative_binomial
from tapeout.errors import InputError

areas = st.floats(5e-6, 850e-6)
densities = st.floats(10.0, 5000.0)
alphas = st.floats(2.0, 10.0)

# Known good dies that Chiplet Actuary prints: area in mm2, wafer price in USD, defects per cm2, cost in USD, yield.
CHIPLET_ACTUARY = (
    (814, 16988, 0.11, 695, 0.424),
    (800, 16988, 0.11, 672, 0.43),
    (826, 9346, 0.09, 338, 0.488),
    (120, 16988, 0.11, 41, 0.877),
    (610, 16988, 0.11, 403, 0.522),
    (213, 3984, 0.08, 18, 0.845),
    (74, 9346, 0.09, 13, 0.936),
)


@pytest.mark.parametrize(("area", "wafer", "density", "cost", "good"), CHIPLET_ACTUARY)
def test_known_good_die_matches_chiplet_actuary(area, wafer, density, cost, good):
    share = negative_binomial(area * 1e-6, density * 1e4, 10)
    assert float(share) == pytest.approx(good, abs=0.0006)
    assert float(known_good_die(wafer, dies_per_wafer(area * 1e-6), share)) == pytest.approx(cost, abs=0.5)


def test_dies_per_wafer_matches_chiplet_actuary_and_the_cset_shape():
    assert float(dies_per_wafer(610e-6)) == pytest.approx(80.7, abs=0.05)
    # Without edge and scribe it is the textbook form, which CSET's 610 mm2 die has at 88.9.
    assert float(dies_per_wafer(610e-6, edge_loss=0.0, scribe_lane=0.0)) == pytest.approx(88.9, abs=0.1)


def test_functions_broadcast():
    grid = known_good_die(np.array([[9346.0], [16988.0]]), dies_per_wafer(np.array([100e-6, 400e-6, 800e-6])), 0.9)
    assert grid.shape == (2, 3)
    assert np.all(np.diff(grid, axis=1) > 0)


@given(area=areas, density=densities, alpha=alphas)
def test_two_half_size_dies_cost_less_silicon_than_one(area, density, alpha):
    def silicon(size):
        return float(known_good_die(16988.0, dies_per_wafer(size, scribe_lane=0.0), negative_binomial(size, density, alpha)))

    assert 2 * silicon(area / 2) < silicon(area)


@given(area=areas, density=densities, alpha=alphas, harvest=st.floats(0.0, 1.0), price=st.floats(1e3, 4e4))
def test_harvesting_never_raises_cost_and_cost_rises_with_the_wafer_price(area, density, alpha, harvest, price):
    good, gross = negative_binomial(area, density, alpha), dies_per_wafer(area)
    plain = float(known_good_die(price, gross, good, 2.0))
    assert float(known_good_die(price, gross, harvested(good, harvest), 2.0)) <= plain
    assert float(known_good_die(price * 1.1, gross, good, 2.0)) > plain


def test_full_harvest_sells_every_die():
    assert float(known_good_die(16988.0, dies_per_wafer(814e-6), harvested(0.42, 1.0))) == pytest.approx(16988.0 / 57.596, rel=1e-4)


@pytest.mark.parametrize("area", [0.0, -1e-6, float("nan")])
def test_a_die_without_area_is_refused(area):
    with pytest.raises(InputError, match="die area must"):
        dies_per_wafer(area)


def test_a_die_above_the_reticle_is_refused_with_the_limit():
    assert float(dies_per_wafer(reticle_area())) > 50
    with pytest.raises(InputError, match=r"reticle limit, given '900 mm2', allowed: up to 858 mm2 .catch-layer-definitions."):
        dies_per_wafer(np.array([100e-6, 900e-6]))
