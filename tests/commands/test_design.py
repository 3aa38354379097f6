"""`tapeout design` as a user meets it: files, the same numbers in every form, and bad input with its exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tapeout import cli
from tapeout.design import grid
from tapeout.errors import InputError, UnknownNameError

SCENARIO = str(Path(__file__).parents[2] / "scenarios" / "lab-2026.yaml")


@pytest.fixture
def _few(monkeypatch):
    """A grid of a few hundred designs."""
    for name, values in (("UNITS", (32, 48)), ("TILES", (128,)), ("CLOCKS", (1.6e9,)), ("ON_CHIP", (192 * 2**20,)), ("LINKS", (900e9,))):
        monkeypatch.setattr(grid, name, values)


@pytest.mark.usefixtures("_few")
def test_files_and_record_agree(tmp_path):
    out = tmp_path / "run"
    result = CliRunner().invoke(cli.app, ["design", SCENARIO, "--out", str(out), "--workers", "1", "-o", "json"], catch_exceptions=False)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads((out / "design.json").read_text())
    assert {"chip.toml", "design.json", "front.csv", "design.html"} <= {path.name for path in out.iterdir()}
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("--volume", "0"), InputError, "volume must be positive"),
        (("--chip", "decode"), UnknownNameError, "unknown own chip"),
    ],
)
def test_bad_input_is_refused_and_leaves_no_file(tmp_path, words, error, message):
    with pytest.raises(error, match=message):
        CliRunner().invoke(cli.app, ["design", SCENARIO, "--out", str(tmp_path / "run"), *words], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []
