"""A deployment as a Kubernetes manifest: a workload, a service and, where asked, an autoscaler for each pool of replicas.

A replica on one machine is a pod of a Deployment, one that spans machines a group of a LeaderWorkerSet. No secret stands in it: the
token of the model hub is taken from a Secret of the cluster.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from tapeout.errors import InputError
from tapeout.report.accelerators import node_labels, units, vendor_of
from tapeout.report.vllm_arguments import CHECKED, PORT, Served, arguments, comment
from tapeout.serving.cluster import Autoscaling, Phase
from tapeout.units import Seconds

Manifest = dict[str, Any]

SHARED_MEMORY = "15Gi"
"""For the processes of one server, as in vLLM's own example of eight chips [vllm-docs, sec. deployment/frameworks/lws]."""
MODELS = "/models"
"""Where a pod keeps what it fetches from the hub, whoever the image runs as."""
METRIC = "vllm_requests_outstanding"
LONGEST_NAME, LONGEST_SUFFIX = 40, 21
LONGEST_CALM: Seconds = 3600.0
"""The longest time that an autoscaler of Kubernetes waits before it takes replicas away."""
_PROBED: Seconds = 10.0
_PLAIN = re.compile(r"(--)?[A-Za-z](?:[A-Za-z0-9./_:-]*[A-Za-z0-9])?|/[A-Za-z0-9./_-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a cluster decides: names of its objects, the `image`, None for the vendor's, and how long a server may take to `start_up`.

    A `claim` is the volume that holds a checkpoint which is a path, else the cache of what is loaded from the hub.
    """

    name: str | None = None
    image: str | None = None
    secret: str = "hf-token-secret"  # noqa: S105 - the name of a secret, not one
    claim: str | None = None
    start_up: Seconds = 3600.0


def manifest(pools: Sequence[Served], settings: Settings, heading: str) -> str:
    """The objects of all `pools` as YAML documents; `heading` says where they come from.

    Raises InputError for what vLLM or Kubernetes has no equivalent of, and for names that Kubernetes refuses.
    """
    name = object_name(settings.name or pools[0].architecture.name.rpartition("/")[2])
    found = [document for pool in pools for document in _documents(pool, settings, name + pool_suffix(pool, pools))]
    return _comments(pools, heading) + "".join(f"---\n{_yaml(document)}" for document in found)


def object_name(text: str) -> str:
    """The name of an object made of `text`, with room for a suffix: small letters, digits and dashes, a letter first.

    >>> object_name("Llama-3.1-8B")
    'llama-3-1-8b'
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:LONGEST_NAME].rstrip("-")
    if not name:
        raise InputError("no letter or digit in the name of an object", given=text)
    return name if name[0].isalpha() else f"m-{name}"


def pool_suffix(pool: Served, pools: Sequence[Served]) -> str:
    """What tells `pool` from the other `pools`, after a dash: its phase, or its chip where there are several kinds; nothing if alone."""
    if pool.phase is not Phase.BOTH:
        return f"-{pool.phase}"
    return f"-{object_name(pool.chip.id)[:LONGEST_SUFFIX]}" if len(pools) > 1 else ""


def _comments(pools: Sequence[Served], heading: str) -> str:
    lines = [heading, *(f"{pool.title}; replicas: {_count(pool)}." for pool in pools), f"Options of vLLM {CHECKED}."]
    if any(pool.phase is not Phase.BOTH for pool in pools):
        lines.append("A router in front, which is not part of this, sends each request to a prefill and then to a decode server.")
    elif len(pools) > 1:
        lines.append("A router in front, which is not part of this, spreads the requests over the services.")
    if any(pool.nodes > 1 for pool in pools):
        lines.append("The cluster needs the controller of LeaderWorkerSet.")
    if any(pool.autoscaling for pool in pools):
        lines.append(f"The adapter of custom metrics must serve, by pod, {METRIC} = vllm:num_requests_running + vllm:num_requests_waiting.")
    return "".join(f"{comment(line)}\n" for line in lines)


def _count(pool: Served) -> str:
    return f"{pool.autoscaling.least} to {pool.autoscaling.most}" if pool.autoscaling else str(pool.replicas)


def _documents(pool: Served, settings: Settings, name: str) -> list[Manifest]:
    spread = pool.nodes > 1
    workload = _leader_worker_set(pool, settings, name) if spread else _deployment(pool, settings, name)
    selector = {**_labels(name), **({"role": "leader"} if spread else {})}
    port = {"name": "http", "port": PORT, "targetPort": "http"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(name), "spec": {"selector": selector, "ports": [port]}}
    scaler = [] if pool.autoscaling is None else [_autoscaler(pool.autoscaling, workload, name)]
    return [workload, service, *scaler]


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name}


def _metadata(name: str) -> Manifest:
    return {"name": name, "labels": _labels(name)}


def _deployment(pool: Served, settings: Settings, name: str) -> Manifest:
    template = {"metadata": {"labels": _labels(name)}, "spec": _pod(pool, settings, _arguments(pool), answers=True)}
    spec: Manifest = {"selector": {"matchLabels": _labels(name)}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(name), "spec": _replicas(pool) | spec}


