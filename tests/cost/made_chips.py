"""Chips as the published cost estimates describe them, where the catalogue has none or holds other facts."""

from tapeout.hardware.chip import Chip, Link, Memory, NumberFormat, Silicon, Topology
from tapeout.provenance import Grade, Sourced
from tapeout.units import GB, TERA, Unit


def fact(value, unit, low=None, high=None):
    low, high = value if low is None else low, value if high is None else high
    return Sourced(value=value, low=low, high=high, source="tapeout-estimate", place="test", grade=Grade.GUESS, unit=Unit(unit))


def chip(identifier, node, dies, area, kind, capacity, bandwidth, power):
    return Chip(
        id=identifier, name=identifier, vendor="test", generation="test", released="2026",
        peak={NumberFormat.BF16: fact(100 * TERA, "FLOP/s")},
        memory=Memory(kind=kind, capacity=fact(capacity * GB, "B"), bandwidth=fact(bandwidth * GB, "B/s")),
        scale_up=Link(bandwidth=fact(100 * GB, "B/s"), topology=Topology.SWITCH, domain=8),
        power=fact(power, "W"),
        silicon=Silicon(node=node, dies=dies, die_area=fact(area * 1e-6, "m2")),
    )  # fmt: skip


H100 = chip("h100", "tsmc-4", 1, 814, "HBM3", 80, 3350, 700)
H200 = chip("h200", "tsmc-4", 1, 814, "HBM3e", 141, 4800, 700)
B200 = chip("b200", "tsmc-4", 2, 800, "HBM3e", 192, 8000, 1000)
TPU_V4 = chip("tpu-v4", "tsmc-7", 1, 540, "HBM2", 32, 1200, 192)
TPU_V3 = chip("tpu-v3", "tsmc-16", 1, 648, "HBM2", 32, 900, 220)
TPU_V4I = chip("tpu-v4i", "tsmc-7", 1, 400, "HBM2", 8, 614, 175)
L40S = chip("l40s", "tsmc-4", 1, 609, "GDDR6", 48, 864, 350)
