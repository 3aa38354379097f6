"""Published benchmarks as they were run: the users of a row in a closed loop over its deployment, in the place of the closed form.

All users start at once on an idle deployment. Every request counts into the means, those of the first burst too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np

from tapeout.calibration.measurements import Measurement
from tapeout.errors import InputError
from tapeout.fleet.engines import Fleet, Group, fleet, simulated
from tapeout.performance.deployment import Deployment
from tapeout.performance.efficiency import Table
from tapeout.performance.predict import Band, Case, Prediction, RateBand, Refusal
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.serving.metrics import duration, tpot, ttft
from tapeout.serving.step_model import Step
from tapeout.traffic.arrivals import closed_loop
from tapeout.traffic.requests import Requests
from tapeout.units import Dimensionless, Seconds, Tokens
from tapeout.workload.catalog import model
from tapeout.workload.traffic import Lengths

FILE = "benchmarks.toml"
ANY_OTHER = "genai-perf"
"""The benchmark that rows of an unknown one are taken for."""
SCATTER: Dimensionless = 0.1
"""Lengths scatter below the stated ones by so much at least: users of equal requests who were once answered in one step would stay
together for ever in a simulator, where nothing disturbs them. On machines they part: measured TPOT grows with users x prompts / answer.
Twice as much hardly changes the means any more."""
MOST_USERS = 100_000
SEED = 1

B = TypeVar("B", Band, RateBand)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A setting of servers: beside requests that decode, prompts are held back for `steps` steps.

    It holds for software whose name has one of these words in it, a model, stated lengths, and fewer chips a replica than `chips_below`.
    """

    software: tuple[str, ...]
    model: str
    prompt: Sourced[Tokens]
    output: Sourced[Tokens]
    chips_below: Sourced[int]
    steps: Sourced[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """How a benchmark sends requests: their lengths from `shortest` to 1 times the stated ones, and how many each user sends.

    It is known by `words` in the submitter or the source of a row; `waits` are what its servers were set to.
    """

    title: str
    words: tuple[str, ...]
    shortest: Sourced[Dimensionless]
    requests_per_user: Sourced[int]
    waits: tuple[Wait, ...] = ()


@cache
def benchmarks() -> dict[str, Benchmark]:
    """All benchmarks that are known, from `data/benchmarks.toml`."""
    return {name: read_facts(Benchmark, table, FILE, name) for name, table in load_toml(DATA / FILE).items()}


def benchmark(measurement: Measurement) -> Benchmark:
    """The benchmark that measured a row."""
    said = f"{measurement.submitter} {measurement.source}".lower()
    known = (one for one in benchmarks().values() if any(word in said for word in one.words))
    return next(known, benchmarks()[ANY_OTHER])


def steps_waited(measurement: Measurement, deployment: Deployment) -> int:
    """Steps for which the servers of a row held prompts back, by what its benchmark states; 0 where it states none."""
    case, software = measurement.case, measurement.software.lower()
    if case is None:
        return 0
    for one in benchmark(measurement).waits:
        lengths = (case.prompt, case.output) == (one.prompt.value, one.output.value)
        served = any(word in software for word in one.software) and case.model.groups == model(one.model).groups
        if lengths and served and deployment.chips < one.chips_below.value:
            return one.steps.value
    return 0


def requests_sent(case: Case, run: Benchmark) -> Requests:
    """What the users of `case` send; raises InputError where they are more than can be simulated."""
    users = max(round(case.concurrency or 1), 1)
    if users > MOST_USERS:
        raise InputError("too many users to simulate", given=users, allowed=f"up to {MOST_USERS}")
    lengths = Lengths(prompt=case.prompt, output=case.output, shortest=min(run.shortest.value, 1 - SCATTER))
    return closed_loop(run.requests_per_user.value * users, users, lengths, seed=SEED)


def simulated_answers(
    measurements: Sequence[Measurement], answers: Sequence[Prediction | Refusal], efficiencies: Table | None = None
) -> list[Prediction | Refusal]:
    """`answers` to online rows with their times and rates as the simulator finds them, over the deployments that they chose.

    Bands keep their width, and all else stays as the closed form has it. A row that cannot be simulated is refused with the reason.
    """
    fleets: dict[tuple[int, int, str, int, Deployment, float, float], Fleet] = {}

    def found(measurement: Measurement, answer: Prediction | Refusal) -> Prediction | Refusal:
        case = measurement.case
        if case is None or isinstance(answer, Refusal):
            return answer
        # Rows that differ in their users alone share the tables of their steps.
        key = (id(case.chip), id(case.model), case.precision, case.chips, answer.deployment, case.prompt, case.output)
        try:
            sent = requests_sent(case, benchmark(measurement))
            if key not in fleets:
                fleets[key] = _deployed(case, answer.deployment, efficiencies)
            return _measured(answer, case, fleets[key], sent, steps_waited(measurement, answer.deployment))
        except InputError as error:
            return Refusal(status="not simulated", detail=str(error).replace("\n", " "))

    return [found(measurement, answer) for measurement, answer in zip(measurements, answers, strict=True)]


def _deployed(case: Case, deployment: Deployment, efficiencies: Table | None) -> Fleet:
    longest = Requests(arrival=np.zeros(1), prompt=np.array([round(case.prompt)]), output=np.array([round(case.output)]))
    return fleet(case.chip, case.chips, case.model, case.precision, deployment, longest, efficiencies=efficiencies)


def _measured(answer: Prediction, case: Case, deployed: Fleet, sent: Requests, steps: int) -> Prediction:
    """`answer` with what a client of `deployed` measures, where prompts are held back for `steps` steps."""
    waited = steps * _decode_step(deployed, sent)
    outcome = simulated(_later(deployed, waited) if steps else deployed, sent)
    # Those who find an idle server are not held back; that all of them were starts the run later and changes nothing else.
    first_burst = np.arange(len(sent)) < len(sent.arrival)
    several = sent.output > 1
    rate = float(sent.output.sum()) / (duration(outcome) - waited) / case.chips
    return dataclasses.replace(
        answer,
        ttft=_moved(answer.ttft, float((ttft(outcome) - waited * first_burst).mean())),
        tpot=_moved(answer.tpot, float(tpot(outcome)[several].mean())) if several.any() else answer.tpot,
        output_rate_per_chip=_moved(answer.output_rate_per_chip, rate),
    )


def _decode_step(deployed: Fleet, sent: Requests) -> Seconds:
    """A step of nothing but the users of one engine, in the middle of their answers."""
    engine = deployed.groups[0].engine
    users = min(-(-len(sent.arrival) // deployed.engines), engine.policy.most_sequences)
    return engine.step_model.seconds(Step(decodes=users, context=round(users * float(sent.prompt.mean() + sent.output.mean() / 2))))


def _later(deployed: Fleet, seconds: Seconds) -> Fleet:
    """`deployed`, whose engines get each request so much later."""

    def later(group: Group) -> Group:
        step_model = dataclasses.replace(group.engine.step_model, request=group.engine.step_model.request + seconds)
        return dataclasses.replace(group, engine=dataclasses.replace(group.engine, step_model=step_model))

    return dataclasses.replace(deployed, groups=tuple(later(group) for group in deployed.groups))


def _moved(band: B, value: float) -> B:
    """A band of the same relative width around `value`."""
    factor = value / band.value
    return dataclasses.replace(band, value=value, low=band.low * factor, high=band.high * factor)
