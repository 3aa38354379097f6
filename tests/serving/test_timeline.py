"""A run over time: areas of overlapping spans, and sums over bins that are what the run gives as a whole."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.serving.cluster import Engine, one_engine
from tapeout.serving.outcome import Outcome, Steps
from tapeout.serving.policy import Policy
from tapeout.serving.simulator import simulate
from tapeout.serving.step_model import DecodeCost, StepModel
from tapeout.serving.timeline import Ran, Spans, integral, occupancy, step_spans, timeline
from tapeout.traffic.arrivals import poisson
from tapeout.workload.traffic import Lengths

MODEL = StepModel(
    token_seconds=np.linspace(0.01, 0.06, 513), sequence_seconds=np.zeros(513), decode=(DecodeCost(key=1e-6),), host_step=0.001
)
POLICY = Policy(token_budget=512, most_sequences=32, blocks=160, block_size=16)
LENGTHS = Lengths(prompt=120, output=60)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return simulate(one_engine(MODEL, POLICY), poisson(600, 9.0, LENGTHS, seed=3))


@pytest.fixture(scope="module")
def spans(outcome: Outcome) -> Spans:
    return step_spans([ran(outcome.steps[0])])


def ran(steps: Steps) -> Ran:
    return Ran(steps=steps, engine=Engine(step_model=MODEL, policy=POLICY), power=700.0)


def area(spans: list[tuple[float, float, float]], time: float) -> float:
    return sum(value * (min(end, time) - min(start, time)) for start, end, value in spans)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20), st.integers(-5, 9)), min_size=1, max_size=20),
    st.lists(st.integers(0, 80), min_size=1, max_size=5),
)
def test_an_integral_is_the_sum_of_what_each_span_adds(found: list[tuple[int, int, int]], times: list[int]) -> None:
    each = [(start / 4, (start + length) / 4, float(value)) for start, length, value in found]
    start, end, value = (np.array(column) for column in zip(*each, strict=True))
    expected = [area(each, time / 4) for time in times]
    assert integral(start, end, value, np.array(times) / 4) == pytest.approx(expected, abs=1e-9)


def test_no_spans_have_no_area() -> None:
    assert integral(np.zeros(0), np.zeros(0), np.zeros(0), np.array([1.0, 2.0])).tolist() == [0, 0]


def test_spans_of_an_engine_follow_one_another_and_fill_what_is_busy(outcome: Outcome, spans: Spans) -> None:
    assert (outcome.steps[0].count > 1).any()
    assert (spans.end > spans.start).all()
    assert (spans.end[:-1] <= spans.start[1:]).all()
    assert (spans.end - spans.start).sum() == pytest.approx(outcome.totals[0].busy, rel=1e-9)
    assert ((spans.end - spans.start) * spans.blocks).sum() == pytest.approx(outcome.totals[0].block_seconds, rel=0.01)
    assert spans.preempted.sum() == outcome.totals[0].preemptions > 0


def test_spans_are_exact_where_every_step_is_noted(outcome: Outcome) -> None:
    slow = simulate(one_engine(MODEL, POLICY), outcome.requests, jumps=False)
    each = step_spans([ran(slow.steps[0])])
    assert ((each.end - each.start) * each.blocks).sum() == pytest.approx(slow.totals[0].block_seconds, rel=1e-9)


@pytest.mark.parametrize("bins", [1, 7, 500])
def test_bins_add_up_to_the_run(outcome: Outcome, spans: Spans, bins: int) -> None:
    found = timeline(outcome, spans, engines=1, blocks=POLICY.blocks, bins=bins)
    assert len(found.start) == min(bins, 600 // 50)
    assert found.start[0] == outcome.arrival.min()
    assert found.start[-1] + found.width == pytest.approx(outcome.completion.max())
    assert found.arrivals.sum() * found.width == pytest.approx(600)
    assert found.completions.sum() * found.width == pytest.approx(600)
    assert found.output.sum() * found.width == pytest.approx(outcome.requests.output.sum())
    # Little's law is an identity over a whole run.
    for numbers, start, end in (
        (found.waiting, outcome.arrival, outcome.scheduled),
        (found.prefilling, outcome.scheduled, outcome.first_token),
        (found.decoding, outcome.first_token, outcome.completion),
    ):
        assert numbers.sum() * found.width == pytest.approx((end - start).sum())
    assert found.busy.sum() * found.width == pytest.approx(outcome.totals[0].busy, rel=1e-9)
    assert found.busy.max() <= 1 + 1e-9
    assert found.kv_occupancy.max() <= 1 + 1e-9
    assert found.preemptions.sum() == outcome.totals[0].preemptions
    assert found.power == pytest.approx(700 * found.busy)


def test_two_engines_are_as_full_as_each_of_them(outcome: Outcome) -> None:
    alone = step_spans([ran(outcome.steps[0])])
    both = step_spans([ran(outcome.steps[0])] * 2)
    one, two = (
        occupancy(each, engines=engines, blocks=engines * POLICY.blocks, first=5.0, last=30.0) for each, engines in ((alone, 1), (both, 2))
    )
    for field in ("busy", "kv_occupancy", "kv_occupancy_peak"):
        assert getattr(two, field) == pytest.approx(getattr(one, field))
    assert two.power == pytest.approx(2 * one.power) == pytest.approx(2 * 700 * one.busy)
    assert two.preemptions_each_second == pytest.approx(2 * one.preemptions_each_second)


def test_occupancy_of_a_whole_run_is_that_of_its_totals(outcome: Outcome, spans: Spans) -> None:
    first, last = float(outcome.arrival.min()), float(outcome.completion.max())
    found = occupancy(spans, engines=1, blocks=POLICY.blocks, first=first, last=last)
    assert found.busy == pytest.approx(outcome.totals[0].busy / (last - first), rel=1e-9)
    assert found.kv_occupancy == pytest.approx(outcome.totals[0].block_seconds / POLICY.blocks / (last - first), rel=0.01)
    assert found.kv_occupancy_peak == pytest.approx(outcome.totals[0].most_blocks / POLICY.blocks, abs=0.02)
    assert found.preemptions_each_second == pytest.approx(outcome.totals[0].preemptions / (last - first))


def test_parts_of_a_run_add_up_to_it(outcome: Outcome, spans: Spans) -> None:
    first, last = float(outcome.arrival.min()), float(outcome.completion.max())
    middle = 0.7 * last
    whole, before, after = (
        occupancy(spans, engines=1, blocks=POLICY.blocks, first=start, last=end)
        for start, end in ((first, last), (first, middle), (middle, last))
    )
    for field in ("busy", "kv_occupancy", "preemptions_each_second"):
        parts = getattr(before, field) * (middle - first) + getattr(after, field) * (last - middle)
        assert parts == pytest.approx(getattr(whole, field) * (last - first)), field
    assert max(before.kv_occupancy_peak, after.kv_occupancy_peak) == whole.kv_occupancy_peak
    assert after.preemptions_each_second > 0


def test_an_idle_gap_is_neither_busy_nor_full() -> None:
    columns = {field.name: np.array([1, 1]) for field in dataclasses.fields(Steps)}
    steps = Steps(**{**columns, "start": np.array([0.0, 5.0]), "seconds": np.array([1.0, 1.0]), "blocks": np.array([4, 8])})
    found = occupancy(step_spans([ran(steps)]), engines=1, blocks=16, first=0.0, last=6.0)
    assert found.busy == pytest.approx(2 / 6)
    assert found.kv_occupancy == pytest.approx((4 + 8) / 16 / 6)
    assert found.kv_occupancy_peak == 0.5


@pytest.mark.parametrize("ends", [(3.0, 3.0), (4.0, 3.0), (float("nan"), 3.0)])
def test_an_empty_time_has_no_occupancy(spans: Spans, ends: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="not empty"):
        occupancy(spans, engines=1, blocks=1, first=ends[0], last=ends[1])


def test_a_timeline_without_bins_is_refused(outcome: Outcome, spans: Spans) -> None:
    with pytest.raises(InputError, match="at least one bin"):
        timeline(outcome, spans, engines=1, blocks=1, bins=0)
