"""Bytes held: published caches, states by hand, and layers that lack what others have."""

import numpy as np
import pytest

from tapeout.workload import footprint
from tapeout.workload.catalog import model
from tapeout.workload.footprint import kv_bytes_per_sequence, weight_bytes
from tapeout.workload.numerics import Format, numerics
from tapeout.workload.operators import Role, Sharding
from tapeout.workload.shapes import shapes
from tapeout.workload.size import parameters

MILLION = 2**20


def held(name: str, tokens: float, cache: Format = Format.BF16, tensor: float = 1.0) -> float:
    """Bytes that a sequence of `tokens` holds on one chip."""
    rows = shapes(model(name))
    split = Sharding(tensor=np.array(tensor), pipeline=np.ones(()), expert=np.ones(()))
    return float(np.sum(kv_bytes_per_sequence(rows, split, np.array(tokens), np.full(len(rows), int(cache)))))


def test_a_million_tokens_of_deepseek_v4_take_what_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """9.62 GiB in bf16, 8.7 times less than DeepSeek V3.2 (vLLM's release note of V4), index keys in 16 bits too."""
    monkeypatch.setattr(footprint, "INDEX_KEY_BYTES", 2.0)
    merged = held("deepseek-ai/DeepSeek-V4-Pro", MILLION)
    assert merged / 2**30 == pytest.approx(9.62, rel=0.005)
    assert held("deepseek-ai/DeepSeek-V3.2", MILLION) / merged == pytest.approx(8.7, rel=0.005)


def test_states_take_the_same_whatever_the_context() -> None:
    """Qwen3.5-9B: 24 layers with 32 matrices of 128 x 128 in fp32, three tokens of 8,192 channels, and 8 layers with a cache."""
    layer, token = 32 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 32 * 128) * 2, 8 * 4 * (256 + 256) * 2
    for tokens in (1, 1000, 100_000):
        assert held("Qwen/Qwen3.5-9B", tokens) == pytest.approx(24 * layer + token * tokens)
    assert held("Qwen/Qwen3.5-9B", 1000, Format.FP8) == pytest.approx(24 * layer + token * 500)
    assert held("Qwen/Qwen3.5-9B", 1000, tensor=4) == pytest.approx((24 * layer + token * 1000) / 4)


def test_an_indexer_keeps_a_key_for_each_token_in_the_layers_that_score() -> None:
    """GLM-5.2: 78 latent caches, 21 layers with index keys of 128 elements in 8 bits and a scale."""
    assert held("zai-org/GLM-5.2", 1000) == pytest.approx(1000 * (78 * 576 * 2 + 21 * 132))


def test_layers_without_attention_keep_no_cache() -> None:
    """Nemotron Super 49B: 49 of 80 layers attend, with 8 KV heads of 128."""
    assert held("nvidia/Llama-3_3-Nemotron-Super-49B-v1", 10) == pytest.approx(10 * 49 * 8 * 256 * 2)


@pytest.mark.parametrize(
    "name",
    [
        "zai-org/GLM-5.2", "MiniMaxAI/MiniMax-M3", "Qwen/Qwen3.5-397B-A17B", "moonshotai/Kimi-Linear-48B-A3B-Instruct",
        "nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16", "nvidia/Llama-3_3-Nemotron-Super-49B-v1", "deepseek-ai/DeepSeek-V4-Pro",
    ],
)  # fmt: skip
def test_weights_in_bf16_take_two_bytes_each(name: str) -> None:
    architecture, rows = model(name), shapes(model(name))
    alone = Sharding(tensor=np.ones(()), pipeline=np.ones(()), expert=np.ones(()))
    formats = dict.fromkeys((Role.LINEAR, Role.EXPERT, Role.HEAD), np.full(len(rows), int(Format.BF16)))
    assert float(np.sum(weight_bytes(rows, alone, formats))) == pytest.approx(2 * parameters(architecture), rel=0.003)


def test_a_checkpoint_in_mixed_formats_takes_what_its_files_do() -> None:
    """Kimi K3: 1.42 TiB of files, 17.5 MB for each of 92 x 896 experts in four bits with a scale for each 32, the rest in 16."""
    architecture, rows = model("moonshotai/Kimi-K3"), shapes(model("moonshotai/Kimi-K3"))
    found = numerics(architecture, "fp4")
    formats = {Role.LINEAR: found.linear, Role.EXPERT: found.expert, Role.HEAD: found.head}
    alone = Sharding(tensor=np.ones(()), pipeline=np.ones(()), expert=np.ones(()))
    whole, experts = (
        float(np.sum(weight_bytes(rows, alone, {role: np.full(len(rows), int(one)) for role, one in formats.items() if role in roles})))
        for roles in ((Role.LINEAR, Role.EXPERT, Role.HEAD), (Role.EXPERT, Role.HEAD))
    )
    head = 2 * 163840 * 7168 * 2 + 92 * 7168 * 896 * 2
    # We count a scale for each 16 elements, which is 4.5 bits in the place of 4.25.
    stored = (experts - head) * 4.25 / 4.5
    assert stored / (92 * 896) == pytest.approx(17.5e6, rel=0.005)
    assert (whole - experts + head + stored) / 2**40 == pytest.approx(1.42, rel=0.01)
