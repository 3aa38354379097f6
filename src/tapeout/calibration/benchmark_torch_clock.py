"""How long calls take on a PyTorch device: a pass of many calls between two readings of a clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import cycle, islice
from typing import Any

import torch

from tapeout.calibration.benchmark_run import LONGEST_PASS

Device = Any
Call = Callable[[], object]
Setting = Callable[[], AbstractContextManager[Any]]

REFUSALS = (RuntimeError, TypeError, ValueError, AttributeError, AssertionError)
"""What PyTorch raises for what a device, or this release, does not have."""


def first_line(error: BaseException) -> str:
    """What went wrong, without the trace that some PyTorch errors carry."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def synchronise(device: Device) -> None:
    """Wait for all work on `device`."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize(device)


def seconds_of(call: Call, device: Device) -> float:
    """Seconds of one call with its launch; of the second one, unless the first took so long that what it set up does not count."""
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        call()
        synchronise(device)
        seconds = time.perf_counter() - start
        if seconds > LONGEST_PASS:
            break
    return seconds


def graph_pass(calls: Sequence[Call], count: int, setting: Setting, device: Device) -> Callable[[], float]:
    """A pass of `count` calls, one copy after the other, captured in a CUDA graph; raises one of REFUSALS where it cannot be."""
    graph, start, end = torch.cuda.CUDAGraph(), torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    # Other threads may query events of their own meanwhile, as those that watch over collectives do.
    with torch.inference_mode(), setting(), torch.cuda.graph(graph, capture_error_mode="thread_local"):
        for call in islice(cycle(calls), count):
            call()

    def once() -> float:
        start.record()
        graph.replay()
        end.record()
        synchronise(device)
        return float(start.elapsed_time(end)) * 1e-3 / count

    return once


def plain_pass(calls: Sequence[Call], count: int, setting: Setting, device: Device) -> Callable[[], float]:
    """A pass of `count` calls launched one by one; the next pass goes on with the next copy."""
    turns = cycle(calls)

    def once() -> float:
        with torch.inference_mode(), setting():
            synchronise(device)
            start = time.perf_counter()
            for call in islice(turns, count):
                call()
            synchronise(device)
            return (time.perf_counter() - start) / count

    return once
