"""A small question for the tests of the search: two models, a grid of a few hundred designs, and whom it is for."""

from tapeout.design.economics import Economics
from tapeout.design.space import MatrixUnits, MemoryChoice, ScaleUp, Space
from tapeout.design.sweep import Question
from tapeout.design.throughput import Workload, mix
from tapeout.hardware.chip import Topology
from tapeout.performance.best import Demand
from tapeout.units import GB, KWH, MIB, MONTH, YEAR
from tapeout.workload.catalog import model

SPACE = Space(
    nodes=("tsmc-5", "tsmc-3"),
    dies=(1, 2),
    matrix_units=tuple(MatrixUnits(number=number, rows=64, columns=64) for number in (32, 96, 160)),
    clocks=(1.2e9, 1.6e9),
    on_chip_memories=(64 * MIB, 192 * MIB),
    memories=(
        MemoryChoice(generation="hbm3e", stacks=4),
        MemoryChoice(generation="hbm3e", stacks=8),
        MemoryChoice(generation="lpddr5x", stacks=8),
    ),
    scale_ups=(
        ScaleUp(bandwidth=400 * GB, domain=64, topology=Topology.TORUS_3D),
        ScaleUp(bandwidth=300 * GB, domain=8, topology=Topology.SWITCH),
    ),
    scale_out=50 * GB,
    power_limit=900.0,
)
ECONOMICS = Economics(
    volume=50_000.0, margin=0.4, one_off=None, host_price=9000.0, host_power=250.0, rate=0.12, life=5 * YEAR, hosting=0.13 / MONTH,
    energy_price=0.08 / KWH, pue=1.2, load=0.8, operations=0.05, availability=0.95,
)  # fmt: skip
WORKLOADS = mix(
    [
        Workload(
            name="dense",
            weight=1.0,
            demand=Demand(
                model=model("meta-llama/Llama-3.3-70B-Instruct"), precision="fp8", prompt=3000.0, output=250.0, ttft=2.0, tpot=0.04
            ),
        ),
        Workload(
            name="sparse",
            weight=3.0,
            demand=Demand(model=model("openai/gpt-oss-120b"), precision="fp4", prompt=1500.0, output=1000.0, ttft=3.0, tpot=0.02),
        ),
    ]
)
QUESTION = Question(space=SPACE, workloads=WORKLOADS, economics=ECONOMICS)
