"""Long tables: what is written is read back to the bit, by readers that share nothing with the writer."""

import csv
import io

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyarrow import parquet

from tapeout.report.columns import columns_csv, columns_parquet


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(allow_infinity=False)))
def test_numbers_come_back_to_the_bit_and_nan_is_an_empty_cell(values: np.ndarray) -> None:
    columns = {"request": np.arange(len(values)), "ttft_s": values, "keeps_limits": values > 0}
    rows = list(csv.DictReader(io.StringIO(columns_csv(columns).decode())))
    assert [int(row["request"]) for row in rows] == list(range(len(values)))
    for row, value in zip(rows, values.tolist(), strict=True):
        assert row["ttft_s"] == "" if value != value else float(row["ttft_s"]) == value
        assert row["keeps_limits"] == ("true" if value > 0 else "false")
    found = parquet.read_table(io.BytesIO(columns_parquet(columns)))
    assert found.schema.names == list(columns)
    assert found.schema.types == [pa.int64(), pa.float64(), pa.bool_()]
    assert found["ttft_s"].to_pylist() == [None if value != value else value for value in values.tolist()]


def test_a_view_that_is_not_contiguous_is_written_too() -> None:
    assert columns_csv({"a": np.arange(6)[::2], "b": np.broadcast_to(np.int32(7), 3)}) == b"a,b\n0,7\n2,7\n4,7\n"
