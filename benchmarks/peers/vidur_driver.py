"""Drives Vidur 0.0.26: its event loop and its Sarathi scheduler, which schedules as vLLM does, on the step times of Tapeout's engine."""

from __future__ import annotations

import csv
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["WANDB_MODE"] = "disabled"

from simulator_driving import Request, Run, Times, main
from vidur._native.entities import ExecutionTime
from vidur.config import config as settings
from vidur.execution_time_predictor.sklearn_execution_time_predictor import SklearnExecutionTimePredictor
from vidur.simulator import Simulator

MODEL, LAYERS = "meta-llama/Llama-3-8B", 32
"""The shape that it has of Llama 3.1 8B; the step times come from outside, so it decides nothing here."""
DAY = "day"
MILLI = 1e-3
Law = Callable[[Any, Any, int], Any]


def simulate(requests: list[Request], setting: dict[str, Any]) -> Run:
    """One run without any metrics, since a second in one process fails; the times are read off its requests."""
    logging.disable(logging.CRITICAL)
    # In place of the profiles that it would fetch, and of its regressions through them.
    SklearnExecutionTimePredictor._load_predictions_from_hf = lambda predictor: {}
    SklearnExecutionTimePredictor.get_execution_time = step_time(setting["law"])
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.csv"
        _write(requests, trace)
        simulator = Simulator(_config(setting, trace, folder, max(one.prompt + one.output for one in requests)))
        rows = sorted((event._request for _, event in simulator._event_queue), key=lambda row: row.id)
        begin = time.process_time()
        simulator.run()
        seconds = time.process_time() - begin
    return Run(seconds=seconds, times=[Times(first=row.prefill_completed_at, last=row.completed_at) for row in rows])


def step_time(law: dict[str, Any]) -> Law:
    """Its predictor's method, by Tapeout's law of a step; for models whose layers are alike and look at all keys."""
    tokens, sequences = law["tokens"], law["sequences"]
    ((key, full, entry, longest),) = law["decode"]
    ((window, _, _, pair, prompt_key, token, _, _, launch, prompt_entry, query, sequence),) = law["prefill"]
    if min(full, longest, window) < math.inf:
        raise ValueError("layers that do not look at all keys")
    decode_launch, decode_sequence, host_step, host_sequence, dispatch, decode_dispatch = law["host"]

    def seconds(batch: Any) -> float:
        decodes = context = prefills = new = before = pairs = 0
        for request, scheduled, end in zip(batch.requests, batch.num_q_tokens, batch.num_kv_tokens, strict=True):
            if scheduled == 1:
                decodes += 1
                # It counts the token that the prompt's step gave as cached at once, one step before its keys are.
                context += end - 1 - request.is_prefill_complete
            else:
                prefills += 1
                new += scheduled
                before += end - scheduled
                pairs += (end - scheduled) * scheduled + scheduled * (scheduled + 1) // 2
        work, calls = tokens[decodes + new] + sequences[decodes + prefills], 0.0
        if decodes:
            keys = context + decodes
            work += decode_launch + decode_sequence * decodes + key * keys + entry * keys / decodes
        if prefills:
            calls = dispatch + (decode_dispatch if decodes else 0.0)
            span = (before + new) / prefills
            memory = prompt_key * prefills * span + token * new
            work += launch + math.hypot(pair * pairs, memory) + prompt_entry * span + query * new + sequence * prefills
        return float(host_step + max(work, calls, host_sequence * (decodes + prefills)))

    def predicted(_: Any, batch: Any, __: int) -> Any:
        # All of the step as one part of each layer; the other thirteen take no time.
        return ExecutionTime(LAYERS, *[0.0] * 6, seconds(batch) / MILLI / LAYERS, *[0.0] * 7)

    return predicted


def _write(requests: list[Request], trace: Path) -> None:
    with trace.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("Date", "Time", "PromptTokenCount", "CompletionTokenCount"))
        writer.writerows((DAY, repr(one.arrival), one.prompt, one.output) for one in requests)


def _config(setting: dict[str, Any], trace: Path, folder: str, longest: int) -> Any:
    cluster = settings.ClusterConfig(
        replica_config=settings.ReplicaConfig(model_name=MODEL, num_pipeline_stages=1, tensor_parallel_size=1),
        cache_config=settings.CacheConfig(block_size=setting["block_size"], num_blocks=setting["blocks"], watermark_blocks_fraction=0.0),
        replica_scheduler_config=settings.SarathiSchedulerConfig(
            batch_size_cap=setting["most_sequences"], chunk_size=setting["token_budget"]
        ),
    )
    return settings.SimulationConfig(
        cluster_config=cluster,
        request_generator_config=settings.TraceRequestGeneratorConfig(
            trace_file=str(trace), date=DAY, max_tokens=longest, prefill_scale_factor=1, decode_scale_factor=1, time_scale_factor=1
        ),
        execution_time_predictor_config=settings.RandomForrestExecutionTimePredictorConfig(cache_dir=folder),
        metrics_config=settings.MetricsConfig(
            write_metrics=False,
            enable_chrome_trace=False,
            store_plots=False,
            store_request_metrics=False,
            store_batch_metrics=False,
            store_utilization_metrics=False,
            output_dir=folder,
        ),
    )


if __name__ == "__main__":
    main(simulate)
