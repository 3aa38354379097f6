import numpy as np
import pytest

from tapeout.cost.draws import Draws, percentiles
from tapeout.cost.installed import installed_draws
from tapeout.cost.prices import Scope, purchase, volume_price
from tapeout.cost.tco import owner
from tapeout.errors import InputError, UnknownNameError
from tapeout.hardware.catalog import chip
from tapeout.hardware.system import server_of

DRAWS = Draws(count=20_000, seed=2)
DATE = "2026-04-03"


def installed(name, kind="hyperscaler", **others):
    return installed_draws(chip(name), owned_by=owner(kind), date=DATE, draws=DRAWS, **others)


def test_all_in_capital_of_a_large_buyer_is_the_published_one():
    # SemiAnalysis, August 2025: 250,000 USD a server of eight H100 and 3.9 M USD a rack of 72 GB200, with network and storage
    assert percentiles(installed("nvidia-h100-sxm").capital).p50 == pytest.approx(250_000 / 8, rel=0.15)
    assert percentiles(installed("nvidia-gb200").capital).p50 == pytest.approx(3.9e6 / 72, rel=0.08)


def test_a_small_cluster_costs_the_published_sum():
    # Latent Space, August 2024: 46,883 USD for each of 512 H100, bought at list prices
    whole = installed_draws(chip("nvidia-h100-sxm"), owned_by=owner("neocloud"), date="2024-08-01", draws=DRAWS)
    assert percentiles(whole.capital).p5 < 46_883 < percentiles(whole.capital).p95


def test_rated_power_is_the_published_one_at_the_meter():
    # InferenceX: 1.73, 2.17, 2.10 and 1.79 kW by chip, all-in, at a PUE of 1.1 to 1.3
    for name, all_in in (("nvidia-h100-sxm", 1730), ("nvidia-b200", 2170), ("nvidia-gb200", 2100), ("amd-mi300x", 1790)):
        watts = percentiles(installed(name).power)
        assert all_in / 1.3 < watts.p95
        assert watts.p5 < all_in / 1.1


def test_buyers_of_thousands_pay_less_than_what_is_asked():
    for name in ("nvidia-h100-sxm", "nvidia-h200-sxm", "amd-mi300x"):
        assert volume_price(name, DATE, 5000.0).value < purchase(name, DATE).value
    assert volume_price("nvidia-l4", DATE, 5000.0) == purchase("nvidia-l4", DATE)


def test_the_share_of_a_server_is_taken_without_its_host():
    band = volume_price("nvidia-gb200", "2025-09-01", 2778.0)
    assert band.scope is Scope.CHIP
    rack = next(quote for quote in band.quotes if quote.provider == "SemiAnalysis")
    for end in (rack.price.low, rack.price.value, rack.price.high):
        assert end == pytest.approx(43_056 - 2778)


def test_parts_add_up_and_a_hyperscaler_pays_less_for_the_host():
    large, small = installed("nvidia-b200"), installed("nvidia-b200", "neocloud")
    np.testing.assert_allclose(large.capital, large.chip + large.host + large.network)
    assert np.median(large.host) < 0.8 * np.median(small.host)
    np.testing.assert_array_equal(large.chip, small.chip)
    assert np.all(large.power > chip("nvidia-b200").power.low)


def test_a_maker_pays_its_own_price():
    price = np.full(DRAWS.count, 2700.0)
    whole = installed("google-tpu-v5e", price=price)
    np.testing.assert_array_equal(whole.chip, price)
    host = percentiles(whole.host).p50
    assert host < server_of("google-tpu-v5e").host_price.high / 8


def test_what_has_no_price_and_prices_of_another_shape_are_refused():
    with pytest.raises(UnknownNameError, match="no price"):
        installed_draws(chip("microsoft-maia-200"), owned_by=owner("lab"), date=DATE, draws=DRAWS)
    with pytest.raises(InputError, match="one draw each"):
        installed("nvidia-h100-sxm", price=np.ones(3))
    with pytest.raises(InputError, match="none below 0"):
        installed("nvidia-h100-sxm", price=np.full(DRAWS.count, -1.0))
