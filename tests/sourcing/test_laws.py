"""What holds for every plan: more room never costs more, and neither order, nor scale, nor what is sure anyway matters."""

import dataclasses

import numpy as np
import pytest

from tapeout.outlook.tree import tree_of
from tapeout.sourcing.problem import ContractKind
from tests.sourcing.instances import random_problem
from tests.sourcing.optimum import optimum, with_offer


def test_more_room_never_costs_more(make):
    tight = make.full_case()
    cost = optimum(tight).cost
    looser = {
        "budget": dataclasses.replace(tight, budget=tight.budget * 1.2),
        "share": dataclasses.replace(tight, largest_share=0.9),
        "allocation": with_offer(tight, "lease", allocation=np.full(8, 40.0)),
        "option": dataclasses.replace(tight, offers=(*tight.offers, make.offer("new", 8, rent=1.0, throughput=(1.0, 0.5)))),
        "lead": with_offer(tight, "own", lead=0),
    }
    for name, problem in looser.items():
        assert optimum(problem).cost <= cost * (1 + 1e-7), name
    assert optimum(looser["option"]).cost < cost * 0.999


def test_the_order_of_offers_and_sites_does_not_matter(make):
    problem = make.full_case()
    turned = dataclasses.replace(problem, offers=problem.offers[::-1], sites=problem.sites[::-1])
    assert optimum(turned).cost == pytest.approx(optimum(problem).cost, rel=1e-7)


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e4])
def test_cost_scales_with_money(make, factor):
    problem = make.full_case()
    scaled = dataclasses.replace(
        problem,
        offers=tuple(
            dataclasses.replace(each, rent=each.rent * factor, unit_price=each.unit_price * factor, upkeep=each.upkeep * factor)
            for each in problem.offers
        ),
        sites=tuple(
            dataclasses.replace(each, capex=each.capex * factor, rent=each.rent * factor, energy=each.energy * factor)
            for each in problem.sites
        ),
        programmes=tuple(dataclasses.replace(each, spend=each.spend * factor) for each in problem.programmes),
        budget=problem.budget * factor,
        unmet_penalty=problem.unmet_penalty * factor,
    )
    assert optimum(scaled).cost == pytest.approx(factor * optimum(problem).cost, rel=1e-7)


def test_tiny_and_huge_demand_give_the_same_plan(make):
    """Break-even does not depend on size: a fifth of a chip and ten million chips are bought at the same rent."""
    for chips in (0.2, 1e7):
        offers = [make.offer("cloud", 8, rent=3.0), make.offer("bought", 8, kind=ContractKind.PURCHASE, price=20e3)]
        plan = optimum(make.problem(offers, np.full(8, chips)))
        assert plan.cost == pytest.approx(chips * 20e3)


def test_the_full_case_uses_everything(make):
    plan = optimum(make.full_case())
    assert plan.starts.sum() == 1
    assert plan.site_orders[1].sum() > 0
    assert np.all(plan.orders.sum(axis=1) > 0)


# The same on trees, with outcomes, in problems of all kinds.

SEEDS = (61, 66, 68, 212, 214)


def changed(problem, **parts):
    """The problem with each field of `parts` of its offers, sites, programmes ... replaced by what a function makes of each."""
    return dataclasses.replace(
        problem, **{name: tuple(function(each) for each in getattr(problem, name)) for name, function in parts.items()}
    )


def times(thing, factor, *names):
    return dataclasses.replace(thing, **{name: getattr(thing, name) * factor for name in names})


@pytest.mark.parametrize("seed", SEEDS)
def test_more_room_never_costs_more_on_a_tree(make, seed):
    problem = random_problem(make, seed)
    cost = optimum(problem).goal
    looser = {
        "allocation": changed(problem, offers=lambda each: times(each, 1.5, "allocation")),
        "budget": dataclasses.replace(problem, budget=problem.budget * 1.3),
        "power": changed(problem, sites=lambda each: times(each, 1.5, "available")),
        "share": dataclasses.replace(problem, largest_share=min(1.0, problem.largest_share * 1.2)),
        "minimum": changed(problem, offers=lambda each: times(each, 0.5, "minimum")),
        "decided": dataclasses.replace(problem, every=1),
        "option": dataclasses.replace(problem, offers=(*problem.offers, spot(make, problem))),
        "seen earlier": changed(problem, programmes=shown_at_once),
        "gate": changed(problem, programmes=lambda each: dataclasses.replace(each, gates=(1, 2, 3))),
    }
    for name, one in looser.items():
        assert optimum(one).goal <= cost * (1 + 1e-7), name


