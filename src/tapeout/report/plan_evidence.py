"""What a plan rests on: every assumption and fact behind it with its source, and every file that was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tapeout.cost.datacenter import site
from tapeout.cost.prices import PriceQuote, Term, purchase, rent, reserved
from tapeout.cost.tco import finance
from tapeout.hardware.system import server_of
from tapeout.performance.best import NotServed
from tapeout.performance.efficiency import efficiencies, efficiency
from tapeout.provenance import DATA, facts_within
from tapeout.report.assumptions import WORST_FIRST, Assumption, assumption
from tapeout.report.files import Input
from tapeout.scenario.contracts import Lease, OnDemand, Own, Partner, Purchase, Reserved
from tapeout.scenario.offers import commitment
from tapeout.study import Asked, PlanStudy
from tapeout.workload.catalog import model_id, shape_file


def evidence(study: Asked | PlanStudy) -> list[Assumption]:
    """The scenario's assumptions, then the facts of the catalogue behind the plan, each once."""
    found = [*_stated(study), *_facts(study), *_throughputs(study), *_quotes(study)]
    return list({(one.name, one.source, one.place, one.value): one for one in found}.values())


def _stated(study: Asked | PlanStudy) -> Iterator[Assumption]:
    for row in study.scenario.assumptions():
        yield Assumption(
            name=row.path, value=row.value, low=row.low, high=row.high, grade=row.grade, source=row.source, place=row.place, note=row.why
        )


def _facts(study: Asked | PlanStudy) -> Iterator[Assumption]:
    """Chips, their servers and the efficiencies of their generations, the places of the sites, and how owned chips are run."""
    chips = study.chips.by_name
    parts: list[tuple[str, Any]] = list(chips.items())
    parts += [(f"server {server.id}", server) for server in (server_of(chip.id) for chip in chips.values())]
    parts += [(f"efficiency {chip.generation}", efficiency(chip.generation, efficiencies())) for chip in chips.values()]
    parts += [(f"place {entry.place}", site(entry.place)) for entry in study.scenario.sites.values()]
    parts.append(("operation", finance().operation))
    for name, part in parts:
        yield from (assumption(f"{name}: {path}", fact) for path, fact in facts_within(part))


def _throughputs(study: Asked | PlanStudy) -> Iterator[Assumption]:
    """The throughput of each chip on each model with its 80 % band; a widened band is no better than what widened it."""
    for (label, model), serving in study.servings.items():
        if isinstance(serving, NotServed):
            continue
        coefficients = efficiency(serving.chip.generation, efficiencies())
        if coefficients.spread is None:
            continue
        spread, rate = coefficients.spread, serving.rate
        steps = coefficients.distance + (serving.chip.id not in spread.chips)
        grades = [spread.rate.grade, spread.widening.grade] if steps else [spread.rate.grade]
        value, low, high = (f"{end:,.4g} token/s per chip" for end in (rate.value, rate.low, rate.high))
        yield Assumption(
            name=f"throughput {label}: {model}, {serving.prediction.deployment.label}",
            value=value,
            low=low,
            high=high,
            grade=min(grades, key=WORST_FIRST.index),
            source=spread.rate.source,
            place=spread.rate.place,
            note=f"predicted; band of {serving.chip.generation}, "
            + (f"widened by {steps} steps of kinship" if steps else "fitted on this chip"),
        )


def _quotes(study: Asked | PlanStudy) -> Iterator[Assumption]:
    """The price quotes that stand behind the contracts whose price is the catalogue's, at their first and last quarter."""
    first, last = study.scenario.quarter_labels[0], study.scenario.quarter_labels[-1]
    for contract in study.scenario.contracts.values():
        if contract.price is None and not isinstance(contract, Own):
            for date in (first, last):
                yield from map(_quoted, _behind(contract, date))


def _behind(contract: OnDemand | Reserved | Lease | Purchase | Partner, date: str) -> Iterable[PriceQuote]:
    if isinstance(contract, (Purchase, Partner)):
        return purchase(contract.chip, date).quotes
    if isinstance(contract, OnDemand):
        return rent(contract.chip, date, seller=contract.seller).quotes
    years = 3 if commitment(contract.term) is Term.RESERVED_3Y else 1
    return reserved(contract.chip, date, years=years, seller=contract.seller).quotes


def _quoted(quote: PriceQuote) -> Assumption:
    return assumption(f"price {quote.chip}: {quote.term}, {quote.provider}, {quote.date}", quote.price)


def read_files(study: PlanStudy) -> tuple[Input, ...]:
    """The scenario, the shapes of its models, and every fact file that a study may read; the user's own files are kept whole."""
    scenario = Path(study.document.file)
    found = [Input(name=scenario.name, content=scenario.read_bytes(), frozen=True)]
    shapes: set[Path] = set()
    for served in study.scenario.models.values():
        if served.architecture.endswith(".json"):
            path = scenario.parent / served.architecture
            found.append(Input(name=f"models/{path.name}", content=path.read_bytes(), frozen=True))
        else:
            shapes.add(shape_file(model_id(served.architecture)))
    chips = {DATA / "chips" / f"{name}.toml" for name in study.chips.by_name}
    facts = {path for path in DATA.rglob("*.toml") if path.parent.name != "chips" or path in chips} | shapes
    return (*found, *(Input(name=f"data/{path.relative_to(DATA).as_posix()}", content=path.read_bytes()) for path in sorted(facts)))
