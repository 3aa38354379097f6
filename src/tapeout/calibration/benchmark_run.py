"""The loop of a measurement: trials within a budget of time, each repeated until its median is known, what is done kept.

The device stands behind a `Timer`, so the loop itself knows neither PyTorch nor a clock.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tapeout.calibration.benchmark_trial import Trial, floor, flops, kernel, keys, moved_bytes, rows_of
from tapeout.calibration.operator_table import OperatorTable, concatenated
from tapeout.errors import UnsupportedTrialError
from tapeout.hardware.chip import Chip
from tapeout.units import Seconds, Unit, show

PRECISE = 0.01
"""A median is known when its error, the interquartile range over the root of the repeats, is below this share of it."""
FEWEST_REPEATS, USUAL_REPEATS, MOST_REPEATS = 3, 7, 200
CALLS_OF_A_TRIAL = 6
"""Calls at the least: those that warm up, the one that is timed to plan the others, and the repeats."""
LONGEST_SHARE = 0.1
"""No trial may be expected to take more than this share of the budget; the time is better spent on several others."""
RIDGE = 100
"""FLOPs per byte from which the progress shows FLOP/s."""
LONGEST_REPEATS: Seconds = 1.0
SAVE_EVERY: Seconds = 2.0
SHORTEST_PASS, LONGEST_PASS = 2e-3, 0.2
"""Seconds: a pass is long beside the resolution of the clock, and no longer than it need be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A trial that is ready to run: `once` runs it and returns the seconds of one call, `software` is what ran."""

    once: Callable[[], Seconds]
    software: str


class Timer(Protocol):
    """A device that can run trials."""

    def prepare(self, trial: Trial) -> Prepared:
        """Get `trial` ready, operands in memory and warmed up; raises UnsupportedTrialError where device or software cannot run it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. `rows` are all rows of the table, earlier ones first; `measured` of them are new.

    `unsupported` counts trials by reason; `left` are those that the budget did not reach or that would have taken too much of it;
    `impossible` counts new rows faster than the chip can be by its peaks.
    """

    rows: OperatorTable
    measured: int
    known: int
    unsupported: dict[str, int]
    left: int
    impossible: int
    stopped: bool

    def summary(self) -> list[str]:
        """What is to be said of trials without a new row, and of rows that cannot be right."""
        lines = [f"{count} skipped: {reason}" for reason, count in self.unsupported.items()]
        if self.known:
            lines.append(f"{self.known} are in the file already")
        if self.left:
            lines.append(f"{self.left} are left: no time, or they would take too much of it; run again to go on, or with a larger budget")
        if self.impossible:
            lines.append(f"{self.impossible} new rows are faster than the peaks of the chip allow: is it the right chip?")
        return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a run needs from outside: the chip, the device, a clock in seconds, and where progress and rows go."""

    chip: Chip
    timer: Timer
    clock: Callable[[], Seconds]
    say: Callable[[str], None]
    save: Callable[[OperatorTable], object]


def measure(trials: Sequence[Trial], earlier: OperatorTable, session: Session, budget: Seconds) -> Outcome:
    """Run the `trials` that `earlier` does not hold, until all are done, the budget is spent, or the user stops the run.

    Rows are saved as they come and at the end, also when something else goes wrong.
    """
    run = _Run(session, earlier, budget)
    known = dict(zip(keys(earlier), earlier.seconds.tolist(), strict=True))
    planned = rows_of(trials, session.chip.id, [0.0] * len(trials), [""] * len(trials))
    wanted = []
    for trial, key in zip(trials, keys(planned), strict=True):
        if key in known:
            run.learn(trial, known[key])
        else:
            wanted.append(trial)
    stopped = False
    left = len(wanted)
    try:
        left = run.work_off(deque(wanted))
    except KeyboardInterrupt:
        stopped, left = True, len(wanted) - len(run.done) - run.unsupported.total()
    finally:
        run.save()
    return Outcome(
        rows=run.rows(), measured=len(run.done), known=len(trials) - len(wanted), unsupported=dict(run.unsupported), left=left,
        impossible=run.impossible, stopped=stopped,
    )  # fmt: skip


