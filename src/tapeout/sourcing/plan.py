"""From a problem to a plan: solve the program, fix the integers, make the decisions consistent to the last digit, price them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tapeout.errors import CancelledError, InfeasibleError, LimitNotMetError
from tapeout.sourcing.finance import discounted_cost, lifetime, spend_by_category
from tapeout.sourcing.infeasibility import explain
from tapeout.sourcing.model import Model, build
from tapeout.sourcing.problem import Array, Plan, Problem
from tapeout.sourcing.solver import Outcome, Sighting, run
from tapeout.sourcing.validation import validate
from tapeout.sourcing.variables import initial_chips, module_steps
from tapeout.units import Dimensionless, Seconds, Usd

NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the solver is: `cost` of the best plan so far (infinite where there is none), and the dual `bound`."""

    elapsed: Seconds
    cost: Usd
    bound: Usd


def solve(
    problem: Problem, gap: Dimensionless = 1e-3, time_limit: Seconds = 60.0, progress: Callable[[Progress], None] | None = None
) -> Plan:
    """The plan of least discounted cost, to a relative `gap` of its dual bound.

    Out of time with a plan in hand, its status is limit; stopped from the keyboard with one, cancelled. Raises InputError for a
    problem that makes no sense, InfeasibleError naming the constraints in conflict, LimitNotMetError where time runs out before
    any plan is found, and CancelledError where the user stops it before that.
    """
    validate(problem)
    model = build(problem)
    watch = None if progress is None else lambda sighting: progress(_progress(model, sighting))
    found = run(model.program, gap=gap, time_limit=time_limit, watch=watch)
    if found.outcome is Outcome.INFEASIBLE:
        raise explain(problem, time_limit)
    if found.values is None and found.outcome is Outcome.CANCELLED:
        raise CancelledError("stopped before any plan was found")
    if found.values is None:
        raise LimitNotMetError(f"no plan found within {time_limit:g} s; raise the time limit, or decide over fewer quarters")
    values, outcome = found.values, found.outcome
    if model.program.integers.size:
        polished = run(model.program, gap=gap, time_limit=time_limit, fixed=values)
        values = polished.values if polished.outcome is Outcome.OPTIMAL and polished.values is not None else values
        outcome = Outcome.CANCELLED if polished.outcome is Outcome.CANCELLED else outcome
    return _plan(model, values, found.bound * model.scale.money, outcome)


def reordered(plan: Plan, problem: Problem, time_limit: Seconds = 60.0) -> Plan:
    """The plan of least cost for `problem` that keeps the programme starts of `plan` and its power where that comes in modules.

    `problem` differs from that of `plan` in numbers only. Raises InfeasibleError where no orders keep to it with these starts.
    """
    model = build(problem)
    kept = np.zeros(model.program.columns)
    kept[model.variables.starts] = plan.starts
    kept[model.variables.modules] = plan.site_orders / module_steps(problem, model.scale)[:, None]
    found = run(model.program, gap=0.0, time_limit=time_limit, fixed=kept)
    if found.outcome is Outcome.INFEASIBLE:
        raise InfeasibleError("no orders keep to these programme starts and this power")
    if found.values is None:
        raise LimitNotMetError(f"no orders found within {time_limit:g} s")
    return _plan(model, found.values, found.bound * model.scale.money, found.outcome)


def _progress(model: Model, sighting: Sighting) -> Progress:
    return Progress(elapsed=sighting.elapsed, cost=sighting.best * model.scale.money, bound=sighting.bound * model.scale.money)


def _plan(model: Model, values: Array, bound: Usd, outcome: Outcome) -> Plan:
    problem, variables, scale = model.problem, model.variables, model.scale
    chips = scale.chips[:, None, None]
    orders = _clean(values[variables.orders]) * chips
    fleet, retired = _fleet(problem, orders, values[variables.left] * chips)
    served = _clean(values[variables.served]) * scale.demand[:, None]
    unmet = _clean((problem.demand - served.sum(axis=0)) / scale.demand[:, None]) * scale.demand[:, None]
    site_orders, site_power = _power(model, values)
    starts = np.round(values[variables.starts])
    spend = spend_by_category(
        problem, orders=orders, fleet=fleet, unmet=unmet, site_orders=site_orders, site_power=site_power, starts=starts
    )
    cost = discounted_cost(problem, spend)
    return Plan(
        problem=problem, orders=orders, fleet=fleet, retired=retired, served=served, unmet=unmet, site_orders=site_orders,
        site_power=site_power, starts=starts, spend=spend, cost=cost, bound=min(bound, cost), status=outcome.value,
    )  # fmt: skip


def _clean(values: Array) -> Array:
    """Without the solver's dust, which an infinite penalty would turn into an infinite cost."""
    return np.where(values > NEGLIGIBLE, values, 0.0)


def _fleet(problem: Problem, orders: Array, left: Array) -> tuple[Array, Array]:
    """Fleet and chips retired, (O, K, Q), walked exactly from the orders and the (approximate) departures of owned chips."""
    quarters = orders.shape[-1]
    arrived, gone = np.zeros_like(orders), np.zeros_like(orders)
    initial = initial_chips(problem)
    for index, offer in enumerate(problem.offers):
        arrived[index, :, offer.lead :] = np.cumsum(orders[index, :, : max(0, quarters - offer.lead)], axis=-1)
        gone[index, :, offer.term :] = arrived[index, :, : max(0, quarters - offer.term)]
        gone[index, :, lifetime(offer) :] += initial[index, :, lifetime(offer) :]
        if offer.owned:
            early = np.maximum.accumulate(np.maximum(gone[index], left[index]), axis=-1)
            gone[index] = np.minimum(early, initial[index] + arrived[index])
    fleet = initial + arrived - gone
    fleet[np.abs(fleet) < NEGLIGIBLE * np.maximum(1.0, gone)] = 0.0
    return fleet, np.diff(gone, axis=-1, prepend=0.0)


def _power(model: Model, values: Array) -> tuple[Array, Array]:
    """Power ordered and held at the sites, (S, Q) in W, in whole modules where a site has them."""
    problem, steps = model.problem, module_steps(model.problem, model.scale)
    orders = _clean(values[model.variables.modules])
    held = np.zeros_like(orders)
    for index, site in enumerate(problem.sites):
        orders[index] = (np.round(orders[index]) if site.module > 0 else orders[index]) * steps[index]
        delivered = np.zeros_like(held[index])
        delivered[site.lead :] = orders[index, : max(0, held.shape[1] - site.lead)]
        held[index] = site.initial + np.cumsum(delivered)
    return orders, held
