"""Whether samples of independent runs have the mean that a theory gives."""

import math

import numpy as np


def agrees(samples: list[float], theory: float, error: float = 0.0) -> bool:
    """Whether the mean is the theory's within five standard errors and a known `error` of the theory itself."""
    mean, spread = float(np.mean(samples)), float(np.std(samples, ddof=1)) / math.sqrt(len(samples))
    assert spread < 0.05 * theory, "too few runs for the test to mean anything"
    return abs(mean - theory) < 5 * spread + error
