"""`tapeout export`: from words to the pools of a deployment, and to the scripts and the manifest that start them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

from tapeout.errors import InputError
from tapeout.fleet.cluster_settings import Drafts
from tapeout.fleet.composition import Composition
from tapeout.fleet.service_level import service_level
from tapeout.fleet.settings import policy_changes
from tapeout.report.checkpoint import Checkpoint, checkpoint
from tapeout.report.kubernetes import Settings, manifest, pool_suffix
from tapeout.report.simulation_fleet import composition
from tapeout.report.simulation_wanted import Wanted, wanted_traffic
from tapeout.report.vllm_arguments import Draft, Served, script
from tapeout.traffic.rules import Traffic
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model as find_model

SAMPLED = 1000
"""Requests that are drawn to find the longest."""


class Form(StrEnum):
    """What a deployment is written as."""

    VLLM = "vllm"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The pools of a deployment, and in words what they are meant for."""

    pools: tuple[Served, ...]
    purpose: str


def exported(wanted: Wanted, *, loaded: str = "", method: str = "") -> Exported:
    """The pools of what is wanted, as `tapeout simulate` runs it; without traffic the deployment must be given.

    They load the checkpoint `loaded`, by default the model's own, and draft by `method`. Raises InputError as the simulation does, and
    for settings of it that have no counterpart.
    """
    architecture = find_model(wanted.model)
    level = service_level(wanted.slo, architecture)
    given = _given(wanted)
    chosen = composition(wanted, architecture, given.requests, level)
    longest = int((given.requests.prompt + given.requests.output).max())
    served = pools(chosen, checkpoint(loaded or wanted.model, architecture), architecture, wanted.precision, longest)
    draft, fixed = _draft(wanted.drafts, method), "blocks" in policy_changes(wanted.policy)
    found = tuple(
        dataclasses.replace(pool, fixed_blocks=fixed, draft=draft if pool.policy.speculation else None) for pool in served
    )  # fmt: skip
    known = wanted.traffic or wanted.users is not None
    return Exported(pools=found, purpose=f"{given.words}, limits {level.name}" if known else f"requests of up to {longest} tokens")


def pools(found: Composition, loaded: Checkpoint, architecture: Architecture, precision: str, longest: int) -> tuple[Served, ...]:
    """What the groups of all fleets serve, for requests of up to `longest` tokens."""
    return tuple(
        Served(
            checkpoint=loaded, architecture=architecture, precision=precision, chip=fleet.chip, deployment=group.deployment,
            policy=group.engine.policy, longest=longest, phase=group.phase, autoscaling=found.autoscaling,
            replicas=found.autoscaling.least if found.autoscaling else group.chips // group.deployment.chips,
        )
        for fleet in found.fleets
        for group in fleet.groups
    )  # fmt: skip


def texts(found: Exported, forms: tuple[Form, ...], settings: Settings, *, version: str, date: str) -> dict[str, str]:
    """The files of the deployment by name: a script for each pool, and one manifest."""
    heading = f"Written by tapeout {version} on {date} for {found.purpose}."
    written: dict[str, str] = {}
    if Form.VLLM in forms:
        for pool in found.pools:
            written[f"vllm-serve{pool_suffix(pool, found.pools)}.sh"] = script(pool, heading)
    if Form.KUBERNETES in forms:
        written["kubernetes.yaml"] = manifest(found.pools, settings, heading)
    return written


def _given(wanted: Wanted) -> Traffic:
    if wanted.traffic or wanted.users is not None:
        return wanted_traffic(wanted, wanted.seed)
    if wanted.parallel is None:
        raise InputError("no deployment", hint="give --tp, or --traffic or --users to choose by")
    # Only the longest request counts.
    return wanted_traffic(dataclasses.replace(wanted, users=1, requests=SAMPLED if wanted.lengths else 1), wanted.seed)


def _draft(drafts: Drafts | None, method: str) -> Draft | None:
    """What drafts in vLLM: the model that was simulated, or by default the prompt itself, which takes as little time."""
    if drafts is None:
        if method:
            raise InputError("--draft-method needs --speculate", given=method)
        return None
    model = checkpoint(drafts.model, find_model(drafts.model)) if drafts.model else None
    return Draft(method=method or ("draft_model" if model else "ngram"), tokens=drafts.tokens, model=model)
