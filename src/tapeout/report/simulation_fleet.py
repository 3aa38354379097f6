"""The fleet that a command line asks for: which chips in which deployments, apart or together, with which drafts."""

from __future__ import annotations

import dataclasses

import numpy as np

from tapeout.errors import InputError
from tapeout.fleet.candidates import candidates
from tapeout.fleet.cluster_settings import Drafts
from tapeout.fleet.composition import Composition
from tapeout.fleet.drafting import drafted, drafted_by
from tapeout.fleet.engines import Fleet, best_fleet, disaggregated, fleet, fleets
from tapeout.fleet.service_level import ServiceLevel
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.report.simulation_wanted import Wanted, chips_on
from tapeout.serving.cluster import Engine, Phase
from tapeout.traffic.arrivals import faster
from tapeout.traffic.requests import Requests
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model as find_model


def composition(wanted: Wanted, architecture: Architecture, requests: Requests, level: ServiceLevel) -> Composition:
    """The chips in the deployments that are asked for; where none is, in those under which most of the first requests keep `level`.

    Each kind of chips is then taken to get a share of the requests by its number. Raises InputError where no deployment can be.
    """
    kinds = [chips_on(text) for text in wanted.on]
    if len({chip.id for chip, _ in kinds}) < len(kinds):
        raise InputError("--on names a chip twice", given=list(wanted.on), hint="add the numbers up")
    total = sum(chips for _, chips in kinds)
    found = []
    for chip, chips in kinds:
        share = requests if requests.users is not None else faster(requests, chips / total)
        one = (_apart if wanted.split else _alike)(wanted, chip, chips, architecture, share, level)
        found.append(_drafting(wanted.drafts, wanted.precision, one, architecture, requests) if wanted.drafts else one)
    return Composition(
        fleets=tuple(found), routing=wanted.routing, autoscaling=wanted.autoscaling, outages=wanted.outages, noise=wanted.noise,
        seed=wanted.seed,
    )  # fmt: skip


def _alike(wanted: Wanted, chip: Chip, chips: int, architecture: Architecture, requests: Requests, level: ServiceLevel) -> Fleet:
    if wanted.decode_tensor is not None:
        raise InputError("--decode-tp needs --disaggregate")
    deployment = _deployment(wanted)
    if deployment is not None:
        return fleet(chip, chips, architecture, wanted.precision, deployment, requests, wanted.policy)
    return best_fleet(fleets(chip, chips, architecture, wanted.precision, requests, wanted.policy), requests, level.slo)


def _apart(wanted: Wanted, chip: Chip, chips: int, architecture: Architecture, requests: Requests, level: ServiceLevel) -> Fleet:
    """Prompts on some chips and what follows on the others."""
    prefill, decode = wanted.split or (0, 0)
    if prefill + decode != chips:
        raise InputError("--disaggregate does not add up to the chips", given=f"{prefill} + {decode}", allowed=f"{chips} x {chip.id}")
    deployment = _deployment(wanted)
    if deployment is not None:
        later = dataclasses.replace(deployment, tensor=wanted.decode_tensor or deployment.tensor)
        sides = (deployment, prefill), (later, decode)
        return disaggregated(chip, architecture, wanted.precision, *sides, requests, wanted.policy)
    if wanted.decode_tensor is not None:
        raise InputError("--decode-tp needs --tp")
    every = candidates(chip, chips, architecture, wanted.precision, requests, disaggregation=True, policy=wanted.policy)
    pairs = [one for one in every if one.link and one.groups[0].chips == prefill]
    if not pairs:
        raise InputError("no two deployments divide the chips so", given=f"{prefill} + {decode} x {chip.id}")
    return best_fleet(pairs, requests, level.slo)


def _deployment(wanted: Wanted) -> Deployment | None:
    if wanted.parallel is None:
        return None
    tensor, pipeline, expert, data = wanted.parallel
    return Deployment(tensor=tensor, pipeline=pipeline, expert=expert, data=data)


def _drafting(drafts: Drafts, precision: str, found: Fleet, architecture: Architecture, requests: Requests) -> Fleet:
    """The fleet with drafts wherever it decodes."""
    row = int(np.argmax(requests.prompt + requests.output))
    draft = find_model(drafts.model) if drafts.model else None

    def engine(own: Engine, deployment: Deployment) -> Engine:
        if draft is None:
            return drafted(own, drafts.tokens, drafts.chance)
        return drafted_by(
            own, draft, drafts.tokens, drafts.chance, chip=found.chip, architecture=architecture, precision=precision,
            deployment=deployment, prompt=int(requests.prompt[row]), output=int(requests.output[row]),
        )  # fmt: skip

    groups = (
        group if group.phase is Phase.PREFILL else dataclasses.replace(group, engine=engine(group.engine, group.deployment))
        for group in found.groups
    )
    return dataclasses.replace(found, groups=tuple(groups))
