"""The step model: its terms one by one."""

import math

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving.step_model import AttentionCost, Step, StepModel


@pytest.fixture
def cost() -> AttentionCost:
    return AttentionCost(window=10.0, decode_key=2.0, pair=3.0, key=0.5, token=0.25)


def test_decode_reads_every_key_once_and_no_more_than_the_window(cost: AttentionCost) -> None:
    assert cost.decode(Step(decodes=2, context=8)) == 2.0 * 10
    assert cost.decode(Step(decodes=2, context=80)) == 2.0 * 20


def test_prefill_is_the_root_of_compute_and_memory_squared(cost: AttentionCost) -> None:
    step = Step(prefills=1, prefill_tokens=4, prefill_context=6, pairs=34)
    assert cost.prefill(step) == math.hypot(3.0 * 34, 0.5 * 10 + 0.25 * 4)
    beyond = Step(prefills=1, prefill_tokens=4, prefill_context=60, pairs=250)
    assert cost.prefill(beyond) == math.hypot(3.0 * 40, 0.5 * 14 + 0.25 * 4)


def test_a_step_adds_up_its_tables_and_the_launches_of_what_it_holds(cost: AttentionCost) -> None:
    model = StepModel(
        token_seconds=np.array([9.0, 10.0, 20.0, 30.0, 40.0]),
        sequence_seconds=np.array([9.0, 100.0, 200.0, 300.0]),
        attention=(cost,),
        decode_launch=1e3,
        decode_sequence=1e4,
        prefill_launch=1e5,
    )
    assert model.seconds(Step(decodes=2, context=4)) == 20 + 200 + 1e3 + 2e4 + 2.0 * 6
    prefill = Step(prefills=1, prefill_tokens=2, pairs=3)
    assert model.seconds(prefill) == 20 + 100 + 1e5 + cost.prefill(prefill)
    mixed = Step(decodes=2, context=4, prefills=1, prefill_tokens=2, pairs=3)
    assert model.seconds(mixed) == pytest.approx(40 + 300 + 1e3 + 2e4 + 2.0 * 6 + 1e5 + cost.prefill(prefill))


@pytest.mark.parametrize("table", [[], [0.0], [0.0, -1.0], [0.0, math.nan], [0.0, math.inf]])
def test_a_table_that_is_no_table_of_times_is_refused(table: list[float]) -> None:
    with pytest.raises(InputError, match="token_seconds must hold finite times"):
        StepModel(token_seconds=np.array(table), sequence_seconds=np.zeros(2))
