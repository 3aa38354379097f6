"""Rows of measured operators are timed as the same operators of a model are."""

import numpy as np
import pytest

from tapeout.calibration.operator_laws import law_seconds
from tapeout.calibration.operator_table import table
from tapeout.hardware.catalog import chips
from tapeout.performance.efficiency import efficiencies
from tapeout.performance.rates import rates
from tapeout.performance.roofline import operator_time
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model
from tapeout.workload.numerics import numerics
from tapeout.workload.operators import Batch, Operator, Role, Sharding, operators
from tapeout.workload.shapes import shapes

CHIP = "nvidia-h100-sxm"
CHIPS = chips()


def of_model(name: str, role: Role, precision: str, sequences: float, new: float, context: float, tensor: float) -> tuple[Operator, float]:
    """The first operator of `role` of a model of one layer group, and its seconds."""
    known = model(name)
    case = Sharding(tensor=np.array([tensor]), pipeline=np.ones(1), expert=np.array([tensor if known.has_experts else 1.0]))
    batch = Batch(sequences=np.array([sequences]), new_tokens=np.array([new]), context=np.array([context]))
    found = rates([(CHIPS[CHIP], numerics(known, precision))])
    for one in operators(shapes(known), [batch], case):
        if one.role is role:
            return one, float(operator_time(one, found).seconds[-1])
    raise AssertionError(f"{name} has no {role}")


def seconds(**cells: object) -> float:
    return float(law_seconds(table(cells | {"chip": CHIP, "seconds": 1.0}, 1), CHIPS, efficiencies())[0])


@pytest.mark.parametrize(("precision", "cache"), [("bf16", "bf16"), ("fp8", "fp8")])
@pytest.mark.parametrize(("operator", "role", "new", "context"), [
    ("prefill-attention", Role.PREFILL_ATTENTION, 700, 0), ("prefill-attention", Role.PREFILL_ATTENTION, 64, 3000),
    ("decode-attention", Role.DECODE_ATTENTION, 1, 4095),
])  # fmt: skip
def test_grouped_attention(precision: str, cache: str, operator: str, role: Role, new: int, context: int) -> None:
    _, expected = of_model("meta-llama/Llama-3.1-8B", role, precision, 12, new, context, 2)
    batch = {"sequences": 12, "new_tokens": new, "context": context}
    found = seconds(operator=operator, format="bf16", cache_format=cache, heads=16, kv_heads=4, head_size=128, **batch)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("operator", "role", "new", "context"), [
    ("prefill-attention", Role.PREFILL_ATTENTION, 700, 0), ("decode-attention", Role.DECODE_ATTENTION, 1, 4095)
])  # fmt: skip
def test_latent_attention(operator: str, role: Role, new: int, context: int) -> None:
    _, expected = of_model("deepseek-ai/DeepSeek-V3", role, "bf16", 12, new, context, 8)
    shape = {"operator": operator, "format": "bf16", "cache_format": "bf16", "sequences": 12, "new_tokens": new, "context": context,
             "heads": 16, "kv_heads": 1, "head_size": 192, "value_size": 128}  # fmt: skip
    found = seconds(kv_rank=512, rope_size=64, **shape)
    assert found == pytest.approx(expected, rel=1e-12)
    assert found != pytest.approx(seconds(**shape), rel=1e-3)


def test_a_window_bounds_what_is_read() -> None:
    shape = {"operator": "decode-attention", "format": "bf16", "cache_format": "bf16", "sequences": 64, "new_tokens": 1, "heads": 32,
             "kv_heads": 8, "head_size": 128}  # fmt: skip
    assert seconds(context=32_000, window=1024, **shape) == pytest.approx(seconds(context=1024, **shape), rel=1e-2)


def test_products() -> None:
    one, expected = of_model("meta-llama/Llama-3.1-8B", Role.LINEAR, "fp8", 256, 1, 10, 1)
    outer = float(one.weights[0] / 4096)
    assert seconds(operator="product", format="fp8", rows=256, inner=4096, outer=outer) == pytest.approx(expected, rel=1e-12)


def test_a_grouped_product_is_both_products_of_the_experts() -> None:
    known: Architecture = model("Qwen/Qwen3-30B-A3B")
    found = rates([(CHIPS[CHIP], numerics(known, "fp8"))])
    one = Sharding(tensor=np.ones(1), pipeline=np.ones(1), expert=np.ones(1))
    batch = Batch(sequences=np.array([300.0]), new_tokens=np.ones(1), context=np.ones(1))
    both = [part for part in operators(shapes(known), [batch], one) if part.role is Role.EXPERT]
    expected = sum(float(operator_time(part, found).seconds[0]) for part in both)
    assert len(both) == 2
    row = {"operator": "grouped-product", "format": "fp8", "rows": 300, "inner": 2048, "outer": 768, "experts": 128, "experts_per_token": 8}
    assert seconds(**row) == pytest.approx(expected, rel=1e-12)
    # Split over four chips, each has a quarter of the work and all of the tokens to sort.
    assert expected / 4 < seconds(expert_peers=4, **row) < expected


def test_an_all_to_all_keeps_its_own_share() -> None:
    """Of the measured message 1 / peers stays where it is, so with few bytes' latency aside 2 peers send two thirds of what 4 do."""
    small, large = ({"operator": "all-to-all", "message_bytes": size} for size in (1.0, 1e12))
    two, four = (seconds(peers=peers, **large) - seconds(peers=peers, **small) for peers in (2, 4))
    assert two / four == pytest.approx((1 / 2) / (3 / 4), rel=1e-2)
