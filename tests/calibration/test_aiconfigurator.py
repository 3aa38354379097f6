"""Reading the operator tables of another package, from a small folder of the same form."""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tapeout.calibration import aiconfigurator
from tapeout.calibration.operator_table import Measured, OperatorTable
from tapeout.errors import InputError
from tapeout.hardware.catalog import chips

Rows = Sequence[Mapping[str, object]]
Write = Callable[[str, Rows], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "aiconfigurator_core" / "systems" / "data").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    def call(name: str, rows: Rows) -> None:
        path = folder / "aiconfigurator_core" / "systems" / "data" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)

    return call


def gemm(m: int = 16, form: str = "fp8", latency: float = 1.0) -> dict[str, object]:
    return {"gemm_dtype": form, "m": m, "n": 4096, "k": 1024, "latency": latency}


def seconds(found: OperatorTable) -> list[float]:
    return sorted(round(1e3 * value, 9) for value in found.seconds.tolist())


def test_every_system_is_a_chip_of_the_catalogue() -> None:
    assert set(aiconfigurator.systems().values()) <= set(chips())


def test_a_shape_is_the_median_of_the_newest_version_of_each_stack(folder: Path, write: Write) -> None:
    write("h100_sxm/gemm/trtllm/1.3.0rc9/gemm_perf", [gemm(latency=9.0), gemm(m=32, latency=7.0)])
    write("h100_sxm/gemm/trtllm/1.3.0rc20/gemm_perf", [gemm(latency=1.0)])
    write("h100_sxm/gemm/vllm/0.24.0/gemm_perf", [gemm(latency=2.0), gemm(form="fp8_block", latency=4.0)])
    write("h100_sxm/gemm/sglang/0.5.14/gemm_perf", [gemm(latency=8.0)])
    found = aiconfigurator.read(folder)
    # 1, 2, 4 and 8 ms of one shape, and 7 ms of another that the newer version did not measure.
    assert seconds(found) == [3.0, 7.0]
    one = found.take(found.rows == 16)
    assert (one.operator[0], one.chip[0], one.format[0]) == ("product", "nvidia-h100-sxm", "fp8")
    assert (one.inner[0], one.outer[0], one.software[0]) == (1024, 4096, "median of 4")


def test_a_release_is_newer_than_its_candidates(folder: Path, write: Write) -> None:
    for version, latency in (("1.3.0", 1.0), ("1.3.0rc20", 2.0), ("1.2.9", 3.0)):
        write(f"h100_sxm/gemm/trtllm/{version}/gemm_perf", [gemm(latency=latency)])
    assert seconds(aiconfigurator.read(folder)) == [1.0]


def test_unpadded_rows_and_other_formats_are_left_out(folder: Path, write: Write) -> None:
    write("h100_sxm/gemm/vllm/1/gemm_perf", [gemm(m=m) for m in (3, 16, 17, 32)] + [gemm(form="int4_wo")])
    assert sorted(aiconfigurator.read(folder).rows.tolist()) == [3, 16, 32]


def test_captured_collectives_of_16_bits_count(folder: Path, write: Write) -> None:
    reduced = {"op_name": "all_reduce", "num_gpus": 8, "message_size": 512}
    write("h100_sxm/comm/nccl/2.29/nccl_perf", [
        reduced | {"nccl_dtype": "half", "latency": 3.0}, reduced | {"nccl_dtype": "int8", "latency": 9.0},
        reduced | {"op_name": "alltoall", "nccl_dtype": "half", "latency": 5.0},
    ])  # fmt: skip
    write("h100_sxm/comm/vllm/0.24.0/custom_allreduce_perf", [
        reduced | {"backend": "vllm_graph", "latency": 1.0}, reduced | {"backend": "vllm_eager", "latency": 20.0},
    ])  # fmt: skip
    found = aiconfigurator.read(folder)
    assert seconds(found.of(Measured.ALL_REDUCE)) == [2.0]
    assert seconds(found.of(Measured.ALL_TO_ALL)) == [5.0]
    assert set(found.message_bytes.tolist()) == {1024.0}


