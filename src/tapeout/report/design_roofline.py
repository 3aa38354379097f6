"""Where the operators of the served workloads stand on a design's roofline: what they do for each byte, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.design.throughput import Workload, deployments_for
from tapeout.hardware.chip import Chip
from tapeout.performance.rates import rates
from tapeout.performance.roofline import ACTIVATION_BYTES, operator_time
from tapeout.report.design_run import Designed
from tapeout.units import Unit
from tapeout.workload.numerics import FORMAT_BYTES, Numerics
from tapeout.workload.operation import Operator
from tapeout.workload.operators import Batch, Role, Sharding, operators
from tapeout.workload.shapes import shapes

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPoint:
    """All operators of one role in one step of a workload on one chip: work per byte, speed, and share of the step's time."""

    workload: str
    phase: str
    role: Role
    flops: Annotated[float, Unit("FLOP")]
    moved: Annotated[float, Unit("B")]
    seconds: Annotated[float, Unit("s")]

    @property
    def intensity(self) -> Annotated[float, Unit("FLOP/B")]:
        """Work per byte."""
        return self.flops / self.moved

    @property
    def speed(self) -> Annotated[float, Unit("FLOP/s")]:
        """Work per second."""
        return self.flops / self.seconds


def operator_points(found: Designed) -> list[OperatorPoint]:
    """The operators that multiply, of each workload's decode step at its load and of one prompt, as the design serves it."""
    rows: list[OperatorPoint] = []
    for one, served in zip(found.brief.question.workloads, found.best.served, strict=True):
        option = deployments_for(one, found.best.parameters.domain)[served.deployment]
        split = {"tensor": option.tensor, "pipeline": 1, "expert": option.expert}
        sharding = Sharding(**{name: np.asarray(float(number)) for name, number in split.items()})
        demand = one.demand
        decode = Batch(sequences=np.asarray(served.load), new_tokens=np.asarray(1.0), context=np.asarray(demand.prompt + demand.output / 2))
        prompt = Batch(sequences=np.asarray(1.0), new_tokens=np.asarray(float(demand.prompt)), context=np.asarray(0.0))
        for phase, batch in (("decode", decode), ("prompt", prompt)):
            rows += _points(one, phase, batch, sharding, found.chip)
    return rows


def _points(one: Workload, phase: str, batch: Batch, sharding: Sharding, chip: Chip) -> list[OperatorPoint]:
    model = shapes(one.demand.model)
    of_rows = rates([(chip, one.numerics)] * len(model))
    sums: dict[Role, Array] = {}
    for each in operators(model, [batch], sharding):
        seconds = each.calls * operator_time(each, of_rows).seconds
        parts = [
            np.sum(part + np.zeros(len(model))) for part in (each.calls * each.flops, each.calls * _moved(each, one.numerics), seconds)
        ]
        sums[each.role] = sums.get(each.role, np.zeros(3)) + parts
    return [
        OperatorPoint(workload=one.name, phase=phase, role=role, flops=float(flops), moved=float(moved), seconds=float(seconds))
        for role, (flops, moved, seconds) in sums.items()
        if flops > 0 and moved > 0
    ]


def _moved(each: Operator, formats: Numerics) -> Any:
    weights = {Role.LINEAR: formats.linear, Role.EXPERT: formats.expert, Role.HEAD: formats.head}.get(each.role, formats.linear)
    of_weights = each.weights * FORMAT_BYTES[weights]
    return of_weights + each.elements * ACTIVATION_BYTES + each.cache * FORMAT_BYTES[formats.kv_cache] + each.state
