"""Predictions beside measurements: every scored quantity of every row, by the shipped coefficients or by others.

An offline row is scored on tokens/s, an online row on the time to first token, the time per output token, and on tokens/s where
that is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from tapeout.calibration.bounds import limit_shares
from tapeout.calibration.measurements import Measurement, Quantity, scored
from tapeout.performance.efficiency import Table
from tapeout.performance.predict import Band, Kind, Prediction, RateBand, Refusal, predict
from tapeout.units import Dimensionless


class Group(StrEnum):
    """What rows are grouped by."""

    CHIP = "chip"
    MODEL = "model"
    PRECISION = "precision"
    KIND = "kind"
    SOURCE = "source"

    def of(self, measurement: Measurement) -> str:
        """The group of a measurement."""
        return str(getattr(measurement, self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One quantity of one row: predicted over measured, and the ends of the band over measured; None where there is no answer.

    `status` is `ok`, or why there is no answer.
    """

    measurement: Measurement
    quantity: Quantity
    status: str
    prediction: Prediction | None = None
    ratio: Dimensionless | None = None
    low: Dimensionless | None = None
    high: Dimensionless | None = None

    @property
    def error(self) -> Dimensionless | None:
        """The absolute relative error, |predicted / measured - 1|."""
        return None if self.ratio is None else abs(self.ratio - 1)

    @property
    def in_band(self) -> bool | None:
        """Whether the measured value lies in the predicted band."""
        return None if self.low is None or self.high is None else self.low <= 1 <= self.high


def measured(measurement: Measurement, quantity: Quantity) -> float | None:
    """The measured value of `quantity`: seconds, or tokens/s per chip."""
    return {Quantity.TTFT: measurement.ttft, Quantity.TPOT: measurement.tpot, Quantity.RATE: measurement.output_rate_per_chip}[quantity]


def predicted(prediction: Prediction, quantity: Quantity) -> Band | RateBand:
    """The predicted value of `quantity` with its band: seconds, or tokens/s per chip."""
    if quantity is Quantity.RATE:
        return prediction.output_rate_per_chip
    return prediction.ttft if quantity is Quantity.TTFT else prediction.tpot


def checked(measurements: Sequence[Measurement]) -> list[Measurement]:
    """The measurements, those that no chip of the stated kind could reach excluded with the reason."""
    shares = limit_shares(measurements)
    quantities = list(shares)
    table = np.vstack([shares[quantity] for quantity in quantities])
    found = list(measurements)
    for index in np.flatnonzero(np.any(table > 1, axis=0)):
        worst = int(np.nanargmax(table[:, index]))
        reason = f"{quantities[worst]} is {table[worst, index]:.2f} times as fast as the chip's peaks allow"
        if not found[index].excluded:
            found[index] = replace(found[index], excluded=reason)
    return found


def compared(measurements: Iterable[Measurement], efficiencies: Table | None = None) -> list[Comparison]:
    """Every scored quantity of the rows that are not excluded, by the coefficients `efficiencies` or by those that ship."""
    rows = scored(measurements)
    return comparisons(rows, predict([one.case for one in rows if one.case is not None], efficiencies))


def comparisons(rows: Iterable[Measurement], answers: Iterable[Prediction | Refusal]) -> list[Comparison]:
    """Every scored quantity of `rows`, with the answers to those of them that have a case, in their order."""
    following = iter(answers)
    found = []
    for one in rows:
        answer = Refusal(status="not known", detail=one.problem) if one.case is None else next(following)
        found += [_comparison(one, quantity, answer) for quantity in _quantities(one)]
    return found


Fit = Callable[[Sequence[Measurement]], Table]
"""Coefficients by generation, fitted on measurements."""


def left_out(measurements: Iterable[Measurement], by: Group, fit: Fit) -> list[Comparison]:
    """As `compared`, with each group's rows predicted by coefficients that `fit` found on the rows of all other groups."""
    rows = scored(measurements)
    found = []
    for group in dict.fromkeys(by.of(one) for one in rows):
        others = [one for one in rows if by.of(one) != group]
        found += compared([one for one in rows if by.of(one) == group], fit(others))
    return found


def _quantities(measurement: Measurement) -> list[Quantity]:
    wanted = (Quantity.RATE,) if measurement.kind is Kind.OFFLINE else tuple(Quantity)
    return [quantity for quantity in wanted if measured(measurement, quantity) is not None]


def _comparison(measurement: Measurement, quantity: Quantity, answer: Prediction | Refusal) -> Comparison:
    value = measured(measurement, quantity)
    if isinstance(answer, Refusal) or value is None:
        status = ": ".join(part for part in (answer.status, answer.detail) if part) if isinstance(answer, Refusal) else "not measured"
        return Comparison(measurement=measurement, quantity=quantity, status=status)
    band = predicted(answer, quantity)
    return Comparison(
        measurement=measurement, quantity=quantity, status="ok", prediction=answer,
        ratio=band.value / value, low=band.low / value, high=band.high / value,
    )  # fmt: skip
