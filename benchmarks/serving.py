"""The serving simulator's speed and memory: on one core, at moderate load, lengths as in conversations."""

from __future__ import annotations

import dataclasses
import time
import tracemalloc

import numpy as np

from benchmarks.cores import one_core
from tapeout.fleet.transfer import link
from tapeout.hardware.catalog import chip
from tapeout.performance.deployment import Deployment
from tapeout.serving import cluster
from tapeout.serving.cluster import Cluster, Engine, Phase, Pool
from tapeout.serving.simulator import simulate
from tapeout.serving.step_table import engine
from tapeout.traffic.requests import Names, Requests
from tapeout.workload.catalog import model

CHIP, MODEL = "nvidia-h100-sxm", "meta-llama/Llama-3.1-8B"
FEW, REQUESTS, MANY, RATE, TURNS = 10_000, 100_000, 1_000_000, 8.0, 4
PROMPT, OUTPUT = 14_000, 1_900


def conversation_engine() -> Engine:
    """The engine of all these runs, for requests of up to the longest lengths below."""
    return engine(chip(CHIP), model(MODEL), "bf16", Deployment(tensor=1), prompt=PROMPT, output=OUTPUT)


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


def one_engine(*, prefix_caching: bool = False) -> Cluster:
    """The engine alone."""
    found = conversation_engine()
    policy = dataclasses.replace(found.policy, prefix_caching=prefix_caching)
    return cluster.one_engine(found.step_model, policy)


def disaggregated() -> Cluster:
    """Two such engines, one for prompts and one for what follows, and the link of the chips between them."""
    found, deployment = conversation_engine(), Deployment(tensor=1)
    between = link(chip(CHIP), model(MODEL), "bf16", deployment, deployment, prompt=PROMPT)
    return Cluster(pools=tuple(Pool(engine=found, phase=phase) for phase in (Phase.PREFILL, Phase.DECODE)), link=between)


def requests_per_second(served_by: Cluster, traffic: Requests) -> float:
    """Requests a second of processor time, without records of steps; the best of three after one to warm up."""
    simulate(served_by, traffic, records=False)
    times = []
    with one_core():
        for _ in range(3):
            begin = time.process_time()
            simulate(served_by, traffic, records=False)
            times.append(time.process_time() - begin)
    return len(traffic) / min(times)


def growth() -> float:
    """How much longer one request takes among a million than among ten thousand: 1 if the time is linear in the requests."""
    few, many = (requests_per_second(one_engine(), conversations(count, 1)) for count in (FEW, MANY))
    return few / many


def bytes_per_request(*, records: bool) -> float:
    """The most memory that the arrays of a run take at once, its outcome included and its requests not, by request."""
    alone, traffic = one_engine(), conversations(REQUESTS, 1)
    simulate(alone, traffic, records=records)
    tracemalloc.start()
    try:
        simulate(alone, traffic, records=records)
        return tracemalloc.get_traced_memory()[1] / REQUESTS
    finally:
        tracemalloc.stop()
