"""Run the benchmarks and print one table: what, measured, limit, ratio."""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import goodput, own_chips, serving
from benchmarks.cores import one_core
from tapeout.cost.draws import Draws
from tapeout.cost.unit_draws import unit_draws
from tapeout.hardware.catalog import chip
from tapeout.performance.cases import COLUMNS, answered
from tapeout.performance.rates import rates
from tapeout.performance.step import layout, step_time
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table
from tapeout.report.terminal import to_rich
from tapeout.workload.catalog import model
from tapeout.workload.numerics import numerics
from tapeout.workload.operators import Batch, Sharding
from tapeout.workload.shapes import shapes

ROOT = Path(__file__).parent.parent
TAPEOUT = Path(sys.executable).with_name("tapeout")
ANSWERED = (0, 3)
"""Exit codes of a run that answered: all of it, or all but what does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A measured figure and its limit; `larger` is better or not."""

    what: str
    measured: float
    limit: float
    unit: str
    larger: bool = False

    def row(self) -> dict[str, object]:
        """The figure as a row; the ratio is above 1 where the limit is met with room."""
        ratio = self.measured / self.limit if self.larger else self.limit / self.measured
        return {"what": self.what, "measured": self.measured, "limit": self.limit, "unit": self.unit, "room": ratio}


