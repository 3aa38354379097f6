"""Manifests, parsed again by another reader of YAML, against Kubernetes' own rules for names, references, probes and variables."""

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tapeout.errors import InputError
from tapeout.hardware.catalog import chip, chips
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.report.accelerators import accelerators
from tapeout.report.checkpoint import Checkpoint
from tapeout.report.kubernetes import LONGEST_SUFFIX, Settings, manifest, object_name
from tapeout.report.vllm_arguments import arguments
from tapeout.serving.cluster import Autoscaling, Phase
from tests.report.serving_pools import pool

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
HEADING = "From a test."


def documents(*pools: Any, **chosen: Any) -> list[dict[str, Any]]:
    """The documents of a manifest, which every edition of YAML must read alike."""
    text = manifest(pools or (pool(),), Settings(**chosen), HEADING)
    older, newer = YAML(typ="safe", pure=True), YAML(typ="safe", pure=True)
    found = list(newer.load_all(text))
    # A document of its own each: the reader forgets the edition at the mark of the next.
    older.version = (1, 1)
    assert [older.load(part) for part in text.split("---\n")[1:]] == found
    return found


def pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The templates of a workload's pods."""
    spec = document["spec"]
    if document["kind"] == "Deployment":
        return [spec["template"]]
    return [spec["leaderWorkerTemplate"][part] for part in ("leaderTemplate", "workerTemplate")]


