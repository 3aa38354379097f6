"""Laws of the step model: monotone in work, bounded by the roofline, scaling with the rates."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeout.hardware.chip import Chip
from tapeout.performance.rates import Rates, rates
from tapeout.performance.step import BINDING, Layout, StepTime, layout, step_time
from tapeout.workload.architecture import Architecture
from tapeout.workload.numerics import numerics
from tapeout.workload.operators import Batch, Sharding, operators
from tapeout.workload.shapes import concatenated, shapes

LATENCIES = {name for name, one in Rates.__dataclass_fields__.items() if one.type == "Times"}
SPEEDS = {name for name, one in Rates.__dataclass_fields__.items() if one.type in ("FlopRates", "ByteRates")}


def arranged(chip: Chip, model: Architecture, precision: str = "bf16", tensor: int = 1, expert: int = 1, scale: float = 1.0) -> Layout:
    found = rates([(chip, numerics(model, precision))])
    changes = {name: getattr(found, name) * scale for name in SPEEDS} | {name: getattr(found, name) / scale for name in LATENCIES}
    split = Sharding(tensor=np.array([float(tensor)]), pipeline=np.ones(1), expert=np.array([float(expert)]))
    return layout(shapes(model), np.array([len(model.groups)]), split, dataclasses.replace(found, **changes))


def timed(cases: Layout, sequences: float, new_tokens: float, context: float) -> StepTime:
    one = Batch(sequences=np.array([sequences]), new_tokens=np.array([new_tokens]), context=np.array([context]))
    return step_time(cases, [one])


def seconds(cases: Layout, sequences: float, new_tokens: float, context: float) -> float:
    return float(timed(cases, sequences, new_tokens, context).seconds[0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixtures are frozen
@given(sequences=st.integers(1, 500), tokens=st.sampled_from([1, 2, 64, 700]), context=st.integers(0, 60_000))
def test_more_work_never_takes_less_time(hopper: Chip, dense: Architecture, sequences: int, tokens: int, context: int) -> None:
    cases = arranged(hopper, dense)
    base = seconds(cases, sequences, tokens, context)
    assert seconds(cases, sequences + 1, tokens, context) >= base
    assert seconds(cases, sequences, tokens, context + 100) >= base
    assert seconds(cases, sequences, tokens + 1 if tokens > 1 else tokens, context) >= base


@pytest.mark.parametrize("precision", ["bf16", "fp8"])
def test_doubling_every_rate_halves_every_time(hopper: Chip, mixture: Architecture, precision: str) -> None:
    once = arranged(hopper, mixture, precision, tensor=4, expert=4)
    twice = arranged(hopper, mixture, precision, tensor=4, expert=4, scale=2.0)
    for step in ((1, 1, 100), (300, 1, 4000), (4, 2048, 0)):
        assert seconds(twice, *step) == pytest.approx(seconds(once, *step) / 2, rel=1e-12)


@pytest.mark.parametrize(("sequences", "tokens", "context"), [(1, 1, 1), (128, 1, 2000), (4, 2048, 0), (1, 8192, 50_000)])
def test_the_roofline_at_peak_is_a_lower_bound(hopper: Chip, dense: Architecture, sequences: int, tokens: int, context: int) -> None:
    one = Batch(sequences=np.array([float(sequences)]), new_tokens=np.array([float(tokens)]), context=np.array([float(context)]))
    found = operators(shapes(dense), [one], Sharding(tensor=np.ones(1), pipeline=np.ones(1), expert=np.ones(1)))
    flops = sum(float(np.sum(part.calls * part.flops)) for part in found)
    read = sum(float(np.sum(part.calls * (part.weights + part.cache))) * 2 for part in found)
    bound = max(flops / hopper.peak["bf16"].value, read / hopper.memory.bandwidth.value)
    assert seconds(arranged(hopper, dense), sequences, tokens, context) > bound


def test_what_binds_is_what_physics_says(hopper: Chip, dense: Architecture) -> None:
    cases = arranged(hopper, dense)
    assert timed(cases, 256, 1, 8000).binding() == ["memory bandwidth"]
    assert timed(cases, 4, 2048, 0).binding() == ["compute"]
    unbounded = dataclasses.replace(cases.rates, **{name: getattr(cases.rates, name) * 1e9 for name in SPEEDS if name.endswith("_bytes")})
    only_compute = layout(cases.shapes, np.array([1]), cases.sharding, unbounded)
    assert timed(only_compute, 64, 2048, 0).binding() == ["compute"]


def test_resource_shares_add_up_to_at_least_the_step(hopper: Chip, mixture: Architecture) -> None:
    found = timed(arranged(hopper, mixture, tensor=8), 64, 1, 1000)
    assert found.shares.shape == (len(BINDING), 1)
    assert found.shares.sum() == pytest.approx(found.seconds[0], rel=1e-9)


def test_many_cases_at_once_equal_one_by_one(hopper: Chip, dense: Architecture, mixture: Architecture) -> None:
    pair = rates([(hopper, numerics(dense, "fp8")), (hopper, numerics(mixture, "fp8"))])
    split = Sharding(tensor=np.array([2.0, 4.0]), pipeline=np.ones(2), expert=np.array([1.0, 4.0]))
    both = layout(concatenated([dense, mixture]), np.array([1, 1]), split, pair)
    together = step_time(both, [Batch(sequences=np.array([10.0, 20.0]), new_tokens=np.ones(2), context=np.array([100.0, 900.0]))])
    assert together.seconds[0] == pytest.approx(seconds(arranged(hopper, dense, "fp8", tensor=2), 10, 1, 100))
    assert together.seconds[1] == pytest.approx(seconds(arranged(hopper, mixture, "fp8", tensor=4, expert=4), 20, 1, 900))
