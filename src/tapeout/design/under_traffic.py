"""What a chip carries of a mix under traffic, as `price` and `plan` count it: Poisson arrivals, of which enough keep the limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tapeout.design.throughput import Workload
from tapeout.fleet.best import best_under_traffic
from tapeout.hardware.chip import Chip
from tapeout.performance.best import NotServed, Serving
from tapeout.performance.predict import RateBand
from tapeout.units import SecondsPerToken, TokensPerSecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """What one chip carries of each workload of a mix, and its chip time for an output token of the mix.

    `seconds` is infinite where a workload is not served; `seconds_low` to `seconds_high` is the 80 % band of the prediction: all
    rates of a chip stand on the coefficients of its generation and err together.
    """

    chip: Chip
    servings: tuple[Serving | NotServed, ...]
    seconds: SecondsPerToken
    seconds_low: SecondsPerToken
    seconds_high: SecondsPerToken

    @property
    def rates(self) -> tuple[TokensPerSecond, ...]:
        """Output tokens/s of one chip on each workload, 0 where it does not serve it."""
        return tuple(one.rate.value if isinstance(one, Serving) else 0.0 for one in self.servings)


def goodput(workloads: Sequence[Workload], chip: Chip) -> Goodput:
    """The most that `chip` carries of each of `workloads` while the share `attainment` of its requests keeps the limits."""
    servings = tuple(best_under_traffic(one.demand, [chip], one.attainment)[0] for one in workloads)

    def seconds(end: Callable[[RateBand], float]) -> SecondsPerToken:
        times = (
            one.weight / end(each.rate) if isinstance(each, Serving) else math.inf for one, each in zip(workloads, servings, strict=True)
        )
        return sum(times)

    return Goodput(
        chip=chip, servings=servings, seconds=seconds(lambda rate: rate.value), seconds_low=seconds(lambda rate: rate.high),
        seconds_high=seconds(lambda rate: rate.low),
    )  # fmt: skip
