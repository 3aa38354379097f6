"""Whether an open trace asks for more than the engines can do: then its queue grows for as long as it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapeout.serving.outcome import Outcome
from tapeout.units import QueriesPerSecond, TokensPerSecond

WARM_UP = 0.25
"""Share of the time of arrivals left out at the start, while the engines fill."""
SIGMAS = 3.0
"""Growth counts where it exceeds so many times what arrivals at random would scatter over the same time."""
SAMPLES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """`growth` is requests that the queue gains each second; `saturated` says that this is more than chance.

    `output_rate` is what the engines gave while requests still arrived: their capacity, where they are saturated.
    """

    saturated: bool
    growth: QueriesPerSecond
    output_rate: TokensPerSecond


def saturation(outcome: Outcome) -> Saturation:
    """How the queue went from the end of the warm-up to the last arrival: the slope of the requests not yet scheduled.

    A closed loop is never saturated, since its users wait.
    """
    start, end = float(outcome.arrival.min()), float(outcome.arrival.max())
    first = start + WARM_UP * (end - start)
    if end <= first:
        return Saturation(saturated=False, growth=0.0, output_rate=_rate(outcome, start, float(outcome.completion.max())))
    times = np.linspace(first, end, SAMPLES)
    waiting = _passed(outcome.arrival, times) - _passed(outcome.scheduled, times)
    growth = float(np.polyfit(times - first, waiting, 1)[0])
    gaps = np.diff(np.sort(outcome.arrival))
    # The number of arrivals in a time scatters by the variation of the gaps and the root of their number.
    scatter = float(gaps.std() / gaps.mean()) * np.sqrt(np.count_nonzero(outcome.arrival > first))
    grown = growth * (end - first)
    saturated = outcome.requests.users is None and grown > SIGMAS * max(scatter, 1.0)
    return Saturation(saturated=bool(saturated), growth=growth, output_rate=_rate(outcome, first, end))


def _passed(events: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.searchsorted(np.sort(events), times, side="right").astype(np.int64)
    return found


def _rate(outcome: Outcome, first: float, end: float) -> TokensPerSecond:
    """Tokens a second between two times: first tokens where they fall, those after spread evenly up to the last."""
    begun = (outcome.first_token > first) & (outcome.first_token <= end)
    span = np.maximum(outcome.completion - outcome.first_token, 1e-12)
    share = (np.minimum(outcome.completion, end) - np.maximum(outcome.first_token, first)) / span
    tokens = begun.sum() + ((outcome.requests.output - 1) * np.clip(share, 0.0, 1.0)).sum()
    return float(tokens / max(end - first, 1e-12))
