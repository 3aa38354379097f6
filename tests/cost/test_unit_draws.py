import dataclasses

import numpy as np
import pytest

from tapeout.cost.draws import Draws, percentiles
from tapeout.cost.unit import unit_cost
from tapeout.cost.unit_draws import unit_draws
from tapeout.errors import InputError, UnknownNameError
from tapeout.hardware.catalog import chip
from tapeout.hardware.process import packaging
from tapeout.provenance import sources
from tests.cost.made_chips import TPU_V3, TPU_V4I

DRAWS = Draws(count=20_000, seed=0)

# Published unit costs in USD. H100: Raymond James by way of Tae Kim. H200: Silicon Analysts. B200: Epoch AI. MI300X: Silicon Analysts.
# TPU v3 to v5e: medians of Epoch AI. A GB200 superchip of 13,500 (Silicon Analysts) is two of these with a processor of about 1,000.
UNIT_COSTS = {
    "nvidia-h100-sxm": 3320,
    "nvidia-h200-sxm": 4250,
    "nvidia-b200": 6400,
    "nvidia-gb200": 6250,
    "amd-mi300x": 5300,
    "google-tpu-v4": 1285,
    "google-tpu-v5e": 1153,
}
CLOSE = ("nvidia-h100-sxm", "nvidia-b200", "amd-mi300x", "google-tpu-v4", "google-tpu-v5e")

# Published components in USD: Silicon Analysts for H100 and MI300X, where packaging losses stand in the rest, and Epoch AI for the B200.
COMPONENTS = {
    ("nvidia-h100-sxm", "silicon defects harvesting"): 300,
    ("nvidia-h100-sxm", "memory"): 1350,
    ("nvidia-h100-sxm", "package substrate"): 750,
    ("nvidia-h100-sxm", "loss escapes test module"): 920,
    ("nvidia-b200", "silicon defects harvesting"): 900,
    ("nvidia-b200", "memory"): 2900 * 180 / 192,
    ("nvidia-b200", "package substrate"): 1100,
    ("nvidia-b200", "loss escapes"): 1050,
    ("nvidia-b200", "module"): 480,
    ("amd-mi300x", "silicon defects harvesting base_dies"): 600,
    ("amd-mi300x", "memory"): 2900,
    ("amd-mi300x", "package substrate"): 1200,
    ("amd-mi300x", "loss escapes test module"): 600,
}


def priced(identifier):
    found = {"tpu-v3": TPU_V3, "tpu-v4i": TPU_V4I}
    return unit_draws(found[identifier] if identifier in found else chip(identifier), DRAWS)


@pytest.fixture(scope="module")
def units():
    return {name: priced(name) for name in UNIT_COSTS}


def test_the_band_holds_the_published_unit_costs_and_is_narrow(units):
    targets = UNIT_COSTS | {"tpu-v3": 1147, "tpu-v4i": 877}
    bands = {name: percentiles((units.get(name) or priced(name)).unit) for name in targets}
    inside = [bands[name].p5 <= published <= bands[name].p95 for name, published in targets.items()]
    assert np.mean(inside) >= 0.8
    assert max(band.span for band in bands.values()) <= 2.2


@pytest.mark.parametrize("name", CLOSE)
def test_the_median_is_within_15_per_cent_of_the_published_unit_cost(units, name):
    assert percentiles(units[name].unit).p50 == pytest.approx(UNIT_COSTS[name], rel=0.15)


def test_the_bands_of_the_components_hold_the_published_ones(units):
    inside = []
    for (name, fields), published in COMPONENTS.items():
        parts = units[name].components.by_name()
        band = percentiles(sum(parts[field] for field in fields.split()))
        inside.append(band.p5 <= published <= band.p95)
    assert np.mean(inside) >= 0.8


def test_memory_and_logic_take_the_shares_that_epoch_finds():
    # Epoch AI, fourth quarter of 2025 over all AI chips: memory 63 %, packaging 15 %, auxiliaries 9 %, logic 13 % of component spend.
    parts = unit_cost(chip("nvidia-gb300")).mid
    spend = parts.total - parts.loss - parts.escapes
    assert parts.memory / spend == pytest.approx(0.63, abs=0.07)
    assert (parts.package + parts.substrate) / spend == pytest.approx(0.15, abs=0.04)
    assert parts.module / spend == pytest.approx(0.09, abs=0.03)
    assert parts.dies / spend == pytest.approx(0.13, abs=0.04)


