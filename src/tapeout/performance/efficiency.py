"""How much of its peak a chip achieves: a few sourced coefficients by generation, inherited along stated kinship.

`data/efficiencies.toml` holds, for each chip generation, what was fitted on measurements of it. What a generation lacks it takes
from its `kin`; each step of inheritance widens the band of a prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from tapeout.errors import FactError, Place, UnknownNameError, did_you_mean
from tapeout.hardware.chip import NumberFormat
from tapeout.provenance import DATA, Sourced, facts_within, load_toml, read_facts
from tapeout.units import Bytes, Dimensionless, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductEfficiency:
    """A matrix product in one format: achieved fraction of the peak and of the memory bandwidth, and the time of an empty one.

    `per_inner` is a time for each element of the sums, which a compute unit passes one after the other. `inputs` and `outputs` are bytes
    moved for each element of the activations and of the result beside the product: to convert into the format and back, to scale.
    """

    compute: Sourced[Dimensionless]
    bandwidth: Sourced[Dimensionless]
    launch: Sourced[Seconds]
    per_inner: Sourced[Seconds]
    inputs: Sourced[Bytes]
    outputs: Sourced[Bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedEfficiency:
    """One of the two grouped products of experts with weights in one format; `fp4-unpacked` where the chip lacks it.

    Achieved fraction of the peak in the format computed in and of the memory bandwidth, and the time of an empty one. `activations`
    are bytes moved beside the product for each element of its activations: gathered by expert, converted, scattered back; `token` is a
    time for each token that is sorted to its experts.
    """

    compute: Sourced[Dimensionless]
    bandwidth: Sourced[Dimensionless]
    launch: Sourced[Seconds]
    activations: Sourced[Bytes]
    token: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingEfficiency:
    """Experts as a whole: `imbalance` is the load of the busiest chip over the mean where experts are split.

    `unpacking` is the compute rate relative to that of bf16 weights where weights are unpacked to bf16 and their format was not fitted.
    """

    imbalance: Sourced[Dimensionless]
    unpacking: Sourced[Dimensionless]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionEfficiency:
    """Attention: prefill by compute (products in 16 and in 8 bits), decode by compute and bandwidth (KV in 16 and in 8 bits).

    `prefill_softmax` is what the exponential of a pair costs, in elements of a head; `prefill_tile` the keys that a query meets
    beyond its own, since tiles cross the causal diagonal. `*_unit` are times per (sequence, head), in decode per (sequence, KV head);
    `*_token` per token of the longest sequence, which is passed one after the other. `decode_outputs` are bytes moved beside the keys
    per byte of queries and outputs, which are kept in parts and joined.
    """

    prefill_compute: Sourced[Dimensionless]
    prefill_compute_8bit: Sourced[Dimensionless]
    prefill_softmax: Sourced[Dimensionless]
    prefill_tile: Sourced[Dimensionless]
    prefill_unit: Sourced[Seconds]
    prefill_token: Sourced[Seconds]
    prefill_launch: Sourced[Seconds]
    decode_compute: Sourced[Dimensionless]
    decode_bandwidth: Sourced[Dimensionless]
    decode_bandwidth_8bit: Sourced[Dimensionless]
    decode_outputs: Sourced[Dimensionless]
    decode_unit: Sourced[Seconds]
    decode_token: Sourced[Seconds]
    decode_launch: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseEfficiency:
    """Sparse attention: index scores by the 8-bit peak and by bandwidth, the search for the best, and prompts that meet what was chosen.

    `index_launch` holds the small kernels of an indexer too; `index_entry` is a time for each scored entry of a sequence, which the
    search passes one after the other. Prefill meets its choice at `attention_compute` of the peak, after `attention_query` a query.
    """

    index_compute: Sourced[Dimensionless]
    index_bandwidth: Sourced[Dimensionless]
    index_launch: Sourced[Seconds]
    index_entry: Sourced[Seconds]
    attention_compute: Sourced[Dimensionless]
    attention_query: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentEfficiency:
    """Layers that keep a state: prefill by compute and by `token` of the longest sequence, one after the other; decode by bandwidth.

    `launch` is the time of an empty decode step, `prefill_launch` that of the chain of kernels that takes a prompt.
    """

    compute: Sourced[Dimensionless]
    bandwidth: Sourced[Dimensionless]
    launch: Sourced[Seconds]
    prefill_launch: Sourced[Seconds]
    token: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveEfficiency:
    """One kind of collective inside the scale-up domain: achieved fraction of the link, and latency with its growth per peer.

    `chunk` is the latency of one chunk: a message cut into n chunks takes its bytes' time T and T / n + n chunk more, at best
    2 sqrt(T chunk).
    """

    bandwidth: Sourced[Dimensionless]
    launch: Sourced[Seconds]
    per_peer: Sourced[Seconds]
    chunk: Sourced[Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOverhead:
    """The serving stack: per step, per layer (small kernels), and per request before its first token.

    Beside the chip, and counted only where it is slower, the host works `sequence` on each sequence of a step and, in a step with
    prompts, which is not captured as a graph, `dispatch` on the launch of each operator.
    `reserved` is the share of a sequence's tokens still to come for which the scheduler keeps memory free, on average over a sequence.
    `memory_share` is the part of the memory that weights and KV cache may fill; `token_budget` the tokens of one step;
    `sequences` the most sequences of one step. `burst` is the part of a user's queue for the first answers that stays in the mean
    time to first token, since a measured closed loop starts with all users at once.
    """

    step: Sourced[Seconds]
    sequence: Sourced[Seconds]
    layer: Sourced[Seconds]
    request: Sourced[Seconds]
    dispatch: Sourced[Seconds]
    reserved: Sourced[Dimensionless]
    memory_share: Sourced[Dimensionless]
    token_budget: Sourced[Dimensionless]
    sequences: Sourced[Dimensionless]
    burst: Sourced[Dimensionless]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Standard deviations of the logarithm of predicted over measured, set so that their 80 % band holds 80 % of the rows fitted on.

    `chips` are those fitted on; a chip beside them is wider by `widening`, and so is each step of inheritance.
    """

    ttft: Sourced[Dimensionless]
    tpot: Sourced[Dimensionless]
    rate: Sourced[Dimensionless]
    widening: Sourced[Dimensionless]
    chips: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """All coefficients of a generation. `distance` counts the steps of inheritance behind its `spread`, each of which widens it."""

    generation: str
    kin: str = ""
    spread: Spread | None = None
    products: dict[str, ProductEfficiency] = field(default_factory=dict)
    grouped: dict[str, GroupedEfficiency] = field(default_factory=dict)
    routing: RoutingEfficiency | None = None
    attention: AttentionEfficiency | None = None
    latent: AttentionEfficiency | None = None
    collective: dict[str, CollectiveEfficiency] = field(default_factory=dict)
    host: HostOverhead | None = None
    sparse: SparseEfficiency | None = None
    recurrent: RecurrentEfficiency | None = None
    distance: int = 0


