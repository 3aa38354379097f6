"""From (chip, model, precision, lengths, deployment, concurrency) to TTFT, TPOT and tokens/s per chip, for many cases at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Capacity, Deployment, capacity, deployments
from tapeout.performance.efficiency import Table
from tapeout.performance.rates import Rates, emulation, rates
from tapeout.performance.steady import Steady, closed_loop, saturated
from tapeout.performance.step import BINDING, Layout, layout
from tapeout.units import Dimensionless, Seconds, TokensPerSecond, Unit
from tapeout.workload.architecture import Architecture
from tapeout.workload.numerics import Numerics, numerics
from tapeout.workload.operators import Sharding
from tapeout.workload.shapes import Shapes, concatenated

Array = NDArray[np.float64]
BAND_80 = 1.2816
"""Standard deviations that an 80 % band reaches to each side."""
CHUNK = 2048
"""Candidates evaluated at once: large enough to amortise the calls, small enough that the arrays stay in the cache."""


SHORTEST_LIMIT = 4096
"""Tokens that stacks serve with rotary positions whatever shorter context the model was trained on, as published tables do."""


class Kind(StrEnum):
    """A closed loop at a concurrency, or saturation."""

    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question. `concurrency` is the total over all `chips`, offline the most requests in flight, where that is limited.

    The best of `deployments` that fits is taken, of all where none is given.
    """

    kind: Kind
    chip: Chip
    chips: int
    model: Architecture
    precision: str
    prompt: Annotated[float, Unit("token")]
    output: Annotated[float, Unit("token")]
    concurrency: Dimensionless | None = None
    deployments: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A time with its 80 % band."""

    value: Seconds
    low: Seconds
    high: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RateBand:
    """A token rate with its 80 % band."""

    value: TokensPerSecond
    low: TokensPerSecond
    high: TokensPerSecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """An answer; `decoding` is the number of sequences decoding in one rank, `prefill_share` the share of chip time spent on prompts.

    `emulation` says which weights are unpacked to another format because the chip lacks theirs; it is empty where none are.
    """

    deployment: Deployment
    ttft: Band
    tpot: Band
    output_rate_per_chip: RateBand
    binding: str
    decoding: Dimensionless
    prefill_share: Dimensionless
    emulation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a case has no answer: `status` is `does not fit` or `bad value: ...`, `detail` says by how much or what would work."""

    status: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    case: int
    deployment: Deployment


def predict(cases: Sequence[Case], efficiencies: Table | None = None) -> list[Prediction | Refusal]:
    """The prediction or refusal of each case, in order; by the coefficients `efficiencies`, or by those that ship."""
    answers: list[Prediction | Refusal | None] = [None] * len(cases)
    candidates: list[_Candidate] = []
    known: dict[tuple[tuple[Deployment, ...], int, int, int], list[Deployment] | Refusal] = {}
    for index, case in enumerate(cases):
        key = (case.deployments, id(case.model), id(case.chip), case.chips)
        found = known[key] if key in known else known.setdefault(key, _possible(case))
        refusal = found if isinstance(found, Refusal) else _too_long(case)
        if refusal is not None or isinstance(found, Refusal):
            answers[index] = refusal
        else:
            candidates += [_Candidate(case=index, deployment=deployment) for deployment in found]
    if candidates:
        tables = _tables(cases, efficiencies)
        for kind in Kind:
            alike = [candidate for candidate in candidates if cases[candidate.case].kind is kind]
            for start in range(0, len(alike), CHUNK):
                _answer(cases, kind, alike[start : start + CHUNK], tables, answers)
    return [answer for answer in answers if answer is not None]


def longest_sequence(model: Architecture) -> int:
    """Tokens of the longest sequence served: the model's context, a hard limit where it learned a vector for each position."""
    return model.max_context if model.learned_positions else max(model.max_context, SHORTEST_LIMIT)


def _possible(case: Case) -> list[Deployment] | Refusal:
    """The deployments to choose from, or why there is none."""
    if not case.deployments:
        found = deployments(case.model, case.chip, case.chips)
        detail = f"no deployment of {case.model.name} on {case.chips} chips divides its heads"
        return found or Refusal(status="bad value: chips", detail=detail)
    reasons = [given.refusal(case.model, case.chip, case.chips) for given in case.deployments]
    if all(reasons):
        return Refusal(status=f"bad value: {reasons[0]}", detail=str(reasons[0]))
    return [given for given, reason in zip(case.deployments, reasons, strict=True) if reason is None]


