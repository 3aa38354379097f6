import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.datacenter import SiteKind, annuity, capital_recovery_factor, energy_price, hosting_rate, site, sites, tariffs
from tapeout.errors import InputError, UnknownNameError
from tapeout.provenance import Grade
from tapeout.units import KWH, MONTH, YEAR

RATES = st.floats(0.0, 0.5)
LIVES = st.floats(1.0, 40.0)


@given(rate=RATES, years=st.integers(1, 40))
def test_an_annuity_pays_back_its_capital_with_interest(rate: float, years: int) -> None:
    # independent: the present value of the payments, summed year by year
    payment = float(capital_recovery_factor(rate, years * YEAR))
    assert sum(payment / (1 + rate) ** year for year in range(1, years + 1)) == pytest.approx(1.0, rel=1e-9)


@given(years=LIVES, rate=st.floats(1e-14, 1e-7))
def test_a_vanishing_rate_gives_straight_depreciation(years: float, rate: float) -> None:
    assert float(capital_recovery_factor(rate, years * YEAR)) == pytest.approx(1 / years, rel=1e-5)


@given(rate=RATES, more=st.floats(1e-4, 0.2), years=LIVES)
def test_a_dearer_capital_costs_more_and_a_longer_life_less(rate: float, more: float, years: float) -> None:
    assert capital_recovery_factor(rate + more, years * YEAR) > capital_recovery_factor(rate, years * YEAR)
    assert capital_recovery_factor(rate, (years + 1) * YEAR) < capital_recovery_factor(rate, years * YEAR)


def test_published_capital_recovery_of_a_megawatt() -> None:
    # 11.7 M USD/MW: 98 USD/kW-month at 20 years and 8 %, 126 at 15 years and 10 %
    assert float(annuity(11.7, 0.08, 20 * YEAR)) * 1000 * MONTH == pytest.approx(98, rel=0.02)
    assert float(annuity(11.7, 0.10, 15 * YEAR)) * 1000 * MONTH == pytest.approx(126, rel=0.02)


def test_annuities_broadcast() -> None:
    assert annuity(np.ones((3, 1)), np.array([0.0, 0.1]), 5 * YEAR).shape == (3, 2)


@pytest.mark.parametrize(("rate", "life"), [(0.1, 0.0), (0.1, -1.0), (-1.0, 5 * YEAR), (float("nan"), 5 * YEAR)])
def test_impossible_annuities_are_refused(rate: float, life: float) -> None:
    with pytest.raises(InputError, match="positive life"):
        capital_recovery_factor(rate, life)


def test_abilene_is_what_was_reported() -> None:
    abilene = site("abilene-lease")
    assert abilene.power is not None
    assert abilene.capital is not None
    assert abilene.lead is not None
    assert abilene.term is not None
    assert abilene.power.value * abilene.capital.value == pytest.approx(15e9)
    assert abilene.lead.value == pytest.approx(12 * MONTH)
    assert abilene.term.value == pytest.approx(15 * YEAR)


def test_a_leased_campus_costs_its_landlords_annuity() -> None:
    value, low, high = hosting_rate(site("abilene-lease"), 0.09)
    assert value == pytest.approx(float(annuity(12.5, 0.09, 15 * YEAR)))
    assert low < value < high


def test_hosting_of_an_own_build_is_below_the_colocation_price_and_a_cloud_has_none() -> None:
    own, colocation = (hosting_rate(site(name), 0.09)[0] * 1000 * MONTH for name in ("own-build-us", "colocation-us"))
    assert colocation == pytest.approx(184.06)
    assert 98 < own < 126 < colocation
    assert hosting_rate(site("cloud-region"), 0.09) == (0.0, 0.0, 0.0)


def test_every_place_of_the_companys_buys_electricity_that_is_known() -> None:
    for place in sites().values():
        if place.kind is not SiteKind.CLOUD:
            assert energy_price(place.electricity, 2026).value > 0


def test_electricity_of_texas_is_the_published_one() -> None:
    assert energy_price("texas", 2023).value * KWH == pytest.approx(0.066)
    assert energy_price("texas", 2023).grade is Grade.MEASURED
    assert energy_price("texas", 2025).value * KWH == pytest.approx(0.0663)
    between = energy_price("texas", 2024)
    assert between.value * KWH == pytest.approx((0.066 + 0.0663) / 2)
    assert len(between.sources) == 2


@given(region=st.sampled_from(sorted(tariffs())), year=st.integers(2026, 2035))
def test_electricity_beyond_the_last_year_is_held_and_widens(region: str, year: int) -> None:
    now, later = energy_price(region, year), energy_price(region, year + 1)
    assert later.value == now.value
    assert later.low < now.low <= now.value <= now.high < later.high
    assert list(Grade).index(later.grade) >= list(Grade).index(Grade.ESTIMATE)


def test_misspelt_places_are_hinted() -> None:
    with pytest.raises(UnknownNameError, match="did you mean abilene-lease"):
        site("abilene-leese")
    with pytest.raises(UnknownNameError, match="did you mean texas"):
        energy_price("texass", 2025)
