"""`tapeout export` as a user meets it: what stands on the screen, what is written, and what is refused."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.program import Ran

GIVEN = ("export", "meta-llama/Llama-3.1-70B", "--on", "nvidia-h100-sxm:8")


def test_the_script_is_printed_and_its_options_follow_the_policy(run: Callable[..., Ran]) -> None:
    ran = run(*GIVEN, "--tp", "4", "--isl", "3000", "--osl", "1000", "--policy", "prefix_caching=yes", "--policy", "blocks=5000")
    assert (ran.code, ran.err) == (0, "")
    assert subprocess.run(["/bin/sh", "-n"], input=ran.out, text=True, check=False).returncode == 0
    for option in ("--tensor-parallel-size 4", "--max-model-len 4000", "--enable-prefix-caching", "--num-gpu-blocks-override 5000"):
        assert f"  {option} \\\n" in ran.out
    assert "for requests of up to 4000 tokens.\n" in ran.out
    assert "each of 2 replicas" in ran.out


def test_both_forms_are_written_and_agree(run: Callable[..., Ran], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    ran = run(*GIVEN, "--tp", "2", "--disaggregate", "2:6", "--out", str(folder))
    assert ran.code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["kubernetes.yaml", "vllm-serve-decode.sh", "vllm-serve-prefill.sh"]
    found = list(YAML(typ="safe", pure=True).load_all(folder / "kubernetes.yaml"))
    assert [one["spec"].get("replicas") for one in found] == [1, None, 3, None]
    for one, part in ((found[0], "prefill"), (found[2], "decode")):
        [container] = one["spec"]["template"]["spec"]["containers"]
        text = (folder / f"vllm-serve-{part}.sh").read_text()
        options = [word for word in container["args"] if word.startswith("--") and word != "--port"]
        assert options == re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE)


def test_the_deployment_is_chosen_by_the_traffic(run: Callable[..., Ran]) -> None:
    """Only on all eight chips has a single user of the 8B model a token every 3 ms."""
    ran = run(
        "export", "meta-llama/Llama-3.1-8B", "--on", "nvidia-h100-sxm:8", "--users", "1", "--slo", "2s/3ms", "--isl", "256", "--osl", "8"
    )
    assert ran.code == 0
    assert "--tensor-parallel-size 8 \\\n" in ran.out
    assert "for 1 users in a closed loop, limits 2s/3ms.\n" in ran.out


def test_an_autoscaler_and_a_draft(run: Callable[..., Ran]) -> None:
    ran = run(*GIVEN, "--tp", "8", "--autoscale", "1:1:32:2min", "--speculate", "3:0.7", "--format", "kubernetes", "--name", "Chat!")
    assert ran.code == 0
    workload, _, scaler = YAML(typ="safe", pure=True).load_all(ran.out)
    assert scaler["spec"]["maxReplicas"] == 1
    assert scaler["metadata"]["name"] == workload["metadata"]["name"] == "chat"
    assert '{"method": "ngram", "num_speculative_tokens": 3}' in workload["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (GIVEN, "give --tp, or --traffic or --users"),
        ((*GIVEN, "--ep", "2"), "need --tp"),
        ((*GIVEN, "--tp", "3"), "tp 3 does not divide 64 heads"),
        ((*GIVEN, "--tp", "4", "--policy", "prompts_first=yes"), "SGLang's"),
        ((*GIVEN, "--tp", "4", "--policy", "swap=20us"), "does not swap"),
        ((*GIVEN, "--tp", "4", "--precision", "int8"), "stored in int8"),
        ((*GIVEN, "--tp", "4", "--draft-method", "ngram"), "needs --speculate"),
        ((*GIVEN, "--tp", "4", "--speculate", "3:0.7", "--draft-method", "mtp"), "no heads that predict tokens"),
        ((*GIVEN, "--tp", "4", "--speculate", "3:0.7", "--draft-method", "mpt"), "did you mean mtp?"),
        ((*GIVEN, "--tp", "4", "--autoscale", "4"), "--autoscale"),
        ((*GIVEN, "--tp", "4", "--autoscale", "1:9:8:2min"), "as many as the chips hold"),
        ((*GIVEN, "--tp", "4", "--disaggregate", "4:8"), "does not add up"),
        ((*GIVEN, "--tp", "4", "--start-up", "5 GB"), "--start-up: wrong unit"),
        ((*GIVEN, "--tp", "4", "--users", "4", "--traffic", "poisson:1"), "either --traffic or --users"),
        ((*GIVEN, "--tp", "4", "--checkpoint", "/models/llama-fp8", "--format", "kubernetes"), "does not see the folder"),
        ((*GIVEN, "--tp", "4", "--out", "/dev/null/x"), "output folder"),
    ],
)
def test_bad_input_is_refused_with_exit_code_2(run: Callable[..., Ran], arguments: tuple[str, ...], part: str) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert part in ran.err
    assert ran.out == ""
