"""The report of a simulation: charts are the requests, files agree, a saturated run says nothing that its length decides."""

import csv
import html
import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from pyarrow import parquet

from tapeout.report.figures import Figure
from tapeout.report.simulated import Simulated
from tapeout.report.simulation_figures import ROWS, gantt_figure, latency_figures, timeline_figures
from tapeout.report.simulation_files import files, request_columns
from tapeout.report.simulation_run import simulation
from tapeout.report.simulation_view import latency_table, load_table, simulation_row, slowest_table, warnings
from tapeout.report.simulation_wanted import Wanted
from tapeout.serving.metrics import Slo, queueing, ttft
from tapeout.serving.timeline import timeline

HOSTILE = "</script><img src=x onerror=alert(1)>"
DATE = "2026-11-25"
BASE = Wanted(
    model="meta-llama/Llama-3.1-8B", on=("nvidia-h100-sxm:2",), traffic="gamma:14:cv=2", slo="300ms/20ms", prompt=120, output=240,
    requests=600, parallel=(1, 1, 1, 1), policy=("blocks=300",),
)  # fmt: skip


def simulated(**changes: object) -> Simulated:
    return simulation(replace(BASE, **changes), date=DATE, search=False, say=print)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> Simulated:
    return simulated()


@pytest.fixture(scope="module")
def saturated() -> list[Simulated]:
    return [simulated(traffic="poisson:150", requests=count) for count in (4000, 12000)]


def by_id(figures: tuple[Figure, ...]) -> dict[str, Figure]:
    assert len({figure.id for figure in figures}) == len(figures)
    return {figure.id: figure for figure in figures}


def test_a_distribution_gives_the_share_within_each_latency(found: Simulated) -> None:
    figures = by_id(latency_figures(found))
    assert list(figures) == ["ttft", "tpot", "end-to-end", "queueing"]
    for name, latencies in (("to first token", ttft(found.outcome)), ("queueing", queueing(found.outcome))):
        for row in figures["ttft"].table.rows:
            assert row[name] == np.mean(latencies <= row["within"])
        assert figures["ttft"].table.rows[-1][name] == 1
    limits = [series["markLine"]["data"] for series in figures["ttft"].option["series"] if "markLine" in series]
    assert limits == [[{"xAxis": 0.3}]]


def test_tenths_add_up_to_the_mean_and_rise(found: Simulated) -> None:
    rows = by_id(latency_figures(found))["queueing"].table.rows
    sums = [row["queueing"] + row["prefill"] for row in rows]
    assert len(rows) == 10
    assert sums == sorted(sums)
    assert np.mean(sums) == pytest.approx(ttft(found.outcome).mean())
    assert np.mean([row["queueing"] for row in rows]) == pytest.approx(queueing(found.outcome).mean())


def test_charts_over_time_are_the_timeline(found: Simulated) -> None:
    line = timeline(found.outcome, found.spans(), engines=2, blocks=600)
    figures = by_id(timeline_figures(found, line))
    assert set(figures) == {"rates", "output", "in-flight", "occupancy", "power", "preemptions", "cost"}
    assert sum(row["preemptions"] for row in figures["preemptions"].table.rows) * line.width == pytest.approx(
        found.outcome.preemptions.sum()
    )
    power = [row["power"] for row in figures["power"].table.rows]
    assert power == pytest.approx(line.busy * 2 * 700)
    cost = [row["a million output tokens"] for row in figures["cost"].table.rows]
    assert found.hour is not None
    # What was paid is the cost of each bin's tokens, whatever their number.
    paid = sum(each * rate * line.width / 1e6 for each, rate in zip(cost, line.output, strict=True) if rate > 0)
    assert paid == pytest.approx(found.hour / 3600 * line.width * np.count_nonzero(line.output))


