"""The law of a step's time over plain arrays, in the subset that compiles: one source for the plain loop and for the fast one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.compiled import compiled, compiled_openly

Floats = NDArray[np.float64]


class StepTables(NamedTuple):
    """A step model as arrays: seconds by tokens and by sequences, then rows of costs.

    `decode` rows are the fields of `DecodeCost`, `prefill` rows the fields of `AttentionCost` and `recurrent` rows those of
    `RecurrenceCost` in their order; `host` is (decode launch, decode sequence, host step, host sequence, dispatch, decode dispatch).
    """

    tokens: Floats
    sequences: Floats
    decode: Floats
    prefill: Floats
    recurrent: Floats
    host: Floats


@compiled_openly
def decode_base(tables: StepTables, decodes: int) -> float:
    """Seconds of a step of `decodes` single tokens besides what depends on their context, and without the host."""
    return float(tables.tokens[decodes] + tables.sequences[decodes] + (tables.host[0] + tables.host[1] * decodes))


@compiled_openly
def decode_seconds(tables: StepTables, base: float, decodes: int, context: int) -> float:
    """Seconds of a step of nothing but `decodes` single tokens on `context` cached tokens in all; `base` as above."""
    work = base + decode_attention(tables, decodes, context)
    return float(tables.host[2] + max(work, tables.host[3] * decodes))


@compiled
def decode_attention(tables: StepTables, decodes: int, context: int) -> float:
    """Seconds of attention for `decodes` single tokens, each taken at their mean context; without launch."""
    total = 0.0
    for row in range(tables.decode.shape[0]):
        key, full, entry, longest = tables.decode[row, 0], tables.decode[row, 1], tables.decode[row, 2], tables.decode[row, 3]
        total += min(key * (context + decodes), full * decodes)
        if entry > 0:
            total += entry * min((context + decodes) / decodes, longest)
    return total


@compiled_openly
def step_seconds(
    tables: StepTables, decodes: int, drafts: int, context: int, prefills: int, prefill_tokens: int, prefill_context: int, pairs: int
) -> float:
    """Seconds of any step: host step + operators, or what the host does beside them where that takes longer.

    `drafts` are tokens that decoding sequences check beside their own; they meet the same keys, which are read once.
    """
    if decodes + prefills == 0:
        return float(tables.host[2])
    if prefills + drafts == 0:
        return decode_seconds(tables, decode_base(tables, decodes), decodes, context)
    host = tables.host
    work = tables.tokens[decodes + drafts + prefill_tokens] + tables.sequences[decodes + prefills]
    calls = 0.0
    if decodes > 0:
        work += host[0] + host[1] * decodes + decode_attention(tables, decodes, context)
    if prefills > 0:
        calls += host[4] + (host[5] if decodes > 0 else 0.0)
        for row in range(tables.prefill.shape[0]):
            work += _prefill(tables.prefill, row, prefills, prefill_tokens, prefill_context, pairs)
        for row in range(tables.recurrent.shape[0]):
            work += _recurrent(tables.recurrent, row, prefills, prefill_tokens)
    return float(host[2] + max(work, max(calls, host[3] * (decodes + prefills))))


@compiled
def _prefill(costs: Floats, row: int, prefills: int, tokens: int, context: int, pairs: int) -> float:
    window, above, below = costs[row, 0], costs[row, 1], costs[row, 2]
    pair, key, token, score, reach = costs[row, 3], costs[row, 4], costs[row, 5], costs[row, 6], costs[row, 7]
    launch, entry, query, sequence = costs[row, 8], costs[row, 9], costs[row, 10], costs[row, 11]
    new, before = tokens / prefills, context / prefills
    end = before + new
    # Dense attention and the one that gathers take turns.
    if not above < end <= below:
        return 0.0
    met = float(pairs)
    if window < end:
        first = min(max(window - before, 0.0), new)
        met = prefills * (first * before + first * (first + 1) / 2 + (new - first) * window)
    span = min(end, window + reach * new)
    compute, memory = pair * met, key * prefills * span + token * tokens + score * met
    return float(launch + math.sqrt(compute * compute + memory * memory) + entry * span + query * tokens + sequence * prefills)


@compiled
def _recurrent(costs: Floats, row: int, prefills: int, tokens: int) -> float:
    alone, together, chunk, serial = costs[row, 0], costs[row, 1], costs[row, 2], costs[row, 3]
    sequence, token, launch = costs[row, 4], costs[row, 5], costs[row, 6]
    new = tokens / prefills
    compute = tokens * (alone + together * min(chunk, new))
    turns = serial * new
    memory = sequence * prefills + token * tokens
    return float(launch + math.sqrt(compute * compute + turns * turns + memory * memory))
