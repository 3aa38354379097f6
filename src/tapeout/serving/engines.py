"""Fleets that a number of chips can make: a deployment, the engine of each of its attention ranks, and how many of them there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tapeout.errors import InputError, did_you_mean
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment, deployments
from tapeout.serving.cluster import Engine
from tapeout.serving.fleet import dealt, simulate_fleet
from tapeout.serving.metrics import Slo, attained, tpot
from tapeout.serving.policy import Order, Policy
from tapeout.serving.requests import Requests
from tapeout.serving.saturation import saturation
from tapeout.serving.step_table import engine
from tapeout.units import Unit, parse
from tapeout.workload.architecture import Architecture

SWITCHES = tuple(field.name for field in dataclasses.fields(Policy) if field.default is False)
TRIED = 400
"""Requests on which deployments are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """`engines` alike on `chips` chips; each is one attention rank of `deployment`."""

    chip: Chip
    chips: int
    deployment: Deployment
    engine: Engine
    engines: int


def fleet(
    chip: Chip,
    chips: int,
    architecture: Architecture,
    precision: str,
    deployment: Deployment,
    requests: Requests,
    policy: Sequence[str] = (),
) -> Fleet:
    """`chips` chips as replicas of `deployment`, with room for the longest of `requests` and `policy` as `KEY=VALUE`.

    Raises InputError where the deployment is impossible, does not divide the chips, or cannot hold the longest request.
    """
    refusal = deployment.refusal(architecture, chip, chips)
    if refusal:
        raise InputError(refusal, given=f"{deployment.label} on {chips} x {chip.id}")
    changes = policy_changes(policy)
    row = int(np.argmax(requests.prompt + requests.output))
    block_size = int(changes.get("block_size", 16))  # type: ignore[call-overload]
    own = engine(
        chip, architecture, precision, deployment, prompt=int(requests.prompt[row]), output=int(requests.output[row]), block_size=block_size
    )
    own = dataclasses.replace(own, policy=dataclasses.replace(own.policy, **changes))  # type: ignore[arg-type]
    return Fleet(
        chip=chip, chips=chips, deployment=deployment, engine=own, engines=chips // (deployment.tensor * deployment.pipeline)
    )  # fmt: skip


def fleets(
    chip: Chip, chips: int, architecture: Architecture, precision: str, requests: Requests, policy: Sequence[str] = ()
) -> list[Fleet]:
    """Every fleet of `deployments` without pipelines that holds the longest of `requests`; raises the last refusal where none does."""
    found: list[Fleet] = []
    last: InputError | None = None
    # What a replica spans is its own; the rest of the chips holds more of them.
    sizes = [size for size in range(1, chips + 1) if chips % size == 0]
    options = dict.fromkeys(
        one for size in sizes for one in deployments(architecture, chip, size) if one.pipeline == 1 and one.chips == size
    )
    for one in options:
        try:
            found.append(fleet(chip, chips, architecture, precision, one, requests, policy))
        except InputError as error:
            last = error
    if not found:
        raise last or InputError("no deployment divides the chips and the model's heads", given=f"{chips} x {chip.id}")
    return found


def best_fleet(candidates: Sequence[Fleet], requests: Requests, slo: Slo) -> Fleet:
    """The candidate under which most of the first `TRIED` requests keep `slo`; among equals that with the least time per token."""

    def score(one: Fleet) -> tuple[float, float]:
        count = min(TRIED, len(requests))
        users = None if requests.users is None else min(requests.users, count)
        outcome = simulate_fleet(one.engine, dealt(requests, slice(count), users), one.engines, records=False)
        kept = 0.0 if saturation(outcome).saturated else float(attained(outcome, slo).mean())
        return kept, -float(tpot(outcome).mean())

    usable = [one for one in candidates if requests.users is None or requests.users >= one.engines]
    if not usable:
        raise InputError("fewer users than engines in every deployment", given=requests.users)
    return max(usable, key=score)


def policy_changes(given: Sequence[str]) -> dict[str, object]:
    """Fields of `Policy` from `KEY=VALUE`.

    >>> policy_changes(["most_sequences=64", "prefix_caching=yes", "order=priority"])
    {'most_sequences': 64, 'prefix_caching': True, 'order': <Order.PRIORITY: 'priority'>}
    """
    keys = [field.name for field in dataclasses.fields(Policy)]
    found: dict[str, object] = {}
    for text in given:
        key, _, value = text.partition("=")
        if key not in keys:
            raise InputError(
                "unknown setting of the policy", given=text, allowed=[f"{name}=VALUE" for name in keys], hint=did_you_mean(key, keys)
            )
        found[key] = _setting(key, value)
    return found


def _setting(key: str, value: str) -> object:
    try:
        if key == "order":
            return Order(value)
        if key in SWITCHES:
            return {"yes": True, "no": False}[value]
        if key == "swap":
            return parse(value, Unit("s"))
        return int(value)
    except (ValueError, KeyError, InputError):
        allowed = {"order": " or ".join(Order), **dict.fromkeys(SWITCHES, "yes or no"), "swap": "a time for a block, such as 20us"}
        raise InputError(f"bad {key} of the policy", given=value, allowed=allowed.get(key, "a whole number")) from None
