"""`tapeout cost` as a user meets it: the same numbers in every form, files, and bad input with its exit code."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tapeout import cli
from tapeout.errors import InputError

COMMAND = ("cost", "google-tpu-v5e", "--draws", "2000")


def printed(*words: str) -> str:
    ran = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.stdout


def test_the_forms_hold_the_same_numbers_and_repeat(tmp_path: Path) -> None:
    record = json.loads(printed(*COMMAND, "-o", "json", "--out", str(tmp_path / "run")))
    assert record == json.loads(printed(*COMMAND, "-o", "json"))
    assert record == json.loads((tmp_path / "run" / "cost.json").read_text())
    lines = {line["part"]: line for line in csv.DictReader(io.StringIO(printed(*COMMAND, "-o", "csv")))}
    assert float(lines["Unit cost"]["p50"]) == record["unit_cost_usd"]["p50"]
    table = printed(*COMMAND)
    assert f"${record['unit_cost_usd']['p50']:,.0f}" in table
    assert "What moves the cost" in table
    assert "An owner's hour" in table
    assert json.loads(printed(*COMMAND, "--seed", "1", "-o", "json")) != record


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("google-tpu-v5p",), "die is not public.*die_area"),
        (("google-tpu-v5e", "--volume", "0"), "--volume must be positive"),
        (("google-tpu-v5e", "--draws", "0"), "at least one draw"),
        (("google-tpu-v5e", "--year", "2019"), "2020 or later"),
        (("google-tpu-v5e", "--site", "moon"), "unknown site"),
        (("google-tpu-v5e", "--owner", "me"), "unknown owner"),
        (("google-tpu-v5e", "--electricity", "irland"), "did you mean ireland"),
        (("google-tpu-v5e", "--utilisation", "0"), "above 0 and at most 1"),
    ],
)
def test_bad_input_says_what_is_allowed(words: tuple[str, ...], part: str) -> None:
    with pytest.raises(InputError, match=part):
        CliRunner().invoke(cli.app, ["cost", *words], catch_exceptions=False)


def test_a_die_above_the_reticle_and_an_unknown_node_are_refused(tmp_path: Path) -> None:
    text = (Path(cli.__file__).parent / "data" / "chips" / "google-tpu-v5e.toml").read_text()
    for old, new, part in (
        (
            'value = "325 mm2", low = "300 mm2", high = "350 mm2"',
            'value = "900 mm2"',
            r"reticle limit, given '900 mm2', allowed: up to 858",
        ),
        ('node     = "tsmc-5"', 'node     = "tsmc-9"', r"unknown process node.*tsmc-28"),
    ):
        assert old in text
        path = tmp_path / "chip.toml"
        path.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=part):
            CliRunner().invoke(cli.app, ["cost", str(path)], catch_exceptions=False)
