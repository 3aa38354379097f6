"""What bands of throughput do to a plan: closed forms, the rule that joins generations, and orders kept or decided anew."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from tapeout.errors import InfeasibleError
from tapeout.sourcing.accounts import levelised_cost_per_query, unmet_share
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.reordering import reordered
from tapeout.sourcing.search import solve
from tapeout.sourcing.throughput_range import ThroughputBand, as_ordered, throughput_range


def band(generation, low, high, models=1):
    return ThroughputBand(generation=generation, low=np.full(models, low), high=np.full(models, high))


def two_clouds(make, *, penalty=np.inf, **fields):
    """Two models, each served by one cloud alone."""
    offers = [
        make.offer("first", 4, kind=ContractKind.RESERVED, term=4, rent=3.0, throughput=(1.0, 0.0), **fields),
        make.offer("second", 4, kind=ContractKind.RESERVED, term=4, rent=2.0, throughput=(0.0, 0.5), **fields),
    ]
    return make.problem(offers, [np.full(4, 100.0), np.full(4, 30.0)], sites=(), penalty=penalty)


def test_one_generation_in_closed_form(make):
    """At half the throughput twice the chips are rented, at double half of them; the orders of the plan then serve half of the queries."""
    plan = solve(make.problem([make.offer("cloud", 4, rent=2.0)], np.full(4, 100.0), sites=()), gap=1e-9)
    found = throughput_range(plan, {"cloud": band("a", 0.5, 2.0)})
    assert found.cost_low == pytest.approx(plan.cost / 2, rel=1e-6)
    assert found.cost_high == pytest.approx(plan.cost * 2, rel=1e-6)
    assert (found.unmet_low, found.unmet_high) == (0.0, pytest.approx(0.5, rel=1e-6))
    assert found.query_low == pytest.approx(levelised_cost_per_query(plan), rel=1e-6)
    assert found.query_high == pytest.approx(2 * levelised_cost_per_query(plan), rel=1e-6)


@pytest.mark.parametrize(("generations", "join"), [(("a", "b"), math.hypot), (("a", "a"), lambda *effects: sum(effects))])
def test_generations_err_independently_and_the_chips_of_one_together(make, generations, join):
    plan = solve(two_clouds(make), gap=1e-9)
    first, second = (rent * chips * 4 * 2190 for rent, chips in ((3.0, 100.0), (2.0, 60.0)))
    assert plan.cost == pytest.approx(first + second, rel=1e-2)
    scale = plan.cost / (first + second)
    bands = {name: band(one, 0.8, 1.25, models=2) for name, one in zip(("first", "second"), generations, strict=True)}
    found = throughput_range(plan, bands)
    assert found.cost_high - plan.cost == pytest.approx(scale * join(first * 0.25, second * 0.25), rel=1e-6)
    assert plan.cost - found.cost_low == pytest.approx(scale * join(first * 0.2, second * 0.2), rel=1e-6)
    queries = 100.0 + 30.0
    assert found.unmet_high == pytest.approx(join(100 * 0.2 / queries, 30 * 0.2 / queries), rel=1e-6)
    assert len(found.generations) == len(set(generations))


def test_a_band_without_width_changes_nothing(make):
    plan = solve(make.full_case(), gap=1e-9)
    found = throughput_range(plan, {offer.chip: band(offer.chip, 1.0, 1.0, models=2) for offer in plan.problem.offers})
    assert found.cost_low == pytest.approx(plan.cost, rel=1e-6)
    assert found.cost_high == pytest.approx(plan.cost, rel=1e-6)
    assert found.unmet_low == pytest.approx(unmet_share(plan), abs=1e-7)
    assert found.query_high == pytest.approx(levelised_cost_per_query(plan), rel=1e-6)


def test_every_effect_lies_on_its_side(make):
    plan = solve(make.full_case(), gap=1e-9)
    bands = {offer.chip: band(offer.supplier, 0.95, 1.3, models=2) for offer in plan.problem.offers}
    found = throughput_range(plan, bands)
    assert found.cost_low < plan.cost < found.cost_high
    assert found.unmet_low <= unmet_share(plan) * (1 + 1e-6) < found.unmet_high
    for one in found.generations:
        assert found.cost_low <= one.cost_low <= plan.cost * (1 + 1e-9)
        assert found.cost_high >= one.cost_high >= plan.cost * (1 - 1e-9)


def test_demand_that_no_orders_meet_is_infinitely_dear(make):
    plan = solve(two_clouds(make, allocation=101.0), gap=1e-9)
    bands = {"first": band("a", 0.5, 1.0, models=2), "second": band("b", 1.0, 1.0, models=2)}
    found = throughput_range(plan, bands)
    assert found.cost_high == math.inf
    assert [one.cost_high for one in found.generations] == [math.inf, pytest.approx(plan.cost)]
    assert found.cost_low == pytest.approx(plan.cost)


def test_orders_decided_anew_are_the_best_where_nothing_is_whole(make):
    problem = two_clouds(make)
    slower = replace(problem, offers=tuple(replace(offer, throughput=offer.throughput * 0.7) for offer in problem.offers))
    assert reordered(solve(problem, gap=1e-9), slower).cost == pytest.approx(solve(slower, gap=1e-9).cost, rel=1e-9)


def test_orders_decided_anew_keep_starts_and_modules_and_beat_no_bound(make):
    problem = make.full_case()
    plan = solve(problem, gap=1e-9)
    slower = replace(problem, offers=tuple(replace(offer, throughput=offer.throughput * 0.9) for offer in problem.offers))
    found = reordered(plan, slower)
    assert np.array_equal(found.starts, plan.starts)
    assert found.site_orders[1] == pytest.approx(plan.site_orders[1])
    assert found.cost >= solve(slower, gap=1e-9).bound * (1 - 1e-9)
    never = replace(problem, budget=problem.budget * 1e-3)
    with pytest.raises(InfeasibleError):
        reordered(plan, never)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
def test_the_fleet_as_ordered_serves_what_an_independent_program_finds(make, factor):
    plan = solve(make.full_case(), gap=1e-9)
    slower = replace(plan.problem, offers=tuple(replace(offer, throughput=offer.throughput * factor) for offer in plan.problem.offers))
    # Forbidden unmet demand weighs by its queries; here a finite penalty on both models makes the objectives equal.
    slower = replace(slower, unmet_penalty=np.array([6e-4, 2e-3]))
    found = as_ordered(plan, slower)
    throughput = np.array([offer.throughput for offer in slower.offers])
    busy = np.divide(found.served, throughput[:, :, None], where=throughput[:, :, None] > 0, out=np.zeros_like(found.served))
    assert np.all(busy.sum(axis=1) <= plan.fleet.sum(axis=1) * (1 + 1e-6) + 1e-6)
    assert found.served.sum(axis=0) + found.unmet == pytest.approx(slower.demand, rel=1e-6)
    offers, models = throughput.shape
    for quarter in range(slower.demand.shape[1]):
        weights = slower.unmet_penalty * slower.volume[:, quarter] / slower.demand[:, quarter]
        use = np.zeros((offers, offers * models))
        for offer in range(offers):
            use[offer, offer * models : (offer + 1) * models] = [1 / rate if rate > 0 else 1e6 for rate in throughput[offer]]
        within = np.hstack([np.eye(models)] * offers)
        best = linprog(
            -np.tile(weights, offers),
            A_ub=np.vstack([use, within]),
            b_ub=np.r_[plan.fleet[:, :, quarter].sum(axis=1), slower.demand[:, quarter]],
        )
        penalty = float(weights @ slower.demand[:, quarter]) + best.fun
        assert float(weights @ found.unmet[:, quarter]) == pytest.approx(
            penalty, rel=1e-5, abs=1e-6 * float(weights @ slower.demand[:, quarter])
        )
