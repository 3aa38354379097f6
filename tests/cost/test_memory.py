from tapeout.cost.memory import memory_units
from tapeout.hardware.catalog import chip
from tapeout.hardware.process import memory_generation

SHIPPED = {
    "nvidia-a100-sxm-80gb": 5, "nvidia-h100-sxm": 5, "nvidia-h200-sxm": 6, "nvidia-b200": 8, "nvidia-b300": 8, "amd-mi300x": 8,
    "amd-mi325x": 8, "amd-mi355x": 8, "google-tpu-v4": 4, "google-tpu-v5e": 2, "microsoft-maia-100": 4, "nvidia-l40s": 12,
}  # fmt: skip
"""Stacks or channels of shipped chips."""


def test_stacks_of_shipped_chips_are_found_to_within_one():
    found = {name: memory_units(chip(name), memory_generation(chip(name).memory.kind)) for name in SHIPPED}
    assert {name: units for name, units in found.items() if abs(units - SHIPPED[name]) > 1} == {}
    assert sum(found[name] == units for name, units in SHIPPED.items()) >= 9
