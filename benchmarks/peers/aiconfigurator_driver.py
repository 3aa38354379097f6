"""Drives aiconfigurator-core 0.12.0: its in-flight-batching estimate (`run_agg`) on measured operators of its own database."""

from __future__ import annotations

import json
import logging
import math
import tempfile
import time
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiconfigurator_core
from aiconfigurator_core.sdk import config_builders, models, perf_database
from aiconfigurator_core.sdk.backends.factory import get_backend
from aiconfigurator_core.sdk.common import FMHAQuantMode
from aiconfigurator_core.sdk.config import RuntimeConfig
from aiconfigurator_core.sdk.errors import PerfDataNotAvailableError
from driving import Answer, Case, Deployment, RefusedError, best_of, main

SHIPPED = Path(aiconfigurator_core.__file__).parent / "model_configs"
SYSTEMS = {
    "nvidia-a100-sxm-80gb": "a100_sxm",
    "nvidia-h100-sxm": "h100_sxm",
    "nvidia-h200-sxm": "h200_sxm",
    "nvidia-b200": "b200_sxm",
    "nvidia-b300": "b300_sxm",
    "nvidia-gb200": "gb200",
    "nvidia-gb300": "gb300",
    "nvidia-l40s": "l40s",
    "nvidia-rtx-pro-6000": "rtx_pro_6000_server",
}
"""Tapeout's chips by the names of the systems with tables in the package."""
ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "mimo": "MiMoForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
    "minimax_m2": "MiniMaxM2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "llama4": "Llama4ForConditionalGeneration",
}
"""The class that the package expects in `architectures`, by the model type of a `config.json`; Mistral's dense layers are Llama's."""
QUANTISATIONS: dict[str, tuple[dict[str, str], ...]] = {
    "bf16": ({"gemm_quant_mode": "bfloat16", "moe_quant_mode": "bfloat16", "kvcache_quant_mode": "bfloat16"},),
    "fp8": (
        {"gemm_quant_mode": "fp8_block", "moe_quant_mode": "fp8_block", "kvcache_quant_mode": "fp8"},
        {"gemm_quant_mode": "fp8", "moe_quant_mode": "fp8", "kvcache_quant_mode": "fp8"},
    ),
    "int8": ({"gemm_quant_mode": "int8_wo", "kvcache_quant_mode": "int8"},),
    "fp4": ({"gemm_quant_mode": "nvfp4", "moe_quant_mode": "nvfp4", "kvcache_quant_mode": "fp8"},),
}
"""The package's modes by precision; of two, mixtures try the first first (their makers publish block-scaled weights), others the second."""
MIXED = ({"gemm_quant_mode": "bfloat16", "moe_quant_mode": "w4a16_mxfp4", "kvcache_quant_mode": "bfloat16"},)
"""Checkpoints whose experts alone are in MXFP4, as the package reads them itself."""
MODES = ("SILICON", "HYBRID")
"""Measured rows alone, then rows with the package's own formula where they are missing."""
BACKENDS = ("trtllm", "vllm", "sglang")
LARGEST_BATCH = 1024
"""The largest that the package's sweep knows."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What an engine is built for."""

    model: str
    system: str
    backend: str
    mode: str
    quantisation: tuple[tuple[str, str], ...]
    deployment: Deployment


