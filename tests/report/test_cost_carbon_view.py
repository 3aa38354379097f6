import dataclasses

import numpy as np
import pytest

from tapeout.cost.carbon import CarbonHourDraws, EmbodiedDraws
from tapeout.errors import InputError
from tapeout.report.cost_carbon_view import carbon_row, carbon_table
from tapeout.report.cost_run import Asked, costed
from tapeout.report.cost_view import cost_row

MADE = EmbodiedDraws(silicon=np.full(9, 25.0), memory=np.full(9, 70.0), module=np.full(9, 55.0), host=np.full(9, 250.0))
HOUR = CarbonHourDraws(embodied=np.full(9, 0.01), energy=np.linspace(0.4, 0.6, 9))


def test_a_row_has_parts_hours_and_tokens():
    row = carbon_row(MADE, HOUR, 1000.0)
    assert row["embodied_kg"]["total"]["p50"] == pytest.approx(400.0)
    assert row["kg_per_hour"]["total"]["p50"] == pytest.approx(0.51)
    # 0.51 kg an hour over 3.6 million tokens
    assert row["kg_per_million_tokens"]["p50"] == pytest.approx(0.51 / 3.6)
    assert "kg_per_million_tokens" not in carbon_row(MADE, HOUR)
    with pytest.raises(InputError, match="needs tokens"):
        carbon_row(MADE, HOUR, -1.0)


def test_the_table_has_a_line_for_each():
    lines = carbon_table(carbon_row(MADE, HOUR, 1000.0)).rows
    assert [line["part"] for line in lines][-2:] == ["An hour", "A million tokens"]
    assert len(lines) == len(carbon_table(carbon_row(MADE, HOUR)).rows) + 1


def test_the_cost_of_a_chip_has_its_carbon():
    asked = Asked(
        chip="nvidia-h100-sxm", volume=None, year=None, draws=2000, seed=0, owner="neocloud", site="colocation-us", date="2026-04-03",
        tokens_per_second=800.0,
    )  # fmt: skip
    found = costed(asked)
    row = cost_row(found)["carbon"]
    assert row["kg_per_million_tokens"]["p50"] == pytest.approx(row["kg_per_hour"]["total"]["p50"] / 2.88)
    assert row["embodied_kg"]["host"]["p50"] == pytest.approx(1900 / 8, rel=0.05)
    assert set(carbon_row(found.embodied, None, 800.0)) == {"embodied_kg"}
    with pytest.raises(InputError, match="--tokens-per-s must be positive"):
        costed(dataclasses.replace(asked, tokens_per_second=0.0))
