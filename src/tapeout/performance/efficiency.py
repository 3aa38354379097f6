"""How much of its peak a chip achieves: a few sourced coefficients by generation, inherited along stated kinship.

`data/efficiencies.toml` holds, for each chip generation, what was fitted on measurements of it. What a generation lacks it takes
from its `kin`; each step of inheritance widens the band of a prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

from tapeout.errors import UnknownNameError, did_you_mean
from tapeout.provenance import DATA, Sourced, load_toml, read_facts
from tapeout.units import Dimensionless, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductEfficiency:
    """A matrix product: achieved fraction of the peak and of the memory bandwidth, and the time of an empty one."""

    compute: Sourced[Dimensionless]
    bandwidth: Sourced[Dimensionless]
    launch: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedEfficiency:
    """Grouped products of experts: compute and bandwidth relative to one product, and the time of an empty one with its routing.

    `unpacking` is the relative compute rate where weights are unpacked to a format that the chip has; `imbalance` the load of the
    busiest chip over the mean where experts are split.
    """

    compute: Sourced[Dimensionless]
    bandwidth: Sourced[Dimensionless]
    launch: Sourced[Seconds]
    unpacking: Sourced[Dimensionless]
    imbalance: Sourced[Dimensionless]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionEfficiency:
    """Attention: prefill by compute, decode by bandwidth (KV in 16 and in 8 bits); `decode_unit` per (sequence, KV head)."""

    prefill_compute: Sourced[Dimensionless]
    prefill_launch: Sourced[Seconds]
    decode_bandwidth: Sourced[Dimensionless]
    decode_bandwidth_8bit: Sourced[Dimensionless]
    decode_launch: Sourced[Seconds]
    decode_unit: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveEfficiency:
    """Collectives inside the scale-up domain: achieved fraction of the link, and latency with its growth per peer."""

    bandwidth: Sourced[Dimensionless]
    launch: Sourced[Seconds]
    per_peer: Sourced[Seconds]
    all_to_all_bandwidth: Sourced[Dimensionless]
    all_to_all_launch: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOverhead:
    """The serving stack: per step, per sequence in a step, per layer (small kernels), and per request before its first token.

    `memory_share` is the part of the memory that weights and KV cache may fill; `token_budget` the tokens of one step;
    `sequences` the most sequences of one step. `burst` is the part of a user's queue for the first answers that stays in the mean
    time to first token, since a measured closed loop starts with all users at once.
    """

    step: Sourced[Seconds]
    sequence: Sourced[Seconds]
    layer: Sourced[Seconds]
    request: Sourced[Seconds]
    memory_share: Sourced[Dimensionless]
    token_budget: Sourced[Dimensionless]
    sequences: Sourced[Dimensionless]
    burst: Sourced[Dimensionless]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Standard deviations of the logarithm of predicted over measured, set so that their 80 % band holds 80 % of the rows fitted on."""

    ttft: Sourced[Dimensionless]
    tpot: Sourced[Dimensionless]
    rate: Sourced[Dimensionless]


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """All coefficients of a generation. `distance` counts the steps of inheritance behind its `spread`, each of which widens it."""

    generation: str
    kin: str = ""
    spread: Spread | None = None
    products: dict[str, ProductEfficiency] = field(default_factory=dict)
    grouped: GroupedEfficiency | None = None
    attention: AttentionEfficiency | None = None
    collective: CollectiveEfficiency | None = None
    host: HostOverhead | None = None
    distance: int = 0


@cache
def efficiencies() -> dict[str, Efficiency]:
    """Coefficients by generation as the file states them, before inheritance."""
    table = load_toml(DATA / "efficiencies.toml")
    return {key: read_facts(Efficiency, entry, "efficiencies.toml", key, {"generation": key}) for key, entry in table.items()}


@cache
def efficiency(generation: str) -> Efficiency:
    """The coefficients of `generation`, completed from its kin; raises UnknownNameError for one that has none."""
    known = efficiencies()
    if generation not in known:
        raise UnknownNameError(
            "no efficiencies for this chip generation", given=generation, allowed=sorted(known), hint=did_you_mean(generation, known)
        )
    own = known[generation]
    if not own.kin:
        return own
    kin = efficiency(own.kin)
    return replace(
        own,
        spread=own.spread or kin.spread,
        products=kin.products | own.products,
        grouped=own.grouped or kin.grouped,
        attention=own.attention or kin.attention,
        collective=own.collective or kin.collective,
        host=own.host or kin.host,
        distance=kin.distance + (own.spread is None),
    )
