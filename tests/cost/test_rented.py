import numpy as np
import pytest

from tapeout.cost.draws import Draws
from tapeout.cost.prices import Term, rent, reserved
from tapeout.cost.rented import rented_hour_draws
from tapeout.errors import InputError, UnknownNameError

DRAWS = Draws(count=50_000, seed=2)
DATE = "2026-11-25"


def test_the_draws_stand_in_the_bands_of_the_quotes():
    found = rented_hour_draws("nvidia-h100-sxm", DATE, DRAWS)
    for drawn, band in ((found.rent, rent("nvidia-h100-sxm", DATE)), (found.committed, reserved("nvidia-h100-sxm", DATE))):
        assert np.percentile(drawn, (10, 50, 90)) == pytest.approx((band.low, band.value, band.high), rel=0.03)
    assert found.rule == rent("nvidia-h100-sxm", DATE, term=Term.ON_DEMAND).rule


def test_who_is_dear_on_demand_is_dear_under_a_commitment():
    found = rented_hour_draws("google-tpu-v6e", DATE, DRAWS)
    order = np.argsort(found.rent)
    assert np.all(np.diff(found.committed[order]) >= 0)


@pytest.mark.parametrize("share", [0.25, 0.6, 1.0])
def test_unused_hours_are_paid_by_the_useful_ones(share):
    found = rented_hour_draws("nvidia-h100-sxm", DATE, DRAWS, utilisation=share)
    np.testing.assert_allclose(found.total * share, found.owned)
    np.testing.assert_allclose(found.owned + found.idle, found.total)


def test_a_chip_that_nobody_rents_out_and_an_idle_one_are_refused():
    with pytest.raises((InputError, UnknownNameError), match="microsoft-maia-100"):
        rented_hour_draws("microsoft-maia-100", DATE, DRAWS)
    with pytest.raises(InputError, match="utilisation"):
        rented_hour_draws("nvidia-h100-sxm", DATE, DRAWS, utilisation=0.0)
