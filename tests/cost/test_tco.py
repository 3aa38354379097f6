import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.datacenter import energy_price, hosting_rate, site
from tapeout.cost.prices import Seller, Term, purchase, rent
from tapeout.cost.tco import cluster_capital, combined_band, finance, owner, owner_hour_band, owner_usd_per_hour
from tapeout.errors import InputError, UnknownNameError
from tapeout.units import HOUR, KWH, MONTH, YEAR

BASE: dict[str, Any] = {
    "capital": 40_000.0,
    "power": 1400.0,
    "rate": 0.09,
    "life": 5 * YEAR,
    "hosting": 0.12 / MONTH,
    "energy_price": 0.07 / KWH,
    "pue": 1.2,
    "load": 0.7,
    "operations": 0.03,
    "availability": 0.97,
    "utilisation": 0.6,
    "residual": 0.1,
}

# Parts of a server that are not its chips, USD per chip: 32,010 USD for a DGX H100 [SemiAnalysis via Epoch].
HOST = 32_010 / 8
# The published all-in power of a GPU reads as power at the meter: 1.73 kW of the H100 is its 1.4 kW of IT power at this PUE.
PUBLISHED_PUE = 1.25


def published_hour(chip: str, all_in_kilowatt: float, price: float, kind: str) -> float:
    operation, place = finance().operation, site("own-build-us" if kind == "hyperscaler" else "colocation-us")
    # the published figures hold capital, hosting and energy, and neither staff nor down time
    hour = owner_usd_per_hour(
        capital=cluster_capital(price + HOST, operation.network_share.value),
        power=all_in_kilowatt * 1000 / PUBLISHED_PUE,
        rate=owner(kind).rate.value,
        life=owner(kind).server_life.value,
        hosting=hosting_rate(place, owner(kind).rate.value)[0],
        energy_price=energy_price(place.electricity, 2025).value,
        pue=place.pue.value,
        load=place.load.value,
    )
    return float(hour.total)


# chip, all-in power in kW, average selling price (the B200's is a street price)
PUBLISHED = [
    ("nvidia-h100-sxm", 1.73, 23_238),
    ("nvidia-b200", 2.17, 40_000),
    ("nvidia-gb200", 2.10, 36_742),
    ("amd-mi300x", 1.79, 12_500),
    ("amd-mi355x", 2.65, 23_500),
]


@pytest.mark.parametrize("kind", ["hyperscaler", "neocloud"])
@pytest.mark.parametrize(("chip", "all_in_kilowatt", "price"), PUBLISHED)
def test_published_owner_hours_are_met_from_average_selling_prices(chip: str, all_in_kilowatt: float, price: float, kind: str) -> None:
    # a quarter: without staff and repair, which `cost.hour` adds, and with one price of a host for all
    published = rent(chip, "2026-05-01", term=Term.TCO, seller=Seller(kind)).value
    assert published_hour(chip, all_in_kilowatt, price, kind) == pytest.approx(published, rel=0.25)


def test_hosting_and_energy_of_an_h200_are_the_published_difference() -> None:
    # SemiAnalysis: an owner's hour of 1.41 USD of which 1.06 is capital
    operations_free = BASE | {"operations": 0.0, "availability": 1.0, "utilisation": 1.0, "residual": 0.0}
    place = site("own-build-us")
    hour = owner_usd_per_hour(
        **(
            operations_free
            | {"power": 1730 / PUBLISHED_PUE, "hosting": hosting_rate(place, 0.09)[0], "energy_price": energy_price("texas", 2025).value}
        )
    )
    assert float(hour.hosting + hour.energy) == pytest.approx(1.41 - 1.06, rel=0.20)


def test_break_even_rent_of_an_h100_cluster() -> None:
    # Latent Space, 2024: below 1.65 USD/h an H100 does not earn back its capital in five years; 49,248 USD per GPU at 16k GPUs
    hour = owner_usd_per_hour(
        capital=49_248, power=1400, rate=0.0, life=5 * YEAR, hosting=0.18406 / MONTH, energy_price=0.078 / KWH, pue=1.25, load=0.8
    )
    assert float(hour.total) == pytest.approx(1.65, rel=0.10)


def test_energy_of_the_published_hundred_thousand_gpu_cluster() -> None:
    # SemiAnalysis, 2024: 150 MW of IT power for 100,000 H100; 1.59 TWh a year and 124 M USD at 0.078 USD/kWh, at the meter
    hour = owner_usd_per_hour(
        **(BASE | {"power": 1500.0, "pue": 1.25, "load": 0.968, "energy_price": 0.078 / KWH, "availability": 1.0, "utilisation": 1.0})
    )
    assert float(hour.energy) * 100_000 * YEAR / HOUR == pytest.approx(124e6, rel=0.01)


def test_a_rack_price_contains_its_server() -> None:
    # Bernstein: 3.4 M USD of computers and network per GB200 rack, from the price of the chips and the shares of the rest
    chips = purchase("nvidia-gb200", "2025-10-01").value
    assert float(cluster_capital(chips + HOST, 0.19)) * 72 == pytest.approx(3.4e6, rel=0.10)


@given(name=st.sampled_from(["capital", "power", "hosting", "energy_price", "operations"]), factor=st.floats(1.0, 10.0))
def test_an_hour_is_linear_in_each_price(name: str, factor: float) -> None:
    zero, one, many = (float(owner_usd_per_hour(**(BASE | {name: BASE[name] * scale})).total) for scale in (0.0, 1.0, factor))
    assert many - zero == pytest.approx(factor * (one - zero), rel=1e-9)


