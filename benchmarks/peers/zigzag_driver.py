"""Drives ZigZag 3.9.1: its analytical cost of the best order of loops on a weight-stationary array, by latency."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import yaml
from product_driving import Chip, Prepared, Product, main
from zigzag.api import get_hardware_performance_zigzag

BYTE = 8
WEIGHTS_BESIDE_A_MULTIPLIER = 64
"""As in the array of this kind that comes with it: 128 bytes."""
DEPTH = 6
"""Prime factors of the loops at most, its default: fewer are quicker, and orders are missed."""
COST = {"r_cost": 1, "w_cost": 1, "area": 0, "latency": 1}
"""Energies are asked of it, and not looked at."""
PORTS = {"read": "r", "write": "w", "read_write": "rw"}


def prepare(product: Product, chip: Chip, folder: Path) -> Prepared:
    """The array with registers for weights and sums, on-chip memory for activations and sums, and memory for all."""
    logging.disable(logging.CRITICAL)
    files = [folder / name for name in ("workload.yaml", "hardware.yaml", "mapping.yaml")]
    for file, content in zip(files, (_workload(product, chip), _hardware(product, chip), _mapping(product)), strict=True):
        # The order of the memories matters to it.
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def run() -> float:
        _, latency, _ = get_hardware_performance_zigzag(
            *map(str, files), opt="latency", dump_folder=str(folder / "out"), loma_show_progress_bar=False, lpf_limit=DEPTH
        )
        return float(latency)

    return run


def _workload(product: Product, chip: Chip) -> list[dict[str, Any]]:
    bits = chip.element_bytes * BYTE
    return [
        {
            "id": 0,
            "name": "product",
            "operator_type": "Gemm",
            "equation": "O[d][k]+=I[d][c]*W[c][k]",
            "dimension_relations": [],
            "loop_dims": ["C", "D", "K"],
            "loop_sizes": [product.inner, product.rows, product.columns],
            "operand_precision": {"W": bits, "I": bits, "O": 2 * bits, "O_final": bits},
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def _mapping(product: Product) -> list[dict[str, Any]]:
    across = {"D1": [f"K, {product.array}"], "D2": [f"C, {product.array}"]}
    return [{"name": "default", "spatial_mapping": across, "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"}}]


def _hardware(product: Product, chip: Chip) -> dict[str, Any]:
    bits = chip.element_bytes * BYTE
    side = product.array * bits
    sums = [("read", "O, tl"), ("read", "O, th"), ("write", "O, fh"), ("write", "O, fl")]
    return {
        "name": "array",
        "memories": {
            "weights": _memory(
                WEIGHTS_BESIDE_A_MULTIPLIER * bits, ["I2"], [_port(0, "read", bits, "I2, tl"), _port(1, "write", bits, "I2, fh")], []
            ),
            "sums": _memory(2 * bits, ["O"], [_port(place, kind, 2 * bits, what) for place, (kind, what) in enumerate(sums)], []),
            # A port for each stream, so that none waits for another.
            "on_chip": _memory(
                chip.on_chip_memory * BYTE,
                ["I1", "O"],
                [
                    _port(0, "read", side, "I1, tl"),
                    _port(1, "write", side, "I1, fh"),
                    *(_port(place, kind, 2 * side, what) for place, (kind, what) in enumerate(sums, 2)),
                ],
                ["D1", "D2"],
            ),
            "memory": _memory(
                10**13,
                ["I1", "I2", "O"],
                [
                    _port(
                        0,
                        "read_write",
                        chip.memory_bytes_per_cycle * BYTE,
                        *(f"{operand}, {way}" for operand in ("I1", "I2") for way in ("fh", "tl")),
                        *(what for _, what in sums),
                    )
                ],
                ["D1", "D2"],
            ),
        },
        "operational_array": {
            "unit_energy": 1,
            "unit_area": 1,
            "dimensions": ["D1", "D2"],
            "sizes": [product.array, product.array],
            "systolic_dimensions": ["D1", "D2"],
        },
    }


def _memory(size: int, operands: list[str], ports: list[dict[str, Any]], served: list[str]) -> dict[str, Any]:
    return {"size": size, **COST, "operands": operands, "ports": ports, "served_dimensions": served}


def _port(place: int, kind: str, bandwidth: int, *allocation: str) -> dict[str, Any]:
    return {
        "name": f"{PORTS[kind]}_port_{place + 1}",
        "type": kind,
        "bandwidth_min": min(bandwidth, BYTE),
        "bandwidth_max": bandwidth,
        "allocation": list(allocation),
    }


if __name__ == "__main__":
    main(prepare)
