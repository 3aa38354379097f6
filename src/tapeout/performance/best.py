"""The cheapest way to serve a model on each chip: the deployment and load with the most tokens per chip inside the latency limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment, deployments
from tapeout.performance.efficiency import Table
from tapeout.performance.predict import Case, Kind, Prediction, RateBand, Refusal, predict
from tapeout.units import Dimensionless, Seconds, Unit
from tapeout.workload.architecture import Architecture

CHIP_COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""Replica sizes tried, up to the scale-up domain, or one server's worth beyond it."""
USERS_PER_RANK = tuple(2**exponent for exponent in range(12))
"""Concurrent sequences of one attention rank tried."""
REACH = 16
"""Chips that a replica may span where the domain is smaller: two servers."""

WORTH = 1.02
"""Gain in tokens per chip for which a replica may take more chips."""
NEAR = 0.9
"""Share of the best deployment's tokens per chip from which on another may turn out better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one query is: `prompt` tokens in, `output` tokens out; mean latencies must stay under the limits, None is no limit."""

    model: Architecture
    precision: str
    prompt: Annotated[float, Unit("token")]
    output: Annotated[float, Unit("token")]
    ttft: Seconds | None = None
    tpot: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The best way found on one chip: `users` concurrent sequences on one replica, and the `rate` of output tokens from each chip.

    `prediction` is that of the steady state at this load.
    """

    chip: Chip
    prediction: Prediction
    users: Dimensionless
    rate: RateBand

    @property
    def chips(self) -> int:
        """Chips of one replica."""
        return self.prediction.deployment.chips

    @property
    def label(self) -> str:
        """The deployment in words."""
        return self.prediction.deployment.label


@dataclass(frozen=True, slots=True, kw_only=True)
class NotServed:
    """Why a chip cannot serve the demand."""

    chip: Chip
    reason: str


def best_servings(demand: Demand, chips: Sequence[Chip], efficiencies: Table | None = None) -> list[Serving | NotServed]:
    """The best serving of `demand` on each of `chips`, or why there is none, in order; coefficients as in `predict`.

    Every deployment on every replica size is evaluated at every load of `USERS_PER_RANK`; the search is exhaustive on that grid.
    """
    return [
        max(found, key=lambda serving: serving.rate.value) if found else NotServed(chip=chip, reason=_reason(demand, tried))
        for chip, (found, tried) in zip(chips, _tried(demand, chips, efficiencies), strict=True)
    ]


def shortlists(demand: Demand, chips: Sequence[Chip], count: int, efficiencies: Table | None = None) -> list[list[Serving] | NotServed]:
    """Up to `count` deployments of each of `chips`, the best first, as for `best_servings`; why there is none in the place of none.

    Their `rate` is that at the load where the first limit binds, between two loads of the grid. Left out is what stays below `NEAR` of
    the best, and what does not gain `WORTH` over fewer chips with the same tensor parallelism; the best without a pipeline is always there.
    """
    found: list[list[Serving] | NotServed] = []
    for chip, (within, tried) in zip(chips, _tried(demand, chips, efficiencies), strict=True):
        largest = {one.prediction.deployment: one for one in sorted(within, key=lambda one: one.users)}
        beyond = {(case.deployments[0], case.concurrency): answer for case, answer in tried if isinstance(answer, Prediction)}
        reached = [_at_the_limit(demand, one, beyond.get((deployment, 2 * one.users))) for deployment, one in largest.items()]
        ranked = sorted((one for one in reached if _is_worth_its_size(one, reached)), key=lambda one: -one.rate.value)
        near = [one for one in ranked if one.rate.value >= NEAR * ranked[0].rate.value][:count]
        # Bubbles take from pipelines what a mean does not show.
        flat = [one for one in ranked if one.prediction.deployment.pipeline == 1][:1]
        found.append([*near, *(one for one in flat if one not in near)] or NotServed(chip=chip, reason=_reason(demand, tried)))
    return found


def _is_worth_its_size(serving: Serving, others: Sequence[Serving]) -> bool:
    own = serving.prediction.deployment
    smaller = (one for one in others if one.prediction.deployment.tensor == own.tensor and one.chips < serving.chips)
    return all(serving.rate.value > WORTH * one.rate.value for one in smaller)


def _at_the_limit(demand: Demand, serving: Serving, beyond: Prediction | None) -> Serving:
    """`serving` with the rate where a limit binds, on a line between the logarithms of excess and rate up to the next load `beyond`."""
    inside = _excess(demand, serving.prediction)
    if beyond is None or inside == 0:
        return serving
    share = -math.log(inside) / math.log(_excess(demand, beyond) / inside)
    gain = max(beyond.output_rate_per_chip.value / serving.rate.value, 1.0) ** share
    rate = serving.rate
    return replace(serving, rate=RateBand(value=rate.value * gain, low=rate.low * gain, high=rate.high * gain))


_Answers = list[tuple[Case, Prediction | Refusal]]


def _tried(demand: Demand, chips: Sequence[Chip], efficiencies: Table | None) -> list[tuple[list[Serving], _Answers]]:
    """For each chip the servings on the grid that keep the limits, and the cases that do not."""
    cases: list[Case] = []
    owner: list[int] = []
    for index, chip in enumerate(chips):
        for deployment in _options(demand.model, chip):
            ranks = deployment.data * deployment.pipeline
            for users in USERS_PER_RANK:
                cases.append(_case(demand, chip, deployment, users * ranks))
                owner.append(index)
    found: list[tuple[list[Serving], _Answers]] = [([], []) for _ in chips]
    for case, index, answer in zip(cases, owner, predict(cases, efficiencies), strict=True):
        if isinstance(answer, Prediction) and _within(demand, answer):
            rate = answer.output_rate_per_chip
            found[index][0].append(Serving(chip=chips[index], prediction=answer, users=case.concurrency or 0.0, rate=rate))
        else:
            found[index][1].append((case, answer))
    return found


def _options(model: Architecture, chip: Chip) -> list[Deployment]:
    most = max(chip.scale_up.domain, REACH)
    sizes = [size for size in CHIP_COUNTS if size <= most]
    return [deployment for size in sizes for deployment in deployments(model, chip, size) if deployment.chips == size]


def _case(demand: Demand, chip: Chip, deployment: Deployment, users: float) -> Case:
    return Case(
        kind=Kind.ONLINE, chip=chip, chips=deployment.chips, model=demand.model, precision=demand.precision, prompt=demand.prompt,
        output=demand.output, concurrency=users, deployments=(deployment,),
    )  # fmt: skip


def _within(demand: Demand, found: Prediction) -> bool:
    return (demand.ttft is None or found.ttft.value <= demand.ttft) and (demand.tpot is None or found.tpot.value <= demand.tpot)


def _reason(demand: Demand, failures: _Answers) -> str:
    slow = [(_excess(demand, answer), case, answer) for case, answer in failures if isinstance(answer, Prediction)]
    if slow:
        _, case, nearest = min(slow, key=lambda entry: entry[0])
        return f"too slow: at best TTFT {nearest.ttft.value * 1e3:.0f} ms, TPOT {nearest.tpot.value * 1e3:.1f} ms on {case.chips} chips"
    refusals = [answer for _, answer in failures if isinstance(answer, Refusal)]
    shortfalls = [refusal for refusal in refusals if refusal.status == "does not fit"]
    if shortfalls:
        return f"does not fit: {shortfalls[-1].detail}"
    return refusals[-1].status if refusals else "no deployment divides the model's heads"


def _excess(demand: Demand, found: Prediction) -> float:
    """The larger of the two latencies as a multiple of its limit."""
    return max(found.ttft.value / (demand.ttft or float("inf")), found.tpot.value / (demand.tpot or float("inf")))