def spot(make, problem):
    return make.offer("spot", problem.tree.size, rent=1.5, throughput=np.ones(len(problem.models)), allocation=5.0)


def shown_at_once(programme):
    return dataclasses.replace(programme, outcomes=tuple(dataclasses.replace(each, revealed=1) for each in programme.outcomes))


def turned(tree):
    """The same tree with its nodes in the opposite order within each quarter, and the old node of each new one."""
    nodes = np.lexsort((-np.arange(tree.size), tree.quarter))
    place = np.argsort(nodes)
    parent = np.where(tree.parent[nodes] >= 0, place[np.maximum(tree.parent[nodes], 0)], -1)
    return tree_of(tree.quarter[nodes], parent, tree.probability[nodes]), nodes


@pytest.mark.parametrize("seed", SEEDS)
def test_no_order_matters_on_a_tree(make, seed):
    problem = random_problem(make, seed)
    reverse = dataclasses.replace(
        problem.on(*turned(problem.tree)),
        offers=problem.on(*turned(problem.tree)).offers[::-1],
        programmes=tuple(dataclasses.replace(each, outcomes=each.outcomes[::-1]) for each in problem.programmes),
        sites=problem.on(*turned(problem.tree)).sites[::-1],
        models=problem.models[::-1],
        demand=problem.on(*turned(problem.tree)).demand[::-1],
        volume=problem.on(*turned(problem.tree)).volume[::-1],
        unmet_penalty=problem.unmet_penalty[::-1],
    )
    reverse = changed(reverse, offers=lambda each: dataclasses.replace(each, throughput=each.throughput[::-1]))
    assert optimum(reverse).goal == pytest.approx(optimum(problem).goal, rel=1e-7)


@pytest.mark.parametrize("seed", SEEDS[:3])
@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_cost_scales_with_money_on_a_tree(make, seed, factor):
    problem = random_problem(make, seed)
    scaled = changed(
        problem,
        offers=lambda each: times(each, factor, "rent", "unit_price", "upkeep"),
        sites=lambda each: times(each, factor, "capex", "rent", "energy"),
        programmes=lambda each: dataclasses.replace(
            times(each, factor, "spend"), outcomes=tuple(times(one, factor, "spend") for one in each.outcomes)
        ),
        prepayments=lambda each: times(each, factor, "price", "shortfall"),
    )
    debt = problem.debt and times(problem.debt, factor, "limit")
    scaled = dataclasses.replace(scaled, budget=problem.budget * factor, unmet_penalty=problem.unmet_penalty * factor, debt=debt)
    assert optimum(scaled).goal == pytest.approx(factor * optimum(problem).goal, rel=1e-7)


@pytest.mark.parametrize("seed", SEEDS[:3])
@pytest.mark.parametrize("factor", [1e-2, 1e4])
def test_cost_scales_with_size_on_a_tree(make, seed, factor):
    """Ten thousand times the demand with as much of all that limits it, and ten thousand times the spend on programmes."""
    problem = random_problem(make, seed)
    scaled = changed(
        problem,
        offers=lambda each: dataclasses.replace(
            times(each, factor, "allocation", "initial", "minimum"), tiers=tuple(times(one, factor, "volume") for one in each.tiers)
        ),
        sites=lambda each: times(each, factor, "available", "initial", "module"),
        programmes=lambda each: dataclasses.replace(
            times(each, factor, "spend"), outcomes=tuple(times(one, factor, "spend") for one in each.outcomes)
        ),
        prepayments=lambda each: times(each, factor, "price", "chips", "offtake"),
    )
    debt = problem.debt and times(problem.debt, factor, "limit")
    scaled = dataclasses.replace(
        scaled, demand=problem.demand * factor, volume=problem.volume * factor, budget=problem.budget * factor, debt=debt
    )
    assert optimum(scaled).goal == pytest.approx(factor * optimum(problem).goal, rel=1e-7)


def test_two_processes_give_the_same_plan(make):
    problem = random_problem(make, 68)
    alone, together = (optimum(problem, gap=1e-3, workers=workers) for workers in (1, 2))
    assert together.goal == alone.goal
    assert together.bound == alone.bound
    assert np.array_equal(together.orders, alone.orders)
