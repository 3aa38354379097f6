"""`import tapeout`: the plan of a scenario as labelled arrays, and its program."""

import subprocess
import sys

import numpy as np
import pytest

import tapeout
from tapeout.api.result import part
from tapeout.errors import InputError
from tests.scenario.conftest import SMALL


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    found = tmp_path_factory.mktemp("api") / "small.yaml"
    found.write_text(SMALL)
    return found


@pytest.fixture(scope="module")
def result(path):
    return tapeout.plan(path, gap=1e-9)


def test_the_program_of_a_scenario_has_the_plan_of_the_scenario(path, result):
    model = tapeout.model(path)
    model.solve(solver_name="highs", io_api="direct", output_flag=False)
    assert model.to_result().cost == pytest.approx(result.cost, rel=1e-6)
    assert model.to_result().study is None
    assert max(model.to_result().certificate.violations.values()) < 1e-6


def test_a_plan_comes_with_its_study_and_proof(result):
    assert result.study.scenario.name == "small"
    assert result.bound <= result.cost
    assert result.gap == pytest.approx((result.cost - result.bound) / result.cost, abs=1e-9)


def test_its_arrays_are_labelled(result):
    found = result.to_xarray()
    assert found.orders.sel(offer="rented").sum().item() == pytest.approx(result.plan.orders[0].sum())
    assert found.spend.sel(category="rent", quarter="2026Q4").item() == pytest.approx(result.plan.spend["rent"][0])
    assert found.orders.attrs["units"] == "chip"
    assert found.attrs["cost_usd"] == result.cost


def test_an_unknown_layout_is_refused(result):
    with pytest.raises(InputError, match="node, scenario, expected"):
        result.to_xarray(by="leaf")


def test_import_is_light_and_other_names_are_unknown():
    loaded = "import sys, tapeout; print(sorted({'numpy', 'linopy', 'xarray', 'scipy'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'plam'"):
        tapeout.plam  # noqa: B018


def test_a_missing_extra_is_named(monkeypatch):
    for name in ("tapeout.api.labels", "tapeout.api.program"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InputError, match=r"pip install 'tapeout\[api\]'"):
        part("tapeout.api.labels")
    assert np.isfinite(1.0)
