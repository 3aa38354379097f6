"""Drafts: what they take of time and memory, against numbers worked out apart."""

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.fleet.drafting import drafted, drafted_by
from tapeout.hardware import catalog
from tapeout.performance.deployment import Deployment
from tapeout.serving.cluster import Engine
from tapeout.serving.step_model import Step
from tapeout.serving.step_table import engine
from tapeout.workload.catalog import model

CHIP = catalog.chip("nvidia-h100-sxm")
LARGE, SMALL = model("meta-llama/Llama-3.1-70B"), model("meta-llama/Llama-3.1-8B")
DEPLOYMENT = Deployment(tensor=4)
LENGTHS = {"prompt": 1000, "output": 200}


@pytest.fixture(scope="module")
def plain() -> Engine:
    return engine(CHIP, LARGE, "fp8", DEPLOYMENT, **LENGTHS)


def by(plain: Engine, name: str, tokens: int) -> Engine:
    return drafted_by(
        plain, model(name), tokens, 0.7, chip=CHIP, architecture=LARGE, precision="fp8", deployment=DEPLOYMENT, **LENGTHS
    )  # fmt: skip


def test_drafts_without_a_model_cost_nothing(plain: Engine) -> None:
    speculation = drafted(plain, 3, 0.7).policy.speculation
    assert speculation is not None
    assert speculation.acceptance == (0.7, 0.7, 0.7)
    assert not speculation.draft_seconds.any()
    assert speculation.mean_tokens == pytest.approx(1 + 0.7 + 0.7**2 + 0.7**3)
    assert drafted(plain, 3, 0.7).policy.blocks == plain.policy.blocks


def test_a_draft_takes_as_many_steps_of_its_model_as_it_has_tokens(plain: Engine) -> None:
    small = engine(CHIP, SMALL, "fp8", DEPLOYMENT, **LENGTHS)
    speculation = by(plain, SMALL.name, 4).policy.speculation
    assert speculation is not None
    assert speculation.draft_seconds[0] == 0
    for sequences in (1, 7, 64):
        step = small.step_model.seconds(Step(decodes=sequences, context=1100 * sequences))
        assert speculation.draft_seconds[sequences] == pytest.approx(4 * step, rel=1e-12)
    assert len(speculation.draft_seconds) == plain.policy.most_sequences + 1
    assert (np.diff(speculation.draft_seconds[1:]) >= -1e-9).all()


def test_a_draft_model_takes_its_weights_and_its_cache_from_the_blocks(plain: Engine) -> None:
    found = by(plain, SMALL.name, 4).policy.blocks
    # Llama 3.1: 2 x 8 heads of 128 in fp8 in each of 80 and of 32 layers, on 4 chips, and 8.03e9 weights of which the embedding stays bf16.
    large, small = 80 * 2 * 8 * 128 / 4, 32 * 2 * 8 * 128 / 4
    memory = plain.policy.blocks * plain.policy.block_size * large
    weights = (8.03e9 + 2 * 128256 * 4096) / 4
    assert found * plain.policy.block_size == pytest.approx((memory - weights) / (large + small), rel=0.02)


def test_a_draft_model_that_does_not_fit_is_refused(plain: Engine) -> None:
    with pytest.raises(InputError, match="beside the draft model"):
        by(plain, "meta-llama/Llama-3.1-405B", 4)
    with pytest.raises(InputError, match="cannot be split like the model"):
        by(plain, "HuggingFaceTB/SmolLM2-135M", 4)
