"""What the drivers of simulators share: reading the traffic and the engine, timing the main loop, writing the times of each request.

A driver runs in its peer's own environment, so this file needs the standard library only.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request: seconds of its arrival, tokens of its prompt and its answer, and what the full blocks of its prompt are called."""

    arrival: float
    prompt: int
    output: int
    names: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Times:
    """When a request got its first and its last token, in seconds, and how many tokens of its prompt the cache held at its start."""

    first: float
    last: float
    found: int = 0


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a simulator found: processor seconds of its main loop alone, and the times by request, in their order."""

    seconds: float
    times: list[Times]


Simulator = Callable[[list[Request], dict[str, Any]], Run]
"""A run of requests on the engine that the setting describes."""


def main(simulate: Simulator) -> None:
    """Simulate what the command line names: `DRIVER traffic.csv setting.json times.csv timing.json`."""
    traffic, setting, times, timing = (Path(argument) for argument in sys.argv[1:5])
    with traffic.open(newline="", encoding="utf-8") as file:
        requests = [_request(row) for row in csv.DictReader(file)]
    with contextlib.redirect_stdout(io.StringIO()):
        found = simulate(requests, json.loads(setting.read_text(encoding="utf-8")))
    with times.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("first_token_s", "completion_s", "found_tokens"))
        writer.writerows((one.first, one.last, one.found) for one in found.times)
    timing.write_text(json.dumps({"seconds": found.seconds}), encoding="utf-8")


def _request(row: dict[str, str]) -> Request:
    names = tuple(int(name) for name in row["names"].split())
    return Request(arrival=float(row["arrival_s"]), prompt=int(row["prompt"]), output=int(row["output"]), names=names)
