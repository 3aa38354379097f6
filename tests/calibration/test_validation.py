"""Predictions beside measurements: what is scored, ratios and bands, rows that cannot be right, and fits without a group."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tapeout.calibration.bounds import limit_shares
from tapeout.calibration.measurements import Measurement, Quantity, published
from tapeout.calibration.validation import Group, checked, compared, comparisons, left_out, measured
from tapeout.performance.efficiency import Table, efficiencies
from tapeout.performance.predict import Prediction, predict
from tapeout.provenance import Sourced

from .conftest import OFFLINE, Read


def answered(row: Measurement) -> Prediction:
    assert row.case is not None
    (found,) = predict([row.case])
    assert isinstance(found, Prediction)
    return found


def test_offline_rows_are_scored_on_tokens_and_online_rows_on_what_they_give(read: Read) -> None:
    rows = read({}, OFFLINE, {"ttft_ms": ""}, {"output_tokens_per_s_per_chip": "700"}, OFFLINE | {"ttft_ms": "1"})
    found = [(one.measurement.name, one.quantity) for one in compared(rows)]
    assert found == [
        ("0", Quantity.TTFT), ("0", Quantity.TPOT), ("1", Quantity.RATE), ("2", Quantity.TPOT),
        ("3", Quantity.TTFT), ("3", Quantity.TPOT), ("3", Quantity.RATE), ("4", Quantity.RATE),
    ]  # fmt: skip


def test_answers_go_to_the_rows_that_have_a_case(read: Read) -> None:
    rows = read({"concurrency": "4"}, {"chip": "nvidia-h100-smx"}, {"concurrency": "64"})
    answers = [answered(rows[0]), answered(rows[2])]
    found = [one for one in comparisons(rows, answers) if one.quantity is Quantity.TPOT]
    assert [one.prediction for one in found] == [answers[0], None, answers[1]]
    assert [one.ratio for one in found] == pytest.approx([answers[0].tpot.value / 0.01, None, answers[1].tpot.value / 0.01])


def test_a_perfect_measurement_has_no_error_and_lies_in_the_band(read: Read) -> None:
    (row,) = read({})
    answer = answered(row)
    for one in compared([replace(row, ttft=answer.ttft.value, tpot=answer.tpot.value)]):
        assert one.error == pytest.approx(0)
        assert one.in_band


def test_ratio_error_and_band_are_those_of_the_prediction(read: Read) -> None:
    (row,) = read(OFFLINE)
    band = answered(row).output_rate_per_chip
    low, half, double = (
        compared([replace(row, output_rate_per_chip=value)])[0] for value in (band.low * 0.99, band.value / 2, band.value * 2)
    )
    assert not low.in_band
    assert (half.ratio, half.error) == (pytest.approx(2), pytest.approx(1))
    assert (double.ratio, double.error) == (pytest.approx(0.5), pytest.approx(0.5))
    assert compared([replace(row, output_rate_per_chip=band.low * 1.01)])[0].in_band
    assert double.low == pytest.approx(band.low / band.value / 2)


def test_unknown_and_impossible_rows_are_unanswered_and_stop_no_other(read: Read) -> None:
    rows = read({"chip": "nvidia-h100-smx"}, OFFLINE, OFFLINE | {"model": "meta-llama/Llama-3.1-405B", "precision": "bf16"})
    found = compared(rows)
    assert [one.ratio is None for one in found] == [True, True, False, True]
    assert found[0].status == "not known: unknown chip: did you mean nvidia-h100-sxm?"
    assert found[2].status == "ok"
    assert found[3].status.startswith("does not fit")


def test_a_row_that_beats_the_peaks_is_excluded_with_the_reason(read: Read) -> None:
    possible, impossible, known = read({}, {"tpot_ms": "1"}, {"tpot_ms": "1"})
    found = checked([possible, impossible, replace(known, excluded="said before")])
    assert found[0].excluded == ""
    assert found[1].excluded.startswith("tpot_ms is ")
    assert found[1].excluded.endswith(" times as fast as the chip's peaks allow")
    assert found[2].excluded == "said before"
    assert {one.measurement.name for one in compared(found)} == {"0"}


def test_the_limit_is_the_limit(read: Read) -> None:
    (row,) = read({"concurrency": "1", "tpot_ms": "10"})
    fastest = 0.01 * float(limit_shares([row])[Quantity.TPOT][0])
    slow, fast = checked([replace(row, tpot=fastest * 1.01), replace(row, tpot=fastest * 0.99)])
    assert (slow.excluded, bool(fast.excluded)) == ("", True)


def slower(table: Table, factor: float) -> Table:
    """`table` with every host step longer."""

    def longer(fact: Sourced[float]) -> Sourced[float]:
        return replace(fact, value=fact.value * factor, high=fact.high * factor)

    return {
        name: replace(entry, host=replace(entry.host, request=longer(entry.host.request))) if entry.host else entry
        for name, entry in table.items()
    }


def test_other_coefficients_give_other_predictions(read: Read) -> None:
    rows = read({})
    shipped, other = compared(rows), compared(rows, slower(efficiencies(), 10))
    assert shipped[0].quantity is Quantity.TTFT
    assert shipped[0].ratio is not None
    assert other[0].ratio is not None
    assert other[0].ratio > shipped[0].ratio


def test_a_group_is_predicted_by_coefficients_that_never_saw_it(read: Read) -> None:
    rows = read({}, {"chip": "nvidia-a100-sxm-80gb", "precision": "bf16"}, {"concurrency": "32"}, {"chip": "nvidia-h200-sxm"})
    seen: list[set[str]] = []

    def fit(others: Sequence[Measurement]) -> Table:
        seen.append({one.chip for one in others})
        return slower(efficiencies(), 10 ** len(seen))

    found = left_out(rows, Group.CHIP, fit)
    chips = ["nvidia-h100-sxm", "nvidia-a100-sxm-80gb", "nvidia-h200-sxm"]
    assert seen == [set(chips) - {chip} for chip in chips]
    assert len(found) == len(compared(rows))
    (h200,) = [one for one in found if one.measurement.chip == chips[2] and one.quantity is Quantity.TTFT]
    assert h200.ratio == compared(rows[3:], slower(efficiencies(), 1000))[0].ratio


def test_own_results_are_all_answered_and_near() -> None:
    """A guard against a broken law, not a claim: the medians stay within half of what was measured."""
    found = compared(checked(published()))
    for quantity in Quantity:
        errors = [one.error for one in found if one.quantity is quantity]
        assert None not in errors
        assert np.median(np.array(errors, dtype=float)) < 0.5
    assert all(measured(one.measurement, one.quantity) for one in found)
