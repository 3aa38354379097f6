"""Operators: closed forms, shardings that conserve work, and expectations by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.workload.architecture import Architecture, Attention, FeedForward, Latent, LayerGroup, Residual
from tapeout.workload.operators import Batch, Operator, Role, Sharding, attended, experts_touched, operators
from tapeout.workload.shapes import shapes

ONE = np.array(1.0)


def model(feed_forward: FeedForward, latent: Latent | None = None, window: int | None = None) -> Architecture:
    attention = Attention(heads=16, kv_heads=16 if latent else 4, head_size=128, value_size=128, latent=latent, window=window)
    group = LayerGroup(count=10, attention=attention, feed_forward=feed_forward)
    return Architecture(name="m", family="m", hidden=2048, vocabulary=32000, max_context=65536, groups=(group,))


DENSE = model(FeedForward(size=8192))
MIXTURE = model(FeedForward(size=1024, experts=32, experts_per_token=4, shared_size=512))
LATENT = model(FeedForward(size=1024, experts=32, experts_per_token=4), Latent(kv_rank=512, rope_size=64, query_rank=768))


def batch(sequences: float, new_tokens: float, context: float) -> Batch:
    return Batch(sequences=np.array(sequences), new_tokens=np.array(new_tokens), context=np.array(context))


def sharding(tensor: float = 1, pipeline: float = 1, expert: float = 1) -> Sharding:
    return Sharding(tensor=np.array(float(tensor)), pipeline=np.array(float(pipeline)), expert=np.array(float(expert)))


def total(found: list[Operator], field: str) -> float:
    return float(sum(np.sum(part.calls * getattr(part, field)) for part in found))


def matrices_per_token(architecture: Architecture) -> float:
    """Weight elements that one token meets, written out by hand from the shape."""
    group, hidden = architecture.groups[0], architecture.hidden
    attention, ff = group.attention, group.feed_forward
    assert attention is not None
    assert ff is not None
    if attention.latent:
        rank = attention.latent
        per_head = attention.head_size - rank.rope_size + attention.value_size
        projections = hidden * (rank.query_rank + rank.kv_rank + rank.rope_size) + rank.query_rank * attention.heads * attention.head_size
        projections += rank.kv_rank * attention.heads * per_head + hidden * attention.heads * attention.value_size
    else:
        projections = hidden * attention.head_size * (2 * attention.heads + 2 * attention.kv_heads)
    experts = max(1, ff.experts_per_token) * 3 * hidden * ff.size + 3 * hidden * ff.shared_size + hidden * ff.experts
    return group.count * (projections + experts) + hidden * architecture.vocabulary


@pytest.mark.parametrize("architecture", [DENSE, MIXTURE, LATENT], ids=["dense", "mixture", "latent"])
def test_decode_flops_equal_the_closed_form(architecture: Architecture) -> None:
    context, sequences = 1000.0, 7.0
    found = operators(shapes(architecture), [batch(sequences, 1, context)], sharding())
    attention = architecture.groups[0].attention
    assert attention is not None
    sizes = (attention.latent.kv_rank * 2 + attention.latent.rope_size) if attention.latent else 2 * attention.head_size
    pairs = 2 * architecture.layers * attention.heads * sizes * (context + 1)
    assert total(found, "flops") == pytest.approx(sequences * (2 * matrices_per_token(architecture) + pairs), rel=1e-9)


def test_prefill_flops_equal_the_closed_form() -> None:
    tokens = 512.0
    found = operators(shapes(DENSE), [batch(1, tokens, 0)], sharding())
    head = DENSE.hidden * DENSE.vocabulary
    pairs = 4 * DENSE.layers * 16 * 128 * tokens * (tokens + 1) / 2
    assert total(found, "flops") == pytest.approx(2 * tokens * (matrices_per_token(DENSE) - head) + 2 * head + pairs, rel=1e-9)


@pytest.mark.parametrize("architecture", [DENSE, MIXTURE], ids=["dense", "mixture"])
@pytest.mark.parametrize("tensor", [2, 4])
def test_tensor_parallel_chips_share_the_flops(architecture: Architecture, tensor: int) -> None:
    step = [batch(64, 1, 500)]
    alone = total([part for part in operators(shapes(architecture), step, sharding()) if part.name != "router"], "flops")
    shared = total([part for part in operators(shapes(architecture), step, sharding(tensor)) if part.name != "router"], "flops")
    assert shared * tensor == pytest.approx(alone, rel=1e-9)


def test_splitting_experts_conserves_their_work_and_weights() -> None:
    step = [batch(64, 1, 500)]
    by_width = operators(shapes(MIXTURE), step, sharding(tensor=4, expert=1))
    by_expert = operators(shapes(MIXTURE), step, sharding(tensor=4, expert=4))
    for field in ("flops", "weights"):
        experts = [total([part for part in found if part.role is Role.EXPERT], field) for found in (by_width, by_expert)]
        assert experts[0] == pytest.approx(experts[1], rel=1e-9)


def test_one_chip_has_no_collective_and_several_have() -> None:
    def messages(layout: Sharding) -> float:
        return total(operators(shapes(MIXTURE), [batch(8, 1, 10)], layout), "message")

    assert messages(sharding()) == 0
    assert messages(sharding(tensor=2)) > 0
    assert messages(sharding(pipeline=2)) > 0
    assert messages(sharding(expert=4)) > 0


@given(
    new=st.integers(1, 60), context=st.integers(0, 80), window=st.integers(1, 100), bounded=st.booleans()
)  # fmt: skip
def test_attended_pairs_equal_counting(new: int, context: int, window: int, bounded: bool) -> None:
    reach = window if bounded else 10**9
    counted = sum(min(position + 1, reach) for position in range(context, context + new))
    assert attended(batch(1, new, context), np.array(float(reach))) == pytest.approx(counted)


def test_experts_touched_agrees_with_drawing_them() -> None:
    generator = np.random.default_rng(7)
    experts, draws, trials = 32, 40, 4000
    seen = [len(np.unique(generator.integers(0, experts, draws))) for _ in range(trials)]
    standard_error = np.std(seen) / np.sqrt(trials)
    assert abs(np.mean(seen) - experts_touched(np.array(float(experts)), np.array(float(draws)))) < 5 * standard_error


def test_windows_bound_the_cache_read() -> None:
    bounded = model(FeedForward(size=8192), window=128)
    read = [total(operators(shapes(one), [batch(4, 1, 4096)], sharding()), "cache") for one in (bounded, DENSE)]
    assert read[0] == pytest.approx(10 * 4 * 129 * 4 * 256)
    assert read[1] == pytest.approx(10 * 4 * 4097 * 4 * 256)


def test_mixed_steps_add_up() -> None:
    decode, prefill = batch(16, 1, 700), batch(2, 256, 0)
    apart = [total(operators(shapes(DENSE), [part], sharding()), "flops") for part in (decode, prefill)]
    assert total(operators(shapes(DENSE), [decode, prefill], sharding()), "flops") == pytest.approx(sum(apart), rel=1e-9)


def test_experts_that_see_a_projection_send_that() -> None:
    """A quarter of the hidden size: a quarter of the expert work and of what is dispatched, and two products on every chip."""
    wide = FeedForward(size=1024, experts=32, experts_per_token=4)
    layout, step = sharding(tensor=1, expert=4), [batch(8, 1, 10)]
    found = [operators(shapes(model(part)), step, layout) for part in (wide, replace(wide, latent_size=512))]
    for field, role in (("message", Role.ALL_TO_ALL), ("flops", Role.EXPERT)):
        full, quarter = (total([part for part in one if part.role is role], field) for one in found)
        assert quarter == pytest.approx(full / 4)
    extra = total([part for part in found[1] if "latent" in part.name], "flops")
    assert extra == pytest.approx(10 * 8 * 2 * 2 * 2048 * 512)


def test_richer_residuals_move_their_streams_and_sources() -> None:
    """Around each part four streams are read twice and written once, with the part's input and output; sources are read once."""
    dense = model(FeedForward(size=8192))
    step, layout = [batch(4, 3, 0)], sharding()

    def moved(residual: Residual) -> float:
        groups = tuple(replace(group, residual=residual) for group in dense.groups)
        found = operators(shapes(replace(dense, groups=groups)), step, layout)
        return total([part for part in found if part.role is Role.ELEMENTWISE], "elements")

    plain = moved(Residual())
    assert moved(Residual(streams=4)) - plain == pytest.approx(10 * 2 * 12 * (4 * 4 + 2) * 2048)
    assert moved(Residual(sources=5)) - plain == pytest.approx(10 * 2 * 12 * (5 + 2) * 2048)
