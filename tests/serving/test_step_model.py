"""The step model: its terms one by one, each against the law written out."""

import dataclasses
import math

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving.step_model import AttentionCost, DecodeCost, RecurrenceCost, Step, StepModel

NOTHING = StepModel(token_seconds=np.zeros(50), sequence_seconds=np.zeros(50))
PREFILL = AttentionCost(window=10.0, pair=3.0, key=0.5, token=0.25, score=0.125, launch=7.0, entry=0.01, query=0.02, sequence=0.03)
STATES = RecurrenceCost(alone=1.0, together=0.5, chunk=8.0, serial=2.0, sequence=3.0, token=0.25, launch=9.0)


def seconds(step: Step, **parts: object) -> float:
    return dataclasses.replace(NOTHING, **parts).seconds(step)  # type: ignore[arg-type]


def test_decode_reads_every_key_once_and_no_more_than_a_full_window() -> None:
    cost = DecodeCost(key=2.0, full=20.0, entry=0.5, longest=11.0)
    assert seconds(Step(decodes=2, context=8), decode=(cost,)) == 2.0 * 10 + 0.5 * 5
    assert seconds(Step(decodes=2, context=80), decode=(cost,)) == 2 * 20.0 + 0.5 * 11
    assert seconds(Step(decodes=2, context=80), decode=(DecodeCost(key=2.0),)) == 2.0 * 82


def test_prefill_is_the_root_of_compute_and_memory_squared_and_what_is_serial() -> None:
    step = Step(prefills=1, prefill_tokens=4, prefill_context=6, pairs=34)
    serial = 7.0 + 0.01 * 10 + 0.02 * 4 + 0.03
    assert seconds(step, prefill=(PREFILL,)) == pytest.approx(math.hypot(3.0 * 34, 0.5 * 10 + 0.25 * 4 + 0.125 * 34) + serial)
    # Beyond the window each of the four meets 10, and the sequence spans 14.
    beyond = Step(prefills=1, prefill_tokens=4, prefill_context=60, pairs=250)
    serial = 7.0 + 0.01 * 14 + 0.02 * 4 + 0.03
    assert seconds(beyond, prefill=(PREFILL,)) == pytest.approx(math.hypot(3.0 * 40, 0.5 * 14 + 0.25 * 4 + 0.125 * 40) + serial)
    # Two of eight after 6 each: 7 + 8 + 9 + 10, then four times 10.
    across = Step(prefills=2, prefill_tokens=16, prefill_context=12, pairs=168)
    found = seconds(across, prefill=(dataclasses.replace(PREFILL, key=0.0, token=0.0, score=0.0, launch=0.0, entry=0.0, query=0.0),))
    assert found == pytest.approx(3.0 * 2 * 74 + 0.03 * 2)


def test_costs_that_take_turns_count_on_their_side_of_the_mean_end() -> None:
    near, far = AttentionCost(below=10.0, launch=1.0), AttentionCost(above=10.0, launch=100.0)
    for context, expected in ((6, 1.0), (7, 100.0)):
        assert seconds(Step(prefills=1, prefill_tokens=4, prefill_context=context, pairs=34), prefill=(near, far)) == expected


def test_states_add_turns_under_the_root() -> None:
    step = Step(prefills=2, prefill_tokens=12, pairs=42)
    assert seconds(step, recurrent=(STATES,)) == pytest.approx(9.0 + math.sqrt((12 * 4.0) ** 2 + 12.0**2 + (6.0 + 3.0) ** 2))
    longer = Step(prefills=1, prefill_tokens=40, pairs=820)
    assert seconds(longer, recurrent=(STATES,)) == pytest.approx(9.0 + math.sqrt((40 * 5.0) ** 2 + 80.0**2 + 13.0**2))


def test_a_step_adds_up_its_tables_and_the_launches_of_what_it_holds() -> None:
    model = StepModel(
        token_seconds=np.array([9.0, 10.0, 20.0, 30.0, 40.0]),
        sequence_seconds=np.array([9.0, 100.0, 200.0, 300.0]),
        decode=(DecodeCost(key=2.0),),
        prefill=(AttentionCost(launch=1e5),),
        decode_launch=1e3,
        decode_sequence=1e4,
        host_step=0.5,
    )
    assert model.seconds(Step(decodes=2, context=4)) == 0.5 + 20 + 200 + 1e3 + 2e4 + 2.0 * 6
    assert model.seconds(Step(prefills=1, prefill_tokens=2, pairs=3)) == 0.5 + 20 + 100 + 1e5
    mixed = Step(decodes=2, context=4, prefills=1, prefill_tokens=2, pairs=3)
    assert model.seconds(mixed) == 0.5 + 40 + 300 + 1e3 + 2e4 + 2.0 * 6 + 1e5
    assert model.seconds(Step()) == 0.5


def test_the_host_counts_where_it_is_slower_than_the_chip() -> None:
    model = StepModel(
        token_seconds=np.full(50, 10.0), sequence_seconds=np.zeros(50), host_step=1.0, host_sequence=4.0, dispatch=17.0, decode_dispatch=5.0
    )
    assert model.seconds(Step(decodes=2, context=4)) == 1.0 + 10.0
    assert model.seconds(Step(decodes=3, context=4)) == 1.0 + 12.0
    assert model.seconds(Step(prefills=1, prefill_tokens=2, pairs=3)) == 1.0 + 17.0
    assert model.seconds(Step(decodes=1, context=4, prefills=1, prefill_tokens=2, pairs=3)) == 1.0 + 22.0
    assert model.seconds(Step(decodes=7, context=4, prefills=1, prefill_tokens=2, pairs=3)) == 1.0 + 32.0


@pytest.mark.parametrize("table", [[], [0.0], [0.0, -1.0], [0.0, math.nan], [0.0, math.inf]])
def test_a_table_that_is_no_table_of_times_is_refused(table: list[float]) -> None:
    with pytest.raises(InputError, match="token_seconds must hold finite times"):
        StepModel(token_seconds=np.array(table), sequence_seconds=np.zeros(2))


def test_a_step_beyond_the_tables_is_refused() -> None:
    for step in (Step(prefills=1, prefill_tokens=50), Step(decodes=50)):
        with pytest.raises(InputError, match="the step exceeds the step model, given '50 tokens"):
            NOTHING.seconds(step)
