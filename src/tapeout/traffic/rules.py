"""What a command line says of traffic: a rule with a rate, such as `poisson:5` or `gamma:5:cv=3`, the name of a trace, or a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tapeout.errors import InputError, did_you_mean
from tapeout.traffic import arrivals
from tapeout.traffic.arrivals import Sampler
from tapeout.traffic.lengths import EmpiricalLengths, lengths_of
from tapeout.traffic.requests import Requests
from tapeout.traffic.synthetic import SHIPPED, shipped_trace
from tapeout.traffic.traces import read_trace
from tapeout.units import Dimensionless, QueriesPerSecond, Seconds, Unit, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How arrivals scatter: `variation` of the gaps, or `period` and `peak` over mean of a daily curve."""

    variation: Dimensionless = 2.0
    period: Seconds = 86_400.0
    peak: Dimensionless = 2.0


Rule = Callable[[int, QueriesPerSecond, Shape, Sampler, int], Requests]
RULES: Mapping[str, tuple[Rule, tuple[str, ...]]] = {
    "poisson": (lambda count, rate, _, lengths, seed: arrivals.poisson(count, rate, lengths, seed=seed), ()),
    "gamma": (lambda count, rate, shape, lengths, seed: arrivals.gamma(count, rate, shape.variation, lengths, seed=seed), ("cv",)),
    "weibull": (lambda count, rate, shape, lengths, seed: arrivals.weibull(count, rate, shape.variation, lengths, seed=seed), ("cv",)),
    "diurnal": (
        lambda count, rate, shape, lengths, seed: arrivals.diurnal(count, rate, shape.period, shape.peak, lengths, seed=seed),
        ("period", "peak"),
    ),
}
KEYS = {"cv": ("variation", Unit("1")), "period": ("period", Unit("s")), "peak": ("peak", Unit("1"))}
ALLOWED = f"a rule ({', '.join(f'{name}:RATE' for name in RULES)}), a trace ({', '.join(SHIPPED)}) or a file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests with the words for where they come from."""

    requests: Requests
    words: str


def traffic(text: str, lengths: Sampler | None, *, count: int | None, seed: int, speed: Dimensionless = 1.0) -> Traffic:
    """The requests that `text` describes: `count` of a rule with `lengths`, or the first `count` of a trace, `speed` times as fast.

    Raises InputError for rules and traces that do not exist, for lengths beside a trace, and for what the trace's file has wrong.
    """
    name, _, rest = text.partition(":")
    if name in RULES:
        if lengths is None:
            raise InputError("a rule needs lengths of prompts and answers")
        rate, shape = _parameters(text, name, rest)
        made = RULES[name][0](count or 1000, rate * speed, shape, lengths, seed)
        return Traffic(requests=made, words=text)
    path = _path(text, "unknown traffic", ALLOWED, did_you_mean(name, [*RULES, *SHIPPED]))
    if lengths is not None:
        raise InputError("a trace has lengths of its own", given=text, hint="leave the lengths out, or give a rule such as poisson:5")
    found = read_trace(path, most=count)
    omitted = f", {found.omitted} failed requests left out" if found.omitted else ""
    return Traffic(requests=arrivals.faster(found.requests, speed), words=f"{path.name} ({found.format}{omitted})")


def lengths_in(text: str) -> EmpiricalLengths:
    """The lengths of the trace or file that `text` names, to be drawn for arrivals by rule; raises InputError where there is none."""
    allowed = f"a trace ({', '.join(SHIPPED)}) or a file"
    return lengths_of(read_trace(_path(text, "unknown lengths", allowed, did_you_mean(text, SHIPPED))).requests)


def _path(text: str, what: str, allowed: str, hint: str | None) -> Path:
    if text in SHIPPED:
        return shipped_trace(text)
    path = Path(text)
    if not path.exists():
        raise InputError(what, given=text, allowed=allowed, hint=hint)
    return path


def _parameters(text: str, name: str, rest: str) -> tuple[QueriesPerSecond, Shape]:
    """The rate and the shape in `RATE[:KEY=VALUE...]`."""
    first, *others = rest.split(":")
    keys = RULES[name][1]
    allowed = f"{name}:RATE" + "".join(f"[:{key}=VALUE]" for key in keys)
    try:
        rate = float(first)
    except ValueError:
        raise InputError("the traffic has no rate in requests/s", given=text, allowed=allowed) from None
    shape: dict[str, float] = {}
    for part in others:
        key, _, value = part.partition("=")
        if key not in keys:
            raise InputError(f"unknown setting {key!r} of {name}", given=text, allowed=allowed, hint=did_you_mean(key, keys))
        field, unit = KEYS[key]
        try:
            shape[field] = float(value) if unit == Unit("1") else parse(value, unit)
        except (ValueError, InputError):
            raise InputError(f"bad {key}", given=text, allowed="a number" if unit == Unit("1") else "a time such as 24h") from None
    return rate, Shape(**shape)
