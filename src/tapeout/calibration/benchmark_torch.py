"""A PyTorch device as a `Timer`: operands that no cache holds, launches taken out by a graph where the device has one.

Calls go through copies of their operands that together exceed the last cache twice, so each call finds its own in memory. A pass
runs many calls between two readings of the clock: those of the device where it has events, else of the host.
"""

from __future__ import annotations

import math
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tapeout.calibration import benchmark_torch_operators
from tapeout.calibration.benchmark_run import LONGEST_PASS, Outcome, Prepared, Session, calls_of_a_pass, measure
from tapeout.calibration.benchmark_torch_clock import REFUSALS, Call, Setting, first_line, graph_pass, plain_pass, seconds_of
from tapeout.calibration.benchmark_torch_collectives import World
from tapeout.calibration.benchmark_torch_operators import Tensor, Way
from tapeout.calibration.benchmark_trial import Collective, Trial, operand_bytes
from tapeout.calibration.operator_table import OperatorTable
from tapeout.errors import InputError, UnsupportedTrialError
from tapeout.hardware.chip import Chip
from tapeout.units import MIB, Bytes, Seconds, Unit, show

Say = Callable[[str], None]
Save = Callable[[OperatorTable], object]

SOFTWARE = f"torch {torch.__version__}"
MOST_COPIES = 1024
"""More copies of very small operands would take long to launch; with fewer, a part of them may stay in the cache."""
MEMORY_SHARE = 0.5
"""The operands of a trial may take this share of the free memory; the rest is for results, and for others."""
UNKNOWN_CACHE = 64 * MIB
"""The last cache where neither the device nor the chip's file tells of one."""
ALIGNMENT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of this machine: its name, its memory, its last cache as far as it tells, and how many of its kind there are."""

    id: str
    name: str
    memory: Bytes
    cache: Bytes
    peers: int


def numbers_of_peers(device: Device) -> tuple[int, ...]:
    """How many devices take part in collectives: powers of two up to all of them."""
    return tuple(1 << exponent for exponent in range(1, device.peers.bit_length()))


def find_device(wanted: str) -> Device:
    """The device `wanted` (`cuda:0`, `cpu`, `xpu`), or the first accelerator, else the processor, where it is empty.

    Raises InputError with the devices that there are.
    """
    here = _available()
    if wanted and wanted not in here and f"{wanted}:0" not in here:
        raise InputError("no such device", given=wanted, allowed=here, hint="--device takes a device as PyTorch names it")
    found = torch.device((wanted if wanted in here else f"{wanted}:0") if wanted else here[0])
    if found.type == "cpu":
        count = min(os.cpu_count() or 1, 2)
        return Device(id="cpu", name=_processor(), memory=_free_memory(found), cache=_processor_cache(), peers=count)
    kind = getattr(torch, found.type)
    facts = kind.get_device_properties(found)
    cache = float(getattr(facts, "L2_cache_size", 0))
    return Device(id=str(found), name=str(facts.name), memory=float(facts.total_memory), cache=cache, peers=int(kind.device_count()))


def _available() -> list[str]:
    """All devices, accelerators first."""
    kinds = [getattr(torch, name) for name in ("cuda", "xpu") if hasattr(torch, name)]
    return [f"{kind.__name__.rpartition('.')[2]}:{index}" for kind in kinds for index in range(kind.device_count())] + ["cpu"]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _processor_cache() -> Bytes:
    """The largest cache that the system tells of, or 0."""
    units = {"K": 2.0**10, "M": 2.0**20, "G": 2.0**30}
    texts = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((float(text[:-1]) * units[text[-1]] for text in texts if text[-1:] in units), default=0.0)


def _free_memory(device: Any) -> Bytes:
    if device.type != "cpu":
        return float(getattr(torch, device.type).mem_get_info(device)[0])
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):  # a system that does not tell
        return math.inf


class Arena:
    """Memory filled once, from which operands are cut one after the other."""

    def __init__(self, device: Any, least: Bytes) -> None:
        self.device, self.least, self.position = device, int(least), 0
        self.memory: Tensor = None

    def reserve(self, size: Bytes) -> int:
        """Room for operands of `size` bytes at least; returns how many calls have operands of their own."""
        wanted = max(self.least, int(size))
        if self.memory is None or len(self.memory) < wanted:
            self.memory = None
            self.memory = _filled(wanted, self.device)
        self.position = 0
        return max(1, min(len(self.memory) // max(int(size), 1), MOST_COPIES))

    def begin(self, size: Bytes) -> None:
        """Start the operands of one call: they lie behind those of the last, or at the start again."""
        if self.position + size > len(self.memory):
            self.position = 0

    def take(self, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """An operand."""
        size = math.prod(shape) * dtype.itemsize
        found = self.memory[self.position : self.position + size].view(dtype).view(shape)
        self.position += _aligned(size)
        return found

    def held(self) -> Bytes:
        """Bytes that it holds now."""
        return 0.0 if self.memory is None else float(len(self.memory))


def _aligned(size: float) -> int:
    return math.ceil(size / ALIGNMENT) * ALIGNMENT


def _filled(size: int, device: Any) -> Tensor:
    """Bytes that read as normal numbers in bf16: the power that a product draws, and so its clock, depends on its numbers."""
    count = math.ceil(size / torch.bfloat16.itemsize)
    memory = torch.empty(count, dtype=torch.bfloat16, device=device)
    generator = torch.Generator(device=device).manual_seed(benchmark_torch_operators.SEED)
    block = torch.randn(min(count, 1 << 24), dtype=torch.bfloat16, device=device, generator=generator)
    for part in memory.split(len(block)):
        part.copy_(block[: len(part)])
    return memory.view(torch.uint8)


class TorchTimer:
    """The `Timer` of one device, and of the processes on several of its kind that run collectives."""

    def __init__(self, device: Device, cache: Bytes, world: World) -> None:
        self.device, self.world = device, world
        self.torch_device = torch.device(device.id)
        self.arena = Arena(self.torch_device, 2 * (max(device.cache, cache) or UNKNOWN_CACHE))

    def prepare(self, trial: Trial) -> Prepared:
        """Every way to run `trial` is tried once, and the fastest taken."""
        if isinstance(trial, Collective):
            return Prepared(once=self.world.prepare(trial), software=f"{SOFTWARE}: {self.world.backend}")
        with refusing():
            copies = self._reserve(trial)
        found: list[tuple[float, Callable[[], float], str]] = []
        reasons: list[str] = []
        for way in benchmark_torch_operators.ways(trial, self.torch_device):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # PyTorch warns of kernels that it would not use
                    found.append((*self._pass(way, copies, _room(trial)), way.name))
            except REFUSALS as error:
                reasons.append(f"{way.name}: {first_line(error)}")
        if not found:
            raise UnsupportedTrialError("; ".join(dict.fromkeys(reasons)))
        _, once, name = min(found, key=lambda candidate: candidate[0])

        def guarded() -> float:
            with refusing():
                return once()

        return Prepared(once=guarded, software=f"{SOFTWARE}: {name}")

    def _reserve(self, trial: Trial) -> int:
        room = _room(trial)
        free = _free_memory(self.torch_device) + self.arena.held()
        if room > MEMORY_SHARE * free:
            raise UnsupportedTrialError(f"its operands take more than half of the free memory of {show(free, Unit('B'))}")
        return self.arena.reserve(room)

    def _pass(self, way: Way, copies: int, room: Bytes) -> tuple[float, Callable[[], float]]:
        """Seconds of a call as a first guess, and the pass that will tell better."""

        def build() -> Call:
            self.arena.begin(room)
            return way.build(self.arena.take)

        with torch.inference_mode(), way.setting():
            first = build()
            seconds = seconds_of(first, self.torch_device)
            calls = [first, *(build() for _ in range(copies - 1))]
        once = self._counted(calls, calls_of_a_pass(seconds, copies), way.setting)
        return (once() if seconds < LONGEST_PASS else seconds), once

    def _counted(self, calls: Sequence[Call], count: int, setting: Setting) -> Callable[[], float]:
        if self.torch_device.type == "cuda":
            with suppress(*REFUSALS):  # an operator that waits for its result cannot be captured
                return graph_pass(calls, count, setting, self.torch_device)
        return plain_pass(calls, count, setting, self.torch_device)


@contextmanager
def refusing() -> Iterator[None]:
    """What PyTorch raises within, such as a lack of memory, as an UnsupportedTrialError, so that the other trials go on."""
    try:
        yield
    except REFUSALS as error:
        raise UnsupportedTrialError(first_line(error)) from error


def _room(trial: Trial) -> int:
    """Bytes of the operands of a call, with the alignment of each."""
    return _aligned(operand_bytes(trial)) + 4 * ALIGNMENT


def measure_on(
    device: Device, trials: Sequence[Trial], earlier: OperatorTable, chip: Chip, budget: Seconds, *, say: Say, save: Save
) -> Outcome:
    """Run on `device`, which is a `chip`, the `trials` that `earlier` does not hold; see `benchmark_run.measure`."""
    kind = torch.device(device.id).type
    cache = chip.on_chip_memory.high if chip.on_chip_memory else 0.0
    if kind != "cpu":
        getattr(torch, kind).set_device(device.id)
    with World(kind, numbers_of_peers(device)) as world:
        session = Session(chip=chip, timer=TorchTimer(device, cache, world), clock=time.monotonic, say=say, save=save)
        return measure(trials, earlier, session, budget)
