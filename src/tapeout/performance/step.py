"""How long one step takes: the sum over its operators and the host, with what binds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.performance.rates import Rates
from tapeout.performance.roofline import operator_time
from tapeout.units import Unit
from tapeout.workload.operators import Batch, Sharding, operators
from tapeout.workload.shapes import Shapes

Array = NDArray[np.float64]
Times = Annotated[Array, Unit("s")]

BINDING = ("compute", "memory bandwidth", "network", "host")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """Seconds of steps by case; `shares` is (4, cases): the seconds bound by compute, memory bandwidth, network and host."""

    seconds: Times
    shares: Times

    def binding(self) -> list[str]:
        """The resource that binds each case."""
        return [BINDING[index] for index in np.argmax(self.shares, axis=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Cases over models as rows of layer groups: `shapes` and `case` by row, `sharding` and `rates` by case.

    Rows of one case are contiguous; `starts` is the first row of each case.
    """

    shapes: Shapes
    case: NDArray[np.int64]
    starts: NDArray[np.int64]
    sharding: Sharding
    rates: Rates
    row_sharding: Sharding
    row_rates: Rates


def layout(shapes: Shapes, groups: NDArray[np.int64], sharding: Sharding, rates: Rates) -> Layout:
    """Rows for cases with `groups` layer groups each, whose shapes follow one another in `shapes`."""
    case = np.repeat(np.arange(len(groups)), groups)
    rows = Sharding(tensor=sharding.tensor[case], pipeline=sharding.pipeline[case], expert=sharding.expert[case])
    starts = np.concatenate(([0], np.cumsum(groups)[:-1])).astype(np.int64)
    return Layout(shapes=shapes, case=case, starts=starts, sharding=sharding, rates=rates, row_sharding=rows, row_rates=rates.take(case))


def step_time(cases: Layout, batches: Sequence[Batch]) -> StepTime:
    """Seconds of one pass of `batches` (arrays by case) through all layers and stages, host included."""
    by_row = [_by_row(batch, cases.case) for batch in batches]
    found = operators(cases.shapes, by_row, cases.row_sharding)
    rows = np.zeros((6, len(cases.case)))
    for operator in found:
        time = operator_time(operator, cases.row_rates)
        bound = operator.calls * (time.seconds - time.network - time.start)
        by_compute = time.compute >= time.memory
        rows[0] += operator.calls * time.seconds
        rows[1] += bound * by_compute
        rows[2] += bound * ~by_compute
        rows[3] += operator.calls * time.network
        rows[4] += operator.calls * time.start
        rows[5] += operator.calls
    sums = np.add.reduceat(rows, cases.starts, axis=1)
    sequences = np.asarray(sum(batch.sequences for batch in batches), dtype=float)
    # A step with prompts is not captured: its launches, one by one, and the work per sequence go on beside the chip; the slowest counts.
    prompts = np.asarray(sum((np.asarray(batch.new_tokens) > 1 for batch in batches), np.zeros(())), dtype=bool)
    beside = np.maximum(prompts * cases.rates.host_dispatch * sums[5], sequences * cases.rates.host_sequence)
    host = cases.rates.host_step + np.maximum(beside - sums[0], 0.0)
    return StepTime(seconds=sums[0] + host, shares=np.vstack([sums[1:4], sums[4] + host]))


def _by_row(batch: Batch, case: NDArray[np.int64]) -> Batch:
    cases = case[-1] + 1
    sequences, new_tokens, context = (np.broadcast_to(part, (cases,))[case] for part in (batch.sequences, batch.new_tokens, batch.context))
    return Batch(sequences=sequences, new_tokens=new_tokens, context=context)
