"""The serving simulator's speed: requests a second on one core, at moderate load, lengths as in conversations."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from benchmarks.cores import one_core
from tapeout.hardware.catalog import chip
from tapeout.performance.deployment import Deployment
from tapeout.serving.cluster import Engine
from tapeout.serving.requests import Names, Requests
from tapeout.serving.simulator import simulate
from tapeout.serving.step_table import engine
from tapeout.workload.catalog import model

REQUESTS, RATE, TURNS = 100_000, 8.0, 4
PROMPT, OUTPUT = 14_000, 1_900


def _engine() -> Engine:
    return engine(chip("nvidia-h100-sxm"), model("meta-llama/Llama-3.1-8B"), "bf16", Deployment(tensor=1), prompt=PROMPT, output=OUTPUT)


def _lengths(generator: np.random.Generator, count: int, median: float, spread: float, most: int) -> np.ndarray:
    return np.clip(generator.lognormal(np.log(median), spread, count), 1, most).astype(np.int64)


def conversations(count: int, seed: int) -> Requests:
    """Open traffic of prompts of about 1,200 tokens and answers of about 200."""
    generator = np.random.default_rng(seed)
    arrival = np.cumsum(generator.exponential(1 / RATE, count))
    return Requests(
        arrival=arrival, prompt=_lengths(generator, count, 735, 1.0, PROMPT), output=_lengths(generator, count, 148, 0.8, OUTPUT)
    )


def turns(count: int, seed: int, block: int = 16) -> Requests:
    """The same in conversations of several turns, each of which repeats all before it."""
    generator = np.random.default_rng(seed)
    asked = _lengths(generator, count, 245, 1.0, PROMPT // TURNS).reshape(-1, TURNS)
    answered = _lengths(generator, count, 148, 0.8, OUTPUT).reshape(-1, TURNS)
    before = np.cumsum(asked + answered, axis=1) - asked - answered
    starts = np.cumsum(generator.exponential(TURNS / RATE, len(asked)))[:, None]
    arrival = starts + np.cumsum(0.02 * answered + generator.exponential(30, asked.shape), axis=1)
    order = np.argsort(arrival.ravel(), kind="stable")
    prompt = (before + asked).ravel()[order]
    blocks = prompt // block
    # Names of one conversation count up; the next one's start where the longest would have ended.
    first = (order // TURNS) * ((PROMPT + TURNS * OUTPUT) // block)
    start = np.concatenate(([0], np.cumsum(blocks)))
    name = np.repeat(first - start[:-1], blocks) + np.arange(start[-1])
    return Requests(
        arrival=arrival.ravel()[order], prompt=prompt, output=answered.ravel()[order], names=Names(name=name, start=start, block=block)
    )


def requests_per_second(*, prefix_caching: bool) -> float:
    """Requests a second of processor time, without records of steps; the best of three after one to warm up."""
    found, traffic = _engine(), turns(REQUESTS, 1) if prefix_caching else conversations(REQUESTS, 1)
    policy = dataclasses.replace(found.policy, prefix_caching=prefix_caching)
    simulate(found.step_model, traffic, policy, records=False)
    times = []
    with one_core():
        for _ in range(3):
            begin = time.process_time()
            simulate(found.step_model, traffic, policy, records=False)
            times.append(time.process_time() - begin)
    return REQUESTS / min(times)
