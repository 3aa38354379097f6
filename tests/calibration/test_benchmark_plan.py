"""The plan: no shape twice, the quick one within the full one, and every beginning of it a fair sample."""

from collections import Counter

import pytest

from tapeout.calibration.benchmark_plan import FULL, QUICK, Grid, operators, plan
from tapeout.calibration.benchmark_trial import Collective, flops, kernel, operand_bytes, rows_of
from tapeout.calibration.operator_fit import groups
from tapeout.calibration.operator_table import Measured
from tapeout.errors import InputError
from tapeout.hardware.catalog import chip

PEERS = (2, 4, 8)
H100 = chip("nvidia-h100-sxm")


def test_every_operator_is_planned_and_no_trial_twice() -> None:
    trials = plan(operators(""), FULL, PEERS)
    assert {trial.operator for trial in trials} == set(Measured)
    assert len(set(trials)) == len(trials)


def test_the_quick_plan_is_a_part_of_the_full_one_so_that_a_later_run_goes_on() -> None:
    quick, full = plan(operators(""), QUICK, PEERS), plan(operators(""), FULL, PEERS)
    assert set(quick) < set(full)
    assert len(quick) < len(full) / 1.5


@pytest.mark.parametrize("grid", [QUICK, FULL], ids=["quick", "full"])
def test_a_plan_has_rows_enough_to_fit_every_coefficient(grid: Grid) -> None:
    """With a tenth to spare, and without what 8-bit integers cannot do: products of at most 16 rows."""
    trials = [trial for trial in plan(operators(""), grid, (2,)) if not (kernel(trial) == "product int8" and trial.rows <= 16)]
    trials = [trial for index, trial in enumerate(trials) if index % 10]
    rows = rows_of(trials, H100.id, [1.0] * len(trials), [""] * len(trials))
    fitted = {group.path: set(group.names) for group in groups(rows, {H100.id: H100})}
    assert {path for path in fitted if path[0] in ("products", "grouped")} == {
        ("products", "bf16"), ("products", "fp8"), ("products", "int8"), ("grouped", "bf16"), ("grouped", "fp8"),
    }  # fmt: skip
    assert {path[1] for path in fitted if path[0] == "collective"} == {"all_reduce", "gather", "all_to_all"}
    attention = {name.partition("_")[0] for group in groups(rows, {H100.id: H100}) if group.path == ("attention",) for name in group.names}
    assert attention == {"prefill", "decode"}


def test_without_several_devices_there_are_no_collectives() -> None:
    assert not [trial for trial in plan(operators(""), FULL) if isinstance(trial, Collective)]


def test_a_send_has_two_ends_and_every_other_collective_all_numbers_of_peers() -> None:
    found: dict[Measured, set[int]] = {}
    for trial in plan(operators(""), QUICK, PEERS):
        if isinstance(trial, Collective):
            found.setdefault(trial.operator, set()).add(trial.peers)
    assert found.pop(Measured.SEND) == {2}
    assert set(map(frozenset, found.values())) == {frozenset(PEERS)}


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_any_beginning_takes_each_kernel_as_often_and_over_its_whole_range(share: float) -> None:
    trials = plan(operators(""), FULL, PEERS)
    totals = Counter(map(kernel, trials))
    beginning = trials[: int(share * len(trials))]
    counts = Counter(map(kernel, beginning))
    unfinished = [count for name, count in counts.items() if count < totals[name]]
    assert max(unfinished) - min(unfinished) <= 1
    for name in ("product bf16", "decode-attention bf16"):
        work = sorted((flops(trial), operand_bytes(trial)) for trial in trials if kernel(trial) == name)
        ranks = sorted(work.index((flops(trial), operand_bytes(trial))) for trial in beginning if kernel(trial) == name)
        gaps = [after - before for before, after in zip(ranks, [*ranks[1:], len(work)], strict=True)]
        assert ranks[0] == 0
        assert max(gaps) <= 4 * len(work) / len(ranks)


def test_operators_are_named_by_the_user_in_any_order() -> None:
    assert operators(" decode-attention, product ") == (Measured.DECODE_ATTENTION, Measured.PRODUCT)
    assert {trial.operator for trial in plan(operators("send"), QUICK, PEERS)} == {Measured.SEND}
    with pytest.raises(InputError, match="did you mean decode-attention"):
        operators("product,decode-atention")
