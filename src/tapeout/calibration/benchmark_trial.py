"""What one measurement runs: an operator with its shape, the row that it fills, and the least time that it can take on a chip."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tapeout.calibration import operator_table
from tapeout.calibration.operator_table import COLUMNS, Measured, OperatorTable
from tapeout.hardware.chip import Chip
from tapeout.performance.rates import compute_format
from tapeout.units import Seconds
from tapeout.workload.numerics import FORMAT_BYTES, Format
from tapeout.workload.operators import experts_touched

ACTIVATION_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """(`rows` x `inner`) by (`inner` x `outer`) as a linear layer: weights in `format`, rows converted from bf16 and to it."""

    format: str
    rows: int
    inner: int
    outer: int

    @property
    def operator(self) -> Measured:
        """What the rows of the table call it."""
        return Measured.PRODUCT

    def __str__(self) -> str:
        return f"{self.operator} {self.format} {self.rows} x {self.inner} x {self.outer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedProduct:
    """`rows` tokens through `experts_per_token` of `experts`, which lie on `expert_peers` chips; `inner` hidden, `outer` of one expert."""

    format: str
    rows: int
    inner: int
    outer: int
    experts: int
    experts_per_token: int
    expert_peers: int = 1

    @property
    def operator(self) -> Measured:
        """What the rows of the table call it."""
        return Measured.GROUPED_PRODUCT

    def __str__(self) -> str:
        split = f" over {self.expert_peers} chips" if self.expert_peers > 1 else ""
        experts = f"{self.experts_per_token} of {self.experts} experts{split}"
        return f"{self.operator} {self.format} {self.rows} x {self.inner} x {self.outer}, {experts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """`sequences` that each bring `new_tokens` to `context` cached ones, causal; one new token on a cache is decode."""

    sequences: int
    new_tokens: int
    context: int
    heads: int
    kv_heads: int
    head_size: int
    format: str = "bf16"
    cache_format: str = "bf16"

    @property
    def operator(self) -> Measured:
        """What the rows of the table call it."""
        return Measured.DECODE_ATTENTION if self.new_tokens == 1 and self.context else Measured.PREFILL_ATTENTION

    def __str__(self) -> str:
        tokens = f"{self.sequences} x {self.new_tokens} on {self.context}"
        return f"{self.operator} {self.format} {tokens}, {self.heads}/{self.kv_heads} heads of {self.head_size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """A collective of `peers` chips; `message_bytes` as `OperatorTable` counts them."""

    operator: Measured
    peers: int
    message_bytes: int

    def __str__(self) -> str:
        return f"{self.operator} {self.message_bytes} B over {self.peers}"


Trial = Product | GroupedProduct | Attention | Collective


def kernel(trial: Trial) -> str:
    """What runs the trial, whatever its size: a word for what is supported or not, and fast or slow."""
    return f"{trial.operator} of {trial.peers}" if isinstance(trial, Collective) else f"{trial.operator} {trial.format}"


def rows_of(trials: Sequence[Trial], chip: str, seconds: Sequence[float], software: Sequence[str]) -> OperatorTable:
    """The table of `trials` on `chip` that took `seconds` each."""
    fixed = {"chip": chip, "seconds": np.array(seconds, dtype=float), "software": list(software)}
    cells = [dataclasses.asdict(trial) | {"operator": trial.operator} for trial in trials]
    columns = {
        name: [row.get(name, "" if name in operator_table.WORDS else math.nan) for row in cells] for name in COLUMNS if name not in fixed
    }
    return operator_table.table(columns | fixed, len(trials))


def keys(rows: OperatorTable) -> list[tuple[str | float | None, ...]]:
    """What makes each row the same measurement as another: all but its result and its software."""
    columns = [getattr(rows, name).tolist() for name in COLUMNS if name not in ("seconds", "software")]
    return [tuple(None if cell == "" or cell != cell else cell for cell in cells) for cells in zip(*columns, strict=True)]


def flops(trial: Trial) -> float:
    """FLOPs of one call; none for a collective."""
    match trial:
        case Product():
            return 2.0 * trial.rows * trial.inner * trial.outer
        case GroupedProduct():
            return 6.0 * trial.rows * trial.experts_per_token / trial.expert_peers * trial.inner * trial.outer
        case Attention():
            pairs = trial.new_tokens * trial.context + trial.new_tokens * (trial.new_tokens + 1) / 2
            return 4.0 * trial.sequences * trial.heads * trial.head_size * pairs
        case Collective():
            return 0.0


def operand_bytes(trial: Trial) -> float:
    """Bytes of all that one call may read, on one chip: a grouped product holds every expert, though it may read few."""
    match trial:
        case Product():
            return (ACTIVATION_BYTES * trial.rows + _width(trial.format) * trial.outer) * trial.inner
        case GroupedProduct():
            weights = 3 * trial.experts // trial.expert_peers * trial.inner * trial.outer
            return _width(trial.format) * weights + ACTIVATION_BYTES * trial.rows * trial.inner
        case Attention():
            cache = 2 * trial.kv_heads * (trial.context + trial.new_tokens)
            return _width(trial.cache_format) * trial.sequences * trial.head_size * (cache + trial.heads * trial.new_tokens)
        case Collective():
            return float(trial.message_bytes)


def moved_bytes(trial: Trial) -> float:
    """Bytes that memory, or the link of a collective, must move at the least in one call."""
    match trial:
        case Product():
            return operand_bytes(trial) + ACTIVATION_BYTES * trial.rows * trial.outer
        case GroupedProduct():
            touched = float(experts_touched(np.array(float(trial.experts)), np.array(float(trial.rows * trial.experts_per_token))))
            return _width(trial.format) * 3 * touched / trial.expert_peers * trial.inner * trial.outer
        case Attention():
            return operand_bytes(trial) + ACTIVATION_BYTES * trial.sequences * trial.new_tokens * trial.heads * trial.head_size
        case Collective():
            return trial.message_bytes * _LINK_SHARE[trial.operator](trial.peers)


_LINK_SHARE: dict[Measured, Callable[[int], float]] = {
    Measured.ALL_REDUCE: lambda peers: 1 / peers,  # each sends and receives its share of the sum at the least
    Measured.ALL_GATHER: lambda peers: (peers - 1) / peers,
    Measured.REDUCE_SCATTER: lambda peers: 1 / peers,
    Measured.ALL_TO_ALL: lambda peers: (peers - 1) / peers,
    Measured.SEND: lambda peers: 1.0,
}


def floor(trial: Trial, chip: Chip) -> Seconds:
    """The least time of one call on `chip`: FLOPs at its peak or bytes at its bandwidth, whichever takes longer."""
    if isinstance(trial, Collective):
        return moved_bytes(trial) / chip.scale_up.bandwidth.high
    peak = chip.peak[compute_format(chip, Format[trial.format.upper()])]
    return max(flops(trial) / peak.high, moved_bytes(trial) / chip.memory.bandwidth.high)


def _width(name: str) -> float:
    return float(FORMAT_BYTES[Format[name.upper()]])