FORMATS = tuple(NumberFormat)
UNPACKED = tuple(f"{name}-unpacked" for name in FORMATS)
"""Weights that a chip unpacks, since it does not compute in their format."""
COLLECTIVES = ("all_reduce", "gather", "all_to_all")
"""Kinds of collectives with coefficients of their own; all-gather and reduce-scatter move the same bytes."""

Table = Mapping[str, Efficiency]
"""Coefficients by generation as a file states them, before inheritance."""


@cache
def efficiencies() -> Table:
    """The coefficients that ship with the package."""
    return read_efficiencies(DATA / "efficiencies.toml")


@cache
def operator_efficiencies() -> Table:
    """The coefficients before their serving side was fitted to published results: where that fit begins."""
    return read_efficiencies(DATA / "operator-efficiencies.toml")


def read_efficiencies(path: Path) -> Table:
    """The coefficients in the file at `path`, which has the form of `data/efficiencies.toml`.

    Raises FactError, naming file and field, for a file of another form, kin that are not in it or lead back, and impossible numbers.
    """
    entries = load_toml(path)
    if not entries:
        raise FactError("the file has no coefficients", place=Place(file=str(path)), allowed="a table for each generation")
    for key, entry in entries.items():
        if not isinstance(entry, dict):
            raise FactError(
                "wrong type or value", place=Place(file=str(path), path=key), given=entry, allowed="a table for each generation"
            )
    table = {key: read_facts(Efficiency, entry, str(path), key, {"generation": key}) for key, entry in entries.items()}
    for key, found in table.items():
        _check_numbers(found, path)
        _check_kin(key, table, path)
    return table


