"""Operator measurements of the package aiconfigurator-core as a table: what several serving stacks measured, one row a shape.

Of each stack the newest version counts that measured a shape; over the stacks the median is taken. The best of them would say what a
chip can do; but a serving result is one of any stack, and the median is not moved by a stack that lacks a kernel for one format.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from tapeout.calibration.operator_table import Measured, OperatorTable, concatenated, table
from tapeout.errors import InputError, Place
from tapeout.hardware.catalog import chips
from tapeout.hardware.chip import Chip, NumberFormat
from tapeout.provenance import DATA, load_toml
from tapeout.workload.numerics import FORMAT_BYTES, Format

Array = NDArray[np.float64]
Columns = Mapping[str, Any]

PACKAGE = "aiconfigurator-core"
MODULE = "aiconfigurator_core"
MILLISECOND = 1e-3
MOST_ROWS = 6000
"""Most rows of one chip, operator and format that are kept; of more, every n-th."""
ENOUGH_ROWS = 1000
"""Rows that several stacks measured from which on those of a single one are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One kind of files: folder and names, the words that it must have, and what a row of it is as columns of an operator table.

    `cells` gives those columns from the file's, and "" as the operator of what is not wanted; `apart` names the columns that tell
    measurements of one shape apart.
    """

    folder: str
    files: tuple[str, ...]
    words: tuple[str, ...]
    numbers: tuple[str, ...]
    cells: Callable[[Columns, Chip], dict[str, Any]]
    apart: tuple[str, ...] = ()


def tables_folder(given: Path | None) -> Path:
    """The folder with the systems' tables: `given`, or that of the installed package; raises InputError where there is none."""
    if given is None:
        try:
            importlib.metadata.version(PACKAGE)
            given = Path(str(importlib.resources.files(MODULE))) / "systems"
        except (importlib.metadata.PackageNotFoundError, ModuleNotFoundError):
            raise InputError(
                f"{PACKAGE} is not installed",
                hint=f"pip install 'tapeout[calibrate]', or give the folder of an unpacked {PACKAGE} by --tables",
            ) from None
    for folder in (given, given / "systems", given / MODULE / "systems"):
        if (folder / "data").is_dir():
            return folder / "data"
    raise InputError("no operator tables", place=Place(file=str(given)), allowed=f"the folder of {PACKAGE}, which has systems/data")


def version(given: Path | None) -> str:
    """What was read, in words: the installed package's version, or that it was unpacked."""
    return PACKAGE if given else f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"


def systems() -> dict[str, str]:
    """Catalogue ids of chips by the names of systems that were measured."""
    found: dict[str, str] = load_toml(DATA / "aiconfigurator.toml")["systems"]
    return found


def read(given: Path | None, say: Callable[[str], None] = lambda text: None) -> OperatorTable:
    """All operators of all systems that are in the catalogue."""
    folder, found = tables_folder(given), []
    for system, chip in systems().items():
        parts = [part for source in _SOURCES for part in _read(folder / system, source, chips()[chip])]
        if parts:
            found.append(concatenated(parts))
            say(f"read {system}: {len(found[-1])} rows")
    if not found:
        raise InputError("no table of a known system", place=Place(file=str(folder)), allowed=systems())
    return concatenated(found)


def _read(folder: Path, source: _Source, chip: Chip) -> Iterator[OperatorTable]:
    files = sorted(path for name in source.files for path in (folder / source.folder).glob(f"*/*/{name}.parquet"))
    if not files:
        return
    columns = _columns(files, source)
    cells = _broadcast(source.cells(columns, chip), len(columns["latency"]))
    wanted = (cells["operator"] != "") & (columns["latency"] > 0)
    if wanted.any():
        apart = [columns[name][wanted] for name in source.apart]
        yield from _thinned(_medians(_taken(cells, wanted), _taken(columns, wanted), apart), chip)


def _columns(files: Sequence[Path], source: _Source) -> dict[str, Any]:
    """The files' columns one after the other, with the stack and the rank of its version; a column that a file lacks is empty."""
    read: list[dict[str, Any]] = []
    versions = sorted({path.parent.name for path in files}, key=_version_key)
    for path in files:
        try:
            found = parquet.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise InputError("cannot read the Parquet file", place=Place(file=str(path)), hint=str(error).splitlines()[0]) from error
        columns: dict[str, Any] = {name: _numbers(found, name) for name in (*source.numbers, "latency")}
        columns |= {name: _words(found, name) for name in source.words}
        columns["stack"] = np.full(found.num_rows, path.parent.parent.name)
        read.append(columns | {"version": np.full(found.num_rows, versions.index(path.parent.name))})
    return {name: np.concatenate([columns[name] for columns in read]) for name in read[0]}