class _Run:
    """The state of one run: what is done, what it took, and what that says about the trials to come."""

    def __init__(self, session: Session, earlier: OperatorTable, budget: Seconds) -> None:
        self.session, self.earlier = session, earlier
        self.budget, self.end = budget, session.clock() + budget
        self.saved = session.clock()
        self.done: list[tuple[Trial, float, str]] = []
        self.unsupported: Counter[str] = Counter()
        self.times: dict[str, list[tuple[Trial, float]]] = {}
        self.impossible = 0
        self.unsaved = False

    def work_off(self, pending: deque[Trial]) -> int:
        """Measure what fits the budget; a trial that would take too long waits until a nearer one says better. Returns those left."""
        total, waiting = len(pending), 0
        while pending and waiting < len(pending):
            remaining = self.end - self.session.clock()
            if remaining <= 0:
                break
            trial = pending.popleft()
            if self.expected(trial) > min(remaining, LONGEST_SHARE * self.budget):
                pending.append(trial)
                waiting += 1
                continue
            waiting = 0
            self.try_one(trial, f"{total - len(pending)}/{total}")
            if self.session.clock() - self.saved > SAVE_EVERY:
                self.save()
        return len(pending)

    def try_one(self, trial: Trial, position: str) -> None:
        """Measure `trial`, or count why it cannot be."""
        try:
            prepared = self.session.timer.prepare(trial)
            seconds = repeated(prepared.once, self.session.clock)
        except UnsupportedTrialError as error:
            self.unsupported[f"{kernel(trial)}: {error}"] += 1
            self.session.say(f"{position} {trial}: skipped, {error}")
            return
        self.done.append((trial, seconds, prepared.software))
        self.unsaved = True
        least = floor(trial, self.session.chip)
        self.impossible += seconds < least
        self.learn(trial, seconds)
        self.session.say(f"{position} {trial}: {_rate(trial, seconds)}, {least / seconds:.0%} of the limit, {prepared.software}")

    def learn(self, trial: Trial, seconds: Seconds) -> None:
        """Take what `trial` took as a guide to others of its kernel."""
        self.times.setdefault(kernel(trial), []).append((trial, seconds))

    def expected(self, trial: Trial) -> Seconds:
        """Seconds of `trial` with all its calls: in proportion to FLOPs or bytes, whichever is more, of the nearest one measured.

        That is too much where the nearest is far, and then a nearer one comes first. Without any it is the least that it can take.
        """
        found = [
            seconds * max(1.0, flops(trial) / max(flops(other), 1.0), moved_bytes(trial) / moved_bytes(other))
            for other, seconds in self.times.get(kernel(trial), [])
        ]
        return CALLS_OF_A_TRIAL * min(found, default=floor(trial, self.session.chip))

    def rows(self) -> OperatorTable:
        """The earlier rows and the new ones."""
        if not self.done:
            return self.earlier
        trials, seconds, software = zip(*self.done, strict=True)
        return concatenated([self.earlier, rows_of(trials, self.session.chip.id, seconds, software)])

    def save(self) -> None:
        """Save the rows where some are new."""
        if self.unsaved:
            self.session.save(self.rows())
            self.saved, self.unsaved = self.session.clock(), False


def repeated(once: Callable[[], float], clock: Callable[[], float]) -> Seconds:
    """The median of repeats of `once`, as many as make it precise, within limits of number and time."""
    end = clock() + LONGEST_REPEATS
    times = [once() for _ in range(FEWEST_REPEATS)]
    while (len(times) < USUAL_REPEATS or relative_error(times) > PRECISE) and len(times) < MOST_REPEATS and clock() < end:
        times.append(once())
    return statistics.median(times)


def calls_of_a_pass(seconds: float, copies: int) -> int:
    """How many calls of `seconds` one pass runs: all `copies` of the operands, and long enough for the clock, but not for too long.

    >>> calls_of_a_pass(1e-5, 20), calls_of_a_pass(1e-4, 500), calls_of_a_pass(0.1, 500), calls_of_a_pass(1.0, 1)
    (200, 500, 2, 1)
    """
    seconds = max(seconds, 1e-9)
    return max(1, min(max(copies, math.ceil(SHORTEST_PASS / seconds)), math.ceil(LONGEST_PASS / seconds)))


def relative_error(times: Sequence[float]) -> float:
    """The interquartile range over the root of the number of `times`, relative to their median.

    >>> relative_error([1.0, 1.0, 1.0, 1.0])
    0.0
    """
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive")
    return (high - low) / math.sqrt(len(times)) / middle


def _rate(trial: Trial, seconds: Seconds) -> str:
    """The time, and what was done in it: FLOPs where there are many for each byte."""
    time = f"{seconds * 1e3:.4g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.4g} us"
    by_compute = flops(trial) > RIDGE * moved_bytes(trial)
    return f"{time}, {show(flops(trial) / seconds, Unit('FLOP/s')) if by_compute else show(moved_bytes(trial) / seconds, Unit('B/s'))}"
