"""What attention and states cost, read off the operators of a few small batches.

Times of these operators are linear in a few counts (pairs, keys, tokens, sequences), so their coefficients solve a linear system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.performance.roofline import operator_time
from tapeout.performance.step import Layout
from tapeout.serving.step_model import AttentionCost, DecodeCost, RecurrenceCost
from tapeout.units import Seconds, Unit
from tapeout.workload.operators import Batch, Role, attended, operators
from tapeout.workload.shapes import UNBOUNDED

Floats = NDArray[np.float64]
Times = Annotated[Floats, Unit("s")]
BATCHED = (Role.PREFILL_ATTENTION, Role.DECODE_ATTENTION, Role.SPARSE_ATTENTION, Role.INDEXER, Role.RECURRENT)
"""Operators that a step runs once for its decoding sequences and once for its prompts."""

MANY, FEW = 1e9, 1e-9
"""Numbers of sequences beside which what does not grow with them vanishes, and that vanish themselves."""
PROMPTS = ((1.0, 2.0, 0.0), (1.0, 2.0, 1.0), (1.0, 3.0, 0.0), (2.0, 2.0, 0.0), (2.0, 3.0, 1.0), (3.0, 4.0, 2.0))
"""Sequences, new tokens and context of the prompts from which prefill is read off."""
SINGLES = ((1.0, 1.0, 0.0), (1.0, 1.0, 1.0), (2.0, 1.0, 0.0), (3.0, 1.0, 2.0))
"""The same of decoding sequences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One operator of single batches over probes and layer groups, arrays of shape (probes, groups); times over all calls."""

    name: str
    role: Role
    calls: Annotated[Floats, Unit("1")]
    reach: Annotated[Floats, Unit("token")]
    bound: Times
    compute: Times
    memory: Times
    launch: Times


def repeated(case: Layout, count: int) -> Layout:
    """The one case in `case`, `count` times; rates and sharding, which are those of all, stand once and broadcast."""
    groups = len(case.case)
    return Layout(
        shapes=case.shapes.take(np.tile(np.arange(groups), count)), case=np.repeat(np.arange(count), groups),
        starts=np.arange(count) * groups, sharding=case.sharding, rates=case.rates, row_sharding=case.sharding, row_rates=case.rates,
    )  # fmt: skip


def decode_costs(case: Layout) -> tuple[DecodeCost, ...]:
    """Attention of decoding sequences; layers that never look beyond a window end at the cost of a full one."""
    far = np.where(case.shapes.chosen < UNBOUNDED, case.shapes.chosen, 0.0) * np.maximum(case.shapes.ratio, 1.0)
    far = 2 * (far + np.where(case.shapes.window < UNBOUNDED, case.shapes.window, 0.0)) + 2
    near, beyond = _parts(case, SINGLES, 0.0), _parts(case, SINGLES[:1], far)
    whole, bounded = np.zeros(2), []
    for part, later in zip(near, beyond, strict=True):
        if part.role == Role.RECURRENT:
            continue
        entry = part.launch[1] - part.launch[0]
        for key, passed, full, reach in zip(part.bound[0], entry, later.bound[0], part.reach[0], strict=True):
            if reach >= UNBOUNDED:
                whole += (key, passed)
            elif key > 0:
                bounded.append(DecodeCost(key=float(key), full=float(full), entry=float(passed), longest=float(reach) + 1))
    # Layers without a window are one sum, whatever they are.
    return (*([DecodeCost(key=float(whole[0]), entry=float(whole[1]))] if whole.any() else []), *bounded)


def decode_launches(case: Layout) -> tuple[Seconds, Seconds]:
    """Seconds of a decode step's attention and states that no context changes: once, and for each sequence."""
    once = each = 0.0
    for part in _parts(case, SINGLES, 0.0):
        constant, sequence, _ = _solved(part.launch, _columns(SINGLES, "one", "sequences", "end"))
        once, each = once + float(constant.sum()), each + float(sequence.sum())
        if part.role == Role.RECURRENT:
            each += float(part.bound[0].sum())
    return once, each


def prefill_costs(case: Layout) -> tuple[AttentionCost, ...]:
    """Attention of prompts by operator and layer group; dense attention and the one that gathers its choice take turns."""
    chosen = np.where((case.shapes.chosen < UNBOUNDED) & (case.shapes.ratio == 0), case.shapes.chosen, 0.0)
    near, far = _parts(case, PROMPTS, 0.0), _parts(case, PROMPTS, chosen)
    return tuple(cost for one, other in zip(near, far, strict=True) for cost in _attention_costs(case, one, other, chosen))


