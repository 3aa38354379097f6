"""Quotes: rate times price, ranked, with the best deployment that a brute-force search finds."""

import math

import pytest

from tapeout.hardware.catalog import chip
from tapeout.performance.best import USERS_PER_RANK, Demand, Serving, best_servings
from tapeout.performance.deployment import Deployment
from tapeout.performance.predict import Case, Kind, Prediction, predict
from tapeout.sourcing.quotes import Basis, NoQuote, Quote, hour_price, quotes
from tapeout.workload.catalog import model

DEMAND = Demand(model=model("meta-llama/Llama-3.1-8B"), precision="fp8", prompt=1024, output=256, ttft=2.0, tpot=0.02)


def test_a_token_costs_the_hour_over_its_tokens() -> None:
    (quote,) = quotes(DEMAND, [chip("nvidia-h100-sxm")], Basis.RENT, "2026-11-01")
    assert isinstance(quote, Quote)
    rate = quote.serving.prediction.output_rate_per_chip.value
    assert quote.output_token == pytest.approx(quote.hour.value / 3600 / rate)
    assert quote.query == pytest.approx(quote.output_token * DEMAND.output)
    assert quote.input_token * DEMAND.prompt < quote.query
    assert quote.output_token_p5 < quote.output_token < quote.output_token_p95


def test_a_quote_joins_the_bands_of_price_and_prediction() -> None:
    """Log half widths as the root of the sum of squares, from the 80 % that both give to the 90 % between p5 and p95."""
    (quote,) = quotes(DEMAND, [chip("nvidia-h100-sxm")], Basis.RENT, "2026-11-01")
    assert isinstance(quote, Quote)
    hour, rate = quote.hour, quote.serving.prediction.output_rate_per_chip
    stretch = 1.6449 / 1.2816
    down = math.hypot(math.log(hour.value / hour.low), math.log(rate.high / rate.value))
    up = math.hypot(math.log(hour.high / hour.value), math.log(rate.value / rate.low))
    assert quote.output_token_p5 == pytest.approx(quote.output_token * math.exp(-stretch * down), rel=1e-4)
    assert quote.output_token_p95 == pytest.approx(quote.output_token * math.exp(stretch * up), rel=1e-4)


def test_quotes_are_ranked_and_chips_without_a_price_come_last() -> None:
    names = ("nvidia-l4", "microsoft-maia-100", "nvidia-h100-sxm", "nvidia-b200")
    found = quotes(DEMAND, [chip(name) for name in names], Basis.RENT, "2026-11-01")
    costs = [one.output_token for one in found if isinstance(one, Quote)]
    assert costs == sorted(costs)
    assert isinstance(found[-1], NoQuote)


def test_the_best_serving_equals_brute_force_on_single_chips() -> None:
    one = chip("nvidia-h100-pcie")
    tried = [
        (users, predict([Case(kind=Kind.ONLINE, chip=one, chips=size, model=DEMAND.model, precision="fp8", prompt=1024, output=256,
                              concurrency=float(users * stages), deployments=(Deployment(tensor=tensor, pipeline=stages),))])[0])
        for size in (1, 2, 4, 8, 16)
        for tensor in (1, 2, 4, 8)
        for stages in (1, 2, 4)
        if tensor * stages == size
        for users in USERS_PER_RANK
    ]  # fmt: skip
    inside = [found for _, found in tried if isinstance(found, Prediction) and found.ttft.value <= 2.0 and found.tpot.value <= 0.02]
    (best,) = best_servings(DEMAND, [one])
    assert isinstance(best, Serving)
    assert best.prediction.output_rate_per_chip.value == max(found.output_rate_per_chip.value for found in inside)


def test_tighter_limits_never_serve_more() -> None:
    one = chip("nvidia-h100-sxm")
    rates = []
    for tpot in (0.1, 0.03, 0.015, 0.01):
        demand = Demand(model=DEMAND.model, precision="fp8", prompt=1024, output=256, ttft=2.0, tpot=tpot)
        (found,) = best_servings(demand, [one])
        rates.append(found.prediction.output_rate_per_chip.value if isinstance(found, Serving) else 0.0)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("basis", list(Basis))
def test_every_basis_has_a_band_and_sources(basis: Basis) -> None:
    price = hour_price(chip("nvidia-h100-sxm"), basis, "2026-11-01")
    assert 0 < price.low <= price.value <= price.high
    assert price.sources
