"""Compiled step models against `step_time`, which they are tables of, and simulations against the closed form of the steady state."""

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.hardware.catalog import chip
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.performance.predict import Case, Kind, Prediction, predict
from tapeout.performance.rates import rates
from tapeout.performance.step import Layout, layout, step_time
from tapeout.serving.metrics import Summary, summary
from tapeout.serving.step_model import Step
from tapeout.serving.step_table import engine, step_model
from tapeout.traffic.arrivals import closed_loop
from tapeout.workload.architecture import Architecture, Attention, FeedForward, Latent, LayerGroup
from tapeout.workload.catalog import model as listed
from tapeout.workload.numerics import numerics
from tapeout.workload.operators import Batch, Sharding
from tapeout.workload.shapes import shapes
from tapeout.workload.traffic import Lengths

from .simulation import simulated

BUDGET, SEQUENCES = 512, 64
GROUPED = Attention(heads=32, kv_heads=8, head_size=128, value_size=128)
WINDOWED = Attention(heads=32, kv_heads=8, head_size=128, value_size=128, window=300)
LATENT = Attention(heads=32, kv_heads=32, head_size=192, value_size=128, latent=Latent(kv_rank=512, rope_size=64, query_rank=1536))
DENSE = FeedForward(size=14336)
MIXTURE = FeedForward(size=2048, experts=32, experts_per_token=4, shared_size=2048)


def model(*groups: LayerGroup) -> Architecture:
    return Architecture(name="test", family="test", hidden=4096, vocabulary=128_256, max_context=131_072, groups=groups)


