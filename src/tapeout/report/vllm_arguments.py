"""A deployment and the limits of its engines as arguments of `vllm serve`.

Names and values are those of vLLM 0.33.0 [vllm-wheel, sec. engine/arg_utils.py]. What vLLM cannot do as it was simulated is an error.
"""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import dataclass

from tapeout.errors import InputError, did_you_mean
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.performance.rates import rates
from tapeout.report.accelerators import devices, node_chips, vendor_of
from tapeout.report.checkpoint import PLAIN, Checkpoint
from tapeout.serving.cluster import Autoscaling, Phase
from tapeout.serving.policy import Order, Policy
from tapeout.workload.architecture import Architecture
from tapeout.workload.numerics import Format, numerics

CHECKED = "0.33.0"
"""The release of vLLM whose options these are."""
PORT = 8000
BLOCK_SIZE = 16
"""vLLM's own size of blocks; unless one is given, attention that needs another chooses it."""
_ORDERS = {Order.FIRST_COME: "fcfs", Order.PRIORITY: "priority"}
_CACHES = {Format.FP8: "fp8", Format.INT8: "int8_per_token_head"}
_ROLES = {Phase.PREFILL: "kv_producer", Phase.DECODE: "kv_consumer"}
_OWN_DRAFTS, _MODEL_DRAFTS = ("mtp", "ngram", "suffix"), ("draft_model", "eagle", "eagle3")

Option = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What proposes tokens to a speculating engine: a `method` of vLLM, `tokens` at once, and a `model` where the method needs one."""

    method: str
    tokens: int
    model: Checkpoint | None = None

    def __post_init__(self) -> None:
        methods = (*_OWN_DRAFTS, *_MODEL_DRAFTS)
        if self.method not in methods:
            raise InputError("unknown method of drafts", given=self.method, allowed=methods, hint=did_you_mean(self.method, methods))
        if (self.method in _MODEL_DRAFTS) != (self.model is not None):
            raise InputError(f"drafts by {self.method} {'take no' if self.model else 'need a'} model", given=self.method)
        if self.tokens < 1:
            raise InputError("a draft proposes at least 1 token", given=self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Replicas alike of a model on a kind of chip, for requests of up to `longest` tokens, prompt and answer.

    The policy is that of one attention rank, or of one micro-batch of its pipeline. With `fixed_blocks` the KV cache has exactly the
    policy's blocks, else what the memory leaves.
    """

    checkpoint: Checkpoint
    architecture: Architecture
    precision: str
    chip: Chip
    deployment: Deployment
    policy: Policy
    longest: int
    replicas: int = 1
    phase: Phase = Phase.BOTH
    draft: Draft | None = None
    autoscaling: Autoscaling | None = None
    fixed_blocks: bool = False

    @property
    def title(self) -> str:
        """Model, precision, chips and deployment of one replica in words."""
        words = f"{self.architecture.name} at {self.precision} on {self.deployment.chips} x {self.chip.id}, {self.deployment.label}"
        return words if self.phase is Phase.BOTH else f"{words}, {self.phase}"

    @property
    def nodes(self) -> int:
        """Machines that one replica spans; raises InputError where it does not fill them, or spreads attention ranks over them."""
        chips, held = self.deployment.chips, node_chips(self.chip)
        if chips <= held:
            return 1
        if chips % held:
            raise InputError(f"a replica does not fill machines of {held} x {self.chip.id}", given=self.deployment.label)
        if self.deployment.data > 1:
            raise InputError(
                "attention ranks on several machines are not exported: each needs a command of its own", given=self.deployment.label,
                allowed=f"dp within the {held} chips of a machine",
            )  # fmt: skip
        return chips // held


def arguments(served: Served) -> list[Option]:
    """The arguments of `vllm serve`, the checkpoint first, then each option with its value.

    Raises InputError for what vLLM has no equivalent of, naming it.
    """
    vendor_of(served.chip)  # refuses chips on which vLLM does not run
    return [
        (served.checkpoint.name,),
        *_name(served),
        *_parallelism(served),
        *_formats(served),
        *_limits(served),
        *_scheduling(served),
        *_speculation(served),
        *_transfer(served),
    ]