RATES = ("compute", "bandwidth", "memory_share", "token_budget", "sequences", "imbalance", "unpacking")
"""Words in the names of coefficients that multiply or divide a rate or a capacity."""


def _check_numbers(found: Efficiency, path: Path) -> None:
    for section, names in (("products", FORMATS), ("grouped", (*FORMATS, *UNPACKED)), ("collective", COLLECTIVES)):
        for name in getattr(found, section):
            if name not in names:
                place, what = (
                    Place(file=str(path), path=f"{found.generation}.{section}.{name}"),
                    "collective" if section == "collective" else "number format",
                )
                raise FactError(f"unknown {what}", place=place, given=name, allowed=names, hint=did_you_mean(name, names))
    for name, fact in facts_within(found):
        # A rate of nothing would take for ever; a time of nothing is possible.
        least = "above 0" if any(word in name.rpartition(".")[2] for word in RATES) else "at least 0"
        if fact.low < 0 or (fact.low == 0 and least == "above 0"):
            raise FactError(
                "impossible number", place=Place(file=str(path), path=f"{found.generation}.{name}"), given=fact.low, allowed=least
            )


def _check_kin(generation: str, table: Table, path: Path) -> None:
    place, passed = Place(file=str(path), path=f"{generation}.kin"), [generation]
    while table[passed[-1]].kin:
        kin = table[passed[-1]].kin
        if kin not in table:
            raise FactError("unknown generation", place=place, given=kin, allowed=sorted(table), hint=did_you_mean(kin, table))
        if kin in passed:
            raise FactError("kin lead back to where they began", place=place, given=" -> ".join([*passed, kin]))
        passed.append(kin)
    if not any(NumberFormat.BF16 in table[name].products for name in passed):
        raise FactError("neither it nor its kin have products.bf16", place=Place(file=str(path), path=generation), given=", ".join(passed))


def lineage(generation: str, table: Table) -> list[str]:
    """`generation` and its kin, nearest first."""
    found = [generation]
    while table[found[-1]].kin:
        found.append(table[found[-1]].kin)
    return found


def efficiency(generation: str, table: Table) -> Efficiency:
    """The coefficients of `generation`, completed from its kin; raises UnknownNameError for one that has none.

    >>> efficiency("tpu-v5e", efficiencies()).distance
    2
    """
    if generation not in table:
        raise UnknownNameError(
            "no efficiencies for this chip generation", given=generation, allowed=sorted(table), hint=did_you_mean(generation, table)
        )
    own = table[generation]
    if not own.kin:
        return own
    kin = efficiency(own.kin, table)
    return replace(
        own,
        spread=own.spread or kin.spread,
        products={**kin.products, **own.products},
        grouped={**kin.grouped, **own.grouped},
        routing=own.routing or kin.routing,
        attention=own.attention or kin.attention,
        latent=own.latent or kin.latent,
        collective={**kin.collective, **own.collective},
        host=own.host or kin.host,
        sparse=own.sparse or kin.sparse,
        recurrent=own.recurrent or kin.recurrent,
        distance=kin.distance + (own.spread is None),
    )
