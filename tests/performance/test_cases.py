"""Tables of cases: names resolve, every bad value is a status of its row, and nothing else changes."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.performance.cases import ANSWERS, COLUMNS, MEASURES, answered, check_header
from tapeout.provenance import DATA

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
        ({"model": "./no-such-folder/config.json"}, "bad value: model: cannot read the file"),
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
        ({"concurrency": "x"}, "bad value: concurrency 'x', allowed: a number from 1 to 1000000000"),
        ({"concurrency": "0"}, "bad value: concurrency '0', allowed: a number from 1"),
        ({"concurrency": "1e308"}, "bad value: concurrency"),
        ({"osl": "0"}, "bad value: osl '0', allowed: a whole number from 1"),
        ({"model": ""}, "unknown model"),
        ({"chip": ""}, "unknown chip"),
        ({"tp": "3"}, "bad value: tp 3 does not divide 64 heads, allowed: 1, 2, 4, 8"),
        ({"tp": "16", "chips": "16"}, "bad value: tp 16 exceeds the scale-up domain of 8, allowed: 1, 2, 4, 8, with more pp or dp"),
        ({"tp": "16", "chips": "8"}, "bad value: tp x pp x dp = 16 exceeds 8 chips, allowed: 1, 2, 4, 8"),
        ({"dp": "4"}, "bad value: tp x pp x dp = 16 exceeds 8 chips, allowed: 1, 2, 4, 8"),
        ({"chips": "6"}, "bad value: tp x pp x dp = 4 does not divide 6 chips, allowed: 1, 2, 3, 6"),
        ({"pp": "81", "chips": "324"}, "bad value: pp 81 exceeds 80 layers, allowed: 1 to 80"),
        ({"model": "Qwen/Qwen3-235B-A22B", "ep": "3", "dp": "1"}, "bad value: ep 3 does not divide 128 experts, allowed: 1, 2, 4"),
        ({"model": "Qwen/Qwen3-235B-A22B", "ep": "8", "dp": "1"}, "bad value: ep 8 does not divide tp x dp = 4, allowed: 1, 2, 4"),
        ({"tp": "", "ep": "4"}, "bad value: pp, ep or dp given without tp, allowed: all of them empty, or tp with any of them"),
        ({"isl": "200000"}, "bad value: isl + osl = 200256 exceeds the model's context of 131072, allowed: up to 131072"),
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


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"chip": "nvidia-h100-smx"}, "did you mean nvidia-h100-sxm?"),
        ({"chip": "NVIDIA-H100-SXM5"}, "did you mean nvidia-h100-sxm?"),
        ({"chip": "b200"}, "did you mean nvidia-b200 or nvidia-gb200?"),
        ({"model": "llama 3.1 70b"}, "did you mean meta-llama/Llama-3.1-70B?"),
        ({"chip": "abacus"}, "see `tapeout catalog chips`"),
    ],
)
def test_misspelt_and_shortened_names_get_a_hint(changes: dict[str, str], hint: str) -> None:
    assert hint in one(**changes)["detail"]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"precision": "fp4", "tp": "8"}, "tp 8; fp4 weights unpacked to bf16: the chip has no fp4"),
        ({"precision": "fp8", "chip": "nvidia-a100-sxm-80gb"}, "tp 4; fp8 weights unpacked to bf16: the chip has no fp8"),
        ({"precision": "fp4", "chip": "nvidia-b200"}, "tp 4"),
        ({"precision": "fp8"}, "tp 4"),
    ],
)
def test_an_emulated_format_is_answered_and_said(changes: dict[str, str], detail: str) -> None:
    row = one(**changes)
    assert (row["status"], row["detail"]) == ("ok", detail)


def test_what_does_not_fit_says_by_how_much_and_what_would() -> None:
    row = one(chips="1", tp="", pp="", precision="bf16")
    assert row["status"] == "does not fit"
    assert "GB too much; tp 2 on 2 chips would fit" in row["detail"]
    assert one(chips="2", tp="2", precision="bf16")["status"] == "ok"
    never = one(chip="nvidia-l4", chips="1", tp="", pp="", model="meta-llama/Llama-3.1-405B", precision="bf16")
    assert "no deployment on up to 1024 chips would fit" in never["detail"]


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ('"hopper"', '"hoper"', "bad value: chip: no efficiencies for this chip generation"),
        ("bf16 =", "fp32 =", "bad value: chip: mine has no peak in bf16"),
    ],
)
def test_a_chip_file_that_cannot_be_rated_stops_no_other_row(tmp_path: Path, old: str, new: str, status: str) -> None:
    text = (DATA / "chips" / "nvidia-h100-sxm.toml").read_text()
    if new.startswith("fp32"):
        text = "\n".join(line for line in text.splitlines() if not line.startswith("fp32"))
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new))
    rows = answered([GOOD | {"chip": str(tmp_path / "mine.toml")}, GOOD])
    assert rows[0]["status"] == status
    assert rows[1]["status"] == "ok"


def test_a_model_that_is_not_modelled_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "abacus"}')
    row = one(model=str(tmp_path))
    assert row["status"].startswith("bad value: model: ")
    assert "abacus" in row["detail"]


CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "0", "-1", "nan", "inf", "-inf", "1e400", "1e-300", "0.5", "3", " 8 ", "0x10", "1,5", "None", "\x00", "./x.json"]),
    st.integers(-10, 10**9).map(str),
    st.floats().map(str),
)


@given(st.dictionaries(st.sampled_from([name for name in COLUMNS if name != "case"]), CELLS, min_size=1, max_size=3))
def test_whatever_stands_in_a_row_it_gets_a_status_and_finite_numbers_or_none(changes: dict[str, str]) -> None:
    row = one(**changes)
    assert row["status"].startswith(("ok", "does not fit", "unknown chip", "unknown model", "bad value: "))
    if row["status"] == "ok":
        assert all(0 < float(row[name + "_low"]) <= float(row[name]) <= float(row[name + "_high"]) < math.inf for name in MEASURES)
    else:
        assert all(row[name + suffix] == "" for name in MEASURES for suffix in ("", "_low", "_high"))


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
