"""Fleets of several kinds of chips that serve together, and what befalls them: autoscaling, failures, noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tapeout.errors import InputError
from tapeout.fleet.cluster_settings import Outages
from tapeout.fleet.engines import Fleet, simulated
from tapeout.serving.cluster import Autoscaling, Cluster, Failure, Pool, Routing, failures
from tapeout.serving.outcome import Outcome
from tapeout.serving.simulator import simulate
from tapeout.traffic.requests import Requests
from tapeout.units import Dimensionless, QueriesPerSecond

TRIED = 1000
"""Requests on which kinds of chips are compared."""
DOUBLINGS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """`fleets` behind one entry, a pool for each of their groups; with `autoscaling` the single pool starts at its least replicas.

    `seed` decides failures, noise and accepted drafts.
    """

    fleets: tuple[Fleet, ...]
    routing: Routing = Routing.LEAST_LOADED
    autoscaling: Autoscaling | None = None
    outages: Outages | None = None
    noise: Dimensionless = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        groups = [group for fleet in self.fleets for group in fleet.groups]
        if len(self.fleets) > 1 and any(fleet.link for fleet in self.fleets):
            raise InputError("prefill apart from decode takes one kind of chip", given=[fleet.chip.id for fleet in self.fleets])
        if self.autoscaling and len(groups) > 1:
            raise InputError("autoscaling takes one kind of chip that does all", given=[fleet.label for fleet in self.fleets])
        if self.autoscaling and self.autoscaling.most != groups[0].pool.replicas:
            raise InputError(
                "the most replicas of autoscaling must be as many as the chips hold", given=self.autoscaling.most,
                allowed=f"{groups[0].pool.replicas} replicas of {groups[0].deployment.label} on {groups[0].chips} chips",
            )  # fmt: skip

    def pools(self, requests: Requests) -> tuple[Pool, ...]:
        """The pools in the order of fleets and their groups; what an engine of each kind can do with `requests` weighs its load."""
        found = [group.pool for fleet in self.fleets for group in fleet.groups]
        if self.autoscaling:
            return (dataclasses.replace(found[0], replicas=self.autoscaling.least, autoscaling=self.autoscaling),)
        if len(self.fleets) == 1:
            return tuple(found)
        rates = [_engine_rate(fleet, requests) for fleet in self.fleets]
        return tuple(dataclasses.replace(pool, weight=rate / max(rates)) for pool, rate in zip(found, rates, strict=True))

    def cluster(self, requests: Requests, breaks: Sequence[Failure] = ()) -> Cluster:
        """The cluster for `requests`, in which replicas stop at `breaks`."""
        return Cluster(
            pools=self.pools(requests), routing=self.routing, link=self.fleets[0].link, failures=tuple(breaks), noise=self.noise,
            seed=self.seed,
        )  # fmt: skip


def served(composition: Composition, requests: Requests) -> Outcome:
    """What `composition` does with `requests`, with its steps. Where replicas fail, they do so up to the end of the run.

    An interrupted outcome holds what was complete. Raises InputError where replicas fail so often that hardly a request is answered.
    """
    cluster = composition.cluster(requests)
    found = simulate(cluster, requests)
    if composition.outages is None:
        return found
    if found.interrupted:
        raise KeyboardInterrupt
    for _ in range(DOUBLINGS):
        # When a run ends shows only then, and with failures it ends later.
        until = 2 * float(found.completion.max())
        breaks = failures(
            cluster, between=composition.outages.between, restart=composition.outages.restart, until=until, seed=composition.seed
        )  # fmt: skip
        found = simulate(dataclasses.replace(cluster, failures=breaks), requests)
        if found.interrupted or float(found.completion.max()) <= until:
            return found
    raise InputError("replicas fail faster than they answer", given=f"a failure each {composition.outages.between:g} s")


def _engine_rate(fleet: Fleet, requests: Requests) -> QueriesPerSecond:
    """Requests a second of each engine where the first `TRIED` of `requests` come at once."""
    count = min(TRIED, len(requests))
    burst = Requests(arrival=np.zeros(count), prompt=requests.prompt[:count], output=requests.output[:count])
    return count / float(simulated(fleet, burst).completion.max()) / fleet.engines
