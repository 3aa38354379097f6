"""The format of measured operators: what is written reads back, and a fault is named by line and column."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tapeout.calibration.operator_table import COLUMNS, Measured, concatenated, parse, read, table, to_csv
from tapeout.errors import InputError

SHAPES = {"rows": [1, 2.0], "inner": 4096, "outer": [5, 6]}
PRODUCTS = table({"operator": "product", "chip": "nvidia-b200", "format": "fp8", "seconds": [1e-6, 2.5e-6]} | SHAPES, 2)
REDUCTION = table(
    {"operator": "all-reduce", "chip": "nvidia-b200", "peers": 8, "message_bytes": 1e6, "seconds": 3e-5, "software": "x, y"}, 1
)
ROWS = concatenated([PRODUCTS, REDUCTION])
TEXT = to_csv(ROWS)


def same(one: object, other: object) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_a_table_reads_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(TEXT)
    same(read(tmp_path / "rows.csv"), ROWS)
    assert len(ROWS.of(Measured.PRODUCT)) == 2


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    columns = {name: getattr(ROWS, name) for name in COLUMNS}
    parquet.write_table(pa.table({name: pa.array(column.tolist()) for name, column in columns.items()}), tmp_path / "rows.parquet")
    same(read(tmp_path / "rows.parquet"), ROWS)


def test_optional_columns_may_be_missing_and_lines_blank() -> None:
    header = [name for name in COLUMNS if name not in ("value_size", "rope_size", "software")]
    row = {"operator": "send", "chip": "a", "peers": "2", "message_bytes": "8", "seconds": "1e-6"}
    found = parse(",".join(header) + "\n\n" + ",".join(row.get(name, "") for name in header) + "\n", "mine.csv")
    assert found.peers.tolist() == [2.0]
    assert np.isnan(found.value_size).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("product", "produkt", "rows.csv:2: operator: unknown operator, given 'produkt', allowed: product, .*; did you mean product?"),
        ("fp8", "fp9", "rows.csv:2: format: unknown format, given 'fp9'"),
        (",4096,", ",,", "rows.csv:2: inner: an empty cell, which product needs"),
        (",4096,", ",-1,", "rows.csv:2: inner: out of range, given -1.0, allowed: a number above 0"),
        (",4096,", ",many,", "rows.csv:2: inner: not a number, given 'many'"),
        ("2.5e-06", "inf", "rows.csv:3: seconds: not a finite number, given 'inf'"),
        (",8,", ",1,", "rows.csv:4: peers: out of range, given 1.0, allowed: a number from 2 on"),
        (",1e-06,", "", "rows.csv:2: a row of another length than the header"),
        ("rows,", "row,", "rows.csv:1: unknown column, given 'row', .*did you mean rows?"),
        ("rows,", "", "rows.csv:1: missing column rows"),
        ("rows,", "rows,rows,", "rows.csv:1: a column stands twice, given 'rows'"),
    ],
)
def test_a_fault_is_named_by_line_and_column(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        parse(TEXT.replace(old, new), "rows.csv")


def test_every_fault_is_told() -> None:
    with pytest.raises(InputError, match="1 further fault"):
        parse(TEXT.replace("fp8", "fp9"), "rows.csv")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the table is empty"):
        parse("\n", "rows.csv")
    with pytest.raises(InputError, match="cannot read the file"):
        read(tmp_path / "none.csv")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="cannot read the Parquet file"):
        read(tmp_path / "text.parquet")
    (tmp_path / "latin.csv").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="not UTF-8"):
        read(tmp_path / "latin.csv")
