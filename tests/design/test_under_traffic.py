import dataclasses
import math

import pytest

from tapeout.design.throughput import Workload, mix
from tapeout.design.under_traffic import goodput
from tapeout.fleet.best import best_under_traffic
from tapeout.hardware.catalog import chip
from tapeout.performance.best import Demand, NotServed
from tapeout.workload.catalog import model

DENSE = Workload(
    name="dense",
    weight=1.0,
    demand=Demand(model=model("meta-llama/Llama-3.3-70B-Instruct"), precision="fp8", prompt=3000.0, output=250.0, ttft=2.0, tpot=0.04),
)
SPARSE = Workload(
    name="sparse",
    weight=3.0,
    demand=Demand(model=model("openai/gpt-oss-120b"), precision="fp8", prompt=1500.0, output=500.0, ttft=2.0, tpot=0.03),
)
CHIP = chip("nvidia-b200")


@pytest.fixture(scope="module")
def found():
    return goodput(mix([DENSE, SPARSE]), CHIP)


def test_the_time_of_a_token_is_that_of_the_mix_at_the_rates_that_price_and_plan_take(found):
    rates = [best_under_traffic(one.demand, [CHIP], 0.9)[0].rate for one in (DENSE, SPARSE)]
    assert list(found.rates) == [rate.value for rate in rates]
    for end, seconds in (("value", found.seconds), ("high", found.seconds_low), ("low", found.seconds_high)):
        assert seconds == pytest.approx(sum(share / getattr(rate, end) for share, rate in zip((0.25, 0.75), rates, strict=True)))
    assert found.seconds_low < found.seconds < found.seconds_high


def test_more_requests_that_must_keep_the_limits_leave_less(found):
    strict = [dataclasses.replace(one, attainment=0.99) for one in mix([DENSE, SPARSE])]
    assert goodput(strict, CHIP).seconds > found.seconds


def test_what_is_not_served_makes_no_token():
    hasty = dataclasses.replace(SPARSE, demand=dataclasses.replace(SPARSE.demand, tpot=1e-6))
    found = goodput(mix([DENSE, hasty]), CHIP)
    assert isinstance(found.servings[1], NotServed)
    assert found.rates[1] == 0
    assert math.isinf(found.seconds)
    assert math.isinf(found.seconds_low)
