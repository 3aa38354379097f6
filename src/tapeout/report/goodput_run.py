"""`tapeout goodput`: from words to the fleets that a number of chips can make, searched for the one that carries most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapeout.errors import InputError
from tapeout.fleet.candidates import candidates
from tapeout.fleet.search import Rated, Search, search
from tapeout.fleet.service_level import service_level
from tapeout.report.numbers import NumberStyle
from tapeout.report.simulation_wanted import chips_on
from tapeout.report.tables import Column, Table
from tapeout.traffic.requests import Requests
from tapeout.traffic.rules import RULES, traffic
from tapeout.workload.catalog import model as find_model
from tapeout.workload.traffic import Lengths

COLUMNS = (
    Column(key="deployment", heading="Deployment"),
    Column(key="token_budget", heading="Tokens a step", style=NumberStyle()),
    Column(key="most_sequences", heading="Sequences", style=NumberStyle()),
    Column(key="goodput", heading="Requests/s"),
    Column(key="goodput_low", heading="Low", style=NumberStyle(digits=4)),
    Column(key="goodput_high", heading="High", style=NumberStyle(digits=4)),
    Column(key="tokens_per_s_per_chip", heading="Tokens/s per chip", style=NumberStyle(digits=4)),
)
SHOWN = 12
"""Fleets in the printed table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says; of a rule `seeds` traces are made, of a file or a named trace there is one."""

    model: str
    on: str
    traffic: str
    slo: str
    precision: str
    prompt: int | None
    output: int | None
    requests: int | None
    seeds: int
    token_budgets: tuple[int, ...]
    most_sequences: tuple[int, ...]
    disaggregation: bool
    every: bool
    policy: tuple[str, ...]
    workers: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What was found among so many `fleets`, with a row for each, under a `title`."""

    title: str
    fleets: int
    found: Search
    rows: tuple[Mapping[str, Any], ...]


def searched(asked: Asked) -> Searched:
    """Search the fleets that are asked for; raises InputError as what it calls."""
    chip, chips = chips_on(asked.on)
    architecture = find_model(asked.model)
    level = service_level(asked.slo, architecture)
    traces = _traces(asked)
    fleets = candidates(
        chip, chips, architecture, asked.precision, traces[0], token_budgets=asked.token_budgets, most_sequences=asked.most_sequences,
        disaggregation=asked.disaggregation, policy=asked.policy,
    )  # fmt: skip
    found = search(fleets, traces, level, every=asked.every, workers=asked.workers)
    output = float(traces[0].output.mean())
    title = f"{architecture.name} at {asked.precision} on {chips} x {chip.id}, {asked.traffic}, limits {level.name}"
    return Searched(title=title, fleets=len(fleets), found=found, rows=tuple(_row(one, output) for one in found.rated))


def _traces(asked: Asked) -> list[Requests]:
    ruled = asked.traffic.partition(":")[0] in RULES
    lengths = Lengths(prompt=asked.prompt or 1024, output=asked.output or 256)
    chosen = lengths if ruled or asked.prompt or asked.output else None
    if asked.seeds < 1:
        raise InputError("--seeds must be at least 1", given=asked.seeds)
    seeds = range(1, asked.seeds + 1) if ruled else [1]
    return [traffic(asked.traffic, chosen, count=asked.requests, seed=seed).requests for seed in seeds]


def _row(one: Rated, output: float) -> dict[str, Any]:
    found, fleet = one.goodput, one.fleet
    policy = fleet.engine.policy
    return {
        "chip": fleet.chip.id,
        "chips": fleet.chips,
        "deployment": fleet.label,
        "engines": fleet.engines,
        "token_budget": policy.token_budget,
        "most_sequences": policy.most_sequences,
        "goodput": f"{'below ' if found.bound else ''}{NumberStyle(digits=4).show(found.rate)}",
        "goodput_requests_per_s": found.rate,
        "goodput_low": found.low,
        "goodput_high": found.high,
        "is_bound": found.bound,
        "traces": found.runs,
        "tokens_per_s_per_chip": None if found.bound else one.chip_rate * output,
    }


def goodput_table(searched: Searched) -> Table:
    """The fleets that carry most."""
    found = searched.found
    rows = [dict(row) for row in searched.rows[:SHOWN]]
    bounds = sum(one.goodput.bound for one in found.rated)
    note = f"{len(found.rated)} of {searched.fleets} fleets"
    note += f", {bounds} of them only shown to carry less than the best" if bounds else ""
    note += "; stopped, so of the others nothing is known" if found.partial else ""
    note += ". Low and high: 95 % over traces. -o json has all fleets."
    return Table(id="goodput", title=searched.title, columns=COLUMNS, rows=rows, note=note)
