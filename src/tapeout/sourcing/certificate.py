"""An independent check of a plan: on each path through its futures a ledger of cohorts, which shares no code with the program.

Every law of the problem is evaluated from the plan's decisions alone, with plain loops, and so are its cost, its risk, and whether it
knows nothing before it can be known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tapeout.errors import LimitNotMetError
from tapeout.sourcing.ledger import Path, path_to, walk_offer, walk_prepayments, walk_programmes, walk_sites
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem, ProgrammeOutcome, Risk
from tapeout.sourcing.violations import Violations, largest
from tapeout.units import Dimensionless, Unit, Usd

TOLERANCE = 1e-6
NO_CASH = ("penalty", "residual")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What the ledger found: the largest relative violation of each law, the expected cost it computes, and what that makes of the goal.

    `disagreement` is how far the plan's own cost or goal is from that, whichever is further. `cost_per_query` is the expected economic cost
    of each quarter over the queries that are expected to be delivered, NaN where none are.
    """

    violations: dict[str, Dimensionless]
    cost: Usd
    goal: Usd
    disagreement: Dimensionless
    cost_per_query: Annotated[Array, Unit("USD/query")]

    def check(self, tolerance: Dimensionless = TOLERANCE) -> None:
        """Raise LimitNotMetError, naming the laws, if any is broken by more than the tolerance or the cost disagrees by more."""
        broken = {name: size for name, size in (self.violations | {"cost": self.disagreement}).items() if not size <= tolerance}
        if broken:
            laws = ", ".join(f"{name} by {size:.2g}" for name, size in sorted(broken.items(), key=lambda item: -item[1]))
            raise LimitNotMetError(f"the plan fails its certificate: {laws} (relative; allowed {tolerance:g})")


def certify(plan: Plan) -> Certificate:
    """Walk the plan's ledger on each path through its futures and report every law of the problem."""
    tree, violations = plan.problem.tree, Violations()
    _check_signs(plan, violations)
    _check_tree(plan, violations)
    _check_outcomes(plan, violations)
    quarters = len(plan.problem.quarters)
    economic, queries = np.zeros(quarters), np.zeros(quarters)
    costs, chances = list[float](), list[float]()
    for leaf in tree.leaves.tolist():
        path = path_to(plan, leaf, violations)
        delivered = _walk(path, plan.problem)
        chances.append(float(tree.probability[leaf]))
        costs.append(_discounted(path))
        economic += chances[-1] * np.array(path.books.economic)
        queries += chances[-1] * np.array(delivered)
    cost = sum(chance * value for chance, value in zip(chances, costs, strict=True))
    goal = _goal(cost, costs, chances, plan.problem.risk)
    violations.at_most("bound", plan.bound, goal, abs(goal))
    pairs = ((cost, plan.cost), (goal, plan.goal))
    return Certificate(
        violations=violations.worst,
        cost=cost,
        goal=goal,
        disagreement=max(abs(own - its) / max(abs(own), abs(its), 1e-300) for own, its in pairs),
        cost_per_query=np.divide(economic, queries, out=np.full(quarters, np.nan), where=queries > 0),
    )


def _walk(path: Path, planned: Problem) -> list[float]:
    """Everything on one path; the queries delivered in each quarter."""
    for index in range(len(planned.offers)):
        walk_offer(path, index)
    walk_sites(path)
    walk_programmes(path, planned.programmes)
    walk_prepayments(path)
    delivered = _walk_demand(path)
    _check_money(path)
    return delivered


def _discounted(path: Path) -> Usd:
    growth, cost = float(1 + path.problem.discount), 0.0
    for quarter in range(path.quarters):
        cost += sum(float(row[quarter]) for row in path.books.spend.values()) / growth ** ((quarter + 0.5) / 4)
    return cost


def _goal(cost: Usd, costs: list[Usd], chances: list[Dimensionless], risk: Risk | None) -> Usd:
    """Cost and risk: the mean of the worst tail is the least, over the thresholds that costs can be, of threshold + mean excess / tail."""
    if risk is None or risk.weight == 0:
        return cost
    excess = [sum(chance * max(0.0, value - least) for chance, value in zip(chances, costs, strict=True)) for least in costs]
    worst = min(least + over / risk.tail for least, over in zip(costs, excess, strict=True))
    return (1 - risk.weight) * cost + risk.weight * worst


