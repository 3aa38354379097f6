"""What the drivers of array simulators share: reading the products and the array, timing each answer, writing the cycles.

A driver runs in its peer's own environment, so this file needs the standard library only.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Product:
    """`rows` x `inner` by `inner` x `columns`, on a square array of `array` multipliers a side."""

    array: int
    rows: int
    inner: int
    columns: int


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What stands around an array, whatever its size: bytes of an element and of on-chip memory, bytes a cycle from memory."""

    element_bytes: int
    on_chip_memory: int
    memory_bytes_per_cycle: int


Prepared = Callable[[], float]
"""One evaluation, ready to run, which gives the cycles."""


def main(prepare: Callable[[Product, Chip, Path], Prepared]) -> None:
    """Evaluate what the command line names: `DRIVER products.csv chip.json cycles.csv`; a scratch folder goes with each.

    The seconds are processor time of the evaluation alone, without import, the files that describe it and what it prints.
    """
    products, chip, cycles = (Path(argument) for argument in sys.argv[1:4])
    around = Chip(**json.loads(chip.read_text(encoding="utf-8")))
    with products.open(newline="", encoding="utf-8") as file:
        wanted = [Product(**{name: int(value) for name, value in row.items()}) for row in csv.DictReader(file)]
    with cycles.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("cycles", "seconds"))
        for one in wanted:
            with tempfile.TemporaryDirectory() as folder:
                run = prepare(one, around, Path(folder))
                begin = time.process_time()
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    found = run()
                writer.writerow((found, time.process_time() - begin))