def script(served: Served, heading: str) -> str:
    """A POSIX shell script that becomes the server of one replica, an option to a line; `heading` says where it comes from."""
    lines = ["#!/bin/sh", comment(heading), comment(f"{served.title}."), comment(f"Options of vLLM {CHECKED}.")]
    options = [shlex.join(option) for option in arguments(served)]
    if served.replicas > 1:
        lines.append(f"# Run it once for each of {served.replicas} replicas, each on chips and a port of its own.")
    lines.append("set -eu")
    if served.phase is not Phase.BOTH:
        lines += [
            "# Its peers read KV caches from this address; a router in front sends each request to a prefill and then a decode server.",
            'export VLLM_NIXL_SIDE_CHANNEL_HOST="${VLLM_NIXL_SIDE_CHANNEL_HOST:?the address of this machine}"',
        ]
    if served.nodes > 1:
        lines += [
            f"# Run it on each of the {served.nodes} machines of a replica.",
            ': "${NODE_RANK:?0 on the first machine, 1 on the next}" "${MASTER_ADDR:?the address of the first machine}"',
            'if [ "$NODE_RANK" != 0 ]; then set -- --headless; fi',
        ]
        options += [f"--nnodes {served.nodes}", '--node-rank "$NODE_RANK"', '--master-addr "$MASTER_ADDR"', '"$@"']
    return "\n".join([*lines, "exec vllm serve " + " \\\n  ".join(options), ""])


def comment(text: str) -> str:
    r"""`text` as one line of a comment: what would break the line, such as a file's name may hold, becomes a space.

    >>> comment("traffic.csv\nrm -rf /")
    '# traffic.csv rm -rf /'
    """
    return "# " + "".join(letter if letter.isprintable() else " " for letter in text)


def _name(served: Served) -> list[Option]:
    return [("--served-model-name", served.architecture.name)] if served.checkpoint.is_path else []


def _parallelism(served: Served) -> list[Option]:
    deployment, experts = served.deployment, served.architecture.has_experts
    # vLLM splits experts with the tensors over all ranks, or spreads them whole over all.
    ranks = deployment.tensor * deployment.data
    if experts and deployment.expert not in {1, ranks}:
        raise InputError(
            f"vLLM does not split experts {deployment.expert} ways over {ranks} ranks",
            given=deployment.label,
            allowed=f"ep 1 or ep {ranks}",
        )
    if experts and deployment.expert == 1 and deployment.data > 1:
        raise InputError(
            "vLLM does not keep all experts on each attention rank", given=deployment.label,
            hint=f"give ep {ranks}, or more replicas in the place of dp",
        )  # fmt: skip
    found = [("--tensor-parallel-size", str(deployment.tensor * devices(served.chip)))]
    found += [("--pipeline-parallel-size", str(deployment.pipeline))] if deployment.pipeline > 1 else []
    found += [("--data-parallel-size", str(deployment.data))] if deployment.data > 1 else []
    return [*found, ("--enable-expert-parallel",)] if experts and deployment.expert > 1 else list(found)


def _formats(served: Served) -> list[Option]:
    cache = numerics(served.architecture, served.precision).kv_cache
    kept = served.architecture.cache_format is not None or cache is Format.BF16
    return [("--dtype", "bfloat16"), *_quantisation(served), ("--kv-cache-dtype", "auto" if kept else _CACHES[cache])]


def _quantisation(served: Served) -> list[Option]:
    stored, wanted = served.checkpoint.stored, served.precision
    # A checkpoint with experts in a format of its own is served as it is, whatever the precision is called.
    if served.architecture.expert_format is not None or stored == wanted:
        return []
    if stored != PLAIN:
        raise InputError(
            f"the checkpoint is stored in {stored}, and vLLM serves it so", given=f"{served.checkpoint.name} at {wanted}",
            hint=f"name a checkpoint in {wanted}, or one in {PLAIN}",
        )  # fmt: skip
    online = vendor_of(served.chip).online
    if wanted not in online:
        raise InputError(
            f"vLLM does not make {wanted} of a checkpoint in {PLAIN} on chips by {served.chip.vendor}", given=served.checkpoint.name,
            allowed=[PLAIN, *online], hint=f"name a checkpoint that is stored in {wanted}",
        )  # fmt: skip
    return [("--quantization", online[wanted].value)]


