"""The shipped scenarios through the whole flow: every plan passes its independent re-simulation, and follows its assumptions."""

import html
from pathlib import Path

import numpy as np
import pytest

from tapeout import study
from tapeout.cost.tco import finance
from tapeout.performance.best import Serving
from tapeout.report.plan_evidence import evidence
from tapeout.report.plan_run import plan_record, run
from tapeout.report.plan_words import own_chip_answer, summary, unmet_share
from tapeout.sourcing.finance import cash_by_quarter

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="module", params=SCENARIOS, ids=lambda path: path.stem)
def found(request: pytest.FixtureRequest) -> study.PlanStudy:
    return study.plan(request.param, gap=1e-2, time_limit=60.0, say=lambda _: None)


def test_the_plan_passes_its_certificate(found: study.PlanStudy) -> None:
    assert max(found.certificate.violations.values()) <= 1e-6
    assert found.certificate.disagreement <= 1e-6
    assert {"service", "allocation", "budget", "site power"} <= set(found.certificate.violations)


def test_the_bound_is_below_the_cost_within_the_gap(found: study.PlanStudy) -> None:
    assert found.plan.bound <= found.plan.cost
    assert found.plan.gap <= 1e-2


def test_throughput_comes_from_the_performance_model(found: study.PlanStudy) -> None:
    for offer in found.problem.offers:
        for index, (name, model) in enumerate(found.scenario.models.items()):
            serving = found.servings[offer.chip, name]
            expected = serving.prediction.output_rate_per_chip.value / model.answer.value if isinstance(serving, Serving) else 0.0
            available = finance().operation.availability.value if offer.owned else 1.0
            assert offer.throughput[index] == pytest.approx(expected * available, rel=1e-12)
            if isinstance(serving, Serving):
                assert serving.prediction.tpot.value <= model.time_per_output_token
                assert serving.prediction.ttft.value <= model.time_to_first_token


def test_every_kind_of_fact_behind_the_plan_is_shown(found: study.PlanStudy) -> None:
    rows = evidence(found)
    shown = " ".join(row.name for row in rows)
    assert all(word in shown for word in ("price ", "server ", "efficiency ", "place ", "operation", "models."))
    assert all(row.grade and row.source for row in rows)


def test_cash_stays_inside_the_budget(found: study.PlanStudy) -> None:
    assert np.all(cash_by_quarter(found.plan) <= found.problem.budget * (1 + 1e-6))


def test_the_record_is_complete_and_finite(found: study.PlanStudy) -> None:
    record = plan_record(found)
    assert {"cost_usd", "bound_usd", "gap", "resimulated_cost_usd", "cost_per_query_usd"} <= set(record)
    assert list(record["cost_per_query_usd"]) == list(found.problem.quarters)
    assert all(cost > 0 for cost in record["cost_per_query_usd"].values())


def test_the_words_say_what_the_numbers_say(found: study.PlanStudy) -> None:
    words = " ".join(summary(found))
    assert ("All demand is met" in words) == (unmet_share(found.plan) < 5e-4)
    assert own_chip_answer(found.plan).startswith("start") == bool(found.plan.starts.sum() > 0.5)
    for worth in found.worths:
        assert worth.spend > 0
        if worth.most_to_pay < 0.9 * worth.spend:
            assert not found.plan.starts[[one.id for one in found.problem.programmes].index(worth.programme)].any()


def test_the_page_needs_no_network_and_has_every_table(found: study.PlanStudy) -> None:
    made = run(found, version="0", date="2026-01-01")
    assert 'src="http' not in made.page
    assert html.escape(found.scenario.question.strip()[:40], quote=True).replace("&#x27;", "&#39;") in made.page
    names = {item.name for item in made.inputs}
    assert {f"data/chips/{chip}.toml" for chip in found.chips.by_name if chip not in found.scenario.own_chips} <= names
    assert any(name.startswith("data/models/") for name in names)
    assert {"fleet", "orders", "spend", "service", "suppliers", "assumptions", "sources", "certificate", "serving"} <= {
        table.id for table in made.tables
    }
