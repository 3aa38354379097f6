"""A fleet whose behaviour is known in closed form, for several tests."""

import math

import numpy as np

from tapeout.fleet.engines import Fleet, Group
from tapeout.hardware import catalog
from tapeout.performance.deployment import Deployment
from tapeout.serving.cluster import Engine
from tapeout.serving.policy import Policy
from tapeout.serving.step_model import StepModel
from tapeout.workload.traffic import Lengths

SERVICE = 0.1
ONE = Lengths(prompt=1, output=1)


def server(service: float = SERVICE) -> Engine:
    """One request at a time, a step of `service` seconds for its only token: a queue with constant service (M/D/1 under Poisson)."""
    step_model = StepModel(token_seconds=np.array([0.0, service]), sequence_seconds=np.zeros(2))
    return Engine(step_model=step_model, policy=Policy(token_budget=1, most_sequences=1, blocks=4))


def queue(engines: int = 1, service: float = SERVICE) -> Fleet:
    """`engines` such servers."""
    chip = catalog.chip("nvidia-h100-sxm")
    return Fleet(chip=chip, groups=(Group(deployment=Deployment(tensor=1), engine=server(service), chips=engines),))


def waits_at_most(time: float, rate: float, service: float = SERVICE) -> float:
    """The share of requests of M/D/1 that wait at most `time`; Erlang 1909.

    (1 - r) sum over k = 0..floor(t / D) of (l (k D - t))^k / k! exp(-l (k D - t)), r = l D.
    """
    terms = (
        (rate * (place * service - time)) ** place / math.factorial(place) * math.exp(-rate * (place * service - time))
        for place in range(int(time / service) + 1)
    )
    return (1 - rate * service) * sum(terms)
