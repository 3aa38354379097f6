"""Tables of measurements: the package's own stand on known sources, chips and models, and a bad cell is named by file, line and column."""

from collections import Counter
from pathlib import Path

import pytest

from tapeout.calibration import measurements
from tapeout.calibration.measurements import FOLDER, PROVENANCE, published, read_measurements, scored
from tapeout.errors import FactError, InputError
from tapeout.hardware.catalog import chip_ids
from tapeout.performance.cases import COLUMNS, MEASURES
from tapeout.performance.predict import Kind
from tapeout.provenance import sources
from tapeout.workload.catalog import model_ids

from .conftest import GOOD, OFFLINE, Read


def test_every_own_row_has_a_known_source_chip_and_model() -> None:
    rows = published()
    assert len(rows) > 400
    assert {row.source for row in rows} <= set(sources())
    assert {row.chip for row in rows} <= set(chip_ids())
    assert {row.model for row in rows} <= set(model_ids())
    assert all(row.place and row.software and row.submitter for row in rows)
    assert len({row.name for row in rows}) == len(rows)


def test_own_rows_are_spread_and_none_is_dropped_in_silence() -> None:
    rows = scored(published())
    assert Counter(row.kind for row in rows).keys() == set(Kind)
    assert len({row.chip for row in rows}) >= 13
    assert len({row.model for row in rows}) >= 15
    assert {row.precision for row in rows} == {"bf16", "fp8", "fp4"}
    excluded = [row for row in published() if row.excluded]
    assert len(excluded) == 18
    assert len(rows) + len(excluded) == len(published())


def test_no_two_scored_rows_say_the_same() -> None:
    """A value that a vendor republished would count twice."""
    rows = scored(published())
    counts = Counter((*(row.cells[name] for name in COLUMNS[1:]), row.ttft, row.tpot, row.output_rate_per_chip) for row in rows)
    assert [key for key, count in counts.items() if count > 1] == []


def test_own_tables_have_all_columns_and_nothing_else() -> None:
    for path in FOLDER.glob("*.csv"):
        assert path.read_text().splitlines()[0] == ",".join((*COLUMNS, *MEASURES, *PROVENANCE)), path


def test_a_published_number_is_read_in_seconds() -> None:
    """MLPerf Inference v4.1, closed/NVIDIA, B200-SXM-180GBx1: 11,264 tokens/s; InferenceX: milliseconds."""
    (b200,) = [row for row in published() if row.place == "closed/NVIDIA/results/B200-SXM-180GBx1_TRT/llama2-70b-99.9/Offline"]
    assert b200.output_rate_per_chip == 11264.4
    online = next(row for row in published() if row.ttft is not None)
    assert online.ttft is not None
    assert online.tpot is not None
    assert 1e-3 < online.tpot < 0.1 < 1e3 * online.ttft


def test_good_rows_are_read(read: Read) -> None:
    online, offline, limited = read({}, OFFLINE, OFFLINE | {"concurrency": "64"})
    assert (online.ttft, online.tpot, online.output_rate_per_chip) == (0.1, 0.01, None)
    assert (offline.ttft, offline.tpot, offline.output_rate_per_chip) == (None, None, 5000.0)
    assert online.source == "measured.csv"
    assert online.case is not None
    assert online.case.prompt == 1024
    assert limited.case is not None
    assert limited.case.concurrency == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"isl": "0"}, r"measured\.csv:3: isl: bad value: isl '0'"),
        ({"kind": "onlin"}, r"measured\.csv:3: kind: bad value"),
        ({"precision": "fp7"}, r"measured\.csv:3: precision: bad value"),
        ({"concurrency": ""}, r"measured\.csv:3: concurrency: bad value"),
        ({"tpot_ms": "-1"}, r"measured\.csv:3: tpot_ms: not a measured value, given '-1', allowed: a number above 0"),
        ({"tpot_ms": "nan"}, r"measured\.csv:3: tpot_ms: not a measured value"),
        ({"ttft_ms": "fast"}, r"measured\.csv:3: ttft_ms: not a measured value"),
        ({"ttft_ms": "", "tpot_ms": ""}, r"measured\.csv:3: output_tokens_per_s_per_chip: an online row without a measured value"),
        (OFFLINE | {"output_tokens_per_s_per_chip": ""}, r"an offline row without a measured value"),
        ({"case": "0"}, r"measured\.csv:3: case: two rows of one name, given '0'; see .*measured\.csv:2"),
        ({"case": ""}, r"measured\.csv:3: case: a row without a name"),
    ],
)
def test_a_bad_cell_is_named(read: Read, change: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read({}, change)


def test_what_the_catalogue_lacks_is_kept_without_a_case(read: Read) -> None:
    _, unknown = read({}, {"chip": "nvidia-h100-smx"})
    assert unknown.case is None
    assert unknown.problem == "unknown chip: did you mean nvidia-h100-sxm?"


def test_a_table_without_measured_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text(",".join(COLUMNS) + ",ttft\n" + ",".join(GOOD[name] for name in COLUMNS) + ",1\n")
    with pytest.raises(InputError, match=r"cases\.csv:1: no column of measured values, .*did you mean ttft\?"):
        read_measurements(path)
    path.write_text(",".join((*COLUMNS, "tpot_ms")) + "\n")
    with pytest.raises(InputError, match="the table has no rows"):
        read_measurements(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "nowhere"}, "row 0: unknown source nowhere"),
        ({"place": ""}, "row 0: no place within the source"),
        ({"software": ""}, "row 0: no software"),
        ({"chip": "nvidia-h100-smx"}, "row 0: unknown chip"),
    ],
)
def test_an_own_row_without_provenance_is_refused(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], message: str
) -> None:
    good = {"source": "mlperf-inference-v5-1", "place": "closed/x", "software": "TensorRT 10.11"}
    monkeypatch.setattr(measurements, "FOLDER", tmp_path)
    published.cache_clear()
    try:
        read(good)
        assert len(published()) == 1
        read(good | change)
        published.cache_clear()
        with pytest.raises(FactError, match=message):
            published()
    finally:
        published.cache_clear()
