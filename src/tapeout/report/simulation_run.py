"""`tapeout simulate` and `tapeout frontier`: from words to a fleet, its traffic, and the numbers of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tapeout.errors import InputError
from tapeout.hardware import catalog
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.report.simulation_view import simulation_row
from tapeout.report.tables import Column, Table
from tapeout.serving.arrivals import closed_loop
from tapeout.serving.compiled import COMPILES
from tapeout.serving.engines import Fleet, best_fleet, fleet, fleets
from tapeout.serving.fleet import simulate_fleet
from tapeout.serving.goodput import Goodput, LoadPoint, frontier, goodput
from tapeout.serving.requests import Requests
from tapeout.serving.service_level import ServiceLevel, service_level
from tapeout.serving.traffic import RULES, Traffic, traffic
from tapeout.sourcing.quotes import Basis, hour_price
from tapeout.units import Dimensionless, UsdPerHour
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model as find_model
from tapeout.workload.traffic import Lengths

SEEDS = 5
"""Traces over which the highest rate is a mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line says; `parallel` is (tp, pp, ep, dp), None to choose."""

    model: str
    on: str
    traffic: str
    users: int | None
    slo: str
    precision: str
    prompt: int | None
    output: int | None
    requests: int | None
    speed: Dimensionless
    seed: int
    parallel: tuple[int, int, int, int] | None
    policy: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A run as its row of numbers, under a title."""

    title: str
    row: Mapping[str, Any]


def chips_on(text: str) -> tuple[Chip, int]:
    """The chip and the number of them in `CHIP:N`.

    >>> chips_on("nvidia-h100-sxm:8")[1]
    8
    """
    name, colon, number = text.rpartition(":")
    if not colon:
        name, number = text, "1"
    if not (number.isdecimal() and int(number) >= 1):
        raise InputError("--on has no number of chips", given=text, allowed="CHIP:N such as nvidia-h100-sxm:8")
    return catalog.chip(name), int(number)


def simulation(wanted: Wanted, *, date: str, search: bool, say: Callable[[str], None]) -> Simulation:
    """Simulate what is wanted at the rent prices of `date`; with `search` the goodput is the highest rate that keeps the limits."""
    chip, chips = chips_on(wanted.on)
    architecture = find_model(wanted.model)
    level = service_level(wanted.slo, architecture)
    given = _traffic(wanted, wanted.seed)
    if not COMPILES:
        say("numba is not installed: the simulator runs as plain Python, hundreds of times slower")
    chosen = _fleet(wanted, chip, chips, architecture, given.requests, level)
    outcome = simulate_fleet(chosen.engine, given.requests, chosen.engines)
    highest = _search(wanted, chosen, given.requests, level) if search else None
    row = simulation_row(chosen, outcome, level, _price(chip, date, say), highest)
    title = f"{architecture.name} at {wanted.precision} on {chips} x {chip.id}, {given.words}, limits {level.name}"
    return Simulation(title=title, row={"model": architecture.name, "precision": wanted.precision, "traffic": given.words, **row})


def _traffic(wanted: Wanted, seed: int) -> Traffic:
    if (wanted.users is None) == (not wanted.traffic):
        raise InputError("give either --traffic or --users")
    lengths = Lengths(prompt=wanted.prompt or 1024, output=wanted.output or 256)
    if wanted.users is not None:
        loop = closed_loop(wanted.requests or 1000, wanted.users, lengths, seed=seed)
        return Traffic(requests=loop, words=f"{wanted.users} users in a closed loop")
    ruled = wanted.traffic.partition(":")[0] in RULES
    chosen = lengths if ruled or wanted.prompt or wanted.output else None
    return traffic(wanted.traffic, chosen, count=wanted.requests, seed=seed, speed=wanted.speed)


def _fleet(wanted: Wanted, chip: Chip, chips: int, architecture: Architecture, requests: Requests, level: ServiceLevel) -> Fleet:
    if wanted.parallel is not None:
        tensor, pipeline, expert, data = wanted.parallel
        deployment = Deployment(tensor=tensor, pipeline=pipeline, expert=expert, data=data)
        return fleet(chip, chips, architecture, wanted.precision, deployment, requests, wanted.policy)
    return best_fleet(fleets(chip, chips, architecture, wanted.precision, requests, wanted.policy), requests, level.slo)


def _search(wanted: Wanted, chosen: Fleet, requests: Requests, level: ServiceLevel) -> Goodput:
    if wanted.users is not None:
        raise InputError("--goodput needs --traffic: a closed loop sets its own rate")
    ruled = wanted.traffic.partition(":")[0] in RULES
    others = [_traffic(wanted, wanted.seed + more).requests for more in range(1, SEEDS)] if ruled else []
    return goodput(chosen, [requests, *others], level)


def _price(chip: Chip, date: str, say: Callable[[str], None]) -> UsdPerHour | None:
    try:
        return hour_price(chip, Basis.RENT, date).value
    except InputError as error:
        say(f"no rent price: {error}")
        return None


def table(found: Simulation) -> Table:
    """The run as one row."""
    return Table(id="simulation", title=found.title, columns=(Column(key="chip", heading="Chip"),), rows=[found.row])


def frontier_points(wanted: Wanted) -> tuple[str, list[LoadPoint]]:
    """A title and the points of all deployments and loads."""
    chip, chips = chips_on(wanted.on)
    architecture = find_model(wanted.model)
    level = service_level(wanted.slo, architecture)
    lengths = Lengths(prompt=wanted.prompt or 1024, output=wanted.output or 256)
    longest = closed_loop(1, 1, lengths, seed=wanted.seed)
    found = frontier(
        fleets(chip, chips, architecture, wanted.precision, longest), lengths, level, count=wanted.requests or 200, seed=wanted.seed
    )
    words = f"{lengths.prompt} tokens in, {lengths.output} out, limits {level.name}"
    title = f"{architecture.name} at {wanted.precision} on {chips} x {chip.id}, {words}"
    return title, found
