"""Run other simulators of serving and Tapeout's on the same traffic and print one table: `python -m benchmarks.peers.simulators`."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.cores import one_core
from benchmarks.peers.environments import ROOT, Peer, SetupError, run_driver
from benchmarks.serving import CHIP, MODEL, OUTPUT, PROMPT, conversation_engine, conversations, turns
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table
from tapeout.report.terminal import to_rich
from tapeout.serving.cluster import Cluster, Engine, Link, Phase, Pool, one_engine
from tapeout.serving.simulator import simulate
from tapeout.serving.step_model import AttentionCost, StepModel
from tapeout.traffic.requests import Requests

AISIMULATE = Peer(name="AISimulate", requirement="aisimulate==0.13.0.dev202610270000000085", driver="aisimulate_driver.py")
VIDUR = Peer(name="Vidur", requirement="vidur==0.0.26", driver="vidur_driver.py")
FIXED = (0.02, 0.01)
"""Seconds of prompts and of decode in a step, where they are fixed; a step of both takes both."""
MOST_SEQUENCES = 256
"""What all of them are given; the limit of AISimulate's and of vLLM's own default."""
REPEATS = 3
SEED = 1
SAME = 1e-6
"""Seconds within which two times are the same: AISimulate counts in milliseconds, so its sums round elsewhere."""
MILLI = 1e-3
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A peer in one setting: as many requests as it does in some ten seconds, and whether its step times are fixed.

    `blocks` is the size of the KV cache where it is not the engine's own, and steps take a whole prompt then. With `apart` one engine
    takes the prompts and one what follows, over a link that takes no time.
    """

    name: str
    peer: Peer
    requests: int
    fixed: bool = False
    blocks: int | None = None
    prefix_caching: bool = False
    apart: bool = False


