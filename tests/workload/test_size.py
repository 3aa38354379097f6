"""Parameter counts: published ones first, to the unit where the checkpoint's own total is known, then closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from tapeout.workload.architecture import (
    Architecture,
    Attention,
    Compression,
    FeedForward,
    Indexer,
    Latent,
    LayerGroup,
    Recurrence,
    Residual,
)
from tapeout.workload.catalog import model, model_facts, model_ids
from tapeout.workload.operators import Batch, Sharding, operators
from tapeout.workload.shapes import shapes
from tapeout.workload.size import (
    active_parameters,
    attention_parameters,
    kv_elements_per_token,
    parameters,
    predictor_parameters,
    recurrence_parameters,
    size,
)

# Totals of the safetensors files on Hugging Face, less what is not a parameter of the text decoder, as models.toml says by model.
PUBLISHED_TO_THE_UNIT = {
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-2-70b-hf": 68_976_648_192,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.1-70B": 70_553_706_496,
    "meta-llama/Llama-3.1-405B": 405_853_388_800,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mixtral-8x7B-v0.1": 46_702_792_704,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "Qwen/Qwen3-30B-A3B": 30_532_122_624,
    "Qwen/Qwen3-235B-A22B": 235_093_634_560,
    "Qwen/Qwen3-Coder-480B-A35B-Instruct": 480_154_875_392,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "deepseek-ai/DeepSeek-V2": 235_741_434_880,
    "deepseek-ai/DeepSeek-V2-Lite": 15_706_484_224,
    "deepseek-ai/DeepSeek-V3": 671_026_419_200,
    "openai/gpt-oss-20b": 20_914_757_184,
    "openai/gpt-oss-120b": 116_829_156_672,
    "MiniMaxAI/MiniMax-M2.7": 228_689_764_864,
    "XiaomiMiMo/MiMo-7B-Base": 7_622_619_136,
    "EleutherAI/gpt-j-6b": 6_050_882_784,
    "EleutherAI/gpt-neox-20b": 20_554_567_680,
    "tiiuae/falcon-7b": 7_217_189_760,
    "tiiuae/falcon-180B": 179_522_565_120,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "microsoft/phi-4": 14_659_507_200,
    "google/gemma-2-9b": 9_241_705_984,
    "Qwen/Qwen3-Next-80B-A3B-Instruct": 79_674_391_296,
    "moonshotai/Kimi-Linear-48B-A3B-Instruct": 49_122_681_728,
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1": 49_867_145_216,
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16": 123_611_033_088 - 2_942_325_248,
}
# Tensors of multi-token-prediction heads in the published files, embedding and output head left out.
PREDICTORS_TO_THE_UNIT = {
    "XiaomiMiMo/MiMo-7B-Base": 210_790_400,
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16": 2_942_324_736 + 512,  # the 32-bit offsets of the router are counted apart
}


MODELLED = {identifier: model(identifier) for identifier in model_ids()}
MIXTURES = [identifier for identifier, architecture in MODELLED.items() if architecture.has_experts]


def test_the_whole_catalogue_is_modelled() -> None:
    assert MODELLED.keys() == set(model_ids())
    assert len(MIXTURES) >= 40


@pytest.mark.parametrize("identifier", MODELLED)
def test_the_count_is_within_half_a_percent_of_the_published_one(identifier: str) -> None:
    """Or within its last digit, where that is coarser: 1.6T, 35B."""
    published = model_facts(identifier).parameters
    assert published is not None
    assert 0.995 * published.low <= parameters(MODELLED[identifier]) <= 1.005 * published.high
    assert published.high <= 1.12 * published.low


@pytest.mark.parametrize(("identifier", "published"), PUBLISHED_TO_THE_UNIT.items())
def test_the_count_is_the_published_one_to_the_unit(identifier: str, published: int) -> None:
    assert parameters(MODELLED[identifier]) == published


@pytest.mark.parametrize(("identifier", "published"), PREDICTORS_TO_THE_UNIT.items())
def test_the_prediction_heads_are_the_published_ones_to_the_unit(identifier: str, published: int) -> None:
    assert predictor_parameters(MODELLED[identifier]) == published


def test_prediction_heads_stand_beside_the_model() -> None:
    """The model's page: 671B, and a module of 14B, of which 11.5B are its own [deepseek-v3-report]."""
    found = MODELLED["deepseek-ai/DeepSeek-V3"]
    assert found.predictors == 1
    assert predictor_parameters(found) == pytest.approx(11.5e9, rel=0.01)
    assert predictor_parameters(MODELLED["meta-llama/Llama-3.1-8B"]) == 0
    assert sum(group.count for group in MODELLED["stepfun-ai/Step-3.5-Flash"].predictor_groups) == 3
    # The page of Nemotron 3 Ultra shows 561B with its head, conversions without it 549B.
    ultra = MODELLED["nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16"]
    assert round(parameters(ultra) / 1e9) == 549
    assert round((parameters(ultra) + predictor_parameters(ultra)) / 1e9) in (560, 561)


