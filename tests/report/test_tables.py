"""Tables: the same rows in the terminal, as CSV, JSON and Parquet, and never a number that is none."""

import csv
import io
import json
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from rich.console import Console

from tapeout.report.numbers import COMPACT_STEPS, MISSING, NumberStyle
from tapeout.report.parquet import to_parquet
from tapeout.report.tables import Column, Table, flat, pivot, to_csv, to_json
from tapeout.report.terminal import to_rich

ROWS = [
    {"chip": "a, \"quoted\"", "usd": {"p5": 1.5, "p50": 2.0}, "ok": True, "count": 3, "tags": ["x", "y"], "lost": float("nan")},
    {"chip": "b [red]bold[/]", "usd": {"p5": 0.25, "p50": math.inf}, "ok": False, "count": 12_345_678, "tags": [], "lost": None},
]  # fmt: skip
TABLE = Table(
    id="t",
    title="T",
    columns=(
        Column(key="chip", heading="Chip"),
        Column(key="usd.p50", heading="USD", style=NumberStyle(prefix="$")),
        Column(key="count", heading="Count", style=NumberStyle(digits=1)),
        Column(key="lost", heading="Lost", style=NumberStyle()),
    ),
    rows=ROWS,
)


def printed(table: Table) -> str:
    console = Console(width=120, file=io.StringIO(), color_system="truecolor", force_terminal=True)
    console.print(to_rich(table))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_all_forms_hold_the_same_rows() -> None:
    from_csv = list(csv.DictReader(io.StringIO(to_csv(TABLE))))
    from_json = [flat(row) for row in json.loads(to_json(TABLE))]
    from_parquet = parquet.read_table(pa.BufferReader(to_parquet(TABLE))).to_pylist()
    assert [row["chip"] for row in from_csv] == [row["chip"] for row in from_json] == [row["chip"] for row in from_parquet]
    assert [row["usd.p50"] for row in from_json] == [row["usd.p50"] for row in from_parquet] == [2.0, None]
    assert [row["usd.p50"] for row in from_csv] == ["2.0", ""]
    assert [row["ok"] for row in from_parquet] == [True, False]


def test_what_is_no_number_is_missing_everywhere() -> None:
    for text in (to_csv(TABLE), to_json(TABLE), printed(TABLE)):
        assert "nan" not in text.lower()
        assert "inf" not in text.lower()
    assert MISSING in printed(TABLE)


def test_names_cannot_steer_the_terminal() -> None:
    assert "[red]bold[/]" in printed(TABLE)
    hostile = Table(id="t", title="T", columns=TABLE.columns[:1], rows=[{"chip": "x\x1b[2Jy\nz"}])
    assert "\x1b[2J" not in printed(hostile)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15), st.integers(1, 6), st.booleans())
def test_a_number_reads_back_within_its_digits(value: float, digits: int, compact: bool) -> None:
    text = NumberStyle(digits=digits, compact=compact).show(value)
    scale = next((size for size, letter in COMPACT_STEPS if text.endswith(letter)), 1.0)
    read = float(text.rstrip("kMBT").replace(",", "")) * scale
    assert read == pytest.approx(value, rel=0.5000001 * 10.0 ** (1 - digits), abs=1e-12)


def test_a_pivot_sums_what_falls_together() -> None:
    rows = [{"q": "1", "chip": "a", "n": 2.0}, {"q": "1", "chip": "a", "n": 3.0}, {"q": "2", "chip": "b", "n": 4.0}]
    long = Table(id="l", title="L", columns=(Column(key="q", heading="Quarter"),), rows=rows)
    wide = pivot(long, index="q", across="chip", value="n", style=NumberStyle())
    assert list(wide.rows) == [{"q": "1", "a": 5.0, "b": 0.0}, {"q": "2", "a": 0.0, "b": 4.0}]
