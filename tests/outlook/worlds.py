"""Small worlds for the tests of scenarios: processes by short words, random ones, and what they may do, spelt out path by path."""

import itertools
from collections.abc import Iterator

from hypothesis import strategies as st

from tapeout.outlook.processes import Branch, Effect, Process, Stage

QUARTERS = 6
TARGETS = ("demand", "rent", "available")


def branch(name, probability, **factors):
    """A branch with one factor a target; a pair is a factor and a delay."""
    pairs = {target: value if isinstance(value, tuple) else (value, 0) for target, value in factors.items()}
    effects = tuple(Effect(target=target, factor=factor, delay=delay) for target, (factor, delay) in pairs.items())
    return Branch(name=name, probability=probability, effects=effects)


def process(name, **stages):
    """A process with stages such as `q3=[branch(...), ...]`."""
    found = (Stage(quarter=int(quarter[1:]), branches=tuple(branches)) for quarter, branches in stages.items())
    return Process(name=name, stages=tuple(found))


def every_path(processes) -> Iterator[tuple[float, tuple[tuple[int, str, Branch], ...]]]:
    """Each combination of branches in order of time: its probability, and (quarter, process, branch) of each of its choices."""
    stages = sorted(((stage.quarter, process.name, stage) for process in processes for stage in process.stages), key=lambda each: each[:2])
    for taken in itertools.product(*(stage.branches for _, _, stage in stages)):
        probability = 1.0
        for one in taken:
            probability *= one.probability
        yield probability, tuple((quarter, name, one) for (quarter, name, _), one in zip(stages, taken, strict=True))


def value_of(path, target, quarter) -> tuple[float, int]:
    """The factor and the delay of a target in a quarter of a path."""
    factor, delay = 1.0, 0
    for since, _, one in path:
        for effect in one.effects:
            if effect.target == target and since <= quarter:
                factor, delay = factor * effect.factor, delay + effect.delay
    return factor, delay


@st.composite
def worlds(draw, *, delays=True, most=36):
    """Up to three processes over six quarters with at most `most` paths; factors of zero and branches that do nothing are among them."""
    found, paths = [], 1
    for name in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)):
        stages = []
        for quarter in sorted(draw(st.sets(st.integers(1, QUARTERS - 1), min_size=1, max_size=3))):
            count = draw(st.integers(1, 3))
            if paths * count > most:
                continue
            paths *= count
            shares = [draw(st.integers(1, 9)) for _ in range(count)]
            stages.append(
                Stage(
                    quarter=quarter,
                    branches=tuple(_branch(draw, index, share / sum(shares), delays=delays) for index, share in enumerate(shares)),
                )
            )
        found.append(Process(name=name, stages=tuple(stages)))
    return found


def _branch(draw, index, probability, *, delays):
    factors = st.one_of(st.just(0.0), st.floats(0.25, 4.0))
    targets = draw(st.lists(st.sampled_from(TARGETS), max_size=2, unique=True))
    effects = tuple(Effect(target=each, factor=draw(factors), delay=draw(st.integers(0, 2)) if delays else 0) for each in targets)
    return Branch(name=f"branch {index}", probability=probability, effects=effects)