def test_both_llama_4_checkpoints_leave_the_same_vision_tower() -> None:
    scout, maverick = (MODELLED[f"meta-llama/Llama-4-{name}"] for name in ("Scout-17B-16E", "Maverick-17B-128E"))
    assert 108_641_793_536 - parameters(scout) == 401_583_781_376 - parameters(maverick) > 0


@pytest.mark.parametrize("identifier", MIXTURES)
def test_the_active_count_is_the_published_one(identifier: str) -> None:
    """Reports count embedding and head, the head alone, or neither; the published figure is one of the three, to its last digit."""
    published, found = model_facts(identifier).active, size(MODELLED[identifier])
    assert published is not None
    conventions = (found.active, found.active - found.embedding, found.active - found.embedding - found.head)
    assert any(published.low <= count <= published.high for count in conventions)


def test_a_token_passes_every_parameter_of_a_dense_model() -> None:
    for architecture in MODELLED.values():
        assert (active_parameters(architecture) == parameters(architecture)) != architecture.has_experts


@pytest.mark.parametrize(
    ("identifier", "kilobytes"),
    [("deepseek-ai/DeepSeek-V3", 70.272), ("Qwen/Qwen2.5-72B", 327.680), ("meta-llama/Llama-3.1-405B", 516.096)],
)
def test_the_cache_of_a_token_is_the_published_one(identifier: str, kilobytes: float) -> None:
    """In bf16, from table 1 of Insights into DeepSeek-V3 (arXiv 2505.09343)."""
    assert 2 * sum(kv_elements_per_token(group) for group in MODELLED[identifier].groups) == pytest.approx(kilobytes * 1000)


def summed(architecture: Architecture, sequences: float, field: str) -> float:
    """A field of the operators with weights of one decode step without context, over all layers on one chip."""
    step = Batch(sequences=np.array(sequences), new_tokens=np.array(1.0), context=np.array(0.0))
    alone = Sharding(tensor=np.array(1.0), pipeline=np.array(1.0), expert=np.array(1.0))
    found = [part for part in operators(shapes(architecture), [step], alone) if np.any(part.weights)]
    return float(sum(np.sum(part.calls * getattr(part, field)) for part in found))


@pytest.mark.parametrize("identifier", MODELLED)
def test_the_operators_read_the_parameters_and_multiply_the_active_ones(identifier: str) -> None:
    """All weights in a step of so many tokens that each expert is touched; 2 FLOPs a token for each active parameter, the table apart."""
    architecture, found = MODELLED[identifier], size(MODELLED[identifier])
    table = architecture.vocabulary * architecture.hidden
    untied = 0 if architecture.tied_embeddings else table
    assert summed(architecture, 1e9, "weights") + untied == pytest.approx(found.total, rel=0.005)
    assert summed(architecture, 1.0, "flops") == pytest.approx(2 * (found.total - found.experts + found.chosen_experts - untied), rel=0.01)


def test_gpt_3_follows_the_closed_form() -> None:
    """12 h^2 + 13 h a layer with biases and norms, two tables, and the last norm."""
    hidden, layers, vocabulary, positions = 12288, 96, 50257, 2048
    expected = layers * (12 * hidden**2 + 13 * hidden) + (vocabulary + positions) * hidden + 2 * hidden
    assert parameters(MODELLED["openai/gpt-3-175b"]) == expected


GROUPED = Attention(heads=8, kv_heads=2, head_size=16, value_size=16)
LATENT = replace(GROUPED, kv_heads=8, head_size=24, latent=Latent(kv_rank=32, rope_size=8, query_rank=48))


@pytest.mark.parametrize(
    ("attention", "more"),
    [
        (replace(GROUPED, query_key_norm=True), 2 * 16),
        (replace(GROUPED, query_key_norm=True, norm_across_heads=True), (8 + 2) * 16),
        (replace(GROUPED, input_bias=True), (8 + 2 + 2) * 16),
        (replace(GROUPED, output_bias=True), 64),
        (replace(GROUPED, sinks=True), 8),
        (replace(GROUPED, gate_size=1), 8 * 64),
        (replace(GROUPED, gate_size=16), 8 * 16 * 64),
        (replace(GROUPED, one_cache=True), -2 * 16 * 64 + 16),
        (replace(GROUPED, query_rank=24), 24 * (64 + 8 * 16 + 1) - 64 * 8 * 16),
        (replace(GROUPED, output_rank=4, output_groups=2), 8 * 16 * 4 + 2 * 4 * 64 - 8 * 16 * 64),
        (replace(GROUPED, chosen=32), 0),
        (replace(GROUPED, chosen=32, indexer=Indexer(heads=2, head_size=8, weighted=False)), 64 * 2 * 8 + 8 * (64 + 2)),
        (replace(GROUPED, chosen=32, indexer=Indexer(heads=2, head_size=8, weighted=True)), 64 * 2 * 8 + 2 * 64 + 8 * (64 + 2)),
        (replace(GROUPED, compression=Compression(ratio=4, overlap=2)), 2 * 16 * (2 * 64 + 4) + 16),
        (replace(GROUPED, values_from_keys=True), -2 * 16 * 64),
        (replace(GROUPED, window=128), 0),
    ],
)
def test_each_part_of_attention_counts_what_it_holds(attention: Attention, more: int) -> None:
    plain = 64 * 16 * (8 + 2 + 2) + 8 * 16 * 64
    assert attention_parameters(GROUPED, 64) == plain
    assert attention_parameters(attention, 64) == plain + more