@given(factor=st.floats(0.1, 10.0))
def test_doubling_every_price_doubles_the_hour(factor: float) -> None:
    dear = BASE | {name: BASE[name] * factor for name in ("capital", "hosting", "energy_price")}
    assert float(owner_usd_per_hour(**dear).total) == pytest.approx(factor * float(owner_usd_per_hour(**BASE).total))


@given(name=st.sampled_from(["availability", "utilisation"]), share=st.floats(0.05, 1.0))
def test_idle_hours_are_paid_by_the_useful_ones(name: str, share: float) -> None:
    full = float(owner_usd_per_hour(**(BASE | {name: 1.0})).total)
    assert float(owner_usd_per_hour(**(BASE | {name: share})).total) == pytest.approx(full / share)


@given(rate=st.floats(0.0, 0.3), years=st.integers(1, 15), residual=st.floats(0.0, 1.0))
def test_the_payments_and_the_residual_value_buy_the_chip(rate: float, years: int, residual: float) -> None:
    hour = owner_usd_per_hour(
        **(BASE | {"rate": rate, "life": years * YEAR, "residual": residual, "availability": 1.0, "utilisation": 1.0})
    )
    yearly = float(hour.capital) * YEAR / HOUR
    present = sum(yearly / (1 + rate) ** year for year in range(1, years + 1)) + residual * BASE["capital"] / (1 + rate) ** years
    assert present == pytest.approx(BASE["capital"], rel=1e-9)


def test_hours_broadcast_and_their_parts_add_up() -> None:
    hour = owner_usd_per_hour(**(BASE | {"capital": np.array([[1e4], [2e4], [3e4]]), "power": np.array([700.0, 1400.0])}))
    for part in (hour.capital, hour.hosting, hour.energy, hour.operations, hour.total):
        assert part.shape == (3, 2)
    assert hour.total[2, 1] == pytest.approx(float(owner_usd_per_hour(**(BASE | {"capital": 3e4})).total))


@pytest.mark.parametrize(
    ("name", "given_value"),
    [
        ("load", 0.0),
        ("load", 1.2),
        ("availability", 0.0),
        ("utilisation", 1.1),
        ("pue", 0.9),
        ("capital", -1.0),
        ("power", float("nan")),
        ("life", 0.0),
    ],
)
def test_impossible_inputs_are_refused(name: str, given_value: float) -> None:
    with pytest.raises(InputError):
        owner_usd_per_hour(**(BASE | {name: given_value}))


def test_the_band_agrees_with_a_monte_carlo() -> None:
    band = owner_hour_band(
        capital=(40_000, 32_000, 50_000),
        power=(1400, 1300, 1500),
        owned_by=owner("neocloud"),
        place=site("own-build-us"),
        energy=energy_price("texas", 2026),
        utilisation=0.8,
    )
    random, z80 = np.random.default_rng(7), 1.2815515655446004

    def draw(value: float, low: float, high: float) -> Any:
        normal = random.standard_normal(200_000)
        return value * np.exp(normal * np.where(normal < 0, np.log(value / low), np.log(high / value)) / z80)

    place, run, neocloud = site("own-build-us"), finance().operation, owner("neocloud")
    energy = energy_price("texas", 2026)
    facts = {
        "rate": neocloud.rate,
        "life": neocloud.server_life,
        "pue": place.pue,
        "load": place.load,
        "operations": run.operations,
        "availability": run.availability,
    }
    drawn = {name: draw(fact.value, fact.low, fact.high) for name, fact in facts.items()}
    drawn |= {name: np.minimum(drawn[name], 1.0) for name in ("load", "availability")}
    drawn["pue"] = np.maximum(drawn["pue"], 1.0)
    total = owner_usd_per_hour(
        **drawn,
        capital=draw(40_000, 32_000, 50_000),
        power=draw(1400, 1300, 1500),
        hosting=draw(*hosting_rate(place, 0.12)),
        energy_price=draw(energy.value, energy.low, energy.high),
        utilisation=0.8,
    ).total
    p10, p50, p90 = np.percentile(total, [10, 50, 90])
    assert band.value == pytest.approx(p50, rel=0.05)
    assert math.log(band.high / band.low) == pytest.approx(math.log(p90 / p10), rel=0.25)
    assert band.parts.total == pytest.approx(band.value)
    assert max(band.swings, key=lambda name: max(map(abs, band.swings[name]))) in ("capital", "life")


def test_a_single_swing_is_the_whole_band() -> None:
    assert combined_band(2.0, {"price": (math.log(0.5), math.log(3.0))}) == pytest.approx((1.0, 6.0))


def test_owners_and_lives_are_known() -> None:
    assert finance().book_lives["amazon"].value == pytest.approx(5 * YEAR)
    assert finance().book_lives["meta"].value == pytest.approx(5.5 * YEAR)
    lives = [life.value for life in finance().book_lives.values()]
    assert min(lives) < owner("hyperscaler").server_life.value <= max(lives)
    with pytest.raises(UnknownNameError, match="did you mean neocloud"):
        owner("neoclowd")


def test_a_network_share_of_one_leaves_nothing_for_servers() -> None:
    with pytest.raises(InputError, match="share"):
        cluster_capital(1.0, 1.0)