def _check_signs(plan: Plan, violations: Violations) -> None:
    arrays = {
        "orders": plan.orders, "installed": plan.installed, "fleet": plan.fleet, "ended": plan.ended, "served": plan.served,
        "unmet": plan.unmet, "site orders": plan.site_orders, "site power": plan.site_power, "starts": plan.starts, "stops": plan.stops,
        "prepaid": plan.prepaid, "cheaper": plan.cheaper, "short": plan.short, "debt": plan.debt,
    }  # fmt: skip
    for name, values in arrays.items():
        violations.at_most(f"{name} not negative", -float(values.min(initial=math.inf)), 0.0, largest(values))


def _check_tree(plan: Plan, violations: Violations) -> None:
    """The futures are a tree of the world's nodes: what is decided at a node is decided for all paths through it, and chances add up."""
    tree, world, origin = plan.problem.tree, plan.futures.world.tree, plan.futures.origin
    sums = [0.0] * tree.size
    copies = [0.0] * world.size
    for node in range(tree.size):
        parent, of = int(tree.parent[node]), int(origin[node])
        copies[of] += float(tree.probability[node])
        violations.never("tree", tree.quarter[node] != world.quarter[of] or (parent < 0) != (node == 0))
        if parent >= 0:
            sums[parent] += float(tree.probability[node])
            lost = tree.quarter[node] != tree.quarter[parent] + 1 or origin[parent] != world.parent[of]
            wrong = np.any(tree.above[node, 1:] != tree.above[parent, :-1]) or tree.above[node, 0] != node
            violations.never("tree", bool(lost or parent >= node or wrong))
    last = len(plan.problem.quarters) - 1
    for node, total in enumerate(sums):
        if tree.quarter[node] < last:
            violations.equal("probability", total, float(tree.probability[node]), 1.0)
    for node, total in enumerate(copies):
        violations.equal("probability", total, float(world.probability[node]), 1.0)
    for own, given in ((plan.problem.demand, plan.futures.world.demand), (plan.problem.volume, plan.futures.world.volume)):
        violations.never("futures", not np.array_equal(own, given[:, origin]))
    violations.never("futures", not np.array_equal(plan.problem.budget, plan.futures.world.budget[origin]))


def _check_outcomes(plan: Plan, violations: Violations) -> None:
    """Outcomes of a programme part only where it has been started and they show, with their chances, and stay what they are."""
    tree = plan.problem.tree
    uncertain = [row for row, programme in enumerate(plan.problem.programmes) if len(programme.cases) > 1]
    together: dict[tuple[int, int], list[int]] = {}
    for node in range(1, tree.size):
        together.setdefault((int(tree.parent[node]), int(plan.futures.origin[node])), []).append(node)
    for row in uncertain:
        cases, case, ages = plan.problem.programmes[row].cases, plan.futures.case[row].tolist(), _ages(plan, row)
        for copies in together.values():
            hidden = [node for node in copies if not _shows(cases[case[node]], ages[node])]
            violations.never("foresight", len(hidden) > 1 or len({case[node] for node in copies}) < len(copies))
        for leaf in tree.leaves.tolist():
            shown = [one for one in cases if _shows(one, ages[leaf])]
            own = cases[case[leaf]]
            chance = own.probability if own in shown else 1 - sum(one.probability for one in shown)
            others = [node for node in tree.above[leaf].tolist() if case[node] != case[leaf]]
            violations.never("outcome", any(_shows(own, ages[node]) or _shows(cases[case[node]], ages[node]) for node in others))
            whole = float(plan.futures.world.tree.probability[plan.futures.origin[leaf]])
            violations.equal("probability", float(tree.probability[leaf]), whole * chance, 1.0)
    violations.never("foresight", not uncertain and any(len(copies) > 1 for copies in together.values()))


