"""The option `--cluster` as a user meets it: the same bytes as here, and what is wrong with exit code 2."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tapeout.design import grid
from tests.program import Ran

SCENARIO = str(Path(__file__).parents[2] / "scenarios" / "lab-2026.yaml")


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid of a few hundred designs."""
    for name, values in (("UNITS", (32, 48)), ("TILES", (128,)), ("CLOCKS", (1.6e9,)), ("ON_CHIP", (192 * 2**20,)), ("LINKS", (900e9,))):
        monkeypatch.setattr(grid, name, values)


@pytest.mark.usefixtures("_few")
def test_a_design_has_the_same_bytes_from_a_cluster(run: Callable[..., Ran], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as local:
        ran = run("design", SCENARIO, "--out", str(tmp_path / "there"), "--cluster", local.scheduler_address)
        assert ran.code == 0
        assert f"2 processes work for {local.scheduler_address}" in ran.err
    assert run("design", SCENARIO, "--out", str(tmp_path / "here"), "--workers", "1").code == 0
    names = {path.name for path in (tmp_path / "there").iterdir()}
    assert {"design.json", "chip.toml", "front.csv"} <= names
    for name in names:
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--cluster", "host:8786"), "allowed: tcp://HOST:PORT"),
        (("--cluster", "tcp://127.0.0.1:8786", "--workers", "2"), "--cluster and --workers exclude each other"),
    ],
)
def test_bad_input_is_refused_and_leaves_no_file(run: Callable[..., Ran], tmp_path: Path, words: tuple[str, ...], part: str) -> None:
    ran = run("design", SCENARIO, "--out", str(tmp_path / "run"), *words)
    assert ran.code == 2
    assert part in ran.err
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_what_to_install(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "tapeout.fleet.dask_cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    ran = run("design", SCENARIO, "--out", str(tmp_path / "run"), "--cluster", "tcp://127.0.0.1:8786")
    assert ran.code == 2
    assert "pip install 'tapeout[cluster]'" in ran.err
