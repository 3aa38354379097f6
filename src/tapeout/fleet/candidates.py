"""The fleets that a search tries on a number of chips: deployments, limits of the scheduler, and prefill apart from decode."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from tapeout.errors import InputError
from tapeout.fleet.engines import Fleet, Group, fleet, fleets, options
from tapeout.fleet.transfer import link
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.serving.cluster import Engine, Phase
from tapeout.serving.policy import Policy
from tapeout.traffic.requests import Requests
from tapeout.workload.architecture import Architecture

SPLITS = 8
"""Ways to part the chips that are tried for each pair of deployments, evenly spread where there are more."""


def candidates(
    chip: Chip,
    chips: int,
    architecture: Architecture,
    precision: str,
    requests: Requests,
    *,
    token_budgets: Sequence[int] = (),
    most_sequences: Sequence[int] = (),
    disaggregation: bool = False,
    policy: Sequence[str] = (),
) -> list[Fleet]:
    """Every fleet of one deployment, then with `disaggregation` every pair of them at several ratios, each under every pair of limits.

    Limits that are not given are the chip's own; beyond those there are none. Raises InputError where no deployment holds the longest of
    `requests`, and for a limit below 1.
    """
    for name, values in (("token_budgets", token_budgets), ("most_sequences", most_sequences)):
        if any(value < 1 for value in values):
            raise InputError(f"{name} must be at least 1", given=min(values))
    alike = fleets(chip, chips, architecture, precision, requests, policy)
    apart = _apart(chip, chips, architecture, precision, requests, policy) if disaggregation else []
    budgets, sequences = ([*map(float, values)] or [math.inf] for values in (token_budgets, most_sequences))
    return [limited for one in [*alike, *apart] for limited in _limited(one, list(itertools.product(budgets, sequences)))]


def _limited(found: Fleet, limits: Sequence[tuple[float, float]]) -> list[Fleet]:
    """`found` under each of the limits (token budget, sequences) that differ from one another on it."""
    variants = {}
    for limit in limits:
        kept = tuple(_lower(group.engine.policy, *limit) for group in found.groups)
        groups = (
            dataclasses.replace(group, engine=dataclasses.replace(group.engine, policy=policy))
            for group, policy in zip(found.groups, kept, strict=True)
        )
        variants[kept] = dataclasses.replace(found, groups=tuple(groups))
    return list(variants.values())


def _lower(policy: Policy, budget: float, sequences: float) -> Policy:
    return dataclasses.replace(
        policy, token_budget=int(min(policy.token_budget, budget)), most_sequences=int(min(policy.most_sequences, sequences))
    )


def _apart(chip: Chip, chips: int, architecture: Architecture, precision: str, requests: Requests, policy: Sequence[str]) -> list[Fleet]:
    """Fleets of two groups, of every pair of deployments that fit beside each other."""
    sizes = [size for size in range(1, chips) if chips % size == 0]
    tried = dict.fromkeys(one for size in sizes for one in options(chip, size, architecture) if one.chips == size)
    engines: dict[Deployment, Engine] = {}
    for one in tried:
        # What holds no request alone is no part of a pair either.
        with contextlib.suppress(InputError):
            engines[one] = fleet(chip, one.chips, architecture, precision, one, requests, policy).engine
    found = []
    for prefill, decode in itertools.product(engines, repeat=2):
        between = link(chip, architecture, precision, prefill, decode, prompt=float(requests.prompt.mean()))
        for part in _parts(chips, prefill.chips, decode.chips):
            groups = (
                Group(deployment=prefill, engine=engines[prefill], chips=part, phase=Phase.PREFILL),
                Group(deployment=decode, engine=engines[decode], chips=chips - part, phase=Phase.DECODE),
            )
            found.append(Fleet(chip=chip, groups=groups, link=between))
    return found


def _parts(chips: int, prefill: int, decode: int) -> list[int]:
    """Numbers of chips for prefill, in copies of `prefill` chips that leave copies of `decode` chips.

    >>> _parts(8, 2, 2), _parts(8, 4, 1)
    ([2, 4, 6], [4])
    """
    found = [part for part in range(prefill, chips, prefill) if (chips - part) % decode == 0]
    return sorted({found[round(place)] for place in np.linspace(0, len(found) - 1, min(len(found), SPLITS))})
