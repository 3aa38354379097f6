"""What it would be worth to know, and what it is worth to plan for more than the mean.

EVPI = RP - WS: the cost of the plan less what is expected to be paid by who knows, before the first quarter, which future of the world
comes. VSS = EEV - RP: the cost of who begins with the plan for the mean and sees from the first branching on that more may happen, less
that of the plan. WS <= RP <= EEV.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tapeout.appraisal.beginning import expected_value
from tapeout.appraisal.mean_plan import best_start, mean_plan
from tapeout.errors import CancelledError
from tapeout.fleet.parallel import Cluster, Crew, crew
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Problem
from tapeout.sourcing.search import alternatives, solve
from tapeout.sourcing.solver import Outcome
from tapeout.units import Dimensionless, Seconds, Usd

GAP: Dimensionless = 0.01
"""To which a future whose programmes are all sure is solved; its bound is what counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """The worth of knowing the world and of planning for all of it, in USD of the first quarter.

    `evpi_at_most` takes lower bounds for what would be paid with that knowledge, in which power may come in parts of modules and the
    outcomes of programmes stay unknown. `begun_with_mean` is EEV, the least found, infinite with the `reason` where who begins so comes to
    a future in which no plan is left; `vss` is what it costs more than the plan, and both ends count the gaps of the two.
    `mean` is the plan for the mean.
    """

    evpi_at_most: Usd
    begun_with_mean: Usd
    vss: Usd
    vss_at_least: Usd
    vss_at_most: Usd
    mean: Plan
    reason: str = ""


def information(
    problem: Problem,
    plan: Plan,
    *,
    gap: Dimensionless = 0.01,
    time_limit: Seconds = 30.0,
    workers: int | None = 1,
    cluster: Cluster | None = None,
) -> Information:
    """The worth of information for a plan of `problem`, which is its problem with all programmes.

    What must be solved with its integers is solved to a relative `gap` or for `time_limit`. Raises InfeasibleError where there is no plan
    for the mean.
    """
    mean = mean_plan(problem, gap=gap, time_limit=time_limit)
    with crew(problem, workers, cluster) as run_jobs:
        knowing = wait_and_see(problem, run_jobs)
    begun, bound, reason = expected_value(problem, plan, mean, gap=gap, time_limit=time_limit)
    return Information(
        evpi_at_most=max(0.0, plan.cost - knowing),
        begun_with_mean=begun,
        vss=begun - plan.goal,
        vss_at_least=max(0.0, bound - plan.goal),
        vss_at_most=begun - plan.bound,
        mean=mean,
        reason=reason,
    )


def wait_and_see(problem: Problem, run_jobs: Crew) -> Usd:
    """No more than is expected to be paid if the future of the world is known before the first quarter: WS, from below.

    The crew's shared value is the problem.
    """
    leaves = problem.tree.leaves
    found = dict(run_jobs(_bound, leaves.tolist()))
    return float(sum(chance * found[place] for place, chance in enumerate(problem.tree.probability[leaves].tolist())))


def _bound(problem: Problem, leaf: int) -> Usd:
    sure = replace(problem.along(leaf), risk=None)
    options = alternatives(sure)
    if len(options) > 1:
        return best_start(options)[0]
    plan = solve(sure, gap=GAP)
    if plan.status == Outcome.CANCELLED:
        raise CancelledError("stopped while the worth of information was computed")
    return plan.bound
