"""Collectives over `torch.distributed`: a process for each device of this machine, led from outside, so that all do the same.

The leader asks every process for the next step and waits for all; a process that does not answer in time ends them all. The clock
of a pass is that of the slowest process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import torch
from torch import distributed

from tapeout.calibration.benchmark_run import calls_of_a_pass
from tapeout.calibration.benchmark_torch_clock import REFUSALS, Call, Device, first_line, graph_pass, plain_pass, seconds_of, synchronise
from tapeout.calibration.benchmark_trial import Collective
from tapeout.calibration.operator_table import Measured
from tapeout.errors import UnsupportedTrialError

BACKENDS = {"cuda": "nccl", "xpu": "xccl", "cpu": "gloo"}
PATIENCE = 120.0
"""Seconds in which a process must have answered."""
LOOPBACK = "lo" if sys.platform == "linux" else "lo0"
ELEMENT = torch.bfloat16


class Answer(NamedTuple):
    """What a process says: a value, or why there is none."""

    value: Any
    refusal: str = ""


class World:
    """The processes, started with the first collective and ended on leaving the context; `sizes` are the numbers of peers to come."""

    def __init__(self, device_type: str, sizes: tuple[int, ...]) -> None:
        self.device_type, self.sizes = device_type, sizes
        self.backend = BACKENDS[device_type]
        self.folder = tempfile.TemporaryDirectory(prefix="tapeout-")
        self.processes: list[BaseProcess] = []
        self.pipes: list[Connection] = []
        self.failure = ""

    def __enter__(self) -> World:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()
        self.folder.cleanup()

    def prepare(self, trial: Collective) -> Callable[[], float]:
        """The pass of `trial`: seconds of one call on the slowest of its processes."""
        self._start()
        seconds = self._ask(trial.peers, "load", trial)
        count = calls_of_a_pass(max(seconds), 1)
        captured = all(self._ask(trial.peers, "capture", count)) if self.device_type == "cuda" else False
        if not captured:
            self._ask(trial.peers, "launch", count)
        return lambda: max(self._ask(trial.peers, "run"))

    def _start(self) -> None:
        if self.failure:
            raise UnsupportedTrialError(self.failure)
        if self.processes:
            return
        context = multiprocessing.get_context("spawn")
        for rank in range(max(self.sizes)):
            ours, theirs = context.Pipe()
            arguments = (rank, self.sizes, self.device_type, str(Path(self.folder.name) / "store"), theirs)
            process = context.Process(target=serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self.processes.append(process)
            self.pipes.append(ours)
        self._ask(max(self.sizes), "hello")

    def _ask(self, peers: int, step: str, *given: Any) -> list[Any]:
        """What the first `peers` processes answer; raises UnsupportedTrialError where one refuses, and ends them where one is silent."""
        answers: list[Answer] = []
        try:
            for pipe in self.pipes[:peers]:
                pipe.send((step, given))
            for pipe in self.pipes[:peers]:
                if not pipe.poll(PATIENCE):
                    raise EOFError
                answers.append(Answer(*pipe.recv()))
        except (EOFError, OSError) as error:
            self.failure = f"the processes of {self.backend} did not answer"
            self._end()
            raise UnsupportedTrialError(self.failure) from error
        refusals = dict.fromkeys(answer.refusal for answer in answers if answer.refusal)
        if refusals:
            raise UnsupportedTrialError("; ".join(refusals))
        return [answer.value for answer in answers]

    def _end(self) -> None:
        for process in self.processes:
            process.terminate()
            process.join()
        for pipe in self.pipes:
            pipe.close()
        self.processes, self.pipes = [], []


def serve(rank: int, sizes: tuple[int, ...], device_type: str, store: str, pipe: Connection) -> None:
    """One process: joins the others, then does what the leader asks until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leader hears it and ends the others
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, LOOPBACK)
    peer = _Peer(rank, sizes, device_type, store)
    steps: dict[str, Callable[..., Any]] = {
        "hello": peer.join, "load": peer.load, "capture": peer.capture, "launch": peer.launch, "run": peer.run,
    }  # fmt: skip
    while True:
        try:
            step, given = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(Answer(steps[step](*given)))
        except REFUSALS as error:
            pipe.send(Answer(None, first_line(error)))


class _Peer:
    """The state of one process: its group and the pass that is loaded."""

    def __init__(self, rank: int, sizes: tuple[int, ...], device_type: str, store: str) -> None:
        self.rank, self.sizes, self.store = rank, sizes, store
        self.device: Device = torch.device("cpu" if device_type == "cpu" else f"{device_type}:{rank}")
        self.groups: dict[int, Any] = {}
        self.group: Any = None
        self.call: Call = int
        self.once: Callable[[], float] = float

    def join(self) -> None:
        """Meet the others; every group is made by all, whether they belong to it or not."""
        world = max(self.sizes)
        if self.device.type == "cpu":
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
        else:
            getattr(torch, self.device.type).set_device(self.device)
        distributed.init_process_group(
            BACKENDS[self.device.type], store=distributed.FileStore(self.store, world), rank=self.rank, world_size=world,
            timeout=timedelta(seconds=PATIENCE / 2),
        )  # fmt: skip
        self.groups = {size: distributed.new_group(list(range(size))) for size in self.sizes}

    def load(self, trial: Collective) -> float:
        """Make the messages of `trial`; returns the seconds of one call with its launch."""
        self.group = self.groups[trial.peers]
        self.call = call_of(trial, self.rank, self.device, self.group)
        self.meet()
        return seconds_of(self.call, self.device)

    def capture(self, count: int) -> bool:
        """Whether a pass of `count` calls could be captured in a graph."""
        try:
            self.once = graph_pass([self.call], count, nullcontext, self.device)
        except REFUSALS:
            return False
        return True

    def launch(self, count: int) -> None:
        """Make a pass of `count` calls that are launched one by one."""
        self.once = plain_pass([self.call], count, nullcontext, self.device)

    def run(self) -> float:
        """One pass, begun together."""
        self.meet()
        return self.once()

    def meet(self) -> None:
        """Wait for the others of the group."""
        distributed.all_reduce(torch.zeros(1, device=self.device), group=self.group)
        synchronise(self.device)


def call_of(trial: Collective, rank: int, device: Device, group: Any) -> Call:
    """The call of `trial` on the process `rank` of `group`, on messages of its own."""
    whole, part = (
        torch.zeros(trial.message_bytes // ELEMENT.itemsize // share, dtype=ELEMENT, device=device) for share in (1, trial.peers)
    )
    # Newer releases call the two that work on one tensor by another name, and warn of the older one.
    match trial.operator:
        case Measured.ALL_REDUCE:
            return partial(distributed.all_reduce, whole, group=group)
        case Measured.ALL_GATHER:
            gather = getattr(distributed, "all_gather_single", None) or distributed.all_gather_into_tensor
            return partial(gather, whole, part, group=group)
        case Measured.REDUCE_SCATTER:
            scatter = getattr(distributed, "reduce_scatter_single", None) or distributed.reduce_scatter_tensor
            return partial(scatter, part, whole, group=group)
        case Measured.ALL_TO_ALL:
            return partial(distributed.all_to_all_single, torch.empty_like(whole), whole, group=group)
        case Measured.SEND:
            return partial(distributed.send, whole, 1, group=group) if rank == 0 else partial(distributed.recv, whole, 0, group=group)
        case _:
            raise ValueError(f"{trial.operator} is no collective")
