import datetime
from pathlib import Path

import pytest

from tapeout.errors import FactError, UnitError, UnknownNameError
from tapeout.hardware.catalog import chip, chip_ids, chips, read_chip
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.provenance import DATA, facts_within
from tapeout.units import GB, TERA

FP32, BF16, FP8, INT8, FP4 = NumberFormat.FP32, NumberFormat.BF16, NumberFormat.FP8, NumberFormat.INT8, NumberFormat.FP4

PROMISED = [
    "nvidia-a100-sxm-40gb",
    "nvidia-a100-sxm-80gb",
    "nvidia-h100-sxm",
    "nvidia-h100-nvl",
    "nvidia-h100-pcie",
    "nvidia-h200-sxm",
    "nvidia-h200-nvl",
    "nvidia-h20",
    "nvidia-h800",
    "nvidia-gh200",
    "nvidia-gh200-96gb",
    "nvidia-l4",
    "nvidia-l40s",
    "nvidia-rtx-pro-6000",
    "nvidia-b200",
    "nvidia-gb200",
    "nvidia-b300",
    "nvidia-gb300",
    "nvidia-vr200",
    "amd-mi250x",
    "amd-mi300x",
    "amd-mi325x",
    "amd-mi350x",
    "amd-mi355x",
    "google-tpu-v4",
    "google-tpu-v5e",
    "google-tpu-v5p",
    "google-tpu-v6e",
    "google-tpu-v7x",
    "aws-trainium1",
    "aws-trainium2",
    "aws-trainium3",
    "aws-inferentia2",
    "intel-gaudi2",
    "intel-gaudi3",
    "microsoft-maia-100",
    "microsoft-maia-200",
]

GENERATIONS = [
    "ampere",
    "hopper",
    "ada",
    "blackwell",
    "blackwell-ultra",
    "blackwell-workstation",
    "rubin",
    "cdna2",
    "cdna3",
    "cdna4",
    "tpu-v4",
    "tpu-v5e",
    "tpu-v5p",
    "tpu-v6e",
    "tpu-v7x",
    "neuron-v2",
    "neuron-v3",
    "neuron-v4",
    "gaudi2",
    "gaudi3",
    "maia-100",
    "maia-200",
]

NODES = {"tsmc-28", "tsmc-16", "tsmc-7", "tsmc-6", "tsmc-5", "tsmc-4", "tsmc-3", "tsmc-2"}

# From the vendors' datasheets: dense bf16 and 8-bit TFLOP/s, memory TB/s and GB, watts; None where the vendor says nothing.
PUBLISHED = [
    ("nvidia-a100-sxm-40gb", 312, 624, 1.555, 40, 400),
    ("nvidia-a100-sxm-80gb", 312, 624, 2.039, 80, 400),
    ("nvidia-h100-sxm", 1979 / 2, 3958 / 2, 3.35, 80, 700),
    ("nvidia-h100-pcie", 1513 / 2, 3026 / 2, 2.0, 80, 350),
    ("nvidia-h200-sxm", 1979 / 2, 3958 / 2, 4.8, 141, 700),
    ("nvidia-h20", 148, 296, 4.0, 96, 400),
    ("nvidia-l4", 121, 242, 0.3, 24, 72),
    ("nvidia-l40s", 362.05, 733, 0.864, 48, 350),
    ("nvidia-b200", 4500 / 2, 9000 / 2, 7.7, 180, 1000),
    ("nvidia-gb200", 5000 / 2, 10000 / 2, 8.0, 186, 1200),
    ("amd-mi250x", 383, 383, 3.277, 128, 500),
    ("amd-mi300x", 1307.4, 2614.9, 5.3, 192, 750),
    ("amd-mi325x", 1307.4, 2614.9, 6.0, 256, 1000),
    ("amd-mi355x", 2516.6, 5033.2, 8.0, 288, 1400),
    ("google-tpu-v5p", 459, 459, 2.765, 95, None),
    ("google-tpu-v6e", 918, 918, 1.638, 32, None),
    ("google-tpu-v7x", 2307, 4614, 7.38, 192 * 2**30 / 1e9, None),
    ("aws-trainium2", 667, 1299, 2.9, 96 * 2**30 / 1e9, None),
    ("aws-trainium3", 671, 2517, 4.9, 144 * 2**30 / 1e9, None),
    ("intel-gaudi2", 432, 865, 2.45, 96, 600),
    ("intel-gaudi3", 1835, 1835, 3.7, 128, 900),
    ("microsoft-maia-200", None, 5072, 7.0, 216, 750),
]

