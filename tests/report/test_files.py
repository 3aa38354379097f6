"""Files of a run: whole or not at all, hashed, and never outside their folder."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from tapeout.errors import InputError
from tapeout.report import files
from tapeout.report.files import Input, Run, prepare_folder, write_run
from tapeout.report.tables import Column, Table
from tapeout.report.writing import write_text

TABLE = Table(id="fleet", title="Fleet", columns=(Column(key="chip", heading="Chip"),), rows=[{"chip": "a"}])


def made(**changes: object) -> Run:
    inputs = (Input(name="scenario.yaml", content=b"tapeout: 1\n", frozen=True), Input(name="data/chips/a.toml", content=b"x"))
    parts = {
        "version": "0",
        "date": "2026-01-01",
        "inputs": inputs,
        "tables": (TABLE,),
        "page": "<html>",
        "plan": {"cost_usd": 1.0},
    } | changes
    return Run(**parts)  # type: ignore[arg-type]


def test_a_run_is_complete_and_its_hashes_are_right(tmp_path: Path) -> None:
    write_run(tmp_path / "out", made())
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"inputs/scenario.yaml", "inputs/inputs.json", "tables/fleet.csv", "tables/fleet.parquet", "plan.json", "report.html"}
    record = json.loads((tmp_path / "out/inputs/inputs.json").read_text())
    assert [entry["sha256"] for entry in record["files"]] == [hashlib.sha256(content).hexdigest() for content in (b"tapeout: 1\n", b"x")]


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    write_run(tmp_path, made())
    write_run(tmp_path, made(page="<html>second"))
    assert (tmp_path / "report.html").read_text() == "<html>second"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    write_run(tmp_path, made(page="first"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    replace, calls = os.replace, []

    def failing(source: str, target: str) -> None:
        calls.append(target)
        # The first moves of the second run succeed, so that there is something to put back.
        if len(calls) == 4:
            raise error
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", failing)
    with pytest.raises((KeyboardInterrupt, InputError)):
        write_run(tmp_path, made(page="second"))
    assert len(calls) >= 4
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_new_folder_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "run_files", failing)
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path / "new" / "deep", made())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError):
            prepare_folder(bad)
    assert prepare_folder(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_no_name_leads_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="relative"):
        write_run(tmp_path, made(inputs=(Input(name=name, content=b"", frozen=True),)))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "one")
    write_text(tmp_path / "a.csv", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    with pytest.raises(InputError):
        write_text(tmp_path / "no" / "a.csv", "x")
