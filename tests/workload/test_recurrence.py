"""Layers that keep a state: FLOPs and bytes against loops that do the work and count it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.workload.architecture import Architecture, FeedForward, LayerGroup, Recurrence
from tapeout.workload.operators import Batch, Operator, Role, Sharding, operators
from tapeout.workload.shapes import shapes

HIDDEN = 256
DELTA = Recurrence(
    heads=8, key_heads=4, key_size=16, value_size=32, delta=True, controls=2, chunk=64, convolution=4, head_parameters=2, norm_size=32
)  # fmt: skip
CHANNELWISE = Recurrence(
    heads=8, key_heads=8, key_size=16, value_size=16, delta=True, controls=1, chunk=64, convolution=4, gate_rank=16, decay_rank=16
)  # fmt: skip
MAMBA = Recurrence(heads=8, key_heads=2, key_size=32, value_size=16, delta=False, controls=1, chunk=128, convolution=4)
LIGHTNING = Recurrence(heads=8, key_heads=8, key_size=16, value_size=16, delta=False, controls=0, chunk=256)
ALL = {"delta": DELTA, "channelwise": CHANNELWISE, "mamba": MAMBA, "lightning": LIGHTNING}


def ops(recurrence: Recurrence, sequences: float, new_tokens: float, context: float = 0.0, tensor: float = 1.0) -> dict[str, Operator]:
    group = LayerGroup(count=3, recurrence=recurrence, feed_forward=FeedForward(size=512))
    architecture = Architecture(name="m", family="m", hidden=HIDDEN, vocabulary=1000, max_context=65536, groups=(group,))
    step = Batch(sequences=np.array(sequences), new_tokens=np.array(new_tokens), context=np.array(context))
    split = Sharding(tensor=np.array(tensor), pipeline=np.ones(()), expert=np.ones(()))
    return {part.name: part for part in operators(shapes(architecture), [step], split)}


def amount(part: Operator, field: str = "flops") -> float:
    return float(np.sum(part.calls * getattr(part, field))) / 3


class Counter:
    """Products that count their FLOPs."""

    def __init__(self) -> None:
        self.flops = 0

    def product(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        self.flops += 2 * left.shape[0] * left.shape[1] * right.shape[1]
        return left @ right


def recurrent(queries: np.ndarray, keys: np.ndarray, values: np.ndarray, *, delta: bool, counter: Counter) -> np.ndarray:
    """One head token by token: S += k (v - k S) with a delta rule, S += k v without, and q S."""
    state, out = np.zeros((keys.shape[1], values.shape[1])), []
    for query, key, value in zip(queries[:, None], keys[:, None], values[:, None], strict=True):
        new = value - counter.product(key, state) if delta else value
        state = state + counter.product(key.T, new)
        out.append(counter.product(query, state))
    return np.vstack(out)


def chunked(queries: np.ndarray, keys: np.ndarray, values: np.ndarray, *, delta: bool, chunk: int, counter: Counter) -> np.ndarray:
    """The same head chunk by chunk; the triangular solve itself is not counted, nor are masks."""
    state, out = np.zeros((keys.shape[1], values.shape[1])), []
    for start in range(0, len(keys), chunk):
        q, k, v = (part[start : start + chunk] for part in (queries, keys, values))
        if delta:
            inverse = np.linalg.inv(np.eye(len(k)) + np.tril(counter.product(k, k.T), -1))
            counted = (counter.product(inverse, k), counter.product(inverse, v))
            new = counted[1] - counter.product(counted[0], state)
        else:
            new = v
        inside = counter.product(np.tril(counter.product(q, k.T)), new)
        out.append(inside + counter.product(q, state))
        state = state + counter.product(k.T, new)
    return np.vstack(out)


@pytest.mark.parametrize("delta", [True, False])
def test_the_flops_are_those_of_loops_that_agree(delta: bool) -> None:
    """Decode by the recurrence, prefill by chunks, both giving the same outputs; a causal half of a chunk's square counts half."""
    generator, tokens, chunk, key_size, value_size = np.random.default_rng(1), 256, 64, 16, 32
    q, k = (generator.normal(size=(tokens, key_size)) / 8 for _ in range(2))
    v = generator.normal(size=(tokens, value_size))
    one_by_one, together = Counter(), Counter()
    slow = recurrent(q, k, v, delta=delta, counter=one_by_one)
    fast = chunked(q, k, v, delta=delta, chunk=chunk, counter=together)
    assert fast == pytest.approx(slow)
    head = Recurrence(heads=1, key_heads=1, key_size=key_size, value_size=value_size, delta=delta, controls=0, chunk=chunk)
    assert amount(ops(head, tokens, 1)["states 0"]) == pytest.approx(one_by_one.flops)
    squares = chunk * tokens * ((key_size + value_size) + delta * (2 * key_size + value_size))
    assert amount(ops(head, 1, tokens)["states 0"]) == pytest.approx(together.flops - squares)


