"""How the tests of laws simulate: the single place to change."""

import numpy as np

from tapeout.serving.cluster import Cluster, Pool, one_engine
from tapeout.serving.outcome import Outcome, Steps
from tapeout.serving.policy import Policy
from tapeout.serving.simulator import simulate
from tapeout.serving.step_model import StepModel
from tapeout.traffic.requests import Requests

RUNS = range(150)
"""Seeds of the random clusters on which laws are tested."""


def simulated(model: StepModel, requests: Requests, policy: Policy, *, records: bool = True) -> Outcome:
    """`requests` served by a single engine."""
    return simulate(one_engine(model, policy), requests, records=records)


def clustered(cluster: Cluster, requests: Requests) -> Outcome:
    """`requests` served by `cluster`, with a record for each step, whose times are then exact."""
    return simulate(cluster, requests, jumps=False)


def served(cluster: Cluster, requests: Requests) -> Outcome:
    """`requests` served by `cluster`, without its steps: the fast way."""
    return simulate(cluster, requests, records=False)


def pools_by_engine(cluster: Cluster) -> list[Pool]:
    """The pool of each engine."""
    return [pool for pool in cluster.pools for _ in range(pool.slots * pool.ranks)]


def ends(steps: Steps) -> np.ndarray:
    """When each step ends."""
    return steps.start + steps.seconds
