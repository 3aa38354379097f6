"""`tapeout compare`: what differs between two plans, from their folders or from scenarios."""

import csv
import io
import json
import shutil

import pytest

from tapeout import study
from tapeout.report import files, plan_run
from tests.scenario.conftest import SMALL


def text(**changes):
    found = SMALL
    for old, new in changes.values():
        assert old in found
        found = found.replace(old, new)
    return found


LARGER = text(
    title=("A small scenario", "A larger scenario"),
    name=("name: small", "name: larger"),
    demand=("2027Q4: 4 Mquery/day", "2027Q4: 6 Mquery/day"),
    range=("high: 200 %", "high: 150 %"),
    limit=("time_per_output_token: 50 ms", "time_per_output_token: 60 ms"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The scenario `small` and its run, the scenario `larger`."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "small.yaml").write_text(SMALL)
    (folder / "larger.yaml").write_text(LARGER)
    found = study.plan(folder / "small.yaml", study.Wanted(gap=1e-6, time_limit=60.0, appraised=study.Appraised.NOT), lambda _: None)
    files.write_run(folder / "run", plan_run.run(found, version="0", date="2026-11-25"))
    return folder


@pytest.fixture
def rows(run, home):
    """The rows of a comparison, by table and by what they say."""

    def call(first, second, *more):
        ran = run("compare", str(home / first), str(home / second), "-o", "csv", *more)
        assert ran.code == 0
        return {(row["table"], row["what"], row["when"]): row for row in csv.DictReader(io.StringIO(ran.out))}

    return call


def test_a_folder_and_its_scenario_do_not_differ(rows):
    found = rows("run", "small.yaml", "--gap", "1e-6")
    assert {table for table, _, _ in found} & {"assumptions", "settings"} == set()
    for row in found.values():
        if row["a"] and row["table"] in ("spend", "cash", "cost-per-query", "results"):
            assert float(row["a"]) == pytest.approx(float(row["b"]), rel=1e-6)


def test_what_differs_is_told_by_name_with_value_and_range(rows, home, run, tmp_path):
    found = rows("run", "larger.yaml", "--out", str(tmp_path / "out"))
    demand = found["assumptions", "models.chat.demand", ""]
    assert "4 Mquery/day" in demand["a"]
    assert "6 Mquery/day" in demand["b"]
    assert demand["a_range"] != demand["b_range"]
    assert found["settings", "models.chat.time_per_output_token", ""]["b"] == "60 ms"
    record = json.loads((home / "run/plan.json").read_text())
    cost = found["results", "Cost, discounted", ""]
    assert float(cost["a"]) == pytest.approx(record["cost_usd"])
    assert float(cost["b"]) > float(cost["a"])
    assert float(found["cash", "2027Q4", "2027Q4"]["a"]) == pytest.approx(record["cash_usd"]["2027Q4"])
    ordered = sum(float(row["a"]) for (table, *_), row in found.items() if table == "orders")
    written = csv.DictReader(io.StringIO((home / "run/tables/orders.csv").read_text()))
    assert ordered == pytest.approx(sum(float(row["chips"]) for row in written), rel=1e-6)
    spent = sum(float(row["a"]) for (table, *_), row in found.items() if table == "spend")
    cash = sum(record["cash_usd"].values())
    assert spent == pytest.approx(
        cash + sum(float(found["spend", name, ""]["a"]) for name in ("penalty", "residual") if ("spend", name, "") in found)
    )
    kept = json.loads((tmp_path / "out/comparison.json").read_text())
    assert kept["second"] == "A larger scenario"
    page = (tmp_path / "out/comparison.html").read_text()
    assert "How does A larger scenario differ from A small scenario?" in page


def test_the_sides_may_be_changed(rows):
    there, back = rows("run", "larger.yaml"), rows("larger.yaml", "run")
    assert there.keys() == back.keys()
    assert all((row["a"], row["b"]) == (back[key]["b"], back[key]["a"]) for key, row in there.items())


@pytest.mark.parametrize(("first", "says"), [("nowhere.yaml", "no such file or folder"), (".", "not a folder that `tapeout plan` wrote")])
def test_what_is_no_plan_is_refused(run, home, first, says):
    ran = run("compare", str(home / first), str(home / "run"))
    assert ran.code == 2
    assert says in ran.err


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("plan.json", "{", "not a folder that `tapeout plan` wrote"),
        ("plan.json", "{}", "plan it again"),
        ("inputs/inputs.json", "{}", "of which scenario"),
        ("tables/assumptions.csv", None, "not a folder that `tapeout plan` wrote"),
        ("inputs/small.yaml", None, "cannot read the file"),
    ],
)
def test_a_damaged_folder_is_refused(run, home, tmp_path, name, content, says):
    shutil.copytree(home / "run", tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    if content is not None:
        (tmp_path / "run" / name).write_text(content)
    ran = run("compare", str(home / "run"), str(tmp_path / "run"))
    assert ran.code == 2
    assert says in ran.err
    assert name in ran.err


def test_a_gap_that_is_none_is_refused(run, home):
    assert run("compare", str(home / "run"), str(home / "run"), "--gap", "2").code == 2
