"""Run the peers and Tapeout on the same cases and print one table: `python -m benchmarks.peers [--cases FILE]`."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.cores import one_core
from benchmarks.peers.environments import PEERS, ROOT, Peer, SetupError, run_driver
from benchmarks.peers.facts import facts_of, tried
from benchmarks.peers.scoring import Row, Run, comparison
from tapeout.calibration.measurements import Measurement, published, read_measurements, scored
from tapeout.errors import TapeoutError
from tapeout.performance.cases import COLUMNS, MEASURES, answered
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table
from tapeout.report.terminal import to_rich

REPEATS = 3
BAD_INPUT = 2


def measurements_of(cases: Path | None, sample: int | None) -> list[Measurement]:
    """The rows to compare on: those of the file, or the package's own; evenly spaced ones where a sample is asked for."""
    rows = scored(published() if cases is None else read_measurements(cases))
    if sample is None or sample >= len(rows):
        return rows
    return [rows[index * len(rows) // sample] for index in range(sample)]


def tapeout_run(rows: Sequence[Measurement]) -> Run:
    """Tapeout's answers, through the text of the cases as `tapeout predict` takes them; the best time of three."""
    cells = [row.cells for row in rows]
    times = []
    for _ in range(REPEATS):
        begin = time.process_time()
        found = answered(cells)
        times.append(time.process_time() - begin)
    evaluations = sum(len(tried(row.case)) for row in rows if row.case is not None)
    return Run(name="Tapeout", answers={row["case"]: row for row in found}, seconds=min(times), evaluations=evaluations)


def peer_run(peer: Peer, folder: Path) -> Run:
    """The peer's answers to `folder`'s cases; raises SetupError where it cannot be installed or its driver breaks off."""
    answers, timing = (folder / f"{peer.name.lower()}.{kind}" for kind in ("csv", "json"))
    run_driver(peer, folder / "cases.csv", folder / "facts.json", answers, timing)
    with answers.open(newline="", encoding="utf-8") as file:
        found = {row["case"]: row for row in csv.DictReader(file)}
    told = json.loads(timing.read_text(encoding="utf-8"))
    return Run(name=peer.name, answers=found, seconds=told["seconds"], evaluations=told["evaluations"])


def write_inputs(rows: Sequence[Measurement], folder: Path) -> None:
    """The cases, without what was measured, and the facts that they refer to."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*COLUMNS, "software"))
        writer.writeheader()
        writer.writerows({**row.cells, "software": row.software} for row in rows)
    (folder / "facts.json").write_text(json.dumps(facts_of(rows)), encoding="utf-8")


def table(rows: Sequence[Row], cases: int) -> Table:
    """The comparison as a table."""
    figure, percent = NumberStyle(digits=3), NumberStyle(scale=100, digits=3, suffix=" %")
    ratio = NumberStyle(digits=3, suffix=" x")
    keys = ("ttft_median", "ttft_p90", "tpot_median", "tpot_p90", "rate_median", "rate_p90")
    headings = ("TTFT", "p90", "TPOT", "p90", "Offline tok/s", "p90")
    shown = []
    for row in rows:
        style = ratio if "better" in str(row["predictor"]) else percent
        speeds = {key: (ratio if style is ratio else figure).show(row.get(key)) for key in ("cases_per_s", "evaluations_per_s")}
        shown.append({"predictor": row["predictor"]} | {key: style.show(row.get(key)) for key in ("answered", *keys)} | speeds)
    columns = (
        Column(key="predictor", heading="Predictor"),
        Column(key="answered", heading="Answered"),
        *(Column(key=key, heading=heading) for key, heading in zip(keys, headings, strict=True)),
        Column(key="cases_per_s", heading="Cases/s"),
        Column(key="evaluations_per_s", heading="Evaluations/s"),
    )
    note = "Median and 90th percentile of |predicted / measured - 1|; speeds per second of processor time, set-up excluded."
    return Table(id="peers", title=f"Peers on {cases:,} measured cases", columns=columns, rows=shown, note=note)


def refusals(run: Run) -> str:
    """The commonest reasons for which a predictor did not answer."""
    reasons = Counter(cells["detail"][:80] or cells["status"] for cells in run.answers.values() if cells["status"] != "ok")
    return "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(6))


def write_results(rows: Sequence[Row], runs: Sequence[Run], measurements: Sequence[Measurement], folder: Path) -> None:
    """`peers.csv` with the table and `answers.csv` with every answer of every predictor."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / "peers.csv").open("w", newline="", encoding="utf-8") as file:
        figures = csv.DictWriter(file, keys)
        figures.writeheader()
        figures.writerows(rows)
    with (folder / "answers.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*COLUMNS, "predictor", "status", *MEASURES, "detail"))
        for one in measurements:
            for run in runs:
                cells = run.answers[one.name]
                writer.writerow((*one.cells.values(), run.name, cells["status"], *(cells[name] for name in MEASURES), cells["detail"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, write; the exit code is 2 for cases that cannot be read."""
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--cases", type=Path, help="measurements of your own: the columns of `tapeout predict` and " + ", ".join(MEASURES))
    parser.add_argument("--peers", nargs="+", choices=names, default=names, help="the peers to run")
    parser.add_argument("--sample", type=int, help="take only as many rows, evenly spaced")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "peers", help="where the answers go")
    given = parser.parse_args(arguments)
    console, talk = Console(width=150), Console(stderr=True)
    try:
        measurements = measurements_of(given.cases, given.sample)
    except TapeoutError as error:
        talk.print(str(error), markup=False)
        return BAD_INPUT
    write_inputs(measurements, given.out)
    with one_core():
        runs = [tapeout_run(measurements)]
        for peer in PEERS:
            if peer.name in given.peers:
                talk.print(f"{peer.name}: {len(measurements):,} cases ...", markup=False)
                try:
                    runs.append(peer_run(peer, given.out))
                except SetupError as error:
                    talk.print(f"{peer.name} is left out: {error}", markup=False)
    rows = comparison(runs[0], runs[1:], measurements)
    write_results(rows, runs, measurements, given.out)
    console.print(to_rich(table(rows, len(measurements))))
    for run in runs:
        if reasons := refusals(run):
            console.print(f"{run.name} does not answer: {reasons}", markup=False, highlight=False)
    console.print(f"Every answer: {given.out / 'answers.csv'}", markup=False, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
