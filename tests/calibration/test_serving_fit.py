"""The second stage of the fit: known coefficients are found again, and what is left out falls back on its kin."""

from dataclasses import replace

import numpy as np
import pytest

from tapeout.calibration.measurements import Measurement, published
from tapeout.calibration.serving_fit import Parameter, fit, parameters, results
from tapeout.calibration.serving_table import refitted
from tapeout.performance.efficiency import Table, efficiencies, efficiency, operator_efficiencies
from tapeout.performance.predict import Kind, Prediction, predict
from tapeout.provenance import facts_within

HIDDEN = {("hopper", "host", "request"): 1.4, ("hopper", "host", "dispatch"): 1.3, ("blackwell", "products", "fp4", "bandwidth"): 0.85}


def hidden() -> Table:
    """The shipped coefficients with some of them moved, which the fit must find."""
    table = efficiencies()
    for (generation, *path), factor in HIDDEN.items():
        parameter = Parameter(generation=generation, path=tuple(path), prior=1.0, most=np.inf)
        table = parameter.placed(table, parameter.value(table) * factor)
    return table


def as_measured(table: Table) -> list[Measurement]:
    """The published cases with what `table` predicts in the place of what was measured."""
    rows = [one for one in published() if one.case is not None and not one.excluded]
    answers = predict([one.case for one in rows if one.case is not None], table)
    return [
        replace(one, ttft=answer.ttft.value, tpot=answer.tpot.value, output_rate_per_chip=answer.output_rate_per_chip.value)
        for one, answer in zip(rows, answers, strict=True)
        if isinstance(answer, Prediction)
    ]


def test_known_coefficients_are_found_again() -> None:
    moved = tuple(Parameter(generation=generation, path=tuple(path), prior=1.0, most=np.inf) for generation, *path in HIDDEN)
    found = fit(results(as_measured(hidden())), efficiencies(), moved)
    for parameter in found.parameters:
        assert parameter.value(found.table) == pytest.approx(parameter.value(hidden()), rel=0.02)
    assert np.nanmedian(np.abs(found.errors)) < 1e-3


def test_without_a_pull_nothing_moves() -> None:
    moved = parameters(efficiencies(), {"hopper"})
    found = fit(results(as_measured(efficiencies())), efficiencies(), moved)
    for parameter in moved:
        assert parameter.value(found.table) == pytest.approx(parameter.value(efficiencies()), rel=1e-6)


def test_each_kind_is_judged_on_its_own_quantity() -> None:
    found = results(published())
    online = np.array([case.kind is Kind.ONLINE for case in found.cases])
    assert np.isnan(found.values[online, 2]).all()
    assert np.isnan(found.values[~online, :2]).all()
    assert np.isfinite(found.values[~online, 2]).all()


@pytest.fixture(scope="module")
def refit() -> tuple[Table, np.ndarray]:
    table, found = refitted(published(), operator_efficiencies())
    return table, found.errors


def test_the_refit_says_on_what_it_stands(refit: tuple[Table, np.ndarray]) -> None:
    table, errors = refit
    host = efficiency("hopper", table).host
    assert host is not None
    assert host.dispatch.place.startswith(f"serving fit on {len(errors)} rows")
    assert host.dispatch.low < host.dispatch.value < host.dispatch.high


def test_a_second_refit_names_the_first_start_once(refit: tuple[Table, np.ndarray]) -> None:
    again, _ = refitted(published(), refit[0])
    host = efficiency("hopper", again).host
    assert host is not None
    assert host.dispatch.place.count("started from") == 1


def test_the_bands_hold_what_they_say(refit: tuple[Table, np.ndarray]) -> None:
    table, errors = refit
    answers = predict(results(published()).cases, table)
    inside = [
        abs(error) <= np.log(band.high / band.value)
        for answer, row in zip(answers, errors, strict=True)
        if isinstance(answer, Prediction)
        for error, band in zip(row, (answer.ttft, answer.tpot, answer.output_rate_per_chip), strict=True)
        if np.isfinite(error)
    ]
    assert 0.75 <= np.mean(inside) <= 0.88


def test_a_chip_left_out_takes_its_coefficients_from_its_kin(refit: tuple[Table, np.ndarray]) -> None:
    rest = [one for one in published() if one.chip != "nvidia-b200"]
    table, _ = refitted(rest, operator_efficiencies())
    assert not table["blackwell"].products
    assert efficiency("blackwell", table).distance == 1
    assert efficiency("blackwell", table).products["bf16"] == efficiency("hopper", table).products["bf16"]
    assert refit[0]["blackwell"].products


def test_the_shipped_coefficients_are_those_of_the_fit(refit: tuple[Table, np.ndarray]) -> None:
    table, _ = refit
    for generation, entry in efficiencies().items():
        for path, fact in facts_within(entry):
            again = dict(facts_within(table[generation]))[path]
            assert fact.value == pytest.approx(again.value, rel=0.01), f"{generation}.{path}"
            assert fact.place == again.place, f"{generation}.{path}"