def run(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak memory in bytes of the program with these arguments, best time of three; a run that fails is no timing."""
    times, peaks = [], []
    # A second start finds the bytecode of the first, as on any user's machine.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(3):
        begin = time.perf_counter()
        process = subprocess.Popen([str(TAPEOUT), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        times.append(time.perf_counter() - begin)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in ANSWERED:
            raise RuntimeError(f"tapeout {' '.join(arguments)} ended with {process.returncode}")
        peaks.append(usage.ru_maxrss * 1024.0)
    return min(times), max(peaks)


def best(call: Callable[[], object], repeats: int = 5) -> float:
    """The shortest of several runs, in seconds, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def cases(count: int, tensor: str = "4") -> list[dict[str, str]]:
    """Distinct cases over chips, models, precisions, lengths and loads; the deployment is chosen where `tensor` is empty."""
    chips = ("nvidia-h100-sxm", "nvidia-h200-sxm", "nvidia-b200", "amd-mi300x", "google-tpu-v6e", "intel-gaudi3")
    models = (
        "meta-llama/Llama-3.1-8B",
        "meta-llama/Llama-3.1-70B",
        "Qwen/Qwen3-30B-A3B",
        "openai/gpt-oss-120b",
        "mistralai/Mixtral-8x7B-v0.1",
    )
    grid = itertools.product(range(1, 2000), (256, 1024, 4096), models, ("bf16", "fp8"), chips)
    rows = []
    for number, (users, prompt, name, precision, on) in enumerate(itertools.islice(grid, count)):
        stages = "1" if tensor else ""
        cells = (f"c{number}", "online", on, "8", name, precision, str(prompt), "256", tensor, stages, "", "", str(users))
        rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return rows


def own_chips_seconds() -> float:
    """Seconds for area, power, limits and feasibility of a million designs."""
    many = own_chips.designs(own_chips.DESIGNS)
    with one_core():
        return best(lambda: own_chips.buildable(many), 3)


def step_evaluations() -> float:
    """Step evaluations a second on one core: 20,000 decode steps of a 70B model in one call."""
    count, architecture = 20_000, model("meta-llama/Llama-3.1-70B")
    one = rates([(chip("nvidia-h100-sxm"), numerics(architecture, "fp8"))])
    many = one.take(np.zeros(count, dtype=np.int64))
    split = Sharding(tensor=np.full(count, 4.0), pipeline=np.ones(count), expert=np.ones(count))
    rows = shapes(architecture).take(np.zeros(count, dtype=np.int64))
    arranged = layout(rows, np.ones(count, dtype=np.int64), split, many)
    batch = Batch(sequences=np.arange(1.0, count + 1), new_tokens=np.ones(count), context=np.full(count, 1000.0))
    with one_core():
        return count / best(lambda: step_time(arranged, [batch]))


def predictions() -> tuple[float, float, float]:
    """Cases a second: in one process, with the deployment chosen, and through the program with files of 100,000 rows."""
    given, free = cases(20_000), cases(2_000, tensor="")
    inside = len(given) / best(lambda: answered(given), 3)
    chosen = len(free) / best(lambda: answered(free), 3)
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "cases.csv", Path(folder) / "out.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(cases(100_000))
        seconds, _ = run(["predict", str(table), "-o", str(out)])
    return inside, chosen, 100_000 / seconds


def unit_cost_seconds() -> float:
    """Seconds of 100,000 draws of the unit cost of a chip with base dies, which has the most uncertain facts."""
    return best(lambda: unit_draws(chip("amd-mi300x"), Draws(count=100_000)), 3)


def serving_results() -> list[Result]:
    """The serving simulator: requests a second on one core, how the time grows with their number, and memory."""
    conversations = serving.conversations(serving.REQUESTS, 1)
    plain = serving.requests_per_second(serving.one_engine(), conversations)
    cached = serving.requests_per_second(serving.one_engine(prefix_caching=True), serving.turns(serving.REQUESTS, 1))
    apart = serving.requests_per_second(serving.disaggregated(), conversations)
    bare, kept = (serving.bytes_per_request(records=records) for records in (False, True))
    return [
        Result(what="simulated requests a second, on one core", measured=plain, limit=1e6, unit="/s", larger=True),
        Result(what="the same with prefix caching", measured=cached, limit=2e5, unit="/s", larger=True),
        Result(what="the same with prefill and decode apart", measured=apart, limit=2e5, unit="/s", larger=True),
        Result(what="time of a request, among 1,000,000 over among 10,000", measured=serving.growth(), limit=1.25, unit=""),
        Result(what="memory of a simulated request", measured=bare, limit=200.0, unit="B"),
        Result(what="the same with the records of all steps", measured=kept, limit=200.0, unit="B"),
    ]


def plan_results() -> list[Result]:
    """The plan under uncertainty at its full size, each case in a process of its own."""
    kinds = {
        "model of 64 scenarios x 3 outcomes, built": ("build", 64, 0.0, 1.0),
        "linear program of 256 scenarios": ("linear", 256, 0.0, 40.0),
        "plan of 8 scenarios x 3 outcomes, to a proven 1 %, in 2 processes": ("plan", 8, 0.01, 30.0),
        "plan of 64 scenarios x 3 outcomes, to a proven 2 %, in 2 processes": ("plan", 64, 0.02, 300.0),
    }
    found, memory = list[Result](), 0.0
    for what, (name, scenarios, gap, limit) in kinds.items():
        command = [sys.executable, "-m", "benchmarks.plan", name, str(scenarios), str(gap)]
        answer = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
        found.append(Result(what=what, measured=answer["seconds"], limit=limit, unit="s"))
        memory = max(memory, answer["memory"])
    return [*found, Result(what="peak memory of all processes of a plan", measured=memory, limit=2e9, unit="B")]


def results() -> list[Result]:
    """All benchmarks."""
    inside, chosen, through = predictions()
    price_time, price_peak = run(["price", "meta-llama/Llama-3.1-70B"])
    with tempfile.TemporaryDirectory() as folder:
        plan_time, plan_peak = run(["plan", str(ROOT / "scenarios" / "openai-2023.yaml"), "--out", folder])
    with tempfile.TemporaryDirectory() as folder:
        design_time, design_peak = run(["design", str(ROOT / "scenarios" / "lab-2026.yaml"), "--out", folder, "--workers", "2"])
    return [
        Result(what="tapeout --help", measured=run(["--help"])[0], limit=0.3, unit="s"),
        Result(what="tapeout price, all chips", measured=price_time, limit=3.0, unit="s"),
        Result(what="tapeout predict, cases a second, files included", measured=through, limit=20_000, unit="/s", larger=True),
        Result(what="the same in one process, without files", measured=inside, limit=20_000, unit="/s", larger=True),
        Result(what="the same where the deployment is chosen", measured=chosen, limit=2_000, unit="/s", larger=True),
        Result(what="step evaluations a second, on one core", measured=step_evaluations(), limit=200_000, unit="/s", larger=True),
        *serving_results(),
        Result(
            what="goodput of 100 deployments, an hour of traffic, bounds where enough",
            measured=goodput.search_seconds(every=False),
            limit=60.0,
            unit="s",
        ),
        Result(what="the same, each searched to the end", measured=goodput.search_seconds(every=True), limit=60.0, unit="s"),
        Result(what="unit cost of a chip, 100,000 draws, with what moves it", measured=unit_cost_seconds(), limit=2.0, unit="s"),
        Result(what="area, power and limits of 1,000,000 own chips, on one core", measured=own_chips_seconds(), limit=5.0, unit="s"),
        Result(what="tapeout design, a million chips for three workloads, in 2 processes", measured=design_time, limit=60.0, unit="s"),
        Result(what="peak memory of its largest process", measured=design_peak, limit=1e9, unit="B"),
        *plan_results(),
        Result(what="make demo once set up", measured=plan_time, limit=60.0, unit="s"),
        Result(what="peak memory of price and plan", measured=max(price_peak, plan_peak), limit=1e9, unit="B"),
    ]


def main() -> None:
    """Print the table."""
    from rich.console import Console

    figures = NumberStyle(digits=3)
    columns = (
        Column(key="what", heading="What"),
        Column(key="measured", heading="Measured", style=figures),
        Column(key="limit", heading="Limit", style=figures),
        Column(key="unit", heading="Unit"),
        Column(key="room", heading="Times better than the limit", style=figures),
    )
    rows = [result.row() for result in results()]
    note = "`make bench-peers` compares answers and speed with other predictors."
    Console(width=120).print(to_rich(Table(id="benchmarks", title="Benchmarks", columns=columns, rows=rows, note=note)))


if __name__ == "__main__":
    main()
