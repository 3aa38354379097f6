"""The first stage of the fit: known coefficients come back from the times that they make, and a chip left out is not seen."""

import itertools
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from tapeout.calibration.coefficient_file import coefficient_text
from tapeout.calibration.operator_fit import fit, groups
from tapeout.calibration.operator_laws import bound_seconds, law_seconds
from tapeout.calibration.operator_scores import left_out_errors, scores
from tapeout.calibration.operator_table import Measured, OperatorTable, concatenated, table
from tapeout.errors import InputError
from tapeout.hardware.catalog import chips
from tapeout.hardware.chip import NumberFormat
from tapeout.performance.efficiency import Table, efficiencies, read_efficiencies
from tapeout.provenance import Grade, Sourced

CHIPS = chips()
H100, H200 = "nvidia-h100-sxm", "nvidia-h200-sxm"
RANDOM = np.random.default_rng(7)
COUNT = 240


def sizes(low: float, high: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.round(np.exp(RANDOM.uniform(np.log(low), np.log(high), COUNT)))


def rows_of(chip: str, form: str = "bf16", cache: str = "bf16") -> OperatorTable:
    """Shapes of every operator, without times."""
    heads = sizes(8, 64)
    attention = {
        "chip": chip, "format": form, "cache_format": cache, "sequences": sizes(1, 256), "heads": heads, "kv_heads": np.ceil(heads / 8),
        "head_size": RANDOM.choice([64.0, 128.0], COUNT),
    }  # fmt: skip
    parts = [
        {
            "operator": "product", "chip": chip, "format": form, "rows": sizes(1, 16384), "inner": sizes(256, 16384),
            "outer": sizes(256, 32768),
        },
        {
            "operator": "grouped-product", "chip": chip, "format": form, "rows": sizes(1, 8192), "inner": sizes(1024, 8192),
            "outer": sizes(256, 4096), "experts": 128.0, "experts_per_token": 8.0,
        },
        attention | {"operator": "prefill-attention", "new_tokens": sizes(16, 8192), "context": 0.0},
        attention | {"operator": "decode-attention", "new_tokens": 1.0, "context": sizes(2, 65536)},
        *(
            {"operator": kind, "chip": chip, "peers": RANDOM.choice([2.0, 4.0, 8.0], COUNT), "message_bytes": sizes(256, 2**30)}
            for kind in ("all-reduce", "all-gather", "reduce-scatter", "all-to-all")
        ),
    ]  # fmt: skip
    return concatenated([table(part | {"seconds": 1.0}, COUNT) for part in parts])


def timed(rows: OperatorTable, coefficients: Table, scatter: float = 0.0) -> OperatorTable:
    noise = np.exp(scatter * RANDOM.standard_normal(len(rows)))
    return replace(rows, seconds=law_seconds(rows, CHIPS, coefficients) * noise)


def moved(coefficients: Table, generation: str, factor: float) -> Table:
    """Every operator coefficient of `generation` that is not zero, times or over `factor` by turns; shares stay below one."""
    entry, turns, changes = coefficients[generation], itertools.cycle((factor, 1 / factor)), {}
    for name in ("products", "grouped", "attention", "collective"):
        section = getattr(entry, name)
        parts = {
            key: replace(part, **{field.name: times(getattr(part, field.name), next(turns)) for field in fields(part)})
            for key, part in (section.items() if isinstance(section, Mapping) else [("", section)])
        }
        changes[name] = parts if isinstance(section, Mapping) else parts[""]
    return {**coefficients, generation: replace(entry, **changes)}


def times(fact: Sourced[float], factor: float) -> Sourced[float]:
    share = fact.unit.symbol == "1" and fact.value <= 1
    value = min(fact.value * factor, 0.97) if share else fact.value * factor
    return replace(fact, value=value, low=min(fact.low, value), high=max(fact.high, value))


def test_known_coefficients_come_back() -> None:
    """Times made with every coefficient moved by 1.3 are explained again, whatever the fit begins with, to a small part of the move."""
    truth = moved(efficiencies(), "hopper", 1.3)
    rows = timed(concatenated([rows_of(H100), rows_of(H200)]), truth)
    before = np.abs(np.log(law_seconds(rows, CHIPS, efficiencies()) / rows.seconds))
    found = fit(rows, CHIPS, efficiencies(), "user-supplied")
    after = np.abs(np.log(law_seconds(rows, CHIPS, found.table) / rows.seconds))
    assert np.median(before) > 0.03
    assert np.quantile(after, 0.99) < 0.01
    fitted, true = found.table["hopper"], truth["hopper"]
    for name in ("compute", "bandwidth", "launch"):
        assert getattr(fitted.products["bf16"], name).value == pytest.approx(getattr(true.products["bf16"], name).value, rel=0.02)
        assert getattr(fitted.grouped["bf16"], name).value == pytest.approx(getattr(true.grouped["bf16"], name).value, rel=0.05)
    for kind in ("all_reduce", "gather", "all_to_all"):
        assert fitted.collective[kind].bandwidth.value == pytest.approx(true.collective[kind].bandwidth.value, rel=0.02)
        assert fitted.collective[kind].chunk.value == pytest.approx(true.collective[kind].chunk.value, rel=0.1)
    assert fitted.attention is not None
    assert true.attention is not None
    assert fitted.attention.decode_bandwidth.value == pytest.approx(true.attention.decode_bandwidth.value, rel=0.02)


def test_a_few_wild_rows_do_not_move_the_fit() -> None:
    rows = timed(rows_of(H100).of(Measured.PRODUCT), efficiencies())
    wild = replace(rows, seconds=np.where(np.arange(len(rows)) % 10 == 0, 20 * rows.seconds, rows.seconds))
    found = fit(wild, CHIPS, moved(efficiencies(), "hopper", 1.2), "user-supplied").table["hopper"].products["bf16"]
    assert found.compute.value == pytest.approx(efficiencies()["hopper"].products["bf16"].compute.value, rel=0.05)


def test_what_is_fitted_says_on_what_and_the_rest_is_carried_over() -> None:
    rows = timed(rows_of(H100).of(Measured.PRODUCT), efficiencies(), 0.05)
    found = fit(rows, CHIPS, efficiencies(), "user-supplied")
    (group,) = found.groups
    fact = found.table["hopper"].products["bf16"].compute
    assert (fact.source, fact.grade) == ("user-supplied", Grade.MEASURED)
    assert fact.place.startswith(f"operator fit on {len(rows)} rows of {H100}: median error")
    assert fact.low < fact.value < fact.high <= 1
    assert 0.01 < group.median < 0.06
    before = efficiencies()["hopper"]
    assert found.table["hopper"] == replace(before, products={**before.products, "bf16": found.table["hopper"].products["bf16"]})
    assert {name: entry for name, entry in found.table.items() if name != "hopper"} == {
        name: entry for name, entry in efficiencies().items() if name != "hopper"
    }


def test_too_few_rows_fit_nothing() -> None:
    rows = timed(rows_of(H100).of(Measured.PRODUCT), efficiencies()).take(np.arange(15))
    assert not list(groups(rows, CHIPS))


def test_rows_faster_than_the_memory_are_dropped() -> None:
    rows = timed(rows_of(H100).of(Measured.PRODUCT), efficiencies())
    cached = replace(rows, seconds=np.where(np.arange(len(rows)) % 4 == 0, 0.3 * bound_seconds(rows, CHIPS), rows.seconds))
    found = fit(cached, CHIPS, efficiencies(), "user-supplied")
    assert found.groups[0].dropped == COUNT // 4
    (whole, one) = scores(cached, CHIPS, found.table)
    assert (whole.rows, whole.dropped, one.chip) == (COUNT - COUNT // 4, COUNT // 4, H100)
    assert whole.median < 0.01


def test_no_law_beats_the_peak_or_the_memory() -> None:
    for form, cache in (("bf16", "bf16"), ("fp8", "fp8")):
        rows = rows_of(H100, form, cache)
        best = moved(efficiencies(), "hopper", 100.0)  # shares at their ends
        assert (law_seconds(rows, CHIPS, best) >= bound_seconds(rows, CHIPS) * (1 - 1e-12)).all()


def test_a_chip_left_out_is_not_seen() -> None:
    """What the others measured decides: other times of the left-out chip change its errors by just their change."""
    rows = timed(concatenated([rows_of(H100), rows_of(H200), rows_of("nvidia-a100-sxm-80gb")]), moved(efficiencies(), "hopper", 1.2), 0.05)
    slower = replace(rows, seconds=np.where(rows.chip == H200, 1.5 * rows.seconds, rows.seconds))
    first, second = (left_out_errors(one, CHIPS, efficiencies(), efficiencies()) for one in (rows, slower))
    own = rows.chip == H200
    np.testing.assert_allclose(second[own], first[own] - np.log(1.5), rtol=0, atol=1e-9)
    assert np.median(np.abs(second[rows.chip == H100])) > np.median(np.abs(first[rows.chip == H100])) + 0.1
    # The A100 has no other chip of its generation: it takes what its kin, hopper, has in the table that is given.
    lone = rows.chip == "nvidia-a100-sxm-80gb"
    np.testing.assert_allclose(second[lone], first[lone], rtol=0, atol=1e-12)


def test_weights_that_the_chip_unpacks_are_a_group_of_their_own() -> None:
    rows = rows_of(H100, "fp4").of(Measured.GROUPED_PRODUCT)
    assert NumberFormat.FP4 not in CHIPS[H100].peak
    (group,) = groups(rows, CHIPS)
    assert group.path == ("grouped", "fp4-unpacked")
    (other,) = groups(rows_of("nvidia-b200", "fp4").of(Measured.GROUPED_PRODUCT), CHIPS)
    assert other.path == ("grouped", "fp4")


def test_an_unknown_chip_is_named() -> None:
    with pytest.raises(InputError, match="unknown chip, given 'mine'"):
        law_seconds(rows_of("mine"), CHIPS, efficiencies())


def test_the_text_of_a_table_reads_back_the_same(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(coefficient_text(efficiencies()))
    found = read_efficiencies(tmp_path / "own.toml")
    assert list(found) == list(efficiencies())
    rows = concatenated([rows_of(chip) for chip in (H100, "nvidia-b200", "nvidia-a100-sxm-80gb")])
    np.testing.assert_allclose(law_seconds(rows, CHIPS, found), law_seconds(rows, CHIPS, efficiencies()), rtol=1e-9)
    assert found["hopper"].products["bf16"].compute == efficiencies()["hopper"].products["bf16"].compute
    (tmp_path / "again.toml").write_text(coefficient_text(found))
    assert (tmp_path / "again.toml").read_text() == (tmp_path / "own.toml").read_text()
