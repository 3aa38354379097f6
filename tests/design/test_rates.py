import dataclasses

import numpy as np
import pytest

from tapeout.design.rates import TOPOLOGIES, Points, point_rates
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import own_chip
from tapeout.hardware.parameters import OwnChip
from tapeout.performance.rates import Rates, rates
from tapeout.units import GB, MIB
from tapeout.workload.catalog import model
from tapeout.workload.numerics import numerics

FORMATS = (NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4)
OWN = OwnChip(
    id="own",
    name="own",
    node="tsmc-3",
    dies=2,
    matrix_units=160,
    rows=64,
    columns=64,
    formats=FORMATS,
    clock=1.5e9,
    on_chip_memory=128 * MIB,
    memory="hbm4",
    stacks=4,
    link_bandwidth=900 * GB,
    domain=64,
    topology=Topology.SWITCH,
    scale_out=100 * GB,
)
OTHER = dataclasses.replace(
    OWN,
    matrix_units=64,
    clock=1.1e9,
    memory="hbm3e",
    stacks=2,
    link_bandwidth=300 * GB,
    topology=Topology.TORUS_3D,
    scale_out=0.0,
    domain=16,
)


@pytest.mark.parametrize(
    ("name", "precision"),
    [("deepseek-ai/DeepSeek-V3", "fp8"), ("openai/gpt-oss-120b", "fp4"), ("meta-llama/Llama-3.3-70B-Instruct", "bf16")],
)
@pytest.mark.parametrize("formats", [FORMATS, FORMATS[:2], FORMATS[:1]])
def test_each_row_is_what_the_chip_of_that_row_gets(name, precision, formats):
    owns = [dataclasses.replace(one, formats=formats) for one in (OWN, OTHER)]
    chips = [own_chip(one) for one in owns]
    found = numerics(model(name), precision)
    points = Points(
        peak=np.array([chip.peak[NumberFormat.BF16].value for chip in chips]),
        bandwidth=np.array([chip.memory.bandwidth.value for chip in chips]),
        capacity=np.array([chip.memory.capacity.value for chip in chips]),
        link=np.array([one.link_bandwidth for one in owns]),
        scale_out=np.array([one.scale_out for one in owns]),
        domain=np.array([float(one.domain) for one in owns]),
        topology=np.array([TOPOLOGIES.index(one.topology) for one in owns]),
    )
    ours, theirs = point_rates(points, found, formats), rates([(chip, found) for chip in chips])
    for field in dataclasses.fields(Rates):
        if field.name != "power":  # no rate depends on it
            assert getattr(ours, field.name) == pytest.approx(getattr(theirs, field.name), rel=1e-13, abs=0), field.name