CONTENDERS = (
    Contender(name="AISimulate, its own step times", peer=AISIMULATE, requests=50_000),
    Contender(name="  the same, prefix caching", peer=AISIMULATE, requests=5_000, prefix_caching=True),
    Contender(name="  the same, prefill and decode apart", peer=AISIMULATE, requests=20_000, apart=True),
    Contender(name="AISimulate, fixed step times", peer=AISIMULATE, requests=20_000, fixed=True),
    Contender(name="  the same, prefix caching", peer=AISIMULATE, requests=5_000, fixed=True, prefix_caching=True),
    Contender(name="  the same, prefill and decode apart", peer=AISIMULATE, requests=20_000, fixed=True, apart=True),
    Contender(name="  the same, little KV cache", peer=AISIMULATE, requests=20_000, fixed=True, blocks=2_000),
    Contender(name="Vidur, Tapeout's step times", peer=VIDUR, requests=10_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a simulator did with the traffic: processor seconds; by request the times of first and last token, and tokens found cached."""

    seconds: float
    first: np.ndarray
    last: np.ndarray
    found: np.ndarray


def engine(contender: Contender) -> Engine:
    """The engine for both sides: of the conversations, without the front end before the queue, which the peers do not have."""
    found = conversation_engine()
    policy = dataclasses.replace(found.policy, most_sequences=MOST_SEQUENCES, prefix_caching=contender.prefix_caching)
    if contender.blocks:
        policy = dataclasses.replace(policy, blocks=contender.blocks, token_budget=PROMPT + OUTPUT + MOST_SEQUENCES)
    if not contender.fixed:
        return Engine(step_model=dataclasses.replace(found.step_model, request=0.0), policy=policy)
    prompts, decode = FIXED
    nothing = np.zeros(policy.token_budget + 1)
    model = StepModel(token_seconds=nothing, sequence_seconds=nothing, decode_launch=decode, prefill=(AttentionCost(launch=prompts),))
    return Engine(step_model=model, policy=policy)


def traffic_of(contender: Contender, most: int | None) -> Requests:
    """The requests for Tapeout.

    Where prefill and decode are apart, AISimulate's decode gives the token that prefill gave once more: one token more on Tapeout's side.
    """
    found = (turns if contender.prefix_caching else conversations)(min(contender.requests, most or contender.requests), SEED)
    return dataclasses.replace(found, output=found.output + 1) if contender.apart else found


def tapeout_run(contender: Contender, used: Engine, traffic: Requests) -> Run:
    """Tapeout's run; the best time of three after one to warm up."""
    cluster = one_engine(used.step_model, used.policy)
    if contender.apart:
        pools = tuple(Pool(engine=used, phase=phase) for phase in (Phase.PREFILL, Phase.DECODE))
        cluster = Cluster(pools=pools, link=Link(token=0.0))
    times, found = [], simulate(cluster, traffic, records=False)
    for _ in range(REPEATS):
        begin = time.process_time()
        found = simulate(cluster, traffic, records=False)
        times.append(time.process_time() - begin)
    return Run(seconds=min(times), first=found.first_token, last=found.completion, found=found.found)


def peer_run(contender: Contender, used: Engine, traffic: Requests, folder: Path) -> Run:
    """The peer's run, in its own environment; raises SetupError."""
    names = ("traffic.csv", "setting.json", "times.csv", "timing.json")
    paths = [folder / f"{contender.peer.name.lower()}-{name}" for name in names]
    with paths[0].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("arrival_s", "prompt", "output", "names"))
        columns = (traffic.arrival.tolist(), traffic.prompt.tolist(), (traffic.output - contender.apart).tolist(), _names(traffic))
        writer.writerows(zip(*columns, strict=True))
    policy = used.policy
    setting = {
        "chip": CHIP,
        "model": MODEL,
        "blocks": policy.blocks,
        "block_size": policy.block_size,
        "token_budget": policy.token_budget,
        "most_sequences": policy.most_sequences,
        "prefix_caching": policy.prefix_caching,
        "apart": contender.apart,
        "fixed": FIXED if contender.fixed else None,
        "law": {name: table.tolist() for name, table in used.step_model.tables()._asdict().items()},
    }
    paths[1].write_text(json.dumps(setting), encoding="utf-8")
    run_driver(contender.peer, *paths)
    first, last, cached = np.loadtxt(paths[2], delimiter=",", skiprows=1, ndmin=2).T
    return Run(seconds=json.loads(paths[3].read_text(encoding="utf-8"))["seconds"], first=first, last=last, found=cached)


def _names(traffic: Requests) -> list[str]:
    """What the full blocks of each prompt are called, as text."""
    if traffic.names is None:
        return [""] * len(traffic)
    start, name = traffic.names.start.tolist(), traffic.names.name.tolist()
    return [" ".join(map(str, name[first:last])) for first, last in itertools.pairwise(start)]


def rows(contender: Contender, traffic: Requests, theirs: Run, ours: Run) -> list[Row]:
    """The peer's figures, Tapeout's on the same requests, and how many times faster Tapeout is."""
    same = (np.abs(theirs.first - ours.first) < SAME) & (np.abs(theirs.last - ours.last) < SAME) & (theirs.found == ours.found)
    peer, own = (_figures(run, traffic) for run in (theirs, ours))
    return [
        {"simulator": contender.name, **peer, "same": float(same.mean())},
        {"simulator": "  Tapeout on the same", **own},
        {"simulator": "  times faster", "rate": theirs.seconds / ours.seconds},
    ]


def _figures(run: Run, traffic: Requests) -> Row:
    several = traffic.output > 1
    ttft = run.first - traffic.arrival
    tpot = (run.last - run.first)[several] / (traffic.output[several] - 1)
    found: Row = {"requests": len(traffic), "rate": len(traffic) / run.seconds}
    for name, values in (("ttft", ttft), ("tpot", tpot)):
        p50, p99 = np.percentile(values, (50, 99))
        found |= {f"{name}_mean": float(values.mean()), f"{name}_p50": float(p50), f"{name}_p99": float(p99)}
    return found


def table(found: Sequence[Row]) -> Table:
    """The comparison as a table."""
    milliseconds, figure = NumberStyle(scale=1 / MILLI, digits=4), NumberStyle(digits=3)
    latencies = ("ttft_mean", "ttft_p50", "ttft_p99", "tpot_mean", "tpot_p50", "tpot_p99")
    headings = ("TTFT ms", "p50", "p99", "TPOT ms", "p50", "p99")
    columns = (
        Column(key="simulator", heading="Simulator"),
        Column(key="requests", heading="Requests", style=figure),
        Column(key="rate", heading="Requests/s", style=figure),
        *(Column(key=key, heading=heading, style=milliseconds) for key, heading in zip(latencies, headings, strict=True)),
        Column(key="same", heading="Same", style=NumberStyle(scale=100, digits=4, suffix=" %")),
    )
    note = (
        "Requests simulated per second of processor time on one core, the main loop alone. Same: requests whose first and last "
        f"token fall within {SAME * 1e6:g} us, and of whose prompt the cache held as much."
    )
    title = f"Simulators of serving: conversations on {MODEL}, one {CHIP}"
    return Table(id="simulators", title=title, columns=columns, rows=list(found), note=note)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, write."""
    names = sorted({contender.peer.name for contender in CONTENDERS})
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.simulators", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=names, default=names, help="the peers to run")
    parser.add_argument("--most", type=int, help="take no more requests than this")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "peers", help="where the table and every time go")
    given = parser.parse_args(arguments)
    console, talk = Console(width=150), Console(stderr=True)
    given.out.mkdir(parents=True, exist_ok=True)
    found: list[Row] = []
    with one_core():
        for contender in CONTENDERS:
            if contender.peer.name not in given.peers:
                continue
            traffic, used = traffic_of(contender, given.most), engine(contender)
            talk.print(f"{contender.name}: {len(traffic):,} requests ...", markup=False)
            try:
                theirs = peer_run(contender, used, traffic, given.out)
                found += rows(contender, traffic, theirs, tapeout_run(contender, used, traffic))
            except SetupError as error:
                talk.print(f"{contender.name} is left out: {error}", markup=False)
    if not found:
        return 0
    with (given.out / "simulators.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in found for key in row)))
        writer.writeheader()
        writer.writerows(found)
    console.print(to_rich(table(found)))
    console.print(f"Every figure: {given.out / 'simulators.csv'}", markup=False, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
