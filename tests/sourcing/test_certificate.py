"""The certificate: a true plan passes, and for each law a plan that breaks it is caught by that law."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import LimitNotMetError
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.finance import cost_per_query_by_quarter
from tapeout.sourcing.plan import solve


@pytest.fixture(scope="module")
def plan(make):
    return solve(make.full_case(), gap=1e-9)


def changed(plan, field, where, amount):
    values = getattr(plan, field).copy()
    values[where] += amount
    return dataclasses.replace(plan, **{field: values})


def broken(plan):
    return {name for name, size in certify(plan).violations.items() if size > 1e-6}


def test_a_true_plan_passes_and_the_books_agree(plan):
    certificate = certify(plan)
    certificate.check()
    assert certificate.cost == pytest.approx(plan.cost, rel=1e-9)
    assert certificate.cost_per_query == pytest.approx(cost_per_query_by_quarter(plan), rel=1e-9)


LAST = (0, 0, 7)


@pytest.mark.parametrize(
    ("field", "where", "amount", "law"),
    [
        ("fleet", LAST, 5.0, "fleet"),
        ("orders", LAST, -50.0, "orders not negative"),
        ("orders", (0, 1, 3), 5.0, "place"),
        ("orders", (1, 0, 3), 50.0, "allocation"),
        ("orders", (4, 1, 0), 2.0, "programme"),
        ("orders", (4, 1, 7), 2.0, "delivery within the horizon"),
        ("retired", (1, 0, 6), 1.0, "term"),
        ("retired", (3, 1, 7), 1e3, "retirement"),
        ("served", (0, 0, 7), 30.0, "service"),
        ("served", (0, 0, 2), -50.0, "served not negative"),
        ("unmet", (0, 7), 20.0, "demand"),
        ("unmet", (1, 7), 2.0, "no unmet demand"),
        ("site_orders", (1, 0), 5e3, "whole modules"),
        ("site_power", (0, 7), 5e3, "held power"),
        ("site_orders", (0, 0), 90e3, "available power"),
        ("fleet", (3, 1, 7), 90.0, "site power"),
        ("starts", (0, 1), 1.0, "one start"),
        ("starts", (0, 6), 1.0, "start window"),
        ("starts", (0, 2), 0.4, "whole starts"),
    ],
)
def test_each_law_catches_its_breach(plan, field, where, amount, law):
    tampered = changed(plan, field, where, amount)
    assert law in broken(tampered)
    with pytest.raises(LimitNotMetError, match=law):
        certify(tampered).check()


def test_the_share_of_a_supplier_is_caught(plan):
    tampered = dataclasses.replace(plan, problem=dataclasses.replace(plan.problem, largest_share=0.3))
    assert "largest share" in broken(tampered)


def test_a_broken_budget_is_caught(plan):
    tampered = dataclasses.replace(plan, problem=dataclasses.replace(plan.problem, budget=plan.problem.budget * 0.01))
    assert "budget" in broken(tampered)


@pytest.mark.parametrize("category", ["rent", "chips", "upkeep", "sites", "energy", "programme", "penalty", "residual"])
def test_cooked_books_are_caught(plan, category):
    spend = {name: values.copy() for name, values in plan.spend.items()}
    spend[category][-1] -= 1e4
    assert f"{category} spend" in broken(dataclasses.replace(plan, spend=spend))


def test_a_wrong_cost_is_caught(plan):
    with pytest.raises(LimitNotMetError, match="cost"):
        certify(dataclasses.replace(plan, cost=plan.cost * 1.001)).check()


def test_a_number_that_is_none_is_caught(plan):
    with pytest.raises(LimitNotMetError):
        certify(changed(plan, "fleet", LAST, np.nan)).check()
