"""`tapeout cost`: one record, its tables and its page agree; the waterfall ends at the unit cost; the page is whole and safe."""

import dataclasses
import html
import json
import re

import numpy as np
import pytest

from tapeout.cost.draws import percentiles
from tapeout.errors import InputError, UnknownNameError
from tapeout.hardware.catalog import chips
from tapeout.report.cost_figures import distribution_figure, hour_figure, tornado_figure, waterfall_figure
from tapeout.report.cost_page import cost_files, cost_page
from tapeout.report.cost_run import Asked, Costed, costed
from tapeout.report.cost_view import COMPONENTS, FACTS, component_draws, component_table, cost_row, hour_table, influence_table
from tapeout.report.tables import dump_json

ASKED = Asked(
    chip="nvidia-h100-sxm", volume=None, year=None, draws=5000, seed=0, owner="hyperscaler", site="own-build-us", date="2026-11-25"
)
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def h100() -> Costed:
    return costed(ASKED)


@pytest.fixture(scope="module")
def tpu() -> Costed:
    return costed(dataclasses.replace(ASKED, chip="google-tpu-v5e", volume=200_000))


def test_the_record_has_the_agreed_keys_and_its_percentiles_are_in_order(h100: Costed, tpu: Costed) -> None:
    for found in (h100, tpu):
        row = json.loads(dump_json(cost_row(found)))
        for key in ("unit_cost_usd", "price_usd", "owner_usd_per_hour"):
            assert row[key]["p5"] < row[key]["p50"] < row[key]["p95"], key
        assert set(row["components"]) <= set(COMPONENTS)
        assert {each["name"] for each in row["influences"]} <= set(FACTS)


def test_components_add_up_to_what_the_buyer_pays(h100: Costed, tpu: Costed) -> None:
    for found in (h100, tpu):
        parts = component_draws(found.unit)
        total = np.sum([part + np.zeros(ASKED.draws) for part in parts.values()], axis=0)
        assert total == pytest.approx(found.unit.price)
        assert total - parts["margin"] == pytest.approx(found.unit.unit)


def test_a_volume_adds_the_programme_of_who_develops_the_chip(h100: Costed, tpu: Costed) -> None:
    assert (h100.mode, tpu.mode) == (None, "design-partner")
    assert "one_off" not in component_draws(h100.unit)
    merchant = costed(dataclasses.replace(ASKED, volume=1_000_000))
    assert merchant.mode == "own-team"
    # A merchant's gross margin pays for the development; who has a chip made for himself pays it beside the partner's price.
    assert merchant.unit.price == pytest.approx(h100.unit.price)
    alone = costed(dataclasses.replace(ASKED, chip="google-tpu-v5e"))
    assert tpu.unit.price - alone.unit.price == pytest.approx(tpu.unit.one_off)


def test_the_hour_of_a_chip_made_for_its_owner_is_at_the_partners_price_and_of_others_at_the_market(h100: Costed, tpu: Costed) -> None:
    assert tpu.hour_rule == "what its maker pays"
    assert "quotes" in h100.hour_rule
    dearer = costed(dataclasses.replace(ASKED, chip="google-tpu-v5e", volume=20_000))
    assert percentiles(dearer.hour.owned).p50 > percentiles(tpu.hour.owned).p50


def test_the_waterfall_runs_from_nothing_to_the_unit_cost_without_a_gap(h100: Costed) -> None:
    figure = waterfall_figure(h100)
    bars = {tuple(point["value"]): series["name"] for series in figure.option["series"] for point in series["data"]}
    rows = sorted(bars)
    *parts, total = rows
    assert bars[total] == "total"
    assert total[1:] == pytest.approx((0.0, float(np.mean(h100.unit.unit))))
    assert len(figure.option["yAxis"]["data"]) == len(rows)
    level = 0.0
    for bar in parts:
        start, end = bar[1:] if bars[bar] == "adds" else bar[:0:-1]
        assert start == pytest.approx(level)
        level = end
    assert level == pytest.approx(total[2])


