"""`tapeout simulate` and `tapeout frontier`: from words to a fleet, its traffic, and the numbers of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tapeout.errors import InputError
from tapeout.fleet.composition import Composition, served
from tapeout.fleet.engines import Fleet, fleets
from tapeout.fleet.frontier import LoadPoint, frontier
from tapeout.fleet.goodput import Goodput, goodput
from tapeout.fleet.service_level import ServiceLevel, service_level
from tapeout.hardware.chip import Chip
from tapeout.report.simulated import Part, Simulated
from tapeout.report.simulation_fleet import composition
from tapeout.report.simulation_wanted import Wanted, chips_on, is_rule, wanted_traffic
from tapeout.serving.compiled import COMPILES
from tapeout.serving.saturation import saturation
from tapeout.sourcing.quotes import Basis, hour_price
from tapeout.traffic.arrivals import closed_loop
from tapeout.traffic.requests import Requests
from tapeout.units import UsdPerHour
from tapeout.workload.catalog import model as find_model
from tapeout.workload.traffic import Lengths

SEEDS = 5
"""Traces over which the highest rate is a mean."""


def simulation(wanted: Wanted, *, date: str, search: bool, say: Callable[[str], None]) -> Simulated:
    """Simulate what is wanted at the rent prices of `date`; with `search` the goodput is the highest rate that keeps the limits."""
    architecture = find_model(wanted.model)
    level = service_level(wanted.slo, architecture)
    given = wanted_traffic(wanted, wanted.seed)
    if not COMPILES:
        say("numba is not installed: the simulator runs as plain Python, hundreds of times slower")
    chosen = composition(wanted, architecture, given.requests, level)
    if search:
        _check_search(wanted, chosen)
    outcome = served(chosen, given.requests)
    load = saturation(outcome)
    hours = {one.chip.id: _price(one.chip, date, say) for one in chosen.fleets}
    found = Simulated(
        model=architecture.name, precision=wanted.precision, traffic=given.words,
        parts=tuple(Part(chip=one.chip, group=group, hour=hours[one.chip.id]) for one in chosen.fleets for group in one.groups),
        outcome=outcome, asked=len(given.requests), level=level, interrupted=outcome.interrupted,
        # What is left of an interrupted closed loop is none any more.
        load=load if given.requests.users is None else dataclasses.replace(load, saturated=False),
    )  # fmt: skip
    if not search or found.interrupted:
        return found
    try:
        return dataclasses.replace(found, highest=_search(wanted, chosen.fleets[0], given.requests, level))
    except KeyboardInterrupt:
        return dataclasses.replace(found, interrupted=True)


def _check_search(wanted: Wanted, chosen: Composition) -> None:
    if wanted.users is not None:
        raise InputError("--goodput needs --traffic: a closed loop sets its own rate")
    if len(chosen.fleets) > 1 or chosen.autoscaling or chosen.outages or chosen.noise:
        raise InputError("--goodput takes one kind of chip, without --autoscale, --failures and --noise")


def _search(wanted: Wanted, chosen: Fleet, requests: Requests, level: ServiceLevel) -> Goodput:
    others = [wanted_traffic(wanted, wanted.seed + more).requests for more in range(1, SEEDS)] if is_rule(wanted) else []
    return goodput(chosen, [requests, *others], level)


def _price(chip: Chip, date: str, say: Callable[[str], None]) -> UsdPerHour | None:
    try:
        return hour_price(chip, Basis.RENT, date).value
    except InputError as error:
        say(f"no rent price: {error}")
        return None


def frontier_points(wanted: Wanted) -> tuple[str, list[LoadPoint]]:
    """A title and the points of all deployments and loads."""
    chip, chips = chips_on(wanted.on[0])
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
