"""What a trial does at the least, by hand and by the workload's own counts, and the rows that it fills."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.calibration import operator_table
from tapeout.calibration.benchmark_plan import FULL, plan
from tapeout.calibration.benchmark_trial import Attention, Collective, GroupedProduct, Product, floor, flops, keys, moved_bytes, rows_of
from tapeout.calibration.operator_laws import bound_seconds
from tapeout.calibration.operator_table import Measured
from tapeout.hardware.catalog import chip

H100 = chip("nvidia-h100-sxm")
COMPUTE_BOUND = [Measured.PRODUCT, Measured.PREFILL_ATTENTION, Measured.DECODE_ATTENTION]
SIZES = st.integers(1, 1 << 14)


def test_the_floor_of_a_large_product_is_its_flops_at_the_peak() -> None:
    cube = Product(format="bf16", rows=8192, inner=8192, outer=8192)
    assert floor(cube, H100) == pytest.approx(2 * 8192**3 / 989.5e12, rel=1e-3)


def test_the_floor_of_a_product_of_one_row_is_its_weights_at_the_bandwidth() -> None:
    row = Product(format="fp8", rows=1, inner=8192, outer=8192)
    assert floor(row, H100) == pytest.approx(8192**2 / 3.36e12, rel=2e-3)


def test_decode_reads_keys_and_values_once_and_prefill_meets_half_the_square() -> None:
    decode = Attention(sequences=4, new_tokens=1, context=1023, heads=32, kv_heads=8, head_size=128)
    assert decode.operator is Measured.DECODE_ATTENTION
    assert moved_bytes(decode) == pytest.approx(4 * 2 * 2 * 1024 * 8 * 128, rel=0.01)
    prefill = Attention(sequences=2, new_tokens=1000, context=0, heads=32, kv_heads=8, head_size=128)
    assert prefill.operator is Measured.PREFILL_ATTENTION
    assert flops(prefill) == 2 * 32 * 4 * 128 * 1000 * 1001 / 2


def test_a_grouped_product_reads_the_experts_that_its_tokens_touch_and_no_others() -> None:
    one = GroupedProduct(format="bf16", rows=1, inner=2048, outer=768, experts=128, experts_per_token=8)
    assert moved_bytes(one) == pytest.approx(8 * 3 * 2048 * 768 * 2, rel=0.03)  # independent picks meet twice in 3 %
    many = GroupedProduct(format="fp8", rows=10_000, inner=2048, outer=768, experts=128, experts_per_token=8)
    assert moved_bytes(many) == pytest.approx(128 * 3 * 2048 * 768)
    split = GroupedProduct(format="fp8", rows=10_000, inner=2048, outer=768, experts=128, experts_per_token=8, expert_peers=4)
    assert (flops(split), moved_bytes(split)) == pytest.approx((flops(many) / 4, moved_bytes(many) / 4))


def test_no_collective_is_faster_than_what_must_pass_one_link() -> None:
    gather = Collective(operator=Measured.ALL_GATHER, peers=8, message_bytes=8_000_000)
    assert floor(gather, H100) == pytest.approx(7_000_000 / 450e9)


def test_the_floor_is_never_below_the_bound_by_which_rows_are_judged() -> None:
    """The laws' own bound counts weights and cache, the floor operands and results too; both count the same FLOPs."""
    trials = [trial for trial in plan(COMPUTE_BOUND, FULL) if getattr(trial, "format", "") in ("bf16", "fp8")]
    rows = rows_of(trials, H100.id, [1.0] * len(trials), [""] * len(trials))
    floors = np.array([floor(trial, H100) for trial in trials])
    ratio = floors / bound_seconds(rows, {H100.id: H100})
    assert ratio.min() > 0.98  # the high end of the bandwidth beside its value
    large = np.array([flops(trial) > 1e12 for trial in trials])
    np.testing.assert_allclose(ratio[large], 1, rtol=0.02)


@given(rows=SIZES, inner=SIZES, outer=SIZES, factor=st.integers(2, 8))
def test_more_of_anything_never_takes_less(rows: int, inner: int, outer: int, factor: int) -> None:
    shape = {"rows": rows, "inner": inner, "outer": outer}
    least = floor(Product(format="int8", **shape), H100)
    assert all(floor(Product(format="int8", **shape | {name: size * factor}), H100) >= least for name, size in shape.items())


def test_rows_read_back_as_they_were_written_and_no_two_trials_share_a_key() -> None:
    trials = plan(list(Measured), FULL, peers=(2, 4, 8))
    written = rows_of(trials, "my-chip", [1e-6 * (index + 1) for index in range(len(trials))], ["torch"] * len(trials))
    found = operator_table.parse(operator_table.to_csv(written), "written.csv")
    assert keys(found) == keys(written)
    assert found.seconds.tolist() == written.seconds.tolist()
    assert len(set(keys(found))) == len(trials)
