"""The loop over trials, on a device that takes a known time by a clock of its own."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.calibration.benchmark_plan import QUICK, operators, plan
from tapeout.calibration.benchmark_run import (
    FEWEST_REPEATS,
    LONGEST_PASS,
    LONGEST_REPEATS,
    MOST_REPEATS,
    PRECISE,
    SHORTEST_PASS,
    USUAL_REPEATS,
    Outcome,
    Prepared,
    Session,
    calls_of_a_pass,
    measure,
    relative_error,
    repeated,
)
from tapeout.calibration.benchmark_trial import Product, Trial, floor, keys
from tapeout.calibration.operator_table import OperatorTable, table
from tapeout.errors import UnsupportedTrialError
from tapeout.hardware.catalog import chip

H100 = chip("nvidia-h100-sxm")
SMALL = replace(
    QUICK, layers=((2048, 2048), (4096, 4096), (8192, 1280), (4096, 28672)), rows=(1, 16, 128, 1024, 8192),
    heads=((8, 1, 128), (32, 8, 128)), prompts=((1, 128), (1, 1024), (4, 2048), (1, 8192)),
    sequences=(1, 8, 64), contexts=(511, 4095, 16383),
)  # fmt: skip
TRIALS = plan(operators("product,prefill-attention,decode-attention"), SMALL)
NOTHING = table({}, 0)
LAUNCH = 5e-6


class Device:
    """A device whose calls take `slowness` times the least that the chip needs, and a launch; its clock runs only with its work."""

    def __init__(
        self, slowness: Callable[[Trial], float] = lambda trial: 2.0, *, stop_after: int = 10**9, error: type = KeyboardInterrupt
    ) -> None:
        self.slowness, self.stop_after, self.error = slowness, stop_after, error
        self.now = 0.0
        self.prepared: list[Trial] = []
        self.said: list[str] = []
        self.saved: list[OperatorTable] = []

    def seconds(self, trial: Trial) -> float:
        return LAUNCH + self.slowness(trial) * floor(trial, H100)

    def prepare(self, trial: Trial) -> Prepared:
        if len(self.prepared) >= self.stop_after:
            raise self.error
        if getattr(trial, "format", "") == "int8":
            raise UnsupportedTrialError("no such product here")
        self.prepared.append(trial)
        self.now += 0.1 + self.seconds(trial)

        def once() -> float:
            self.now += self.seconds(trial)
            return self.seconds(trial)

        return Prepared(once=once, software="clockwork")

    def run(self, trials: Sequence[Trial] = TRIALS, earlier: OperatorTable = NOTHING, budget: float = 1e6) -> Outcome:
        session = Session(chip=H100, timer=self, clock=lambda: self.now, say=self.said.append, save=self.saved.append)
        return measure(trials, earlier, session, budget)


def supported(trials: Sequence[Trial] = TRIALS) -> list[Trial]:
    return [trial for trial in trials if getattr(trial, "format", "") != "int8"]


def test_with_time_enough_every_trial_that_can_run_has_its_time_in_the_table() -> None:
    device = Device()
    outcome = device.run()
    assert outcome.measured == len(supported())
    assert (outcome.left, outcome.stopped, outcome.impossible) == (0, False, 0)
    assert outcome.rows.seconds.tolist() == pytest.approx([device.seconds(trial) for trial in supported()])
    assert set(outcome.rows.chip) == {H100.id}
    assert keys(device.saved[-1]) == keys(outcome.rows)


def test_what_cannot_run_is_counted_with_its_reason_and_said() -> None:
    device = Device()
    outcome = device.run()
    assert outcome.unsupported == {"product int8: no such product here": len(TRIALS) - len(supported())}
    assert any("no such product here" in line for line in device.said)
    assert any("no such product here" in line for line in outcome.summary())


def test_the_budget_ends_the_run_and_a_further_one_goes_on_where_it_ended() -> None:
    first = Device()
    outcome = first.run(budget=4.0)
    assert 0 < outcome.measured < len(supported())
    assert first.now < 4.0 * 1.2
    second = Device()
    final = second.run(earlier=outcome.rows)
    assert final.known == outcome.measured
    assert not set(first.prepared) & set(second.prepared)
    assert set(first.prepared) | set(second.prepared) == set(supported())
    assert len(set(keys(final.rows))) == len(final.rows) == len(supported())
    assert any(f"{outcome.measured} are in the file already" in line for line in final.summary())


def test_rows_of_other_chips_stay_and_are_not_taken_for_this_one() -> None:
    earlier = Device().run().rows
    other = table(
        {name: getattr(earlier, name) for name in ("operator", "format", "rows", "inner", "outer", "seconds")} | {"chip": "x"}, len(earlier)
    )
    outcome = Device().run(earlier=other)
    assert outcome.known == 0
    assert len(outcome.rows) == len(other) + len(supported())


@pytest.mark.parametrize("seeded", [False, True])
def test_a_kernel_that_is_far_slower_than_the_chip_does_not_eat_the_budget(seeded: bool) -> None:
    """Emulated formats take thousands of times their limit; what was measured of them, also earlier, says what not to begin."""

    def slowness(trial: Trial) -> float:
        return 3e6 if isinstance(trial, Product) and trial.format == "fp8" else 2.0

    smallest = [trial for trial in supported() if slowness(trial) > 2.0][:1]
    earlier = Device(slowness).run(smallest).rows if seeded else NOTHING
    device = Device(slowness)
    outcome = device.run(earlier=earlier, budget=300.0)
    assert device.now < 300.0
    assert set(supported()) - set(device.prepared) == {trial for trial in supported() if slowness(trial) > 2.0} - set(device.prepared)
    assert outcome.left > 0
    assert outcome.measured + outcome.known + outcome.left == len(supported())
    assert any("left" in line for line in outcome.summary())


def test_a_trial_waits_for_nearer_ones_where_the_first_guess_is_too_high() -> None:
    """One row takes a launch only, so that in proportion 8,192 rows would seem to take too long; in the end all are measured."""
    assert Device(lambda trial: 1.0).run(budget=7.0).left == 0


def test_a_stop_by_the_user_keeps_what_was_measured() -> None:
    device = Device(stop_after=7)
    outcome = device.run()
    assert outcome.stopped
    assert outcome.measured == len(device.saved[-1]) == 7
    assert outcome.measured + outcome.left + sum(outcome.unsupported.values()) == len(TRIALS)


def test_an_error_keeps_what_was_measured_and_is_not_hidden() -> None:
    device = Device(stop_after=7, error=ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        device.run()
    assert len(device.saved[-1]) == 7


def test_rows_are_saved_while_the_run_goes_on() -> None:
    device = Device()
    device.run()
    assert len(device.saved) > 3
    assert [len(rows) for rows in device.saved] == sorted({len(rows) for rows in device.saved})


def test_rows_faster_than_the_peaks_are_counted() -> None:
    large = [trial for trial in supported() if floor(trial, H100) > 1e-4]
    outcome = Device(lambda trial: 0.5).run(large)
    assert outcome.impossible == len(large) > 0
    assert any("right chip" in line for line in outcome.summary())


def test_nothing_to_do_saves_nothing() -> None:
    rows = Device().run().rows
    device = Device()
    assert device.run(supported(), earlier=rows).measured == 0
    assert device.saved == []


# ---------------------------------------------------------------- repeats


def counted(times: Sequence[float], step: float = 1e-3) -> tuple[float, int]:
    """The result of `repeated` on these times over and over, and how many it took; the clock makes `step` at each."""
    taken: list[float] = []

    def once() -> float:
        taken.append(times[len(taken) % len(times)])
        return taken[-1]

    return repeated(once, lambda: step * len(taken)), len(taken)


def test_a_steady_time_needs_few_repeats_and_an_unsteady_one_more() -> None:
    assert counted([2.0]) == (2.0, USUAL_REPEATS)
    steady, unsteady = counted([1.0, 1.01, 0.99])[1], counted([1.0, 1.2, 0.8])[1]
    assert USUAL_REPEATS <= steady < unsteady <= MOST_REPEATS


def test_outliers_do_not_move_the_result() -> None:
    assert counted([1.0, 1.0, 1.0, 50.0])[0] == 1.0


def test_slow_calls_end_by_time_but_not_before_there_is_a_median() -> None:
    assert counted([9.0, 7.0, 8.0], step=2 * LONGEST_REPEATS) == (8.0, FEWEST_REPEATS)


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=60))
def test_the_relative_error_is_that_of_quartiles(times: list[float]) -> None:
    low, high = np.percentile(times, [25, 75])
    assert relative_error(times) == pytest.approx((high - low) / len(times) ** 0.5 / statistics.median(times), abs=1e-12)
    assert PRECISE < 0.1


@given(seconds=st.floats(1e-8, 10), copies=st.integers(1, 1000))
def test_a_pass_is_long_enough_for_the_clock_and_no_longer_than_it_need_be(seconds: float, copies: int) -> None:
    calls = calls_of_a_pass(seconds, copies)
    assert calls >= 1
    assert calls * seconds >= min(SHORTEST_PASS, LONGEST_PASS) * 0.999
    assert (calls - 1) * seconds <= LONGEST_PASS
    assert calls >= copies or calls * seconds >= LONGEST_PASS * 0.999