def _too_long(case: Case) -> Refusal | None:
    limit = longest_sequence(case.model)
    if case.prompt + case.output <= limit:
        return None
    reason = f"isl + osl = {case.prompt + case.output:.0f} exceeds the model's context of {limit}, allowed: up to {limit}"
    return Refusal(status=f"bad value: {reason}", detail=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """Shapes of the distinct models, rates and emulations of the distinct (chip, numerics) pairs, with where each case finds its own."""

    shapes: Shapes
    rates: Rates
    emulations: list[str]
    first_row: list[int]
    row_count: list[int]
    pair: list[int]
    numerics: list[Numerics]


def _tables(cases: Sequence[Case], efficiencies: Table | None) -> _Tables:
    models = {id(case.model): case.model for case in cases}
    counts = {key: len(model.groups) for key, model in models.items()}
    starts = dict(zip(counts, np.cumsum([0, *counts.values()])[:-1].tolist(), strict=True))
    found = {(id(case.model), case.precision): case for case in cases}
    by_precision = {key: numerics(case.model, case.precision) for key, case in found.items()}
    keys = [(id(case.chip), id(case.model), case.precision) for case in cases]
    pairs = {key: (case.chip, by_precision[key[1:]]) for key, case in zip(keys, cases, strict=True)}
    order = {key: index for index, key in enumerate(pairs)}
    return _Tables(
        shapes=concatenated(list(models.values())),
        rates=rates(list(pairs.values()), efficiencies),
        emulations=[emulation(*pair) for pair in pairs.values()],
        first_row=[starts[id(case.model)] for case in cases],
        row_count=[counts[id(case.model)] for case in cases],
        pair=[order[key] for key in keys],
        numerics=[by_precision[key[1:]] for key in keys],
    )


def _answer(
    cases: Sequence[Case], kind: Kind, chunk: list[_Candidate], tables: _Tables, answers: list[Prediction | Refusal | None]
) -> None:
    """Fill in the answers of the cases of one kind that the candidates in `chunk` belong to."""
    index = [candidate.case for candidate in chunk]
    of = [cases[position] for position in index]
    formats = [tables.numerics[position] for position in index]
    prompt = np.array([case.prompt for case in of], dtype=float)
    output = np.array([case.output for case in of], dtype=float)
    arranged = _layout(chunk, tables)
    room = capacity(arranged, formats, prompt, output)
    ranks = np.array([case.chips / (c.deployment.tensor * c.deployment.pipeline) for case, c in zip(of, chunk, strict=True)])
    users = np.array([case.concurrency or math.inf for case in of]) / ranks
    places = np.minimum(np.minimum(np.maximum(room.sequences, 1.0), arranged.rates.most_sequences), users)
    steady = saturated(arranged, prompt, output, places) if kind is Kind.OFFLINE else closed_loop(arranged, prompt, output, users, places)
    per_chip = steady.output_rate / (arranged.sharding.tensor * arranged.sharding.pipeline)
    fits, rates_per_chip = room.fits.tolist(), per_chip.tolist()
    best: dict[int, int] = {}
    for position, case_index in enumerate(index):
        if fits[position] and (case_index not in best or rates_per_chip[position] > rates_per_chip[best[case_index]]):
            best[case_index] = position
        elif case_index not in best and not isinstance(answers[case_index], Prediction):
            answers[case_index] = _shortfall(room, position, chunk[position].deployment)
    positions = list(best.values())
    emulations = [tables.emulations[tables.pair[case_index]] for case_index in best]
    found = _predictions(steady, per_chip, arranged.rates, positions, [chunk[position].deployment for position in positions], emulations)
    for case_index, answer in zip(best, found, strict=True):
        earlier = answers[case_index]
        # The candidates of one case may lie in two chunks.
        if not (isinstance(earlier, Prediction) and earlier.output_rate_per_chip.value >= answer.output_rate_per_chip.value):
            answers[case_index] = answer


def _layout(chunk: list[_Candidate], tables: _Tables) -> Layout:
    counts = np.array([tables.row_count[candidate.case] for candidate in chunk])
    first = np.array([tables.first_row[candidate.case] for candidate in chunk])
    starts = np.cumsum(counts) - counts
    rows = np.repeat(first - starts, counts) + np.arange(counts.sum())
    sharding = Sharding(
        tensor=np.array([candidate.deployment.tensor for candidate in chunk], dtype=float),
        pipeline=np.array([candidate.deployment.pipeline for candidate in chunk], dtype=float),
        expert=np.array([candidate.deployment.expert for candidate in chunk], dtype=float),
    )
    pairs = np.array([tables.pair[candidate.case] for candidate in chunk])
    return layout(tables.shapes.take(rows), counts, sharding, tables.rates.take(pairs))


def _shortfall(room: Capacity, position: int, deployment: Deployment) -> Refusal:
    weights, free = room.weights[position] / 1e9, room.free[position] / 1e9
    left = f"{free:.1f} GB left, less than one sequence takes" if free >= 0 else f"{-free:.1f} GB too much"
    return Refusal(status="does not fit", detail=f"weights take {weights:.1f} GB a chip at {deployment.label}; {left}")


def _predictions(
    steady: Steady, per_chip: Array, rates: Rates, positions: list[int], deployments: list[Deployment], emulations: list[str]
) -> list[Prediction]:
    """The predictions at `positions`, with their bands."""

    def ends(values: Array, spread: Array) -> zip[tuple[float, float, float]]:
        value, factor = values[positions], np.exp(BAND_80 * spread[positions])
        return zip(value.tolist(), (value / factor).tolist(), (value * factor).tolist(), strict=True)

    columns = zip(
        deployments,
        ends(steady.ttft, rates.ttft_spread),
        ends(steady.tpot, rates.tpot_spread),
        ends(per_chip, rates.rate_spread),
        np.argmax(steady.shares[:, positions], axis=0).tolist(),
        steady.decoding[positions].tolist(),
        steady.prefill_share[positions].tolist(),
        emulations,
        strict=True,
    )
    return [
        Prediction(
            deployment=deployment,
            ttft=Band(value=ttft[0], low=ttft[1], high=ttft[2]),
            tpot=Band(value=tpot[0], low=tpot[1], high=tpot[2]),
            output_rate_per_chip=RateBand(value=rate[0], low=rate[1], high=rate[2]),
            binding=BINDING[bound],
            decoding=decoding,
            prefill_share=share,
            emulation=emulated,
        )
        for deployment, ttft, tpot, rate, bound, decoding, share, emulated in columns
    ]
