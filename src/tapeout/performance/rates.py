"""What a chip achieves at a precision: its peaks times its efficiencies, gathered into arrays over cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip, NumberFormat, Topology
from tapeout.performance.efficiency import Efficiency, efficiency
from tapeout.units import Unit
from tapeout.workload.numerics import FORMAT_BYTES, Format, Numerics

Array = NDArray[np.float64]
FlopRates = Annotated[Array, Unit("FLOP/s")]
ByteRates = Annotated[Array, Unit("B/s")]
Times = Annotated[Array, Unit("s")]
ByteNumbers = Annotated[Array, Unit("B")]
Numbers = Annotated[Array, Unit("1")]
T = TypeVar("T")

SCALE_OUT_SHARE = 0.125
"""Bandwidth beyond the scale-up domain as a share of the scale-up link where a chip file does not give it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Achieved rates and overheads by case; products by role: `linear_*`, `expert_*`, `head_*`."""

    linear_flops: FlopRates
    linear_bytes: ByteRates
    linear_launch: Times
    linear_size: ByteNumbers
    expert_flops: FlopRates
    expert_bytes: ByteRates
    expert_launch: Times
    expert_size: ByteNumbers
    imbalance: Numbers
    head_flops: FlopRates
    head_bytes: ByteRates
    head_launch: Times
    head_size: ByteNumbers
    prefill_flops: FlopRates
    prefill_launch: Times
    decode_flops: FlopRates
    decode_bytes: ByteRates
    decode_launch: Times
    decode_unit: Times
    cache_size: ByteNumbers
    memory_bytes: ByteRates
    link_bytes: ByteRates
    link_launch: Times
    link_peer: Times
    all_to_all_bytes: ByteRates
    all_to_all_launch: Times
    scale_out_bytes: ByteRates
    domain: Numbers
    hops: Numbers
    host_step: Times
    host_sequence: Times
    host_layer: Times
    host_request: Times
    capacity: ByteNumbers
    token_budget: Numbers
    most_sequences: Numbers
    burst: Numbers
    ttft_spread: Numbers
    tpot_spread: Numbers
    rate_spread: Numbers
    power: Annotated[Array, Unit("W")]

    def take(self, rows: NDArray[np.int64]) -> Rates:
        """The rows `rows`, in that order."""
        return Rates(**{field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)})


_CHIP_FORMAT = {
    Format.FP32: NumberFormat.FP32,
    Format.BF16: NumberFormat.BF16,
    Format.FP8: NumberFormat.FP8,
    Format.INT8: NumberFormat.INT8,
    Format.FP4: NumberFormat.FP4,
}


def compute_format(chip: Chip, weights: Format) -> NumberFormat:
    """The format in which `chip` multiplies weights stored as `weights`: the same, or bf16 after unpacking where it lacks it.

    Raises InputError for a chip that has neither.
    """
    for candidate in (_CHIP_FORMAT[weights], NumberFormat.BF16):
        if candidate in chip.peak:
            return candidate
    raise InputError(f"{chip.id} computes neither in {weights.name.lower()} nor in bf16", allowed=sorted(chip.peak))


def rates(pairs: Sequence[tuple[Chip, Numerics]]) -> Rates:
    """Rates of several (chip, numerics) pairs, one after the other."""
    rows = [_row(chip, numerics) for chip, numerics in pairs]
    return Rates(**{name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]})


def _row(chip: Chip, numerics: Numerics) -> dict[str, float]:
    found = efficiency(chip.generation)
    return _products(chip, numerics, found) | _attention(chip, numerics, found) | _network(chip, found) | _host(chip, found)


def _products(chip: Chip, numerics: Numerics, found: Efficiency) -> dict[str, float]:
    grouped = _required(found.grouped, chip)
    row = {"imbalance": grouped.imbalance.value}
    for name, weights in (("linear", numerics.linear), ("expert", numerics.expert), ("head", numerics.head)):
        computed = compute_format(chip, weights)
        product = found.products.get(computed) or found.products["bf16"]
        unpacking = 1.0 if computed == _CHIP_FORMAT[weights] else grouped.unpacking.value
        row[f"{name}_flops"] = chip.peak[computed].value * product.compute.value * unpacking
        row[f"{name}_bytes"] = chip.memory.bandwidth.value * product.bandwidth.value
        row[f"{name}_launch"] = product.launch.value
        row[f"{name}_size"] = FORMAT_BYTES[weights]
    row["expert_flops"] *= grouped.compute.value
    row["expert_bytes"] *= grouped.bandwidth.value
    row["expert_launch"] = grouped.launch.value
    return row


def _attention(chip: Chip, numerics: Numerics, found: Efficiency) -> dict[str, float]:
    attention = _required(found.attention, chip)
    peak = chip.peak[compute_format(chip, numerics.attention)].value
    narrow = FORMAT_BYTES[numerics.kv_cache] < FORMAT_BYTES[Format.BF16]
    share = attention.decode_bandwidth_8bit if narrow else attention.decode_bandwidth
    return {
        "prefill_flops": peak * attention.prefill_compute.value,
        "prefill_launch": attention.prefill_launch.value,
        "decode_flops": peak,
        "decode_bytes": chip.memory.bandwidth.value * share.value,
        "decode_launch": attention.decode_launch.value,
        "decode_unit": attention.decode_unit.value,
        "cache_size": FORMAT_BYTES[numerics.kv_cache],
        "memory_bytes": chip.memory.bandwidth.value * found.products["bf16"].bandwidth.value,
    }


def _network(chip: Chip, found: Efficiency) -> dict[str, float]:
    collective = _required(found.collective, chip)
    link = chip.scale_up.bandwidth.value
    scale_out = chip.scale_out.value if chip.scale_out else link * SCALE_OUT_SHARE
    return {
        "link_bytes": link * collective.bandwidth.value,
        "link_launch": collective.launch.value,
        "link_peer": collective.per_peer.value,
        "all_to_all_bytes": link * collective.all_to_all_bandwidth.value,
        "all_to_all_launch": collective.all_to_all_launch.value,
        "scale_out_bytes": scale_out * collective.bandwidth.value,
        "domain": chip.scale_up.domain,
        "hops": _HOPS[chip.scale_up.topology],
    }


_HOPS = {Topology.SWITCH: 0.0, Topology.MESH: 0.0, Topology.PCIE: 0.0, Topology.RING: 1.0, Topology.TORUS_2D: 0.5, Topology.TORUS_3D: 1 / 3}
"""Exponent of the peers by which latency grows: a switch or mesh reaches every peer at once, a ring passes all, a torus one side."""


def _host(chip: Chip, found: Efficiency) -> dict[str, float]:
    host = _required(found.host, chip)
    spread, wider = _required(found.spread, chip), INHERITED_SPREAD**found.distance
    return {
        "host_step": host.step.value,
        "host_sequence": host.sequence.value,
        "host_layer": host.layer.value,
        "host_request": host.request.value,
        "capacity": chip.memory.capacity.value * host.memory_share.value,
        "token_budget": host.token_budget.value,
        "most_sequences": host.sequences.value,
        "burst": host.burst.value,
        "ttft_spread": spread.ttft.value * wider,
        "tpot_spread": spread.tpot.value * wider,
        "rate_spread": spread.rate.value * wider,
        "power": chip.power.value,
    }


INHERITED_SPREAD = 1.4
"""Factor on the spread of a prediction for each step of inheritance between generations; a guess until a left-out fit replaces it."""


def _required(part: T | None, chip: Chip) -> T:
    if part is None:
        raise InputError(f"efficiencies of generation {chip.generation!r} are incomplete", given=chip.id)
    return part