def _numbers(found: pa.Table, name: str) -> Array:
    if name not in found.column_names:
        return np.full(found.num_rows, np.nan)
    column: Array = found.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return column


def _words(found: pa.Table, name: str) -> NDArray[np.str_]:
    if name not in found.column_names:
        return np.full(found.num_rows, "")
    return np.array([value or "" for value in found.column(name).cast(pa.string()).to_pylist()])


def _version_key(text: str) -> tuple[int, ...]:
    """A sorting key by which 1.3.0 comes after its release candidates."""
    numbers = [int(number) for number in re.findall(r"\d+", text.partition("rc")[0])[:3]]
    candidate = re.search(r"rc(\d+)", text)
    return (*numbers, *[0] * (3 - len(numbers)), int(candidate.group(1)) if candidate else 10**6)


def _broadcast(cells: Columns, count: int) -> dict[str, Any]:
    return {name: np.broadcast_to(np.asarray(cell), (count,)) for name, cell in cells.items()}


def _taken(columns: Columns, rows: NDArray[Any]) -> dict[str, Any]:
    return {name: column[rows] for name, column in columns.items()}


def _medians(cells: Columns, columns: Columns, apart: Sequence[Any]) -> dict[str, Any]:
    """One row a shape: the newest version of each stack that measured it, then the median over stacks and what else is `apart`."""
    keys = [np.unique(cell, return_inverse=True)[1] for cell in cells.values()]
    measured = [np.unique(column, return_inverse=True)[1] for column in (columns["stack"], *apart)]
    order = np.lexsort((columns["version"], *measured, *keys))
    newest = order[_last([*measured, *keys], order)]
    keys, latency = [key[newest] for key in keys], columns["latency"][newest]
    order = np.lexsort((latency, *keys))
    ends = np.flatnonzero(_last(keys, order)) + 1
    starts = np.concatenate(([0], ends[:-1]))
    count, latency = ends - starts, latency[order]
    middle = (latency[starts + (count - 1) // 2] + latency[starts + count // 2]) / 2
    return _taken(cells, newest[order[starts]]) | {"seconds": middle * MILLISECOND, "measurements": count}


def _last(keys: Sequence[NDArray[np.int64]], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where in `order` the last of a run of equal keys stands."""
    changes = np.zeros(len(order) - 1, dtype=bool)
    for key in keys:
        changes |= key[order][1:] != key[order][:-1]
    return np.append(changes, True)


def _thinned(shapes: dict[str, Any], chip: Chip) -> Iterator[OperatorTable]:
    """The shapes as tables, at most `MOST_ROWS` of each operator and format, spread evenly over their order."""
    count = shapes.pop("measurements")
    groups = np.rec.fromarrays([shapes[name] for name in ("operator", "format", "cache_format") if name in shapes])
    for one in np.unique(groups):
        rows = np.flatnonzero(groups == one)
        shared = rows[count[rows] > 1]
        # What a single stack measured says as much of the stack as of the chip.
        rows = shared if len(shared) >= ENOUGH_ROWS else rows
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]
        software = np.array([f"median of {number}" for number in count[rows].tolist()])
        yield table(_taken(shapes, rows) | {"chip": chip.id, "software": software}, len(rows))


def _named(words: NDArray[np.str_], names: Mapping[str, str]) -> NDArray[np.str_]:
    """The names of `words`, "" for what has none."""
    distinct, index = np.unique(words, return_inverse=True)
    return np.array([names.get(str(word), "") for word in distinct])[index]


def _where(kept: NDArray[np.bool_], operator: Measured) -> NDArray[np.str_]:
    return np.where(kept, operator.value, "")


_PRODUCT_FORMATS = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8", "sq": "int8", "nvfp4": "fp4"}
_GROUPED_FORMATS = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8", "nvfp4": "fp4", "w4a8_mxfp4_mxfp8": "fp4"}
_UNPACKED_FORMATS = {"w4a16_mxfp4": "fp4"}
_CACHE_FORMATS = {"bfloat16": "bf16", "fp8": "fp8"}
_COLLECTIVES = {"all_reduce": "all-reduce", "all_gather": "all-gather", "reduce_scatter": "reduce-scatter", "alltoall": "all-to-all"}


def _product(columns: Columns, chip: Chip) -> dict[str, Any]:
    rows, form = columns["m"], _named(columns["gemm_dtype"], _PRODUCT_FORMATS)
    # Stacks pad the tokens of a step; shapes one beyond a tile show what a kernel does at its worst.
    kept = (form != "") & ((rows <= 16) | (rows % 16 == 0)) & (columns["n"] >= 64) & (columns["k"] >= 64)
    return {"operator": _where(kept, Measured.PRODUCT), "format": form, "rows": rows, "inner": columns["k"], "outer": columns["n"]}


def _grouped(columns: Columns, chip: Chip) -> dict[str, Any]:
    formats = _GROUPED_FORMATS if NumberFormat.FP4 in chip.peak else _GROUPED_FORMATS | _UNPACKED_FORMATS
    form, split = _named(columns["moe_dtype"], formats), columns["moe_ep_size"]
    # A skewed load on split experts measures the busiest chip, which is a coefficient of its own; experts without gate are few.
    kept = (
        (form != "") & ((split == 1) | (columns["distribution"] == "balanced")) & (np.char.find(columns["kernel_source"], "nongated") < 0)
    )
    return {
        "operator": _where(kept, Measured.GROUPED_PRODUCT), "format": form, "rows": columns["num_tokens"], "inner": columns["hidden_size"],
        "outer": columns["inter_size"] / columns["moe_tp_size"], "experts": columns["num_experts"],
        "experts_per_token": columns["topk"], "expert_peers": split,
    }  # fmt: skip


def _attention(columns: Columns, operator: Measured) -> dict[str, Any]:
    window = np.nan_to_num(columns["window_size"])
    decode = operator is Measured.DECODE_ATTENTION
    form, cache = (_named(columns[name], _CACHE_FORMATS) for name in ("attn_dtype", "kv_cache_dtype"))
    return {
        "operator": _where((form != "") & (cache != ""), operator), "format": form, "cache_format": cache,
        "sequences": columns["batch_size"], "new_tokens": columns["isl"],
        "context": columns["step"] if decode else np.zeros(len(window)), "heads": columns["num_heads"],
        "kv_heads": columns["num_key_value_heads"], "head_size": columns["head_dim"], "window": np.where(window > 0, window, np.nan),
    }  # fmt: skip


def _latent(columns: Columns, operator: Measured) -> dict[str, Any]:
    decode = operator is Measured.DECODE_ATTENTION
    form, cache = (_named(columns[name], _CACHE_FORMATS) for name in ("mla_dtype", "kv_cache_dtype"))
    # The tables of one other stack time the absorbed form in prefill, and a cache that it converts first in decode: other operators.
    kept = (form != "") & (cache != "") & (columns["stack"] == "trtllm")
    return {
        "operator": _where(kept, operator), "format": form, "cache_format": cache, "sequences": columns["batch_size"],
        "new_tokens": columns["isl"], "context": columns["step"] if decode else np.zeros(len(form)), "heads": columns["num_heads"],
        "kv_heads": 1.0, "head_size": 192.0, "value_size": 128.0, "kv_rank": 512.0, "rope_size": 64.0,
    }  # fmt: skip


def _collective(columns: Columns, chip: Chip) -> dict[str, Any]:
    # Activations travel in 16 bits. Decode runs captured as a graph: what the host adds to an eager launch is no time of the collective.
    kept = (columns["nccl_dtype"] != "int8") & (np.char.find(columns["backend"], "eager") < 0)
    return {
        "operator": np.where(kept, _named(columns["op_name"], _COLLECTIVES), ""), "peers": columns["num_gpus"],
        "message_bytes": columns["message_size"] * FORMAT_BYTES[Format.BF16],
    }  # fmt: skip


_HEADS = ("batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size")
_SOURCES = (
    _Source(folder="gemm", files=("gemm_perf",), words=("gemm_dtype",), numbers=("m", "n", "k"), cells=_product, apart=("gemm_dtype",)),
    _Source(
        folder="moe", files=("moe_perf",), words=("moe_dtype", "distribution", "kernel_source"),
        numbers=("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"),
        cells=_grouped, apart=("moe_dtype", "distribution"),
    ),
    _Source(
        folder="attention", files=("context_attention_perf",), words=("attn_dtype", "kv_cache_dtype"), numbers=_HEADS,
        cells=lambda columns, chip: _attention(columns, Measured.PREFILL_ATTENTION),
    ),
    _Source(
        folder="attention", files=("generation_attention_perf",), words=("attn_dtype", "kv_cache_dtype"), numbers=_HEADS,
        cells=lambda columns, chip: _attention(columns, Measured.DECODE_ATTENTION),
    ),
    _Source(
        folder="mla", files=("context_mla_perf",), words=("mla_dtype", "kv_cache_dtype"), numbers=_HEADS,
        cells=lambda columns, chip: _latent(columns, Measured.PREFILL_ATTENTION),
    ),
    _Source(
        folder="mla", files=("generation_mla_perf",), words=("mla_dtype", "kv_cache_dtype"), numbers=_HEADS,
        cells=lambda columns, chip: _latent(columns, Measured.DECODE_ATTENTION),
    ),
    _Source(
        folder="comm", files=("nccl_perf", "custom_allreduce_perf"), words=("op_name", "nccl_dtype", "backend"),
        numbers=("num_gpus", "message_size"),
        cells=_collective,
    ),
)  # fmt: skip
