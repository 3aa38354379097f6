"""Prepayments, loans, risk and the terms of contracts as the plan takes them."""

import numpy as np
import pytest

from tapeout.scenario.document import parse_document
from tapeout.scenario.hardware import chips_of
from tapeout.scenario.offers import offers
from tapeout.scenario.reader import scenario_of
from tapeout.scenario.supply_side import debt, prepayments, risk

PREPAID = """\
prepayments:
  line:
    contracts: [bought]
    from: 2027Q1
    until: 2027Q4
    price: {by_quarter: {2026Q4: 1 MUSD, 2027Q3: 3 MUSD}, low: 50 %, high: 200 %, source: guess, why: small}
    lead: {value: 13 month, low: 0.5 year, high: 2 year, source: guess, why: small}
    chips: {value: 50, low: 10, high: 90, source: guess, why: small}
    offtake: {value: 20, low: 10, high: 90, source: guess, why: small}
    shortfall: {value: 100 USD, low: 10 USD, high: 900 USD, source: guess, why: small}
"""
FINANCE = """\
  budget: 5 MUSD
  debt:
    limit: {by_quarter: {2026Q4: 2 MUSD, 2028Q1: 0 USD}, source: tapeout-estimate}
    interest: {value: 12 %/year, source: tapeout-estimate}
  risk: {weight: 30 %, tail: 5 %}
  concentration: 60 %
"""


def read(text):
    return scenario_of(parse_document(text, "f.yaml"))


def test_a_prepayment_reaches_the_plan(small):
    line = prepayments(read(small + PREPAID))[0]
    assert (line.id, line.offers, line.lead, line.first, line.last) == ("line", ("bought",), 5, 1, 4)
    assert (line.chips, line.offtake, line.shortfall) == (50, 20, 100)
    np.testing.assert_allclose(line.price, [1e6] * 3 + [3e6] * 5)


def test_loans_and_risk_reach_the_plan(small):
    assert debt(read(small)) is None
    assert risk(read(small)) is None
    scenario = read(small.replace("  budget: 5 MUSD\n", FINANCE))
    loan, weighed = debt(scenario), risk(scenario)
    np.testing.assert_allclose(loan.limit, [2e6] * 5 + [0] * 3)
    assert loan.interest == pytest.approx(0.12)
    assert (weighed.weight, weighed.tail) == pytest.approx((0.3, 0.05))
    assert scenario.finance.concentration == pytest.approx(0.6)
    rows = {row.path for row in scenario.assumptions()}
    assert {"finance.debt.limit", "finance.debt.interest"} <= rows


def test_terms_of_contracts_reach_the_plan(small):
    text = small.replace(
        "    term: 1 year\n", "    term: 2 year\n    cancellation: {value: 40 %, source: tapeout-estimate}\n    minimum: 16\n"
    )
    tier = "{volume: 1_000, factor: {value: 85 %, source: tapeout-estimate}}"
    text = text.replace("    term: 4 year\n", f"    term: 4 year\n    learning: [{tier}]\n")
    scenario, before = read(text), read(small)
    chips = chips_of(scenario)
    throughput = {name: np.ones(1) for name in chips.by_name}
    rented, bought = offers(scenario, chips, throughput)
    assert (rented.cancellation, rented.minimum, rented.tiers) == (pytest.approx(0.4), 16, ())
    assert (bought.cancellation, bought.minimum) == (None, 0)
    assert [(tier.volume, tier.factor) for tier in bought.tiers] == [(1000, pytest.approx(0.85))]
    plain, owned = offers(before, chips, throughput)
    assert (plain.cancellation, plain.minimum, owned.tiers) == (None, 0, ())


def test_what_comes_whole_is_decided_as_said(small):
    assert read(small.replace("quarters: 8\n", "quarters: 8\ndecisions_every: 2 quarter\n")).every == 2
