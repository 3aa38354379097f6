"""Clusters: pools of replicas of engines, how requests find one, the link between prefill and decode, failures and autoscaling.

An engine is one scheduler with its KV cache. A replica is one or more of them in lockstep: attention ranks that share experts, or
the micro-batches of a pipeline. A pool is replicas alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.policy import Policy
from tapeout.serving.step_model import StepModel
from tapeout.units import Dimensionless, Seconds, SecondsPerToken, Tokens

DRAWS = 65_536
"""Draws of noise and of accepted tokens, a power of two; after so many steps of a replica its noise repeats."""


class Phase(StrEnum):
    """What the engines of a pool do with a request: all of it, its first token, or what follows."""

    BOTH = "both"
    PREFILL = "prefill"
    DECODE = "decode"


class Routing(StrEnum):
    """Which engine takes a request: the next in turn, the one with fewest requests, or the one that holds most of its prompt."""

    ROUND_ROBIN = "round robin"
    LEAST_LOADED = "least loaded"
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One scheduler: how long its steps take and its limits."""

    step_model: StepModel
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """Between `least` and `most` replicas, as many as hold `target` requests each.

    Every `interval` the requests in the pool are counted; what lacks is started, and takes requests `start_up` later. What has been too
    much for `patience` on end takes no more requests, and stops when its last is answered.
    """

    least: int
    most: int
    target: Dimensionless
    interval: Seconds
    start_up: Seconds
    patience: Seconds

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise InputError("bad bounds of autoscaling", given=f"{self.least} to {self.most}", allowed="1 or more, in order")
        for name, least in (("target", 0.0), ("interval", 0.0), ("start_up", -1e-300), ("patience", -1e-300)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > least):
                raise InputError(f"{name} of autoscaling must be finite and {'above' if least == 0 else 'at least'} 0", given=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """`replicas` of `ranks` engines each; with `autoscaling` that many at the start.

    Requests with prompts of up to `longest` tokens may come here, and go to the pools with the least such limit. A load counts
    divided by `weight`.
    """

    engine: Engine
    replicas: int = 1
    ranks: int = 1
    phase: Phase = Phase.BOTH
    longest: Tokens = math.inf
    weight: Dimensionless = 1.0
    autoscaling: Autoscaling | None = None

    def __post_init__(self) -> None:
        for name in ("replicas", "ranks"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of a pool must be at least 1", given=getattr(self, name))
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise InputError("the weight of a pool must be finite and above 0", given=self.weight)
        if not self.longest >= 1:
            raise InputError("the longest prompt of a pool is at least 1 token", given=self.longest)
        scaling = self.autoscaling
        if scaling is not None and not scaling.least <= self.replicas <= scaling.most:
            raise InputError("replicas at the start outside the bounds", given=self.replicas, allowed=f"{scaling.least} to {scaling.most}")

    @property
    def slots(self) -> int:
        """Replicas that there may be at once."""
        return self.autoscaling.most if self.autoscaling else self.replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How the KV cache of a prompt travels: one after the other from each engine, `token` seconds a token, then `latency`."""

    token: SecondsPerToken
    latency: Seconds = 0.0

    def __post_init__(self) -> None:
        for name in ("token", "latency"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} of the link must be finite and not below 0", given=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Replica `replica` of pool `pool` stops `at` a time, with the step that runs, and is back, its cache empty, `restart` later."""

    pool: int
    replica: int
    at: Seconds
    restart: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All pools and what holds between them; `seed` decides noise and accepted drafts.

    With `Routing.PREFIX` engines with up to `slack` more requests than the least loaded come into question. `noise` is the standard
    deviation of the logarithm of a step's time, whose mean stays.
    """

    pools: tuple[Pool, ...]
    routing: Routing = Routing.ROUND_ROBIN
    slack: Dimensionless = 8.0
    link: Link | None = None
    failures: tuple[Failure, ...] = ()
    noise: Dimensionless = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        phases = {pool.phase for pool in self.pools}
        if not phases & {Phase.BOTH, Phase.PREFILL}:
            raise InputError("no pool takes new requests", given=sorted(phases), allowed="a pool of phase both or prefill")
        if (Phase.PREFILL in phases) != (Phase.DECODE in phases) or (Phase.PREFILL in phases) != (self.link is not None):
            raise InputError("prefill pools, decode pools and a link go together", given=sorted(phases))
        if len({pool.engine.policy.block_size for pool in self.pools if pool.engine.policy.prefix_caching}) > 1:
            raise InputError("pools with prefix caching need blocks of one size")
        if not (math.isfinite(self.noise) and 0 <= self.noise <= 1):
            raise InputError("the noise of steps is out of range", given=self.noise, allowed="0 to 1")
        if not self.slack >= 0:
            raise InputError("the slack of routing must not be below 0", given=self.slack)
        for failure in self.failures:
            if not (0 <= failure.pool < len(self.pools) and 0 <= failure.replica < self.pools[failure.pool].slots):
                raise InputError("a failure of a replica that there is not", given=f"pool {failure.pool}, replica {failure.replica}")
            if not (0 <= failure.at < math.inf and 0 < failure.restart < math.inf):
                raise InputError("bad times of a failure", given=f"at {failure.at} s for {failure.restart} s", allowed="finite, above 0")

    @property
    def engines(self) -> int:
        """Engines in all, with those that are not always on."""
        return sum(pool.slots * pool.ranks for pool in self.pools)

    @property
    def pool_of_engine(self) -> NDArray[np.int64]:
        """The place of its pool, by engine."""
        return np.repeat(np.arange(len(self.pools)), [pool.slots * pool.ranks for pool in self.pools])


def one_engine(step_model: StepModel, policy: Policy) -> Cluster:
    """A cluster of a single engine."""
    return Cluster(pools=(Pool(engine=Engine(step_model=step_model, policy=policy)),))


def noise_factors(cluster: Cluster) -> NDArray[np.float64]:
    """Factors on the times of steps, `DRAWS` of them with mean 1, or a single 1 without noise."""
    if cluster.noise == 0:
        return np.ones(1)
    draws = np.random.default_rng(cluster.seed).standard_normal(DRAWS)
    return np.exp(cluster.noise * draws - cluster.noise**2 / 2)


def failures(cluster: Cluster, *, between: Seconds, restart: Seconds, until: Seconds, seed: int) -> tuple[Failure, ...]:
    """Failures of every replica at random until a time, a mean of `between` apart, in order."""
    for name, value in (("the time between failures", between), ("the time to restart", restart)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be finite and above 0", given=value)
    generator = np.random.default_rng(seed)
    found = []
    for index, pool in enumerate(cluster.pools):
        for replica in range(pool.slots):
            at = float(generator.exponential(between))
            while at < until:
                found.append(Failure(pool=index, replica=replica, at=at, restart=restart))
                at += restart + float(generator.exponential(between))
    return tuple(sorted(found, key=lambda failure: failure.at))
