"""Quotes: rate times price, ranked, under traffic and in steady state."""

import math
from dataclasses import replace

import pytest

from tapeout.cost.unit import unit_cost
from tapeout.errors import InputError
from tapeout.fleet.best import Carried
from tapeout.hardware.catalog import chip
from tapeout.performance.best import Demand, best_servings
from tapeout.sourcing.quotes import Basis, NoQuote, Quote, hour_price, made, quotes
from tapeout.workload.catalog import model

DEMAND = Demand(model=model("meta-llama/Llama-3.1-8B"), precision="fp8", prompt=1024, output=256, ttft=2.0, tpot=0.02)


def test_a_token_costs_the_hour_over_its_tokens() -> None:
    (quote,) = quotes(DEMAND, [chip("nvidia-h100-sxm")], Basis.RENT, "2026-11-01")
    assert isinstance(quote, Quote)
    rate = quote.serving.rate.value
    assert quote.output_token == pytest.approx(quote.hour.value / 3600 / rate)
    assert quote.query == pytest.approx(quote.output_token * DEMAND.output)
    assert quote.input_token * DEMAND.prompt < quote.query
    assert quote.output_token_p5 < quote.output_token < quote.output_token_p95


def test_a_quote_joins_the_bands_of_price_and_prediction() -> None:
    """Log half widths as the root of the sum of squares, from the 80 % that both give to the 90 % between p5 and p95."""
    (quote,) = quotes(DEMAND, [chip("nvidia-h100-sxm")], Basis.RENT, "2026-11-01")
    assert isinstance(quote, Quote)
    hour, rate = quote.hour, quote.serving.rate
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


def test_without_an_attainment_the_measure_is_the_steady_state() -> None:
    (under_traffic,) = quotes(DEMAND, [chip("nvidia-h100-sxm")], Basis.RENT, "2026-11-01")
    (means,) = quotes(DEMAND, [chip("nvidia-h100-sxm")], Basis.RENT, "2026-11-01", attainment=None)
    assert isinstance(under_traffic, Quote)
    assert isinstance(means, Quote)
    assert isinstance(under_traffic.serving, Carried)
    assert not isinstance(means.serving, Carried)
    (best,) = best_servings(DEMAND, [chip("nvidia-h100-sxm")])
    assert means.serving == best
    free = replace(DEMAND, ttft=None, tpot=None)
    (unlimited,) = quotes(free, [chip("nvidia-h100-sxm")], Basis.RENT, "2026-11-01")
    assert isinstance(unlimited, Quote)
    assert unlimited.serving == best_servings(free, [chip("nvidia-h100-sxm")])[0]


def test_more_queries_inside_the_limits_cost_more() -> None:
    costs = []
    for attainment in (0.5, 0.9, 0.999):
        (quote,) = quotes(DEMAND, [chip("nvidia-h100-sxm")], Basis.RENT, "2026-11-01", attainment=attainment)
        assert isinstance(quote, Quote)
        costs.append(quote.output_token)
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_an_own_chip_costs_its_owner_what_it_takes_to_make_and_the_partner() -> None:
    mine = replace(chip("google-tpu-v5e"), id="mine", vendor="own")
    price = hour_price(mine, Basis.OWN, "2026-11-01")
    assert 0 < price.low < price.value < price.high
    assert "margin of a design partner" in price.rule
    assert price.sources == ("tapeout-own-chip", "epoch-ai-chip-counts")
    # A cost C at a margin of 57.5 % sells at C / 0.425.
    assert made(mine, "2026-11-01").value == pytest.approx(unit_cost(mine, year=2026).mid.total / 0.425)
    with pytest.raises(InputError, match="price"):
        hour_price(mine, Basis.RENT, "2026-11-01")
    with pytest.raises(InputError):
        hour_price(replace(mine, silicon=None), Basis.OWN, "2026-11-01")


@pytest.mark.parametrize("basis", list(Basis))
def test_every_basis_has_a_band_and_sources(basis: Basis) -> None:
    price = hour_price(chip("nvidia-h100-sxm"), basis, "2026-11-01")
    assert 0 < price.low <= price.value <= price.high
    assert price.sources
