"""From a fleet to the pools that serve it, and to files."""

import pytest
from ruamel.yaml import YAML

from tapeout.errors import InputError
from tapeout.fleet.cluster_settings import Drafts
from tapeout.fleet.composition import Composition
from tapeout.fleet.engines import disaggregated, fleet
from tapeout.hardware.catalog import chip
from tapeout.performance.deployment import Deployment
from tapeout.report.checkpoint import Checkpoint
from tapeout.report.export_run import Exported, Form, exported, pools, texts
from tapeout.report.kubernetes import Settings
from tapeout.report.simulation_wanted import Wanted
from tapeout.serving.cluster import Phase
from tapeout.traffic.arrivals import closed_loop
from tapeout.workload.catalog import model
from tapeout.workload.traffic import Lengths

LLAMA = model("meta-llama/Llama-3.1-8B")
CHIP = chip("nvidia-h100-sxm")
LOADED = Checkpoint(name="meta-llama/Llama-3.1-8B", stored="bf16")
LONGEST = closed_loop(1, 1, Lengths(prompt=900, output=100), seed=1)


def test_groups_of_a_fleet_are_pools() -> None:
    found = disaggregated(CHIP, LLAMA, "fp8", (Deployment(tensor=1), 3), (Deployment(tensor=2), 4), LONGEST, ["most_sequences=99"])
    first, later = pools(Composition(fleets=(found,)), LOADED, LLAMA, "fp8", 1000)
    assert (first.phase, first.replicas, first.deployment) == (Phase.PREFILL, 3, Deployment(tensor=1))
    assert (later.phase, later.replicas, later.deployment) == (Phase.DECODE, 2, Deployment(tensor=2))
    assert first.policy.most_sequences == later.policy.most_sequences == 99
    written = texts(Exported(pools=(first, later), purpose="a test"), tuple(Form), Settings(), version="1", date="2026-11-25")
    assert list(written) == ["vllm-serve-prefill.sh", "vllm-serve-decode.sh", "kubernetes.yaml"]
    assert all("Written by tapeout 1 on 2026-11-25 for a test." in text for text in written.values())


def test_replicas_and_chips_are_those_of_the_fleet() -> None:
    for deployment in (Deployment(tensor=1), Deployment(tensor=2), Deployment(tensor=1, pipeline=2), Deployment(tensor=4)):
        found = fleet(CHIP, 8, LLAMA, "fp8", deployment, LONGEST)
        [pool] = pools(Composition(fleets=(found,)), LOADED, LLAMA, "fp8", 1000)
        assert pool.replicas * pool.deployment.chips == 8
        assert pool.phase is Phase.BOTH


def test_a_trace_decides_the_longest_request() -> None:
    traced = exported(
        Wanted(model="meta-llama/Llama-3.1-8B", on=("nvidia-h100-sxm:1",), traffic="synthetic-conversations", parallel=(1, 1, 1, 1))
    )
    [pool] = traced.pools
    ruled = exported(Wanted(model="meta-llama/Llama-3.1-8B", on=("nvidia-h100-sxm:1",), prompt=70, output=30, parallel=(1, 1, 1, 1)))
    assert ruled.pools[0].longest == 100
    assert pool.longest > 2000
    assert "synthetic" in traced.purpose


def test_a_server_has_the_weights_of_the_model_that_was_asked_for() -> None:
    wanted = Wanted(model="RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", on=("nvidia-h100-sxm:4",), parallel=(4, 1, 1, 1))
    assert exported(wanted).pools[0].checkpoint == Checkpoint(name="RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", stored="fp8")


def test_an_impossible_deployment_is_refused() -> None:
    with pytest.raises(InputError, match="tp 3 does not divide"):
        exported(Wanted(model="meta-llama/Llama-3.1-8B", on=("nvidia-h100-sxm:3",), parallel=(3, 1, 1, 1)))


def test_drafts_that_were_simulated_are_those_of_the_server() -> None:
    def draft(name: str, drafts: Drafts, method: str = "") -> object:
        wanted = Wanted(model=name, on=("nvidia-h200-sxm:8",), parallel=(8, 1, 1, 1), drafts=drafts)
        found = exported(wanted, method=method).pools[0].draft
        return found and (found.method, found.tokens, found.model and found.model.name)

    assert draft("meta-llama/Llama-3.1-70B", Drafts(tokens=3, chance=0.7)) == ("ngram", 3, None)
    assert draft("deepseek-ai/DeepSeek-V3", Drafts(tokens=1, chance=0.8), "mtp") == ("mtp", 1, None)
    small = Drafts(tokens=2, chance=0.6, model="meta-llama/Llama-3.2-1B")
    assert draft("meta-llama/Llama-3.1-70B", small) == ("draft_model", 2, "meta-llama/Llama-3.2-1B")


def test_two_kinds_of_chips_are_two_pools_under_names_of_their_own() -> None:
    wanted = Wanted(model="meta-llama/Llama-3.1-8B", on=("nvidia-h100-sxm:2", "amd-mi300x:1"), parallel=(1, 1, 1, 1))
    written = texts(exported(wanted), tuple(Form), Settings(), version="1", date="2026-11-25")
    assert list(written) == ["vllm-serve-nvidia-h100-sxm.sh", "vllm-serve-amd-mi300x.sh", "kubernetes.yaml"]
    documents = list(YAML(typ="safe", pure=True).load_all(written["kubernetes.yaml"]))
    assert [one["metadata"]["name"] for one in documents[::2]] == ["llama-3-1-8b-nvidia-h100-sxm", "llama-3-1-8b-amd-mi300x"]
    assert [one["spec"]["replicas"] for one in documents[::2]] == [2, 1]