class Aiconfigurator:
    """Online: the estimate at the concurrency of a replica. Saturated: the package's own sweep over batches and prefill budgets."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        warnings.simplefilter("ignore")
        self.evaluations, self.setup_seconds = 0, 0.0
        self.engines: dict[Setting, tuple[Any, Any, Any]] = {}
        self.failures: dict[Setting, str] = {}
        self.folder = tempfile.TemporaryDirectory()

    def answer(self, case: Case) -> Answer:
        """The prediction for the case; raises RefusedError."""
        system = SYSTEMS.get(case.chip["id"])
        if system is None:
            raise RefusedError(f"no tables of {case.chip['id']}")
        path = self._path(case.model)
        return best_of(case, lambda deployment: self._first(case, deployment, path, system))

    def _first(self, case: Case, deployment: Deployment, path: str, system: str) -> Answer:
        """The answer of the first setting that the database covers."""
        reasons: list[str] = []
        for setting in _settings(case, deployment, path, system):
            reason = self.failures.get(setting)
            if reason is None:
                try:
                    return self._estimate(case, setting)
                except RefusedError:
                    raise
                except Exception as error:  # the package raises many kinds for what it does not cover
                    reason = f"{type(error).__name__}: {error}"
                    if isinstance(error, PerfDataNotAvailableError):
                        self.failures[setting] = reason
            reasons.append(reason)
        raise RefusedError(reasons[0])

    def _estimate(self, case: Case, setting: Setting) -> Answer:
        if setting not in self.engines:
            self.engines[setting] = self._engine(setting)
        model, database, backend = self.engines[setting]
        runtime = RuntimeConfig(isl=case.prompt, osl=case.output)
        detail = f"{setting.backend} {setting.mode.lower()} " + " ".join(dict(setting.quantisation).values())
        users = case.users(setting.deployment)
        if case.online:
            runtime.batch_size = users
            summary = backend.run_agg(model, database, runtime, ctx_tokens=case.prompt)
            if summary.check_oom():
                raise RefusedError("does not fit")
            found = summary.get_result_dict()
        else:
            runtime.ttft = runtime.tpot = math.inf
            summary = backend.find_best_agg_result_under_constraints(
                model, database, runtime, top_k=1, max_batch_size=min(LARGEST_BATCH, users or LARGEST_BATCH), enable_chunked_prefill=True
            )
            table = summary.get_summary_df()
            if table is None or table.empty:
                raise RefusedError("does not fit")
            found = table.iloc[0].to_dict()
        rate = float(found["tokens/s/gpu"])
        return Answer(ttft=float(found["ttft"]), tpot=float(found["tpot"]), rate=rate, detail=f"{detail} batch {found['bs']}")

    def _engine(self, setting: Setting) -> tuple[Any, Any, Any]:
        """Model, database and backend of a setting, its tables loaded by one evaluation; all of it counts as set-up."""
        begin = time.process_time()
        try:
            database = _database(setting.system, setting.backend, setting.mode)
            model = models.get_model(setting.model, _model_config(setting, database), setting.backend)
            backend = get_backend(setting.backend)
            backend.run_agg(model, database, RuntimeConfig(isl=128, osl=2, batch_size=1), ctx_tokens=128)
        finally:
            self.setup_seconds += time.process_time() - begin
        run = backend.run_agg

        def counted(*arguments: Any, **named: Any) -> Any:
            self.evaluations += 1
            return run(*arguments, **named)

        backend.run_agg = counted
        return model, database, backend

    def _path(self, shape: dict[str, Any]) -> str:
        """A folder with the model's `config.json` as the package reads it: its own copy where it ships one, else the facts'."""
        name = shape["name"].replace("/", "--")
        folder = Path(self.folder.name) / name
        if not folder.exists():
            shipped = SHIPPED / f"{name}_config.json"
            text = shipped.read_text(encoding="utf-8") if shipped.is_file() else json.dumps(_config(shape["config"]))
            folder.mkdir()
            (folder / "config.json").write_text(text, encoding="utf-8")
        return str(folder)


def _config(read: dict[str, Any]) -> dict[str, Any]:
    architecture = ARCHITECTURES.get(read["model_type"])
    if architecture is None:
        raise RefusedError(f"no model class for {read['model_type']}")
    return {"architectures": [architecture], **read}


def _settings(case: Case, deployment: Deployment, path: str, system: str) -> list[Setting]:
    """The settings to try: the software that the row names, measured rows before formulas, the maker's format before others."""
    named = [backend for backend in BACKENDS if backend in case.software.lower()]
    choices = QUANTISATIONS[case.formats["linear"]]
    if case.formats["expert"] != case.formats["linear"]:
        choices = MIXED
    elif not models.check_is_moe(path):
        choices = choices[::-1]
    return [
        Setting(
            model=path,
            system=system,
            backend=named[0] if named else BACKENDS[0],
            mode=mode,
            quantisation=tuple(choice.items()),
            deployment=deployment,
        )
        for mode in MODES
        for choice in choices
    ]


def _model_config(setting: Setting, database: Any) -> Any:
    """The deployment and the formats; attention is computed in fp8 over an fp8 cache where the tables have it."""
    deployment = setting.deployment
    has_experts = models.check_is_moe(setting.model)
    width = deployment.tensor * deployment.data
    built = config_builders.build_model_config(
        deployment.tensor,
        deployment.pipeline,
        deployment.data,
        width // deployment.expert if has_experts else 1,
        deployment.expert if has_experts else 1,
        **dict(setting.quantisation),
    )
    quantised = dict(setting.quantisation)["kvcache_quant_mode"] == "fp8"
    built.fmha_quant_mode = FMHAQuantMode.fp8 if quantised else FMHAQuantMode.bfloat16
    try:
        models.resolve_context_fmha_by_data(built, setting.model, database, setting.backend, is_context_role=True)
    except ValueError:
        built.fmha_quant_mode = FMHAQuantMode.bfloat16
    models.resolve_dsv4_moe_arch(built, setting.model, system_name=setting.system, backend_name=setting.backend)
    models.resolve_nvfp4_for_system(built, setting.system, setting.model, backend_name=setting.backend)
    return built


@cache
def _database(system: str, backend: str, mode: str) -> Any:
    version = perf_database.get_latest_database_version(system=system, backend=backend)
    if version is None:
        raise RefusedError(f"no tables of {backend} on {system}")
    found = perf_database.get_database_view(system, backend, version, allow_missing_data=mode != "SILICON", database_mode=mode)
    if found is None:
        raise RefusedError(f"no tables of {backend} on {system}")
    return found


if __name__ == "__main__":
    main(Aiconfigurator)
