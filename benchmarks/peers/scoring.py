"""From answers to the table: how much each predictor answers, how far off it is, how fast; and the ratios to Tapeout's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapeout.calibration.measurements import Measurement, Quantity
from tapeout.calibration.validation import measured
from tapeout.performance.predict import Kind

QUANTITIES = {"ttft": (Kind.ONLINE, Quantity.TTFT), "tpot": (Kind.ONLINE, Quantity.TPOT), "rate": (Kind.OFFLINE, Quantity.RATE)}
"""What is compared, by the prefix of its columns."""
MILLISECONDS = 1e3
Answers = Mapping[str, Mapping[str, str]]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one predictor said: answers by case, seconds of its own computing, evaluations that they took."""

    name: str
    answers: Answers
    seconds: float
    evaluations: int


def errors(answers: Answers, measurements: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    """|predicted / measured - 1| by quantity and case, of the rows that are answered and were measured."""
    found: dict[str, dict[str, float]] = {name: {} for name in QUANTITIES}
    for one in measurements:
        cells = answers[one.name]
        for name, (kind, quantity) in QUANTITIES.items():
            value = measured(one, quantity)
            if one.kind is kind and value is not None and cells["status"] == "ok" and cells[quantity]:
                scale = 1.0 if quantity is Quantity.RATE else MILLISECONDS
                found[name][one.name] = abs(float(cells[quantity]) / (scale * value) - 1)
    return found


def comparison(tapeout: Run, peers: Sequence[Run], measurements: Sequence[Measurement]) -> list[Row]:
    """The rows of the table: Tapeout, and for each peer its own figures, Tapeout's on the cases it answers, and their ratio.

    A ratio above 1 says how many times smaller Tapeout's error is, or how many times faster it is.
    """
    own = errors(tapeout.answers, measurements)
    rows = [_row(tapeout, own, len(measurements))]
    for peer in peers:
        theirs = errors(peer.answers, measurements)
        shared = {name: own[name].keys() & theirs[name].keys() for name in QUANTITIES}
        first = _row(peer, theirs, len(measurements))
        second: Row = {"predictor": "  Tapeout on the same rows", "answered": None}
        second |= _figures({name: {case: own[name][case] for case in shared[name]} for name in QUANTITIES})
        on_shared = _figures({name: {case: theirs[name][case] for case in shared[name]} for name in QUANTITIES})
        ratio: Row = {"predictor": "  times better", "answered": _over(rows[0]["answered"], first["answered"])}
        ratio |= {key: _over(on_shared[key], second[key]) for key in on_shared}
        ratio |= {key: _over(rows[0][key], first[key]) for key in ("cases_per_s", "evaluations_per_s")}
        rows += [first, second, ratio]
    return rows


def _row(run: Run, found: dict[str, dict[str, float]], count: int) -> Row:
    answered = sum(cells["status"] == "ok" for cells in run.answers.values())
    return {
        "predictor": run.name,
        "answered": answered / count,
        **_figures(found),
        "cases_per_s": count / run.seconds,
        "evaluations_per_s": run.evaluations / run.seconds,
    }


def _figures(found: dict[str, dict[str, float]]) -> Row:
    figures: Row = {}
    for name, by_case in found.items():
        values = np.array(list(by_case.values()))
        figures[f"{name}_rows"] = len(values)
        figures[f"{name}_median"] = float(np.median(values)) if len(values) else None
        figures[f"{name}_p90"] = float(np.quantile(values, 0.9)) if len(values) else None
    return figures


def _over(numerator: Any, denominator: Any) -> float | None:
    if isinstance(numerator, float) and isinstance(denominator, float) and denominator > 0:
        return numerator / denominator
    return None
