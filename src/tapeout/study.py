"""One scenario through the whole flow; reads top to bottom.

scenario -> chips -> what each carries of each model under traffic -> what each contract costs -> what may happen -> the plan
-> an independent check -> what its numbers mean
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tapeout.appraisal.information import Information, information
from tapeout.appraisal.knobs import throughput_knobs
from tapeout.appraisal.matching import matching
from tapeout.appraisal.meaning import Meaning, meaning
from tapeout.appraisal.out_of_sample import Fared, Fresh, out_of_sample
from tapeout.appraisal.worth import ProgrammeWorth
from tapeout.design.store import Store
from tapeout.errors import CancelledError, InfeasibleError
from tapeout.fleet.best import best_under_traffic
from tapeout.fleet.parallel import Cluster
from tapeout.hardware.chip import Chip
from tapeout.outlook.processes import draw
from tapeout.outlook.reduction import Reduced
from tapeout.outlook.tree import single
from tapeout.performance.best import Demand, NotServed, Serving
from tapeout.scenario.conflicts import located
from tapeout.scenario.document import Document, read_document
from tapeout.scenario.hardware import Chips, chips_of
from tapeout.scenario.offers import offers
from tapeout.scenario.outlook import Outlook, on_scenarios, outlook, processes, weights
from tapeout.scenario.programmes import programmes
from tapeout.scenario.ranges import knobs
from tapeout.scenario.reader import scenario_of
from tapeout.scenario.references import architecture
from tapeout.scenario.schema import Scenario, ServedModel
from tapeout.scenario.supply import Acquisition
from tapeout.scenario.supply_side import debt, prepayments, risk, sites
from tapeout.serving.compiled import waiting_for_translation
from tapeout.sourcing.certificate import Certificate, certify
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Problem
from tapeout.sourcing.search import solve
from tapeout.sourcing.solver import Outcome
from tapeout.sourcing.throughput_range import ThroughputBand, ThroughputRange, throughput_range
from tapeout.units import QUARTER, Dimensionless, Seconds, Unit, Usd, show

Array = NDArray[np.float64]
Say = Callable[[str], None]

USD = Unit("USD")
GAP_ON_PATH: Dimensionless = 1e-3
GAP_ON_TREE: Dimensionless = 1e-2
FRESH, SEED = 200, 1
"""Futures drawn to see how a plan fares out of sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A scenario with all that its plan needs; `servings` is by (chip name, model name).

    `base` is the problem as forecast, on one path; `outlook` what may happen; `problem` is on the tree of that.
    """

    document: Document
    scenario: Scenario
    chips: Chips
    demands: dict[str, Demand]
    servings: dict[tuple[str, str], Serving | NotServed]
    base: Problem
    outlook: Outlook

    @property
    def problem(self) -> Problem:
        """The problem on the tree of what may happen."""
        return self.outlook.problem


class Appraised(StrEnum):
    """How far to look into what the numbers of a plan mean: not at all, quickly, or with a search for each question."""

    NOT = "none"
    QUICK = "quick"
    THOROUGH = "thorough"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a plan is to be made: to which `gap` (a thousandth on one path, a hundredth on a tree where None), over how many `scenarios`.

    `scenarios` are as the file says where None, and one is the forecast itself. `store` makes where results of long searches are kept.
    """

    gap: Dimensionless | None = None
    time_limit: Seconds = 300.0
    scenarios: int | None = None
    workers: int | None = 1
    cluster: Cluster | None = None
    store: Store | None = None
    appraised: Appraised = Appraised.QUICK

    def gap_on(self, problem: Problem) -> Dimensionless:
        """The gap for a problem."""
        if self.gap is not None:
            return self.gap
        uncertain = problem.tree.leaves.size > 1 or any(len(one.outcomes) > 1 for one in problem.programmes)
        return GAP_ON_TREE if uncertain else GAP_ON_PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStudy:
    """Everything between the scenario and its plan; `servings` is by (chip name, model name).

    What was not looked at is None or empty, as all that follows the plan where the user `stopped` before it was done.
    """

    document: Document
    scenario: Scenario
    chips: Chips
    demands: dict[str, Demand]
    servings: dict[tuple[str, str], Serving | NotServed]
    problem: Problem
    outlook: Outlook
    plan: Plan
    certificate: Certificate
    throughput: ThroughputRange | None = None
    information: Information | None = None
    out_of_sample: tuple[Fared, ...] = ()
    meaning: Meaning | None = None
    stopped: bool = False

    @property
    def reduced(self) -> Reduced | None:
        """The scenarios that were planned for, and how far they are from all."""
        return self.outlook.reduced

    @property
    def targets(self) -> dict[str, Usd]:
        """The prices of the companies that acquisitions would buy, by programme."""
        return {name: entry.price.value for name, entry in self.scenario.programmes.items() if isinstance(entry, Acquisition)}

    @property
    def worths(self) -> tuple[ProgrammeWorth, ...]:
        """What each programme is worth."""
        return self.meaning.worths if self.meaning else ()