def test_latent_attention_counts_its_projections_and_norms() -> None:
    queries, keys_and_values, out = 64 * 48 + 48 + 48 * 8 * 24, 64 * (32 + 8) + 32 + 32 * 8 * (16 + 16), 8 * 16 * 64
    assert attention_parameters(LATENT, 64) == queries + keys_and_values + out
    assert attention_parameters(replace(LATENT, input_bias=True), 64) == queries + 48 + keys_and_values + 40 + out
    without_rank = replace(LATENT, latent=Latent(kv_rank=32, rope_size=8))
    assert attention_parameters(without_rank, 64) == 64 * 8 * 24 + keys_and_values + out


def test_each_part_of_a_mixture_counts_what_it_holds() -> None:
    feed_forward = FeedForward(size=32, experts=4, experts_per_token=2, shared_size=16, router_bias=True, shared_gate=True)
    group = LayerGroup(count=3, attention=GROUPED, feed_forward=feed_forward, norm_bias=True)
    architecture = Architecture(name="m", family="m", hidden=64, vocabulary=100, max_context=1, groups=(group,), tied_embeddings=True)
    found = size(architecture)
    assert (found.experts, found.chosen_experts) == (3 * 4 * 3 * 64 * 32, 3 * 2 * 3 * 64 * 32)
    assert found.shared_experts == 3 * (3 * 64 * 16 + 64)
    assert found.router == 3 * 4 * (64 + 1)
    assert (found.embedding, found.head, found.dense) == (100 * 64, 0, 0)
    assert found.norms == 64 + 3 * 2 * 2 * 64
    assert found.total - found.active == 3 * 2 * 3 * 64 * 32


def test_a_recurrence_counts_what_it_holds() -> None:
    """A gated delta net by hand: q, k, v and gate, beta and decay, a convolution over q, k and v, two numbers a head, one norm, out."""
    net = Recurrence(
        heads=4, key_heads=2, key_size=8, value_size=16, delta=True, controls=2, chunk=64, convolution=4, head_parameters=2, norm_size=16
    )
    channels = 2 * 2 * 8 + 4 * 16
    assert net.channels == channels
    plain = 64 * (channels + 4 * 16 + 2 * 4) + 4 * channels + 2 * 4 + 16 + 4 * 16 * 64
    assert recurrence_parameters(net, 64) == plain
    assert recurrence_parameters(replace(net, convolution_bias=True), 64) == plain + channels
    assert recurrence_parameters(replace(net, gate_rank=8), 64) == plain - 64 * 64 + 8 * (64 + 64)
    assert recurrence_parameters(replace(net, decay_rank=8), 64) == plain + 8 * (64 + 4 * 8)


def test_experts_behind_a_projection_are_smaller() -> None:
    wide = FeedForward(size=32, gated=False, experts=4, experts_per_token=2)
    narrow = replace(wide, latent_size=16)
    found = [
        size(Architecture(name="m", family="m", hidden=64, vocabulary=100, max_context=1, groups=(LayerGroup(count=1, feed_forward=part),)))
        for part in (wide, narrow)
    ]
    assert (found[0].experts, found[1].experts) == (4 * 2 * 64 * 32, 4 * 2 * 16 * 32)
    assert found[1].shared_experts - found[0].shared_experts == 2 * 64 * 16


def test_hyper_connections_count_their_mixtures_and_the_last_collapse() -> None:
    group = LayerGroup(count=3, attention=GROUPED, feed_forward=FeedForward(size=32))
    plain, mixed = (
        size(Architecture(name="m", family="m", hidden=64, vocabulary=100, max_context=1, groups=(replace(group, residual=residual),)))
        for residual in (Residual(), Residual(streams=4))
    )
    assert mixed.norms - plain.norms == 3 * 2 * (24 * (4 * 64 + 1) + 3) + 4 * (4 * 64 + 1) + 1
