"""A plan that carries on: what was decided in the quarters past stands, whatever is known now; all later decisions are free."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from tapeout.errors import InfeasibleError, InputError, LimitNotMetError
from tapeout.sourcing.branches import mixed
from tapeout.sourcing.decisions import plan_of
from tapeout.sourcing.futures import futures
from tapeout.sourcing.linear_program import Index
from tapeout.sourcing.model import Model, build
from tapeout.sourcing.money import past
from tapeout.sourcing.plan import ChipsByNode, Plan
from tapeout.sourcing.problem import Array, ContractKind, Offer, Problem, Site, UsdByNode, WattsByNode
from tapeout.sourcing.solver import Outcome
from tapeout.sourcing.validation import validate
from tapeout.sourcing.variables import ages, module_steps
from tapeout.units import Dimensionless, Seconds, Unit

Flags = Annotated[Array, Unit("1")]
NAMES = ("orders", "ended", "site_orders", "starts", "stops", "prepaid", "debt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What was decided in each of Q quarters; shapes as in `Plan` on one path. Chips that are rented for a quarter are no decision here."""

    orders: ChipsByNode
    ended: ChipsByNode
    site_orders: WattsByNode
    starts: Flags
    stops: Flags
    prepaid: Flags
    debt: UsdByNode

    def then(self, plan: Plan, first: int, after: int) -> Decisions:
        """These up to quarter `first`, then those of `plan` up to `after`; raises InputError where its tree branches before."""
        tree = plan.problem.tree
        nodes = np.flatnonzero((tree.quarter >= first) & (tree.quarter < after))
        if nodes.size != after - first:
            raise InputError("a plan that is carried out branches before it is made anew", given=plan.problem.quarters[first])
        joined = {}
        for name in NAMES:
            values = getattr(self, name).copy()
            values[..., first:after] = getattr(plan, name)[..., nodes]
            joined[name] = values
        return Decisions(**joined)


def nothing(problem: Problem) -> Decisions:
    """No decision in any quarter of `problem`."""
    quarters, offers, programmes = len(problem.quarters), len(problem.offers), len(problem.programmes)
    return Decisions(
        orders=np.zeros((offers, quarters)),
        ended=np.zeros((offers, len(ages(problem)), quarters)),
        site_orders=np.zeros((len(problem.sites), quarters)),
        starts=np.zeros((programmes, quarters)),
        stops=np.zeros((programmes, quarters)),
        prepaid=np.zeros((len(problem.prepayments), quarters)),
        debt=np.zeros(quarters),
    )


def for_the_moment(offer: Offer) -> bool:
    """Whether chips come at once and for a quarter, so that their orders bind nothing later."""
    return offer.kind is ContractKind.ON_DEMAND and offer.lead == 0


def carry_on(problem: Problem, decided: Decisions, until: int, gap: Dimensionless, time_limit: Seconds) -> Plan:
    """The plan of least cost in which the decisions before quarter `until` are those of `decided`.

    Until then the tree must be one path, and neither the budget nor a share of suppliers binds: what has been decided is paid, whatever
    it comes to; and power that has been ordered is there when it is due. No programme may be uncertain. Raises InfeasibleError where what
    was decided cannot be, LimitNotMetError where no plan is found within `time_limit`.
    """
    if any(len(programme.outcomes) > 1 for programme in problem.programmes):
        raise InputError("a plan carries on with programmes that are sure", given=", ".join(one.id for one in problem.programmes))
    if int((problem.tree.quarter < until).sum()) != until:
        raise InputError("what is past is one path", given=f"{(problem.tree.quarter < until).sum()} nodes in {until} quarters")
    before = problem.tree.quarter < until
    open_problem = replace(
        problem,
        budget=np.where(before, np.inf, problem.budget),
        share_from=max(problem.share_from, until),
        sites=tuple(_with_power(problem, site, decided.site_orders[row], until) for row, site in enumerate(problem.sites)),
    )
    validate(open_problem)
    model = build(futures(open_problem))
    _settle(model, decided, until)
    found = mixed(model, gap, time_limit)
    if found.outcome is Outcome.INFEASIBLE:
        raise InfeasibleError(f"what was decided before {problem.quarters[min(until, len(problem.quarters) - 1)]} leaves no plan")
    if found.values is None:
        raise LimitNotMetError(f"no plan found within {time_limit:g} s; raise the time limit, or decide over fewer quarters")
    return plan_of(model, found.values, found.bound, found.outcome)


def _with_power(problem: Problem, site: Site, orders: Array, until: int) -> Site:
    """The site with at least the power that had been ordered before quarter `until`, when it is due."""
    ordered = np.concatenate((np.zeros(site.lead), np.cumsum(np.where(np.arange(orders.size) < until, orders, 0.0))))[: orders.size]
    return replace(site, available=np.maximum(site.available, site.initial + _by_node(problem, ordered)))


def _settle(model: Model, decided: Decisions, until: int) -> None:
    """Rows that hold the variables of what is past at what was decided."""
    problem, variables, scale = model.futures.problem, model.variables, model.scale
    binding = np.array([not for_the_moment(offer) for offer in problem.offers])
    chips, steps = scale.chips[:, None], module_steps(problem, scale)[:, None]
    stops = np.zeros(variables.stops.shape)
    for row, programme in enumerate(problem.programmes):
        for gate, age in enumerate(programme.gates):
            begun = past(problem, _by_node(problem, decided.starts[row]), age) > 0.5
            stops[row, gate] = np.where(begun, _by_node(problem, decided.stops[row]), 0.0)
    held: tuple[tuple[Index, Array], ...] = (
        (variables.orders[binding], (decided.orders / chips)[binding]),
        (variables.ended, decided.ended / chips[..., None]),
        (variables.modules, decided.site_orders / steps),
        (variables.starts, decided.starts),
        (variables.stops, stops),
        (model.prepaid.made, decided.prepaid),
        (variables.debt, decided.debt / scale.money),
    )
    for index, values in held:
        known, wanted = index[..., :until], values[..., :until]
        if np.any((known < 0) & (np.abs(wanted) > 1e-9)):
            raise InfeasibleError(f"something was decided before {problem.quarters[until - 1]} that is not on offer")
        model.program.rows(known.shape, [(known, 1.0)], lower=wanted, upper=wanted, where=known >= 0)


def _by_node(problem: Problem, values: Array) -> Array:
    """Values by quarter (..., Q) at each node, (..., N)."""
    return np.asarray(values[..., problem.tree.quarter])
