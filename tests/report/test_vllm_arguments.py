"""Arguments of `vllm serve`, against a parser written from vLLM's documentation and a real shell."""

import argparse
import dataclasses
import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.hardware.catalog import chip, chips
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.report.accelerators import accelerators, vendor_of
from tapeout.report.checkpoint import Checkpoint
from tapeout.report.vllm_arguments import Draft, arguments, memory_share, script
from tapeout.serving.cluster import Phase
from tapeout.serving.policy import Order
from tapeout.serving.speculation import Speculation
from tests.report.serving_pools import POLICY, pool

DEEPSEEK = "deepseek-ai/DeepSeek-V3"
TWO = Speculation(acceptance=(0.8, 0.6), draft_seconds=np.zeros(3))


class StrictParser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ValueError(message)


def documented() -> StrictParser:
    """The options of `vllm serve` 0.33.0 that matter here, by its documentation."""
    parser = StrictParser(allow_abbrev=False)
    parser.add_argument("model_tag")
    for name in ("--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size", "--max-model-len", "--max-num-seqs"):
        parser.add_argument(name, type=positive)
    for name in ("--max-num-batched-tokens", "--block-size", "--num-gpu-blocks-override", "--long-prefill-token-threshold"):
        parser.add_argument(name, type=positive)
    parser.add_argument("--served-model-name")
    parser.add_argument("--enable-expert-parallel", action="store_true")
    parser.add_argument("--enable-prefix-caching", action=argparse.BooleanOptionalAction)
    parser.add_argument("--gpu-memory-utilization", type=float)
    parser.add_argument("--dtype", choices=["auto", "half", "float16", "bfloat16", "float", "float32"])
    parser.add_argument("--quantization", choices=["fp8", "fp8_per_tensor", "fp8_per_block", "fp8_per_channel", "mxfp8", "mxfp4"])
    parser.add_argument("--kv-cache-dtype", choices=["auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "int8_per_token_head"])
    parser.add_argument("--scheduling-policy", choices=["fcfs", "priority"])
    parser.add_argument("--speculative-config", type=json.loads)
    parser.add_argument("--kv-transfer-config", type=json.loads)
    return parser


def positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def parsed(served) -> argparse.Namespace:
    return documented().parse_args([word for option in arguments(served) for word in option])


policies = st.builds(
    dataclasses.replace,
    st.just(POLICY),
    most_sequences=st.integers(1, 512),
    token_budget=st.integers(512, 16384),
    block_size=st.sampled_from([16, 32, 64, 128]),
    chunk=st.none() | st.integers(1, 4096),
    order=st.sampled_from(list(Order)),
    prefix_caching=st.booleans(),
)


@given(policies, st.sampled_from([1, 2, 4, 8]), st.integers(1, 4), st.booleans(), st.integers(2, 100_000))
def test_what_vllm_reads_is_what_was_simulated(policy, tensor: int, data: int, fixed: bool, longest: int) -> None:
    served = pool(policy=policy, deployment=Deployment(tensor=tensor, data=data), fixed_blocks=fixed, longest=longest)
    found = parsed(served)
    assert found.model_tag == "meta-llama/Llama-3.1-70B"
    assert (found.tensor_parallel_size, found.data_parallel_size or 1, found.pipeline_parallel_size or 1) == (tensor, data, 1)
    assert (found.max_num_seqs, found.max_num_batched_tokens) == (policy.most_sequences, policy.token_budget)
    assert (found.block_size or 16, found.max_model_len) == (policy.block_size, longest)
    assert found.scheduling_policy == {Order.FIRST_COME: "fcfs", Order.PRIORITY: "priority"}[policy.order]
    assert found.enable_prefix_caching is policy.prefix_caching
    assert found.num_gpu_blocks_override == (policy.blocks if fixed else None)
    # A limit that no request reaches is none.
    assert (found.long_prefill_token_threshold or math.inf) == (policy.chunk if policy.chunk and policy.chunk < longest else math.inf)
    assert not found.enable_expert_parallel
    assert found.speculative_config is None
    assert found.kv_transfer_config is None


def test_sequences_and_blocks_of_a_pipeline_are_those_of_all_micro_batches() -> None:
    found = parsed(pool(deployment=Deployment(tensor=4, pipeline=2), fixed_blocks=True))
    assert (found.pipeline_parallel_size, found.max_num_seqs, found.num_gpu_blocks_override) == (2, 256, 1554)
    assert found.max_num_batched_tokens == 4096


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("meta-llama/Llama-3.1-70B", "bf16", (None, "auto")),
        ("meta-llama/Llama-3.1-70B", "fp8", ("fp8_per_tensor", "fp8")),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "fp8", (None, "fp8")),
        ("neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w8a8", "int8", (None, "int8_per_token_head")),
        ("nvidia/Llama-3.1-405B-Instruct-FP4", "fp4", (None, "fp8")),
        ("Qwen/Qwen3-30B-A3B", "fp8", ("fp8_per_tensor", "auto")),
        (DEEPSEEK, "fp8", (None, "auto")),
        ("openai/gpt-oss-120b", "fp4", (None, "auto")),
    ],
)
def test_formats_are_those_of_the_precision(name: str, precision: str, expected: tuple[str | None, str]) -> None:
    found = parsed(pool(name, precision=precision))
    assert (found.dtype, found.quantization, found.kv_cache_dtype) == ("bfloat16", *expected)


