"""The certificate: a true plan passes, and for each law a plan that breaks it is caught by that law."""

import dataclasses

import numpy as np
import pytest

from tapeout.errors import LimitNotMetError
from tapeout.outlook.tree import Tree
from tapeout.sourcing.accounts import cost_per_query_by_quarter, delivered_queries, economic_cost_by_quarter
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.plan import CASH, NOT_CASH
from tapeout.sourcing.problem import ContractKind, Debt, Risk
from tapeout.sourcing.search import solve
from tests.sourcing.everything import everything
from tests.sourcing.instances import random_problem

RESERVED, LEASE, BOUGHT, OWN = 1, 2, 3, 4


@pytest.fixture(scope="module")
def plan(make):
    return solve(everything(make, seed=9), gap=0.05)


@pytest.fixture(scope="module")
def sure(make):
    return solve(make.full_case(), gap=1e-9)


def broken(plan):
    return {name for name, size in certify(plan).violations.items() if size > 1e-6}


def changed(plan, field, where, amount):
    values = getattr(plan, field).copy()
    values[where] += amount
    return dataclasses.replace(plan, **{field: values})


def asked(plan, **fields):
    """The plan as the answer to another problem."""
    problem, world = (dataclasses.replace(one, **fields) for one in (plan.futures.problem, plan.futures.world))
    return dataclasses.replace(plan, futures=dataclasses.replace(plan.futures, problem=problem, world=world))


def offered(plan, index, **fields):
    offers = list(plan.problem.offers)
    offers[index] = dataclasses.replace(offers[index], **fields)
    return asked(plan, offers=tuple(offers))


def planned(plan, **fields):
    return asked(plan, programmes=(dataclasses.replace(plan.problem.programmes[0], **fields),))


def grown(plan, **fields):
    """The plan on a tree that is not made as trees are."""
    tree = plan.problem.tree
    values = {field.name: getattr(tree, field.name) for field in dataclasses.fields(Tree)} | fields
    problem = dataclasses.replace(plan.problem, tree=Tree(**values))
    return dataclasses.replace(plan, futures=dataclasses.replace(plan.futures, problem=problem))


def at(plan, quarter, branch="", row=0):
    """A node of a quarter on the way of some branch."""
    tree = plan.problem.tree
    nodes = [node for node in np.flatnonzero(tree.quarter == quarter).tolist() if branch in tree.words(node)]
    return nodes[row]


def first(mask):
    return tuple(np.argwhere(mask)[0].tolist())


def test_a_true_plan_passes_and_the_books_agree(sure):
    certificate = certify(sure)
    certificate.check()
    assert certificate.cost == pytest.approx(sure.cost, rel=1e-9)
    assert certificate.cost_per_query == pytest.approx(cost_per_query_by_quarter(sure), rel=1e-9)


def test_a_plan_under_uncertainty_passes_and_uses_all_there_is(plan):
    certificate = certify(plan)
    certificate.check()
    assert certificate.cost == pytest.approx(plan.cost, rel=1e-9)
    assert certificate.goal == pytest.approx(plan.goal, rel=1e-9)
    assert certificate.goal > certificate.cost
    for used in ("starts", "stops", "prepaid", "short", "debt", "unmet", "cheaper", "site_orders"):
        assert getattr(plan, used).max() > 0, used
    assert np.all(plan.ended[[RESERVED, BOUGHT]].max(axis=(1, 2)) > 0)
    assert np.all(plan.orders.max(axis=1) > 0)
    assert np.any(plan.installed > plan.fleet.sum(axis=1) + 1)
    assert {name for name, values in plan.spend.items() if np.any(values)} == {*CASH, *NOT_CASH}


def expected_cost_per_query(plan):
    tree = plan.problem.tree
    paths = [(tree.probability[leaf], plan.along(leaf)) for leaf in tree.leaves]
    cost = sum(chance * economic_cost_by_quarter(path) for chance, path in paths)
    return cost / sum(chance * delivered_queries(path) for chance, path in paths)


