"""Constraints that no plan can meet together are named with their lines in the scenario's file."""

from pathlib import Path

import pytest

from tapeout import study
from tapeout.errors import Conflict, InfeasibleError, Place
from tapeout.scenario.conflicts import PLACES, located
from tapeout.scenario.document import Document, read_document

STARTUP = Path(__file__).parents[2] / "scenarios" / "startup.yaml"


@pytest.fixture(scope="module")
def document() -> Document:
    return read_document(STARTUP)


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(STARTUP.read_text().splitlines(), start=1) if line.strip().startswith(text))


def test_each_conflict_is_told_with_its_line(document: Document) -> None:
    found = located(
        document,
        InfeasibleError("no plan", conflicts=(Conflict(kind="budget"), Conflict(kind="demand", item="assistant")), hint="pay more"),
    )
    assert found.place is not None
    assert found.place.line == line_of("budget:")
    assert found.hint == f"pay more; see finance.budget (line {line_of('budget:')}), models.assistant.demand (line {line_of('demand:')})"


def test_an_error_without_conflicts_stays_as_it_is(document: Document) -> None:
    error = InfeasibleError("no plan")
    assert located(document, error) is error


def test_a_place_that_is_known_is_kept(document: Document) -> None:
    here = Place(file="elsewhere.yaml", line=7)
    assert located(document, InfeasibleError("no plan", place=here, conflicts=(Conflict(kind="budget"),))).place == here


@pytest.mark.parametrize("kind", PLACES)
def test_every_kind_leads_into_a_section_of_the_file(kind: str, document: Document) -> None:
    found = located(document, InfeasibleError("no plan", conflicts=(Conflict(kind=kind, item="assistant"),)))
    assert found.place is not None
    assert found.place.path.split(".")[0] == PLACES[kind][0]


def test_a_budget_that_excludes_everything_is_told_at_its_line(tmp_path: Path) -> None:
    text = STARTUP.read_text()
    assert "budget: 1 MUSD" in text
    path = tmp_path / "poor.yaml"
    path.write_text(text.replace("budget: 1 MUSD", "budget: 1 kUSD"))
    with pytest.raises(InfeasibleError, match="no plan can meet budget") as caught:
        study.plan(path, study.Wanted(appraised=study.Appraised.NOT), lambda _: None)
    assert caught.value.place is not None
    assert caught.value.place.line == line_of("budget:")
    assert "more budget in 2026Q4" in str(caught.value)
