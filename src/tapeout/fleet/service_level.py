"""Service levels: limits on latencies with the share of requests that must keep them, by name or as `2s/50ms`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tapeout.errors import InputError, UnknownNameError, did_you_mean
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.serving.metrics import Slo
from tapeout.units import Dimensionless, Seconds, Unit, parse
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model

FILE = "service-levels.toml"
ATTAINMENT: Dimensionless = 0.9
"""The share of requests that must keep limits given without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """Limits meant for one model, or for any where `model` is None."""

    ttft: Sourced[Seconds]
    tpot: Sourced[Seconds]
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Limits by model under one name."""

    title: str
    attainment: Sourced[Dimensionless]
    limits: tuple[ModelLimits, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevel:
    """Limits and the share of requests that must keep them; `name` is how they were asked for."""

    name: str
    slo: Slo
    attainment: Dimensionless = ATTAINMENT

    def __post_init__(self) -> None:
        if not 0 < self.attainment <= 1:
            raise InputError("the attainment is a share of the requests", given=self.attainment, allowed="above 0, at most 1")


@cache
def presets() -> dict[str, Preset]:
    """All named limits, from `data/service-levels.toml`."""
    return {name: read_facts(Preset, table, FILE, name) for name, table in load_toml(DATA / FILE).items()}


def service_level(text: str, architecture: Architecture) -> ServiceLevel:
    """The limits that `text` asks for: a preset, whose limits for the model count, or times to first and per further token.

    >>> service_level("2s/50ms", model("meta-llama/Llama-3.1-8B")).slo
    Slo(ttft=2.0, tpot=0.05)
    >>> service_level("mlperf-server", model("meta-llama/Llama-3.1-405B-Instruct")).slo.ttft
    6.0
    """
    if "/" in text:
        first, _, later = text.partition("/")
        return ServiceLevel(name=text, slo=Slo(ttft=_limit(first, text), tpot=_limit(later, text)))
    if text not in presets():
        raise UnknownNameError(
            "unknown service level",
            given=text,
            allowed=f"{', '.join(presets())}, or limits such as 2s/50ms",
            hint=did_you_mean(text, presets()),
        )
    preset = presets()[text]
    for limits in preset.limits:
        # Variants of one model share its shape, and a benchmark's limits are meant for the shape.
        if limits.model is None or model(limits.model).groups == architecture.groups:
            slo = Slo(ttft=limits.ttft.value, tpot=limits.tpot.value)
            return ServiceLevel(name=text, slo=slo, attainment=preset.attainment.value)
    raise InputError(
        f"{text} has no limits for {architecture.name}", allowed=[limits.model or "any" for limits in preset.limits],
        hint="give them as times, such as 2s/50ms",
    )  # fmt: skip


def _limit(part: str, text: str) -> Seconds | None:
    if part.strip().lower() == "none":
        return None
    try:
        value = parse(part, Unit("s"))
    except InputError:
        value = 0.0
    if value <= 0:
        raise InputError("bad limits", given=text, allowed="TTFT/TPOT such as 2s/50ms, with none for no limit")
    return value
