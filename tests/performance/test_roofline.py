"""Laws of sparse attention and of states, against single measured kernels and as properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.hardware.catalog import chip
from tapeout.performance.rates import Rates, rates
from tapeout.performance.roofline import OperatorTime, operator_time
from tapeout.workload.architecture import Architecture, Attention, FeedForward, Indexer, Latent, LayerGroup, Recurrence
from tapeout.workload.numerics import Format, Numerics
from tapeout.workload.operators import Batch, Role, Sharding, operators
from tapeout.workload.shapes import shapes

BF16 = Numerics(linear=Format.BF16, expert=Format.BF16, head=Format.BF16, attention=Format.BF16, kv_cache=Format.BF16)
ONE = Sharding(tensor=np.ones(()), pipeline=np.ones(()), expert=np.ones(()))
CHIPS = {"hopper": "nvidia-h200-sxm", "blackwell": "nvidia-b200"}
# The linear attention of Qwen3.5-397B, and the attention of GLM-5.
NET = Recurrence(heads=64, key_heads=16, key_size=128, value_size=128, delta=True, controls=2, chunk=64, convolution=4)
GLM = Attention(
    heads=64, kv_heads=64, head_size=256, value_size=256, latent=Latent(kv_rank=512, rope_size=64, query_rank=2048), chosen=2048,
    indexer=Indexer(heads=32, head_size=128, weighted=True),
)  # fmt: skip


def layer(attention: Attention | None = None, recurrence: Recurrence | None = None) -> Architecture:
    group = LayerGroup(count=1, attention=attention, recurrence=recurrence, feed_forward=FeedForward(size=128))
    return Architecture(name="m", family="m", hidden=4096, vocabulary=1000, max_context=2**20, groups=(group,))


def achieved(name: str) -> Rates:
    return rates([(chip(CHIPS[name]), BF16)])


def time(architecture: Architecture, role: Role, on: Rates, sequences: float, new_tokens: float, context: float = 0.0) -> OperatorTime:
    """The time of the one operator of this role that runs."""
    batch = Batch(sequences=np.array([sequences]), new_tokens=np.array([new_tokens]), context=np.array([context]))
    (part,) = (part for part in operators(shapes(architecture), [batch], ONE) if part.role is role and np.any(part.calls))
    return operator_time(part, on)


# Milliseconds that vLLM's kernels took, convolution and state together [aiconfigurator-operators, gdn_perf of vLLM 0.24].
STATES = [
    ("hopper", 16, 1, 0.0409), ("hopper", 128, 1, 0.2752), ("hopper", 512, 1, 1.0846), ("hopper", 1, 8192, 0.5653),
    ("hopper", 8, 2048, 0.7574),
    ("blackwell", 16, 1, 0.0258), ("blackwell", 128, 1, 0.1779), ("blackwell", 512, 1, 0.6809), ("blackwell", 1, 8192, 0.4814),
    ("blackwell", 8, 2048, 0.6769),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sequences", "new_tokens", "milliseconds"), STATES)
def test_states_take_what_was_measured(name: str, sequences: int, new_tokens: int, milliseconds: float) -> None:
    found = time(layer(recurrence=NET), Role.RECURRENT, achieved(name), sequences, new_tokens)
    assert 1e3 * float(found.seconds[0]) == pytest.approx(milliseconds, rel=0.25)


# Milliseconds of one prompt of GLM-5: gathering attention; scores and the search for the best [glm5_dsa_attn, glm5_mqa_logits, glm5_topk].
GATHERED = [("hopper", 8192, 10240, 4.016), ("blackwell", 8192, 10240, 4.051)]
SCORED = [
    ("hopper", 8192, 10240, 1.7235),
    ("hopper", 4096, 65536, 3.5572),
    ("blackwell", 8192, 10240, 1.0664),
    ("blackwell", 4096, 65536, 1.9189),
]


@pytest.mark.parametrize(("name", "new_tokens", "context", "milliseconds"), GATHERED)
def test_gathering_attention_takes_what_was_measured(name: str, new_tokens: int, context: int, milliseconds: float) -> None:
    found = time(layer(GLM), Role.SPARSE_ATTENTION, achieved(name), 1, new_tokens, context)
    assert 1e3 * float(found.seconds[0]) == pytest.approx(milliseconds, rel=0.25)


@pytest.mark.parametrize(("name", "new_tokens", "context", "milliseconds"), SCORED)
def test_scores_take_what_was_measured(name: str, new_tokens: int, context: int, milliseconds: float) -> None:
    """Within what nine of ten rows are predicted to."""
    found = time(layer(GLM), Role.INDEXER, achieved(name), 1, new_tokens, context)
    assert 1e3 * float(found.seconds[0]) == pytest.approx(milliseconds, rel=0.55)


@pytest.mark.parametrize("name", CHIPS)
@given(sequences=st.integers(1, 256), context=st.integers(0, 200_000))
def test_a_state_never_moves_faster_than_the_memory(name: str, sequences: int, context: int) -> None:
    """Nor does the context change it; index keys and what is chosen are read at most at the bandwidth of the memory."""
    on, bandwidth = achieved(name), chip(CHIPS[name]).memory.bandwidth.value
    found = time(layer(recurrence=NET), Role.RECURRENT, on, sequences, 1, context)
    assert float(found.seconds[0]) > 2 * sequences * 64 * 128 * 128 * 4 / bandwidth
    assert float(found.seconds[0]) == float(time(layer(recurrence=NET), Role.RECURRENT, on, sequences, 1).seconds[0])
    assert float(time(layer(GLM), Role.INDEXER, on, sequences, 1, context).seconds[0]) > sequences * (context + 1) * 128 / bandwidth


def test_few_heads_do_not_shorten_a_prompt_below_its_turns() -> None:
    """An eighth of the heads takes more than an eighth of the time, since tokens pass the state one after the other."""
    on, few = (
        achieved("hopper"),
        Recurrence(heads=8, key_heads=2, key_size=128, value_size=128, delta=True, controls=2, chunk=64, convolution=4),
    )
    many, less = (float(time(layer(recurrence=one), Role.RECURRENT, on, 1, 16384).seconds[0]) for one in (NET, few))
    assert less > 0.5 * many
    assert less > 16384 * float(on.recurrent_token[0])


def test_a_search_over_a_long_context_holds_up_a_single_query() -> None:
    """GLM-5.2 on B200 took 0.098 ms more at 202,751 tokens than without context, for one sequence."""
    on = achieved("blackwell")
    long, short = (float(time(layer(GLM), Role.INDEXER, on, 1, 1, context).seconds[0]) for context in (202_751, 1))
    assert long - short == pytest.approx(98e-6, rel=0.2)