def plan(path: Path, wanted: Wanted, say: Say) -> PlanStudy:
    """The plan of the scenario in the file at `path`, proven within its gap of the optimum, or the best found before its time or Ctrl-C.

    Raises InputError for a bad scenario, InfeasibleError naming the constraints in conflict where there is no plan.
    """
    asked = asked_of(path, say, wanted.scenarios)
    problem, gap = asked.problem, wanted.gap_on(asked.problem)
    say(
        f"solving: {len(problem.offers)} offers, {len(problem.sites)} sites, {len(problem.programmes)} programmes, "
        f"{problem.tree.leaves.size} scenarios"
    )
    try:
        found = _solved(problem, wanted, gap, say)
    except InfeasibleError as error:
        raise located(asked.document, error) from error
    say(f"cost {show(found.cost, USD)}, proven within {found.gap:.3%}; checking it by re-simulation")
    certificate = certify(found)
    certificate.check()
    study = PlanStudy(
        document=asked.document, scenario=asked.scenario, chips=asked.chips, demands=asked.demands, servings=asked.servings,
        problem=problem, outlook=asked.outlook, plan=found, certificate=certificate,
    )  # fmt: skip
    # Whoever stopped the solver wants what there is, not more searches.
    if found.status == Outcome.CANCELLED or wanted.appraised is Appraised.NOT:
        return study
    try:
        return _appraised(study, asked, wanted, say)
    except (CancelledError, KeyboardInterrupt):
        return replace(study, stopped=True)


def _solved(problem: Problem, wanted: Wanted, gap: Dimensionless, say: Say) -> Plan:
    return solve(
        problem, gap=gap, time_limit=wanted.time_limit, say=say, workers=wanted.workers, cluster=wanted.cluster, store=wanted.store
    )


def _appraised(study: PlanStudy, asked: Asked, wanted: Wanted, say: Say) -> PlanStudy:
    """The study with what its numbers mean."""
    problem, found, gap = study.problem, study.plan, wanted.gap_on(study.problem)
    bands = throughput_bands(study.scenario, study.chips, study.servings)
    turned = (*knobs(study.scenario, found.futures.world), *throughput_knobs(bands))
    thorough = wanted.appraised is Appraised.THOROUGH
    say("what its numbers mean")
    means = meaning(
        problem, found, turned, gap=gap, time_limit=wanted.time_limit, workers=wanted.workers or os.cpu_count() or 1, thorough=thorough
    )
    if asked.outlook.reduced is None:
        return replace(study, throughput=throughput_range(found, bands), meaning=means)
    say("what knowing is worth, and how it fares in fresh futures")
    try:
        known = information(problem, found, gap=gap, time_limit=wanted.time_limit, workers=wanted.workers, cluster=wanted.cluster)
    except InfeasibleError as error:
        say(f"for the mean of the futures {error.what}; what knowing is worth is left out")
        return replace(study, meaning=means)
    fresh = draw(processes(study.scenario), study.scenario.quarters, FRESH, seed=SEED)
    fresh_problem = on_scenarios(asked.base, fresh)
    matched = matching(asked.outlook.reduced.scenarios, fresh, weights(fresh.targets))
    fared = out_of_sample(Fresh(problem=fresh_problem, matched=matched, seed=SEED), found, known.mean, wanted.workers, wanted.cluster)
    return replace(
        study, throughput=throughput_range(known.mean, bands), meaning=means, information=known, out_of_sample=fared
    )  # fmt: skip


