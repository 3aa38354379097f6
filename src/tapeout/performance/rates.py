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
from tapeout.performance.efficiency import COLLECTIVES, AttentionEfficiency, Efficiency, RoutingEfficiency, Table, efficiencies, efficiency
from tapeout.units import Unit
from tapeout.workload.numerics import FORMAT_BYTES, Format, Numerics

Array = NDArray[np.float64]
FlopRates = Annotated[Array, Unit("FLOP/s")]
ByteRates = Annotated[Array, Unit("B/s")]
Times = Annotated[Array, Unit("s")]
ByteNumbers = Annotated[Array, Unit("B")]
Numbers = Annotated[Array, Unit("1")]
TokenNumbers = Annotated[Array, Unit("token")]
T = TypeVar("T")

SCALE_OUT_SHARE = 0.125
"""Bandwidth beyond the scale-up domain as a share of the scale-up link where a chip file does not give it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Achieved rates and overheads by case; products by role: `linear_*`, `expert_*`, `head_*`; attention on a rank: `latent_*`.

    `*_inner`, `*_input`, `*_output`, `*_activation` are seconds per element, `*_token`, `*_unit`, `*_peer` per token, unit and peer.
    `*_bytes` of collectives are those of the link inside the scale-up domain, `*_out_bytes` those beyond it.
    """

    linear_flops: FlopRates
    linear_bytes: ByteRates
    linear_launch: Times
    linear_inner: Times
    linear_input: Times
    linear_output: Times
    linear_size: ByteNumbers
    expert_flops: FlopRates
    expert_bytes: ByteRates
    expert_launch: Times
    expert_activation: Times
    expert_token: Times
    expert_size: ByteNumbers
    imbalance: Numbers
    head_flops: FlopRates
    head_bytes: ByteRates
    head_launch: Times
    head_inner: Times
    head_input: Times
    head_output: Times
    head_size: ByteNumbers
    prefill_flops: FlopRates
    prefill_softmax: Numbers
    prefill_tile: TokenNumbers
    prefill_unit: Times
    prefill_token: Times
    prefill_launch: Times
    decode_flops: FlopRates
    decode_bytes: ByteRates
    decode_output: Times
    decode_unit: Times
    decode_token: Times
    decode_launch: Times
    latent_prefill_flops: FlopRates
    latent_prefill_softmax: Numbers
    latent_prefill_tile: TokenNumbers
    latent_prefill_unit: Times
    latent_prefill_token: Times
    latent_prefill_launch: Times
    latent_decode_flops: FlopRates
    latent_decode_bytes: ByteRates
    latent_decode_output: Times
    latent_decode_unit: Times
    latent_decode_token: Times
    latent_decode_launch: Times
    cache_size: ByteNumbers
    memory_bytes: ByteRates
    all_reduce_bytes: ByteRates
    all_reduce_out_bytes: ByteRates
    all_reduce_launch: Times
    all_reduce_peer: Times
    all_reduce_chunk: Times
    gather_bytes: ByteRates
    gather_out_bytes: ByteRates
    gather_launch: Times
    gather_peer: Times
    gather_chunk: Times
    all_to_all_bytes: ByteRates
    all_to_all_out_bytes: ByteRates
    all_to_all_launch: Times
    all_to_all_peer: Times
    all_to_all_chunk: Times
    domain: Numbers
    hops: Numbers
    host_step: Times
    host_sequence: Times
    host_layer: Times
    host_request: Times
    host_dispatch: Times
    reserved: Numbers
    capacity: ByteNumbers
    token_budget: Numbers
    most_sequences: Numbers
    burst: Numbers
    ttft_spread: Numbers
    tpot_spread: Numbers
    rate_spread: Numbers
    power: Annotated[Array, Unit("W")]
    index_flops: FlopRates
    index_bytes: ByteRates
    index_launch: Times
    index_entry: Times
    sparse_flops: FlopRates
    sparse_query: Times
    recurrent_flops: FlopRates
    recurrent_bytes: ByteRates
    recurrent_launch: Times
    recurrent_prefill_launch: Times
    recurrent_token: Times

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
    wanted = dict.fromkeys((_CHIP_FORMAT[weights], NumberFormat.BF16))
    raise InputError(f"{chip.id} has no peak in {' nor in '.join(wanted)}", given=", ".join(sorted(chip.peak)))


