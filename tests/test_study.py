"""The shipped scenarios through the whole flow: every plan passes its independent re-simulation, and follows its assumptions."""

import html
from pathlib import Path

import numpy as np
import pytest

from tapeout import study
from tapeout.cost.tco import finance
from tapeout.fleet.best import Carried
from tapeout.performance.best import Serving
from tapeout.performance.efficiency import efficiencies, efficiency
from tapeout.provenance import sources
from tapeout.report.assumptions import WORST_FIRST
from tapeout.report.plan_evidence import evidence
from tapeout.report.plan_run import plan_record, run
from tapeout.report.plan_words import own_chip_answer, summary
from tapeout.sourcing.accounts import cash_by_node, levelised_cost_per_query, unmet_share

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="module", params=SCENARIOS, ids=lambda path: path.stem)
def found(request: pytest.FixtureRequest) -> study.PlanStudy:
    return study.plan(request.param, study.Wanted(gap=1e-2, time_limit=60.0, appraised=study.Appraised.NOT), lambda _: None)


@pytest.fixture(scope="module", params=[("startup", None), ("lab-2026", 2)], ids=["startup", "lab-2026 on a tree"])
def appraised(request: pytest.FixtureRequest) -> study.PlanStudy:
    name, scenarios = request.param
    path = next(path for path in SCENARIOS if path.stem == name)
    return study.plan(path, study.Wanted(gap=2e-2, scenarios=scenarios), lambda _: None)


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
            expected = serving.rate.value / model.answer.value if isinstance(serving, Serving) else 0.0
            available = finance().operation.availability.value if offer.owned else 1.0
            assert offer.throughput[index] == pytest.approx(expected * available, rel=1e-12)
            if isinstance(serving, Serving):
                assert isinstance(serving, Carried)
                assert serving.attainment >= model.attainment
                assert serving.rate.value == pytest.approx(serving.request_rate / serving.fleet.chips * model.answer.value)


def test_the_bands_of_the_throughputs_are_those_of_the_predictions(found: study.PlanStudy) -> None:
    bands = study.throughput_bands(found.scenario, found.chips, found.servings)
    for (chip, model), serving in found.servings.items():
        index = list(found.scenario.models).index(model)
        rate = serving.rate if isinstance(serving, Serving) else None
        expected = (rate.low / rate.value, rate.high / rate.value) if rate else (1.0, 1.0)
        assert (bands[chip].low[index], bands[chip].high[index]) == expected
        assert bands[chip].generation == found.chips.by_name[chip].generation


def test_what_the_bands_do_is_told_and_lies_around_the_plan(appraised: study.PlanStudy) -> None:
    found, ends = appraised, appraised.throughput
    plan = found.information.mean if found.information else found.plan  # on a tree, of the plan for the mean of the futures
    assert ends is not None
    assert ends.cost_low < plan.cost < ends.cost_high
    assert ends.unmet_low <= unmet_share(plan) < ends.unmet_high < 1
    assert ends.query_low <= levelised_cost_per_query(plan) * (1 + 1e-9) < ends.query_high
    record = plan_record(found)
    assert (record["cost_low_usd"], record["cost_high_usd"], record["unmet_share_high"]) == (ends.cost_low, ends.cost_high, ends.unmet_high)
    generations = {found.chips.by_name[offer.chip].generation for offer in plan.problem.offers}
    assert set(record["throughput_band"]["generations"]) == generations
    assert "independently" in record["throughput_band"]["rule"]
    assert "80 % bands" in " ".join(summary(found))


def test_a_plan_on_a_tree_is_told_with_what_knowing_is_worth_and_how_it_fares(appraised: study.PlanStudy) -> None:
    if appraised.problem.tree.leaves.size == 1:
        assert appraised.information is None
        assert not appraised.out_of_sample
        return
    assert appraised.information is not None
    assert appraised.information.evpi_at_most >= 0
    assert appraised.information.vss_at_most >= appraised.information.vss_at_least
    assert [one.policy for one in appraised.out_of_sample] == ["this plan", "rent everything", "buy a year ahead", "plan for the mean"]
    record = plan_record(appraised)
    assert {"information", "out-of-sample", "reduction", "contract-worth"} <= set(record["appraisal"])
    assert all(one.low <= one.most_to_pay <= one.high for one in appraised.worths)


def test_every_throughput_is_shown_with_its_band_source_and_grade(found: study.PlanStudy) -> None:
    rows = evidence(found)
    for (chip, model), serving in found.servings.items():
        if isinstance(serving, Serving):
            row = next(row for row in rows if row.name.startswith(f"throughput {chip}: {model}, "))
            assert row.value == f"{serving.rate.value:,.4g} token/s per chip"
            assert row.low != row.value != row.high
            assert row.source in sources()
            coefficients = efficiency(serving.chip.generation, efficiencies())
            assert coefficients.spread is not None
            fitted = coefficients.distance == 0 and serving.chip.id in coefficients.spread.chips
            assert ("fitted on this chip" in row.note) == fitted
            assert fitted or WORST_FIRST.index(row.grade) <= WORST_FIRST.index(coefficients.spread.widening.grade)


def test_every_kind_of_fact_behind_the_plan_is_shown(found: study.PlanStudy) -> None:
    rows = evidence(found)
    shown = " ".join(row.name for row in rows)
    assert all(word in shown for word in ("price ", "server ", "efficiency ", "place ", "operation", "models."))
    assert all(row.grade and row.source for row in rows)


def test_cash_stays_inside_the_budget(found: study.PlanStudy) -> None:
    assert np.all(cash_by_node(found.plan) <= found.problem.budget * (1 + 1e-6))


def test_the_record_is_complete_and_finite(found: study.PlanStudy) -> None:
    record = plan_record(found)
    assert {"cost_usd", "bound_usd", "gap", "resimulated_cost_usd", "cost_per_query_usd"} <= set(record)
    assert list(record["cost_per_query_usd"]) == list(found.problem.quarters)
    assert all(cost > 0 for cost in record["cost_per_query_usd"].values())


def test_the_words_say_what_the_numbers_say(found: study.PlanStudy) -> None:
    words = " ".join(summary(found))
    assert ("All demand is met" in words) == (unmet_share(found.plan) < 5e-4)
    assert own_chip_answer(found.plan, len(found.problem.programmes)).startswith("start") == bool(found.plan.starts.sum() > 0.5)
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
