"""The fastest that a measured case could have run by the peaks of its chip alone: what no software can beat.

A step reads the weights of every layer that it touches and the KV cache of its sequences once, at the peak of the memory, and every
FLOP of prompts and answers is done once, at the peak of the compute units; nothing else takes time, and the chips of a replica
work as one. A result beyond these limits is mislabelled, uses speculation or a cache of prompts, or is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapeout.calibration.measurements import Measurement, Quantity
from tapeout.performance.predict import Case, Kind
from tapeout.performance.rates import Numbers, Times
from tapeout.workload.footprint import weight_bytes
from tapeout.workload.numerics import FORMAT_BYTES, Format, Numerics, numerics
from tapeout.workload.operators import Batch, Role, Sharding, operators
from tapeout.workload.shapes import Shapes, concatenated

Array = NDArray[np.float64]

SHORTEST = 0.8
"""Published closed loops draw their lengths from 0.8 to 1.0 of the nominal ones; the limits take the shortest."""
_BY_ROLE = {Role.EXPERT: "expert", Role.HEAD: "head"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replicas:
    """The measured cases: shapes by row of layer groups, all else by case. `chips` of one replica work as one chip."""

    shapes: Shapes
    case: NDArray[np.int64]
    starts: NDArray[np.int64]
    numerics: tuple[Numerics, ...]
    cases: tuple[Case, ...]
    chips: Numbers
    replicas: Numbers

    def by_case(self, rows: Array) -> Array:
        """Sums over the layer groups of each case."""
        sums: Array = np.add.reduceat(np.broadcast_to(rows, self.case.shape), self.starts)
        return sums

    def format_bytes(self, part: str) -> Array:
        """Bytes per element of one part of the model, by row."""
        return np.array([FORMAT_BYTES[getattr(found, part)] for found in self.numerics])[self.case]

    def peak(self, part: str) -> Array:
        """FLOP/s of one chip, by row: the best of the formats that hold what is stored, whichever the software used."""
        best = [_best_peak(case, getattr(found, part)) for case, found in zip(self.cases, self.numerics, strict=True)]
        return np.array(best)[self.case]


def limit_shares(measurements: Sequence[Measurement]) -> dict[Quantity, Array]:
    """By quantity and measurement, the share of the limit that was reached: above 1 is impossible, NaN is not measured or not known."""
    shares = {quantity: np.full(len(measurements), math.nan) for quantity in Quantity}
    known = [index for index, one in enumerate(measurements) if one.case is not None]
    if not known:
        return shares
    rows = [measurements[index] for index in known]
    found = _replicas([one.case for one in rows if one.case is not None])
    online = np.array([one.kind is Kind.ONLINE for one in rows])
    share = np.where(online, SHORTEST, 1.0)
    prompt = share * np.array([case.prompt for case in found.cases])
    output = share * np.array([case.output for case in found.cases])
    prompts = Batch(sequences=np.ones(len(rows)), new_tokens=prompt, context=np.zeros(len(rows)))
    prefill_compute, prefill_memory = _step(found, prompts)
    ttft, tpot, rate = (np.array([getattr(one, name) or math.nan for one in rows]) for name in ("ttft", "tpot", "output_rate_per_chip"))

    def step(sequences: Array) -> Times:
        compute, memory = _step(found, Batch(sequences=sequences, new_tokens=np.ones(len(rows)), context=prompt + output / 2))
        # Each sequence ends after `output` steps, so a step also does that share of a prompt for each.
        seconds: Times = np.maximum(compute + sequences / output * prefill_compute, memory) / found.chips
        return seconds

    users = np.array([case.concurrency or math.inf for case in found.cases]) / found.replicas
    most = np.maximum(np.minimum(_room(found, prompt + output / 2), users), 1.0)
    fastest_rate = most / step(most) / found.chips
    # Little's law says how many of the users were decoding: the others waited for their first token.
    answering = tpot * (output - 1)
    decoding = np.where(np.isnan(ttft), 0.0, np.where(np.isinf(users), 0.0, users) * answering / (ttft + answering))
    shares[Quantity.RATE][known] = rate / fastest_rate
    shares[Quantity.TPOT][known] = step(np.maximum(np.nan_to_num(decoding), 1.0)) / tpot
    shares[Quantity.TTFT][known] = np.maximum(prefill_compute, prefill_memory) / found.chips / ttft
    return shares


def _replicas(cases: Sequence[Case]) -> _Replicas:
    models = {id(case.model): case.model for case in cases}
    starts = dict(zip(models, np.cumsum([0, *(len(model.groups) for model in models.values())]).tolist(), strict=False))
    counts = np.array([len(case.model.groups) for case in cases])
    rows = np.concatenate([starts[id(case.model)] + np.arange(len(case.model.groups)) for case in cases])
    chips = np.array([max((one.chips for one in case.deployments), default=case.chips) for case in cases], dtype=float)
    return _Replicas(
        shapes=concatenated(list(models.values())).take(rows),
        case=np.repeat(np.arange(len(cases)), counts),
        starts=np.concatenate(([0], np.cumsum(counts)[:-1])),
        numerics=tuple(numerics(case.model, case.precision) for case in cases),
        cases=tuple(cases),
        chips=chips,
        replicas=np.array([case.chips for case in cases]) / chips,
    )


def _best_peak(case: Case, stored: Format) -> float:
    wide = [peak.value for name, peak in case.chip.peak.items() if FORMAT_BYTES[Format[name.upper()]] >= FORMAT_BYTES[stored]]
    return max(wide or [peak.value for peak in case.chip.peak.values()])


def _whole(count: int) -> Sharding:
    ones = np.ones(count)
    return Sharding(tensor=ones, pipeline=ones, expert=ones)


def _step(found: _Replicas, batch: Batch) -> tuple[Times, Times]:
    """Seconds of compute and of memory that one pass of `batch` (arrays by case) takes one chip."""
    by_row = Batch(
        sequences=batch.sequences[found.case], new_tokens=batch.new_tokens[found.case], context=np.asarray(batch.context)[found.case]
    )
    compute, moved = np.zeros(len(found.case)), np.zeros(len(found.case))
    for operator in operators(found.shapes, [by_row], _whole(len(found.case))):
        part = _BY_ROLE.get(operator.role, "linear")
        compute += operator.calls * operator.flops / found.peak(part)
        moved += operator.calls * (operator.weights * found.format_bytes(part) + operator.cache * found.format_bytes("kv_cache"))
    bandwidth = np.array([case.chip.memory.bandwidth.value for case in found.cases])
    return found.by_case(compute), found.by_case(moved) / bandwidth


def _room(found: _Replicas, tokens: Array) -> Numbers:
    """Sequences of `tokens` each that the memory of a replica holds beside the weights."""
    formats = {
        role: np.array([getattr(one, _BY_ROLE.get(role, "linear")) for one in found.numerics])[found.case]
        for role in (Role.LINEAR, Role.EXPERT, Role.HEAD)
    }
    weights = found.by_case(weight_bytes(found.shapes, _whole(len(found.case)), formats))
    one = Batch(sequences=np.ones(len(found.case)), new_tokens=np.ones(len(found.case)), context=tokens[found.case])
    cached = sum((operator.calls * operator.cache for operator in operators(found.shapes, [one], _whole(len(found.case)))), np.zeros(()))
    held = found.by_case(cached * found.format_bytes("kv_cache"))
    capacity = np.array([case.chip.memory.capacity.high for case in found.cases]) * found.chips
    return np.maximum(capacity - weights, 0.0) / np.maximum(held, 1e-30)
