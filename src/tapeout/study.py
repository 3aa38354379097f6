"""One scenario through the whole flow; reads top to bottom.

scenario -> chips -> what each carries of each model under traffic -> what each contract costs -> the plan -> an independent check
-> what the bands of the throughputs do to it -> worth of a chip
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tapeout.fleet.best import best_under_traffic
from tapeout.hardware.chip import Chip
from tapeout.performance.best import Demand, NotServed, Serving
from tapeout.scenario.document import Document, read_document
from tapeout.scenario.hardware import Chips, chips_of
from tapeout.scenario.offers import offers
from tapeout.scenario.reader import scenario_of
from tapeout.scenario.references import architecture
from tapeout.scenario.schema import Scenario, ServedModel
from tapeout.scenario.supply_side import programmes, sites
from tapeout.serving.compiled import waiting_for_translation
from tapeout.sourcing import plan as planning
from tapeout.sourcing.certificate import Certificate, certify
from tapeout.sourcing.problem import Plan, Problem
from tapeout.sourcing.solver import Outcome
from tapeout.sourcing.throughput_range import ThroughputBand, ThroughputRange, throughput_range
from tapeout.sourcing.worth import ProgrammeWorth, programme_worths
from tapeout.units import QUARTER, Dimensionless, Seconds, Unit, show

Array = NDArray[np.float64]
Say = Callable[[str], None]

USD = Unit("USD")
PROGRESS_EVERY: Seconds = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStudy:
    """Everything between the scenario and its plan; `servings` is by (chip name, model name).

    Where the solver was stopped, `throughput` is None and `worths` are empty.
    """

    document: Document
    scenario: Scenario
    chips: Chips
    demands: dict[str, Demand]
    servings: dict[tuple[str, str], Serving | NotServed]
    problem: Problem
    plan: Plan
    certificate: Certificate
    throughput: ThroughputRange | None
    worths: tuple[ProgrammeWorth, ...]


def plan(path: Path, *, gap: Dimensionless, time_limit: Seconds, say: Say) -> PlanStudy:
    """The plan of the scenario in the file at `path`, proven within `gap` of the optimum, or the best found before `time_limit` or Ctrl-C.

    Raises InputError for a bad scenario, InfeasibleError naming the constraints in conflict where there is no plan.
    """
    document = read_document(path)
    scenario = scenario_of(document)
    chips = chips_of(scenario)
    demands = {name: demand(document, model) for name, model in scenario.models.items()}
    say(f"{scenario.title}: {len(scenario.models)} models, {len(scenario.contracts)} contracts, {scenario.quarters} quarters")
    for line in waiting_for_translation():
        say(line)
    servings = serve(scenario, chips, demands)
    problem = to_problem(scenario, chips, servings)
    say(f"solving: {len(problem.offers)} offers, {len(problem.sites)} sites, {len(problem.programmes)} programmes")
    found = planning.solve(problem, gap=gap, time_limit=time_limit, progress=_progress(say))
    say(f"cost {show(found.cost, USD)}, proven within {found.gap:.3%}; checking it by re-simulation")
    certificate = certify(found)
    certificate.check()
    # Whoever stopped the solver wants what there is, not more searches.
    stopped = found.status == Outcome.CANCELLED
    throughput = None if stopped else throughput_range(found, throughput_bands(scenario, chips, servings))
    worths = () if stopped else programme_worths(problem, gap=gap, time_limit=time_limit, say=say)
    return PlanStudy(
        document=document,
        scenario=scenario,
        chips=chips,
        demands=demands,
        servings=servings,
        problem=problem,
        plan=found,
        certificate=certificate,
        throughput=throughput,
        worths=worths,
    )


def _progress(say: Say) -> Callable[[planning.Progress], None]:
    """What the solver has reached, said every few seconds."""
    said = 0.0

    def watch(reached: planning.Progress) -> None:
        nonlocal said
        if reached.elapsed - said >= PROGRESS_EVERY:
            said = reached.elapsed
            say(f"  {reached.elapsed:.0f} s: cost {show(reached.cost, USD, 4)}, bound {show(reached.bound, USD, 4)}")

    return watch


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
    """What the plan decides over: demand by quarter, offers with the throughput that `servings` give them, sites, programmes."""
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
        share_from=0 if share_from is None else max(0, share_from - scenario.start),
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
