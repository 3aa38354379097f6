import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.yields import harvested, murphy, negative_binomial, poisson, seeds
from tapeout.errors import InputError

areas = st.floats(5e-6, 850e-6)
densities = st.floats(10.0, 5000.0)
alphas = st.floats(2.0, 10.0)
MODELS = (negative_binomial, poisson, murphy, seeds)


@pytest.mark.parametrize("model", MODELS)
@given(area=areas, density=densities, alpha=alphas, factor=st.floats(1.01, 4.0))
def test_yield_falls_with_area_and_defects(model, area, density, alpha, factor):
    base = float(model(area, density, alpha))
    assert 0 < base < 1
    assert float(model(area * factor, density, alpha)) < base
    assert float(model(area, density * factor, alpha)) < base


@pytest.mark.parametrize("model", MODELS)
def test_yield_is_one_without_defects_or_area(model):
    assert float(model(500e-6, 0.0, 3.0)) == 1.0
    assert float(model(0.0, 1000.0, 3.0)) == 1.0


@given(area=areas, density=densities)
def test_yield_models_are_ordered_and_meet_their_limits(area, density):
    assert float(poisson(area, density)) <= float(murphy(area, density)) + 1e-12 <= float(seeds(area, density)) + 2e-12
    assert float(negative_binomial(area, density, 1e7)) == pytest.approx(float(poisson(area, density)), rel=1e-4)
    assert float(negative_binomial(area, density, 1.0)) == pytest.approx(float(seeds(area, density)))


def test_bad_shares_and_clustering_are_refused():
    with pytest.raises(InputError, match="harvest must lie between 0 and 1"):
        harvested(0.5, 1.2)
    with pytest.raises(InputError, match="clustering must be positive"):
        negative_binomial(1e-4, 1e3, 0.0)
    with pytest.raises(InputError, match="defect density must not be negative"):
        negative_binomial(1e-4, -1e3, 3.0)
