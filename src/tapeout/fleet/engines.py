"""Fleets that a number of chips can make: which deployment does what, with how many engines, and the cluster to simulate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tapeout.errors import InputError
from tapeout.fleet.settings import policy_changes
from tapeout.fleet.transfer import link
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment, deployments
from tapeout.performance.efficiency import Table
from tapeout.serving.cluster import Cluster, Engine, Link, Phase, Pool, Routing
from tapeout.serving.metrics import Slo, attained, tpot
from tapeout.serving.outcome import Outcome
from tapeout.serving.saturation import saturation
from tapeout.serving.simulator import simulate
from tapeout.serving.step_table import engine
from tapeout.traffic.requests import Requests, some_of
from tapeout.workload.architecture import Architecture

TRIED = 400
"""Requests on which deployments are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`chips` chips in copies of one `deployment`, all doing the same `phase`.

    `engine` is one attention rank, or one micro-batch of its pipeline.
    """

    deployment: Deployment
    engine: Engine
    chips: int
    phase: Phase = Phase.BOTH

    @property
    def lockstep(self) -> int:
        """Engines whose steps end together: the micro-batches of a pipeline, which follow one another through its stages.

        Ranks that share experts go on by themselves: the step of each counts the experts as if all ranks brought as much, so that to
        wait for the slowest would charge a prompt on one rank to all of them.
        """
        return self.deployment.pipeline

    @property
    def engines(self) -> int:
        """Engines in all: a rank of `tensor` x `pipeline` chips has one for each stage."""
        return self.chips // self.deployment.tensor

    @property
    def pool(self) -> Pool:
        """The pool to simulate."""
        return Pool(engine=self.engine, replicas=self.engines // self.lockstep, ranks=self.lockstep, phase=self.phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Chips of one kind in groups: a single one that does all, or one for prompts, one for what follows, and the `link` between."""

    chip: Chip
    groups: tuple[Group, ...]
    link: Link | None = None
    routing: Routing = Routing.LEAST_LOADED

    @property
    def chips(self) -> int:
        """Chips in all."""
        return sum(group.chips for group in self.groups)

    @property
    def engines(self) -> int:
        """Engines in all."""
        return sum(group.engines for group in self.groups)

    @property
    def label(self) -> str:
        """The deployments in words, such as `tp 4` or `prefill 2 x tp 1, decode 1 x tp 2`."""
        if self.link is None:
            return self.groups[0].deployment.label
        return ", ".join(f"{one.phase} {one.chips // one.deployment.chips} x {one.deployment.label}" for one in self.groups)

    @property
    def cluster(self) -> Cluster:
        """The cluster to simulate."""
        return Cluster(pools=tuple(group.pool for group in self.groups), routing=self.routing, link=self.link)

    @property
    def deployment(self) -> Deployment:
        """The deployment that gives most of the tokens: that of the last group."""
        return self.groups[-1].deployment

    @property
    def engine(self) -> Engine:
        """An engine of the last group."""
        return self.groups[-1].engine


def simulated(fleet: Fleet, requests: Requests, *, records: bool = False) -> Outcome:
    """What `fleet` does with `requests`; an interrupt is not kept back, since part of a run compares with nothing."""
    found = simulate(fleet.cluster, requests, records=records)
    if found.interrupted:
        raise KeyboardInterrupt
    return found


def fleet(
    chip: Chip,
    chips: int,
    architecture: Architecture,
    precision: str,
    deployment: Deployment,
    requests: Requests,
    policy: Sequence[str] = (),
    efficiencies: Table | None = None,
) -> Fleet:
    """`chips` chips as copies of `deployment`, with room for the longest of `requests` and `policy` as `KEY=VALUE`.

    Raises InputError where the deployment is impossible, does not divide the chips, or cannot hold the longest request.
    """
    only = _group(chip, chips, architecture, precision, deployment, Phase.BOTH, requests, policy, efficiencies)
    return Fleet(chip=chip, groups=(only,))


def disaggregated(
    chip: Chip,
    architecture: Architecture,
    precision: str,
    prefill: tuple[Deployment, int],
    decode: tuple[Deployment, int],
    requests: Requests,
    policy: Sequence[str] = (),
    efficiencies: Table | None = None,
) -> Fleet:
    """Prompts on copies of one deployment, what follows on those of another; each with its number of chips. Raises as `fleet`."""
    first, later = (
        _group(chip, chips, architecture, precision, deployment, phase, requests, policy, efficiencies)
        for phase, (deployment, chips) in ((Phase.PREFILL, prefill), (Phase.DECODE, decode))
    )
    mean = float(requests.prompt.mean())
    between = link(chip, architecture, precision, prefill[0], decode[0], prompt=mean, efficiencies=efficiencies)
    return Fleet(chip=chip, groups=(first, later), link=between)


def _group(
    chip: Chip,
    chips: int,
    architecture: Architecture,
    precision: str,
    deployment: Deployment,
    phase: Phase,
    requests: Requests,
    policy: Sequence[str],
    efficiencies: Table | None,
) -> Group:
    refusal = deployment.refusal(architecture, chip, chips)
    if refusal:
        raise InputError(refusal, given=f"{deployment.label} on {chips} x {chip.id}")
    changes = policy_changes(policy)
    row = int(np.argmax(requests.prompt + requests.output))
    prompt, output = int(requests.prompt[row]), int(requests.output[row])
    block_size = int(changes.get("block_size", 16))  # type: ignore[call-overload]
    own = engine(
        chip, architecture, precision, deployment, prompt=prompt, output=output, block_size=block_size, efficiencies=efficiencies
    )  # fmt: skip
    own = dataclasses.replace(own, policy=dataclasses.replace(own.policy, **changes))  # type: ignore[arg-type]
    return Group(deployment=deployment, engine=own, chips=chips, phase=phase)


def fleets(
    chip: Chip, chips: int, architecture: Architecture, precision: str, requests: Requests, policy: Sequence[str] = ()
) -> list[Fleet]:
    """Every fleet of one of `deployments` that holds the longest of `requests`; raises the last refusal where none does."""
    found: list[Fleet] = []
    last: InputError | None = None
    for one in options(chip, chips, architecture):
        try:
            found.append(fleet(chip, chips, architecture, precision, one, requests, policy))
        except InputError as error:
            last = error
    if not found:
        raise last or InputError("no deployment divides the chips and the model's heads", given=f"{chips} x {chip.id}")
    return found


def options(chip: Chip, chips: int, architecture: Architecture) -> list[Deployment]:
    """The deployments of which a whole number of copies takes `chips` chips."""
    # What a replica spans is its own; the rest of the chips holds more of them.
    sizes = [size for size in range(1, chips + 1) if chips % size == 0]
    return list(dict.fromkeys(one for size in sizes for one in deployments(architecture, chip, size) if one.chips == size))


def best_fleet(candidates: Sequence[Fleet], requests: Requests, slo: Slo) -> Fleet:
    """The candidate under which most of the first `TRIED` requests keep `slo`; among equals that with the least time per token."""

    def score(one: Fleet) -> tuple[float, float]:
        count = min(TRIED, len(requests))
        users = None if requests.users is None else min(requests.users, count)
        outcome = simulated(one, some_of(requests, slice(count), users))
        kept = 0.0 if saturation(outcome).saturated else float(attained(outcome, slo).mean())
        return kept, -float(tpot(outcome).mean())

    usable = [one for one in candidates if requests.users is None or requests.users >= one.engines]
    if not usable:
        raise InputError("fewer users than engines in every deployment", given=requests.users)
    return max(usable, key=score)
