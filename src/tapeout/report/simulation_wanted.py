"""What the command line says of a simulation, and the traffic that it asks for."""

from __future__ import annotations

from dataclasses import dataclass

from tapeout.errors import InputError
from tapeout.fleet.cluster_settings import Drafts, Outages
from tapeout.hardware import catalog
from tapeout.hardware.chip import Chip
from tapeout.serving.cluster import Autoscaling, Routing
from tapeout.traffic.arrivals import Sampler, closed_loop
from tapeout.traffic.rules import RULES, Traffic, lengths_in, traffic
from tapeout.units import Dimensionless
from tapeout.workload.traffic import Lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line says; `parallel` is (tp, pp, ep, dp), None to choose; `lengths` names a trace to draw them from.

    `split` are chips for prompts and for what follows, whose tensor parallelism may be another, `decode_tensor`.
    """

    model: str
    on: tuple[str, ...]
    traffic: str = ""
    users: int | None = None
    slo: str = "common"
    precision: str = "fp8"
    prompt: int | None = None
    output: int | None = None
    lengths: str | None = None
    requests: int | None = None
    speed: Dimensionless = 1.0
    seed: int = 1
    parallel: tuple[int, int, int, int] | None = None
    policy: tuple[str, ...] = ()
    routing: Routing = Routing.LEAST_LOADED
    split: tuple[int, int] | None = None
    decode_tensor: int | None = None
    drafts: Drafts | None = None
    autoscaling: Autoscaling | None = None
    outages: Outages | None = None
    noise: Dimensionless = 0.0


def chips_on(text: str) -> tuple[Chip, int]:
    """The chip and the number of them in `CHIP:N`.

    >>> chips_on("nvidia-h100-sxm:8")[1]
    8
    """
    name, colon, number = text.rpartition(":")
    if not colon:
        name, number = text, "1"
    if not (number.isdecimal() and int(number) >= 1):
        raise InputError("--on has no number of chips", given=text, allowed="CHIP:N such as nvidia-h100-sxm:8")
    return catalog.chip(name), int(number)


def wanted_traffic(wanted: Wanted, seed: int) -> Traffic:
    """The requests that are asked for; raises InputError where what says them is missing or said twice."""
    if (wanted.users is None) == (not wanted.traffic):
        raise InputError("give either --traffic or --users")
    lengths = _lengths(wanted)
    if wanted.users is not None:
        loop = closed_loop(wanted.requests or 1000, wanted.users, lengths, seed=seed)
        return Traffic(requests=loop, words=f"{wanted.users} users in a closed loop{_of(wanted)}")
    chosen = lengths if is_rule(wanted) or wanted.prompt or wanted.output or wanted.lengths else None
    found = traffic(wanted.traffic, chosen, count=wanted.requests, seed=seed, speed=wanted.speed)
    return Traffic(requests=found.requests, words=found.words + _of(wanted))


def _of(wanted: Wanted) -> str:
    return f", lengths of {wanted.lengths}" if wanted.lengths else ""


def _lengths(wanted: Wanted) -> Sampler:
    if wanted.lengths is None:
        return Lengths(prompt=wanted.prompt or 1024, output=wanted.output or 256)
    if wanted.prompt or wanted.output:
        raise InputError("give either --lengths or --isl and --osl")
    return lengths_in(wanted.lengths)


def is_rule(wanted: Wanted) -> bool:
    """Whether the traffic is by rule, so that another seed gives another of its kind."""
    return wanted.traffic.partition(":")[0] in RULES