def expanded(word: str, variables: dict[str, str]) -> str:
    """A word as a container gets it: $$ is a dollar, $(NAME) a variable, or itself where there is no such variable."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda found: "$" if found[0] == "$$" else variables.get(found[1], found[0]), word)


def test_a_deployment_and_its_service_fit_together() -> None:
    served = pool(replicas=3)
    workload, service = documents(served)
    assert (workload["apiVersion"], workload["kind"], service["apiVersion"], service["kind"]) == ("apps/v1", "Deployment", "v1", "Service")
    [template] = pods(workload)
    [container] = template["spec"]["containers"]
    assert workload["spec"]["replicas"] == 3
    assert workload["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    [port] = service["spec"]["ports"]
    assert port["targetPort"] in {one["name"] for one in container["ports"]}
    assert container["command"] == ["vllm", "serve"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 4}}
    assert container["image"] == "vllm/vllm-openai:v0.33.0"
    words = [word for option in arguments(served) for word in option]
    assert container["args"] == [*words, "--port", str(container["ports"][0]["containerPort"])]


def test_every_mount_has_its_volume_and_shared_memory_is_memory() -> None:
    for served in (pool(), pool(deployment=Deployment(tensor=8, pipeline=2))):
        for template in pods(documents(served)[0]):
            volumes = {one["name"]: one for one in template["spec"]["volumes"]}
            mounts = {one["mountPath"]: one["name"] for one in template["spec"]["containers"][0]["volumeMounts"]}
            assert set(mounts.values()) == set(volumes)
            assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"  # noqa: S108
            # What the hub gives goes to the volume, not into the image.
            [home] = [one for one in template["spec"]["containers"][0]["env"] if one["name"] == "HF_HOME"]
            assert mounts[home["value"]] == "model"


def test_probes_wait_for_the_weights() -> None:
    [template] = pods(documents(start_up=1800.0)[0])
    [container] = template["spec"]["containers"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["httpGet"] == {"path": "/health", "port": "http"}
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 1800


def test_the_token_is_a_reference_and_nothing_secret_stands_in_the_text() -> None:
    [template] = pods(documents(secret="mine")[0])  # noqa: S106
    token, _ = template["spec"]["containers"][0]["env"]
    assert token["name"] == "HF_TOKEN"
    assert "value" not in token
    assert token["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "token", "optional": True}


def test_prefill_and_decode_are_two_workloads() -> None:
    found = documents(pool(phase=Phase.PREFILL, replicas=1), pool(phase=Phase.DECODE, replicas=3), name="chat")
    assert [one["metadata"]["name"] for one in found] == ["chat-prefill", "chat-prefill", "chat-decode", "chat-decode"]
    first, _, later, _ = found
    assert [first["spec"]["replicas"], later["spec"]["replicas"]] == [1, 3]
    assert first["spec"]["selector"] != later["spec"]["selector"]
    for document, role in ((first, "kv_producer"), (later, "kv_consumer")):
        container = pods(document)[0]["spec"]["containers"][0]
        assert role in container["args"][container["args"].index("--kv-transfer-config") + 1]
        addresses = [one for one in container["env"] if one["name"] == "VLLM_NIXL_SIDE_CHANNEL_HOST"]
        assert [one["valueFrom"] for one in addresses] == [{"fieldRef": {"fieldPath": "status.podIP"}}]


def test_an_autoscaler_owns_the_replicas() -> None:
    scaling = Autoscaling(least=1, most=6, target=48.5, interval=15.0, start_up=0.0, patience=120.0)
    workload, _, scaler = documents(pool(autoscaling=scaling, replicas=2))
    assert "replicas" not in workload["spec"]
    spec = scaler["spec"]
    assert (scaler["apiVersion"], scaler["kind"]) == ("autoscaling/v2", "HorizontalPodAutoscaler")
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload["metadata"]["name"]}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 6)
    [metric] = spec["metrics"]
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "48500m"}
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 120
    with pytest.raises(InputError, match="waits no longer"):
        documents(pool(autoscaling=dataclasses.replace(scaling, patience=7200.0)))


def test_a_replica_on_two_machines_is_a_group() -> None:
    workload, service = documents(pool(deployment=Deployment(tensor=8, pipeline=2), replicas=2))
    assert workload["kind"] == "LeaderWorkerSet"
    assert workload["spec"]["replicas"] == 2
    assert workload["spec"]["leaderWorkerTemplate"]["size"] == 2
    leader, worker = pods(workload)
    assert service["spec"]["selector"].items() <= leader["metadata"]["labels"].items()
    assert not service["spec"]["selector"].items() <= worker["metadata"]["labels"].items()
    variables = {"LWS_GROUP_SIZE": "2", "LWS_WORKER_INDEX": "1", "LWS_LEADER_ADDRESS": "leader.svc"}
    for template, last in ((leader, "leader.svc"), (worker, "--headless")):
        [container] = template["spec"]["containers"]
        words = [expanded(word, variables) for word in container["args"]]
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
        assert words[words.index("--nnodes") : words.index("--nnodes") + 4] == ["--nnodes", "2", "--node-rank", "1"]
        assert words[-1] == last
        assert ("readinessProbe" in container) is (template is leader)


@settings(max_examples=30)  # reading YAML twice is slow
@given(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1).map(lambda text: f"/{text}"))
def test_a_container_gets_the_very_arguments_whatever_the_name(name: str) -> None:
    served = pool(checkpoint=Checkpoint(name=name, stored="fp8"))
    [template] = pods(documents(served, claim="weights")[0])
    [container] = template["spec"]["containers"]
    words = [expanded(word, {"HOME": "/root", "A": "b"}) for word in container["args"]]
    assert words[:-2] == [word for option in arguments(served) for word in option]
    assert {"name": "model", "mountPath": name, "readOnly": True} in container["volumeMounts"]
    assert {"name": "model", "persistentVolumeClaim": {"claimName": "weights"}} in template["spec"]["volumes"]


@pytest.mark.parametrize("name", ["/m/$(A)", "/m/$$(A)", "/m/$$$(A)$$", "/m/$A$", "/m/$(unknown)"])
def test_a_name_is_no_variable(name: str) -> None:
    [template] = pods(documents(pool(checkpoint=Checkpoint(name=name, stored="fp8")), claim="weights")[0])
    assert expanded(template["spec"]["containers"][0]["args"][0], {"A": "b"}) == name


@pytest.mark.parametrize(("path", "chosen"), [("/models/llama", {}), ("./llama", {"claim": "weights"})])
def test_a_folder_that_no_pod_sees_is_refused(path: str, chosen: dict[str, str]) -> None:
    with pytest.raises(InputError, match="does not see the folder"):
        documents(pool(checkpoint=Checkpoint(name=path, stored="fp8")), **chosen)


@given(st.text(max_size=80))
def test_names_are_labels_with_room_for_a_suffix(text: str) -> None:
    try:
        name = object_name(text)
    except InputError:
        assert not re.search(r"[a-z0-9]", text.lower())
    else:
        assert LABEL.fullmatch(f"{name}-prefill")
        assert len(name) + 1 + LONGEST_SUFFIX <= 63


@pytest.mark.parametrize("one", chips().values(), ids=lambda one: one.id)
def test_every_chip_has_a_resource_or_a_clear_error(one: Chip) -> None:
    served = pool("nvidia/Llama-3.1-70B-Instruct-FP8", chip=one)
    peculiar = accelerators().chips.get(one.id)
    if one.vendor not in accelerators().vendors or (peculiar and peculiar.refused):
        with pytest.raises(InputError, match="not documented to run on"):
            documents(served)
        return
    expected = {
        "NVIDIA": "nvidia.com/gpu",
        "AMD": "amd.com/gpu",
        "Google": "google.com/tpu",
        "Intel": "habana.ai/gaudi",
        "AWS": "aws.amazon.com/neuron",
    }
    held = min(served.deployment.chips, 4 // served.nodes) * (2 if one.id == "amd-mi250x" else 1)
    for template in pods(documents(served)[0]):
        assert template["spec"]["containers"][0]["resources"]["limits"] == {expected[one.vendor]: held}
        assert ("nodeSelector" in template["spec"]) is (one.vendor == "Google")


def test_a_pod_takes_all_chips_of_a_tpu_node() -> None:
    served = pool("nvidia/Llama-3.1-70B-Instruct-FP8", chip=chip("google-tpu-v6e"))
    [template] = pods(documents(served)[0])
    assert template["spec"]["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == "2x2"
    with pytest.raises(InputError, match="allowed: 1, 4, 8"):
        documents(dataclasses.replace(served, deployment=Deployment(tensor=2)))


@pytest.mark.parametrize(
    "word", ["on", "yes", "N", "null", "~", "017", "0o7", "1:30", "1e3", "2026-11-25", "a: b", "# a", "{a}", "a\u2028b", "<<", "="]
)
def test_text_stays_text_in_every_edition_of_yaml(word: str) -> None:
    [template] = pods(documents(image=word, claim=word)[0])
    assert template["spec"]["containers"][0]["image"] == word
    assert template["spec"]["volumes"][1]["persistentVolumeClaim"]["claimName"] == word


def test_the_image_is_a_setting_and_the_heading_a_comment() -> None:
    text = manifest([pool()], Settings(image="registry.example/vllm:1"), HEADING)
    assert text.startswith(f"# {HEADING}\n# meta-llama/Llama-3.1-70B at fp8 on 4 x nvidia-h100-sxm, tp 4; replicas: 1.\n")
    assert "image: registry.example/vllm:1\n" in text
    assert "&id" not in text