def grouped_format(chip: Chip, weights: Format) -> str:
    """The name under which grouped products of `weights` are fitted for `chip`: the format, or that it is unpacked."""
    stored = _CHIP_FORMAT[weights]
    return stored if stored in chip.peak else f"{stored}-unpacked"


def emulation(chip: Chip, found: Numerics) -> str:
    """Which weights `chip` unpacks because it lacks their format, in words; empty where it has them all."""
    weights = dict.fromkeys((found.linear, found.expert, found.head))
    lacking = [one for one in weights if compute_format(chip, one) != _CHIP_FORMAT[one]]
    return "; ".join(f"{_CHIP_FORMAT[one]} weights unpacked to bf16: the chip has no {_CHIP_FORMAT[one]}" for one in lacking)


def rates(pairs: Sequence[tuple[Chip, Numerics]], table: Table | None = None) -> Rates:
    """Rates of several (chip, numerics) pairs, one after the other; by the coefficients in `table`, or by those that ship."""
    coefficients = efficiencies() if table is None else table
    rows = [_row(chip, numerics, coefficients) for chip, numerics in pairs]
    return Rates(**{name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]})


def _row(chip: Chip, numerics: Numerics, table: Table) -> dict[str, float]:
    found = efficiency(chip.generation, table)
    parts = _products(chip, numerics, found) | _attention(chip, numerics, found) | _network(chip, found) | _host(chip, found)
    return parts | _sparse(chip, numerics, found) | _recurrent(chip, numerics, found)


def _products(chip: Chip, numerics: Numerics, found: Efficiency) -> dict[str, float]:
    routing, memory = _required(found.routing, chip), chip.memory.bandwidth.value
    row = {"imbalance": routing.imbalance.value}
    for name, weights in (("linear", numerics.linear), ("head", numerics.head)):
        computed = compute_format(chip, weights)
        product = found.products.get(computed) or found.products["bf16"]
        unpacking = 1.0 if computed == _CHIP_FORMAT[weights] else routing.unpacking.value
        row |= {
            f"{name}_flops": chip.peak[computed].value * product.compute.value * unpacking,
            f"{name}_bytes": memory * product.bandwidth.value,
            f"{name}_launch": product.launch.value,
            f"{name}_inner": product.per_inner.value,
            f"{name}_input": product.inputs.value / memory,
            f"{name}_output": product.outputs.value / memory,
            f"{name}_size": FORMAT_BYTES[weights],
        }
    return row | _experts(chip, numerics.expert, found, routing)


def _experts(chip: Chip, weights: Format, found: Efficiency, routing: RoutingEfficiency) -> dict[str, float]:
    computed, memory = compute_format(chip, weights), chip.memory.bandwidth.value
    own = found.grouped.get(grouped_format(chip, weights))
    grouped = own or found.grouped.get(computed) or found.grouped["bf16"]
    unpacking = 1.0 if own or computed == _CHIP_FORMAT[weights] else routing.unpacking.value
    return {
        "expert_flops": chip.peak[computed].value * grouped.compute.value * unpacking,
        "expert_bytes": memory * grouped.bandwidth.value,
        "expert_launch": grouped.launch.value,
        "expert_activation": grouped.activations.value / memory,
        "expert_token": grouped.token.value,
        "expert_size": FORMAT_BYTES[weights],
    }


def _attention(chip: Chip, numerics: Numerics, found: Efficiency) -> dict[str, float]:
    grouped = _meeting(chip, numerics, _required(found.attention, chip))
    latent = _meeting(chip, numerics, _required(found.latent, chip))
    return {
        **grouped,
        **{f"latent_{name}": value for name, value in latent.items()},
        "cache_size": FORMAT_BYTES[numerics.kv_cache],
        "memory_bytes": chip.memory.bandwidth.value * found.products["bf16"].bandwidth.value,
    }


