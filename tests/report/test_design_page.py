"""`tapeout design`: one record, its tables, files and page agree, and the chip written is the one found."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tapeout.design.search import Aim
from tapeout.design.space import MatrixUnits, MemoryChoice, ScaleUp, Space
from tapeout.design.sweep import STAGING
from tapeout.hardware.catalog import read_chip
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import broken_limits, own_chip
from tapeout.performance.best import NotServed
from tapeout.report.design_figures import floorplan_figure, front_figure, moved_figure, roofline_figure, volume_figure
from tapeout.report.design_floorplan import MEMORY, floorplan
from tapeout.report.design_page import design_files
from tapeout.report.design_roofline import operator_points
from tapeout.report.design_run import designed
from tapeout.report.design_view import binding_limits, design_row, power_table, rival_table, served_table
from tapeout.report.design_words import verdict
from tapeout.units import GB, MIB
from tapeout.workload.operators import Role

SMALL = Space(
    nodes=("tsmc-3", "tsmc-2"),
    dies=(2,),
    matrix_units=(MatrixUnits(number=32, rows=128, columns=128), MatrixUnits(number=48, rows=128, columns=128)),
    clocks=(1.4e9, 1.8e9),
    on_chip_memories=(192 * MIB,),
    memories=(MemoryChoice(generation="hbm4", stacks=4),),
    scale_ups=(ScaleUp(bandwidth=900 * GB, domain=64, topology=Topology.SWITCH),),
    scale_out=100 * GB,
    power_limit=900.0,
)


@pytest.fixture(scope="module")
def found(request, tmp_path_factory):
    path = request.path.parents[2] / "scenarios" / "lab-2026.yaml"
    return designed(
        path, name=None, volume=None, aim=Aim.COST, workers=1, keep_in=tmp_path_factory.mktemp("search"), version="1",
        say=lambda text: None, space=SMALL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def files(found):
    return design_files(found, version="1", date="2026-11-25")


def test_the_record_has_the_agreed_keys(found, files):
    row = json.loads(files["design.json"])
    agreed = ("best", "usd_per_million_output_tokens", "unit_cost_usd", "break_even_units", "evaluated", "binding")
    assert all(row[key] is not None for key in agreed)
    assert row["usd_per_million_output_tokens"] == pytest.approx(found.best.hour / 3600 * found.goodput.seconds * 1e6)
    assert row["steady_state"]["usd_per_million_output_tokens"] == pytest.approx(found.best.usd_per_token * 1e6)
    band = row["usd_per_million_output_tokens_band"]
    assert band["p5"] < row["usd_per_million_output_tokens"] < band["p95"]
    assert row["evaluated"] == SMALL.size + found.looked_at
    assert row["best"]["clock_ghz"] * 1e9 == pytest.approx(found.best.parameters.clock)
    assert row == json.loads(json.dumps(design_row(found), default=float))


def test_the_chip_written_is_the_one_found(found, files, tmp_path):
    path = tmp_path / "chip.toml"
    path.write_bytes(files["chip.toml"])
    assert read_chip(path) == found.chip == own_chip(found.best.parameters)
    assert broken_limits(found.best.parameters) == ()
    assert found.best.usd_per_token <= found.found.best.usd_per_token


def test_the_binding_limit_is_the_nearest_and_none_is_broken(found):
    margins = [one.margin for one in found.margins]
    assert margins == sorted(margins)
    assert margins[0] >= -1e-9
    physical = [one for one in found.margins if one.name != STAGING]
    row = design_row(found)
    assert row["binding"] == row["binding_limits"][0] == physical[0].name
    assert all(one.margin <= max(0.02, physical[0].margin) for one in binding_limits(found))


def test_at_the_break_even_volume_the_token_costs_what_it_does_on_the_best_chip_on_offer(found):
    rival, row = found.rivals[0], design_row(found)
    assert rival.usd_per_token == min(one.usd_per_token for one in found.rivals)
    at = dataclasses.replace(found.brief.question.economics, volume=row["break_even_units"])
    hour = float(at.own_usd_per_hour(found.best.unit_cost, found.best.one_off, found.best.power))
    assert hour / 3600 * found.goodput.seconds == pytest.approx(rival.usd_per_token, rel=1e-9, abs=0)
    band = row["break_even_band"]
    assert 0 < band["share"] <= 1
    assert band["p5"] < band["p50"]
    assert row["cheaper_than_best_merchant"] == pytest.approx(np.mean(found.even.draws < found.even.volume), abs=1e-4)


def test_rates_of_the_page_are_those_under_traffic_and_of_the_search_beside_them(found):
    rows = {row["workload"]: row for row in served_table(found).rows}
    for one, serving, part in zip(found.brief.question.workloads, found.goodput.servings, found.best.served, strict=True):
        row = rows[one.name]
        assert (row["rate"], row["steady_rate"]) == (serving.rate.value, part.rate)
        assert row["low"] < row["rate"] < row["high"]
        assert row["rate"] == pytest.approx(row["steady_rate"], rel=0.25)
        assert serving.attainment >= one.attainment == 0.9


def test_the_floorplan_has_the_areas_of_the_model_and_no_two_blocks_overlap(found):
    drawn = floorplan(found.built)
    for name in ("matrix", "on_chip_memory", "memory_interface", "links", "unnamed"):
        area = sum(one.area for one in drawn if one.name == name)
        assert area == pytest.approx(float(getattr(found.built.dies, name)[0]) * 2), name
    assert sum(one.name == MEMORY for one in drawn) == found.best.parameters.stacks
    for place, one in enumerate(drawn):
        for other in drawn[place + 1 :]:
            across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
            down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
            assert min(across, down) < 1e-9, (one, other)


def test_no_operator_stands_above_the_roof(found):
    points = operator_points(found)
    assert {(one.workload, one.phase) for one in points} == {
        (name, phase) for name in ("chat", "reasoning", "enterprise") for phase in ("decode", "prompt")
    }
    peak, bandwidth = max(each.value for each in found.chip.peak.values()), found.chip.memory.bandwidth.value
    for one in points:
        assert one.speed <= min(peak, one.intensity * bandwidth) * (1 + 1e-9), one


def test_attention_of_a_decode_step_does_two_flops_of_each_head_for_each_byte_of_its_cache(found):
    one = next(each for each in operator_points(found) if (each.workload, each.role) == ("enterprise", Role.DECODE_ATTENTION))
    # Llama 3.3 70B has 64 heads on 8 heads of keys and values, which are kept in 8 bits.
    assert one.intensity == pytest.approx(2 * 64 / 8, rel=0.05)


def test_the_power_of_the_table_is_that_of_the_chip(found):
    rows = power_table(found).rows
    assert sum(row["load"] for row in rows) == pytest.approx(found.chip.power.value)
    assert all(row["idle"] <= row["load"] for row in rows)


def test_rivals_stand_in_order_of_cost_with_the_design_among_them(found):
    rows = rival_table(found).rows
    costs = [row["usd_per_token"] for row in rows]
    assert costs == sorted(costs)
    assert sum("(own)" in row["chip"] for row in rows) == 1


def test_what_is_moved_costs_more_or_meets_a_limit_and_the_world_moves_it_both_ways(found):
    by_name = {one.name: one for one in found.moved}
    world = by_name["unit cost, half and twice"]
    assert world.less < found.best.usd_per_token < world.more
    volume = by_name["volume, half and twice"]
    assert volume.less > found.best.usd_per_token > volume.more
    for one in found.moved:
        assert (one.less is None or one.more is None) == bool(one.against), one
        assert all(end is None or math.isfinite(end) for end in (one.less, one.more))


def test_the_words_say_whether_it_wins_and_what_binds(found):
    words = " ".join(verdict(found))
    wins = found.rivals[0].usd_per_token > found.usd_per_token
    assert ("It wins" in words) == wins
    assert f"{binding_limits(found)[0].name} ({binding_limits(found)[0].given}; up to" in words
    assert found.rivals[0].rival.chip.name in words
    assert "the same verdict" in words
    assert ("stands at the lowest of the node, 0.65 V (guess" in words) == (found.built.voltage[0] < 0.6501)


def test_page_and_words_say_what_was_least(found):
    thrifty = dataclasses.replace(found, found=dataclasses.replace(found.found, aim=Aim.ENERGY))
    assert "with the least energy?" in design_files(thrifty, version="1", date="2026-11-25")["design.html"].decode()
    assert verdict(thrifty)[0].startswith("The thriftiest chip found")
    assert verdict(found)[0].startswith("The cheapest chip found")


def test_the_words_say_where_traffic_turns_the_verdict(found):
    rival = found.rivals[0]
    slower = dataclasses.replace(rival, steady_seconds=3 * rival.steady_seconds * found.best.usd_per_token / rival.steady_usd_per_token)
    turned = dataclasses.replace(found, rivals=(slower,))
    words = " ".join(verdict(turned))
    wins = rival.usd_per_token > found.usd_per_token
    assert ("Traffic decides it: by mean latencies alone the design would win" in words) == (not wins)


def test_the_words_say_what_is_not_served_under_traffic_and_no_number_is_made_up(found):
    none = NotServed(chip=found.chip, reason="too slow under traffic")
    lost = dataclasses.replace(
        found, even=None, goodput=dataclasses.replace(found.goodput, servings=(none, *found.goodput.servings[1:]), seconds=math.inf)
    )
    assert "does not serve all workloads under traffic: chat: too slow" in " ".join(verdict(lost))
    row = design_row(lost)
    assert (row["usd_per_million_output_tokens"], row["break_even_units"], row["needed_units"]) == (None, None, None)
    assert json.loads(json.dumps(row, default=float))["serves"]["chat"]["output_tokens_per_s_per_chip"] == 0


def test_without_a_chip_on_offer_that_serves_there_is_nothing_to_compare(found):
    alone = dataclasses.replace(found, rivals=(), even=None)
    words = " ".join(verdict(alone))
    assert "No chip on offer serves all of the workloads." in words
    assert design_row(alone)["best_merchant"] is None
    files = design_files(alone, version="1", date="2026-11-25")
    assert b"own chip" in files["design.html"]


def test_every_figure_draws_its_table(found, files):
    for figure in (front_figure(found), roofline_figure(found), floorplan_figure(found), moved_figure(found), volume_figure(found)):
        assert figure.table.rows
        assert {key.name for key in figure.keys} <= {series["name"] for series in figure.option["series"]} | {
            "peaks, and memory below their ridges"
        }
        assert f'id="figure-{figure.id}"'.encode() in files["design.html"]
    front = front_figure(found).option["series"][1]["data"]
    assert [point["value"][0] for point in front] == [one.usd_per_token for one in found.found.front]


def test_a_figure_of_the_roof_has_a_line_for_each_format(found):
    lines = [series for series in roofline_figure(found).option["series"] if series["type"] == "line"]
    assert [line["data"][-1][1] for line in lines] == [
        found.chip.peak[name].value for name in (NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4)
    ]
    assert np.all([line["data"][0][1] == line["data"][0][0] * found.chip.memory.bandwidth.value for line in lines])
