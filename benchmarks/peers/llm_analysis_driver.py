"""Drives llm-analysis 0.2.2: `LLMAnalysis.inference` on the facts' chip, model and formats."""

from __future__ import annotations

import logging

from driving import Answer, Case, Deployment, RefusedError, best_of, main, plain, stored_and_computed
from llm_analysis.analysis import LLMAnalysis
from llm_analysis.config import DtypeConfig, GPUConfig, ModelConfig, ParallelismConfig

FLOPS_EFFICIENCY, MEMORY_EFFICIENCY = 0.7, 0.7
"""What the package itself advises for inference: up to 0.7 in its README, 0.6 to 0.7 in the warning of its `infer`."""
BITS = {"bf16": 16, "fp8": 8, "int8": 8, "fp4": 4}
GIB, TERA, GIGA = 2.0**30, 1e12, 1e9


class LlmAnalysis:
    """Prefill of one prompt and a decode step at the concurrency of a replica; saturated, the largest batches that fit."""

    def __init__(self) -> None:
        logging.getLogger("llm_analysis").setLevel(logging.CRITICAL)
        logging.disable(logging.CRITICAL)
        self.evaluations, self.setup_seconds = 0, 0.0

    def answer(self, case: Case) -> Answer:
        """The prediction for the case; raises RefusedError."""
        return best_of(case, lambda deployment: self._answer(case, deployment))

    def _answer(self, case: Case, deployment: Deployment) -> Answer:
        if deployment.data > 1:
            raise RefusedError("attention split over data ranks")
        analysis = _analysis(case, deployment)
        prefill = self._inference(analysis, case, batch=1, prompt=case.prompt, output=case.output)
        users = case.users(deployment)
        if case.online and users is not None:
            decode = self._decode(analysis, case, users)
            # The package gives the latency of one stage; a token passes all of them.
            stages = deployment.pipeline
            return Answer(
                ttft=1e3 * stages * prefill["prefill_latency"],
                tpot=1e3 * stages * decode["decode_latency"],
                rate=decode["decode_tokens_per_sec"] / (deployment.tensor * stages),
            )
        prompts, sequences = prefill["prefill_max_batch_size_per_gpu"], prefill["decode_max_batch_size_per_gpu"]
        if min(prompts, sequences) < 1:
            raise RefusedError("no sequence fits")
        sequences = min(sequences, users or sequences)
        full = self._inference(analysis, case, batch=min(prompts, sequences), prompt=case.prompt, output=case.output)
        decode = self._decode(analysis, case, sequences)
        seconds = case.prompt / full["prefill_tokens_per_sec"] + case.output / decode["decode_tokens_per_sec"]
        return Answer(rate=case.output / seconds / (deployment.tensor * deployment.pipeline), detail=f"batch {sequences}")

    def _decode(self, analysis: LLMAnalysis, case: Case, batch: int) -> dict[str, float]:
        """A decode step alone: a prompt of one token, so that the prompts need no memory at the same time."""
        return self._inference(analysis, case, batch=batch, prompt=1, output=case.prompt + case.output - 1)

    def _inference(self, analysis: LLMAnalysis, case: Case, *, batch: int, prompt: int, output: int) -> dict[str, float]:
        self.evaluations += 1
        try:
            found: dict[str, float] = analysis.inference(
                batch_size_per_gpu=batch,
                seq_len=prompt,
                num_tokens_to_generate=output,
                kv_cache_dtype_bytes=BITS[case.formats["kv_cache"]] // 8,
            )
        except AssertionError as error:
            raise RefusedError(str(error)) from error
        return found


def _analysis(case: Case, deployment: Deployment) -> LLMAnalysis:
    shape, chip = plain(case.model), case.chip
    if shape["head_size"] * shape["heads"] != shape["hidden"]:
        raise RefusedError("a head size other than hidden size / heads")
    stored, computed = stored_and_computed(case)
    peaks = chip["peak_flops"]
    # Its feed-forward has two matrices; one and a half times the inner size makes a gated one's three.
    inner = shape["inner"] * 3 // 2 if shape["gated"] else shape["inner"]
    try:
        return LLMAnalysis(
            ModelConfig(
                name=shape["name"],
                num_layers=shape["layers"],
                n_head=shape["heads"],
                hidden_dim=shape["hidden"],
                vocab_size=shape["vocabulary"],
                max_seq_len=max(shape["max_context"], case.prompt + case.output),
                num_key_value_heads=shape["kv_heads"],
                ffn_embed_dim=inner,
                expansion_ratio=inner / shape["hidden"],
                moe_num_experts=shape["experts"] or 1,
                moe_top_k=shape["experts_per_token"] or 1,
            ),
            GPUConfig(
                name=chip["id"],
                mem_per_GPU_in_GB=chip["memory_bytes"] / GIB,
                hbm_bandwidth_in_GB_per_sec=chip["memory_bytes_per_s"] / GIGA,
                intra_node_bandwidth_in_GB_per_sec=chip["link_bytes_per_s"] / GIGA,
                intra_node_min_message_latency=8e-6,
                peak_fp16_TFLOPS=peaks["bf16"] / TERA,
                peak_i8_TFLOPS=peaks["int8" if stored == "int8" else "fp8"] / TERA if computed in ("fp8", "int8") else None,
                peak_i4_TFLOPS=peaks["fp4"] / TERA if computed == "fp4" else None,
            ),
            DtypeConfig(name=stored, weight_bits=BITS[stored], activation_bits=BITS[computed], embedding_bits=16),
            ParallelismConfig(tp_size=deployment.tensor, pp_size=deployment.pipeline, ep_size=deployment.expert),
            flops_efficiency=FLOPS_EFFICIENCY,
            hbm_memory_efficiency=MEMORY_EFFICIENCY,
        )
    except AssertionError as error:
        raise RefusedError(str(error)) from error


if __name__ == "__main__":
    main(LlmAnalysis)
