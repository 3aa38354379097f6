"""Programmes of a scenario: what they spend, how long they take, and how they may go."""

import numpy as np
import pytest

from tapeout.cost.draws import Draws
from tapeout.cost.outcomes import planned
from tapeout.cost.programme import programme
from tapeout.errors import InputError
from tapeout.hardware.custom import die_area
from tapeout.hardware.process import process
from tapeout.scenario.document import parse_document
from tapeout.scenario.programmes import programmes
from tapeout.scenario.reader import scenario_of
from tapeout.units import QUARTER
from tests.scenario.own_contract import own_contract

CONTRACT = own_contract("made")
REST = """\
programmes:
  made: {ENTRY}
own_chips:
  mine:
    node: tsmc-5
    package: cowos-s
    matrix_units: 64
    rows: 64
    columns: 64
    formats: [bf16, fp8]
    clock: 1.2 GHz
    on_chip_memory: 64 MiB
    memory: {generation: hbm3, stacks: 4}
    link: {bandwidth: 448 GB/s, topology: mesh, domain: 8}
"""
SAID = "nre: {value: 80 MUSD, source: tapeout-estimate}, duration: {value: 2 year, source: tapeout-estimate}"
PRICE = "price: {value: 900 MUSD, source: smart2zero-habana}"
CASES = """{source: guess, why: small, cases: {
    on time: {probability: 50 %},
    late: {probability: 30 %, delay: 2 quarter, extra: 20 MUSD, shows: 1 year},
    failed: {probability: 20 %, failed: true, shows: 1 year, extra: 5 MUSD}}}"""


def scenario(small, entry):
    text = small.replace("sites:\n  cage", CONTRACT + "sites:\n  cage") + REST.replace("ENTRY", entry)
    return scenario_of(parse_document(text, "f.yaml"))


def made(small, entry):
    return programmes(scenario(small, entry))[0]


def chip_of(small):
    own = scenario(small, "mode: own-team").own_chips["mine"].parameters("mine")
    return process(own.node), die_area(own).total


def test_a_programme_is_sure_unless_its_outcomes_are_said(small):
    sure = made(small, f"mode: own-team, {SAID}, profile: [25 %, 75 %]")
    assert sure.outcomes == ()
    assert sure.lead == 8
    np.testing.assert_allclose(sure.spend, [5e6] * 4 + [15e6] * 4)


@pytest.mark.parametrize(
    ("mode", "word", "price"), [("own-team", "own-team", 0), ("partner", "design-partner", 0), ("acquisition", "acquisition", 9e8)]
)
def test_what_is_not_said_is_the_plan_of_the_mode(small, mode, word, price):
    entry = f"mode: {mode}" + (f", {PRICE}" if price else "")
    found, plan = made(small, entry), planned(word, *chip_of(small))
    assert found.lead == int(np.ceil(plan.duration / QUARTER))
    assert found.spend.sum() == pytest.approx(plan.cost + price)
    assert found.spend.min() >= 0
    stated = made(small, entry + ", nre: {value: 80 MUSD, source: tapeout-estimate}")
    assert (stated.lead, stated.spend.sum()) == (found.lead, pytest.approx(80e6 + price))


def test_stated_outcomes_spend_alike_until_they_show(small):
    found = made(small, f"mode: acquisition, {PRICE}, {SAID}, outcomes: {CASES}, gates: [1 year, 6 quarter]")
    on_time, late, failed = found.outcomes
    assert found.gates == (4, 6)
    assert [(one.name, one.probability, one.lead, one.revealed) for one in found.outcomes] == [
        ("on time", 0.5, 8, 8), ("late", pytest.approx(0.3), 10, 4), ("failed", 0.2, None, 4),
    ]  # fmt: skip
    np.testing.assert_allclose(on_time.spend[:8], [910e6, *[10e6] * 7])
    assert on_time.spend[8:].sum() == 0
    np.testing.assert_allclose(late.spend, [910e6, *[10e6] * 9])  # 40 of 100 MUSD until it shows, the rest evenly
    np.testing.assert_allclose(failed.spend, [910e6, *[10e6] * 3, 5e6])


