"""Limits by name, and as times."""

import pytest

from tapeout.errors import InputError
from tapeout.fleet.service_level import service_level
from tapeout.workload.catalog import model

LLAMA = model("meta-llama/Llama-3.1-8B")


@pytest.mark.parametrize("text", ["2s", "2s/", "-2s/50ms", "2s/50", "common-level"])
def test_bad_limits_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"bad limits|unknown service level"):
        service_level(text, LLAMA)


def test_a_preset_without_limits_for_the_model_names_those_with() -> None:
    with pytest.raises(InputError, match=r"no limits for Qwen/Qwen3-8B, allowed: meta-llama/Llama-2-70b-hf"):
        service_level("mlperf-server", model("Qwen/Qwen3-8B"))
