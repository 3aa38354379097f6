"""`tapeout backtest`: plans with what was known, beside foresight and simple policies."""

import json

import pytest

from tests.scenario.conftest import SMALL
from tests.scenario.test_outlook import UNCERTAIN


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("backtest") / "small.yaml"
    path.write_text(SMALL + UNCERTAIN)
    return path


def test_it_costs_no_less_than_foresight_and_says_what_it_did(run, scenario, tmp_path):
    ran = run("backtest", str(scenario), "--out", str(tmp_path / "out"), "-o", "json", "--gap", "1e-6")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert [row["date"] for row in found["dates"]] == ["2026Q4", "2027Q4"]
    costs = {row["policy"]: row["cost_usd"] for row in found["policies"]}
    assert set(costs) == {"know everything", "plan again at each date", "keep to the first plan", "buy a year ahead", "rent everything"}
    assert min(costs.values()) >= costs["know everything"] * (1 - 2e-6)
    assert found["world"] == []
    assert json.loads((tmp_path / "out/backtest.json").read_text()) == found
    page = (tmp_path / "out/backtest.html").read_text()
    assert found["summary"][0].replace("'", "&#39;") in page
    assert sum(row["cash_usd"] for row in found["quarters"]) > 0


def test_a_world_is_drawn_and_the_same_seed_draws_it_again(run, scenario):
    first, again, other = (
        json.loads(run("backtest", str(scenario), "--seed", seed, "-o", "json", "--every", "2 quarter").out) for seed in ("1", "1", "2")
    )
    assert first == again
    assert [one["process"] for one in first["world"]] == ["cage", "growth"]
    assert first["world"] != other["world"]
    assert len(first["dates"]) == 4


def test_plans_for_several_futures_are_made_whenever_something_is_learnt(run, scenario):
    ran = run("backtest", str(scenario), "--seed", "1", "--scenarios", "4", "-o", "json")
    assert [row["date"] for row in json.loads(ran.out)["dates"]] == ["2026Q4", "2027Q1", "2027Q2", "2027Q4"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--every", "5 week"], "whole quarters"),
        (["--every", "3 year"], "longer than the plan"),
        (["--scenarios", "4"], "give --seed as well"),
        (["--gap", "0"], "between 0 and 1"),
    ],
)
def test_bad_options_are_refused(run, scenario, options, says):
    ran = run("backtest", str(scenario), *options)
    assert ran.code == 2
    assert says in ran.err


def test_nothing_can_be_drawn_where_nothing_is_uncertain(run, tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    ran = run("backtest", str(tmp_path / "small.yaml"), "--seed", "1")
    assert ran.code == 2
    assert "nothing is uncertain" in ran.err
