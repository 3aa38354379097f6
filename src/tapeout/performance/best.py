"""The cheapest way to serve a model on each chip: the deployment and load with the most tokens per chip inside the latency limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment, deployments
from tapeout.performance.efficiency import Table
from tapeout.performance.predict import Case, Kind, Prediction, Refusal, predict
from tapeout.units import Dimensionless, Seconds, Unit
from tapeout.workload.architecture import Architecture

CHIP_COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""Replica sizes tried, up to the scale-up domain, or one server's worth beyond it."""
USERS_PER_RANK = tuple(2**exponent for exponent in range(12))
"""Concurrent sequences of one attention rank tried."""
REACH = 16
"""Chips that a replica may span where the domain is smaller: two servers."""


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
    """The best way found on one chip: `users` concurrent sequences on one replica."""

    chip: Chip
    prediction: Prediction
    users: Dimensionless

    @property
    def chips(self) -> int:
        """Chips of one replica."""
        return self.prediction.deployment.chips


@dataclass(frozen=True, slots=True, kw_only=True)
class NotServed:
    """Why a chip cannot serve the demand."""

    chip: Chip
    reason: str


def best_servings(demand: Demand, chips: Sequence[Chip], efficiencies: Table | None = None) -> list[Serving | NotServed]:
    """The best serving of `demand` on each of `chips`, or why there is none, in order; coefficients as in `predict`.

    Every deployment on every replica size is evaluated at every load of `USERS_PER_RANK`; the search is exhaustive on that grid.
    """
    cases: list[Case] = []
    owner: list[int] = []
    for index, chip in enumerate(chips):
        for deployment in _options(demand.model, chip):
            ranks = deployment.data * deployment.pipeline
            for users in USERS_PER_RANK:
                cases.append(_case(demand, chip, deployment, users * ranks))
                owner.append(index)
    answers = predict(cases, efficiencies)
    best: dict[int, Serving] = {}
    failures: dict[int, list[tuple[Case, Prediction | Refusal]]] = {}
    for case, index, answer in zip(cases, owner, answers, strict=True):
        if isinstance(answer, Refusal) or not _within(demand, answer):
            failures.setdefault(index, []).append((case, answer))
        elif index not in best or answer.output_rate_per_chip.value > best[index].prediction.output_rate_per_chip.value:
            best[index] = Serving(chip=chips[index], prediction=answer, users=case.concurrency or 0.0)
    return [best.get(index) or NotServed(chip=chip, reason=_reason(demand, failures.get(index, []))) for index, chip in enumerate(chips)]


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


def _reason(demand: Demand, failures: list[tuple[Case, Prediction | Refusal]]) -> str:
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
