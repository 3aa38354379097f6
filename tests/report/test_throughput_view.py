"""The bands of the throughputs in the report: the same ends in the table and in `plan.json`, and nothing where nothing is known."""

import json
import math

import pytest

from tapeout.report.tables import dump_json
from tapeout.report.throughput_view import TOGETHER, throughput_record, throughput_table
from tapeout.sourcing.throughput_range import GenerationEffect, ThroughputRange

ENDS = {"query_low": 0.001, "query_high": 0.0012, "unmet_low": 0.0, "unmet_high": 0.1}
HOPPER = GenerationEffect(generation="hopper", cost_low=9e8, cost_high=1.2e9, **ENDS)
BLACKWELL = GenerationEffect(generation="blackwell", cost_low=8e8, cost_high=math.inf, **ENDS)


def found(*generations: GenerationEffect) -> ThroughputRange:
    return ThroughputRange(cost_low=7e8, cost_high=max(one.cost_high for one in generations), generations=generations, **ENDS)


def test_the_table_has_each_generation_and_all_together() -> None:
    table = throughput_table(1e9, found(HOPPER))
    assert [row["generation"] for row in table.rows] == ["hopper", TOGETHER]
    assert table.cells()[0] == ["hopper", "$900M", "$1.2B", "0.1 ¢", "0.12 ¢", "0 %", "10 %"]
    assert "$1B" in table.note
    assert "independently" in table.note


def test_the_record_says_the_same_with_its_rule() -> None:
    record = throughput_record(found(HOPPER))
    assert record["cost_low_usd"] == 7e8
    assert record["unmet_share_high"] == 0.1
    assert record["throughput_band"]["generations"]["hopper"]["cost_usd_high"] == 1.2e9
    assert "root of the sum of their squares" in record["throughput_band"]["rule"]


def test_a_cost_that_is_infinite_is_missing_and_never_infinity() -> None:
    both = found(HOPPER, BLACKWELL)
    assert json.loads(dump_json(throughput_record(both)))["cost_high_usd"] is None
    assert throughput_table(1e9, both).cells()[-1][2] == "–"


def test_a_stopped_plan_has_no_ends() -> None:
    assert throughput_record(None) == {}


@pytest.mark.parametrize("key", ["cost", "levelised_cost_per_query", "unmet_share"])
def test_every_quantity_has_both_ends(key: str) -> None:
    names = [name for name in throughput_record(found(HOPPER)) if name.startswith(key)]
    assert len([name for name in names if "_low" in name]) == len([name for name in names if "_high" in name]) == 1