# Peaks rebuilt from the machine: units, FLOP per unit and cycle, clock. An independent path to the same number.
MACHINES = [
    ("nvidia-a100-sxm-80gb", BF16, 108, 2048, 1.41e9),
    ("nvidia-h100-sxm", BF16, 132, 4096, 1.83e9),
    ("nvidia-h100-pcie", BF16, 114, 4096, 1.62e9),
    ("nvidia-h20", BF16, 78, 1024, 1.83e9),
    ("amd-mi250x", BF16, 220, 1024, 1.7e9),
    ("amd-mi300x", BF16, 304, 2048, 2.1e9),
    ("amd-mi300x", FP8, 304, 4096, 2.1e9),
    ("amd-mi350x", FP8, 256, 8192, 2.2e9),
    ("amd-mi355x", FP8, 256, 8192, 2.4e9),
    ("amd-mi355x", FP4, 256, 16384, 2.4e9),
    ("google-tpu-v4", BF16, 8, 2 * 128 * 128, 1.05e9),
    ("google-tpu-v5e", BF16, 4, 2 * 128 * 128, 1.5e9),
]

# Memory rebuilt from bus width in bits and bits per second and pin.
BUSES = [
    ("nvidia-a100-sxm-40gb", 5120, 2.43e9),
    ("nvidia-a100-sxm-80gb", 5120, 3.186e9),
    ("nvidia-h100-sxm", 5120, 5.234e9),
    ("nvidia-l40s", 384, 18e9),
    ("amd-mi250x", 8192, 3.2e9),
    ("amd-mi300x", 8192, 5.2e9),
    ("intel-gaudi2", 6144, 3.2e9),
]

# One direction, summed over links: links times GB/s of a link in one direction.
LINKS = [
    ("nvidia-a100-sxm-80gb", 12, 25),
    ("nvidia-h100-sxm", 18, 25),
    ("nvidia-h800", 8, 25),
    ("nvidia-b200", 18, 50),
    ("nvidia-gb300", 18, 50),
    ("nvidia-vr200", 36, 50),
    ("amd-mi300x", 7, 64),
    ("amd-mi355x", 7, 76.8),
    ("intel-gaudi2", 21, 12.5),
    ("intel-gaudi3", 21, 25),
]


def test_every_promised_chip_is_there() -> None:
    assert set(PROMISED) <= set(chips())
    assert list(chip_ids()) == list(chips())


@pytest.mark.parametrize("identifier", chip_ids())
def test_the_catalogue_is_consistent(identifier: str) -> None:
    found = chip(identifier)
    assert found.id == identifier
    assert identifier.startswith(found.vendor.lower() + "-")
    assert datetime.date.fromisoformat(found.released)
    assert found.generation in GENERATIONS
    assert found.silicon is None or found.silicon.node in NODES
    assert found.silicon is None or found.silicon.die_area is None or found.silicon.die_area.value <= 858e-6  # the reticle
    assert BF16 in found.peak
    assert found.scale_up.topology is not Topology.PCIE or found.scale_up.bandwidth.value <= 64 * GB
    assert found.scale_out is None or found.scale_out.value < found.scale_up.bandwidth.value or found.scale_up.topology is Topology.PCIE


@pytest.mark.parametrize(("identifier", "bf16", "eight_bit", "bandwidth", "capacity", "power"), PUBLISHED)
def test_published_figures(
    identifier: str, bf16: float | None, eight_bit: float, bandwidth: float, capacity: float, power: float | None
) -> None:
    found = chip(identifier)
    if bf16 is not None:
        assert found.peak[BF16].value == pytest.approx(bf16 * TERA, rel=1e-3)
    assert (found.peak.get(FP8) or found.peak[INT8]).value == pytest.approx(eight_bit * TERA, rel=1e-3)
    assert found.memory.bandwidth.value == pytest.approx(bandwidth * TERA, rel=1e-3)
    assert found.memory.capacity.value == pytest.approx(capacity * GB, rel=1e-3)
    if power is not None:
        assert found.power.value == power


@pytest.mark.parametrize(("identifier", "kind", "count", "flops", "clock"), MACHINES)
def test_a_peak_is_units_times_width_times_clock(identifier: str, kind: NumberFormat, count: int, flops: int, clock: float) -> None:
    assert chip(identifier).peak[kind].value == pytest.approx(count * flops * clock, rel=0.015)


@pytest.mark.parametrize(("identifier", "bits", "rate"), BUSES)
def test_a_bandwidth_is_width_times_rate(identifier: str, bits: int, rate: float) -> None:
    assert chip(identifier).memory.bandwidth.value == pytest.approx(bits * rate / 8, rel=0.005)


