"""What one chip serves of a mix of workloads: for each, the deployment and the load with the most tokens inside the latency limits.

A load is how many sequences of an attention rank decode at all times, as in `performance.steady.saturated`; its mean latencies must
keep the limits. Latencies rise with the load and rates with the rates of the chip, so the highest load that keeps the limits is found by
halving, and a chip with more of anything never serves less. Pipelines are left out: a mean step does not show their bubbles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.design.rates import unit_chip
from tapeout.errors import InputError
from tapeout.fleet.service_level import ATTAINMENT
from tapeout.hardware.chip import NumberFormat
from tapeout.performance.best import CHIP_COUNTS, REACH, Demand
from tapeout.performance.deployment import Deployment, capacity, deployments
from tapeout.performance.predict import longest_sequence
from tapeout.performance.rates import Rates
from tapeout.performance.steady import saturated
from tapeout.performance.step import Layout, layout
from tapeout.units import Dimensionless, Unit
from tapeout.workload.numerics import Numerics, numerics
from tapeout.workload.operators import Sharding
from tapeout.workload.shapes import Shapes, shapes

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

LOADS: Annotated[Array, Unit("1")] = 2.0 ** (np.arange(89) / 8)
"""Sequences of a rank that are tried: from 1 to 2048 in eighths of a doubling."""
CHUNK = 2048
"""Cases evaluated at once, so that the arrays stay in the cache."""
UNSERVED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One demand of a mix; `weight` is its share of all output tokens.

    Under traffic the share `attainment` of its requests must keep the latency limits of `demand`; in steady state their means must.
    """

    name: str
    demand: Demand
    weight: Dimensionless
    attainment: Dimensionless = ATTAINMENT

    @property
    def numerics(self) -> Numerics:
        """The formats in which it is served."""
        return numerics(self.demand.model, self.demand.precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What chips carry of one workload, by chip: output tokens/s of each, the deployment by position, and the load.

    Where a chip does not serve the workload at all, the rate is 0 and the deployment `UNSERVED`.
    """

    rate: Annotated[Array, Unit("token/s")]
    deployment: Codes
    load: Annotated[Array, Unit("1")]


def mix(workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """`workloads` with weights that sum to 1; raises InputError for an empty mix, a weight that is not positive, or a context too short."""
    if not workloads:
        raise InputError("a design needs a workload")
    for one in workloads:
        if not (np.isfinite(one.weight) and one.weight > 0):
            raise InputError(f"the weight of {one.name} must be positive", given=one.weight)
        longest, wanted = longest_sequence(one.demand.model), one.demand.prompt + one.demand.output
        if wanted > longest:
            raise InputError(f"{one.name} is longer than the model's context", given=f"{wanted:.0f} tokens", allowed=f"up to {longest}")
    total = sum(one.weight for one in workloads)
    return tuple(replace(one, weight=one.weight / total) for one in workloads)


def deployments_for(workload: Workload, domain: int) -> tuple[Deployment, ...]:
    """The deployments tried where `domain` chips are joined, without pipelines."""
    chip = unit_chip((NumberFormat.BF16,), domain=domain)
    sizes = [size for size in CHIP_COUNTS if size <= max(domain, REACH)]
    found = [one for size in sizes for one in deployments(workload.demand.model, chip, size) if one.chips == size and one.pipeline == 1]
    return tuple(dict.fromkeys(found))


def carried(workload: Workload, rates: Rates) -> Carried:
    """The most that each chip of `rates` carries of `workload`; the deployment is a position in `deployments_for` its domain."""
    count = len(rates.domain)
    rate, which, load = np.zeros(count), np.full(count, UNSERVED), np.zeros(count)
    for domain in np.unique(rates.domain):
        rows = np.flatnonzero(rates.domain == domain)
        options = deployments_for(workload, int(domain))
        if not options:
            continue
        step = max(1, CHUNK // len(options))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            found, places = _rates_at_limit(workload, rates.take(np.repeat(some, len(options))), options, len(some))
            best = np.argmax(found, axis=1)
            rate[some] = np.take_along_axis(found, best[:, None], axis=1)[:, 0]
            load[some] = np.where(rate[some] > 0, np.take_along_axis(places, best[:, None], axis=1)[:, 0], 0.0)
            which[some] = np.where(rate[some] > 0, best, UNSERVED)
    return Carried(rate=rate, deployment=which, load=load)


def chip_seconds(workloads: Sequence[Workload], found: Sequence[Carried]) -> Annotated[Array, Unit("s/token")]:
    """Seconds of one chip for an output token of the mix, by chip: sum of weight / rate; infinity where a workload is not served."""
    seconds = np.zeros(len(found[0].rate))
    for one, served in zip(workloads, found, strict=True):
        seconds += np.divide(one.weight, served.rate, out=np.full(len(seconds), np.inf), where=served.rate > 0)
    return seconds


def _rates_at_limit(workload: Workload, rates: Rates, options: Sequence[Deployment], chips: int) -> tuple[Array, Array]:
    """Tokens/s of a chip and load of its rank at the highest load inside the limits, both (chips, options), 0 where none is."""
    demand = workload.demand
    tensor, expert = (np.tile([float(getattr(one, name)) for one in options], chips) for name in ("tensor", "expert"))
    cases = _layout(shapes(demand.model), rates, tensor, expert)
    prompt, output = np.full(len(tensor), float(demand.prompt)), np.full(len(tensor), float(demand.output))
    room = capacity(cases, [workload.numerics] * len(tensor), prompt, output)
    most = np.where(room.fits, np.minimum(room.sequences, cases.rates.most_sequences), 0.0)
    kept, above = np.full(len(most), -1), np.searchsorted(LOADS, most, side="right")
    best, place = np.zeros(len(most)), np.zeros(len(most))
    open_rows = np.flatnonzero(above > 0)
    if len(open_rows):
        cases = _layout(shapes(demand.model), rates.take(open_rows), tensor[open_rows], expert[open_rows])
    prompt, output = prompt[open_rows], output[open_rows]
    low, high, rate = kept[open_rows], above[open_rows], np.zeros(len(open_rows))
    while np.any(high - low > 1):
        middle = np.maximum((low + high) // 2, 0)
        steady = saturated(cases, prompt, output, LOADS[middle])
        inside = (steady.ttft <= (demand.ttft or np.inf)) & (steady.tpot <= (demand.tpot or np.inf)) & (middle < high)
        rate = np.where(inside & (middle > low), steady.output_rate / cases.sharding.tensor, rate)
        low, high = np.where(inside, np.maximum(middle, low), low), np.where(inside, high, np.minimum(middle, high))
    best[open_rows], place[open_rows] = rate, np.where(low >= 0, LOADS[np.maximum(low, 0)], 0.0)
    return best.reshape(chips, -1), place.reshape(chips, -1)


def _layout(model: Shapes, rates: Rates, tensor: Array, expert: Array) -> Layout:
    groups = len(model)
    rows = np.tile(np.arange(groups), len(tensor))
    sharding = Sharding(tensor=tensor, pipeline=np.ones(len(tensor)), expert=expert)
    return layout(model.take(rows), np.full(len(tensor), groups), sharding, rates)
