"""Drives AISimulate 0.13: its compiled replay of requests on one vLLM engine, on its own operator times or on fixed ones."""

from __future__ import annotations

import json
import logging
import time
import warnings
from typing import Any

from aisimulate import _runtime
from aisimulate.compiler import prediction_to_replay_spec
from aisimulate.config.cli import CorePredictionConfig
from aisimulate.runner import _materialize_engine_execution_spec
from simulator_driving import Request, Run, Times, main

MODELS = {"meta-llama/Llama-3.1-8B": "meta-llama/Meta-Llama-3.1-8B"}
"""Tapeout's models by the names of the configurations that the package ships."""
SYSTEMS = {"nvidia-h100-sxm": "h100_sxm"}
REPEATS = 2
MILLI = 1e-3


def simulate(requests: list[Request], setting: dict[str, Any]) -> Run:
    """The better of two runs that keep nothing by request, less loading the same requests; the times come from one more run."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    replay = _replay(requests, setting)
    loading, whole = ({**replay, "max_sim_time_ms": end} for end in (0.0, None))
    _timed(loading)
    shortest, loaded = (min(_timed(one) for _ in range(REPEATS)) for one in (whole, loading))
    report = json.loads(_runtime.run_replay_json(json.dumps({**whole, "record_per_request": True})))
    rows = sorted(report["per_request"], key=lambda row: int(row["request_id"]))
    return Run(seconds=shortest - loaded, times=[_times(row) for row in rows])


def _times(row: dict[str, Any]) -> Times:
    """The first token is that of prefill, also where decode gives the answer's first token only after it has the cache."""
    first = row["first_token_ms"] if row["source_held_ms"] is None else row["source_held_ms"]
    return Times(first=first * MILLI, last=row["last_token_ms"] * MILLI, found=row["first_admission_reused_input_tokens"] or 0)


def _timed(replay: dict[str, Any]) -> float:
    text = json.dumps(replay)
    begin = time.process_time()
    _runtime.run_replay_json(text)
    return time.process_time() - begin


def _replay(requests: list[Request], setting: dict[str, Any]) -> dict[str, Any]:
    """The replay as its runner hands it to the compiled part; prompts are tokens with prefix caching and lengths without."""
    spec = prediction_to_replay_spec(CorePredictionConfig.model_validate({"engine": _engine(setting)}))
    found: dict[str, Any] = _materialize_engine_execution_spec(spec, trace_block_size=setting["block_size"], record_per_request=False)
    replay: dict[str, Any] = {**found["spec"], "max_in_flight": None}
    own = 1 + max((max(request.names, default=0) for request in requests), default=0)
    replay["requests"] = [
        {
            "id": str(number),
            "arrival_time_ms": request.arrival / MILLI,
            "input_tokens": request.prompt,
            "output_tokens": request.output,
            "metadata": None,
            **({"input_token_ids": _tokens(request, own + number, setting["block_size"])} if setting["prefix_caching"] else {}),
        }
        for number, request in enumerate(requests)
    ]
    return replay


def _tokens(request: Request, own: int, block: int) -> list[int]:
    """A prompt whose blocks repeat their names as tokens, and whose last tokens are `own`."""
    named = [name for name in request.names for _ in range(block)]
    return named + [own] * (request.prompt - len(named))


def _engine(setting: dict[str, Any]) -> dict[str, Any]:
    worker: dict[str, Any] = {
        "scheduler": {"max_batched_tokens": setting["token_budget"], "max_sequences": setting["most_sequences"]},
        "kv_cache": {
            "prefix_caching": setting["prefix_caching"],
            "block_size": setting["block_size"],
            "capacity": {"type": "fixed", "blocks": setting["blocks"]},
        },
    }
    if setting["fixed"]:
        prefill, decode = (seconds / MILLI for seconds in setting["fixed"])
        worker["timing"] = {"type": "fixed", "prefill_ms": prefill, "decode_ms": decode}
    apart = setting["apart"]
    return {
        "mode": "disaggregated" if apart else "aggregated",
        "backend": "vllm",
        "model": MODELS[setting["model"]],
        "hardware": SYSTEMS[setting["chip"]],
        "workers": dict.fromkeys(("prefill", "decode") if apart else ("aggregated",), worker),
    }


if __name__ == "__main__":
    main(simulate)