def test_outcomes_of_the_cost_model_keep_its_means_on_the_stated_plan(small):
    found = made(small, f"mode: own-team, {SAID}, outcomes: cost model")
    node, area = chip_of(small)
    plan, drawn = planned("own-team", node, area), programme("own-team")(node, area, Draws(count=20_000))
    assert {one.name for one in found.outcomes} == {"on time", "respin", "late", "failed"}
    assert sum(one.probability for one in found.outcomes) == pytest.approx(1)
    failed = next(one for one in found.outcomes if one.name == "failed")
    assert failed.lead is None
    assert failed.probability == pytest.approx(drawn.failure)
    mean = sum(one.probability * one.spend.sum() for one in found.outcomes)
    paid = float(sum(drawn.paid().values()).mean()) * 80e6 / plan.cost
    assert mean == pytest.approx(paid, rel=0.02)  # where an outcome would cost less than was spent until it shows, no money comes back
    leads = {one.name: one.lead for one in found.outcomes if one.lead}
    assert leads["on time"] <= 8 < leads["late"]
    ended = drawn.volume[np.isfinite(drawn.volume)].mean() * 2 * 4 * QUARTER / plan.duration / QUARTER
    alive = [one for one in found.outcomes if one.lead]
    mean_lead = sum(one.probability * one.lead for one in alive) / sum(one.probability for one in alive)
    assert mean_lead == pytest.approx(ended, abs=0.5)  # leads are whole quarters
    for one in found.outcomes:
        assert 1 <= one.revealed <= (one.lead or one.revealed)
        hidden = min(other.revealed for other in found.outcomes)
        np.testing.assert_allclose(one.spend[:hidden], found.spend[:hidden])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("outcomes: cost modl", r"made\.outcomes: unknown word, given 'cost modl'.*did you mean cost model\?"),
        ("outcomes: {source: guess, why: small}", r"made\.outcomes\.cases: missing key"),
        ("outcomes: {source: guess, cases: {a: {probability: 1}}}", r"made\.outcomes\.why: missing key; a guess says why"),
        ("outcomes: {source: nowhere, cases: {a: {probability: 1}}}", r"made\.outcomes\.source: unknown source"),
        ("outcomes: {source: guess, why: x, cases: {a: {probability: 0.5}, b: {probability: 0.4}}}",
         r"f\.yaml:\d+:\d+: programmes\.made\.outcomes\.cases: the probabilities do not sum to 100 %, given '50 % \+ 40 % = 90 %'"),
        ("outcomes: {source: guess, why: x, cases: {a: {probability: 1, failed: true, delay: 1 month}}}",
         r"cases\.a\.delay: a programme that fails is not late"),
        ("outcomes: {source: cost model, cases: {a: {probability: 1}}}", r"outcomes\.cases: outcomes that are stated and drawn"),
        ("outcomes: {source: guess, why: x, cases: {a: {probabilty: 1}}}",
         r"cases\.a\.probabilty: unknown key.*did you mean probability\?"),
        ("gates: [1 year, 2 year]", r"made\.gates\[1\]: a gate after the end, given '8 quarters', allowed: less than the 8 quarters"),
        ("gates: [6 quarter, 1 year]", r"made\.gates\[1\]: gates out of order, given '4 after 6'"),
    ],
)  # fmt: skip
def test_bad_outcomes_are_refused_with_their_place(small, entry, message):
    with pytest.raises(InputError, match=message):
        scenario(small, f"mode: own-team, {SAID}, {entry}")


def test_what_is_assumed_of_outcomes_is_listed(small):
    rows = {row.path: row for row in scenario(small, f"mode: own-team, {SAID}, outcomes: {CASES}").assumptions()}
    row = rows["programmes.made.outcomes"]
    assert row.value == "0.5 on time, 0.3 late, 0.2 failed"
    assert (row.low, row.high) == ("on time: +0 months, +0 MUSD", "failed: never, +5 MUSD")
    drawn = scenario(small, f"mode: own-team, {SAID}, outcomes: cost model").assumptions()
    assert "programmes.made.outcomes" not in {row.path for row in drawn}