def test_the_tornado_stands_around_the_middle_widest_first(h100: Costed) -> None:
    figure = tornado_figure(h100)
    points = [point["value"] for series in figure.option["series"] for point in series["data"]]
    assert all(low <= h100.unit.middle <= high for _, low, high in points)
    widths = [sum(high - low for at, low, high in points if at == row) for row in range(len(points) // 2)]
    assert widths == sorted(widths, reverse=True)


def test_the_distribution_rises_from_nothing_to_all(h100: Costed) -> None:
    shares = [row["share"] for row in distribution_figure(h100).table.rows]
    assert shares == sorted(shares)
    assert shares[0] < 0.01 < 0.99 < shares[-1]


def test_tables_show_the_numbers_of_the_record(h100: Costed) -> None:
    row, table = cost_row(h100), component_table(h100)
    unit = next(line for line in table.rows if line["part"] == "Unit cost")
    assert {key: unit[key] for key in ("p5", "p50", "p95")} == row["unit_cost_usd"]
    assert [line["name"] for line in influence_table(h100).rows] == [
        each["name"] for each in row["influences"][: len(influence_table(h100).rows)]
    ]
    hour = hour_table(h100)
    assert hour is not None
    assert {key: hour.rows[-1][key] for key in ("p5", "p50", "p95")} == row["owner_usd_per_hour"]


def test_all_three_kinds_of_site_have_an_hour_and_the_region_its_electricity(h100: Costed) -> None:
    hours = {name: cost_row(costed(dataclasses.replace(ASKED, site=name))) for name in ("abilene-lease", "colocation-us", "cloud-region")}
    assert all(row["owner_usd_per_hour"]["p50"] > cost_row(h100)["owner_usd_per_hour"]["p50"] for row in hours.values())
    assert list(hours["cloud-region"]["hour_components"]) == ["rent"]
    assert hours["cloud-region"]["hour_components"]["rent"] == hours["cloud-region"]["owner_usd_per_hour"]
    ireland = cost_row(costed(dataclasses.replace(ASKED, electricity="ireland")))
    dearer = {name for name, part in ireland["hour_components"].items() if part != cost_row(h100)["hour_components"][name]}
    assert dearer == {"energy"}
    assert ireland["electricity"] == "ireland"
    cloud = costed(dataclasses.replace(ASKED, site="cloud-region"))
    assert "A rented hour" in cost_page(cloud, cost_row(cloud), colophon="c")
    with pytest.raises(InputError, match="the rent of a cloud holds its electricity"):
        costed(dataclasses.replace(ASKED, site="cloud-region", electricity="texas"))


@pytest.mark.parametrize("place", ["own-build-us", "cloud-region"])
def test_a_utilisation_adds_the_useful_hour(place: str) -> None:
    found = costed(dataclasses.replace(ASKED, site=place, utilisation=0.5))
    row, table = cost_row(found), hour_table(found)
    assert table is not None
    lines = {line["part"]: line for line in table.rows}
    assert lines["A useful hour"]["p50"] == row["useful_usd_per_hour"]["p50"] >= 2 * row["owner_usd_per_hour"]["p50"]
    assert "50 % of the hours are used" in table.note
    assert cost_row(costed(dataclasses.replace(ASKED, site=place)))["useful_usd_per_hour"] is None
    with pytest.raises(InputError, match="above 0 and at most 1"):
        costed(dataclasses.replace(ASKED, site=place, utilisation=1.5))


def test_every_chip_of_the_catalogue_with_silicon_is_costed() -> None:
    with pytest.raises(InputError, match="die is not public") as refused:
        costed(dataclasses.replace(ASKED, chip="google-tpu-v5p"))
    known = [each.id for each in chips().values() if each.silicon is not None and each.silicon.die_area is not None]
    assert len(known) > 20
    for name in known:
        assert name in str(refused.value)
        row = cost_row(costed(dataclasses.replace(ASKED, chip=name, draws=500)))
        assert 0 < row["unit_cost_usd"]["p5"] < row["unit_cost_usd"]["p95"] < 3 * row["unit_cost_usd"]["p5"], name
        assert row["price_usd"]["p50"] > row["unit_cost_usd"]["p50"]
        assert row["owner_usd_per_hour"]["p50"] > 0


def test_the_page_is_whole_and_safe(h100: Costed) -> None:
    hostile = dataclasses.replace(h100, chip=dataclasses.replace(h100.chip, name=HOSTILE))
    page = cost_page(hostile, cost_row(hostile), colophon="c")
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page
    assert re.findall(r"(?:src|href)=\"https?:", page) == []
    for figure in ("waterfall", "distribution", "tornado", "hour"):
        assert f'id="figure-{figure}"' in page


def test_a_chip_without_a_price_has_no_hour(h100: Costed) -> None:
    without = dataclasses.replace(h100, hour=None, hour_rule="no price of this chip is known")
    assert cost_row(without)["owner_usd_per_hour"] is None
    assert hour_table(without) is None
    assert hour_figure(without) is None
    assert 'id="figure-hour"' not in cost_page(without, cost_row(without), colophon="c")


def test_the_files_hold_the_record_and_the_tables(h100: Costed) -> None:
    files = cost_files(h100, version="1", date="2026-11-25")
    assert set(files) == {"cost.html", "cost.json", "components.csv", "influences.csv", "hour.csv", "carbon.csv"}
    assert json.loads(files["cost.json"]) == json.loads(dump_json(cost_row(h100)))


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="--volume must be positive, given 0"):
        costed(dataclasses.replace(ASKED, volume=0))
    with pytest.raises(InputError, match="not made in that year, given 2015"):
        costed(dataclasses.replace(ASKED, year=2015))
    with pytest.raises(UnknownNameError, match="did you mean nvidia-h100-sxm"):
        costed(dataclasses.replace(ASKED, chip="nvidia-h100-sxn"))
