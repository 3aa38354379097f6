"""What a command line says of a cluster: routing, autoscaling, failures and drafts, as short texts with colons."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tapeout.errors import InputError, did_you_mean
from tapeout.serving.cluster import Autoscaling, Routing
from tapeout.units import Dimensionless, Seconds, Unit, parse

INTERVAL: Seconds = 15.0
PATIENCE: Seconds = 300.0
"""How often the load is looked at, and how long it must have been low before replicas go: as the horizontal autoscaler of Kubernetes
does unless told otherwise."""
ROUTINGS = {routing.value.replace(" ", "-"): routing for routing in Routing}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """Drafts of `tokens` tokens, each accepted with the same chance if all before it were; `model` proposes them, if any."""

    tokens: int
    chance: Dimensionless
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outages:
    """Mean time between two failures of a replica, and how long it then takes to restart."""

    between: Seconds
    restart: Seconds


def routing(text: str) -> Routing:
    """The routing of that name.

    >>> routing("least-loaded")
    <Routing.LEAST_LOADED: 'least loaded'>
    """
    if text not in ROUTINGS:
        raise InputError("unknown routing", given=text, allowed=list(ROUTINGS), hint=did_you_mean(text, ROUTINGS))
    return ROUTINGS[text]


def autoscaling(text: str) -> Autoscaling:
    """Bounds and target in `LEAST:MOST:TARGET:START_UP`.

    >>> autoscaling("1:8:32:2min").start_up
    120.0
    """
    least, most, target, start_up = _parts(text, "--autoscale", "LEAST:MOST:TARGET:START_UP such as 1:8:32:2min", 4)
    return Autoscaling(
        least=_whole("the least replicas", least), most=_whole("the most replicas", most),
        target=_number("the requests of a replica", target), interval=INTERVAL, start_up=_time("the start-up", start_up), patience=PATIENCE,
    )  # fmt: skip


def outages(text: str) -> Outages:
    """Times in `BETWEEN:RESTART`.

    >>> outages("100h:10min")
    Outages(between=360000.0, restart=600.0)
    """
    between, restart = _parts(text, "--failures", "BETWEEN:RESTART such as 100h:10min", 2)
    return Outages(between=_time("the time between failures", between), restart=_time("the time to restart", restart))


def drafts(text: str) -> Drafts:
    """Drafts in `TOKENS:CHANCE[:MODEL]`; raises InputError where there is no token, or a chance that is none.

    >>> drafts("3:0.7")
    Drafts(tokens=3, chance=0.7, model=None)
    """
    tokens, chance, *model = _parts(text, "--speculate", "TOKENS:CHANCE[:DRAFT_MODEL] such as 3:0.7", 2, 3)
    found = Drafts(tokens=_whole("the tokens of a draft", tokens), chance=_number("the chance", chance), model=model[0] if model else None)
    if found.tokens < 1:
        raise InputError("a draft has at least 1 token", given=text)
    if not 0 <= found.chance <= 1:
        raise InputError("the chance that a token of a draft is accepted is a share", given=text, allowed="0 to 1")
    return found


def split(text: str) -> tuple[int, int]:
    """Chips for prompts and for what follows in `PREFILL:DECODE`.

    >>> split("2:6")
    (2, 6)
    """
    prefill, decode = (
        _whole("the chips", part) for part in _parts(text, "--disaggregate", "PREFILL:DECODE in chips, such as 4:4", 2)
    )  # fmt: skip
    if min(prefill, decode) < 1:
        raise InputError("--disaggregate leaves a side without chips", given=text, allowed="1 or more on both sides")
    return prefill, decode


def _parts(text: str, option: str, allowed: str, least: int, most: int | None = None) -> list[str]:
    parts = [part.strip() for part in text.split(":", (most or least) - 1)]
    if not least <= len(parts) <= (most or least) or not all(parts):
        raise InputError(f"cannot read {option}", given=text, allowed=allowed)
    return parts


def _whole(what: str, text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"{what} must be a whole number", given=text)
    return int(text)


def _number(what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{what} must be a number", given=text)
    return value


def _time(what: str, text: str) -> Seconds:
    try:
        return parse(text, Unit("s"))
    except InputError:
        raise InputError(f"{what} must be a time", given=text, allowed="a time such as 10min") from None
