"""The search for the best deployment: seconds for a hundred of them under an hour of traffic, with a confidence interval each."""

from __future__ import annotations

import time

from tapeout.fleet.candidates import candidates
from tapeout.fleet.search import search
from tapeout.fleet.service_level import service_level
from tapeout.hardware.catalog import chip
from tapeout.traffic.arrivals import poisson
from tapeout.workload.catalog import model
from tapeout.workload.traffic import Lengths

FLEETS, TRACES, WORKERS = 100, 3, 2
RATE, HOUR = 10.0, 3600.0
LENGTHS = Lengths(prompt=1024, output=256, shortest=0.2)


def search_seconds(*, every: bool) -> float:
    """Seconds in two processes, candidates included; with `every` none is left with a bound."""
    architecture = model("meta-llama/Llama-3.1-70B")
    traces = [poisson(int(RATE * HOUR), RATE, LENGTHS, seed=seed) for seed in range(TRACES)]
    begin = time.perf_counter()
    found = candidates(
        chip("nvidia-h100-sxm"), 8, architecture, "fp8", traces[0], token_budgets=(512, 2048, 8192), most_sequences=(64, 128, 256),
        disaggregation=True,
    )  # fmt: skip
    # Every third, so that all kinds are there.
    chosen = (found[::3] + found[1::3])[:FLEETS]
    result = search(chosen, traces, service_level("common", architecture), every=every, workers=WORKERS)
    if result.partial or len(result.rated) != FLEETS:
        raise RuntimeError(f"{len(result.rated)} of {FLEETS} deployments were searched")
    return time.perf_counter() - begin