LLAMA_8B = model(LayerGroup(count=32, attention=GROUPED, feed_forward=DENSE))
MODELS = {
    "dense": LLAMA_8B,
    "mixture": model(
        LayerGroup(count=4, attention=GROUPED, feed_forward=DENSE), LayerGroup(count=28, attention=GROUPED, feed_forward=MIXTURE)
    ),
    "latent": model(LayerGroup(count=32, attention=LATENT, feed_forward=MIXTURE)),
    "windowed": model(
        LayerGroup(count=16, attention=GROUPED, feed_forward=DENSE), LayerGroup(count=16, attention=WINDOWED, feed_forward=DENSE)
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def h100() -> Chip:
    return chip("nvidia-h100-sxm")


def one_case(hardware: Chip, architecture: Architecture, precision: str, tensor: float = 1.0, expert: float = 1.0) -> Layout:
    split = Sharding(tensor=np.array([tensor]), pipeline=np.ones(1), expert=np.array([expert]))
    found = rates([(hardware, numerics(architecture, precision))])
    return layout(shapes(architecture), np.array([len(architecture.groups)]), split, found)


def both(case: Layout, decodes: int, context: int, prefills: int, chunk: int, before: int) -> tuple[float, float]:
    """Seconds of one step by the compiled tables and by `step_time`: `decodes` at `context` each, `prefills` of `chunk` after `before`."""
    step = Step(
        decodes=decodes, context=decodes * context, prefills=prefills, prefill_tokens=prefills * chunk, prefill_context=prefills * before,
        pairs=prefills * (chunk * before + chunk * (chunk + 1) // 2),
    )  # fmt: skip
    parts = [(decodes, 1, context), (prefills, chunk, before)]
    batches = [
        Batch(**{name: np.array([float(value)]) for name, value in zip(Batch.__slots__, part, strict=True)}) for part in parts if part[0]
    ]
    return step_model(case, BUDGET, SEQUENCES).seconds(step), float(step_time(case, batches).seconds[0])


STEPS = [
    (1, 0, 0, 0, 0), (1, 5000, 0, 0, 0), (64, 1500, 0, 0, 0), (0, 0, 1, 512, 0), (0, 0, 3, 100, 50), (7, 900, 1, 400, 0),
    (50, 4000, 2, 200, 3000),
]  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("precision", ["bf16", "fp8"])
@pytest.mark.parametrize(
    ("name", "tensor", "expert"), [("dense", 1, 1), ("dense", 8, 1), ("mixture", 4, 4), ("latent", 1, 8), ("latent", 8, 8)]
)
def test_the_tables_add_up_to_the_step(h100: Chip, name: str, tensor: int, expert: int, precision: str, step: tuple[int, ...]) -> None:
    compiled, direct = both(one_case(h100, MODELS[name], precision, tensor, expert), *step)
    assert compiled == pytest.approx(direct, rel=1e-9)


# Windows, sinks, indexers whose prompts gather, merged entries, delta rules, Mamba-2, and chunks of attention.
OTHERS = (
    "openai/gpt-oss-120b", "deepseek-ai/DeepSeek-V3.2", "deepseek-ai/DeepSeek-V4-Pro", "MiniMaxAI/MiniMax-M3",
    "Qwen/Qwen3-Next-80B-A3B-Instruct", "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "moonshotai/Kimi-Linear-48B-A3B-Instruct",
    "meta-llama/Llama-4-Scout-17B-16E", "google/gemma-3-27b-it",
)  # fmt: skip
FAR = [(64, 40_000, 0, 0, 0), (3, 100_000, 2, 30, 60_000), (0, 0, 1, 40, 0), (0, 0, 4, 2, 100), (2, 127, 1, 500, 1800)]


@pytest.mark.parametrize("tensor", [1, 8])
@pytest.mark.parametrize("name", OTHERS)
def test_the_tables_add_up_for_other_kinds_of_layers(h100: Chip, name: str, tensor: int) -> None:
    found = listed(name)
    case = one_case(h100, found, "fp8", tensor, tensor if found.has_experts else 1)
    for step in [*STEPS, *FAR]:
        compiled, direct = both(case, *step)
        assert compiled == pytest.approx(direct, rel=1e-9)


def test_a_window_shortens_a_step(h100: Chip) -> None:
    with_window, _ = both(one_case(h100, MODELS["windowed"], "bf16"), 64, 4000, 0, 0, 0)
    without, _ = both(one_case(h100, LLAMA_8B, "bf16"), 64, 4000, 0, 0, 0)
    assert with_window < 0.9 * without


def test_blocks_fill_the_memory_beside_the_weights(h100: Chip) -> None:
    found = engine(h100, LLAMA_8B, "bf16", Deployment(tensor=1), prompt=1000, output=200)
    cache = found.policy.blocks * found.policy.block_size * 131_072  # 2 x 8 heads x 128 x 32 layers x 2 bytes a token
    weights = 8.03e9 * 2
    capacity, budget = h100.memory.capacity.value, found.policy.token_budget
    assert 0.85 * capacity < cache + weights < capacity
    assert len(found.step_model.token_seconds) == budget + 1
    assert engine(h100, LLAMA_8B, "fp8", Deployment(tensor=1), prompt=1000, output=200).policy.blocks > 2 * found.policy.blocks


def test_what_cannot_be_simulated_is_refused(h100: Chip) -> None:
    with pytest.raises(InputError, match="no room for one request of full length in each micro-batch"):
        engine(h100, LLAMA_8B, "bf16", Deployment(tensor=1, pipeline=2), prompt=900_000, output=100)
    with pytest.raises(InputError, match="tp 3 does not divide 32 heads"):
        engine(h100, LLAMA_8B, "bf16", Deployment(tensor=3), prompt=100, output=100)
    with pytest.raises(InputError, match="does not fit"):
        engine(h100, model(LayerGroup(count=400, attention=GROUPED, feed_forward=DENSE)), "bf16", Deployment(tensor=1), prompt=9, output=9)


def in_closed_loop(hardware: Chip, prompt: int, output: int, users: int) -> tuple[Summary, Prediction]:
    """The same closed loop simulated and by the closed form; lengths uniform from 0.8 to 1 of the given, warm-up and end left out."""
    found = engine(hardware, LLAMA_8B, "bf16", Deployment(tensor=1), prompt=prompt, output=output)
    count = 6 * users
    outcome = simulated(
        found.step_model, closed_loop(count, users, Lengths(prompt=prompt, output=output, shortest=0.8), seed=1), found.policy
    )
    case = Case(
        kind=Kind.ONLINE, chip=hardware, chips=1, model=LLAMA_8B, precision="bf16", prompt=0.9 * prompt, output=0.9 * output,
        concurrency=float(users), deployments=(Deployment(tensor=1),),
    )  # fmt: skip
    (predicted,) = predict([case])
    assert isinstance(predicted, Prediction)
    return summary(outcome, rows=slice(2 * users, count - users)), predicted


# Measured when written: TPOT +0.6 %, +3.2 %, -0.1 %, +1.1 %; tokens/s -4.1 %, -4.7 %, -5.0 %, +0.2 %.
@pytest.mark.parametrize(("prompt", "output", "users"), [(1024, 128, 32), (1024, 128, 64), (128, 1024, 32), (8192, 256, 32)])
def test_a_simulated_closed_loop_agrees_with_the_steady_state(h100: Chip, prompt: int, output: int, users: int) -> None:
    found, predicted = in_closed_loop(h100, prompt, output, users)
    assert found.tpot is not None
    assert found.preemptions == 0
    assert found.tpot.mean == pytest.approx(predicted.tpot.value, rel=0.10)
    assert found.output_rate == pytest.approx(predicted.output_rate_per_chip.value, rel=0.10)