@pytest.mark.parametrize(("identifier", "links", "each"), LINKS)
def test_a_link_counts_one_direction(identifier: str, links: int, each: float) -> None:
    assert chip(identifier).scale_up.bandwidth.value == pytest.approx(links * each * GB, rel=1e-9)


@pytest.mark.parametrize("identifier", [name for name in chip_ids() if name.startswith("nvidia-")])
def test_nvidia_rates_double_as_the_format_halves(identifier: str) -> None:
    found = chip(identifier)
    if found.generation == "ampere":
        assert FP8 not in found.peak
        assert found.peak[INT8].value == 2 * found.peak[BF16].value
        return
    if found.generation == "rubin":  # preliminary figures, its formats no longer double
        assert found.peak[BF16].value < found.peak[FP8].value < found.peak[FP4].value
        return
    assert found.peak[FP8].low * 0.999 <= 2 * found.peak[BF16].value <= found.peak[FP8].high * 1.001
    assert (FP4 in found.peak) == found.generation.startswith("blackwell")
    if found.generation == "blackwell-ultra":
        assert found.peak[FP4].value == 3 * found.peak[FP8].value
        assert found.peak[INT8].value < found.peak[BF16].value / 10
    elif FP4 in found.peak:
        assert found.peak[FP4].value == pytest.approx(2 * found.peak[FP8].value, rel=1e-3)
        assert found.peak[INT8].value == found.peak[FP8].value


def test_the_three_wrong_memories_of_the_database_were_not_taken_over() -> None:
    assert chip("nvidia-b200").memory.capacity.value > 2 * 89 * GB  # the database gives one die of two
    assert chip("nvidia-b200").memory.bandwidth.value > 7 * TERA
    assert chip("amd-mi300x").memory.bandwidth.high < 6 * TERA
    assert chip("amd-mi325x").memory.capacity.value == 256 * GB


def test_each_memory_as_sold_is_no_more_than_the_driver_reports() -> None:
    for found in chips().values():
        sold = found.memory.capacity
        assert sold.high <= sold.value * 1.0738, found.id  # a GiB is 1.0737 GB


def test_the_ridge_of_the_h100_is_where_the_datasheet_puts_it() -> None:
    found = chip("nvidia-h100-sxm")
    assert found.peak[BF16].value / found.memory.bandwidth.value == pytest.approx(295, abs=1)  # FLOP per byte


def test_an_unknown_chip_proposes_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown chip, given 'nvidia-h100-smx'; did you mean nvidia-h100-sxm"):
        chip("nvidia-h100-smx")
    with pytest.raises(UnknownNameError, match=r"give a chip file that ends in .toml"):
        chip("abacus")


def test_the_catalogue_is_read_once() -> None:
    assert chips() is chips()
    assert chip("amd-mi300x") is chips()["amd-mi300x"]


def own_file(tmp_path: Path, old: str = "", new: str = "") -> Path:
    text = (DATA / "chips" / "nvidia-h100-sxm.toml").read_text()
    assert old in text
    path = tmp_path / "my-chip.toml"
    path.write_text(text.replace(old, new, 1) if old else text)
    return path


def test_a_chip_file_of_the_user_is_a_chip_named_after_its_file(tmp_path: Path) -> None:
    found = chip(str(own_file(tmp_path)))
    assert found.id == "my-chip"
    assert facts_within(found) == facts_within(chip("nvidia-h100-sxm"))
    assert read_chip(own_file(tmp_path, "name ", 'id = "other"\nname ')).id == "other"


@pytest.mark.parametrize(
    ("old", "new", "kind", "message"),
    [
        ("3.35 TB/s", "3.35 TB", UnitError, "my-chip.toml: memory.bandwidth.value: wrong unit, given '3.35 TB'"),
        ("3.35 TB/s", "3.35", UnitError, "my-chip.toml: memory.bandwidth.value: missing unit"),
        ("generation", "genaration", FactError, "my-chip.toml: genaration: unknown field.*did you mean generation"),
        ('"switch"', '"swich"', FactError, "my-chip.toml: scale_up.topology: wrong type or value, given 'swich'"),
        ("fp8  =", "fp9  =", FactError, "my-chip.toml: peak.fp9: wrong type or value"),
        ('vendor         = "NVIDIA"\n', "", FactError, "my-chip.toml: vendor: missing field"),
        ("[peak]", "[peak", FactError, "my-chip.toml: not valid TOML"),
    ],
)
def test_a_broken_chip_file_names_file_and_field(tmp_path: Path, old: str, new: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        chip(str(own_file(tmp_path, old, new)))


def test_a_chip_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FactError, match=r"absent.toml: cannot read the file; No such file"):
        chip(str(tmp_path / "absent.toml"))
