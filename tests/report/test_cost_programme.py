import json

import numpy as np
import pytest

from tapeout.cost.calendar import PHASES
from tapeout.cost.draws import Draws
from tapeout.errors import InputError, UnknownNameError
from tapeout.report.cost_programme_run import files, printed, programmes
from tapeout.report.cost_programme_view import (
    PHASE_WORDS,
    cash_figure,
    cost_table,
    outcome_table,
    phase_table,
    shown_quarters,
    volume_figure,
)

DRAWS = Draws(count=2000, seed=1)


@pytest.fixture(scope="module")
def asked():
    return programmes("tsmc-3", "800mm2", "", DRAWS)


def test_rows_agree_with_the_draws(asked):
    for row, found in zip(asked.rows, asked.found, strict=True):
        assert row["mode"] == found.mode.id
        assert row["one_off_usd"]["p5"] < row["one_off_usd"]["p50"] < row["one_off_usd"]["p95"]
        assert row["one_off_usd"]["p50"] == pytest.approx(float(np.median(found.one_off)))
        assert row["in_volume_by_quarter"][-1] == pytest.approx(row["in_volume_probability"])
        assert sum(row["cash_by_quarter_usd"]["mean"]) == pytest.approx(row["expected_paid_usd"])
        assert sum(row["expected_paid_by_phase_usd"].values()) == pytest.approx(row["expected_paid_usd"])
        assert row["die_area_m2"] == pytest.approx(800e-6)


def test_tables_have_every_mode_and_phase(asked):
    assert set(PHASE_WORDS) == set(PHASES)
    assert [row["mode"] for row in printed(asked).rows] == ["own-team", "design-partner", "acquisition", "licence"]
    payments = cost_table(asked.rows)
    for row in asked.rows:
        assert sum(line[row["mode"]] for line in payments.rows) == pytest.approx(row["expected_paid_usd"])
    assert len(phase_table(asked.rows).rows) == len(PHASES)


def test_outcomes_agree_with_the_draws_and_one_line_is_shown_for_each(asked):
    lines = outcome_table(asked.rows).rows
    assert [(line["mode"], line["outcome"]) for line in lines] == [
        (row["mode"], one["outcome"]) for row in asked.rows for one in row["outcomes"]
    ]
    for row, found in zip(asked.rows, asked.found, strict=True):
        known = {one["outcome"]: one for one in row["outcomes"]}
        assert sum(one["probability"] for one in row["outcomes"]) == pytest.approx(1)
        assert known["failed"]["probability"] == pytest.approx(1 - row["in_volume_probability"])
        assert known["failed"]["delay_s"] is None
        reached = sum(one["probability"] * one["end_s"] for name, one in known.items() if name != "failed")
        assert reached / row["in_volume_probability"] == pytest.approx(float(found.volume[np.isfinite(found.volume)].mean()))


def test_charts_draw_what_the_rows_say(asked):
    quarters = shown_quarters(asked.found)
    assert 8 < quarters <= max(found.quarters for found in asked.found)
    lines = volume_figure(asked.found, quarters)
    assert len(lines.option["series"]) == len(asked.found)
    assert lines.option["series"][0]["data"] == pytest.approx(asked.rows[0]["in_volume_by_quarter"][:quarters])
    fan = cash_figure(asked.found[0], quarters)
    outer, inner, mean = fan.option["series"]
    assert [outer["name"], inner["name"]] == ["p5 to p95", "p25 to p75"]
    assert all(low[1] <= near[1] <= near[2] <= low[2] for low, near in zip(outer["data"], inner["data"], strict=True))
    assert [point[2] for point in outer["data"]] == pytest.approx(asked.rows[0]["cash_by_quarter_usd"]["p95"][:quarters])
    assert mean["data"] == pytest.approx(asked.rows[0]["cash_by_quarter_usd"]["mean"][:quarters])


def test_a_run_leaves_rows_tables_and_a_page(asked):
    written = files(asked, version="0", date="2026-11-25")
    tables = {"programmes.csv", "programme-outcomes.csv", "programme-phases.csv", "programme-payments.csv"}
    assert set(written) == {"programmes.json", "programmes.html"} | tables
    assert json.loads(written["programmes.json"])[1]["mode"] == "design-partner"
    page = written["programmes.html"].decode()
    assert "Cash, own team" in page
    assert "In volume by quarter" in page
    assert "What becomes of it" in page


def test_the_same_seed_gives_the_same_rows():
    first, again = (programmes("tsmc-5", "600mm2", "own-team", Draws(count=300, seed=7)).rows for _ in range(2))
    assert first == again


def test_bad_input_says_what_is_there():
    with pytest.raises(UnknownNameError, match="tsmc-3"):
        programmes("tsmc-33", "800mm2", "", DRAWS)
    with pytest.raises(InputError, match="--area"):
        programmes("tsmc-3", "800 W", "", DRAWS)
    with pytest.raises(InputError, match="858 mm2"):
        programmes("tsmc-3", "1000mm2", "", DRAWS)
    with pytest.raises(UnknownNameError, match="licence"):
        programmes("tsmc-3", "800mm2", "lisence", DRAWS)
