"""A pool of the export's tests, with what a test varies."""

import dataclasses
from typing import Any

from tapeout.hardware.catalog import chip
from tapeout.performance.deployment import Deployment
from tapeout.report.checkpoint import checkpoint
from tapeout.report.vllm_arguments import Served
from tapeout.serving.policy import Policy
from tapeout.workload.catalog import model

LLAMA = "meta-llama/Llama-3.1-70B"
POLICY = Policy(token_budget=4096, most_sequences=128, blocks=777)


def pool(name: str = LLAMA, **changes: Any) -> Served:
    architecture = model(name)
    plain = Served(
        checkpoint=checkpoint(name, architecture), architecture=architecture, precision="fp8", chip=chip("nvidia-h100-sxm"),
        deployment=Deployment(tensor=4), policy=POLICY, longest=2048,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)
