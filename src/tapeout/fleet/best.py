"""The cheapest way to serve a model on each chip under traffic: the deployment that carries most inside limits that requests keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tapeout.errors import InputError
from tapeout.fleet.engines import Fleet, fleet
from tapeout.fleet.highest_rate import at_rate, attainment, highest_rate, keeps
from tapeout.fleet.service_level import ServiceLevel
from tapeout.hardware.chip import Chip
from tapeout.performance.best import Demand, NotServed, Serving, best_servings, shortlists
from tapeout.performance.efficiency import Table
from tapeout.performance.predict import RateBand
from tapeout.serving.metrics import Slo, tpot, ttft
from tapeout.traffic.arrivals import poisson
from tapeout.traffic.requests import Requests
from tapeout.units import Dimensionless, QueriesPerSecond, Seconds
from tapeout.workload.traffic import Lengths

LISTED = 3
"""Deployments of a chip that are simulated, the best in steady state."""
ENGINES = 4
"""Engines among which requests are dealt: alone, one would have to bear every burst. Of a replica with more ranks so many stand for all."""
STAYS, LEAST = 10, 2500
"""Requests of a run, for each that is in the fleet at once, and at least: the fleet fills once, then is full several times over."""
WARM_UP = 0.4
"""Share of them, the first, that meet a fleet not yet full and do not count."""
SEED = 1
"""All chips get the same arrivals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried(Serving):
    """A serving under Poisson arrivals to `fleet`, at the highest `request_rate` at which enough requests keep `level`.

    There the share `attainment` does; `ttft` and `tpot` are what the wanted share stays below, each by itself.
    """

    fleet: Fleet
    level: ServiceLevel
    request_rate: QueriesPerSecond
    attainment: Dimensionless
    ttft: Seconds
    tpot: Seconds

    @property
    def replica_rate(self) -> QueriesPerSecond:
        """Requests a second to the chips of one replica."""
        return self.request_rate * self.chips / self.fleet.chips


def best_under_traffic(
    demand: Demand, chips: Sequence[Chip], wanted: Dimensionless, efficiencies: Table | None = None
) -> list[Serving | NotServed]:
    """The best serving of `demand` on each of `chips` where the share `wanted` of the requests must keep the limits, in order.

    Simulated are the deployments that are best in steady state, in fleets of `ENGINES` engines or one pipeline, where that has more. The
    band of the rate is, as a share of it, that of the steady state. Without limits there is nothing to keep, and the servings are those
    of `best_servings`.
    """
    level = ServiceLevel(name="", slo=Slo(ttft=demand.ttft, tpot=demand.tpot), attainment=wanted)
    if level.slo == Slo():
        return [*best_servings(demand, chips, efficiencies)]
    lists = shortlists(demand, chips, LISTED, efficiencies)
    return [one if isinstance(one, NotServed) else best_listed(demand, level, one, efficiencies) for one in lists]


def best_listed(demand: Demand, level: ServiceLevel, listed: Sequence[Serving], efficiencies: Table | None = None) -> Carried | NotServed:
    """The best of the servings `listed`, all of one chip, under traffic at `level`; or why none carries anything."""
    best: Carried | None = None
    reason = f"too slow under traffic: means keep the limits, but at no rate do {100 * level.attainment:.4g} % of the requests"
    for serving in listed:
        try:
            made = _fleet(demand, serving, efficiencies)
        except InputError as error:
            # An engine needs whole blocks, and each micro-batch of a pipeline its own, which steady state does not ask for.
            reason = f"{error.what}: {serving.label}, {error.given}"
        else:
            best = _carried(demand, level, serving, made, best) or best
    return best or NotServed(chip=listed[0].chip, reason=reason)


def _carried(demand: Demand, level: ServiceLevel, serving: Serving, made: Fleet, best: Carried | None) -> Carried | None:
    """What `serving` carries with the fleet `made`, or None where that is nothing, or no more than `best` does."""
    requests = _requests(demand, serving.users * made.chips / serving.chips)
    chip_rate = serving.rate.value if best is None else best.rate.value
    start = chip_rate * made.chips / demand.output
    if best is not None and not keeps(made, requests, level, start, WARM_UP):
        return None
    rate = highest_rate(made, requests, level, start, WARM_UP)
    if rate == 0:
        return None
    outcome = at_rate(made, requests, rate)
    counted = slice(int(WARM_UP * len(requests)), None)
    band, value = serving.prediction.output_rate_per_chip, rate * demand.output / made.chips
    return Carried(
        chip=serving.chip, prediction=serving.prediction, users=serving.users,
        rate=RateBand(value=value, low=value * band.low / band.value, high=value * band.high / band.value),
        fleet=made, level=level, request_rate=rate, attainment=attainment(outcome, level, WARM_UP),
        ttft=float(np.quantile(ttft(outcome)[counted], level.attainment)),
        tpot=float(np.quantile(tpot(outcome)[counted], level.attainment)),
    )  # fmt: skip


def _requests(demand: Demand, users: Dimensionless) -> Requests:
    lengths = Lengths(prompt=max(demand.prompt, 1.0), output=max(demand.output, 1.0))
    return poisson(max(LEAST, int(STAYS * users)), 1.0, lengths, seed=SEED)


def _fleet(demand: Demand, serving: Serving, efficiencies: Table | None) -> Fleet:
    """`ENGINES` engines of the serving's deployment; raises InputError where an engine has no room for a request."""
    deployment = serving.prediction.deployment
    replica = fleet(
        serving.chip, deployment.chips, demand.model, demand.precision, deployment, _requests(demand, 0.0), efficiencies=efficiencies
    )  # fmt: skip
    engines = -(-ENGINES // deployment.pipeline) * deployment.pipeline
    return replace(replica, groups=tuple(replace(one, chips=engines * deployment.tensor) for one in replica.groups))
