"""Tables as Parquet files, by Apache Arrow."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tapeout.report.tables import Scalar, Table, flat, keys


def to_parquet(table: Table) -> bytes:
    """The rows as a Parquet file, flat: a column is integer, floating point, boolean or text, as its values are; null is missing."""
    rows = [flat(row) for row in table.rows]
    numeric = {column.key for column in table.columns if column.numeric}
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({key: _array([row.get(key) for row in rows], key in numeric) for key in keys(table)}), sink)
    return bytes(sink.getvalue().to_pybytes())


def _array(values: list[Scalar], numeric: bool) -> Any:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int}:
        return pa.array(values, pa.int64())
    if kinds <= {int, float} and (kinds or numeric):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