def test_the_memory_is_that_of_the_model() -> None:
    """An H100 is sold with 80 GB and has 80 GiB; a model that fills 92 % of the former fills 85.68 % of the latter."""
    assert memory_share(pool()) == 0.856
    assert all(0.5 < memory_share(pool(chip=one)) < 1 for one in chips().values())


@pytest.mark.parametrize(
    ("deployment", "spread"), [((8, 1, 8, 1), True), ((8, 1, 1, 1), False), ((1, 1, 8, 8), True), ((2, 1, 8, 4), True)]
)
def test_experts_are_spread_or_split(deployment: tuple[int, int, int, int], spread: bool) -> None:
    tensor, pipeline, expert, data = deployment
    found = parsed(pool(DEEPSEEK, deployment=Deployment(tensor=tensor, pipeline=pipeline, expert=expert, data=data)))
    assert found.enable_expert_parallel is spread
    assert (found.tensor_parallel_size, found.data_parallel_size or 1) == (tensor, data)


def test_devices_of_a_chip_are_ranks() -> None:
    served = pool("nvidia/Llama-3.1-70B-Instruct-FP8", chip=chip("google-tpu-v7x"))
    assert parsed(served).tensor_parallel_size == 8
    assert parsed(dataclasses.replace(served, chip=chip("aws-trainium2"))).tensor_parallel_size == 16


def test_drafts_are_json() -> None:
    simulated = dataclasses.replace(POLICY, speculation=TWO)
    assert parsed(pool(DEEPSEEK, policy=simulated)).speculative_config == {"method": "mtp", "num_speculative_tokens": 2}
    eagle = Draft(method="eagle3", tokens=2, model=Checkpoint(name="a b/it's", stored="bf16"))
    expected = {"method": "eagle3", "num_speculative_tokens": 2, "model": "a b/it's"}
    assert parsed(pool(policy=simulated, draft=eagle)).speculative_config == expected


def test_roles_of_a_disaggregated_deployment() -> None:
    roles = {phase: parsed(pool(phase=phase)).kv_transfer_config for phase in Phase}
    assert roles[Phase.BOTH] is None
    assert roles[Phase.PREFILL] == {"kv_connector": "NixlConnector", "kv_role": "kv_producer"}
    assert roles[Phase.DECODE] == {"kv_connector": "NixlConnector", "kv_role": "kv_consumer"}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"policy": dataclasses.replace(POLICY, prompts_first=True)}, "that is SGLang's"),
        ({"policy": dataclasses.replace(POLICY, swap=1e-5)}, "does not swap"),
        ({"policy": dataclasses.replace(POLICY, token_budget=64)}, "raise token_budget"),
        ({"policy": dataclasses.replace(POLICY, speculation=TWO)}, "no heads that predict tokens"),
        ({"draft": Draft(method="mtp", tokens=1)}, "no heads that predict tokens"),
        ({"policy": dataclasses.replace(POLICY, speculation=TWO), "draft": Draft(method="ngram", tokens=3)}, "another number of tokens"),
        ({"longest": 10**6}, "at most 131072 tokens"),
        ({"precision": "int8"}, "does not make int8"),
        ({"precision": "fp4"}, "name a checkpoint that is stored in fp4"),
        ({"checkpoint": Checkpoint(name="x/y-FP8", stored="fp8"), "precision": "bf16"}, "stored in fp8"),
        ({"chip": chip("google-tpu-v6e")}, "on chips by Google"),
        ({"chip": chip("google-tpu-v6e"), "precision": "bf16", "phase": Phase.DECODE}, "no transfer of KV caches"),
        ({"chip": chip("microsoft-maia-200")}, "not documented to run on"),
    ],
)
def test_what_vllm_cannot_do_is_said(changes: dict[str, object], part: str) -> None:
    with pytest.raises(InputError, match=part):
        arguments(pool(**changes))


@pytest.mark.parametrize(("expert", "data", "part"), [(2, 1, "ep 1 or ep 4"), (1, 2, "give ep 8")])
def test_experts_that_vllm_cannot_place(expert: int, data: int, part: str) -> None:
    with pytest.raises(InputError, match=part):
        arguments(pool(DEEPSEEK, deployment=Deployment(tensor=4, expert=expert, data=data)))