def _limits(served: Served) -> list[Option]:
    policy, architecture = served.policy, served.architecture
    # vLLM counts sequences and blocks over all micro-batches of a pipeline, tokens in each.
    sequences, blocks = (served.deployment.pipeline * count for count in (policy.most_sequences, policy.blocks))
    if served.longest > architecture.max_context:
        raise InputError(f"{architecture.name} takes at most {architecture.max_context} tokens", given=served.longest)
    if policy.token_budget < sequences:
        raise InputError(
            "vLLM takes no fewer tokens in a step than it runs sequences",
            given=f"token_budget {policy.token_budget}, {sequences} sequences", hint="raise token_budget or lower most_sequences",
        )  # fmt: skip
    found = [
        ("--max-model-len", str(served.longest)),
        ("--max-num-seqs", str(sequences)),
        ("--max-num-batched-tokens", str(policy.token_budget)),
        ("--gpu-memory-utilization", f"{memory_share(served):.3f}"),
    ]
    found += [("--block-size", str(policy.block_size))] if policy.block_size != BLOCK_SIZE else []
    return [*found, ("--num-gpu-blocks-override", str(blocks))] if served.fixed_blocks else list(found)


def memory_share(served: Served) -> float:
    """The part of the memory, as the driver reports it, that weights, cache and workspace fill in the model; rounded down to 0.001."""
    filled = float(rates([(served.chip, numerics(served.architecture, served.precision))]).capacity[0])
    return math.floor(filled / served.chip.memory.capacity.high * 1000) / 1000


def _scheduling(served: Served) -> list[Option]:
    policy = served.policy
    if policy.prompts_first:
        raise InputError(
            "vLLM has no policy that takes prompts first: that is SGLang's", given="prompts_first=yes", allowed="prompts_first=no"
        )
    if policy.swap is not None:
        raise InputError("vLLM does not swap what it preempts: it computes it again", given=f"swap={policy.swap}s", allowed="no swap")
    found: list[Option] = [("--enable-prefix-caching" if policy.prefix_caching else "--no-enable-prefix-caching",)]
    found.append(("--scheduling-policy", _ORDERS[policy.order]))
    # vLLM refuses a limit that no request reaches, and waives it for a request that is alone in its step.
    limited = policy.chunk is not None and policy.chunk < served.longest
    return [*found, ("--long-prefill-token-threshold", str(policy.chunk))] if limited else found


def _speculation(served: Served) -> list[Option]:
    simulated, draft = served.policy.speculation, served.draft
    if draft is None and simulated is not None:
        if not served.architecture.predictors:
            methods = ", ".join((*_OWN_DRAFTS[1:], *_MODEL_DRAFTS))
            raise InputError(f"{served.architecture.name} has no heads that predict tokens; say what drafts", allowed=methods)
        draft = Draft(method="mtp", tokens=simulated.tokens)
    if draft is None:
        return []
    if simulated is not None and simulated.tokens != draft.tokens:
        raise InputError(
            "the draft proposes another number of tokens than was simulated", given=draft.tokens, allowed=str(simulated.tokens)
        )
    if draft.method == "mtp" and not served.architecture.predictors:
        raise InputError(f"{served.architecture.name} has no heads that predict tokens", given="mtp")
    found: dict[str, str | int] = {"method": draft.method, "num_speculative_tokens": draft.tokens}
    return [("--speculative-config", json.dumps(found | ({"model": draft.model.name} if draft.model else {})))]


def _transfer(served: Served) -> list[Option]:
    if served.phase is Phase.BOTH:
        return []
    connector = vendor_of(served.chip).connector
    if connector is None:
        raise InputError(f"vLLM documents no transfer of KV caches on chips by {served.chip.vendor}", given=f"phase {served.phase}")
    return [("--kv-transfer-config", json.dumps({"kv_connector": connector.value, "kv_role": _ROLES[served.phase]}))]
