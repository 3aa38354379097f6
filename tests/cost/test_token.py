import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.cost.token import joules_per_query, joules_per_token, shared_cost, token_cost, token_cost_band, usd_per_query, usd_per_token
from tapeout.errors import InputError
from tapeout.units import DAY

PRICES = st.floats(0.1, 100.0)
RATES = st.floats(1.0, 1e5)
LENGTHS = st.floats(1.0, 1e5)


def test_published_energy_of_a_chatgpt_query() -> None:
    # Epoch, 2025: 0.3 Wh, from 100 billion active parameters and 500 tokens at 10 % of an H100's peak
    assert float(joules_per_query(100e9, 500, 0.10 * 989e12, 1275, 0.7, 1.2)) / 3600 == pytest.approx(0.301, abs=0.001)


def test_published_cost_of_deepseek_tokens_on_h200() -> None:
    # SemiAnalysis, 2025: 0.53 USD per million tokens at 1.41 USD/h; the rate follows
    rate = 1.41 / 3600 / 0.53e-6
    assert float(usd_per_token(1.41, rate)) * 1e6 == pytest.approx(0.53)
    assert rate == pytest.approx(739, rel=0.001)


def test_published_daily_cost_of_the_deepseek_service() -> None:
    # DeepSeek, 2025: 226.75 nodes of 8 H800 at 2 USD/h cost 87,072 USD a day; cost per token times the day's tokens is the same
    chips, tokens = 226.75 * 8, 168e9
    assert float(usd_per_token(2.0, tokens / DAY / chips)) * tokens == pytest.approx(87_072)


@given(price=PRICES, prefill=RATES, decode=RATES, taken=LENGTHS, given_out=LENGTHS)
def test_a_query_costs_its_chip_time(price: float, prefill: float, decode: float, taken: float, given_out: float) -> None:
    cost = token_cost(price, prefill, decode, taken, given_out)
    seconds = taken / prefill + given_out / decode
    assert float(cost.query) == pytest.approx(price * seconds / 3600)
    assert float(cost.query) == pytest.approx(float(cost.input) * taken + float(cost.output) * given_out)
    assert float(cost.blended) * (taken + given_out) == pytest.approx(float(cost.query))
    assert float(cost.prefill_share) == pytest.approx(taken / prefill / seconds)
    assert float(usd_per_query(cost, taken, given_out)) == pytest.approx(float(cost.query))


@given(price=PRICES, prefill=RATES, decode=RATES, taken=LENGTHS, given_out=LENGTHS)
def test_one_rate_with_the_prefill_share_tells_the_same(
    price: float, prefill: float, decode: float, taken: float, given_out: float
) -> None:
    apart = token_cost(price, prefill, decode, taken, given_out)
    overall = given_out / (taken / prefill + given_out / decode)
    together = shared_cost(price, overall, apart.prefill_share, taken, given_out)
    for name in ("input", "output", "blended", "query"):
        assert float(getattr(together, name)) == pytest.approx(float(getattr(apart, name)), rel=1e-9)


@given(price=PRICES, rate=RATES, factor=st.floats(0.1, 10.0))
def test_cost_is_proportional_to_price_and_inverse_to_rate(price: float, rate: float, factor: float) -> None:
    assert float(usd_per_token(price * factor, rate)) == pytest.approx(factor * float(usd_per_token(price, rate)))
    assert float(usd_per_token(price, rate * factor)) == pytest.approx(float(usd_per_token(price, rate)) / factor)


def test_energy_is_the_power_over_the_rate() -> None:
    tokens = 500.0 * DAY
    assert float(joules_per_token(1000, 0.8, 1.25, 500)) * tokens == pytest.approx(1000 * 0.8 * 1.25 * DAY)


@given(price=PRICES, rate=RATES, spread=st.floats(1.0, 5.0), blur=st.floats(1.0, 5.0))
def test_bands_combine_as_root_of_squares(price: float, rate: float, spread: float, blur: float) -> None:
    band = token_cost_band((price, price / spread, price * spread), (rate, rate / blur, rate * blur))
    width = np.sqrt(np.log(spread) ** 2 + np.log(blur) ** 2)
    assert float(np.log(band.high / band.value)) == pytest.approx(width, abs=1e-9)
    assert float(np.log(band.value / band.low)) == pytest.approx(width, abs=1e-9)
    assert band.p5 <= band.low <= band.value <= band.high <= band.p95


def test_a_dear_hour_and_a_slow_chip_make_the_high_end() -> None:
    high_price = token_cost_band((1.0, 1.0, 2.0), (100, 100, 100))
    slow_chip = token_cost_band((1.0, 1.0, 1.0), (100, 50, 100))
    for band in (high_price, slow_chip):
        assert float(band.high / band.value) == pytest.approx(2.0)
        assert float(band.low) == pytest.approx(float(band.value))


def test_percentiles_agree_with_a_monte_carlo() -> None:
    random, z80 = np.random.default_rng(3), 1.2815515655446004
    band = token_cost_band((2.0, 1.5, 2.0**2 / 1.5), (900, 700, 900**2 / 700))
    price = 2.0 * np.exp(random.standard_normal(400_000) * np.log(2.0 / 1.5) / z80)
    rate = 900 * np.exp(random.standard_normal(400_000) * np.log(900 / 700) / z80)
    assert [float(end) for end in (band.p5, band.value, band.p95)] == pytest.approx(
        np.percentile(price / 3600 / rate, [5, 50, 95]), rel=0.01
    )


def test_costs_broadcast() -> None:
    cost = token_cost(np.ones((4, 1)), 1e4, np.array([500.0, 1000.0]), 1000, 100)
    for part in (cost.input, cost.output, cost.blended, cost.query, cost.prefill_share):
        assert part.shape == (4, 2)


def test_impossible_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="token rate"):
        usd_per_token(1.0, 0.0)
    with pytest.raises(InputError, match="price"):
        usd_per_token(-1.0, 1.0)
    with pytest.raises(InputError, match="input length"):
        token_cost(1.0, 1.0, 1.0, 0.0, 1.0)
    with pytest.raises(InputError, match="prefill share"):
        shared_cost(1.0, 1.0, 1.0, 1.0, 1.0)
    with pytest.raises(InputError, match="low <= value"):
        token_cost_band((1.0, 2.0, 3.0), (1.0, 1.0, 1.0))