def test_the_gantt_shows_one_engine_at_its_busiest(found: Simulated) -> None:
    columns = request_columns(found)
    figure = gantt_figure(found, columns)
    waiting, prefill, decode = (series["data"] for series in figure.option["series"])
    assert len(waiting) == len(prefill) == len(decode) == len(figure.table.rows) == ROWS
    assert len({row["engine"] for row in figure.table.rows}) == 1
    starts = [row["scheduled_s"] for row in figure.table.rows]
    assert starts == sorted(starts)
    for place, (row, *bars) in enumerate(zip(figure.table.rows, waiting, prefill, decode, strict=True)):
        ends = [row[key] for key in ("arrival_s", "scheduled_s", "first_token_s", "completion_s")]
        assert [bar["value"] for bar in bars] == [[place, start, end] for start, end in pairwise(ends)]
        assert all(bar["name"] == f"Request {row['request']}" for bar in bars)
    own = columns["engine"] == figure.table.rows[0]["engine"]
    served = [np.sum((columns["scheduled_s"][own] <= at) & (columns["completion_s"][own] > at)) for at in columns["scheduled_s"][own]]
    drawn = [np.sum((columns["scheduled_s"][own] <= at) & (columns["completion_s"][own] > at)) for at in starts]
    assert max(drawn) == max(served)


def test_files_agree_with_one_another(found: Simulated) -> None:
    row = simulation_row(found)
    written = files(found, row, version="1", date=DATE)
    assert list(written) == ["requests.csv", "requests.parquet", "timeline.csv", "summary.json", "simulation.html"]
    assert json.loads(written["summary.json"]) == json.loads(json.dumps(row))
    requests = list(csv.DictReader(io.StringIO(written["requests.csv"].decode())))
    assert len(requests) == row["completed"] == 600
    assert [float(one["ttft_s"]) for one in requests] == ttft(found.outcome).tolist()
    assert np.percentile([float(one["ttft_s"]) for one in requests], 90) * 1e3 == pytest.approx(row["ttft_ms"]["p90"])
    assert np.mean([one["keeps_limits"] == "true" for one in requests]) == pytest.approx(row["slo_attainment"])
    table = parquet.read_table(io.BytesIO(written["requests.parquet"]))
    assert table["completion_s"].to_pylist() == [float(one["completion_s"]) for one in requests]
    assert table["engine"].to_pylist() == [int(one["engine"]) for one in requests]
    bins = list(csv.DictReader(io.StringIO(written["timeline.csv"].decode())))
    assert sum(float(one["output_tokens_per_s"]) * float(one["width_s"]) for one in bins) == pytest.approx(600 * 240)


def test_the_row_keeps_its_books(found: Simulated) -> None:
    row = simulation_row(found)
    outcome = found.outcome
    assert row["output_tokens_per_s"] == pytest.approx(600 * 240 / (outcome.completion.max() - outcome.arrival.min()))
    assert row["energy_joules_per_output_token"] * row["output_tokens_per_s"] == pytest.approx(row["power_watts"])
    assert row["power_watts"] == pytest.approx(row["utilisation"] * 2 * 700)
    assert row["energy_joules_per_query"] == pytest.approx(240 * row["energy_joules_per_output_token"])
    assert row["usd_per_query"] == pytest.approx(240 * row["usd_per_million_output_tokens"] / 1e6)
    assert row["preemptions"] == outcome.preemptions.sum() > 0
    assert row["preemptions_per_request"] == pytest.approx(row["preemptions"] / 600)
    assert row["interrupted"] is False
    means = {key: float(np.mean(times)) for key, times in (("q", queueing(outcome)), ("t", ttft(outcome)))}
    assert means["t"] > means["q"] > 0


def test_a_saturated_run_says_nothing_that_its_length_decides(saturated: list[Simulated]) -> None:
    short, long = (simulation_row(one) for one in saturated)
    assert short["saturated"] is long["saturated"] is True
    for row in (short, long):
        for key in ("ttft_ms", "queueing_ms", "end_to_end_ms"):
            assert set(row[key].values()) == {None}
        assert row["slo_attainment"] == 0
        assert row["utilisation"] == pytest.approx(1, abs=1e-3)
    for key in (
        "output_tokens_per_s", "kv_occupancy", "kv_occupancy_peak", "preemptions_per_request", "energy_joules_per_output_token",
        "usd_per_million_output_tokens", "queue_growth_requests_per_s",
    ):  # fmt: skip
        assert short[key] == pytest.approx(long[key], rel=0.05), key
    assert short["tpot_ms"] == pytest.approx(long["tpot_ms"], rel=0.05)
    assert short["prefill_ms"]["p50"] == pytest.approx(long["prefill_ms"]["p50"], rel=0.05)


