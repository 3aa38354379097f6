"""The fast loop apart from what it computes: its memory, that it needs no compiler, and what is left of it after an interrupt.

That it equals the plain loop is in `test_equality`.
"""

import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

from tapeout.serving import simulator
from tapeout.serving.cluster import Cluster, one_engine
from tapeout.serving.policy import Policy
from tapeout.traffic.requests import Requests

from .configurations import random_step_model
from .simulation import clustered


def case(count: int) -> tuple[Cluster, Requests]:
    generator = np.random.default_rng(3)
    requests = Requests(
        arrival=np.cumsum(generator.exponential(0.05, count)),
        prompt=generator.integers(1, 60, count),
        output=generator.integers(1, 30, count),
    )
    return one_engine(random_step_model(generator), Policy(token_budget=64, most_sequences=16, blocks=200)), requests


@pytest.mark.parametrize(("records", "least", "most"), [(False, 50, 100), (True, 150, 220)])
def test_memory_is_so_many_bytes_a_request(records: bool, least: int, most: int) -> None:
    """Measured: 71 bytes, and 211 with records of steps, for which half of the room is and which so cannot have been left out."""
    count = 20_000
    cluster, requests = case(count)
    simulator.simulate(cluster, requests, records=records)
    tracemalloc.start()
    try:
        simulator.simulate(cluster, requests, records=records)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # What does not grow with the requests is small.
    assert least < (peak - 16_384) / count < most


UNCOMPILED = """
import sys
sys.modules["numba"] = None
import numpy as np
from tapeout.serving import compiled, plain_cluster, simulator
from tapeout.serving.cluster import Cluster, Engine, Link, Phase, Pool, Routing
from tapeout.serving.policy import Policy
from tapeout.traffic.requests import Requests
from tapeout.serving.step_model import DecodeCost, StepModel
assert not compiled.COMPILES
model = StepModel(token_seconds=0.1 + 0.01 * np.arange(65), sequence_seconds=np.zeros(65), decode=(DecodeCost(key=0.001),))
generator = np.random.default_rng(1)
prompt, output = generator.integers(1, 40, 60), generator.integers(1, 20, 60)
requests = Requests(arrival=np.cumsum(generator.exponential(0.3, 60)), prompt=prompt, output=output)
engine = Engine(step_model=model, policy=Policy(token_budget=16, most_sequences=8, blocks=20, block_size=4))
pools = tuple(Pool(engine=engine, replicas=count, phase=phase) for count, phase in ((2, Phase.PREFILL), (1, Phase.DECODE)))
cluster = Cluster(pools=pools, routing=Routing.LEAST_LOADED, link=Link(token=1e-3, latency=0.01), noise=0.1)
plain, fast = plain_cluster.simulate(cluster, requests), simulator.simulate(cluster, requests)
assert plain.preemptions.sum() > 0
assert (plain.completion == fast.completion).all()
print(fast.completion.sum().hex())
"""


def test_without_the_compiler_it_is_the_same() -> None:
    command = [sys.executable, "-c", UNCOMPILED]
    without = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    compiles = UNCOMPILED.replace('sys.modules["numba"] = None\n', "").replace("assert not compiled.COMPILES\n", "")
    assert compiles != UNCOMPILED
    assert subprocess.run([sys.executable, "-c", compiles], capture_output=True, text=True, check=True).stdout == without


def interrupted(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """From the start of its turn `after` on, the compiled loop hears Ctrl-C; each turn is short."""
    run, turns = simulator.run, 0

    def heard(*arguments: Any) -> Any:
        nonlocal turns
        turns += 1
        if turns > after:
            raise KeyboardInterrupt
        return run(*arguments)

    monkeypatch.setattr(simulator, "TURNS", 500)
    monkeypatch.setattr(simulator, "run", heard)


def test_after_an_interrupt_what_was_complete_is_kept_and_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, requests = case(3000)
    whole = clustered(cluster, requests)
    interrupted(monkeypatch, after=10)
    part = simulator.simulate(cluster, requests, jumps=False)
    assert (whole.interrupted, part.interrupted) == (False, True)
    count = len(part.completion)
    assert 0 < count < 3000
    assert len(part.requests) == count
    # Those that were complete by then, as they are in the whole.
    rows = np.flatnonzero(whole.completion <= part.completion.max())
    assert len(rows) == count
    for name in ("arrival", "scheduled", "first_token", "completion", "preemptions"):
        assert (getattr(part, name) == getattr(whole, name)[rows]).all()
    assert (part.requests.output == requests.output[rows]).all()
    assert (part.steps[0].start == whole.steps[0].start[: len(part.steps[0].start)]).all()


def test_an_interrupt_before_any_answer_leaves_nothing_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, after=0)
    with pytest.raises(KeyboardInterrupt):
        simulator.simulate(*case(50))
