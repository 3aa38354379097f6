"""What the numbers of a plan mean, in tables and charts: the values that were computed, and nothing where nothing was."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tapeout.appraisal.information import Information
from tapeout.appraisal.knobs import knob
from tapeout.appraisal.meaning import Meaning, meaning
from tapeout.appraisal.out_of_sample import Fared
from tapeout.outlook.processes import Branch, Effect, Process, Stage, combine
from tapeout.outlook.reduction import reduce
from tapeout.report.plan_appraisal import Appraisal, appraisal, meaning_figures, meaning_tables, programmes_worth_table, proof_tables
from tests.report.plan_case import case, one_path, plan

NOTHING = {"worths": (), "information": None, "out_of_sample": (), "reduced": None, "meaning": None, "targets": {}}


@pytest.fixture(scope="module")
def known() -> Meaning:
    turned = [knob("demand", ["models.model-0.demand"], 0.8, 1.2), knob("rent", ["contracts.cloud.price"], 0.9, 1.1)]
    return meaning(case(), plan(), turned, gap=1e-3, time_limit=30.0)


def test_nothing_is_shown_where_nothing_was_computed() -> None:
    found = appraisal(SimpleNamespace(**NOTHING))
    assert found == Appraisal()
    assert (proof_tables(found), meaning_tables(plan(), found), meaning_figures(found)) == ((), (), ())


def test_tables_hold_what_was_computed(known: Meaning) -> None:
    found = appraisal(SimpleNamespace(**(NOTHING | {"worths": known.worths, "meaning": known})))
    tables = {table.id: table for table in meaning_tables(plan(), found)}
    (worth,) = tables["programme-worth"].rows
    assert (worth["most_to_pay_usd"], worth["low_usd"], worth["high_usd"]) == (
        known.worths[0].most_to_pay, known.worths[0].low, known.worths[0].high,
    )  # fmt: skip
    assert [row["assumption"] for row in tables["tornado"].rows] == [bar.name for bar in known.tornado.bars]
    for price in known.prices.prices:
        rows = [row for row in tables["shadow-prices"].rows if (row["constraint"], row["subject"]) == (price.constraint, price.subject)]
        assert sum(row["present_usd"] for row in rows) == pytest.approx(price.present.sum())
        (one,) = [row for row in tables["scarcity"].rows if (row["constraint"], row["subject"]) == (price.constraint, price.subject)]
        assert abs(one["most_usd"]) == np.abs(price.nominal).max()
    ranges = sum(len(one.ranges) for one in known.alternatives)
    assert len(tables["alternatives"].rows) == ranges
    assert all(row["low"] <= row["planned"] * (1 + 1e-6) + 1e-9 for row in tables["alternatives"].rows)
    assert len(tables["marginal-query-cost"].rows) == len(plan().problem.quarters)


def test_what_the_company_bought_is_worth_is_told_only_of_acquisitions(known: Meaning) -> None:
    name, price = known.worths[0].programme, known.worths[0].spend / 2
    (bought,) = programmes_worth_table(known.worths, {name: price}).rows
    assert bought["most_for_target_usd"] == known.worths[0].most_for_target(price)
    alone = programmes_worth_table(known.worths, {})
    assert alone.rows[0]["most_for_target_usd"] is None
    assert "most_for_target_usd" not in [column.key for column in alone.columns]


def test_the_tornado_is_drawn_from_what_is_planned(known: Meaning) -> None:
    (figure,) = meaning_figures(Appraisal(meaning=known))
    low, high = figure.option["series"]
    for series, ends in ((low, [bar.low for bar in known.tornado.bars]), (high, [bar.high for bar in known.tornado.bars])):
        for row, (point, end) in enumerate(zip(series["data"], ends, strict=True)):
            assert point["value"] == [row, *sorted((end, known.tornado.planned))]
    assert figure.option["yAxis"]["data"] == [bar.name for bar in known.tornado.bars]
    endless = dataclasses.replace(known.tornado.bars[0], high=np.inf)
    cut = dataclasses.replace(known, tornado=dataclasses.replace(known.tornado, bars=(endless, *known.tornado.bars[1:])))
    assert meaning_figures(Appraisal(meaning=cut))[0].option["yAxis"]["data"] == [bar.name for bar in known.tornado.bars[1:]]


def test_policies_stand_by_cost_and_the_reduction_is_told() -> None:
    ours = Fared(policy="this plan", cost=1.0, low=0.5, high=2.0, unmet=0.0, over_budget=0.0, shares_broken=0.0)
    rent = dataclasses.replace(ours, policy="rent everything", cost=3.0)
    branches = (Branch(name="a", probability=0.5, effects=(Effect(target="t", factor=2.0),)), Branch(name="b", probability=0.5))
    reduced = reduce(combine([Process(name="p", stages=(Stage(quarter=1, branches=branches),))], 3), 1)
    told = Information(evpi_at_most=5.0, begun_with_mean=9.0, vss=4.0, vss_at_least=3.0, vss_at_most=6.0, mean=one_path())
    tables = {table.id: table for table in proof_tables(Appraisal(fared=(rent, ours), reduced=reduced, information=told))}
    assert [row["policy"] for row in tables["out-of-sample"].rows] == ["this plan", "rent everything"]
    assert [row["value"] for row in tables["reduction"].rows] == [2, 1, reduced.distance, reduced.mean_error]
    assert reduced.distance > 0
    assert [row["high_usd"] for row in tables["information"].rows] == [5.0, 6.0, None]
