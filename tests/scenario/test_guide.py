"""The examples of the guide are read as they stand."""

import re
import textwrap
from pathlib import Path

from tapeout.scenario.document import parse_document
from tapeout.scenario.outlook import processes
from tapeout.scenario.places import forms
from tapeout.scenario.programmes import programmes
from tapeout.scenario.reader import scenario_of
from tests.scenario.test_programmes import CONTRACT, REST, SAID

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "write-a-scenario.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.DOTALL)


def test_the_processes_of_the_guide_are_read(small):
    example = next(text for text in EXAMPLES if text.startswith("uncertainty:"))
    scenario = scenario_of(parse_document(small + example, "f.yaml"))
    assert [process.name for process in processes(scenario)] == ["demand", "chips", "hall"]


def test_the_outcomes_of_the_guide_are_read(small):
    example = next(text for text in EXAMPLES if text.startswith("outcomes:"))
    entry = f"\n    mode: own-team\n    {SAID.replace(', duration', chr(10) + '    duration')}\n{textwrap.indent(example, '    ')}"
    text = small.replace("sites:\n  cage", CONTRACT + "sites:\n  cage") + REST.replace("{ENTRY}", entry)
    made = programmes(scenario_of(parse_document(text, "f.yaml")))[0]
    assert [one.revealed for one in made.outcomes] == [8, 5, 4]
    assert made.gates == (4, 7)


def test_the_guide_names_every_kind_of_forecast_that_can_move():
    said = GUIDE.replace(
        "`sites.*.available`, `.electricity`, `.rent` and `.capital`", " ".join(f for f in forms() if f.startswith("sites"))
    )
    for form in forms():
        assert form in said
