"""What earlier silicon is worth: a programme's chips, and what is learnt of its outcome, one quarter sooner for the same spend."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tapeout.outlook.tree import Nodes
from tapeout.sourcing.futures import Futures, futures
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem, Programme, ProgrammeOutcome
from tapeout.sourcing.reordering import reordered
from tapeout.units import QUARTER, WEEK, Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierSilicon:
    """What it is worth now, risk included, that a started programme delivers a `quarter` sooner, and a `week` of that on average.

    Starts, stops, power and prepayments stay as planned, so each is worth at least this.
    """

    programme: str
    quarter: Usd
    week: Usd


def earlier_silicon(plan: Plan) -> tuple[EarlierSilicon, ...]:
    """For each programme that the plan starts somewhere and that can be a quarter faster."""
    found = []
    for row, programme in enumerate(plan.problem.programmes):
        fast = faster(programme)
        if fast is not None and np.any(plan.starts[row] > 0.5):
            world = with_programme(plan.futures.world, fast)
            gain = reordered(plan, plan.futures.world).goal - reordered(carried(plan, world), world).goal
            found.append(EarlierSilicon(programme=programme.id, quarter=gain, week=gain * WEEK / QUARTER))
    return tuple(found)


def faster(programme: Programme) -> Programme | None:
    """The programme with first orders, and what shows with them, a quarter sooner in every outcome; None where one is as fast as can be."""
    outcomes = tuple(_faster(one, len(programme.outcomes) > 1) for one in programme.outcomes)
    sooner = tuple(one for one in outcomes if one is not None)
    if programme.lead < 1 or len(sooner) < len(outcomes):
        return None
    return replace(programme, lead=programme.lead - 1, outcomes=sooner)


def _faster(one: ProgrammeOutcome, hidden: bool) -> ProgrammeOutcome | None:
    lead = None if one.lead is None else one.lead - 1
    revealed = max(one.revealed - 1, 1 if hidden else 0)
    if lead is not None and lead < max(revealed, 0):
        return None
    return replace(one, lead=lead, revealed=revealed)


def with_programme(problem: Problem, programme: Programme) -> Problem:
    """The problem with this programme in the place of the one of its name."""
    return replace(problem, programmes=tuple(programme if one.id == programme.id else one for one in problem.programmes))


def carried(plan: Plan, world: Problem) -> Plan:
    """The whole decisions of `plan` in the futures of `world`, which differ from its own in when outcomes show; its orders mean nothing.

    A node does what the node of the plan with the same outcome does, or, where that does not show yet in the plan, what all hidden ones do.
    """
    allowed = np.zeros(plan.futures.allowed.shape)
    allowed[:, plan.futures.origin] = plan.starts
    known = futures(world, allowed > 0.5)
    nodes = counterparts(plan.futures, known)
    return replace(
        plan,
        futures=known,
        starts=_at(plan.starts, nodes),
        stops=_at(plan.stops, nodes),
        site_orders=_at(plan.site_orders, nodes),
        prepaid=_at(plan.prepaid, nodes),
    )


def counterparts(planned: Futures, known: Futures) -> Nodes:
    """The node of `planned` for each node of `known`, both futures of the same world and programmes, (nodes of known,)."""
    by_case: dict[tuple[int, ...], int] = {}
    hidden: dict[int, int] = {}
    for node, (origin, case) in enumerate(zip(planned.origin.tolist(), planned.case.T.tolist(), strict=True)):
        by_case[origin, *case] = node
        hidden[origin] = node  # the copy for what does not show stands last
    wanted = zip(known.origin.tolist(), known.case.T.tolist(), strict=True)
    return np.array([by_case.get((origin, *case), hidden[origin]) for origin, case in wanted], dtype=np.int64)


def _at(values: Array, nodes: Nodes) -> Array:
    return np.asarray(values[..., nodes])
