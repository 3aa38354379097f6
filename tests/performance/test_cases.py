"""Tables of cases: names resolve, every bad value is a status of its row, and nothing else changes."""

import math

import pytest

from tapeout.errors import InputError
from tapeout.performance.cases import ANSWERS, COLUMNS, MEASURES, answered, check_header

GOOD = dict(
    zip(
        COLUMNS,
        ("a", "online", "nvidia-h100-sxm", "8", "meta-llama/Llama-3.1-70B", "fp8", "1024", "256", "4", "1", "", "", "64"),
        strict=True,
    )
)


def one(**changes: str) -> dict[str, str]:
    (row,) = answered([GOOD | changes])
    return row


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kind": "offline", "concurrency": ""},
        {"tp": "", "pp": ""},
        {"model": "meta-llama/Llama-3.1-70B-Instruct"},
        {"model": "nvidia/Llama-3.1-70B-Instruct-FP8"},
        {"model": "openai/gpt-oss-120b", "precision": "fp4", "ep": "4"},
        {"model": "Qwen/Qwen3-235B-A22B", "tp": "1", "ep": "8", "dp": "8"},
        {"chip": "google-tpu-v6e"},
        {"precision": "bf16", "tp": "8"},
    ],
)
def test_good_rows_are_ok_with_finite_bands(changes: dict[str, str]) -> None:
    row = one(**changes)
    assert row["status"] == "ok", row
    for name in MEASURES:
        value, low, high = (float(row[name + suffix]) for suffix in ("", "_low", "_high"))
        assert 0 < low < value < high < math.inf
    assert row["binding"] in ("compute", "memory bandwidth", "network", "host")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"chip": "nvidia-h100-smx"}, "unknown chip"),
        ({"model": "meta-llama/Llama-9-70B-xyz"}, "unknown model"),
        ({"model": "deepseek-ai/DeepSeek-V3.2"}, "bad value: model"),
        ({"kind": "onlin"}, "bad value: kind"),
        ({"precision": "fp7"}, "bad value: precision"),
        ({"isl": "0"}, "bad value: isl"),
        ({"isl": "-3"}, "bad value: isl"),
        ({"isl": "nan"}, "bad value: isl"),
        ({"osl": "inf"}, "bad value: osl"),
        ({"osl": "1.5"}, "bad value: osl"),
        ({"osl": ""}, "bad value: osl"),
        ({"chips": "1e9"}, "bad value: chips"),
        ({"concurrency": ""}, "bad value: concurrency"),
        ({"concurrency": "x"}, "bad value: concurrency"),
        ({"tp": "3"}, "bad value: tp 3 does not divide 64 heads"),
        ({"tp": "16", "chips": "8"}, "bad value: tp x pp x dp"),
        ({"dp": "4"}, "bad value: tp x pp x dp = 16 exceeds 8 chips"),
        ({"model": "Qwen/Qwen3-235B-A22B", "ep": "8", "dp": "1"}, "bad value: ep 8 does not divide tp x dp = 4"),
        ({"tp": "", "ep": "4"}, "bad value: pp, ep or dp given without tp"),
        ({"isl": "200000"}, "bad value: isl + osl"),
        ({"chips": "1", "tp": "1", "model": "meta-llama/Llama-3.1-405B"}, "does not fit"),
    ],
)
def test_bad_rows_say_what_is_wrong(changes: dict[str, str], status: str) -> None:
    row = one(**changes)
    assert row["status"].startswith(status)
    assert all(row[name] == "" for name in MEASURES)


def test_a_bad_row_stops_no_other_and_order_is_kept() -> None:
    rows = answered([GOOD | {"case": "1"}, GOOD | {"case": "2", "chip": "?"}, GOOD | {"case": "3"}])
    assert [(row["case"], row["status"]) for row in rows] == [("1", "ok"), ("2", "unknown chip"), ("3", "ok")]
    assert rows[0] | {"case": ""} == rows[2] | {"case": ""}


def test_typos_get_a_hint() -> None:
    assert "nvidia-h100-sxm" in one(chip="nvidia-h100-smx")["detail"]


def test_extra_columns_pass_and_measured_ones_are_kept_apart() -> None:
    row = one(note="of the customer", ttft_ms="123")
    assert row["note"] == "of the customer"
    assert row["ttft_ms_given"] == "123"
    assert row["ttft_ms"] != "123"
    assert set(ANSWERS) <= set(row)


def test_gpt_oss_is_mxfp4_whatever_the_label() -> None:
    labels = [one(model="openai/gpt-oss-120b", precision=precision)["tpot_ms"] for precision in ("fp4", "fp8")]
    assert labels[0] == labels[1]


def test_headers_are_checked() -> None:
    check_header([*COLUMNS, "extra"])
    with pytest.raises(InputError, match=r"missing column concurrency, .*did you mean concurency"):
        check_header([*COLUMNS[:-1], "concurency"])
    with pytest.raises(InputError, match="stands twice"):
        check_header([*COLUMNS, "isl"])
    with pytest.raises(InputError, match="empty"):
        check_header([])
