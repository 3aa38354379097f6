"""Which chip a device is, by names as drivers give them and the memory that they report."""

from dataclasses import replace

import pytest

from tapeout.calibration.benchmark_chip import guessed_chip
from tapeout.errors import InputError
from tapeout.hardware.catalog import chip, chips
from tapeout.units import GIB, MIB


@pytest.mark.parametrize(
    ("name", "memory", "identifier"),
    [
        ("NVIDIA H100 80GB HBM3", 79.6 * GIB, "nvidia-h100-sxm"),
        ("NVIDIA H100 PCIe", 79.6 * GIB, "nvidia-h100-pcie"),
        ("NVIDIA H100 NVL", 93.6 * GIB, "nvidia-h100-nvl"),
        ("NVIDIA H200 NVL", 139.8 * GIB, "nvidia-h200-nvl"),
        ("NVIDIA A100-SXM4-80GB", 79.3 * GIB, "nvidia-a100-sxm-80gb"),
        ("NVIDIA A100-SXM4-40GB", 39.5 * GIB, "nvidia-a100-sxm-40gb"),
        ("NVIDIA L40S", 44.4 * GIB, "nvidia-l40s"),
        ("NVIDIA L4", 22.0 * GIB, "nvidia-l4"),
        ("NVIDIA GH200 480GB", 94.5 * GIB, "nvidia-gh200-96gb"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97_887 * MIB, "nvidia-rtx-pro-6000"),
        ("AMD Instinct MI300X", 191.7 * GIB, "amd-mi300x"),
    ],
)
def test_a_name_that_one_chip_has_says_which(name: str, memory: float, identifier: str) -> None:
    assert guessed_chip(name, memory, chips().values()).id == identifier


@pytest.mark.parametrize(
    ("name", "memory", "candidates"),
    [
        ("NVIDIA H200", 139.8 * GIB, ["nvidia-h200-sxm", "nvidia-h200-nvl"]),  # one form in the shops has no form in its name
        ("NVIDIA A100 80GB PCIe", 79.3 * GIB, ["nvidia-a100-sxm-80gb"]),  # a form that the catalogue lacks
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 97_887 * MIB, ["nvidia-rtx-pro-6000"]),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 9.5 * GIB, ["nvidia-h100-sxm"]),  # a part of a chip
        ("NVIDIA H20-3e", 139.8 * GIB, ["nvidia-h20"]),
    ],
)
def test_a_name_that_leaves_it_open_names_the_candidates(name: str, memory: float, candidates: list[str]) -> None:
    with pytest.raises(InputError) as error:
        guessed_chip(name, memory, chips().values())
    assert all(f"--chip {candidate}" in str(error.value) for candidate in candidates)


def test_a_device_that_no_chip_resembles_says_how_to_go_on() -> None:
    with pytest.raises(InputError, match=r"Radeon.*catalog chips"):
        guessed_chip("AMD Radeon Graphics", 16 * GIB, chips().values())


@pytest.mark.parametrize("identifier", ["nvidia-h100-v2-sxm", "quantum"])
def test_every_model_word_of_a_chip_must_stand_in_the_name(identifier: str) -> None:
    one = replace(chip("nvidia-h100-sxm"), id=identifier)
    assert guessed_chip(f"{identifier} 80GB HBM3", 80e9, [replace(one, name=identifier)]).id == identifier
    with pytest.raises(InputError, match="no chip"):
        guessed_chip("NVIDIA H100 80GB HBM3", 80e9, [one])
