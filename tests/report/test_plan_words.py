"""The words of a plan say what its numbers say."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tapeout.appraisal.information import Information
from tapeout.appraisal.out_of_sample import Fared
from tapeout.appraisal.worth import ProgrammeWorth
from tapeout.report.plan_words import own_chip_answer, programme_starts, summary
from tests.report.plan_case import case, one_path, plan

NOTHING = {"worths": (), "throughput": None, "information": None, "out_of_sample": (), "reduced": None, "meaning": None, "targets": {}}


def study(found, **more):
    return SimpleNamespace(**(NOTHING | {"plan": found, "problem": case()} | more))


def test_the_recommendation_comes_first_with_its_trigger() -> None:
    first, outcomes, *_ = summary(study(plan()))
    trigger = "Q1 if peak demand is above 55 query/s (demand high in Q1) (40 % of futures)"
    assert first == f"Start the own chip (tapeout) in {trigger}, and not at all in the other 60 % of futures."
    assert outcomes == "Once it is started its chips serve from Q3 on (75 %, on time) or never (25 %, failed)."
    assert own_chip_answer(plan(), 1) == "start Q1 in 40 %"
    assert programme_starts(plan()) == {"tapeout": "Q1"}


def test_a_sure_start_has_no_condition() -> None:
    words = summary(study(one_path()))
    assert words[:2] == ("Start the own chip (tapeout) in Q1.", "Its chips serve from Q3 on.")
    assert own_chip_answer(one_path(), 1) == "start Q1"
    assert not any("futures" in sentence for sentence in words)


def test_what_the_programme_costs_is_what_the_plan_expects_to_pay() -> None:
    worth = ProgrammeWorth(programme="tapeout", most_to_pay=8e5, spend=954e3, low=8e5, high=9e5)
    first = summary(study(plan(), worths=(worth,)))[0]
    spend = 0.4 * 5e5 * (1.1**-0.375 + 1.1**-0.625)  # two quarters, each at its middle
    assert f"{spend / 1e3:.0f}" == "381"
    assert first.endswith("would be worth at most $800k ($800k to $900k) of one-off spend and costs $381k, both discounted.")


def test_where_none_is_started_the_best_programme_is_named() -> None:
    known = plan()
    none = replace(known, starts=np.zeros_like(known.starts))
    low = ProgrammeWorth(programme="other", most_to_pay=1.0, spend=9e6, low=1.0, high=1.0)
    best = ProgrammeWorth(programme="tapeout", most_to_pay=8e5, spend=9e5, low=8e5, high=8e5)
    first = summary(study(none, worths=(low, best)))[0]
    assert first.startswith("Do not start an own chip on these assumptions: the best programme, tapeout, would be worth at most $800k of")
    assert own_chip_answer(none, 1) == "do not start"
    assert own_chip_answer(none, 0) == "no programme on offer"


def test_a_stop_is_told_with_what_makes_it() -> None:
    known = plan()
    tree = known.problem.tree
    failed = np.array([name == "tapeout failed" for name in tree.names], dtype=float)
    stopped = replace(known, stops=failed[None])
    assert "Stop it in Q3 if tapeout failed in Q3 (10 % of futures)." in summary(study(stopped))[1]


def test_the_spread_over_the_futures_is_told() -> None:
    (words,) = [sentence for sentence in summary(study(plan())) if sentence.startswith("The plan costs")]
    assert words.startswith(f"The plan costs ${plan().cost / 1e6:.2f}M in the mean of 3 futures, ")


def test_the_first_year_and_the_fleet_until_the_chips_come() -> None:
    words = summary(study(plan()))
    year = next(sentence for sentence in words if sentence.startswith("In the first year"))
    assert year == "In the first year, order 30 own-chip (own chip, own) in the mean of the branches and rent up to 100 cloud on demand."
    until = next(sentence for sentence in words if sentence.startswith("Until"))
    assert until == "Until its first chips serve in Q3, run on 70 cloud."  # 10, 100 and 100 where it is started


@pytest.mark.parametrize(
    ("vss", "words"), [(2e5, "saves $200k."), (np.inf, "who begins with the plan for the mean comes to futures in which no plan is left.")]
)
def test_the_worth_of_information_is_told(vss: float, words: str) -> None:
    found = Information(evpi_at_most=1e5, begun_with_mean=vss, vss=vss, vss_at_least=0.0, vss_at_most=vss, mean=one_path())
    (sentence,) = [each for each in summary(study(plan(), information=found)) if each.startswith("To know")]
    assert "at most $100k" in sentence
    assert sentence.endswith(words)


def test_how_the_plan_fares_in_fresh_futures_is_told_beside_the_best_of_the_others() -> None:
    def fared(policy: str, cost: float, unmet: float) -> Fared:
        return Fared(policy=policy, cost=cost, low=cost, high=cost, unmet=unmet, over_budget=0.0, shares_broken=0.0)

    found = (fared("this plan", 2e6, 0.03), fared("rent everything", 9e6, 0.0), fared("buy a year ahead", 4e6, 0.0))
    (sentence,) = [each for each in summary(study(plan(), out_of_sample=found)) if each.startswith("Followed")]
    assert "it costs $2M in the mean with 3 % of the queries not served" in sentence
    assert sentence.endswith("the best of the other policies, buy a year ahead, costs $4M.")
