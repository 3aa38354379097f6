"""The command line as a user meets it: exit codes, messages, the same rows in every form, nothing half-written."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tapeout.performance.cases import ANSWERS, COLUMNS
from tapeout.sourcing.search import solve
from tests.program import Ran

ROOT = Path(__file__).parent.parent
HEADER = ",".join(COLUMNS)
GOOD = "a,online,nvidia-h100-sxm,8,meta-llama/Llama-3.1-70B,fp8,1024,256,4,1,,,64"


def test_help_and_version(run: Callable[..., Ran]) -> None:
    assert run("--help").code == 0
    assert "plan" in run("--help").out
    assert run("--version").out.startswith("tapeout 0.")


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from tapeout import cli; print([name for name in ('numpy', 'rich', 'pydantic', 'highspy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("plann",), "Did you mean 'plan'?"),
        (("price",), "Missing argument"),
        (("price", "meta-llama/Llama-3.1-70X"), "did you mean"),
        (("price", "meta-llama/Llama-3.1-8B", "--chips", "nvidia-h100-smx"), "did you mean nvidia-h100-sxm?"),
        (("price", "meta-llama/Llama-3.1-8B", "--ttft", "2 GB"), "--ttft: wrong unit"),
        (("price", "meta-llama/Llama-3.1-8B", "--ttft", "-2s"), "must be positive"),
        (("price", "meta-llama/Llama-3.1-8B", "--precision", "fp5"), "unknown precision"),
        (("price", "meta-llama/Llama-3.1-8B", "--isl", "0"), "greater than or equal to 1"),
        (("price", "meta-llama/Llama-3.1-8B", "--date", "2026-13-01"), "--date is not a date"),
        (("price", "no/such/config.json"), "config.json"),
        (("price", "meta-llama/Llama-3.1-8B", "--attainment", "101%"), "--attainment is not a share"),
        (("price", "meta-llama/Llama-3.1-8B", "--attainment", "most"), "--attainment is not a share"),
        (("goodput", "meta-llama/Llama-3.1-8B", "--on", "nvidia-h100-sxm:2", "--token-budgets", "0"), "whole numbers of 1 or more"),
        (("goodput", "meta-llama/Llama-3.1-8B", "--on", "nvidia-h100-sxm:2", "--traffic", "poison:1"), "did you mean poisson"),
        (("goodput", "meta-llama/Llama-3.1-8B", "--on", "nvidia-h100-sxm:two"), "no number of chips"),
        (("catalog", "chips", "nvidia-h1000"), "did you mean"),
        (("catalog", "sources", "nonsense"), "unknown source"),
        (("catalog", "towns"), "towns"),
        (("predict", "no-such.csv", "-o", "out.csv"), "cannot read the cases"),
        (("plan", "no-such.yaml", "--out", "out"), "no-such.yaml"),
        (("plan", "x.yaml", "--out", "out", "--gap", "2"), "--gap"),
        (("measure", "--out", "rows.csv", "--operators", "product,decode-atention"), "did you mean decode-attention?"),
        (("measure", "--out", "rows.csv", "--budget", "10 GB"), "--budget: wrong unit"),
        (("measure", "--out", "rows.csv", "--chip", "nvidia-h100-smx"), "did you mean nvidia-h100-sxm?"),
        (("measure", "--out", "rows.txt"), ".csv file in an existing folder"),
        (("measure", "--out", "no/such/rows.csv"), ".csv file in an existing folder"),
    ],
)
def test_bad_input_says_what_and_how_to_mend_it(
    run: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments)
    assert ran.code == 2
    assert part in ran.err
    assert ran.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_family_with_an_operator_not_modelled_is_named_with_its_operator(run: Callable[..., Ran], tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "jamba", "hidden_size": 4096, "vocab_size": 65536, "num_hidden_layers": 32}')
    ran = run("price", str(config))
    assert ran.code == 2
    assert "model_type: the family is not modelled yet: Mamba-1 layers" in ran.err


def test_price_gives_the_same_rows_as_table_json_and_csv(run: Callable[..., Ran]) -> None:
    arguments = ("price", "meta-llama/Llama-3.1-8B", "--chips", "nvidia-h100-sxm,nvidia-l4", "--date", "2026-11-01")
    rows = json.loads(run(*arguments, "-o", "json").out)
    assert [row["chip"] for row in rows if row["status"] == "ok"] == [
        row["chip"] for row in csv.DictReader(io.StringIO(run(*arguments, "-o", "csv").out))
    ]
    for row in rows:
        usd = row["usd_per_million_output_tokens"]
        assert 0 < usd["p5"] < usd["p50"] < usd["p95"]
        assert {"chips", "tp", "tokens_per_s_per_chip", "price_sources", "price_rule"} <= set(row)
        assert usd["p50"] == pytest.approx(row["usd_per_chip_hour"] / row["tokens_per_s_per_chip"] / 3600 * 1e6)
    prices = [row["usd_per_million_output_tokens"]["p50"] for row in rows]
    assert prices == sorted(prices)
    assert "nvidia-h100-sxm" in run(*arguments).out


def test_price_shows_the_traffic_behind_a_token(run: Callable[..., Ran]) -> None:
    """The price of the hour over the tokens that the shown rate of requests makes on the chips of a replica."""
    arguments = ("price", "meta-llama/Llama-3.1-8B", "--chips", "nvidia-h100-sxm", "--osl", "200")
    (row,) = json.loads(run(*arguments, "-o", "json").out)
    tokens = row["goodput_requests_per_s"] * 200 / row["chips"]
    assert row["tokens_per_s_per_chip"] == pytest.approx(tokens)
    assert row["usd_per_million_output_tokens"]["p50"] == pytest.approx(row["usd_per_chip_hour"] / 3600 / tokens * 1e6)
    assert row["slo_attainment"] >= row["slo_attainment_wanted"] == 0.9
    assert (row["ttft_ms"] <= 2000, row["tpot_ms"] <= 50, row["measure"]) == (True, True, "goodput")
    shown = run(*arguments).out
    assert "TTFT 2s, TPOT 50ms for 90 % of queries" in shown
    assert "Keep limits" in shown
    assert run(*arguments, "--attainment", "99.9%").out != shown
    means = run(*arguments, "--attainment", "mean")
    assert "on the mean" in means.out
    assert "Keep limits" not in means.out


def test_goodput_ranks_the_deployments_of_some_chips(run: Callable[..., Ran]) -> None:
    arguments = ("goodput", "meta-llama/Llama-3.1-8B", "--on", "nvidia-h100-sxm:2", "--requests", "1500", "--seeds", "2", "--workers", "1")
    rows = json.loads(run(*arguments, "--sequences", "32,256", "-o", "json").out)
    assert {row["deployment"] for row in rows} == {"tp 1", "tp 2", "tp 1, pp 2"}
    assert {row["most_sequences"] for row in rows} == {32, 256}
    searched = [row["goodput_requests_per_s"] for row in rows if not row["is_bound"]]
    assert searched == sorted(searched, reverse=True)
    shown = run(*arguments)
    assert "3 of 3 fleets" in shown.out
    assert run(*arguments, "--slo", "1us/1us").code == 3


@pytest.mark.parametrize("basis", ["rent", "reserved", "own"])
def test_every_price_basis_answers(run: Callable[..., Ran], basis: str) -> None:
    rows = json.loads(run("price", "meta-llama/Llama-3.1-8B", "--chips", "nvidia-h100-sxm", "--price", basis, "-o", "json").out)
    assert rows[0]["status"] == "ok"


def test_price_says_which_chips_unpack_the_weights(run: Callable[..., Ran]) -> None:
    arguments = ("price", "meta-llama/Llama-3.1-8B", "--chips", "nvidia-h100-sxm,nvidia-b200", "--precision", "fp4")
    assert "nvidia-h100-sxm: fp4 weights unpacked to bf16: the chip has no fp4." in " ".join(run(*arguments).out.split())
    rows = {row["chip"]: row["emulation"] for row in json.loads(run(*arguments, "-o", "json").out)}
    assert rows == {"nvidia-h100-sxm": "fp4 weights unpacked to bf16: the chip has no fp4", "nvidia-b200": ""}


def test_coefficients_of_a_file_take_the_place_of_the_shipped_ones(run: Callable[..., Ran], tmp_path: Path) -> None:
    shipped, mine = (ROOT / "src/tapeout/data/efficiencies.toml").read_text(), tmp_path / "mine.toml"
    line = next(line for line in shipped.splitlines() if line.startswith("step = "))
    slower = 'step = { value = "30 ms", source = "user-supplied", place = "my bench", grade = "measured" }'
    mine.write_text(shipped.replace(line, slower, 1))
    (tmp_path / "cases.csv").write_text(f"{HEADER}\n{GOOD}\n")
    answers = []
    for options in ((), ("--efficiencies", str(mine))):
        assert run("predict", str(tmp_path / "cases.csv"), "-o", str(tmp_path / "out.csv"), *options).code == 0
        with (tmp_path / "out.csv").open(newline="") as file:
            answers.append(float(next(csv.DictReader(file))["tpot_ms"]))
    assert answers[1] == pytest.approx(answers[0] + 30, abs=2)
    price = ("price", "meta-llama/Llama-3.1-8B", "--chips", "nvidia-h100-sxm", "--tpot", "none")
    usual, own = (json.loads(run(*price, *options, "-o", "json").out)[0] for options in ((), ("--efficiencies", str(mine))))
    assert own["tokens_per_s_per_chip"] < usual["tokens_per_s_per_chip"]
    assert str(mine) in run(*price, "--efficiencies", str(mine)).out.replace("\n", "")
    mine.write_text("[hopper]\nkin = 'hoper'\n")
    ran = run(*price, "--efficiencies", str(mine))
    assert ran.code == 2
    assert "hopper.kin: unknown generation" in ran.err
    assert run(*price, "--efficiencies", str(tmp_path / "none.toml")).code == 2


def test_no_chip_inside_the_limits_exits_with_3(run: Callable[..., Ran]) -> None:
    ran = run("price", "meta-llama/Llama-3.1-405B", "--chips", "nvidia-l4", "--tpot", "1ms")
    assert ran.code == 3
    assert "too slow" in ran.out or "does not fit" in ran.out


def test_a_local_config_works_where_an_id_does(run: Callable[..., Ran], tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2,
        "intermediate_size": 2816, "vocab_size": 32000, "max_position_embeddings": 4096,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert run("price", str(tmp_path / "config.json"), "--chips", "nvidia-h100-sxm").code == 0
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_attention_heads": 7}))
    ran = run("price", str(tmp_path / "config.json"), "--chips", "nvidia-h100-sxm")
    assert ran.code == 2
    assert "config.json" in ran.err


def test_a_chip_file_works_where_an_id_does(run: Callable[..., Ran], tmp_path: Path) -> None:
    text = (ROOT / "src/tapeout/data/chips/nvidia-h100-sxm.toml").read_text()
    (tmp_path / "mine.toml").write_text(text)
    ran = run("catalog", "chips", str(tmp_path / "mine.toml"))
    assert ran.code == 0
    (tmp_path / "mine.toml").write_text(text.replace("power ", "powr "))
    ran = run("price", "meta-llama/Llama-3.1-8B", "--chips", str(tmp_path / "mine.toml"))
    assert ran.code == 2
    assert "did you mean power?" in ran.err


def test_predict_writes_all_rows_and_says_how_many_failed(run: Callable[..., Ran], tmp_path: Path) -> None:
    cases, out = tmp_path / "cases.csv", tmp_path / "out.csv"
    cases.write_text(f"{HEADER},note\n{GOOD},first\n{GOOD.replace('8B', '70B').replace('h100', 'h1000')},second\n")
    ran = run("predict", str(cases), "-o", str(out))
    assert ran.code == 3
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["ok", "unknown chip"]
    assert [row["note"] for row in rows] == ["first", "second"]
    assert list(rows[0]) == [*COLUMNS, "note", *ANSWERS]
    cases.write_text(f"{HEADER}\n{GOOD}\n")
    assert run("predict", str(cases), "-o", str(out)).code == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"a,b\n1,2\n",
        f"{HEADER}\n{GOOD},too,many\n".encode(),
        HEADER.replace("isl", "prompt").encode() + b"\n",
        b'"unclosed\n',
    ],
)
def test_predict_refuses_what_is_no_table_of_cases(run: Callable[..., Ran], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cases.csv").write_bytes(content)
    ran = run("predict", str(tmp_path / "cases.csv"), "-o", str(tmp_path / "out.csv"))
    assert ran.code == 2
    assert not (tmp_path / "out.csv").exists()


def test_predict_refuses_an_unwritable_output(run: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(f"{HEADER}\n{GOOD}\n")
    assert run("predict", str(tmp_path / "cases.csv"), "-o", str(tmp_path / "no" / "out.csv")).code == 2
    assert run("predict", str(tmp_path / "cases.csv"), "-o", str(tmp_path)).code == 2


def test_validate_scores_a_table_in_every_form_and_writes_a_page(run: Callable[..., Ran], tmp_path: Path) -> None:
    measured, out = tmp_path / "measured.csv", tmp_path / "out"
    measured.write_text(f"{HEADER},ttft_ms,tpot_ms\n{GOOD},300,20\n{GOOD.replace('a,', 'b,', 1)},,10\n")
    ran = run("validate", "--cases", str(measured), "--by", "model", "--out", str(out), "-o", "json")
    assert ran.code == 0
    rows = json.loads(ran.out)
    assert [(row["group"], row["quantity"], row["rows"]) for row in rows[2:]] == [
        ("meta-llama/Llama-3.1-70B", "ttft_ms", 1),
        ("meta-llama/Llama-3.1-70B", "tpot_ms", 2),
    ]
    assert sorted(path.name for path in out.iterdir()) == ["rows.csv", "rows.json", "validation.html"]
    written = list(csv.DictReader((out / "rows.csv").read_text().splitlines()))
    assert [row["quantity"] for row in written] == [row["quantity"] for row in json.loads((out / "rows.json").read_text())]
    assert float(written[0]["predicted"]) / 300 - 1 == pytest.approx(float(written[0]["error"]))
    assert len(list(csv.DictReader(io.StringIO(run("validate", "--cases", str(measured), "-o", "csv").out)))) == len(rows)
    assert "Median error" in run("validate", "--cases", str(measured)).out


def test_validate_drives_online_rows_through_the_simulator(run: Callable[..., Ran], tmp_path: Path) -> None:
    measured, out = tmp_path / "measured.csv", tmp_path / "out"
    offline = GOOD.replace("a,online", "b,offline", 1)
    measured.write_text(f"{HEADER},ttft_ms,tpot_ms,output_tokens_per_s_per_chip\n{GOOD},300,20,\n{offline},,,2000\n")
    ran = run("validate", "--cases", str(measured), "--simulate", "--out", str(out), "-o", "json")
    assert ran.code == 0
    rows = json.loads(ran.out)
    assert [(row["group"], row["quantity"]) for row in rows[:2]] == [("all", "ttft_ms"), ("all", "tpot_ms")]
    plain = json.loads(run("validate", "--cases", str(measured), "-o", "json").out)
    assert [row["closed_form_error"] for row in rows[:2]] == [row["median_error"] for row in plain[:2]]
    assert all(row["median_error"] != row["closed_form_error"] for row in rows)
    assert {row["case"] for row in json.loads((out / "rows.json").read_text())} == {"a"}


@pytest.mark.parametrize(("options", "what"), [(("--leave-one-out",), "exclude each other"), ((), "no online row to simulate")])
def test_validate_simulates_online_rows_alone(run: Callable[..., Ran], tmp_path: Path, options: tuple[str, ...], what: str) -> None:
    measured = tmp_path / "measured.csv"
    measured.write_text(f"{HEADER},output_tokens_per_s_per_chip\n{GOOD.replace('online', 'offline', 1)},2000\n")
    ran = run("validate", "--cases", str(measured), "--simulate", *options)
    assert (ran.code, ran.out) == (2, "")
    assert what in ran.err


def test_validate_names_the_bad_cell_and_writes_nothing(run: Callable[..., Ran], tmp_path: Path) -> None:
    measured = tmp_path / "measured.csv"
    measured.write_text(f"{HEADER},tpot_ms\n{GOOD},20\n{GOOD.replace('a,', 'b,', 1)},fast\n")
    ran = run("validate", "--cases", str(measured), "--out", str(tmp_path / "out"))
    assert ran.code == 2
    assert "measured.csv:3: tpot_ms: not a measured value, given 'fast'" in ran.err
    assert not (tmp_path / "out").exists()


def test_validate_says_which_rows_have_no_answer_or_no_score(run: Callable[..., Ran], tmp_path: Path) -> None:
    measured = tmp_path / "measured.csv"
    rows = (f"{GOOD},20,", f"{GOOD.replace('h100', 'h1000').replace('a,', 'b,', 1)},20,", f"{GOOD.replace('a,', 'c,', 1)},20,a bad day")
    measured.write_text("\n".join((f"{HEADER},tpot_ms,excluded", *rows)) + "\n")
    ran = run("validate", "--cases", str(measured), "-o", "json")
    assert ran.code == 3
    assert "1 rows have no answer" in ran.err
    assert "1 of 3 rows are not scored" in ran.err
    assert [(row["rows"], row["answered"]) for row in json.loads(ran.out)[:1]] == [(2, 1)]


@pytest.mark.parametrize("kind", ["chips", "models", "prices", "sources"])
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_the_catalogue_lists_in_every_form(run: Callable[..., Ran], kind: str, form: str) -> None:
    ran = run("catalog", kind, "-o", form)
    assert ran.code == 0
    assert len(ran.out) > 1000
    if form == "json":
        assert len(json.loads(ran.out)) > 20


@pytest.mark.parametrize(
    ("kind", "name"), [("chips", "google-tpu-v5e"), ("models", "Qwen/Qwen3-8B"), ("prices", "amd-mi300x"), ("sources", "ttm-cas")]
)
def test_the_catalogue_shows_one_entry_with_its_sources(run: Callable[..., Ran], kind: str, name: str) -> None:
    rows = json.loads(run("catalog", kind, name, "-o", "json").out)
    assert rows
    if kind != "sources":
        assert all(row["grade"] and row["source"] for row in rows)


def test_schema_is_the_shipped_one(run: Callable[..., Ran]) -> None:
    assert json.loads(run("schema").out) == json.loads((ROOT / "scenarios/scenario.schema.json").read_text())


def test_plan_writes_a_whole_folder(run: Callable[..., Ran], tmp_path: Path) -> None:
    out = tmp_path / "run"
    ran = run("plan", str(ROOT / "scenarios/startup.yaml"), "--out", str(out))
    assert ran.code == 0, ran.err
    record = json.loads((out / "plan.json").read_text())
    assert record["cost_usd"] == pytest.approx(record["resimulated_cost_usd"], rel=1e-6)
    assert record["bound_usd"] <= record["cost_usd"] * (1 + 1e-9)
    assert 0 <= record["gap"] <= 1e-3
    assert len(record["cost_per_query_usd"]) == 8
    assert (out / "report.html").read_text().startswith("<!DOCTYPE html>")
    frozen = json.loads((out / "inputs/inputs.json").read_text())
    assert (out / "inputs/startup.yaml").read_bytes() == (ROOT / "scenarios/startup.yaml").read_bytes()
    assert any(entry["name"] == "data/efficiencies.toml" for entry in frozen["files"])
    assert {path.suffix for path in (out / "tables").iterdir()} == {".csv", ".parquet"}


def test_plan_refuses_an_unwritable_folder_before_it_works(run: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = run("plan", str(ROOT / "scenarios/startup.yaml"), "--out", str(tmp_path / "file"))
    assert ran.code == 2
    assert "solving" not in ran.err


def test_an_interrupted_plan_leaves_nothing(run: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tapeout.study.certify", interrupt)
    ran = run("plan", str(ROOT / "scenarios/startup.yaml"), "--out", str(tmp_path / "run"))
    assert ran.code == 130
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_solver_keeps_its_best_plan_and_says_so(run: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapeout.study.solve", lambda *given, **options: replace(solve(*given, **options), status="cancelled"))
    ran = run("plan", str(ROOT / "scenarios/startup.yaml"), "--out", str(tmp_path / "run"))
    assert ran.code == 130
    assert "best plan so far" in ran.err
    assert json.loads((tmp_path / "run/plan.json").read_text())["appraisal"] == {}


def test_a_stop_after_the_plan_keeps_the_plan(run: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tapeout.study.meaning", interrupt)
    ran = run("plan", str(ROOT / "scenarios/startup.yaml"), "--out", str(tmp_path / "run"))
    assert ran.code == 130
    assert "without all that its numbers mean" in ran.err
    record = json.loads((tmp_path / "run/plan.json").read_text())
    assert record["status"] == "optimal"
    assert record["appraisal"] == {}


def test_a_plan_is_the_same_for_any_number_of_processes_and_leaves_no_store(run: Callable[..., Ran], tmp_path: Path) -> None:
    for folder, workers in (("alone", "1"), ("two", "2")):
        words = ("--scenarios", "2", "--meaning", "none", "--workers", workers)
        assert run("plan", str(ROOT / "scenarios/lab-2026.yaml"), "--out", str(tmp_path / folder), *words).code == 0
        assert not list((tmp_path / folder).glob(".*"))
    records = [json.loads((tmp_path / name / "plan.json").read_text()) for name in ("alone", "two")]
    assert records[0] == records[1]


def test_an_infeasible_plan_names_what_makes_it_so(run: Callable[..., Ran], tmp_path: Path) -> None:
    text = (ROOT / "scenarios/startup.yaml").read_text()
    scenario = tmp_path / "poor.yaml"
    budget = next(line for line in text.splitlines() if line.strip().startswith("budget:"))
    scenario.write_text(text.replace(budget, "  budget: 1 USD"))
    ran = run("plan", str(scenario), "--out", str(tmp_path / "run"))
    assert ran.code == 2
    assert "budget" in ran.err
    assert not (tmp_path / "run").exists()


def test_measuring_without_pytorch_says_how_to_get_it(run: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    for name in [name for name in sys.modules if name.startswith("tapeout.calibration.benchmark_torch")]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(sys.modules["tapeout.calibration"], name.rpartition(".")[2])
    ran = run("measure", "--out", str(tmp_path / "rows.csv"))
    assert ran.code == 2
    assert "pip install torch" in ran.err
    assert "tapeout[measure]" in ran.err
    assert not (tmp_path / "rows.csv").exists()


def test_a_broken_table_of_measurements_is_not_measured_into(run: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("operator,chip\nproduct,x\n")
    ran = run("measure", "--out", str(tmp_path / "rows.csv"))
    assert ran.code == 2
    assert "rows.csv:1: missing column" in ran.err
    assert (tmp_path / "rows.csv").read_text() == "operator,chip\nproduct,x\n"


SIMULATED = ("simulate", "meta-llama/Llama-3.1-8B", "--on", "nvidia-h100-sxm:2", "--tp", "2", "--requests", "40", "--osl", "16")


def test_simulate_prints_the_promised_fields(run: Callable[..., Ran]) -> None:
    found = run(*SIMULATED, "--traffic", "poisson:5", "--slo", "mlperf-server", "-o", "json")
    assert found.code == 0, found.err
    row = json.loads(found.out)
    assert row["requests"] == row["completed"] == 40
    assert set(row["ttft_ms"]) == set(row["tpot_ms"]) == {"p50", "p90", "p99"}
    assert row["saturated"] is False
    assert row["slo_attainment"] == 1
    assert row["goodput_requests_per_s"] == pytest.approx(row["output_tokens_per_s"] / 16)
    assert row["usd_per_million_output_tokens"] == pytest.approx(row["usd_per_chip_hour"] * 2 / 3600 / row["output_tokens_per_s"] * 1e6)
    assert row["usd_per_query"] == pytest.approx(row["usd_per_million_output_tokens"] * 16 / 1e6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--traffic", "poison:5"), "did you mean poisson"),
        (("--traffic", "poisson:5", "--users", "3"), "give either --traffic or --users"),
        ((), "give either --traffic or --users"),
        (("--traffic", "poisson:5", "--isl", "9000000"), "no room for one request of full length"),
        (("--traffic", "poisson:5", "--slo", "mlperf"), "did you mean mlperf-server"),
        (("--traffic", "poisson:5", "--pp", "2"), "does not divide 2 chips|exceeds 2 chips"),
        (("--users", "3", "--goodput"), "a closed loop sets its own rate"),
        (("--traffic", "poisson:5", "--routing", "least"), "unknown routing.*did you mean least-loaded"),
        (("--traffic", "poisson:5", "--on", "nvidia-h100-sxm:2"), "names a chip twice"),
        (("--traffic", "poisson:5", "--disaggregate", "2"), "PREFILL:DECODE"),
        (("--traffic", "poisson:5", "--noise", "2"), "--noise"),
    ],
)
def test_simulate_refuses_bad_input(run: Callable[..., Ran], words: tuple[str, ...], message: str) -> None:
    found = run(*SIMULATED, *words)
    assert found.code == 2
    assert re.search(message, found.err)


def test_simulate_leaves_its_report_in_a_folder(run: Callable[..., Ran], tmp_path: Path) -> None:
    found = run(*SIMULATED, "--traffic", "poisson:5", "--out", str(tmp_path / "new" / "run"), "-o", "json")
    assert found.code == 0, found.err
    names = {path.name for path in (tmp_path / "new" / "run").iterdir()}
    assert names == {"requests.csv", "requests.parquet", "timeline.csv", "summary.json", "simulation.html"}
    assert json.loads((tmp_path / "new" / "run" / "summary.json").read_text()) == json.loads(found.out)
    (tmp_path / "file").write_text("")
    refused = run(*SIMULATED, "--traffic", "poisson:5", "--out", str(tmp_path / "file"))
    assert refused.code == 2
    assert "the output folder is a file" in refused.err
    assert refused.out == ""