def _leader_worker_set(pool: Served, settings: Settings, name: str) -> Manifest:
    spread = ["--nnodes", "$(LWS_GROUP_SIZE)", "--node-rank", "$(LWS_WORKER_INDEX)", "--master-addr", "$(LWS_LEADER_ADDRESS)"]
    leads = _arguments(pool) + spread
    leader = {"metadata": {"labels": _labels(name) | {"role": "leader"}}, "spec": _pod(pool, settings, leads, answers=True)}
    worker = {"metadata": {"labels": _labels(name)}, "spec": _pod(pool, settings, [*leads, "--headless"], answers=False)}
    group = {
        "size": pool.nodes, "restartPolicy": "RecreateGroupOnPodRestart", "leaderTemplate": leader, "workerTemplate": worker,
    }  # fmt: skip
    spec = _replicas(pool) | {"leaderWorkerTemplate": group}
    return {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "metadata": _metadata(name), "spec": spec}


def _replicas(pool: Served) -> Manifest:
    # An autoscaler owns the number of replicas; stated here as well it would be set back at every update.
    return {} if pool.autoscaling else {"replicas": pool.replicas}


def _arguments(pool: Served) -> list[str]:
    words = [word for option in [*arguments(pool), ("--port", str(PORT))] for word in option]
    # Kubernetes puts variables in the place of $(NAME); a doubled dollar is a plain one.
    return [word.replace("$", "$$") for word in words]


def _pod(pool: Served, settings: Settings, words: list[str], *, answers: bool) -> Manifest:
    chips = pool.deployment.chips // pool.nodes
    vendor = vendor_of(pool.chip)
    container: Manifest = {
        "name": "vllm",
        "image": settings.image or vendor.image.value,
        "command": ["vllm", "serve"],
        "args": words,
        "env": _environment(pool, settings),
        "resources": {"limits": {vendor.resource.value: chips * units(pool.chip)}},
        "volumeMounts": [{"name": "shared-memory", "mountPath": "/dev/shm"}, _mount(pool, settings)],  # noqa: S108 - a path in the pod
    }
    if answers:
        container |= {"ports": [{"name": "http", "containerPort": PORT}], **_probes(settings)}
    held = {"persistentVolumeClaim": {"claimName": settings.claim}} if settings.claim else {"emptyDir": {}}
    shared = {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}}
    labels = node_labels(pool.chip, chips)
    return {"containers": [container], "volumes": [shared, {"name": "model", **held}], **({"nodeSelector": labels} if labels else {})}


def _mount(pool: Served, settings: Settings) -> Manifest:
    name = pool.checkpoint.name
    if not pool.checkpoint.is_path:
        return {"name": "model", "mountPath": MODELS}
    if settings.claim is None or not name.startswith("/"):
        raise InputError(
            "a pod does not see the folder of the checkpoint", given=name,
            allowed="an absolute path, with the claim of the volume that is mounted there", hint="or name a model of the hub",
        )  # fmt: skip
    return {"name": "model", "mountPath": name, "readOnly": True}


def _environment(pool: Served, settings: Settings) -> list[Manifest]:
    reference = {"name": settings.secret, "key": "token", "optional": True}
    found: list[Manifest] = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": reference}}]
    if not pool.checkpoint.is_path:
        found.append({"name": "HF_HOME", "value": MODELS})
    if pool.phase is not Phase.BOTH:
        address = {"fieldRef": {"fieldPath": "status.podIP"}}
        found.append({"name": "VLLM_NIXL_SIDE_CHANNEL_HOST", "valueFrom": address})
    return found


def _probes(settings: Settings) -> Manifest:
    probe = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": round(_PROBED)}
    # A server that still loads its weights is not to be restarted.
    tries = max(1, round(settings.start_up / _PROBED))
    return {"startupProbe": probe | {"failureThreshold": tries}, "readinessProbe": probe, "livenessProbe": probe | {"failureThreshold": 3}}


def _autoscaler(scaling: Autoscaling, workload: Manifest, name: str) -> Manifest:
    if scaling.patience > LONGEST_CALM:
        raise InputError(
            "Kubernetes waits no longer before it takes replicas away", given=f"{scaling.patience} s", allowed=f"{LONGEST_CALM} s"
        )
    target = {"type": "AverageValue", "averageValue": f"{round(1000 * scaling.target)}m"}
    spec = {
        "scaleTargetRef": {"apiVersion": workload["apiVersion"], "kind": workload["kind"], "name": name},
        "minReplicas": scaling.least,
        "maxReplicas": scaling.most,
        "metrics": [{"type": "Pods", "pods": {"metric": {"name": METRIC}, "target": target}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": round(scaling.patience)}},
    }
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": _metadata(name), "spec": spec}


class _Representer(SafeRepresenter):
    """Writes text in quotes unless every edition of YAML reads it as text without them, and a part in each place where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> Any:
        plain = _PLAIN.fullmatch(data) and data.lower() not in _WORDS
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_Representer.add_representer(str, _Representer.represent_str)


def _yaml(document: Manifest) -> str:
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 10_000
    text = io.StringIO()
    writer.dump(document, text)
    return text.getvalue()
