"""Drives GenZ 0.0.16: `prefill_moddeling` and `decode_moddeling` on the facts' chip, model and formats."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from driving import Answer, Case, Deployment, RefusedError, best_of, main, plain, stored_and_computed
from GenZ import decode_moddeling, prefill_moddeling
from GenZ.Models import ModelConfig, get_language_model

WRITTEN = Path(get_language_model.DATA_PATH) / "model"
"""Every evaluation leaves a file of layers here, which the driver removes."""
MULTIPLIER = {"bf16": 1.0, "int8": 2.0, "fp8": 2.0, "fp4": 4.0}
"""GenZ takes one peak and multiplies it by these for narrower formats."""
EFFICIENCY = 0.8
"""Of compute and memory alike: the preset of the package's own performance notebook; the functions' default is 1."""
GIB, TERA = 2.0**30, 1e12
MEBIBYTES_PER_GIB = 1024.0


class GenZ:
    """Prefill of one prompt and a decode step at the concurrency of a replica; saturated, the largest static batch that fits."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        warnings.simplefilter("ignore")
        self.evaluations, self.setup_seconds = 0, 0.0
        self.earlier = set(WRITTEN.glob("*")) if WRITTEN.exists() else set()

    def answer(self, case: Case) -> Answer:
        """The prediction for the case; raises RefusedError."""
        try:
            return best_of(case, lambda deployment: self._answer(case, deployment))
        finally:
            for file in set(WRITTEN.glob("*")) - self.earlier:
                file.unlink(missing_ok=True)

    def _answer(self, case: Case, deployment: Deployment) -> Answer:
        settings = _settings(case, deployment)
        per_chip = deployment.tensor * deployment.pipeline
        # A token meets on average the prompt and half of the output.
        middle = max(1, case.output // 2)
        users, batch = case.users(deployment), self._largest_batch(case, settings)
        if case.online and users is not None:
            if batch < users:
                raise RefusedError(f"{users} sequences do not fit")
            prefill = self._call(prefill_moddeling, settings, batch_size=1, input_tokens=case.prompt)
            decode = self._call(decode_moddeling, settings, batch_size=users, input_tokens=case.prompt, output_tokens=middle, Bb=1)
            return Answer(ttft=prefill["Latency"], tpot=decode["Latency"], rate=decode["Throughput"] / per_chip)
        batch = min(batch, users or batch)
        prefill = self._call(prefill_moddeling, settings, batch_size=batch, input_tokens=case.prompt)
        decode = self._call(decode_moddeling, settings, batch_size=batch, input_tokens=case.prompt, output_tokens=middle, Bb=1)
        seconds = batch / prefill["Throughput"] + case.output * batch / decode["Throughput"]
        return Answer(rate=batch * case.output / seconds / per_chip, detail=f"batch {batch}")

    def _largest_batch(self, case: Case, settings: dict[str, Any]) -> int:
        """Sequences of full length whose cache fits beside the weights, by GenZ's own sizes of both."""
        weights, cache = self._sizes(case, settings)
        room = settings["system_name"]["Memory_size"] * MEBIBYTES_PER_GIB * settings["pipeline_parallel"] - weights
        batch = int(0.999 * room / cache)
        if batch < 1:
            raise RefusedError("does not fit")
        return batch

    def _sizes(self, case: Case, settings: dict[str, Any]) -> tuple[float, float]:
        """Mebibytes of weights and of one sequence's cache at its full length."""
        _, summary = self._call(
            decode_moddeling,
            settings,
            batch_size=settings["pipeline_parallel"],
            input_tokens=case.prompt,
            output_tokens=case.output,
            Bb=1,
            model_profilling=True,
        )
        return summary["Total Weights (MB)"].values[0], summary["KV Cache (MB)"].values[0]

    def _call(self, function: Any, settings: dict[str, Any], **arguments: Any) -> Any:
        self.evaluations += 1
        try:
            return function(**settings, **arguments)
        except (ValueError, AssertionError) as error:
            raise RefusedError(str(error)) from error


def _settings(case: Case, deployment: Deployment) -> dict[str, Any]:
    """What every call of a deployment shares. GenZ spreads attention over tensor x expert ranks, and its gigabytes are binary."""
    if deployment.data > 1:
        raise RefusedError("attention split over data ranks")
    if deployment.tensor % deployment.expert:
        raise RefusedError(f"ep {deployment.expert} does not divide tp {deployment.tensor}")
    shape, chip = plain(case.model), case.chip
    stored, computed = stored_and_computed(case)
    model = ModelConfig(
        model=shape["name"],
        vocab_size=shape["vocabulary"],
        max_model_len=shape["max_context"],
        hidden_size=shape["hidden"],
        intermediate_size=shape["inner"],
        num_ffi=2 if shape["gated"] else 1,
        num_decoder_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv_heads"],
        head_dim=shape["head_size"],
        num_experts=shape["experts"] or 1,
        expert_top_k=shape["experts_per_token"] or 1,
    )
    system = {
        "Flops": chip["peak_flops"][computed] / MULTIPLIER[stored] / TERA,
        "Memory_size": chip["memory_bytes"] / GIB,
        "Memory_BW": chip["memory_bytes_per_s"] / GIB,
        "ICN": chip["link_bytes_per_s"] / GIB,
        "real_values": True,
    }
    return {
        "model": model,
        "system_name": system,
        "bits": stored,
        "system_eff": EFFICIENCY,
        "tensor_parallel": deployment.tensor // deployment.expert,
        "expert_parallel": deployment.expert,
        "pipeline_parallel": deployment.pipeline,
    }


if __name__ == "__main__":
    main(GenZ)
