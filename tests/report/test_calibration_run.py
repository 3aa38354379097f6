"""`tapeout calibrate` as a user meets it: a file of measurements in, coefficients that the other commands take out."""

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tapeout import cli
from tapeout.calibration.operator_laws import law_seconds
from tapeout.calibration.operator_table import OperatorTable, table, to_csv
from tapeout.hardware.catalog import chips
from tapeout.performance.cases import COLUMNS
from tapeout.performance.efficiency import efficiencies, read_efficiencies

CHIP = "nvidia-h100-sxm"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tapeout", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


def products(count: int = 120) -> OperatorTable:
    """Products of a machine that takes 1.4 times as long as the shipped coefficients say."""
    random = np.random.default_rng(3)
    rows, inner, outer = (np.round(np.exp(random.uniform(np.log(low), np.log(16384), count))) for low in (1, 512, 512))
    shapes = {"operator": "product", "chip": CHIP, "format": "bf16", "rows": rows, "inner": inner, "outer": outer, "seconds": 1.0}
    found = table(shapes, count)
    return replace(found, seconds=1.4 * law_seconds(found, chips(), efficiencies()))


def test_a_measured_machine_is_predicted_as_slow_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(to_csv(products()))
    options = ("--measurements", str(tmp_path / "mine.csv"), "--out", str(tmp_path / "fit"), "-o", "json")
    code, out, err = run("calibrate", *options)
    assert code == 0, err
    (row,) = [row for row in json.loads(out) if row["chip"] == CHIP]
    assert row["rows"] == 120
    assert row["median"] < 0.01
    assert sorted(path.name for path in (tmp_path / "fit").iterdir()) == ["efficiencies.toml", "fit.json"]
    record = json.loads((tmp_path / "fit" / "fit.json").read_text())
    assert [group["coefficients"] for group in record["groups"]] == ["products.bf16"]
    fitted = read_efficiencies(tmp_path / "fit" / "efficiencies.toml")
    assert fitted["hopper"].products["bf16"].compute.source == "user-supplied"
    # The other commands take the file: only products in bf16 changed, and of a dense model in fp8 only the head is one.
    times = [tpot(run, tmp_path, precision, options) for precision in ("bf16", "fp8") for options in ((), efficiencies_of(tmp_path))]
    assert 1.1 < times[1] / times[0] < 1.4
    assert times[3] / times[2] == pytest.approx(1, abs=0.05)


def efficiencies_of(folder: Path) -> tuple[str, ...]:
    return ("--efficiencies", str(folder / "fit" / "efficiencies.toml"))


def tpot(run: Run, folder: Path, precision: str, options: tuple[str, ...]) -> float:
    case = ("a", "online", CHIP, "1", "meta-llama/Llama-3.1-8B", precision, "256", "256", "1", "1", "", "", "8")
    (folder / "cases.csv").write_text(",".join(COLUMNS) + "\n" + ",".join(case) + "\n")
    assert run("predict", str(folder / "cases.csv"), "-o", str(folder / "answers.csv"), *options)[0] == 0
    (row,) = csv.DictReader((folder / "answers.csv").read_text().splitlines())
    return float(row["tpot_ms"])


def test_bad_input_names_the_place_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(to_csv(products()).replace("bf16", "bf17"))
    code, _, err = run("calibrate", "--measurements", str(tmp_path / "bad.csv"), "--out", str(tmp_path / "fit"))
    assert code == 2
    assert "bad.csv:2: format: unknown format, given 'bf17'" in err
    (tmp_path / "few.csv").write_text(to_csv(products().take(np.arange(10))))
    code, _, err = run("calibrate", "--measurements", str(tmp_path / "few.csv"), "--out", str(tmp_path / "fit"))
    assert code == 2
    assert "too few rows to fit any coefficient, given '10 rows'" in err
    (tmp_path / "other.csv").write_text(to_csv(products()).replace(CHIP, "nvidia-h100-smx"))
    code, _, err = run("calibrate", "--measurements", str(tmp_path / "other.csv"), "--out", str(tmp_path / "fit"))
    assert code == 2
    assert "did you mean nvidia-h100-sxm?" in err
    assert not (tmp_path / "fit").exists()
