"""The uncertainty of a scenario as processes, and a problem on the tree that they make.

A target of the processes is the place of a forecast in the scenario, such as `models.chat.demand`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tapeout.outlook.processes import Branch, Effect, Process, Scenarios, Stage, combine, to_tree, values
from tapeout.outlook.reduction import Reduced, reduce
from tapeout.outlook.tree import Array, Nodes, Tree
from tapeout.scenario.places import matching
from tapeout.scenario.schema import Scenario
from tapeout.scenario.uncertainty import Branch as BranchEntry
from tapeout.scenario.uncertainty import Process as ProcessEntry
from tapeout.sourcing.problem import Offer, Problem, Site

WEIGHTS = {"models.demand": 4.0}
"""How much all forecasts of one kind count together when scenarios are merged, 1 where not said: what is served decides most of a plan."""


def processes(scenario: Scenario) -> tuple[Process, ...]:
    """The processes in the order of the file; none where the scenario states no uncertainty."""
    stated = scenario.uncertainty.processes if scenario.uncertainty else {}
    return tuple(_process(scenario, name, entry) for name, entry in stated.items())


def _process(scenario: Scenario, name: str, entry: ProcessEntry) -> Process:
    stages = tuple(
        Stage(
            quarter=at - scenario.start,
            branches=tuple(
                Branch(name=label, probability=branch.probability, effects=tuple(_effects(scenario, entry, branch)))
                for label, branch in branches.items()
            ),
        )
        for at, branches in entry.steps.items()
    )
    return Process(name=name, stages=stages)


def _effects(scenario: Scenario, entry: ProcessEntry, branch: BranchEntry) -> Iterable[Effect]:
    moved = dict.fromkeys(target for pattern in entry.moves for target in matching(scenario, pattern))
    yield from (Effect(target=target, factor=branch.factor, delay=branch.delay) for target in moved)
    for pattern, change in branch.also.items():
        yield from (Effect(target=target, factor=change.factor, delay=change.delay) for target in matching(scenario, pattern))


def weights(targets: Iterable[str]) -> dict[str, float]:
    """How much each target counts when scenarios are merged: those of one kind share the weight of the kind.

    >>> weights(["models.chat.demand", "contracts.gpu.price", "contracts.tpu.price"])
    {'models.chat.demand': 4.0, 'contracts.gpu.price': 0.5, 'contracts.tpu.price': 0.5}
    """
    kinds = {target: _kind(target) for target in targets}
    times = Counter(kinds.values())
    return {target: WEIGHTS.get(kind, 1.0) / times[kind] for target, kind in kinds.items()}


def _kind(target: str) -> str:
    steps = target.split(".")
    return target if steps[0] == "finance" else f"{steps[0]}.{steps[-1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What may happen: all `combined` scenarios (or a sample), those that they were `reduced` to, and the `problem` on their tree.

    Where nothing but programmes is uncertain, `problem` is the one on one path, and there are no scenarios.
    """

    problem: Problem
    combined: Scenarios | None = None
    reduced: Reduced | None = None


def outlook(scenario: Scenario, base: Problem, size: int | None = None) -> Outlook:
    """The uncertainty of a scenario over `base`, its problem on one path, reduced to `size` scenarios or as many as the file says."""
    if scenario.uncertainty is None:
        return Outlook(problem=base)
    combined = combine(processes(scenario), scenario.quarters)
    reduced = reduce(combined, size or scenario.uncertainty.scenarios, weights(combined.targets))
    return Outlook(problem=on_scenarios(base, reduced.scenarios), combined=combined, reduced=reduced)


def on_scenarios(base: Problem, scenarios: Scenarios) -> Problem:
    """`base`, a problem on one path, on the tree of some scenarios, such as fresh draws of the same processes."""
    tree, node_of = to_tree(scenarios)
    return problem_on(base, tree, *values(scenarios, node_of))


def problem_on(base: Problem, tree: Tree, factor: Mapping[str, Array], delay: Mapping[str, Nodes]) -> Problem:
    """`base`, a problem on one path, on `tree` (N nodes), its forecasts moved by `factor` and `delay` (N,) of each target.

    A forecast that is delayed stands still until the delay is made up, so what has come stays: value[n] = factor[n] x forecast[time[n]],
    time[n] = the latest of (quarter - delay) on the way to n. Power that can be held is never taken back by what is learnt later.
    """

    def moved(target: str, series: Array) -> Array:
        if target not in factor:
            return np.asarray(series[..., tree.quarter])
        return np.asarray(series[..., _time(tree, delay[target])] * factor[target])

    def rows(field: str, series: Array) -> Array:
        return np.array([moved(f"models.{name}.{field}", row) for name, row in zip(base.models, series, strict=True)])

    debt, budget = base.debt, moved("finance.budget", base.budget)
    return replace(
        base.on(tree, tree.quarter),
        demand=rows("demand", base.demand),
        volume=rows("demand", base.volume),
        offers=tuple(
            replace(
                offer.at(tree.quarter),
                rent=moved(_price(offer), offer.rent),
                unit_price=moved(_price(offer), offer.unit_price),
                allocation=moved(f"contracts.{offer.id}.allocation", offer.allocation),
            )
            for offer in base.offers
        ),
        sites=tuple(
            replace(
                site.at(tree.quarter),
                available=_kept(tree, moved(f"sites.{site.id}.available", site.available), site),
                capex=moved(f"sites.{site.id}.capital", site.capex),
                rent=moved(f"sites.{site.id}.rent", site.rent),
                energy=moved(f"sites.{site.id}.electricity", site.energy),
            )
            for site in base.sites
        ),
        prepayments=tuple(replace(one, price=moved(f"prepayments.{one.id}.price", one.price)) for one in base.prepayments),
        budget=budget,
        debt=replace(debt, limit=moved("finance.debt.limit", debt.limit)) if debt else None,
    )


def _price(offer: Offer) -> str:
    return f"contracts.{offer.id}.price"


def _time(tree: Tree, delay: Nodes) -> Nodes:
    """The quarter of the forecast that counts at each node, (N,)."""
    own = (tree.quarter - delay)[np.maximum(tree.above, 0)]
    return np.asarray(np.where(tree.above >= 0, own, 0).max(axis=1))


def _kept(tree: Tree, power: Array, site: Site) -> Array:
    """Power (N,) that is no less than before wherever the forecast itself does not fall."""
    kept = power.copy()
    for quarter in range(1, tree.quarters):
        nodes = np.flatnonzero(tree.quarter == quarter)
        kept[nodes] = np.maximum(kept[nodes], np.minimum(kept[tree.parent[nodes]], site.available[quarter]))
    return kept
