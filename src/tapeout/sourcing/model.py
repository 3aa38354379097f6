"""The deterministic sourcing program: variables, constraints and the discounted cost, put together.

min over plans of the sum over quarters t of factor[t] x (cash[t] + penalty[t]) - factor[last] x residual values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tapeout.sourcing import constraints
from tapeout.sourcing.finance import discount_factors, lifetime, penalty_rates, residual_value, site_residual
from tapeout.sourcing.linear_program import LinearProgram
from tapeout.sourcing.problem import Problem
from tapeout.sourcing.variables import Scales, Variables, add_variables, module_steps, scales
from tapeout.units import Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A problem as a linear program; the unit of its objective is `scale.money`."""

    problem: Problem
    program: LinearProgram
    variables: Variables
    scale: Scales


def build(problem: Problem) -> Model:
    """The linear program of a valid problem."""
    program, scale = LinearProgram(), scales(problem)
    variables = add_variables(program, problem, scale)
    constraints.arrivals(program, variables, problem)
    constraints.departures(program, variables, problem, scale)
    constraints.fleet_balance(program, variables, problem, scale)
    constraints.demand(program, variables, problem, scale)
    constraints.service(program, variables, problem, scale)
    constraints.allocation(program, variables, problem, scale)
    constraints.programme_starts(program, variables)
    constraints.programme_gate(program, variables, problem, scale)
    constraints.site_power(program, variables, problem, scale)
    constraints.power_balance(program, variables, problem, scale)
    constraints.available_power(program, variables, problem, scale)
    constraints.largest_share(program, variables, problem, scale)
    constraints.commitment(program, variables, problem, scale)
    constraints.cash(program, variables, problem, scale)
    constraints.budget(program, variables, problem, scale)
    discounted_cost(program, variables, problem, scale)
    return Model(problem=problem, program=program, variables=variables, scale=scale)


def discounted_cost(program: LinearProgram, variables: Variables, problem: Problem, scale: Scales) -> None:
    """The objective: discounted cash and penalties, less what chips and sites are worth after the last quarter."""
    factors = discount_factors(problem)
    rates = np.where(np.isfinite(penalty_rates(problem)), penalty_rates(problem), 0.0)
    program.constant = -initial_residual(problem) / scale.money
    program.add_cost(variables.cash, factors)
    program.add_cost(variables.unmet, factors * rates * scale.demand[:, None] / scale.money)
    for index, offer in enumerate(problem.offers):
        worth = residual_value(offer, len(problem.quarters)) * scale.chips[index] / scale.money
        program.add_cost(variables.orders[index], -factors[-1] * worth)
    for index, step in enumerate(module_steps(problem, scale)):
        program.add_cost(variables.modules[index], -factors[-1] * site_residual(problem, index) * step / scale.money)


def initial_residual(problem: Problem) -> Usd:
    """Present value of what the initial owned chips are worth after the last quarter."""
    quarters = len(problem.quarters)
    worth = [
        offer.residual * offer.unit_price[0] * offer.initial * max(0, lifetime(offer) - quarters) / offer.term for offer in problem.offers
    ]
    return float(discount_factors(problem)[-1] * sum(worth))
