from pathlib import Path

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.provenance import DATA, Grade, sources
from tapeout.scenario.reader import read
from tapeout.scenario.schema import schema_text
from tapeout.units import DAY, KWH, WEEK

NAMES = ["openai-2023", "lab-2026", "startup"]


@pytest.mark.parametrize("name", NAMES)
def test_shipped_scenarios_are_good_and_carry_the_name_of_their_file(scenarios: Path, name: str) -> None:
    scenario = read(scenarios / f"{name}.yaml")
    assert scenario.name == name
    assert len(scenario.quarter_labels) == scenario.quarters
    assert scenario.quarter_labels[0] == str(scenario.start)


@pytest.mark.parametrize("name", NAMES)
def test_every_assumption_has_a_source_and_every_guess_a_range_and_a_reason(scenarios: Path, name: str) -> None:
    rows = read(scenarios / f"{name}.yaml").assumptions()
    assert len({row.path for row in rows}) == len(rows) > 15
    for row in rows:
        assert row.source == "guess" or row.source in sources(), row.path
        if row.grade is Grade.GUESS:
            assert row.why, row.path
            assert row.low != row.high, row.path


@pytest.mark.parametrize("name", NAMES)
def test_editors_are_led_to_the_schema(scenarios: Path, name: str) -> None:
    first = (scenarios / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=scenario.schema.json"


def test_the_exported_schema_is_current(scenarios: Path) -> None:
    assert (scenarios / "scenario.schema.json").read_text(encoding="utf-8") == schema_text(), (
        "write it anew: .venv/bin/python -c 'from tapeout.scenario.schema import schema_text; print(schema_text(), end=\"\")'"
        " > scenarios/scenario.schema.json"
    )


def test_the_story_of_2023_is_told(scenarios: Path) -> None:
    scenario = read(scenarios / "openai-2023.yaml")
    assert scenario.quarter_labels[0] == "2023Q4"
    assert scenario.quarter_labels[-1] == "2029Q3"
    assert scenario.contracts["microsoft-a100"].initial == 10_000
    lead = scenario.contracts["h100-2023"].lead
    assert lead is not None
    assert lead.value == pytest.approx(39 * WEEK)
    queries = sum(model.demand.over(scenario.start, 1)[0] for model in scenario.models.values())
    assert queries * DAY == pytest.approx(10e6)
    assert {programme.mode for programme in scenario.programmes.values()} == {"partner", "own-team", "acquisition"}
    assert scenario.sites["abilene"].available.over(scenario.start, 12)[-1] == pytest.approx(1.2e9)


def test_values_are_held_in_the_units_that_they_declare(tmp_path: Path, small: str) -> None:
    path = tmp_path / "small.yaml"
    site = "    electricity: {value: 7.2 cent/kWh, source: tapeout-estimate}\n"
    site += "    rent: {value: 146.1 USD/kW/month, source: tapeout-estimate}\n"
    path.write_text(small + site, encoding="utf-8")
    scenario = read(path)
    model, cage = scenario.models["chat"], scenario.sites["cage"]
    assert scenario.finance.discount.value == pytest.approx(0.10)
    assert (scenario.finance.discount.low, scenario.finance.discount.high) == pytest.approx((0.08, 0.12))
    assert model.time_per_output_token == pytest.approx(0.05)
    assert model.unmet_penalty.value == pytest.approx(0.03)
    assert model.unmet_penalty.currency_year == 2026
    np.testing.assert_allclose(model.demand.over(scenario.start, 6) * DAY / 1e6, [1, 4**0.25, 2, 4**0.75, 4, 4])
    assert (model.demand.low_factor, model.demand.high_factor) == (0.5, 2.0)
    assert scenario.contracts["bought"].allocation.low_factor == pytest.approx(0.1)
    assert scenario.finance.budget.over(scenario.start, 2).tolist() == [5e6, 5e6]
    assert not isinstance(cage.electricity, str)
    assert cage.electricity is not None
    assert cage.electricity.over(scenario.start, 1)[0] * KWH == pytest.approx(0.072)
    assert cage.rent is not None
    assert cage.rent.over(scenario.start, 1)[0] * 1000 * 730.5 == pytest.approx(146.1)


def test_a_model_may_be_a_file_beside_the_scenario(tmp_path: Path, small: str) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(small.replace("meta-llama/Llama-2-70b-hf", "mine/config.json"), encoding="utf-8")
    with pytest.raises(InputError, match="cannot read the file"):
        read(path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"model_type": "lamma"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"small\.yaml:13:19: models\.chat\.architecture: .*llama"):
        read(path)
    shape = (DATA / "models" / "meta-llama--Llama-2-7b-hf.json").read_text(encoding="utf-8")
    (tmp_path / "mine" / "config.json").write_text(shape, encoding="utf-8")
    assert read(str(path)).models["chat"].located(tmp_path) == str(tmp_path / "mine" / "config.json")


def test_assumptions_are_listed_as_the_file_writes_them(tmp_path: Path, small: str) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(small, encoding="utf-8")
    rows = {row.path: row for row in read(path).assumptions()}
    assert rows["models.chat.demand"].value == "1 Mquery/day (2026Q4) to 4 Mquery/day (2027Q4)"
    assert rows["models.chat.demand"].low == "50 % of it"
    lead = rows["contracts.bought.lead"]
    assert (lead.value, lead.low, lead.high, lead.source, lead.why) == ("13 week", "6 week", "26 week", "guess", "stock")
    assert "finance.budget" not in rows
