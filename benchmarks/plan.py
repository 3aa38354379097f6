"""The plan at its full size: 24 quarters, 3 models, 4 sites, 11 contracts and 3 programmes, in trees of many scenarios.

The instance is made up, with the size and the proportions of real ones; its seed is fixed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tapeout.outlook.tree import Tree, tree_of
from tapeout.sourcing.branches import Branch, model_of
from tapeout.sourcing.finance import HOURS
from tapeout.sourcing.futures import futures, windows
from tapeout.sourcing.model import Model, build
from tapeout.sourcing.problem import ContractKind, Offer, Problem, Programme, ProgrammeOutcome, Site
from tapeout.sourcing.search import alternatives, solve
from tapeout.sourcing.solver import Outcome, run
from tapeout.units import QUARTER

QUARTERS, PROCESSES = 24, 2
SPLITS = {8: (6, 12, 18), 64: (3, 6, 9, 12, 15, 18), 256: (2, 5, 8, 11, 14, 16, 18, 20)}
"""The quarters in which every path of the tree forks, by the number of scenarios."""
KW, MW, KUSD, MUSD = 1e3, 1e6, 1e3, 1e6
BUY, LEASE, RESERVED, OWN = ContractKind.PURCHASE, ContractKind.LEASE, ContractKind.RESERVED, ContractKind.OWN
# Supplier, kind, price and cost of a quarter in thousand USD a chip, power in kW, lead and term in quarters, first quarter, and queries a
# second of a thousand chips on each model.
CONTRACTS = {
    "n-first": ("n", BUY, 35.0, 0.5, 1.4, 2, 16, 0, (1.0, 1.0, 1.0)),
    "n-second": ("n", BUY, 55.0, 0.7, 2.0, 2, 16, 5, (2.2, 2.0, 2.4)),
    "n-on-demand": ("n", ContractKind.ON_DEMAND, 0.0, 6.6, 0.0, 0, 1, 0, (1.0, 1.0, 1.0)),
    "n-reserved": ("n", RESERVED, 0.0, 4.3, 0.0, 1, 12, 0, (1.0, 1.0, 1.0)),
    "a-bought": ("a", BUY, 24.0, 0.5, 1.3, 2, 16, 0, (0.85, 0.7, 0.9)),
    "a-reserved": ("a", RESERVED, 0.0, 3.9, 0.0, 1, 4, 0, (0.85, 0.7, 0.9)),
    "g-lease": ("g", LEASE, 0.0, 3.4, 0.0, 2, 12, 0, (0.95, 1.0, 0.8)),
    "t-lease": ("t", LEASE, 0.0, 2.4, 0.0, 1, 12, 0, (0.55, 0.5, 0.6)),
    "partner": ("own", OWN, 16.0, 0.4, 0.9, 2, 16, 0, (1.2, 1.1, 1.0)),
    "own-team": ("own", OWN, 11.0, 0.4, 0.9, 2, 16, 0, (1.2, 1.1, 1.0)),
    "acquisition": ("target", OWN, 19.0, 0.4, 1.0, 2, 16, 0, (1.05, 1.0, 0.8)),
}
ALLOCATED = {"n": 45e3, "a": 12e3, "g": 10e3, "t": 14e3, "own": 60e3, "target": 6e3}
"""Chips of a supplier that can be ordered in the first quarter; those that are bought grow by 3 % a quarter."""
PROGRAMMES = {"partner": (450.0, 8, 0.0), "own-team": (700.0, 10, 0.0), "acquisition": (500.0, 7, 2200.0)}
"""Development cost in MUSD, quarters to the first order, and a price paid at the start."""
# Power now and of a module in MW, price in USD/W, lead in quarters, price of energy in MUSD per MW and quarter.
SITES = {"s0": (35, 10.0, 6, 0.18), "s1": (25, 9.4, 7, 0.15), "s2": (15, 9.125, 8, 0.13), "s3": (10, 8.7, 10, 0.11)}
MODULE = 50 * MW

Array = NDArray[np.float64]


def world(scenarios: int, seed: int = 0) -> tuple[Tree, Array, Array]:
    """A tree of so many scenarios, with demand (3, N) in queries/s and a factor on what supplier n allocates (N,)."""
    draw = np.random.default_rng(seed)
    quarter, parent, chance, level, scarce = [0], [-1], [1.0], [np.zeros(3)], [1.0]
    last = [0]
    for now in range(1, QUARTERS):
        forks = (1.0, -1.0) if now in SPLITS[scenarios] else (0.0,)
        nodes = []
        for above in last:
            for fork in forks:
                nodes.append(len(quarter))
                quarter.append(now)
                parent.append(above)
                chance.append(chance[above] / len(forks))
                level.append(level[above] + (0.16 * fork + draw.normal(0, 0.05, 3) if fork else 0.0))
                change = np.exp(draw.normal(0, 0.25) - 0.1 * fork) if fork else 1.0
                scarce.append(float(np.clip(scarce[above] * change, 0.3, 1.5)))
        last = nodes
    growth = 1.07 ** np.array(quarter)
    demand = np.array([20.0, 17.0, 13.0])[:, None] * growth * np.exp(np.array(level).T)
    return tree_of(quarter, parent, chance), demand, np.array(scarce)


def problem(scenarios: int) -> Problem:
    """The instance on a tree of 8, 64 or 256 scenarios."""
    tree, demand, scarce = world(scenarios)
    return Problem(
        quarters=tuple(f"Q{quarter}" for quarter in range(QUARTERS)),
        tree=tree,
        models=("a", "b", "c"),
        demand=demand,
        volume=demand * QUARTER / 2,
        unmet_penalty=np.array([14.0, 12.0, 10.0]) * MUSD / (QUARTER / 2),
        offers=tuple(_offer(name, tree, scarce) for name in CONTRACTS),
        sites=tuple(_site(name, tree) for name in SITES),
        programmes=tuple(_programme(name) for name in PROGRAMMES),
        budget=np.asarray(2500 * MUSD * 1.03**tree.quarter, dtype=float),
        discount=1.025**4 - 1,
        largest_share=0.65,
        share_from=10,
        every=4,
    )


def _offer(name: str, tree: Tree, scarce: Array) -> Offer:
    supplier, kind, price, running, power, lead, term, first, speed = CONTRACTS[name]
    every, grows = np.ones(tree.size), 1.03**tree.quarter
    allocated = ALLOCATED[supplier] * (grows if supplier in "nagt" else every) * (scarce if supplier == "n" else every)
    hourly = every * running * KUSD / HOURS
    return Offer(
        id=name, supplier=supplier, kind=kind, chip=name, lead=lead, term=term, unit_price=every * price * KUSD,
        rent=hourly if power == 0 else 0 * every, upkeep=hourly if power else 0 * every,
        allocation=np.where(tree.quarter < first, 0.0, np.minimum(allocated, 60e3)), hosted=power == 0, power=power * KW,
        throughput=0.95e-3 * np.array(speed), sites=tuple(SITES) if power else (), programme=name if name in PROGRAMMES else None,
        residual=0.1 if power else 0.0,
    )  # fmt: skip


def _site(name: str, tree: Tree) -> Site:
    now, price, lead, energy = SITES[name]
    every = np.ones(tree.size)
    return Site(
        id=name, available=every * 500 * MW, capex=every * price, rent=0 * every, energy=every * energy / QUARTER, lead=lead, pue=1.0,
        load=1.0, module=MODULE, initial=now * MW, term=40, residual=0.5,
    )  # fmt: skip


def _programme(name: str) -> Programme:
    cost, lead, price = PROGRAMMES[name]
    spend = np.full(lead, cost * MUSD / lead)
    spend[0] += price * MUSD
    late = np.r_[spend, np.full(3, 80 * MUSD / 3)]
    outcomes = (
        ProgrammeOutcome(name="on time", probability=0.5, spend=spend, lead=lead, revealed=lead),
        ProgrammeOutcome(name="respin", probability=0.35, spend=late, lead=lead + 3, revealed=lead),
        ProgrammeOutcome(name="failed", probability=0.15, spend=spend, lead=None, revealed=lead),
    )
    return Programme(id=name, spend=spend, lead=lead, first_start=0, last_start=12, outcomes=outcomes, gates=(4, 8))


def started(scenarios: int) -> Model:
    """The program of the plans that start the programme with the partner in the first quarter, in all its futures."""
    one = alternatives(problem(scenarios))[1]
    first = windows(one) & (one.tree.quarter == 0)
    return model_of(one, Branch(which=1, allowed=first, forced=first))


def linear(scenarios: int) -> Model:
    """The program without programmes, in which only power comes whole."""
    return build(futures(alternatives(problem(scenarios))[0]))


def measured(name: str, scenarios: int, gap: float) -> dict[str, float]:
    """Seconds to `build`, to solve the `linear` program or to `plan`, and the peak memory in bytes of all processes that it takes."""
    known = problem(scenarios)
    with watched() as memory:
        begin = time.perf_counter()
        if name == "build":
            started(scenarios)
        elif name == "linear":
            found = run(linear(scenarios).program, gap=0.0, time_limit=600.0, relaxed=True)
            if found.outcome is not Outcome.OPTIMAL:
                raise RuntimeError(f"the linear program ended as {found.outcome}")
        else:
            plan = solve(known, gap=gap, time_limit=900.0, workers=PROCESSES)
            if plan.gap > gap * (1 + 1e-6):
                raise RuntimeError(f"a gap of {plan.gap:.2%} was reached")
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "memory": sum(memory.values())}


@contextlib.contextmanager
def watched() -> Iterator[dict[int, float]]:
    """The peak memory in bytes of this process and each that it starts, by number, read from /proc twice a second."""
    peaks: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            peaks.update(_peaks())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peaks
    finally:
        peaks.update(_peaks())
        done.set()
        watcher.join()


def _peaks() -> dict[int, float]:
    parents, peaks = dict[int, int](), dict[int, float]()
    for entry in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            lines = dict(line.split(":", 1) for line in entry.read_text().splitlines())
            number = int(entry.parent.name)
            parents[number] = int(lines["PPid"])
            peaks[number] = float(lines.get("VmHWM", "0").split()[0]) * 1024
    kin = {os.getpid()}
    while more := {number for number, parent in parents.items() if parent in kin} - kin:
        kin |= more
    return {number: peaks[number] for number in kin if number in peaks}


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