@pytest.mark.parametrize(
    ("method", "tokens", "model", "part"),
    [
        ("mpt", 1, None, "did you mean mtp"),
        ("eagle3", 1, None, "need a model"),
        ("ngram", 1, "a/b", "take no model"),
        ("mtp", 0, None, "at least 1"),
    ],
)
def test_drafts_are_checked(method: str, tokens: int, model: str | None, part: str) -> None:
    with pytest.raises(InputError, match=part):
        Draft(method=method, tokens=tokens, model=Checkpoint(name=model, stored="bf16") if model else None)


HOSTILE = ["a/it's; rm -rf ~", "/models/$(touch owned)/`id`", '/m/"q" \\ $HOME & | > x', "/m/ü #no comment", "/m/*?[a]{b,c}"]


def received(text: str, tmp_path: Path, **environment: str) -> list[str]:
    """What a program named vllm is given when a real shell runs the script."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    program = tmp_path / "bin" / "vllm"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    (tmp_path / "serve.sh").write_text(text)
    known = {"PATH": f"{program.parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environment}
    ran = subprocess.run(["/bin/sh", tmp_path / "serve.sh"], capture_output=True, text=True, cwd=tmp_path, env=known, check=True)
    return ran.stdout.splitlines()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_shell_gives_vllm_the_very_arguments(name: str, tmp_path: Path) -> None:
    served = pool(
        checkpoint=Checkpoint(name=name, stored="fp8"),
        draft=Draft(method="draft_model", tokens=2, model=Checkpoint(name=name, stored="bf16")),
    )
    words = [word for option in arguments(served) for word in option]
    text = script(served, "From a test.")
    assert received(text, tmp_path) == ["serve", *words]
    assert not (tmp_path / "owned").exists()


def test_a_heading_cannot_leave_its_comment(tmp_path: Path) -> None:
    plain = received(script(pool(), "From a test."), tmp_path)
    for end in ("\n", "\r\n", "\x85", "\u2028", "\x0b"):
        assert received(script(pool(), f"From{end}touch owned"), tmp_path) == plain
        assert len(script(pool(), f"From{end}touch owned").splitlines()) == len(script(pool(), "From").splitlines())
    assert not (tmp_path / "owned").exists()


def test_a_name_that_is_no_argument_is_refused() -> None:
    for name in ("", "-x", "a\nb", "a\x1b[2J"):
        with pytest.raises(InputError, match="bad name of a checkpoint"):
            Checkpoint(name=name, stored="bf16")


def test_a_replica_on_two_machines(tmp_path: Path) -> None:
    served = pool(deployment=Deployment(tensor=8, pipeline=2))
    assert served.nodes == 2
    text = script(served, "From a test.")
    first = received(text, tmp_path, NODE_RANK="0", MASTER_ADDR="10.0.0.1")
    second = received(text, tmp_path, NODE_RANK="1", MASTER_ADDR="10.0.0.1")
    assert first[-6:] == ["--nnodes", "2", "--node-rank", "0", "--master-addr", "10.0.0.1"]
    assert second[-3:] == ["--master-addr", "10.0.0.1", "--headless"]
    with pytest.raises(subprocess.CalledProcessError):
        received(text, tmp_path)
    with pytest.raises(InputError, match="attention ranks on several machines"):
        _ = pool(DEEPSEEK, deployment=Deployment(tensor=1, expert=16, data=16)).nodes
    with pytest.raises(InputError, match="does not fill machines"):
        _ = pool(deployment=Deployment(tensor=4, pipeline=3)).nodes


def test_a_role_needs_an_address(tmp_path: Path) -> None:
    text = script(pool(phase=Phase.PREFILL), "From a test.")
    assert "--kv-transfer-config" in received(text, tmp_path, VLLM_NIXL_SIDE_CHANNEL_HOST="10.0.0.7")
    with pytest.raises(subprocess.CalledProcessError):
        received(text, tmp_path)


@pytest.mark.parametrize("one", chips().values(), ids=lambda one: one.id)
def test_every_chip_is_served_or_refused_with_a_reason(one: Chip) -> None:
    served = pool("nvidia/Llama-3.1-70B-Instruct-FP8", chip=one, precision="fp8")
    peculiar = accelerators().chips.get(one.id)
    if one.vendor in accelerators().vendors and not (peculiar and peculiar.refused):
        assert vendor_of(one).resource.value.count("/") == 1
        assert parsed(served).tensor_parallel_size == 4 * (peculiar.devices.value if peculiar and peculiar.devices else 1)
    else:
        with pytest.raises(InputError, match=f"run on {one.name}.*chips by NVIDIA") as refused:
            arguments(served)
        assert one.vendor == "Microsoft" or "vLLM" in str(refused.value.hint)
