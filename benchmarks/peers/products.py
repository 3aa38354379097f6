"""Run simulators of matrix arrays and Tapeout on the same matrix products and print two tables: `python -m benchmarks.peers.products`."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.cores import one_core
from benchmarks.peers.environments import ROOT, Peer, SetupError, run_driver
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import own_chip
from tapeout.hardware.parameters import OwnChip
from tapeout.hardware.process import memory_generation
from tapeout.performance.rates import rates
from tapeout.performance.roofline import OperatorTime, operator_time
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table
from tapeout.report.terminal import to_rich
from tapeout.units import GB, MIB
from tapeout.workload.numerics import Format, Numerics
from tapeout.workload.operators import Role, product

ZIGZAG = Peer(name="ZigZag", requirement="zigzag-dse==3.9.1", driver="zigzag_driver.py", besides=("six",))
SCALESIM = Peer(name="SCALE-Sim", requirement="scalesim==3.0.0", driver="scalesim_driver.py", besides=("numpy<2.4",))
NUMERICS = Numerics(linear=Format.BF16, expert=Format.BF16, head=Format.BF16, attention=Format.BF16, kv_cache=Format.BF16)
BYTES, CLOCK, MEMORY, ON_CHIP = 2, 1e9, "hbm2e", 24 * MIB
"""Of every chip here: bytes of an element, one HBM2E stack, on-chip memory for the operands of one array; one array of multipliers."""
MANY, REPEATS = 100_000, 5
"""Products that Tapeout takes at once, and runs of which the best counts."""
Row = dict[str, Any]
Size = tuple[int, int, int, int]
"""Multipliers a side of the array; rows, inner size and columns of the product."""

SMALL: tuple[Size, ...] = (
    (32, 128, 128, 128), (32, 256, 256, 256), (64, 256, 256, 256), (128, 256, 256, 256), (128, 512, 512, 512), (128, 16, 512, 512),
    (128, 1024, 256, 512),
)  # fmt: skip
LARGE: tuple[Size, ...] = (
    (128, 1024, 1024, 1024), (128, 4096, 4096, 4096), (256, 4096, 4096, 4096), (128, 16, 4096, 4096), (128, 2048, 4096, 8192),
)  # fmt: skip
"""Those that SCALE-Sim would need minutes to hours for are left to ZigZag."""
CONTENDERS = ((ZIGZAG, SMALL + LARGE), (SCALESIM, SMALL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a peer says of a product: cycles, and the processor seconds that it took to say so."""

    size: Size
    cycles: float
    seconds: float


def array_chip(array: int) -> OwnChip:
    """An own chip of one square array, which makes what is around it as nearly the peers' as its parameters allow."""
    return OwnChip(
        id=f"array-{array}", name=f"One array of {array} x {array}", node="tsmc-7", dies=1, matrix_units=1, rows=array, columns=array,
        formats=(NumberFormat.BF16,), clock=CLOCK, on_chip_memory=ON_CHIP, memory=MEMORY, stacks=1, link_bandwidth=100 * GB,
        domain=8, topology=Topology.SWITCH, spare=0.0,
    )  # fmt: skip


def times(sizes: NDArray[np.int64]) -> OperatorTime:
    """Tapeout's times of the products on the chips of their arrays, all at once; `sizes` has a row for each."""
    arrays, which = np.unique(sizes[:, 0], return_inverse=True)
    found = rates([(own_chip(array_chip(int(array))), NUMERICS) for array in arrays]).take(which)
    rows, inner, columns = sizes[:, 1:].T.astype(np.float64)
    return operator_time(product("product", Role.LINEAR, np.ones(len(sizes)), rows, inner, columns), found)


def many(count: int) -> NDArray[np.int64]:
    """So many products on three arrays; the seed is fixed."""
    draw = np.random.default_rng(0)
    return np.column_stack((draw.choice([32, 64, 128], count), draw.integers(1, 4097, (count, 3))))


def tapeout_seconds() -> float:
    """Processor seconds of `MANY` products, chips included; the best of several runs after one to warm up."""
    wanted, spent = many(MANY), []
    for _ in range(REPEATS + 1):
        begin = time.process_time()
        times(wanted)
        spent.append(time.process_time() - begin)
    return min(spent[1:])