@pytest.mark.parametrize("name", ALL)
def test_projections_follow_the_closed_form(name: str) -> None:
    found, one = ops(ALL[name], 7, 1), ALL[name]
    values = one.heads * one.value_size
    gate = HIDDEN * values if one.gate_rank is None else one.gate_rank * (HIDDEN + values)
    decay = 0 if one.decay_rank is None else one.decay_rank * (HIDDEN + one.heads * one.key_size)
    matrices = HIDDEN * (one.channels + one.heads * one.controls) + gate + decay + values * HIDDEN
    names = [part for part in found if part.startswith("state ")]
    assert sum(amount(found[part]) for part in names) == pytest.approx(7 * 2 * matrices)
    assert sum(amount(found[part], "weights") for part in names) == pytest.approx(matrices)


@given(sequences=st.integers(1, 50), context=st.integers(0, 100_000))
def test_a_decode_step_reads_and_writes_the_states_whatever_the_context(sequences: int, context: int) -> None:
    part = ops(DELTA, sequences, 1, context)["states 0"]
    matrices, looked_back_on = 8 * 16 * 32 * 4, 3 * (2 * 4 * 16 + 8 * 32) * 2
    assert amount(part, "state") == pytest.approx(2 * sequences * (matrices + looked_back_on))
    assert amount(part, "flops") == pytest.approx(amount(ops(DELTA, sequences, 1)["states 0"], "flops"))


def test_a_prompt_reads_and_writes_its_state_once_and_costs_the_same_for_each_token() -> None:
    short, long = ops(MAMBA, 1, 1024)["states 0"], ops(MAMBA, 1, 4096)["states 0"]
    assert amount(short, "state") == amount(long, "state")
    assert amount(long) == pytest.approx(4 * amount(short))
    assert (float(short.units), float(long.units)) == (1024, 4096)


@pytest.mark.parametrize("name", ALL)
def test_chips_share_heads_and_repeat_key_heads(name: str) -> None:
    alone, shared = (ops(ALL[name], 16, 1, tensor=tensor)["states 0"] for tensor in (1.0, 8.0))
    assert amount(shared, "state") >= amount(alone, "state") / 8
    one = ALL[name]
    if one.key_heads == one.heads:
        assert amount(shared) == pytest.approx(amount(alone) / 8)
        assert amount(shared, "state") == pytest.approx(amount(alone, "state") / 8)


def test_a_layer_of_one_part_is_reduced_once_and_two_parts_twice() -> None:
    def reductions(group: LayerGroup) -> float:
        architecture = Architecture(name="m", family="m", hidden=HIDDEN, vocabulary=1000, max_context=65536, groups=(group,))
        split = Sharding(tensor=np.array(2.0), pipeline=np.ones(()), expert=np.ones(()))
        step = Batch(sequences=np.ones(()), new_tokens=np.ones(()), context=np.zeros(()))
        found = operators(shapes(architecture), [step], split)
        return float(sum(np.sum(part.calls) for part in found if part.role is Role.ALL_REDUCE))

    assert reductions(LayerGroup(count=5, recurrence=MAMBA)) == 5
    assert reductions(LayerGroup(count=5, feed_forward=FeedForward(size=512))) == 5
    assert reductions(LayerGroup(count=5, recurrence=MAMBA, feed_forward=FeedForward(size=512))) == 10