def _ages(plan: Plan, row: int) -> list[int]:
    """Quarters since a programme's start at each node, -1 before it."""
    ages = list[int]()
    for node in range(plan.problem.tree.size):
        before = ages[int(plan.problem.tree.parent[node])] if node else -1
        ages.append(before + 1 if before >= 0 else 0 if plan.starts[row, node] > 0.5 else -1)
    return ages


def _shows(outcome: ProgrammeOutcome, age: int) -> bool:
    return age >= 0 and outcome.revealed <= age


def _walk_demand(path: Path) -> list[float]:
    """Check service, demand and shares, book the penalty; the queries delivered in each quarter."""
    problem, plan, laws = path.problem, path.plan, path.violations
    served, unmet = plan.served.tolist(), plan.unmet.tolist()
    throughput = [offer.throughput.tolist() for offer in problem.offers]
    sizes = [largest(row) for row in problem.demand]
    weights = [1.0] * len(problem.models) if problem.share_weights is None else problem.share_weights.tolist()
    delivered = []
    for quarter in range(path.quarters):
        queries, asked = 0.0, 0.0
        shares = dict.fromkeys((offer.supplier for offer in problem.offers), 0.0)
        for model in range(len(problem.models)):
            wanted, volume, missing = float(problem.demand[model, quarter]), float(problem.volume[model, quarter]), unmet[model][quarter]
            total = sum(row[model][quarter] for row in served)
            laws.equal("demand", total + missing, wanted, sizes[model])
            if wanted == 0:
                continue
            penalty = float(problem.unmet_penalty[model])
            if math.isinf(penalty):
                laws.at_most("no unmet demand", missing, 0.0, sizes[model])
            elif missing:
                path.books.spend["penalty"][quarter] += missing / wanted * volume * penalty
            queries += (1 - missing / wanted) * volume
            asked += weights[model] * volume
            for row, offer in zip(served, problem.offers, strict=True):
                shares[offer.supplier] += weights[model] * volume / wanted * row[model][quarter]
        for row, rates in enumerate(throughput):
            _check_service(path, row, rates, [model[quarter] for model in served[row]], quarter)
        _check_shares(path, quarter, list(shares.values()), asked)
        delivered.append(queries)
    return delivered


def _check_service(path: Path, index: int, throughput: list[float], served: list[float], quarter: int) -> None:
    busy = 0.0
    for rate, most in zip(served, throughput, strict=True):
        if rate and most > 0:
            busy += rate / most
        elif rate:
            path.violations.at_most("can serve", rate, 0.0, largest(path.problem.demand))
    if busy:
        fleet = sum(path.plan.fleet[index, :, quarter].tolist())
        path.violations.at_most("service", busy, fleet, largest(path.plan.fleet[index].sum(axis=0)))


def _check_shares(path: Path, quarter: int, parts: list[float], asked: float) -> None:
    problem, total = path.problem, sum(parts)
    if quarter < problem.share_from or asked <= 0:
        return
    for part in parts:
        path.violations.at_most("largest share", part, problem.largest_share * total, total)
    path.violations.at_most("concentration", sum((part / asked) ** 2 for part in parts), problem.concentration, 1.0)


def _check_money(path: Path) -> None:
    """The budget and the debt against the ledger's cash, and each category of the plan against the ledger's."""
    problem, laws, books, debt = path.problem, path.violations, path.books, path.plan.debt.tolist()
    rate = 0.0 if problem.debt is None else (1 + problem.debt.interest) ** 0.25 - 1
    for quarter in range(1, path.quarters):
        path.pay("interest", quarter, rate * debt[quarter - 1])
    cash = [sum(row[quarter] for name, row in books.spend.items() if name not in NO_CASH) for quarter in range(path.quarters)]
    size = max(max(map(abs, cash)), max(map(abs, debt))) or 1.0
    for quarter, spent in enumerate(cash):
        limit = float(problem.debt.limit[quarter]) if problem.debt and quarter < path.quarters - 1 else 0.0
        laws.at_most("debt", debt[quarter], limit, size)
        repaid = debt[quarter - 1] if quarter else 0.0
        laws.at_most("budget", spent + repaid, float(problem.budget[quarter]) + debt[quarter], size)
        for name, row in books.spend.items():
            laws.equal(f"{name} spend", float(path.plan.spend[name][quarter]), row[quarter], size)