def moe(form: str, **changes: object) -> dict[str, object]:
    row = {
        "moe_dtype": form, "kernel_source": "cutlass", "num_tokens": 8, "hidden_size": 4096, "inter_size": 2048, "topk": 2,
        "num_experts": 8,
        "moe_tp_size": 2, "moe_ep_size": 1, "distribution": "balanced", "latency": 1.0,
    }  # fmt: skip
    return row | changes


def test_experts(folder: Path, write: Write) -> None:
    rows = [
        moe("bfloat16"), moe("bfloat16", distribution="power_law_1.2", latency=3.0), moe("w4a16_mxfp4"),
        moe("bfloat16", num_tokens=16, moe_ep_size=4, distribution="power_law_1.2"), moe("fp8", kernel_source="nongated"),
    ]  # fmt: skip
    for system in ("h100_sxm", "b200_sxm"):
        write(f"{system}/moe/vllm/1/moe_perf", rows)
    found = aiconfigurator.read(folder)
    hopper, blackwell = (found.take(found.chip == chip) for chip in ("nvidia-h100-sxm", "nvidia-b200"))
    # 4-bit weights with 16-bit activations are what a chip without a 4-bit format does with them.
    assert sorted(hopper.format.tolist()) == ["bf16", "fp4"]
    assert blackwell.format.tolist() == ["bf16"]
    assert (blackwell.seconds[0], blackwell.outer[0], blackwell.experts_per_token[0]) == (pytest.approx(2e-3), 1024, 2)


def test_attention(folder: Path, write: Write) -> None:
    heads = {"num_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "attn_dtype": "bfloat16", "kv_cache_dtype": "fp8", "latency": 1.0}
    write("h100_sxm/attention/vllm/1/generation_attention_perf", [heads | {"batch_size": 4, "isl": 1, "step": 255, "window_size": 128.0}])
    write("h100_sxm/attention/vllm/1/context_attention_perf", [heads | {"batch_size": 2, "isl": 512, "step": 0, "window_size": 0.0}])
    latent = {"num_heads": 16, "mla_dtype": "bfloat16", "kv_cache_dtype": "bfloat16", "batch_size": 1, "isl": 1, "step": 64, "latency": 1.0}
    write("h100_sxm/mla/trtllm/1/generation_mla_perf", [latent])
    write("h100_sxm/mla/sglang/1/generation_mla_perf", [latent | {"latency": 9.0}])
    found = aiconfigurator.read(folder)
    decode = found.of(Measured.DECODE_ATTENTION)
    assert decode.context.tolist() == [255, 64]
    assert decode.window.tolist()[0] == 128
    assert decode.kv_rank.tolist()[1] == 512
    assert decode.seconds.tolist() == [1e-3, 1e-3]
    prefill = found.of(Measured.PREFILL_ATTENTION)
    assert (prefill.new_tokens[0], prefill.context[0], prefill.cache_format[0]) == (512, 0, "fp8")
    assert prefill.window.tolist() != prefill.window.tolist()  # not a number: no window


def test_long_tables_are_thinned(folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiconfigurator, "MOST_ROWS", 5)
    monkeypatch.setattr(aiconfigurator, "ENOUGH_ROWS", 3)
    write("h100_sxm/gemm/vllm/1/gemm_perf", [gemm(m=16 * m) for m in range(1, 41)])
    assert len(aiconfigurator.read(folder)) == 5
    # Four shapes that a second stack measured are enough to leave out the others.
    write("h100_sxm/gemm/sglang/1/gemm_perf", [gemm(m=16 * m) for m in range(1, 5)])
    assert sorted(aiconfigurator.read(folder).rows.tolist()) == [16, 32, 48, 64]


def test_what_is_missing_says_how_to_mend_it(tmp_path: Path, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(InputError, match=r"aiconfigurator-core is not installed; pip install 'tapeout\[calibrate\]'"):
        aiconfigurator.read(None)
    with pytest.raises(InputError, match="no operator tables"):
        aiconfigurator.read(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no table of a known system"):
        aiconfigurator.read(folder)
    path = folder / "aiconfigurator_core/systems/data/h100_sxm/gemm/vllm/1/gemm_perf.parquet"
    path.parent.mkdir(parents=True)
    path.write_text("no parquet")
    with pytest.raises(InputError, match=r"gemm_perf\.parquet: cannot read the Parquet file"):
        aiconfigurator.read(folder)