def test_the_cost_per_query_is_expected_cost_over_expected_queries(plan):
    assert certify(plan).cost_per_query == pytest.approx(expected_cost_per_query(plan), rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_plans_of_random_problems_pass(make, seed):
    certify(solve(random_problem(make, seed), gap=0.05)).check()


BREACHES = {
    "installed": lambda plan: changed(plan, "installed", (0, at(plan, 7)), 5.0),
    "fleet": lambda plan: changed(plan, "fleet", (0, 0, at(plan, 7)), 5.0),
    "place": lambda plan: changed(plan, "fleet", (OWN, 2, at(plan, 7)), 5.0),
    "orders not negative": lambda plan: changed(plan, "orders", (0, at(plan, 7)), -50.0),
    "served not negative": lambda plan: changed(plan, "served", (0, 0, at(plan, 7)), -500.0),
    "allocation": lambda plan: changed(plan, "orders", (RESERVED, at(plan, 3)), 50.0),
    "delivery within the horizon": lambda plan: changed(plan, "orders", (BOUGHT, at(plan, 7)), 2.0),
    "least order": lambda plan: changed(plan, "orders", (LEASE, first(plan.orders[LEASE] == 0)[0]), 2.0),
    "quarter of decision": lambda plan: changed(plan, "orders", (LEASE, at(plan, 3)), 6.0),
    "programme": lambda plan: changed(plan, "orders", (OWN, 0), 2.0),
    "early end": lambda plan: changed(plan, "ended", (BOUGHT, 0, at(plan, 5)), 1e3),
    "end of a commitment": lambda plan: offered(plan, RESERVED, cancellation=None),
    "tier": lambda plan: changed(plan, "cheaper", (BOUGHT, 0, 0), 1.0),
    "service": lambda plan: changed(plan, "served", (0, 0, at(plan, 7)), 30.0),
    "can serve": lambda plan: changed(plan, "served", (LEASE, 1, at(plan, 7)), 1.0),
    "demand": lambda plan: changed(plan, "unmet", (0, at(plan, 7)), 20.0),
    "no unmet demand": lambda plan: asked(plan, unmet_penalty=np.full(2, np.inf)),
    "largest share": lambda plan: asked(plan, largest_share=0.3),
    "concentration": lambda plan: asked(plan, concentration=0.3),
    "whole modules": lambda plan: changed(plan, "site_orders", (1, at(plan, 2)), 5e3),
    "held power": lambda plan: changed(plan, "site_power", (0, at(plan, 7)), 5e3),
    "available power": lambda plan: changed(plan, "site_orders", (0, 0), 90e3),
    "site power": lambda plan: changed(plan, "fleet", (BOUGHT, 1, at(plan, 7)), 900.0),
    "one start": lambda plan: changed(plan, "starts", (0, at(plan, 2)), 1.0),
    "start window": lambda plan: changed(plan, "starts", (0, at(plan, 6)), 1.0),
    "whole starts": lambda plan: changed(plan, "starts", (0, at(plan, 2)), 0.4),
    "one stop": lambda plan: changed(plan, "stops", (0, at(plan, 2, "failed")), 1.0),
    "whole stops": lambda plan: changed(plan, "stops", (0, at(plan, 2, "late")), 0.4),
    "gate": lambda plan: changed(plan, "stops", (0, at(plan, 3, "late")), 1.0),
    "one prepayment": lambda plan: changed(plan, "prepaid", (0, [0, at(plan, 4)]), 1.0),
    "prepayment window": lambda plan: changed(plan, "prepaid", (0, at(plan, 3)), 1.0),
    "whole prepayments": lambda plan: changed(plan, "prepaid", (0, 0), 0.4),
    "offtake": lambda plan: changed(plan, "short", first(plan.short > 1), -1.0),
    "debt": lambda plan: changed(plan, "debt", at(plan, 7), 1e3),
    "budget": lambda plan: changed(plan, "debt", first(plan.debt > 1e4), -1e4),
    "bound": lambda plan: dataclasses.replace(plan, bound=plan.goal * 1.001),
    "tree": lambda plan: grown(plan, parent=np.where(plan.problem.tree.quarter == 7, at(plan, 6), plan.problem.tree.parent)),
    "probability": lambda plan: grown(plan, probability=plan.problem.tree.probability * 0.9),
    "futures": lambda plan: dataclasses.replace(
        plan, futures=dataclasses.replace(plan.futures, world=dataclasses.replace(plan.futures.world, demand=plan.futures.world.demand * 2))
    ),
    "foresight": lambda plan: planned(
        plan, outcomes=tuple(dataclasses.replace(one, revealed=2) for one in plan.problem.programmes[0].outcomes)
    ),
    "outcome": lambda plan: dataclasses.replace(
        plan, futures=dataclasses.replace(plan.futures, case=np.where(plan.problem.tree.quarter == 4, 2, plan.futures.case))
    ),
}


@pytest.mark.parametrize("law", BREACHES)
def test_each_law_catches_its_breach(plan, law):
    tampered = BREACHES[law](plan)
    assert law in broken(tampered)
    with pytest.raises(LimitNotMetError, match=law):
        certify(tampered).check()


def test_every_law_has_a_breach(plan):
    """Laws of books and of signs are broken in tests of their own, or are alike."""
    laws = {law for law in certify(plan).violations if not law.endswith((" spend", " not negative"))}
    assert laws <= set(BREACHES)


@pytest.mark.parametrize(
    "field",
    ["orders", "installed", "fleet", "ended", "served", "unmet", "site_orders", "site_power", "starts", "stops", "prepaid", "cheaper",
     "short", "debt"],
)  # fmt: skip
def test_what_is_negative_is_caught(plan, field):
    values = getattr(plan, field)
    assert f"{field.replace('_', ' ')} not negative" in broken(changed(plan, field, first(values == values.min()), -values.max() - 1))


def test_chips_of_a_programme_that_failed_or_was_stopped_are_caught(plan):
    late, failed = at(plan, 2, "late"), at(plan, 4, "failed")
    assert "programme" in broken(changed(plan, "orders", (OWN, late), 1.0))
    assert "programme" in broken(changed(plan, "orders", (OWN, failed), 1.0))
    at_gate = at(plan, 2, "on time")
    assert "programme" in broken(changed(changed(plan, "stops", (0, at_gate), 1.0), "orders", (OWN, at_gate), 1.0))


def test_a_programme_that_is_stopped_after_its_first_chips_serves_on(make):
    """Each quarter after the second would cost more than all of its chips; those that came before the stop serve to the end."""
    outcomes = (
        make.outcome("good", 0.5, [10.0, 1e3, 1e6, 1e6], lead=1, revealed=1),
        make.outcome("bad", 0.5, [10.0], lead=None, revealed=1),
    )
    own = {"kind": ContractKind.OWN, "price": 100.0, "programme": "tapeout", "allocation": 1e3}
    offers = [make.offer("cloud", 6, rent=10.0), make.offer("own", 6, **own)]
    plan = solve(make.problem(offers, np.full(6, 6.0), programmes=[make.programme("tapeout", [10.0], outcomes=outcomes, gates=(1, 2))]))
    certificate = certify(plan)
    certificate.check()
    good = [node for node in range(plan.problem.tree.size) if "good" in plan.problem.tree.words(node)]
    assert plan.stops[0, good].tolist() == [0, 1, 0, 0, 0]
    assert plan.served[1, 0, good] == pytest.approx(6.0)
    assert certificate.cost_per_query == pytest.approx(expected_cost_per_query(plan), rel=1e-9)


def test_chips_that_no_prepayment_allows_are_caught(plan):
    over = np.flatnonzero(plan.orders[BOUGHT] > plan.problem.offers[BOUGHT].allocation + 1)
    assert over.size
    assert "allocation" in broken(dataclasses.replace(plan, prepaid=np.zeros_like(plan.prepaid)))


def test_modules_between_quarters_of_decision_are_caught(plan):
    assert "quarter of decision" in broken(changed(plan, "site_orders", (1, at(plan, 3)), 20e3))


def test_debt_that_nobody_lends_is_caught(plan):
    assert "debt" in broken(asked(plan, debt=None))
    assert "debt" in broken(asked(plan, debt=Debt(limit=np.full(plan.problem.tree.size, 1e4), interest=0.08)))


@pytest.mark.parametrize("category", [*CASH, *NOT_CASH])
def test_cooked_books_are_caught(plan, category):
    spend = {name: values.copy() for name, values in plan.spend.items()}
    spend[category][-1] -= 1e4
    assert f"{category} spend" in broken(dataclasses.replace(plan, spend=spend))


def test_a_wrong_cost_or_goal_is_caught(plan):
    for field in ("cost", "goal"):
        with pytest.raises(LimitNotMetError, match="cost"):
            certify(dataclasses.replace(plan, **{field: getattr(plan, field) * 1.001})).check()
    with pytest.raises(LimitNotMetError, match="cost"):
        certify(asked(plan, risk=Risk(weight=0.9, tail=0.25))).check()


def test_a_number_that_is_none_is_caught(plan):
    with pytest.raises(LimitNotMetError):
        certify(changed(plan, "fleet", (0, 0, at(plan, 7)), np.nan)).check()