def _attention_costs(case: Layout, near: _Part, far: _Part, chosen: Floats) -> list[AttentionCost]:
    costs: list[AttentionCost] = []
    if near.role == Role.RECURRENT:
        return costs
    for group in range(len(case.case)):
        # Of two that take turns the one that gathers has its calls beyond the choice alone.
        gathers = not near.calls[0, group] and bool(far.calls[0, group])
        if not (near.calls[0, group] or gathers):
            continue
        part, before = (far, float(chosen[group])) if gathers else (near, 0.0)
        turns = chosen[group] > 0 and near.role != Role.INDEXER
        batch = _batch(PROMPTS, before)
        merged = part.name.startswith("merged")
        window, reach = float(part.reach[0, group]), float(case.shapes.ratio[group]) if merged else 1.0
        pairs = batch.sequences * attended(batch, np.asarray(window))
        span = np.minimum(batch.context + batch.new_tokens, window + reach * batch.new_tokens)
        keys, tokens = batch.sequences * span, batch.sequences * batch.new_tokens
        compute = _solved(part.compute[:, group], [pairs])
        # Only an indexer writes its scores.
        scores = [pairs] if near.role == Role.INDEXER else []
        memory = _solved(part.memory[:, group], [keys, tokens, *scores])
        launch = _solved(part.launch[:, group], [np.ones_like(span), span, tokens, batch.sequences])
        costs.append(
            AttentionCost(
                window=window if window < UNBOUNDED else np.inf,
                above=float(chosen[group]) if turns and gathers else 0.0,
                below=float(chosen[group]) if turns and not gathers else np.inf,
                pair=float(compute[0]),
                key=float(memory[0]),
                token=float(memory[1]),
                score=float(memory[2]) if scores else 0.0,
                reach=reach,
                launch=float(launch[0]),
                entry=float(launch[1]),
                query=float(launch[2]),
                sequence=float(launch[3]),
            )
        )
    return costs


def recurrence_costs(case: Layout) -> tuple[RecurrenceCost, ...]:
    """States of prompts by layer group. What passes token after token, and what does not, show in few and in many sequences."""
    costs = []
    many, few = (_parts(case, [(count, 2.0, 0.0), (count, 3.0, 0.0)], 0.0) for count in (MANY, FEW))
    for part, crowd, alone in zip(_parts(case, PROMPTS, 0.0), many, few, strict=True):
        if part.role != Role.RECURRENT:
            continue
        for group in np.flatnonzero(part.calls[0]):
            chunk = float(case.shapes.state_chunk[group])
            two, three = crowd.compute[0, group] / (2 * MANY), crowd.compute[1, group] / (3 * MANY)
            together = max(0.0, (three - two) / (min(chunk, 3.0) - min(chunk, 2.0))) if chunk > 2 else 0.0
            sequence, token = _solved(part.memory[:, group], _columns(PROMPTS, "sequences", "tokens"))
            costs.append(
                RecurrenceCost(
                    alone=float(two - together * min(chunk, 2.0)),
                    together=float(together),
                    chunk=chunk,
                    serial=float(alone.compute[0, group] / 2),
                    sequence=float(sequence),
                    token=float(token),
                    launch=float(part.launch[0, group]),
                )
            )
    return tuple(costs)


def _batch(probes: Sequence[tuple[float, float, float]], before: float | Floats) -> Batch:
    sequences, new_tokens, context = np.array(probes).T
    return Batch(sequences=sequences, new_tokens=new_tokens, context=context + before)


def _columns(probes: Sequence[tuple[float, float, float]], *names: str) -> list[Floats]:
    sequences, new_tokens, context = np.array(probes).T
    found = {"one": np.ones_like(context), "sequences": sequences, "tokens": sequences * new_tokens, "end": context + new_tokens}
    return [found[name] for name in names]


def _solved(times: Times, columns: Sequence[Floats]) -> Floats:
    """Coefficients of `columns`, none negative but for rounding, that make up `times`."""
    matrix = np.stack(columns, axis=-1)
    scale = np.abs(matrix).max(axis=0)
    found: Floats = np.linalg.lstsq(matrix / scale, times, rcond=1e-12)[0]
    found = (found.T / scale).T
    largest = np.abs((found.T * scale).T).max(axis=0)
    # What rounding leaves of a zero is none.
    return np.where(np.abs((found.T * scale).T) < 1e-12 * largest, 0.0, found)


def _parts(case: Layout, probes: Sequence[tuple[float, float, float]], before: float | Floats) -> list[_Part]:
    """The operators of single batches for each of `probes`, whose context starts at `before`, which may differ by layer group."""
    many, shape = repeated(case, len(probes)), (len(probes), len(case.case))
    batch = _batch(probes, 0.0)
    context = (batch.context[:, None] + np.broadcast_to(before, shape)).ravel()
    row = Batch(sequences=batch.sequences[many.case], new_tokens=batch.new_tokens[many.case], context=context)
    found = []
    for part in operators(many.shapes, [row], many.row_sharding):
        if part.role in BATCHED:
            time = operator_time(part, many.row_rates)
            calls, reach = (np.broadcast_to(array, many.case.shape).reshape(shape).astype(float) for array in (part.calls, part.reach))
            columns = (time.seconds - time.launch, time.compute, time.memory, time.launch)
            bound, compute, memory, launch = (np.broadcast_to(part.calls * one, many.case.shape).reshape(shape) for one in columns)
            found.append(
                _Part(name=part.name, role=part.role, calls=calls, reach=reach, bound=bound, compute=compute, memory=memory, launch=launch)
            )
    return found