def asked_of(path: Path, say: Say = lambda text: None, scenarios: int | None = None) -> Asked:
    """What the scenario in the file at `path` asks, over so many scenarios or as many as it says; raises InputError for a bad scenario."""
    document = read_document(path)
    scenario = scenario_of(document)
    chips = chips_of(scenario)
    demands = {name: demand(document, model) for name, model in scenario.models.items()}
    say(f"{scenario.title}: {len(scenario.models)} models, {len(scenario.contracts)} contracts, {scenario.quarters} quarters")
    for line in waiting_for_translation():
        say(line)
    servings = serve(scenario, chips, demands)
    base = to_problem(scenario, chips, servings)
    return Asked(
        document=document,
        scenario=scenario,
        chips=chips,
        demands=demands,
        servings=servings,
        base=base,
        outlook=outlook(scenario, base, scenarios),
    )


def demand(document: Document, model: ServedModel) -> Demand:
    """What one query to a served model is, with its latency limits; the precision is the one liked best."""
    return Demand(
        model=architecture(document, model),
        precision=model.precision[0],
        prompt=model.prompt.value,
        output=model.answer.value,
        ttft=model.time_to_first_token,
        tpot=model.time_per_output_token,
    )


def serve(scenario: Scenario, chips: Chips, demands: dict[str, Demand]) -> dict[tuple[str, str], Serving | NotServed]:
    """How each chip serves each model best under traffic, by (chip name, model name); each chip in the first precision that it computes."""
    found: dict[tuple[str, str], Serving | NotServed] = {}
    for name, wanted in demands.items():
        liked = scenario.models[name].precision
        for precision in liked:
            group = {label: chip for label, chip in chips.by_name.items() if _precision(chip, liked) == precision}
            at = Demand(
                model=wanted.model, precision=precision, prompt=wanted.prompt, output=wanted.output, ttft=wanted.ttft, tpot=wanted.tpot
            )
            servings = best_under_traffic(at, list(group.values()), scenario.models[name].attainment)
            found |= {(label, name): serving for label, serving in zip(group, servings, strict=True)}
    return found


def _precision(chip: Chip, liked: tuple[str, ...]) -> str:
    """The first precision of `liked` that the chip computes, else the last, whose weights it unpacks."""
    return next((precision for precision in liked if precision in chip.peak), liked[-1])


def to_problem(scenario: Scenario, chips: Chips, servings: dict[tuple[str, str], Serving | NotServed]) -> Problem:
    """What the plan decides over, as forecast: demand, offers with the throughput that `servings` give them, sites, programmes."""
    models = scenario.models.values()
    mean = np.array([model.demand.over(scenario.start, scenario.quarters) for model in models])
    peak = np.array([model.peak_to_mean.value for model in models])
    throughput = {
        label: np.array([_queries_per_second(servings[label, name], model) for name, model in scenario.models.items()])
        for label in chips.by_name
    }
    share_from = scenario.finance.share_from
    return Problem(
        quarters=scenario.quarter_labels,
        tree=single(scenario.quarters),
        models=tuple(scenario.models),
        demand=mean * peak[:, None],
        volume=mean * QUARTER,
        unmet_penalty=np.array([model.unmet_penalty.value for model in models]),
        offers=offers(scenario, chips, throughput),
        sites=sites(scenario),
        programmes=programmes(scenario),
        budget=scenario.finance.budget.over(scenario.start, scenario.quarters),
        discount=scenario.finance.discount.value,
        largest_share=scenario.finance.largest_supplier_share,
        concentration=scenario.finance.concentration,
        share_from=0 if share_from is None else max(0, share_from - scenario.start),
        prepayments=prepayments(scenario),
        debt=debt(scenario),
        risk=risk(scenario),
        every=scenario.every,
    )


def throughput_bands(scenario: Scenario, chips: Chips, servings: dict[tuple[str, str], Serving | NotServed]) -> dict[str, ThroughputBand]:
    """The bands of the throughputs that `to_problem` takes, by chip name, as factors on them; 1 where a chip does not serve a model."""
    found = {}
    for label, chip in chips.by_name.items():
        ends = np.array([_ends(servings[label, name]) for name in scenario.models])
        found[label] = ThroughputBand(generation=chip.generation, low=ends[:, 0], high=ends[:, 1])
    return found


def _ends(serving: Serving | NotServed) -> tuple[float, float]:
    if isinstance(serving, NotServed):
        return 1.0, 1.0
    rate = serving.rate
    return rate.low / rate.value, rate.high / rate.value


def _queries_per_second(serving: Serving | NotServed, model: ServedModel) -> float:
    return serving.rate.value / model.answer.value if isinstance(serving, Serving) else 0.0