def _meeting(chip: Chip, numerics: Numerics, attention: AttentionEfficiency) -> dict[str, float]:
    computed, memory = compute_format(chip, numerics.attention), chip.memory.bandwidth.value
    compute = attention.prefill_compute if computed == NumberFormat.BF16 else attention.prefill_compute_8bit
    narrow = FORMAT_BYTES[numerics.kv_cache] < FORMAT_BYTES[Format.BF16]
    share = attention.decode_bandwidth_8bit if narrow else attention.decode_bandwidth
    return {
        "prefill_flops": chip.peak[computed].value * compute.value,
        "prefill_softmax": attention.prefill_softmax.value,
        "prefill_tile": attention.prefill_tile.value,
        "prefill_unit": attention.prefill_unit.value,
        "prefill_token": attention.prefill_token.value,
        "prefill_launch": attention.prefill_launch.value,
        "decode_flops": chip.peak[compute_format(chip, Format.BF16)].value * attention.decode_compute.value,
        "decode_bytes": memory * share.value,
        "decode_output": attention.decode_outputs.value * FORMAT_BYTES[Format.BF16] / memory,
        "decode_unit": attention.decode_unit.value,
        "decode_token": attention.decode_token.value,
        "decode_launch": attention.decode_launch.value,
    }


def _sparse(chip: Chip, numerics: Numerics, found: Efficiency) -> dict[str, float]:
    sparse = _required(found.sparse, chip)
    return {
        "index_flops": chip.peak[compute_format(chip, Format.FP8)].value * sparse.index_compute.value,
        "index_bytes": chip.memory.bandwidth.value * sparse.index_bandwidth.value,
        "index_launch": sparse.index_launch.value,
        "index_entry": sparse.index_entry.value,
        "sparse_flops": chip.peak[compute_format(chip, numerics.attention)].value * sparse.attention_compute.value,
        "sparse_query": sparse.attention_query.value,
    }


def _recurrent(chip: Chip, numerics: Numerics, found: Efficiency) -> dict[str, float]:
    recurrent = _required(found.recurrent, chip)
    return {
        "recurrent_flops": chip.peak[compute_format(chip, numerics.attention)].value * recurrent.compute.value,
        "recurrent_bytes": chip.memory.bandwidth.value * recurrent.bandwidth.value,
        "recurrent_launch": recurrent.launch.value,
        "recurrent_prefill_launch": recurrent.prefill_launch.value,
        "recurrent_token": recurrent.token.value,
    }


def _network(chip: Chip, found: Efficiency) -> dict[str, float]:
    link = chip.scale_up.bandwidth.value
    scale_out = min(link, chip.scale_out.value if chip.scale_out else link * SCALE_OUT_SHARE)
    row = {"domain": float(chip.scale_up.domain), "hops": _HOPS[chip.scale_up.topology]}
    for kind in COLLECTIVES:
        collective = _required(found.collective.get(kind), chip)
        row |= {
            f"{kind}_bytes": link * collective.bandwidth.value,
            f"{kind}_out_bytes": scale_out * collective.bandwidth.value,
            f"{kind}_launch": collective.launch.value,
            f"{kind}_peer": collective.per_peer.value,
            f"{kind}_chunk": collective.chunk.value,
        }
    return row


_HOPS = {Topology.SWITCH: 0.0, Topology.MESH: 0.0, Topology.PCIE: 0.0, Topology.RING: 1.0, Topology.TORUS_2D: 0.5, Topology.TORUS_3D: 1 / 3}
"""Exponent of the peers by which latency grows: a switch or mesh reaches every peer at once, a ring passes all, a torus one side."""


def _host(chip: Chip, found: Efficiency) -> dict[str, float]:
    host = _required(found.host, chip)
    spread = _required(found.spread, chip)
    wider = spread.widening.value ** (found.distance + (chip.id not in spread.chips))
    return {
        "host_step": host.step.value,
        "host_sequence": host.sequence.value,
        "host_layer": host.layer.value,
        "host_request": host.request.value,
        "host_dispatch": host.dispatch.value,
        "reserved": host.reserved.value,
        "capacity": chip.memory.capacity.value * host.memory_share.value,
        "token_budget": host.token_budget.value,
        "most_sequences": host.sequences.value,
        "burst": host.burst.value,
        "ttft_spread": spread.ttft.value * wider,
        "tpot_spread": spread.tpot.value * wider,
        "rate_spread": spread.rate.value * wider,
        "power": chip.power.value,
    }


def _required(part: T | None, chip: Chip) -> T:
    if part is None:
        raise InputError(f"efficiencies of generation {chip.generation!r} are incomplete", given=chip.id)
    return part