def peer_run(peer: Peer, sizes: Sequence[Size], folder: Path) -> list[Found]:
    """The peer's answers, in its own environment; raises SetupError."""
    paths = [folder / f"{peer.name.lower()}-{name}" for name in ("products.csv", "chip.json", "cycles.csv")]
    with paths[0].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("array", "rows", "inner", "columns"))
        writer.writerows(sizes)
    around = {
        "element_bytes": BYTES,
        "on_chip_memory": round(ON_CHIP),
        "memory_bytes_per_cycle": round(memory_generation(MEMORY).bandwidth.value / CLOCK),
    }
    paths[1].write_text(json.dumps(around), encoding="utf-8")
    run_driver(peer, *paths)
    with paths[2].open(newline="", encoding="utf-8") as file:
        answers = list(csv.DictReader(file))
    return [Found(size=size, cycles=float(row["cycles"]), seconds=float(row["seconds"])) for size, row in zip(sizes, answers, strict=True)]


def rows(peer: Peer, found: Sequence[Found]) -> list[Row]:
    """A row for each product: what the array would need at its peak over what each side says, launch left out on Tapeout's."""
    own = times(np.array([one.size for one in found]))
    cycles = (own.seconds - own.launch) * CLOCK
    return [
        {
            "peer": peer.name,
            "array": array,
            "product": f"{height} x {inner} x {width}",
            "use": height * inner * width / array**2 / one.cycles,
            "own_use": height * inner * width / array**2 / float(mine),
            "ratio": float(mine) / one.cycles,
            "launch": float(launch) * CLOCK / one.cycles,
            "cycles": one.cycles,
            "own_cycles": float(mine),
            "seconds": one.seconds,
        }
        for one, mine, launch in zip(found, cycles, own.launch, strict=True)
        for array, height, inner, width in [one.size]
    ]


def product_table(found: Sequence[Row]) -> Table:
    """The answers side by side."""
    share, figure = NumberStyle(scale=100, digits=3, suffix=" %"), NumberStyle(digits=3)
    columns = (
        Column(key="peer", heading="Peer"),
        Column(key="array", heading="Array a side"),
        Column(key="product", heading="Product"),
        Column(key="cycles", heading="Cycles", style=NumberStyle(digits=4)),
        Column(key="use", heading="Use of the array", style=share),
        Column(key="own_use", heading="Tapeout's", style=share),
        Column(key="ratio", heading="Tapeout's cycles over the peer's", style=figure),
        Column(key="seconds", heading="Seconds to answer", style=figure),
    )
    note = (
        "Use: cycles at the array's peak over predicted cycles; Tapeout's are without the start of a product, which the peers do not have."
    )
    return Table(id="products", title="Matrix products in bf16 on one array", columns=columns, rows=list(found), note=note)


def speed_table(found: Sequence[Row], seconds: float) -> Table:
    """How many products a second each peer answers, and how many times that Tapeout does."""
    ours = MANY / seconds
    shown = [{"peer": "Tapeout", "products": MANY, "rate": ours}]
    for name in dict.fromkeys(row["peer"] for row in found):
        spent = [row["seconds"] for row in found if row["peer"] == name]
        theirs = len(spent) / sum(spent)
        fastest = 1 / min(spent)
        shown.append({"peer": name, "products": len(spent), "rate": theirs, "times": ours / theirs, "least": ours / fastest})
    figure = NumberStyle(digits=3)
    columns = (
        Column(key="peer", heading="Predictor"),
        Column(key="products", heading="Products", style=figure),
        Column(key="rate", heading="Products/s", style=figure),
        Column(key="times", heading="Tapeout is times faster", style=figure),
        Column(key="least", heading="than its quickest answer", style=figure),
    )
    note = "Per second of processor time on one core, import and input files left out; Tapeout takes all of its products at once."
    return Table(id="speeds", title="Speed on matrix products", columns=columns, rows=shown, note=note)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, write."""
    names = [peer.name for peer, _ in CONTENDERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.products", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=names, default=names, help="the peers to run")
    parser.add_argument("--most", type=int, help="take no more products than this")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "peers", help="where the table goes")
    given = parser.parse_args(arguments)
    console, talk = Console(width=150), Console(stderr=True)
    given.out.mkdir(parents=True, exist_ok=True)
    found: list[Row] = []
    with one_core():
        for peer, sizes in CONTENDERS:
            if peer.name not in given.peers:
                continue
            talk.print(f"{peer.name}: {len(sizes[: given.most])} products ...", markup=False)
            try:
                found += rows(peer, peer_run(peer, sizes[: given.most], given.out))
            except SetupError as error:
                talk.print(f"{peer.name} is left out: {error}", markup=False)
        seconds = tapeout_seconds()
    if not found:
        return 0
    with (given.out / "products.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    console.print(to_rich(product_table(found)))
    console.print(to_rich(speed_table(found, seconds)))
    console.print(f"Every figure: {given.out / 'products.csv'}", markup=False, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