def test_how_full_a_saturated_fleet_is_does_not_count_how_it_empties(saturated: list[Simulated]) -> None:
    short = simulated(traffic="poisson:150", requests=500)
    whole = timeline(short.outcome, short.spans(), engines=2, blocks=600).kv_occupancy.mean()
    settled = simulation_row(saturated[1])["kv_occupancy"]
    assert whole < 0.97 * settled
    assert simulation_row(short)["kv_occupancy"] == pytest.approx(settled, rel=0.02)


def test_a_queue_that_grows_outlasts_any_limit() -> None:
    generous = simulated(traffic="poisson:150", requests=2000, slo="1000s/50ms")
    assert (ttft(generous.outcome) < 1000).all()
    assert simulation_row(generous)["slo_attainment"] == 0
    assert simulation_row(replace(generous, level=replace(generous.level, slo=Slo(tpot=0.05))))["slo_attainment"] > 0.9


def test_the_page_of_a_saturated_run_leaves_the_growing_latencies_out(saturated: list[Simulated]) -> None:
    assert list(by_id(latency_figures(saturated[0]))) == ["prefill", "tpot"]
    page = files(saturated[0], simulation_row(saturated[0]), version="1", date=DATE)["simulation.html"].decode()
    assert "Saturated: the queue grows by" in page
    assert "The queue grows by" in page


def test_without_a_price_or_a_limit_the_page_says_so(found: Simulated) -> None:
    free = replace(found, parts=tuple(replace(part, hour=None) for part in found.parts), level=replace(found.level, slo=Slo()))
    row = simulation_row(free)
    assert row["usd_per_query"] is row["usd_per_million_output_tokens"] is row["usd_per_chip_hour"] is None
    page = files(free, row, version="1", date=DATE)["simulation.html"].decode()
    assert "there is no rent price" in page
    assert "No limit was asked for." in page
    assert 'id="figure-cost"' not in page


def test_answers_of_one_token_have_no_time_per_token() -> None:
    found = simulated(output=1, policy=())
    row = simulation_row(found)
    assert row["tpot_ms"] == row["inter_token_ms"] == {"p50": None, "p90": None, "p99": None}
    assert "tpot" not in by_id(latency_figures(found))
    written = files(found, row, version="1", date=DATE)
    assert {one["tpot_s"] for one in csv.DictReader(io.StringIO(written["requests.csv"].decode()))} == {""}


def test_one_request_has_a_report() -> None:
    found = simulated(traffic="", users=1, requests=1, on=("nvidia-h100-sxm:1",))
    written = files(found, simulation_row(found), version="1", date=DATE)
    assert b"Requests of engine 0" in written["simulation.html"]


def test_tables_say_what_must_be_known_first(found: Simulated, saturated: list[Simulated]) -> None:
    row = simulation_row(found)
    assert warnings(row) == []
    assert "Interrupted: 600 of 900 requests" in latency_table("t", row | {"interrupted": True, "requests": 900}).note
    assert "highest rate was not found" in latency_table("t", row | {"interrupted": True}).note
    assert "Not settled" in latency_table("t", simulation_row(simulated(requests=4, policy=()))).note
    assert "at its capacity" in latency_table("t", simulation_row(saturated[0])).note
    assert {line["quantity"] for line in load_table(row).rows} >= {"Goodput, requests/s", "USD a query", "Energy a query, J"}
    slowest = [line["ttft_s"] for line in slowest_table(request_columns(found)).rows]
    assert slowest == sorted(ttft(found.outcome).tolist(), reverse=True)[:20]


def test_a_page_is_offline_and_its_text_stays_text(found: Simulated) -> None:
    def page(one: Simulated) -> str:
        return files(one, simulation_row(one), version="1", date=DATE)["simulation.html"].decode()

    made = page(replace(found, traffic=HOSTILE, model=HOSTILE, level=replace(found.level, name=HOSTILE)))
    assert made.count("<script") == made.count("</script>") == page(found).count("<script")
    assert "<img src=x" not in made
    assert html.escape(HOSTILE)[:20] in made
    body = re.sub(r"<script.*?</script>", "", made, flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(https?:|//)""", body) == []
    identifiers = re.findall(r'<(?:section|figure|details)[^>]* id="([^"]+)"', made)
    assert len(identifiers) == len(set(identifiers))
    data = re.findall(r"<script[^>]*application/json[^>]*>(.*?)</script>", made, flags=re.DOTALL)
    assert all(json.loads(text) for text in data)
