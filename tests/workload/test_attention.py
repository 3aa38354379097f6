"""Sparse, merged and latent attention: closed forms written out by hand, counts query by query, and what is left out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.workload.architecture import Architecture, Attention, Compression, FeedForward, Indexer, Latent, LayerGroup
from tapeout.workload.operators import Batch, Operator, Role, Sharding, operators
from tapeout.workload.shapes import concatenated, shapes

HIDDEN = 256
INDEXER = Indexer(heads=4, head_size=32, weighted=True)
LATENT = Attention(
    heads=8, kv_heads=8, head_size=48, value_size=32, latent=Latent(kv_rank=64, rope_size=16, query_rank=96), chosen=100, indexer=INDEXER
)  # fmt: skip
BLOCKS = Attention(
    heads=8, kv_heads=2, head_size=32, value_size=32, chosen=128, indexer=Indexer(heads=2, head_size=16, weighted=False, block=16)
)
MERGED = Attention(
    heads=8, kv_heads=1, head_size=64, value_size=64, window=16, query_rank=96, one_cache=True, output_rank=24, output_groups=4, chosen=50,
    compression=Compression(ratio=4, overlap=2), indexer=INDEXER,
)  # fmt: skip
PLAIN = Attention(heads=8, kv_heads=2, head_size=32, value_size=32)


def model(attention: Attention) -> Architecture:
    group = LayerGroup(count=3, attention=attention, feed_forward=FeedForward(size=512))
    return Architecture(name="m", family="m", hidden=HIDDEN, vocabulary=1000, max_context=65536, groups=(group,))


def batch(sequences: float, new_tokens: float, context: float) -> Batch:
    return Batch(sequences=np.array(sequences), new_tokens=np.array(new_tokens), context=np.array(context))


def ops(attention: Attention, step: Batch, tensor: float = 1.0) -> dict[str, Operator]:
    split = Sharding(tensor=np.array(tensor), pipeline=np.ones(()), expert=np.ones(()))
    return {part.name: part for part in operators(shapes(model(attention)), [step], split)}


def amount(part: Operator, field: str = "flops") -> float:
    return float(np.sum(part.calls * getattr(part, field)))


def layer(found: dict[str, Operator], names: tuple[str, ...]) -> float:
    """FLOPs of these operators in one of the three layers."""
    return sum(amount(found[name]) for name in names) / 3


PROJECTIONS = ("latent down", "latent key-value up", "query up", "merged and index keys", "index queries", "attention out")


@pytest.mark.parametrize("context", [0.0, 50.0, 99.0, 100.0, 5000.0])
def test_sparse_decode_follows_the_closed_form(context: float) -> None:
    """Scores over the whole context, attention over at most 100 tokens, in the rank."""
    found = ops(LATENT, batch(7, 1, context))
    down, up = HIDDEN * (96 + 64 + 16), 96 * 8 * 48 + 64 * 8 * (32 + 32)
    index = HIDDEN * (32 + 4) + 96 * 4 * 32
    assert layer(found, PROJECTIONS) == pytest.approx(7 * 2 * (down + up + index + 8 * 32 * HIDDEN))
    assert layer(found, ("index scores 0",)) == pytest.approx(7 * 2 * (context + 1) * 4 * 32)
    assert layer(found, ("attention 0",)) == pytest.approx(7 * 2 * min(context + 1, 100) * 8 * (64 + 16 + 64))
    assert amount(found["index scores 0"], "cache") / 3 == pytest.approx(7 * (context + 1) * 32)
    assert amount(found["attention 0"], "cache") / 3 == pytest.approx(7 * min(context + 1, 101) * (64 + 16))


def pairs(new: int, context: int, reach: float, ratio: float = 1.0) -> float:
    """Entries that the new queries meet, counted query by query."""
    return sum(min((context + position + 1) / ratio, reach) for position in range(new))


@given(new=st.integers(2, 300), context=st.integers(0, 400))
def test_sparse_prompts_gather_what_an_indexer_leaves(new: int, context: int) -> None:
    found = ops(LATENT, batch(1, new, context))
    gathers = new + context > 100
    size = (64 + 16 + 64) if gathers else (48 + 32)
    met = "sparse attention 0" if gathers else "attention 0"
    assert layer(found, (met,)) == pytest.approx(2 * pairs(new, context, 100) * 8 * size)
    assert layer(found, ("attention 0", "sparse attention 0")) == pytest.approx(layer(found, (met,)))
    assert layer(found, ("index scores 0",)) == pytest.approx(2 * pairs(new, context, np.inf) * 4 * 32)


@given(new=st.integers(1, 300), context=st.integers(0, 900))
def test_merged_attention_meets_the_window_and_the_chosen_entries(new: int, context: int) -> None:
    found = ops(MERGED, batch(2, new, context))
    single = "attention 0" if new == 1 else "sparse attention 0"
    assert layer(found, (single,)) == pytest.approx(2 * 2 * pairs(new, context, 16) * 8 * 128)
    assert layer(found, ("merged attention 0",)) == pytest.approx(2 * 2 * pairs(new, context, 50, 4) * 8 * 128)
    assert layer(found, ("index scores 0",)) == pytest.approx(2 * 2 * pairs(new, context, np.inf, 4) * 4 * 32)


@pytest.mark.parametrize(("context", "entries"), [(0, 0.25), (99, 25), (203, 51), (9999, 51)])
def test_merged_attention_reads_the_chosen_entries(context: int, entries: float) -> None:
    part = ops(MERGED, batch(3, 1, context))["merged attention 0"]
    assert amount(part, "cache") / 3 == pytest.approx(3 * entries * 64)


def test_merged_attention_projects_through_its_ranks() -> None:
    found = ops(MERGED, batch(5, 1, 0))
    inputs = HIDDEN * (96 + 64) + 96 * 8 * 64
    keys = HIDDEN * (2 * 2 * 64 + 2 * 2 * 32 + 4) + 96 * 4 * 32
    out = 8 * 64 * 24 + 4 * 24 * HIDDEN
    names = ("query, key, value", "query up", "merged and index keys", "index queries", "attention out by group", "attention out")
    assert layer(found, names) == pytest.approx(5 * 2 * (inputs + keys + out))


def test_all_entries_are_met_where_nothing_chooses() -> None:
    every = replace(MERGED, chosen=None, indexer=None, compression=Compression(ratio=128))
    found = ops(every, batch(1, 1, 12799))
    assert "index scores 0" not in found
    assert layer(found, ("merged attention 0",)) == pytest.approx(2 * 100 * 8 * 128)


def test_index_heads_are_split_where_they_belong_to_kv_heads() -> None:
    step = batch(1, 64, 1000)
    for attention, shrinks in ((LATENT, 1), (BLOCKS, 2)):
        alone, split = (amount(ops(attention, step, tensor)["index scores 0"]) for tensor in (1.0, 2.0))
        assert alone == pytest.approx(shrinks * split)
    # One key for each token whatever the heads, one score written for each block and head.
    assert amount(ops(BLOCKS, step)["index scores 0"], "cache") == amount(ops(BLOCKS, step, 2.0)["index scores 0"], "cache")
    assert amount(ops(BLOCKS, step)["index scores 0"], "elements") == pytest.approx(3 * pairs(64, 1000, np.inf) * 2 / 16)


def test_what_no_layer_needs_is_left_out() -> None:
    names = set(ops(PLAIN, batch(1, 8, 0)))
    assert names == {
        "query, key, value", "attention 0", "attention out", "feed-forward in", "feed-forward out", "all-reduce", "dispatch and combine",
        "stage to stage", "head", "gather of logits", "embedding, sampling", "norms, rotary, residuals",
    }  # fmt: skip


def test_models_side_by_side_equal_each_alone() -> None:
    """Rows that lack what others have get zeros, never a share."""
    kinds = [PLAIN, LATENT, BLOCKS, MERGED, replace(PLAIN, gate_size=32), replace(LATENT, gate_size=32, chosen=None, indexer=None)]
    step = batch(3, 200, 500)
    split = Sharding(tensor=np.array(2.0), pipeline=np.ones(()), expert=np.ones(()))
    together = operators(concatenated([model(kind) for kind in kinds]), [step], split)
    for field in ("flops", "weights", "cache", "elements", "calls"):
        rows = sum(np.broadcast_to(part.calls * (1 if field == "calls" else getattr(part, field)), (len(kinds),)) for part in together)
        alone = [
            sum(amount(part, field) if field != "calls" else float(np.sum(part.calls)) for part in ops(kind, step, 2.0).values())
            for kind in kinds
        ]
        assert rows == pytest.approx(np.array(alone))


def test_a_gate_is_projected_with_the_queries_or_beside_them() -> None:
    step = batch(1, 1, 0)
    for kind, name in ((PLAIN, "query, key, value"), (replace(LATENT, chosen=None, indexer=None), "attention gate")):
        gated, free = (sum(amount(part) for part in ops(one, step).values()) for one in (replace(kind, gate_size=32), kind))
        assert gated - free == pytest.approx(3 * 2 * HIDDEN * 8 * 32)
        assert name in ops(replace(kind, gate_size=32), step)


def test_shared_keys_and_values_are_projected_once() -> None:
    once, twice = (amount(ops(one, batch(1, 1, 0))["query, key, value"]) for one in (replace(PLAIN, values_from_keys=True), PLAIN))
    assert twice - once == pytest.approx(3 * 2 * HIDDEN * 2 * 32)


def test_roles_decide_the_laws() -> None:
    found = ops(MERGED, batch(1, 8, 0))
    assert {found[name].role for name in ("sparse attention 0", "merged attention 0")} == {Role.SPARSE_ATTENTION}
    assert found["index scores 0"].role is Role.INDEXER
    assert {ops(MERGED, batch(1, 1, 0))[name].role for name in ("attention 0", "merged attention 0")} == {Role.DECODE_ATTENTION}
