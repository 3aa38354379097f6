"""The sourcing program: variables, constraints and the cost, put together.

min over plans of the expected sum over nodes n of factor[n] x (cash[n] + penalty[n]) - factor[last] x residual values.
"""

from __future__ import annotations

from dataclasses import dataclass

from tapeout.sourcing import constraints, lumps, money
from tapeout.sourcing.futures import Futures
from tapeout.sourcing.linear_program import Index, LinearProgram
from tapeout.sourcing.lumps import Prepaid, Rebates
from tapeout.sourcing.variables import Scales, Variables, add_variables, scales


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A problem in its futures as a linear program; the unit of its objective is `scale.money`.

    `service` (O, N) are the rows that hold what chips serve to those that run, in units of `scale.chips`.
    """

    futures: Futures
    program: LinearProgram
    variables: Variables
    prepaid: Prepaid
    rebates: Rebates
    scale: Scales
    service: Index


def build(futures: Futures) -> Model:
    """The program of a valid problem."""
    problem, program = futures.problem, LinearProgram()
    scale = scales(futures.world)
    variables = add_variables(program, futures, scale)
    prepaid = lumps.prepayments(program, variables, problem, scale)
    rebates = lumps.tiers(program, variables, problem, scale)
    lumps.least_orders(program, variables, problem, scale)
    constraints.fleet_balance(program, variables, problem, scale)
    constraints.early_ends(program, variables, problem)
    constraints.running(program, variables, problem)
    constraints.demand(program, variables, problem, scale)
    service = constraints.service(program, variables, problem, scale)
    constraints.allocation(program, variables, problem, scale, prepaid.terms)
    constraints.programme_starts(program, variables, futures)
    constraints.programme_gate(program, variables, futures, scale)
    constraints.site_power(program, variables, problem, scale)
    constraints.power_balance(program, variables, problem, scale)
    constraints.available_power(program, variables, problem, scale)
    constraints.largest_share(program, variables, problem, scale)
    constraints.concentration(program, variables, problem, scale)
    money.commitment(program, variables, problem, scale)
    further = (money.programme_payments(variables, futures, scale), rebates.payments, prepaid.payments)
    money.cash(program, variables, futures, scale, further)
    money.budget(program, variables, problem, scale)
    money.objective(program, variables, problem, scale)
    return Model(futures=futures, program=program, variables=variables, prepaid=prepaid, rebates=rebates, scale=scale, service=service)