# Epoch AI's prices in USD: TPU v5e from Broadcom to Google, MI300X, MI350X and MI250X on average, an H100 and a GB200's GPU in 2025.
PRICES = {
    "google-tpu-v5e": 2691,
    "amd-mi300x": 12_500,
    "amd-mi350x": 23_500,
    "amd-mi250x": 10_000,
    "nvidia-h100-sxm": 23_238,
    "nvidia-gb200": 36_742,
}


@pytest.mark.parametrize("name", PRICES)
def test_the_band_of_the_price_holds_what_buyers_pay(units, name):
    found = units.get(name) or priced(name)
    band = percentiles(found.price)
    assert band.p5 <= PRICES[name] <= band.p95
    assert (found.seller.made_for_owner) == (name == "google-tpu-v5e")


def test_components_add_up_and_medians_meet_the_middle_of_the_facts(units):
    for name, found in units.items():
        assert np.sum([part * np.ones(DRAWS.count) for part in found.components.by_name().values()], axis=0) == pytest.approx(found.unit)
        assert percentiles(found.unit).p50 == pytest.approx(unit_cost(chip(name)).mid.total, rel=0.04)


def test_every_draw_lies_near_the_envelope_of_the_facts(units):
    for name, found in units.items():
        envelope, band = unit_cost(chip(name)), percentiles(found.unit)
        assert envelope.low.total < band.p5 < band.p95 < envelope.high.total


def test_the_tornado_is_the_cost_at_the_ends_of_each_fact(units):
    found = units["nvidia-b200"]
    memory = next(each for each in found.influences if each.name == "memory_price")
    # A dearer gigabyte is lost with the rest where one of ten bonds or the substrate fails; what escapes adds 2 %.
    lost = 1 / (0.98**10 * 0.99)
    assert memory.swing == pytest.approx(found.build.capacity * (memory.fact.high - memory.fact.low) * lost, rel=0.05)
    assert found.influences[0] is memory
    assert [each.swing for each in found.influences] == sorted((each.swing for each in found.influences), reverse=True)
    assert 0.4 < memory.variance_share < 0.8
    assert 0.8 < sum(each.variance_share for each in found.influences) < 1.1
    assert all(each.fact.source in sources() for each in found.influences)


def test_unit_cost_falls_with_volume_to_its_recurring_part():
    costs = [
        percentiles(unit_draws(chip("google-tpu-v5e"), DRAWS, one_off=4e8, volume=volume).unit).p50 for volume in (10**3, 10**5, 10**9)
    ]
    recurring = percentiles(priced("google-tpu-v5e").unit).p50
    assert costs[0] > costs[1] > costs[2]
    assert costs[1] == pytest.approx(recurring + 4000, rel=0.001)
    assert costs[2] == pytest.approx(recurring, rel=0.001)


def test_seeds_repeat_and_differ():
    one = [unit_draws(chip("nvidia-b200"), Draws(count=1000, seed=seed)).unit for seed in (1, 1, 2)]
    assert np.array_equal(one[0], one[1])
    assert not np.array_equal(one[0], one[2])


def test_a_year_moves_defects_and_prices():
    young, old = (unit_draws(chip("nvidia-b200"), DRAWS, year=year) for year in (2024, 2026))
    assert np.median(old.components.defects) < np.median(young.components.defects)
    assert np.median(old.components.memory) > np.median(young.components.memory)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"volume must be positive, given 0, allowed: 1 chip or more"):
        unit_draws(chip("nvidia-b200"), DRAWS, one_off=1e8, volume=0)
    with pytest.raises(InputError, match="needs a volume"):
        unit_draws(chip("nvidia-b200"), DRAWS, one_off=1e8)
    with pytest.raises(InputError, match="no silicon facts"):
        unit_draws(dataclasses.replace(chip("nvidia-b200"), silicon=None), DRAWS)
    silicon = dataclasses.replace(chip("nvidia-b200").silicon, node="tsmc-10")
    with pytest.raises(UnknownNameError, match=r"tsmc-28.*tsmc-2"):
        unit_draws(dataclasses.replace(chip("nvidia-b200"), silicon=silicon), DRAWS)
    with pytest.raises(InputError, match="stacked on a base die in this package"):
        unit_draws(chip("amd-mi300x"), DRAWS, package=packaging("organic"))
